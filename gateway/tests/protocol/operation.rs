use kop_wire::kafka_protocol::messages::{FetchRequest, MetadataRequest};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::client::{Client, Gateway, batch, fetch, in_time, text, values};

async fn get(gateway: &Gateway, path: &str) -> (u16, String) {
    let mut stream = in_time(TcpStream::connect(gateway.running.admin()))
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    in_time(stream.write_all(request.as_bytes())).await.unwrap();
    let mut response = String::new();
    in_time(stream.read_to_string(&mut response)).await.unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

/// Bytes that the gateway has received from Kafka clients.
async fn received(gateway: &Gateway) -> String {
    let (_, metrics) = get(gateway, "/metrics").await;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("kop_received_bytes_total"));
    line.unwrap().to_owned()
}

#[tokio::test]
async fn the_ready_line_names_what_was_bound() {
    let gateway = Gateway::start().await;
    let expected = format!(
        "ready kafka={} admin={} store=embedded",
        gateway.address(),
        gateway.running.admin()
    );
    assert_eq!(gateway.running.ready_line(), expected);
    assert_ne!(gateway.address().port(), 0);
}

#[tokio::test]
async fn the_admin_port_tells_health_and_metrics() {
    let gateway = Gateway::start().await;
    assert_eq!(get(&gateway, "/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&gateway, "/readyz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&gateway, "/").await.0, 404);
    let mut client = gateway.client().await;
    client.fetch(&fetch("nowhere", 0, 0)).await;
    let (status, metrics) = get(&gateway, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "kop_requests_total{api=\"Fetch\",error=\"UnknownTopicOrPartition\"} 1",
        "kop_request_store_seconds_count{api=\"Fetch\"} 1",
        "kop_connections 1",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "no `{line}` in\n{metrics}");
    }
}

#[tokio::test]
async fn stopping_answers_who_waits_and_keeps_everything() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    client.produce("orders", 0, &batch(&["kept"])).await;
    let cluster = client.call(9, &MetadataRequest::default()).await.cluster_id;
    let before = received(&gateway).await;
    let number = client
        .send(12, &fetch("orders", 0, 1).with_max_wait_ms(60_000))
        .await;
    in_time(async { while received(&gateway).await == before {} }).await;
    let address = gateway.address();
    let (directory, response) =
        tokio::join!(gateway.stop(), client.receive::<FetchRequest>(12, number));
    assert_eq!(response.responses[0].partitions[0].error_code, 0);
    client.closed().await;
    assert!(TcpStream::connect(address).await.is_err());

    let gateway = Gateway::on(directory, "").await;
    let mut client = gateway.client().await;
    let data = client.fetch(&fetch("orders", 0, 0)).await;
    assert_eq!(values(&data), [(0, "kept".to_owned())]);
    assert_eq!(
        client.call(9, &MetadataRequest::default()).await.cluster_id,
        cluster
    );
}

#[tokio::test]
async fn each_listener_advertises_its_own_address() {
    let toml = "listen = ['in://127.0.0.1:0', 'out://127.0.0.1:0']\n\
                advertise = ['out://kafka.example.com:9094', 'in://localhost:0']\n\
                admin-listen = '127.0.0.1:0'";
    let raw = kop_config::RawConfig::from_toml(toml).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let data_dir = Some(directory.path().join("data"));
    let config = kop_config::RawConfig { data_dir, ..raw }
        .validate()
        .unwrap();
    let running = in_time(kop_gateway::Running::start(config)).await.unwrap();
    let mut seen = Vec::new();
    for address in running.kafka() {
        let mut client = Client::connect(*address).await;
        let response = client.call(9, &MetadataRequest::default()).await;
        seen.push((response.brokers[0].host.clone(), response.brokers[0].port));
    }
    let bound = i32::from(running.kafka()[0].port());
    assert_eq!(
        seen,
        [
            (text("localhost"), bound),
            (text("kafka.example.com"), 9094)
        ]
    );
    in_time(running.stop()).await;
}

#[tokio::test]
async fn a_port_or_a_directory_that_is_taken_stops_the_start() {
    let gateway = Gateway::start().await;
    let config = |listen: &str, directory: &std::path::Path| {
        kop_config::RawConfig {
            listen: Some(vec![listen.to_owned()]),
            admin_listen: Some("127.0.0.1:0".to_owned()),
            data_dir: Some(directory.to_owned()),
            ..kop_config::RawConfig::default()
        }
        .validate()
        .unwrap()
    };
    let other = tempfile::tempdir().unwrap();
    let taken = gateway.address().to_string();
    let error = kop_gateway::Running::start(config(&taken, other.path()))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {taken}"));
    let in_use = gateway.directory.path().join("data");
    let error = kop_gateway::Running::start(config("127.0.0.1:0", &in_use))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
}
