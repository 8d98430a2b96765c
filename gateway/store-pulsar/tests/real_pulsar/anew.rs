//! Topics that others make, and delete: one made with Pulsar's tools has no id; deleted and made anew it begins
//! at 0 all the same. Of one that says how many partitions it has, these may yet have to be made.
use super::*;

/// Makes the topic or deletes it, as `pulsar-admin` does.
async fn admin(method: reqwest::Method, name: &TopicName, query: &str) {
    ask(method, &format!("{name}/partitions{query}")).await;
}

async fn ask(method: reqwest::Method, what: &str) {
    let admin = environment("KOP_TEST_PULSAR_ADMIN");
    let url = format!("{admin}/admin/v2/persistent/public/default/{what}");
    let request = reqwest::Client::new().request(method, url);
    let request = request.header("content-type", "application/json").body("1");
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_topic_that_was_deleted_and_made_anew_is_not_the_old_one() {
    let store = store(&options(EntryFormat::Kafka)).await;
    let name = TopicName::new(&format!("native-{}", Uuid::new_v4())).unwrap();
    admin(reqwest::Method::PUT, &name, "").await;
    let partition = open(&store, &name).await;
    for n in 0..100 {
        let appended = partition.append(batch(&["old"])).await.unwrap();
        assert_eq!(appended.base_offset, Offset(n));
    }
    admin(reqwest::Method::DELETE, &name, "?force=true").await;
    admin(reqwest::Method::PUT, &name, "").await;

    let anew = async {
        loop {
            // What a gateway does: a handle that is over is opened anew.
            let id = PartitionId {
                topic: name.clone(),
                index: 0,
            };
            let Ok(partition) = store.open(&id).await else {
                tokio::task::yield_now().await;
                continue;
            };
            if let Ok(appended) = partition.append(batch(&["new"])).await {
                return (partition, appended.base_offset);
            }
            tokio::task::yield_now().await;
        }
    };
    let (partition, base) = timeout(DEADLINE, anew).await.expect("noticed");
    assert_eq!(base, Offset(0));
    assert_eq!(partition.watermarks().high, Offset(1));
    assert_eq!(values(&partition, 0).await, [(0, "new".to_owned())]);
    assert!(matches!(
        partition.read(Offset(50), PLENTY).await,
        Err(ReadError::OutOfRange { .. })
    ));
    assert_eq!(store.metrics().offset_mismatches, 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_only_announced_is_made_when_it_is_opened() {
    let store = store(&options(EntryFormat::Kafka)).await;
    let name = TopicName::new(&format!("announced-{}", Uuid::new_v4())).unwrap();
    admin(reqwest::Method::PUT, &name, "").await;
    let partition = format!("{name}-partition-0");
    ask(reqwest::Method::DELETE, &format!("{partition}?force=true")).await;
    let stats = admin_url(&name, "internalStats");
    let answer = reqwest::get(&stats).await.unwrap();
    assert_eq!(answer.status(), reqwest::StatusCode::NOT_FOUND);

    let partition = open(&store, &name).await;
    assert_eq!(partition.watermarks().high, Offset(0));
    let appended = partition.append(batch(&["first"])).await.unwrap();
    assert_eq!(appended.base_offset, Offset(0));
    assert_eq!(values(&partition, 0).await, [(0, "first".to_owned())]);
    let answer = reqwest::get(&stats).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    store.close().await;
}
