use kop_store::{Partition as _, TopicClass};
use tokio::{sync::mpsc, time::advance};

use super::*;
use crate::{
    PulsarPartition,
    append::{History, Writer},
    log::tests::{batch, log, nothing_from, with_appends},
    usage::Held,
};

fn put(log: &Arc<Log>) -> Slot {
    let slot = log.shared.slot(&log.topic);
    slot.set(Arc::clone(log)).expect("it is a new slot");
    slot
}

#[tokio::test(start_paused = true)]
async fn an_unused_partition_leaves_and_the_next_who_asks_opens_it_anew() {
    let (appends, inbox) = mpsc::unbounded_channel();
    let log = Arc::new(with_appends(TopicClass::UserData, 7, appends));
    let shared = Arc::clone(&log.shared);
    let past = (History::new(false), false);
    let writer = Writer::new(Arc::clone(&log), inbox, None, nothing_from(7), past);
    let writer = tokio::spawn(writer.run(log.life()));
    let slot = put(&log);
    let weak = {
        let held = Held::of(&log).expect("it is open");
        PulsarPartition::new(held).downgrade()
    };
    advance(PulsarOptions::UNUSED_OPEN / 2).await;
    shared.close_unused();
    assert!(weak.upgrade().is_some(), "it is used");
    assert_eq!(shared.open_logs().len(), 1);
    advance(PulsarOptions::UNUSED_OPEN / 2).await;
    shared.close_unused();
    assert!(weak.upgrade().is_some(), "it was used half a minute ago");

    advance(PulsarOptions::UNUSED_OPEN).await;
    shared.close_unused();
    assert!(weak.upgrade().is_none() && weak.is_over());
    assert_eq!(weak.end().map(|end| end.0), Some(7), "where it was");
    assert_eq!(shared.metrics.snapshot().partitions_unused, 1);
    assert!(shared.open_logs().is_empty());
    assert!(!Arc::ptr_eq(&slot, &shared.slot(&log.topic)), "a new one");
    log.ended().await;
    writer.await.expect("the writer has ended");
    drop((slot, log));
    assert_eq!(weak.end(), None, "nothing is left of it");
}

#[tokio::test(start_paused = true)]
async fn an_append_keeps_its_partition_open_when_whoever_asked_has_gone() {
    let (appends, mut inbox) = mpsc::unbounded_channel();
    let log = Arc::new(with_appends(TopicClass::UserData, 0, appends));
    let shared = Arc::clone(&log.shared);
    let _slot = put(&log);
    let partition = PulsarPartition::new(Held::of(&log).expect("it is open"));
    let mut append = Box::pin(partition.append(batch(&["a"])));
    assert!(futures::poll!(&mut append).is_pending());
    drop(append);
    drop(partition);
    advance(PulsarOptions::UNUSED_OPEN * 2).await;
    shared.close_unused();
    assert!(!log.is_over(), "an append is on its way");
    drop(inbox.recv().await.expect("the append"));
    advance(PulsarOptions::UNUSED_OPEN).await;
    shared.close_unused();
    assert!(log.is_over());
}

#[tokio::test(start_paused = true)]
async fn what_was_never_opened_and_what_has_ended_is_forgotten() {
    let log = Arc::new(log(TopicClass::UserData, 0));
    let shared = Arc::clone(&log.shared);
    let opening = shared.slot(&log.topic);
    shared.close_unused();
    assert!(
        Arc::ptr_eq(&opening, &shared.slot(&log.topic)),
        "being opened"
    );
    drop(opening);
    shared.close_unused();
    assert!(shared.logs().is_empty());
    let _slot = put(&log);
    log.end(crate::log::Life::Lost);
    shared.close_unused();
    assert!(shared.logs().is_empty());
    assert_eq!(shared.metrics.snapshot().partitions_unused, 0);
}

#[test]
fn a_partition_was_owned_before_until_another_one_has_its_name() {
    let naming = Naming::new("public", "default", "__kafka");
    let topic = naming.topic(&kop_wire::TopicName::new("t").expect("legal"));
    let [one, other] = [0, 1].map(|index| topic.partition(Some(index)));
    let owned = OwnedBefore::default();
    assert!(!owned.has(&one));
    owned.note(&one);
    assert!(owned.has(&one) && !owned.has(&other));
    owned.forget(&one);
    assert!(!owned.has(&one));
}
