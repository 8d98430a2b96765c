//! Promises of appending.
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use kop_wire::Offset;

use super::{
    append, batch_at, batch_of, create, fresh_name, fresh_partition, open, read_from, sequenced,
    soon, values,
};
use crate::{AppendError, Appended, Catalog, Partition};

type Pending<'a> = Pin<Box<dyn Future<Output = Result<Appended, AppendError>> + Send + 'a>>;

/// Polls each once, in order, and answers what each came to.
async fn pipelined(appends: Vec<Pending<'_>>) -> Vec<Result<Appended, AppendError>> {
    let mut started = Vec::new();
    for mut append in appends {
        let first = poll_fn(|context| Poll::Ready(append.as_mut().poll(context))).await;
        started.push((append, first));
    }
    let mut answers = Vec::new();
    for (append, first) in started {
        answers.push(match first {
            Poll::Ready(answer) => answer,
            Poll::Pending => soon("append", append).await,
        });
    }
    answers
}

pub(super) async fn offsets_begin_at_zero_and_have_no_gaps<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    let before = partition.watermarks();
    assert_eq!((before.log_start, before.high), (Offset(0), Offset(0)));
    assert_eq!(append(&partition, batch_at(&[1, 2, 3])).await, Offset(0));
    assert_eq!(append(&partition, batch_at(&[4])).await, Offset(3));
    assert_eq!(append(&partition, batch_at(&[5, 6])).await, Offset(4));
    let after = partition.watermarks();
    assert_eq!(
        (after.log_start, after.high),
        (Offset(0), Offset(6)),
        "what is answered is seen"
    );
    assert!(after.last_stable <= after.high);
}

pub(super) async fn appends_keep_the_order_they_were_polled_in<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    let sent: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let appends = sent
        .iter()
        .map(|value| -> Pending<'_> { Box::pin(partition.append(batch_of(value))) });
    let answers = pipelined(appends.collect()).await;
    let offsets: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.expect("the batch is fine").base_offset.0)
        .collect();
    assert_eq!(offsets, (0..200).collect::<Vec<_>>());
    assert_eq!(values(&read_from(&partition, Offset(0)).await), sent);
}

pub(super) async fn an_append_that_began_is_finished<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    drop(partition.append(batch_of("never begun")));
    for n in 0..10 {
        let mut begun = Box::pin(partition.append(batch_of(&n.to_string())));
        poll_fn(|context| Poll::Ready(begun.as_mut().poll(context).is_ready())).await;
        drop(begun);
    }
    assert_eq!(append(&partition, batch_of("last")).await, Offset(10));
}

pub(super) async fn partitions_are_logs_of_their_own<C: Catalog>(catalog: &C) {
    let name = fresh_name();
    create(catalog, &name, 2).await;
    let (a, b) = (open(catalog, &name, 0).await, open(catalog, &name, 1).await);
    append(&a, batch_of("a0")).await;
    append(&a, batch_of("a1")).await;
    assert_eq!(append(&b, batch_of("b0")).await, Offset(0));
    // A second handle is the same log.
    let again = open(catalog, &name, 0).await;
    assert_eq!(append(&again, batch_of("a2")).await, Offset(2));
    assert_eq!(a.watermarks().high, Offset(3));
    assert_eq!(values(&read_from(&a, Offset(0)).await), ["a0", "a1", "a2"]);
    assert_eq!(values(&read_from(&b, Offset(0)).await), ["b0"]);
}

async fn new_producer<C: Catalog>(catalog: &C) -> i64 {
    soon("ids", catalog.allocate_producer_ids(1))
        .await
        .expect("the store is up")
        .start
}

pub(super) async fn a_repeated_batch_is_written_once<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    let id = new_producer(catalog).await;
    append(&partition, batch_of("of another")).await;
    assert_eq!(append(&partition, sequenced(id, 0, 0, 2)).await, Offset(1));
    assert_eq!(append(&partition, sequenced(id, 0, 2, 1)).await, Offset(3));
    for (batch, offset) in [(sequenced(id, 0, 0, 2), 1), (sequenced(id, 0, 2, 1), 3)] {
        let again = soon("append", partition.append(batch))
            .await
            .expect("known");
        assert_eq!((again.base_offset, again.duplicate), (Offset(offset), true));
    }
    assert_eq!(partition.watermarks().high, Offset(4));
}

pub(super) async fn batches_repeated_in_flight_are_written_once<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    let id = new_producer(catalog).await;
    let batches = [
        sequenced(id, 0, 0, 2),
        sequenced(id, 0, 2, 2),
        sequenced(id, 0, 0, 2),
        sequenced(id, 0, 2, 2),
        sequenced(id, 0, 4, 1),
    ];
    let appends = batches
        .into_iter()
        .map(|batch| -> Pending<'_> { Box::pin(partition.append(batch)) });
    let answers = pipelined(appends.collect()).await;
    let found: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.expect("in order"))
        .map(|appended| (appended.base_offset.0, appended.duplicate))
        .collect();
    assert_eq!(
        found,
        [(0, false), (2, false), (0, true), (2, true), (4, false)]
    );
    assert_eq!(read_from(&partition, Offset(0)).await.len(), 5);
}

pub(super) async fn sequences_and_epochs_are_checked<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    let id = new_producer(catalog).await;
    append(&partition, sequenced(id, 3, 0, 1)).await;
    let gap = soon("append", partition.append(sequenced(id, 3, 2, 1))).await;
    assert!(
        matches!(
            gap,
            Err(AppendError::OutOfOrderSequence {
                expected: 1,
                found: 2
            })
        ),
        "{gap:?}"
    );
    let stale = soon("append", partition.append(sequenced(id, 2, 1, 1))).await;
    assert!(
        matches!(
            stale,
            Err(AppendError::StaleProducerEpoch {
                current: 3,
                found: 2
            })
        ),
        "{stale:?}"
    );
    append(&partition, sequenced(id, 4, 0, 1)).await;
    append(&partition, sequenced(id, 4, 1, 1)).await;
    assert_eq!(
        partition.watermarks().high,
        Offset(3),
        "refused batches are not written"
    );
}

pub(super) async fn producers_are_remembered<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    let known = async || -> Vec<(i64, i16, i32)> {
        let known = soon("producers", partition.producers()).await;
        let known = known.expect("the store is up");
        assert!(known.iter().all(|producer| producer.seen_ms > 0));
        known
            .iter()
            .map(|producer| (producer.id, producer.epoch, producer.last_sequence))
            .collect()
    };
    assert_eq!(known().await, []);
    append(&partition, batch_of("not idempotent")).await;
    assert_eq!(known().await, []);
    let ids = soon("allocate_producer_ids", catalog.allocate_producer_ids(2)).await;
    let ids = ids.expect("the store is up");
    let (first, second) = (ids.start, ids.start + 1);
    append(&partition, sequenced(second, 3, 0, 2)).await;
    append(&partition, sequenced(first, 0, 0, 1)).await;
    append(&partition, sequenced(second, 3, 2, 5)).await;
    assert_eq!(known().await, [(first, 0, 0), (second, 3, 6)]);
}
