//! `docs/topic-configs.md` says what the code does: its table is made from it. Run with `UPDATE=1` to write
//! it anew.
use kop_store::{
    TopicConfig, TopicDefaults,
    topic_config::{OPTIONS, OptionSpec},
};
use kop_store_embedded::Durability;

const BEGIN: &str = "<!-- made from the code: UPDATE=1 cargo test --lib topic_configs -->\n";
const END: &str = "<!-- end -->";

/// Values that some option has, of every kind.
const PROBES: &[&str] = &[
    "-1",
    "0",
    "1",
    "60000",
    "true",
    "false",
    "0.5",
    "delete",
    "compact",
    "compact,delete",
    "producer",
    "gzip",
    "CreateTime",
    "LogAppendTime",
];

/// What an engine takes of an option: every legal value, some, or none.
fn taken(spec: &OptionSpec, supports: impl Fn(&TopicConfig) -> bool) -> String {
    let config = |value| TopicConfig::of([(spec.name, value)]).ok();
    let values = PROBES.iter().copied().chain([spec.default]);
    let legal: Vec<_> = values.filter(|value| config(value).is_some()).collect();
    let mut taken = legal.clone();
    taken.retain(|value| config(value).is_some_and(|config| supports(&config)));
    if taken.is_empty() {
        "no".to_owned()
    } else if taken.len() == legal.len() && spec.fixed.is_none() {
        "yes".to_owned()
    } else {
        taken.sort_unstable();
        taken.dedup();
        let values: Vec<_> = taken.iter().map(|value| format!("`{value}`")).collect();
        format!("only {}", values.join(", "))
    }
}

fn table() -> String {
    let mut lines = vec![
        "| option | default | embedded store | Pulsar | what it does |".to_owned(),
        "| --- | --- | --- | --- | --- |".to_owned(),
    ];
    let defaults = TopicDefaults::default();
    for spec in OPTIONS {
        let embedded = taken(spec, |config| {
            kop_store_embedded::supports(config, Durability::Sync).is_ok()
        });
        let pulsar = taken(spec, |config| {
            kop_store_pulsar::supports(config, &defaults).is_ok()
        });
        let (name, default, doc) = (spec.name, spec.default, spec.doc);
        lines.push(format!(
            "| `{name}` | `{default}` | {embedded} | {pulsar} | {doc} |"
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[test]
fn the_table_of_topic_configs_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/topic-configs.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let made = format!("{before}{BEGIN}\n{}\n{END}{after}", table());
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(path, &made).unwrap();
    }
    assert_eq!(text, made, "run the test with UPDATE=1");
}
