use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::*;

fn stats(json: &str) -> InternalStats {
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_open_ledgers_entries_are_known_from_the_last_confirmed_one() {
    let stats = stats(
        r#"{"ledgers":[{"ledgerId":3,"entries":10,"size":1},{"ledgerId":7,"entries":0,"size":0}],
            "lastConfirmedEntry":"7:4","properties":{"index":"41"}}"#,
    );
    assert_eq!(stats.ledgers(), [(3, 10), (7, 5)]);
    assert_eq!(
        stats.first(),
        Some(Position {
            ledger: 3,
            entry: 0
        })
    );
    assert_eq!(
        stats.last(),
        Some(Position {
            ledger: 7,
            entry: 4
        })
    );
    assert_eq!(
        stats.before(Position {
            ledger: 7,
            entry: 0
        }),
        Some(Position {
            ledger: 3,
            entry: 9
        })
    );
    assert_eq!(
        stats.before(Position {
            ledger: 3,
            entry: 0
        }),
        None
    );
    assert_eq!(stats.index_on_record(), Some(41));
    let at = |ledger, entry| Position { ledger, entry };
    assert_eq!(stats.behind(at(3, 8)), Some(at(3, 9)));
    assert_eq!(stats.behind(at(3, 9)), Some(at(7, 0)));
    assert_eq!(stats.behind(at(7, 4)), None);
}

#[test]
fn where_an_empty_topic_begins_is_known_from_its_open_ledger() {
    let begins = |json| stats(json).begins();
    let empty = r#"{"ledgers":[{"ledgerId":7,"entries":0}],"lastConfirmedEntry":"7:-1"}"#;
    let (ledger, entry) = (7, 0);
    assert_eq!(begins(empty), Some(Position { ledger, entry }));
    let written = r#"{"ledgers":[{"ledgerId":7,"entries":0}],"lastConfirmedEntry":"7:0"}"#;
    assert_eq!(begins(written), None);
    let rolled = r#"{"ledgers":[{"ledgerId":3,"entries":1},{"ledgerId":7,"entries":0}],
        "lastConfirmedEntry":"7:-1"}"#;
    assert_eq!(begins(rolled), None);
    assert_eq!(begins(r#"{"lastConfirmedEntry":null}"#), None);
}

#[test]
fn markers_and_what_was_aborted_are_hidden() {
    let hidden = |name: &'static str, value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        EntryFacts::from_headers(&headers).unwrap().hidden
    };
    assert!(hidden("x-pulsar-marker-type", "22"));
    assert!(hidden("x-pulsar-txnid-most-bits", "0"));
    assert!(hidden("x-pulsar-txn-aborted", "true"));
    assert!(!hidden("x-pulsar-txn-aborted", "false"));
    assert!(!hidden("x-pulsar-txn-uncommitted", "true"));
}

#[test]
fn a_topic_without_entries_has_neither_first_nor_last() {
    let stats = stats(r#"{"ledgers":[{"ledgerId":5,"entries":0}],"lastConfirmedEntry":"5:-1"}"#);
    assert_eq!((stats.first(), stats.last()), (None, None));
    assert_eq!(stats.index_on_record(), None);
}

#[test]
fn an_entrys_base_is_its_index_less_its_other_messages() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-pulsar-broker-entry-metadata-index", "49"),
        ("x-pulsar-num-batch-message", "5"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    let facts = EntryFacts::from_headers(&headers).unwrap();
    assert_eq!(facts.base(), Some(45));
    assert!(!facts.hidden);
}

#[test]
fn an_entry_with_a_damaged_index_is_refused() {
    let mut headers = HeaderMap::new();
    headers.insert(
        HeaderName::from_static("x-pulsar-broker-entry-metadata-index"),
        HeaderValue::from_static("many"),
    );
    assert!(EntryFacts::from_headers(&headers).is_err());
}

#[test]
fn an_entry_follows_only_the_one_before_it_in_its_ledger() {
    let at = |ledger, entry| Position { ledger, entry };
    assert!(at(3, 5).follows(at(3, 4)));
    assert!(!at(3, 6).follows(at(3, 4)));
    assert!(!at(4, 0).follows(at(3, 4)));
}

#[test]
fn a_refusal_is_told_in_its_own_words_without_the_stack() {
    let body = br#"{"reason":"\n --- An unexpected error ---\n\nMessage: Ledger closed\n\nStacktrace:\n\norg.x"}"#;
    assert_eq!(reason(body), "Ledger closed");
    assert_eq!(
        reason(br#"{"reason":"Namespace not found"}"#),
        "Namespace not found"
    );
}

#[test]
fn a_topic_without_properties_is_understood() {
    let topic: PartitionedTopic =
        serde_json::from_str(r#"{"partitions":2,"deleted":false,"properties":null}"#).unwrap();
    assert_eq!(
        topic,
        PartitionedTopic {
            partitions: 2,
            ..PartitionedTopic::default()
        }
    );
}
