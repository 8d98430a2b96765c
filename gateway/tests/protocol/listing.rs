use kop_wire::{BatchBuilder, Compression};

use crate::client::{Client, Gateway, record};

/// Three batches whose timestamps are not in order.
async fn filled(gateway: &Gateway) -> Client {
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    for times in [&[100, 300][..], &[200, 250], &[500, 400, 500]] {
        let mut builder = BatchBuilder::new(Compression::None);
        for time in times {
            builder.push(record("x", *time));
        }
        let appended = client.produce("orders", 0, &builder.build().unwrap()).await;
        assert_eq!(appended.error_code, 0);
    }
    client
}

#[tokio::test]
async fn the_ends_of_a_log_are_told_in_every_version() {
    let gateway = Gateway::start().await;
    let mut client = filled(&gateway).await;
    for version in 1..=10 {
        let latest = client.list_offsets(version, "orders", -1).await;
        assert_eq!(
            (latest.error_code, latest.offset, latest.timestamp),
            (0, 7, -1)
        );
        let earliest = client.list_offsets(version, "orders", -2).await;
        assert_eq!(
            (earliest.error_code, earliest.offset, earliest.timestamp),
            (0, 0, -1)
        );
    }
}

#[tokio::test]
async fn a_time_is_the_first_record_of_that_time_or_later() {
    let gateway = Gateway::start().await;
    let mut client = filled(&gateway).await;
    for (time, offset, timestamp) in [
        (0, 0, 100),
        (100, 0, 100),
        (101, 1, 300),
        (260, 1, 300),
        (301, 4, 500),
        (500, 4, 500),
        (501, -1, -1),
    ] {
        let found = client.list_offsets(7, "orders", time).await;
        assert_eq!(
            (found.offset, found.timestamp),
            (offset, timestamp),
            "time {time}"
        );
    }
}

#[tokio::test]
async fn the_newest_timestamp_is_found_wherever_it_stands() {
    let gateway = Gateway::start().await;
    let mut client = filled(&gateway).await;
    let newest = client.list_offsets(7, "orders", -3).await;
    assert_eq!(
        (newest.error_code, newest.offset, newest.timestamp),
        (0, 4, 500)
    );
    // Clocks may be ahead.
    let far = 99_999_999_999_999;
    let mut builder = BatchBuilder::new(Compression::None);
    builder
        .push(record("from the future", far))
        .push(record("y", 7));
    client.produce("orders", 0, &builder.build().unwrap()).await;
    let newest = client.list_offsets(7, "orders", -3).await;
    assert_eq!((newest.offset, newest.timestamp), (7, far));
    client.create("empty", 1).await;
    let newest = client.list_offsets(7, "empty", -3).await;
    assert_eq!(
        (newest.error_code, newest.offset, newest.timestamp),
        (0, -1, -1)
    );
}

#[tokio::test]
async fn nothing_is_tiered() {
    let gateway = Gateway::start().await;
    let mut client = filled(&gateway).await;
    assert_eq!(client.list_offsets(8, "orders", -4).await.offset, 0);
    let tiered = client.list_offsets(9, "orders", -5).await;
    assert_eq!((tiered.error_code, tiered.offset), (0, -1));
    for (version, time) in [(6, -3), (7, -4), (8, -5), (10, -7)] {
        let refused = client.list_offsets(version, "orders", time).await;
        assert_eq!((refused.error_code, refused.offset), (35, -1));
    }
}

#[tokio::test]
async fn logs_that_are_not_there_have_no_offsets() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    let refused = client.list_offsets(6, "orders", -1).await;
    assert_eq!((refused.error_code, refused.offset), (3, -1));
}
