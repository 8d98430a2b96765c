use bytes::{BufMut as _, BytesMut};
use kop_wire::kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Client, Gateway, batch, fetch, framed, produce};

/// The gateway still serves who behaves.
async fn serves(gateway: &Gateway) {
    let mut client = gateway.client().await;
    assert_eq!(
        client
            .call(0, &ApiVersionsRequest::default())
            .await
            .error_code,
        0
    );
}

#[tokio::test]
async fn bytes_that_are_no_frame_close_the_connection() {
    let gateway = Gateway::with("max-request-bytes = 10000").await;
    let too_large = 10_001_i32.to_be_bytes();
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: kafka\r\n\r\n"[..],
        &[0xff; 16],
        &too_large,
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
        &framed(&[]),
        &framed(&[0, 3]),
        &framed(&[0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff]),
        // A version that is not served, and a first command of Pulsar's protocol.
        &framed(&[0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0xff]),
        &framed(&[0, 0, 0, 4, 8, 2, 18, 0]),
        &i32::MIN.to_be_bytes(),
    ] {
        let mut client = gateway.client().await;
        client.send_bytes(bytes).await;
        client.closed().await;
    }
    serves(&gateway).await;
}

#[tokio::test]
async fn an_array_that_claims_to_be_huge_costs_nothing() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    let mut frame = BytesMut::new();
    // Metadata version 1, number 1, no client id, two thousand million topics.
    frame.put_slice(&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff]);
    frame.put_i32(2_000_000_000);
    client.send_frame(&frame).await;
    client.closed().await;
    serves(&gateway).await;
}

#[tokio::test]
async fn what_was_asked_before_the_garbage_is_answered() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    let number = client
        .send(1, &MetadataRequest::default().with_topics(None))
        .await;
    client.send_bytes(&[0xff; 64]).await;
    client.receive::<MetadataRequest>(1, number).await;
    client.closed().await;
}

#[tokio::test]
async fn a_frame_may_come_byte_by_byte_while_others_are_served() {
    let gateway = Gateway::start().await;
    let mut slow = gateway.client().await;
    let bytes = framed(&[0, 18, 0, 0, 0, 0, 0, 5, 0xff, 0xff]);
    let (last, first) = bytes.split_last().unwrap();
    for byte in first {
        slow.send_bytes(&[*byte]).await;
        serves(&gateway).await;
    }
    slow.send_bytes(&[*last]).await;
    assert_eq!(slow.receive_frame().await.unwrap()[..4], [0, 0, 0, 5]);
}

#[tokio::test]
async fn large_and_small_frames_share_a_stream() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let large = batch(&[&"x".repeat(300_000)]);
    let mut numbers = Vec::new();
    for _ in 0..5 {
        numbers.push(
            client
                .send(9, &produce("orders", 0, large.bytes().clone()))
                .await,
        );
        numbers.push(client.send(0, &ApiVersionsRequest::default()).await);
    }
    for number in numbers {
        let frame = client.receive_frame().await.unwrap();
        assert_eq!(frame[..4], number.to_be_bytes());
    }
    assert_eq!(client.list_offsets(4, "orders", -1).await.offset, 5);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_read_from_no_further() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let large = batch(&[&"x".repeat(500_000)]);
    for _ in 0..4 {
        client.produce("orders", 0, &large).await;
    }
    // Answers of 2 MB each pile up until they are taken, and all of them come in the end.
    let request = fetch("orders", 0, 0);
    let (mut sending, mut numbers) = (client, Vec::new());
    for _ in 0..100 {
        numbers.push(sending.send(12, &request).await);
    }
    for number in numbers {
        let frame = sending.receive_frame().await.unwrap();
        assert_eq!(frame[..4], number.to_be_bytes());
    }
    serves(&gateway).await;
}

#[tokio::test]
async fn connections_above_the_limit_are_turned_away() {
    let gateway = Gateway::with("max-connections = 2").await;
    let (mut first, mut second) = (gateway.client().await, gateway.client().await);
    for client in [&mut first, &mut second] {
        assert_eq!(
            client
                .call(0, &ApiVersionsRequest::default())
                .await
                .error_code,
            0
        );
    }
    let mut third = gateway.client().await;
    third.closed().await;
    drop(first);
    // The place is free as soon as the gateway has seen the client go.
    let served = async {
        loop {
            let mut client = Client::connect(gateway.address()).await;
            client
                .send_frame(&[0, 18, 0, 0, 0, 0, 0, 5, 0xff, 0xff])
                .await;
            if client.receive_frame().await.is_some() {
                break;
            }
        }
    };
    crate::client::in_time(served).await;
}

#[tokio::test]
async fn connections_of_one_address_above_its_limit_are_turned_away() {
    let gateway = Gateway::with("max-connections-per-ip = 1").await;
    let mut first = gateway.client().await;
    first.call(0, &ApiVersionsRequest::default()).await;
    gateway.client().await.closed().await;
    first.call(0, &ApiVersionsRequest::default()).await;
}

#[tokio::test]
async fn half_a_request_is_waited_for_a_while_only() {
    let gateway = Gateway::with("connection-stall-ms = 300").await;
    let half: [&[u8]; 4] = [
        &[0],
        &[0, 0, 0, 100],
        &[0, 0, 0, 100, 0, 18],
        // As much as counts as meant, and no more: the memory for it is taken by then.
        &[&50_000_000_i32.to_be_bytes()[..], &[0; 100_000]].concat(),
    ];
    let mut clients = Vec::new();
    for bytes in half {
        let mut client = gateway.client().await;
        client.send_bytes(bytes).await;
        clients.push(client);
    }
    for mut client in clients {
        client.closed().await;
    }
    serves(&gateway).await;
}

#[tokio::test]
async fn a_byte_now_and_then_is_no_request() {
    let gateway = Gateway::with("connection-stall-ms = 300").await;
    let mut client = gateway.client().await;
    client.send_bytes(&[0, 0, 0x10, 0]).await;
    // Goes on sending for as long as it takes; each byte is a sign of life, and does not help.
    let (mut reader, mut writer) = client.into_split();
    let trickle = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if writer.write_all(&[0]).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let closed = async {
        let mut answer = [0];
        !matches!(reader.read(&mut answer).await, Ok(1..))
    };
    let closed = crate::client::in_time(async {
        tokio::select! {
            closed = closed => closed,
            () = trickle => unreachable!("it never ends"),
        }
    });
    assert!(closed.await, "answered instead of closing");
    serves(&gateway).await;
}

#[tokio::test]
async fn announcing_large_requests_takes_nobody_elses_memory() {
    let gateway = Gateway::with("max-request-bytes = 1000000\nmax-memory-bytes = 1000000").await;
    let mut announcing = Vec::new();
    for _ in 0..20 {
        let mut client = gateway.client().await;
        client.send_bytes(&1_000_000_i32.to_be_bytes()).await;
        announcing.push(client);
    }
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let large = batch(&[&"x".repeat(300_000)]);
    assert_eq!(client.produce("orders", 0, &large).await.error_code, 0);
}

#[tokio::test]
async fn requests_wait_for_memory_and_all_are_served() {
    let gateway = Gateway::with("max-request-bytes = 500000\nmax-memory-bytes = 500000").await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let large = batch(&[&"x".repeat(400_000)]);
    let producing = (0..10).map(|_| async {
        let mut client = gateway.client().await;
        client.produce("orders", 0, &large).await.error_code
    });
    let codes = futures::future::join_all(producing).await;
    assert_eq!(codes, [0; 10]);
    assert_eq!(client.list_offsets(4, "orders", -1).await.offset, 10);
}

#[tokio::test]
async fn who_does_not_take_its_answers_is_cut_off() {
    let gateway = Gateway::with("connection-stall-ms = 500").await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let large = batch(&[&"x".repeat(900_000)]);
    for _ in 0..10 {
        client.produce("orders", 0, &large).await;
    }
    let request = fetch("orders", 0, 0);
    for _ in 0..8 {
        client.send(12, &request).await;
    }
    // The gateway's answers fill all buffers on the way, and then nothing is taken.
    crate::client::in_time(async {
        while gateway.metric("kop_connections_cut_total").await < 1.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // What was on its way can be read, and then comes the end.
    while client.receive_some().await {}
    serves(&gateway).await;
}

#[tokio::test]
async fn only_so_many_requests_of_a_connection_are_taken_at_a_time() {
    let gateway = Gateway::with("max-requests-in-flight = 2").await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let waiting = fetch("orders", 0, 0).with_max_wait_ms(10_000);
    for _ in 0..2 {
        client.send(12, &waiting).await;
    }
    // The third is not read while the others wait for records.
    let third = client.send(0, &ApiVersionsRequest::default()).await;
    let mut other = gateway.client().await;
    assert_eq!(gateway.answered("ApiVersions").await, 0.0);
    other.produce("orders", 0, &batch(&["a"])).await;
    for _ in 0..2 {
        assert!(client.receive_frame().await.is_some());
    }
    assert_eq!(
        client.receive_frame().await.unwrap()[..4],
        third.to_be_bytes()
    );
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let gateway = Gateway::with("connection-idle-ms = 1000").await;
    let mut client = gateway.client().await;
    client.closed().await;
}
