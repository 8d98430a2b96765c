//! Records that Pulsar's retention has removed are out of range, and their offsets are not given out again.
use super::*;

/// Has Pulsar remove every ledger of the partition, none of which has a reader.
pub(super) async fn trim_all(name: &TopicName) {
    let http = reqwest::Client::new();
    let none = r#"{"retentionTimeInMinutes": 0, "retentionSizeInMB": 0}"#;
    let url = admin_url(name, "retention").replace("-partition-0/", "/");
    let set = http.post(url).header("content-type", "application/json");
    let set = set.body(none).send().await.unwrap();
    assert!(set.status().is_success(), "{set:?}");
    // Nothing is removed from the ledger that is written to; a topic that is loaded has a new one.
    unload(name).await;
    let emptied = async {
        loop {
            let stats = http.get(admin_url(name, "internalStats")).send();
            let stats: serde_json::Value = stats.await.unwrap().json().await.unwrap();
            if stats
                .get("numberOfEntries")
                .and_then(serde_json::Value::as_u64)
                == Some(0)
            {
                return;
            }
            let trim = http.post(admin_url(name, "trim")).send().await.unwrap();
            assert!(trim.status().is_success(), "{trim:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, emptied).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_go_on_where_they_were_though_all_records_were_trimmed() {
    let options = options(EntryFormat::Kafka);
    let first = store(&options).await;
    let name = new_topic(&first).await;
    let partition = open(&first, &name).await;
    for n in 0..5 {
        let appended = partition.append(batch(&["a", "b", "c"])).await.unwrap();
        assert_eq!(appended.base_offset, Offset(n * 3));
    }
    first.close().await;
    trim_all(&name).await;

    let second = store(&options).await;
    let partition = open(&second, &name).await;
    let marks = partition.watermarks();
    assert_eq!((marks.log_start, marks.high), (Offset(15), Offset(15)));
    assert!(matches!(
        partition.read(Offset(3), PLENTY).await,
        Err(ReadError::OutOfRange { .. })
    ));
    let appended = partition.append(batch(&["next"])).await.unwrap();
    // A new owner may have written a barrier, which has an offset of its own.
    let base = appended.base_offset;
    assert!((15..=16).contains(&base.0), "{base:?}");
    assert_eq!(
        values(&partition, base.0).await,
        [(base.0, "next".to_owned())]
    );
    assert_eq!(second.metrics().offset_mismatches, 0);
    second.close().await;
}
