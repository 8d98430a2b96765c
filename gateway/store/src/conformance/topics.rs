//! Promises of the catalog.
use kop_wire::Offset;

use super::{
    PLENTY, append, batch_of, create, fresh_name, fresh_partition, open, read_from, soon, values,
};
use crate::{
    AppendError, Catalog, CreateError, DeleteError, GrowError, NewTopic, OpenError, Partition,
    PartitionId, ReadError, Topic, TopicConfig,
};

pub(super) async fn topics_come_and_go<C: Catalog>(catalog: &C) {
    let name = fresh_name();
    let find = || async {
        soon("find", catalog.find(&name))
            .await
            .expect("the store is up")
    };
    let list = || async { soon("list", catalog.list()).await.expect("the store is up") };

    assert_eq!(find().await, None);
    let created = create(catalog, &name, 3).await;
    assert_eq!((&created.name, created.partitions), (&name, 3));
    assert!(!created.id.is_nil());
    assert_eq!(find().await, Some(created.clone()));
    let all = list().await;
    assert!(all.contains(&created));
    assert!(
        all.is_sorted_by(|a, b| a.name < b.name),
        "ordered by name, each name once"
    );

    let again = NewTopic {
        name: name.clone(),
        partitions: 1,
        config: TopicConfig::new(),
    };
    let again = soon("create", catalog.create(again)).await;
    assert!(matches!(again, Err(CreateError::Exists(_))), "{again:?}");

    soon("delete", catalog.delete(&name))
        .await
        .expect("the topic exists");
    assert_eq!(find().await, None);
    assert!(!list().await.contains(&created));
    let gone = soon("delete", catalog.delete(&name)).await;
    assert!(matches!(gone, Err(DeleteError::Unknown(_))), "{gone:?}");
}

pub(super) async fn what_does_not_exist_does_not_open<C: Catalog>(catalog: &C) {
    let name = fresh_name();
    let open = |index| {
        let id = PartitionId {
            topic: name.clone(),
            index,
        };
        async move { soon("open", catalog.open(&id)).await.err() }
    };
    assert!(matches!(open(0).await, Some(OpenError::Unknown)));
    create(catalog, &name, 2).await;
    assert!(open(1).await.is_none());
    assert!(matches!(open(2).await, Some(OpenError::Unknown)));
    assert!(matches!(open(-1).await, Some(OpenError::Unknown)));
}

pub(super) async fn a_deleted_topic_is_gone_for_those_who_opened_it<C: Catalog>(catalog: &C) {
    let name = fresh_name();
    let before = create(catalog, &name, 1).await;
    let partition = open(catalog, &name, 0).await;
    append(&partition, batch_of("old")).await;
    soon("delete", catalog.delete(&name))
        .await
        .expect("the topic exists");

    let read = soon("read", partition.read(Offset(0), PLENTY)).await;
    assert!(matches!(read, Err(ReadError::Deleted)), "{read:?}");
    let appended = soon("append", partition.append(batch_of("too late"))).await;
    assert!(
        matches!(appended, Err(AppendError::Deleted)),
        "{appended:?}"
    );

    let after = create(catalog, &name, 1).await;
    assert_ne!(before.id, after.id, "a topic made anew is another topic");
    let partition = open(catalog, &name, 0).await;
    assert_eq!(append(&partition, batch_of("new")).await, Offset(0));
    assert_eq!(values(&read_from(&partition, Offset(0)).await), ["new"]);
}

pub(super) async fn a_topic_grows_and_keeps_what_it_has<C: Catalog>(catalog: &C) {
    let name = fresh_name();
    let grow = |partitions| {
        let name = &name;
        async move { soon("grow", catalog.grow(name, partitions)).await }
    };
    let missing = grow(2).await;
    assert!(matches!(missing, Err(GrowError::Unknown(_))), "{missing:?}");

    let before = create(catalog, &name, 2).await;
    let old = open(catalog, &name, 1).await;
    append(&old, batch_of("before")).await;
    let grown = grow(4).await.expect("the topic has 2 partitions");
    let expected = Topic {
        partitions: 4,
        ..before
    };
    assert_eq!(grown, expected, "the same topic, with more partitions");
    let found = soon("find", catalog.find(&name)).await;
    assert_eq!(found.expect("the store is up"), Some(expected));

    assert_eq!(append(&old, batch_of("after")).await, Offset(1));
    assert_eq!(
        values(&read_from(&old, Offset(0)).await),
        ["before", "after"]
    );
    let new = open(catalog, &name, 3).await;
    assert_eq!(append(&new, batch_of("new")).await, Offset(0));
    assert_eq!(values(&read_from(&new, Offset(0)).await), ["new"]);

    for not_more in [0, 3, 4] {
        let refused = grow(not_more).await;
        assert!(
            matches!(refused, Err(GrowError::NotMore { partitions: 4 })),
            "{refused:?}"
        );
    }
    soon("delete", catalog.delete(&name))
        .await
        .expect("the topic exists");
    let read = soon("read", new.read(Offset(0), PLENTY)).await;
    assert!(matches!(read, Err(ReadError::Deleted)), "{read:?}");
}

pub(super) async fn deletion_wakes_those_who_wait<C: Catalog>(catalog: &C) {
    let name = fresh_name();
    create(catalog, &name, 1).await;
    let partition = open(catalog, &name, 0).await;
    let waiting = partition.advanced(Offset(0));
    let (deleted, ()) = soon("waiting", async {
        tokio::join!(catalog.delete(&name), waiting)
    })
    .await;
    deleted.expect("the topic exists");
}

pub(super) async fn producer_ids_are_given_once<C: Catalog>(catalog: &C) {
    // Partitions have nothing to do with it; opening one must not matter.
    let _partition = fresh_partition(catalog).await;
    let (a, b) = soon("ids", async {
        tokio::join!(
            catalog.allocate_producer_ids(10),
            catalog.allocate_producer_ids(5)
        )
    })
    .await;
    let (a, b) = (a.expect("the store is up"), b.expect("the store is up"));
    let c = soon("ids", catalog.allocate_producer_ids(1))
        .await
        .expect("the store is up");
    assert_eq!(
        (a.clone().count(), b.clone().count(), c.clone().count()),
        (10, 5, 1)
    );
    assert!(a.start >= 0 && b.start >= 0 && c.start >= 0);
    let all: std::collections::BTreeSet<_> = a.chain(b).chain(c).collect();
    assert_eq!(all.len(), 16, "no id is given twice");
}
