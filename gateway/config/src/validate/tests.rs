use clap::{Args as _, FromArgMatches as _};

use super::*;
use crate::{Durability, EntryFormat, OAuth2Config, PulsarAuthentication};

fn flags(args: &[&str]) -> RawConfig {
    let command = RawConfig::augment_args(clap::Command::new("kop-gateway").no_binary_name(true));
    RawConfig::from_arg_matches(&command.try_get_matches_from(args).unwrap()).unwrap()
}

fn validated(args: &[&str]) -> Result<Config, ConfigError> {
    flags(args).validate()
}

#[test]
fn without_arguments_it_is_one_process_on_this_machine_with_its_own_store() {
    let config = validated(&[]).unwrap();
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].name, "PLAINTEXT");
    assert_eq!(config.listeners[0].bind.to_string(), "127.0.0.1:9092");
    assert_eq!(config.listeners[0].advertise.to_string(), "127.0.0.1:9092");
    assert_eq!(config.admin_listen.to_string(), "127.0.0.1:9100");
    assert_eq!(
        config.store,
        StoreConfig::Embedded {
            data_dir: "kop-data".into(),
            durability: Durability::Sync
        }
    );
    assert_eq!((config.node_id, config.default_partitions), (0, 1));
    assert!(config.auto_create_topics);
    assert_eq!(config.groups.initial_rebalance_delay, Duration::ZERO);
}

#[test]
fn listeners_and_what_they_advertise_are_matched_by_name() {
    let config = validated(&[
        "--listen",
        "in://0.0.0.0:9092",
        "--listen",
        "out://0.0.0.0:9094",
        "--advertise",
        "out://kafka.example.com:443",
        "--advertise",
        "in://10.0.0.7:9092",
    ])
    .unwrap();
    let seen: Vec<String> = config
        .listeners
        .iter()
        .map(|l| format!("{} {} {}", l.name, l.bind, l.advertise))
        .collect();
    assert_eq!(
        seen,
        [
            "in 0.0.0.0:9092 10.0.0.7:9092",
            "out 0.0.0.0:9094 kafka.example.com:443"
        ]
    );
}

#[test]
fn an_address_that_nobody_can_dial_is_not_advertised() {
    for args in [
        &["--listen", "0.0.0.0:9092"][..],
        &["--listen", "[::]:9092"],
        &["--listen", "127.0.0.1:9092", "--advertise", "0.0.0.0:9092"],
    ] {
        let error = validated(args).unwrap_err();
        assert!(matches!(error, ConfigError::Unspecified { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("--advertise PLAINTEXT://HOST:PORT"),
            "{error}"
        );
    }
}

#[test]
fn an_advertised_address_without_its_listener_is_refused() {
    let error = validated(&["--advertise", "out://a:1"]).unwrap_err();
    assert_eq!(error, ConfigError::UnknownListener("out".to_owned()));
}

#[test]
fn a_listener_name_is_taken_once() {
    let error = validated(&["--listen", "a:1", "--listen", "b:2"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--listen is given twice for the listener PLAINTEXT"
    );
}

#[test]
fn the_two_stores_exclude_each_other() {
    let pulsar = [
        "--pulsar",
        "pulsar://p:6650",
        "--pulsar-admin",
        "http://p:8080",
    ];
    for more in [
        ["--data-dir", "d"],
        ["--durability", "os"],
        ["--default-retention-ms", "1"],
    ] {
        let error = validated(&[&pulsar[..], &more].concat()).unwrap_err();
        assert_eq!(error, ConfigError::Conflict(more[0], "--pulsar"));
    }
    let error = validated(&["--tenant", "t"]).unwrap_err();
    assert_eq!(error.to_string(), "--tenant needs --pulsar");
}

#[test]
fn pulsar_is_given_by_two_urls() {
    let error = validated(&["--pulsar", "pulsar://p:6650"]).unwrap_err();
    assert_eq!(error.to_string(), "--pulsar needs --pulsar-admin");
    let error =
        validated(&["--pulsar", "http://p", "--pulsar-admin", "http://p:8080"]).unwrap_err();
    assert!(
        matches!(
            error,
            ConfigError::Value {
                setting: "--pulsar",
                ..
            }
        ),
        "{error}"
    );

    let config = validated(&[
        "--pulsar",
        "pulsar://p:6650",
        "--pulsar-admin",
        "http://p:8080",
    ]);
    let StoreConfig::Pulsar(pulsar) = config.unwrap().store else {
        panic!("the embedded store was chosen");
    };
    assert_eq!(
        (
            pulsar.tenant.as_str(),
            pulsar.namespace.as_str(),
            pulsar.metadata_namespace.as_str()
        ),
        ("public", "default", "__kafka")
    );
    assert_eq!(pulsar.entry_format, EntryFormat::Pulsar);
}

#[test]
fn a_flag_is_stronger_than_the_file() {
    let file =
        RawConfig::from_toml("node-id = 4\ndefault-partitions = 8\nlisten = ['a:1']").unwrap();
    let config = flags(&["--node-id", "7"]).or(file).validate().unwrap();
    assert_eq!((config.node_id, config.default_partitions), (7, 8));
    assert_eq!(config.listeners[0].bind.to_string(), "a:1");
}

#[test]
fn an_unknown_key_of_the_file_is_refused_by_name() {
    let error = RawConfig::from_toml("node-id = 1\ndefault-partition = 8")
        .unwrap_err()
        .to_string();
    let expected = "line 2: unknown field `default-partition`, expected one of `listen`";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn what_is_written_is_read_back() {
    let raw = flags(&[
        "--listen",
        "in://0.0.0.0:9092,out://0.0.0.0:9094",
        "--pulsar",
        "pulsar://p:6650",
        "--entry-format",
        "kafka",
        "--auto-create-topics",
        "false",
        "--log-format",
        "json",
    ]);
    let text = raw.to_toml();
    assert_eq!(
        text,
        "listen = [\"in://0.0.0.0:9092\", \"out://0.0.0.0:9094\"]\npulsar = \"pulsar://p:6650\"\n\
         entry-format = \"kafka\"\nauto-create-topics = false\nlog-format = \"json\"\n"
    );
    assert_eq!(RawConfig::from_toml(&text).unwrap(), raw);
}

#[test]
fn numbers_out_of_range_are_refused() {
    for args in [
        ["--default-partitions", "0"],
        ["--node-id", "-1"],
        ["--max-request-bytes", "10"],
        ["--max-memory-bytes", "2000"],
        ["--max-connections", "0"],
        ["--group-min-session-timeout-ms", "0"],
        ["--group-max-session-timeout-ms", "5999"],
        ["--group-max-size", "0"],
        ["--offsets-retention-minutes", "0"],
        ["--offsets-retention-check-interval-ms", "99"],
        ["--offset-metadata-max-bytes", "32768"],
        ["--metrics-max-offsets", "1000001"],
        ["--max-connections-per-ip", "0"],
        ["--max-requests-in-flight", "0"],
        ["--connection-stall-ms", "1"],
        ["--worker-threads", "0"],
    ] {
        let joined = format!("{}={}", args[0], args[1]);
        let error = validated(&[&joined]).unwrap_err();
        assert!(matches!(error, ConfigError::Value { setting, .. } if setting == args[0]));
    }
}

const PULSAR: [&str; 4] = ["--pulsar", "pulsar://p", "--pulsar-admin", "http://p"];

fn on_pulsar(more: &[&str]) -> Result<Config, ConfigError> {
    validated(&[&PULSAR[..], more].concat())
}

#[test]
fn tokens_of_an_issuer_need_its_url_and_credentials() {
    let given = [
        "--pulsar-oauth2-issuer=https://issuer.example.com/realms/p",
        "--pulsar-oauth2-credentials-file=c.json",
        "--pulsar-oauth2-audience=urn:p",
        "--pulsar-oauth2-scope=a b",
    ];
    let StoreConfig::Pulsar(pulsar) = on_pulsar(&given).unwrap().store else {
        panic!("on Pulsar")
    };
    let expected = PulsarAuthentication::OAuth2(Box::new(OAuth2Config {
        issuer_url: "https://issuer.example.com/realms/p".to_owned(),
        credentials_file: PathBuf::from("c.json"),
        audience: Some("urn:p".to_owned()),
        scope: Some("a b".to_owned()),
    }));
    assert_eq!(pulsar.authentication, Some(expected));

    let told = |more: &[&str]| on_pulsar(more).unwrap_err().to_string();
    let lacking = "--pulsar-oauth2-issuer needs --pulsar-oauth2-credentials-file";
    assert_eq!(told(&given[..1]), lacking);
    for (number, setting) in [(1, "credentials-file"), (2, "audience"), (3, "scope")] {
        assert_eq!(
            told(&given[number..=number]),
            format!("--pulsar-oauth2-{setting} needs --pulsar-oauth2-issuer")
        );
    }
    let both = [&given[..2], &["--pulsar-token-file=t"]].concat();
    assert_eq!(
        told(&both),
        "--pulsar-token-file and --pulsar-oauth2-issuer exclude each other"
    );
    assert_eq!(
        validated(&given[..2]).unwrap_err().to_string(),
        "--pulsar-oauth2-issuer needs --pulsar"
    );
    let empty = [&given[..2], &["--pulsar-oauth2-scope= "]].concat();
    assert!(told(&empty).starts_with("--pulsar-oauth2-scope: ` ` is not a name"));
}

#[test]
fn an_issuer_is_a_url_without_credentials() {
    let with = |url: &str| {
        let issuer = format!("--pulsar-oauth2-issuer={url}");
        on_pulsar(&[&issuer, "--pulsar-oauth2-credentials-file=c.json"])
    };
    assert!(with("http://127.0.0.1:8080").is_ok());
    for url in [
        "issuer.example.com",
        "https://",
        "https:///x",
        "file:///x",
        "https://a?b",
        "https://a#b",
        "https://a b",
    ] {
        assert!(with(url).is_err(), "{url}");
    }
    let told = with("https://me:s3cr3t@a/x").unwrap_err().to_string();
    assert!(
        told.starts_with("--pulsar-oauth2-issuer: `…@a/x` is not https://HOST"),
        "{told}"
    );
}

#[test]
fn groups_follow_kafkas_rules_unless_told_otherwise() {
    let groups = validated(&[]).unwrap().groups;
    let seconds = Duration::from_secs;
    assert_eq!(groups.min_session_timeout, seconds(6));
    assert_eq!(groups.max_session_timeout, seconds(1800));
    assert_eq!(groups.offsets_retention, seconds(7 * 24 * 3600));
    assert_eq!(groups.offsets_retention_check_interval, seconds(600));
    assert_eq!(groups.offset_metadata_bytes, 4096);
    let file = "group-max-size = 3\ngroup-min-session-timeout-ms = 1\noffsets-retention-minutes = 1\n\
                group-max-session-timeout-ms = 2\noffset-metadata-max-bytes = 0\n\
                offsets-retention-check-interval-ms = 100";
    let raw = RawConfig::from_toml(file).unwrap();
    assert_eq!(RawConfig::from_toml(&raw.to_toml()).unwrap(), raw);
    let groups = RawConfig::default().or(raw).validate().unwrap().groups;
    let millis = Duration::from_millis;
    assert_eq!((groups.max_size, groups.offset_metadata_bytes), (3, 0));
    assert_eq!(groups.min_session_timeout, millis(1));
    assert_eq!(groups.max_session_timeout, millis(2));
    assert_eq!(groups.offsets_retention, seconds(60));
    assert_eq!(groups.offsets_retention_check_interval, millis(100));
}

#[test]
fn every_setting_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let documented = std::fs::read_to_string(path).unwrap();
    let command = RawConfig::augment_args(clap::Command::new("kop-gateway"));
    for setting in command.get_arguments().filter_map(clap::Arg::get_long) {
        assert!(
            documented.contains(&format!("`{setting}`")),
            "{setting} is not in {path}"
        );
    }
}
