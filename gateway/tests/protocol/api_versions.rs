use kop_wire::kafka_protocol::{
    messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse},
    protocol::Decodable as _,
};

use crate::client::{Gateway, framed, text};

fn software() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(text("apache-kafka-java"))
        .with_client_software_version(text("4.1.0"))
}

#[tokio::test]
async fn every_version_tells_what_is_served() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    for version in 0..=4 {
        let request = if version >= 3 {
            software()
        } else {
            ApiVersionsRequest::default()
        };
        let response = client.call(version, &request).await;
        assert_eq!(response.error_code, 0, "version {version}");
        let range = |key: ApiKey| {
            let api = response
                .api_keys
                .iter()
                .find(|api| api.api_key == key as i16);
            api.map(|api| (api.min_version, api.max_version))
        };
        // Versions 0 to 2 of Produce are named for librdkafka's sake.
        assert_eq!(range(ApiKey::Produce), Some((0, 13)));
        assert_eq!(range(ApiKey::Fetch), Some((4, 18)));
        assert_eq!(range(ApiKey::JoinGroup), Some((0, 9)));
        assert_eq!(range(ApiKey::SaslHandshake), None);
        assert_eq!(range(ApiKey::AddPartitionsToTxn), None);
    }
}

#[tokio::test]
async fn a_client_that_is_too_new_learns_which_version_to_ask_in() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    // Version 77: key, version, number, and a header nobody here can know.
    client
        .send_frame(&[0, 18, 0, 77, 0, 0, 0, 9, 1, 2, 3])
        .await;
    let mut frame = client.receive_frame().await.unwrap();
    assert_eq!(frame.split_to(4)[..], [0, 0, 0, 9]);
    let response = ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    assert_eq!(response.error_code, 35);
    assert_eq!(response.api_keys[0].max_version, 4);
    // And goes on over the same connection.
    assert_eq!(client.call(4, &software()).await.error_code, 0);
}

#[tokio::test]
async fn software_without_a_name_is_refused() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    let response = client.call(3, &ApiVersionsRequest::default()).await;
    assert_eq!(response.error_code, 42);
}

#[tokio::test]
async fn what_is_not_advertised_closes_the_connection() {
    let gateway = Gateway::start().await;
    for (key, version) in [
        (ApiKey::Produce, 2),
        (ApiKey::SaslHandshake, 0),
        (ApiKey::Vote, 0),
    ] {
        let mut client = gateway.client().await;
        let mut frame = (key as i16).to_be_bytes().to_vec();
        frame.extend(i16::to_be_bytes(version));
        frame.extend([0, 0, 0, 1, 0xff, 0xff]);
        client.send_bytes(&framed(&frame)).await;
        client.closed().await;
    }
}
