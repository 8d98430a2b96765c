//! What `/metrics` prints is what `docs/metrics.md` says, and it is right.
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kop_wire::kafka_protocol::messages::{
    GroupId, JoinGroupRequest, OffsetCommitRequest, SyncGroupRequest,
    join_group_request::JoinGroupRequestProtocol,
    offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::client::{Client, Gateway, batch, fetch, in_time, text};

fn group(name: &str) -> GroupId {
    text(name).into()
}

/// Becomes the one member of a group, and commits an offset for partition 0 of a topic.
async fn join_and_commit(client: &mut Client, name: &str, topic: &str, offset: i64) {
    let range = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::new());
    let join = JoinGroupRequest::default()
        .with_group_id(group(name))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![range]);
    let joined = client.call(3, &join).await;
    let sync = SyncGroupRequest::default()
        .with_group_id(group(name))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone());
    assert_eq!(client.call(3, &sync).await.error_code, 0);
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(text(topic).into())
        .with_partitions(vec![partition]);
    let commit = OffsetCommitRequest::default()
        .with_group_id(group(name))
        .with_generation_id_or_member_epoch(joined.generation_id)
        .with_member_id(joined.member_id)
        .with_topics(vec![topic]);
    let committed = client.call(7, &commit).await;
    assert_eq!(committed.topics[0].partitions[0].error_code, 0);
}

/// Type, labels and meaning of a metric.
type Row = (String, BTreeSet<String>, String);

fn documented() -> BTreeMap<String, Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let document = std::fs::read_to_string(path).unwrap();
    // A unit test of the gateway compares what Pulsar's engine counts.
    let (here, _) = document.split_once("\n## Pulsar").unwrap();
    let rows = here.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once("` | ").unwrap();
        let cells: Vec<&str> = rest.split('|').map(str::trim).collect();
        let [kind, labels, help, ""] = cells[..] else {
            panic!("{row} has not four cells");
        };
        let labels = labels
            .split(", ")
            .map(|label| label.trim().trim_matches('`'));
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
        let help = help.trim_end_matches('.').to_owned();
        (name.to_owned(), (kind.to_owned(), labels.collect(), help))
    })
    .collect()
}

fn printed(text: &str) -> BTreeMap<String, Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut kinds = BTreeMap::new();
    let mut helps = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            helps.insert(name.to_owned(), help.trim_end_matches('.').to_owned());
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
        {
            kinds.insert(name.to_owned(), kind.to_owned());
        }
    }
    for (name, kind) in kinds {
        let suffix = match kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let sample = if kind == "histogram" {
            "_bucket"
        } else {
            suffix
        };
        let begins = [format!("{name}{sample}{{"), format!("{name}{sample} ")];
        let line = text
            .lines()
            .find(|line| begins.iter().any(|b| line.starts_with(b)))
            .unwrap_or_else(|| panic!("{name} has no value"));
        let labels = match line.split_once('{') {
            None => BTreeSet::new(),
            Some((_, labels)) => {
                let (labels, _) = labels.split_once('}').unwrap();
                let names = labels
                    .split(',')
                    .map(|label| label.split_once('=').unwrap().0);
                names
                    .filter(|name| *name != "le")
                    .map(str::to_owned)
                    .collect()
            }
        };
        let help = helps.remove(&name).unwrap_or_default();
        rows.insert(format!("{name}{suffix}"), (kind, labels, help));
    }
    rows
}

#[tokio::test]
async fn every_metric_is_documented_and_every_documented_one_is_there() {
    let toml = "max-connections = 1\nmetrics-max-offsets = 1";
    let gateway = Gateway::with(toml).await;
    let mut client = gateway.client().await;
    client.create("t", 1).await;
    client.produce("t", 0, &batch(&["a"])).await;
    client.fetch(&fetch("t", 0, 0)).await;
    join_and_commit(&mut client, "g", "t", 1).await;
    let mut refused = in_time(TcpStream::connect(gateway.address()))
        .await
        .unwrap();
    let read = in_time(refused.read(&mut [0])).await;
    assert!(
        matches!(read, Ok(0) | Err(_)),
        "a second connection is served"
    );
    // The last answer has been read, but may not have been counted as written yet.
    while gateway
        .metric("kop_request_seconds_count{api=\"OffsetCommit\"}")
        .await
        < 1.0
    {}
    let text = gateway.metrics().await;
    let (documented, printed) = (documented(), printed(&text));
    assert!(documented.len() > 30);
    for (name, row) in &printed {
        assert_eq!(documented.get(name), Some(row), "{name} in docs/metrics.md");
    }
    for name in documented.keys() {
        assert!(printed.contains_key(name), "{name} is not printed:\n{text}");
    }
}

#[tokio::test]
async fn lag_is_what_is_missing_to_a_partitions_end() {
    let toml = "metrics-max-offsets = 2";
    let gateway = Gateway::with(toml).await;
    let mut client = gateway.client().await;
    client.create("t", 1).await;
    client.produce("t", 0, &batch(&["a", "b", "c"])).await;
    client.fetch(&fetch("t", 0, 1)).await;
    join_and_commit(&mut client, "behind", "t", 1).await;
    join_and_commit(&mut client, "there", "t", 3).await;
    let of = |name: &str, group: &str| {
        format!("{name}{{group=\"{group}\",topic=\"t\",partition=\"0\"}}")
    };
    assert_eq!(
        gateway.metric(&of("kop_group_lag_records", "behind")).await,
        2.0
    );
    assert_eq!(
        gateway.metric(&of("kop_group_lag_records", "there")).await,
        0.0
    );
    assert_eq!(
        gateway
            .metric(&of("kop_group_committed_offset", "there"))
            .await,
        3.0
    );
    for (name, value) in [
        ("kop_partition_end_offset{topic=\"t\",partition=\"0\"}", 3.0),
        ("kop_groups{state=\"Stable\"}", 2.0),
        ("kop_group_members", 2.0),
        ("kop_group_offsets ", 2.0),
        ("kop_group_offsets_not_listed", 0.0),
        ("kop_group_rebalances_total", 2.0),
        ("kop_group_commits_total", 2.0),
        ("kop_group_shards", 50.0),
        ("kop_produced_records_total", 3.0),
        ("kop_fetched_records_total", 3.0),
    ] {
        assert_eq!(gateway.metric(name).await, value, "{name}");
    }
    // More than may be listed are counted, not listed.
    join_and_commit(&mut client, "third", "t", 0).await;
    assert_eq!(gateway.metric("kop_group_offsets ").await, 3.0);
    assert_eq!(gateway.metric("kop_group_offsets_not_listed").await, 1.0);
    let text = gateway.metrics().await;
    let lags = text
        .lines()
        .filter(|line| line.starts_with("kop_group_lag_records{"));
    assert_eq!(lags.count(), 2);

    // A restarted gateway knows as much before any client has come.
    let gateway = Gateway::on(gateway.stop().await, "").await;
    assert_eq!(
        gateway.metric(&of("kop_group_lag_records", "behind")).await,
        2.0
    );
    assert_eq!(gateway.metric("kop_groups{state=\"Stable\"}").await, 3.0);
    gateway.stop().await;
}

#[tokio::test]
async fn a_requests_time_has_parts() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("t", 1).await;
    // Nobody writes: this waits, and does nothing else for so long.
    client
        .fetch(&fetch("t", 0, 0).with_max_wait_ms(200).with_min_bytes(1))
        .await;
    while gateway
        .metric("kop_request_seconds_count{api=\"Fetch\"}")
        .await
        < 1.0
    {}
    let sum = async |part: &str| {
        gateway
            .metric(&format!("kop_request{part}_seconds_sum{{api=\"Fetch\"}}"))
            .await
    };
    let (whole, wait) = (sum("").await, sum("_wait").await);
    // Its time runs from its arrival, a moment before the wait begins.
    assert!(wait >= 0.19, "it waited {wait} s");
    let parts = sum("_queue").await + wait + sum("_store").await + sum("_write").await;
    assert!(
        (whole - parts).abs() < 0.01,
        "{whole} s, but in parts {parts} s"
    );
    let bytes = gateway
        .metric("kop_response_bytes_total{api=\"Fetch\"}")
        .await;
    assert!(bytes > 20.0);
    let text = gateway.metrics().await;
    assert!(!text.contains("kop_request_wait_seconds_sum{api=\"CreateTopics\"}"));
    gateway.stop().await;
}
