//! Tokens of an issuer: how it is asked, what brokers are shown, and what is said when it gives none.
use pulsar_client::{
    Authentication, Cause, Client, ClientOptions, CredentialsError, LookupError, OAuth2,
    OAuth2Error, OAuth2Options,
    protocol::{
        Command, ServerError,
        command::{AuthChallenge, ErrorResponse, PartitionedTopicMetadataResponse},
    },
};
use tokio::net::TcpListener;

use crate::{
    fake::{FakeBroker, Wire, soon},
    issuer::{FakeIssuer, SECRET, ok, token},
};

const UNAVAILABLE: &str = "503 Service Unavailable";

fn client(broker: &FakeBroker, authentication: Authentication) -> Client {
    Client::new(ClientOptions {
        authentication: Some(authentication),
        ..broker.options()
    })
}

async fn serve_partitions(wire: &mut Wire) {
    let Command::PartitionMetadata(asked) = wire.command().await else {
        panic!("not asked")
    };
    wire.send(Command::PartitionMetadataResponse(
        PartitionedTopicMetadataResponse {
            partitions: Some(0),
            request_id: asked.request_id,
            ..PartitionedTopicMetadataResponse::default()
        },
    ))
    .await;
}

/// Asks who is there once more; what is answered.
async fn challenge(wire: &mut Wire) -> Vec<u8> {
    wire.send(Command::AuthChallenge(AuthChallenge::default()))
        .await;
    let Command::AuthResponse(answer) = wire.command().await else {
        panic!("no answer")
    };
    let answer = answer.response.expect("credentials");
    assert_eq!(answer.auth_method_name(), "token");
    answer.auth_data().to_vec()
}

/// Why an issuer that is asked so gives no token. No message tells the secret.
async fn refusal(options: OAuth2Options) -> OAuth2Error {
    let authentication = Authentication::OAuth2(OAuth2::new(options));
    let error = soon(authentication.token()).await.expect_err("no token");
    for said in [format!("{error:?} {authentication:?}"), error.to_string()] {
        assert!(!said.contains(SECRET), "{said}");
    }
    match error {
        CredentialsError::OAuth2(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_broker_is_shown_the_issuers_token_and_another_when_it_asks_again() {
    let issuer = FakeIssuer::start(|before| token(&format!("token-{before}"))).await;
    let broker = FakeBroker::start().await;
    let authentication = issuer.authentication();
    let client = client(&broker, authentication.clone());
    let topic = "persistent://a/b/c";
    let (partitions, mut wire) = tokio::join!(client.partitions(topic), async {
        let mut wire = broker.accept_raw().await;
        let connect = wire.greet(1000).await;
        assert_eq!(connect.auth_method_name(), "token");
        assert_eq!(connect.auth_data(), b"token-0");
        serve_partitions(&mut wire).await;
        wire
    });
    partitions.unwrap();
    assert_eq!(challenge(&mut wire).await, b"token-1");
    assert_eq!(challenge(&mut wire).await, b"token-2");
    assert_eq!(soon(authentication.token()).await.unwrap(), "token-2");

    let requests = issuer.requests();
    assert_eq!(requests.len(), 4, "metadata once: {requests:?}");
    assert!(requests[1].starts_with("POST /token?v=2 HTTP/1.1\r\n"));
    let head = requests[1].to_ascii_lowercase();
    assert!(head.contains("content-type: application/x-www-form-urlencoded\r\n"));
    let body = "grant_type=client_credentials&client_id=kop&client_secret=s3cr3t%2B%2F%3D\
                &audience=urn%3Apulsar%20a%26b";
    assert!(requests[1].ends_with(&format!("\r\n\r\n{body}")));
}

#[tokio::test]
async fn a_challenge_is_answered_though_the_issuer_fails_for_a_moment() {
    let issuer = FakeIssuer::start(|before| match before {
        1 => (UNAVAILABLE, String::new(), String::new()),
        _ => token(&format!("token-{before}")),
    })
    .await;
    let broker = FakeBroker::start().await;
    let client = client(&broker, issuer.authentication());
    let (partitions, mut wire) = tokio::join!(client.partitions("persistent://a/b/c"), async {
        let mut wire = broker.accept_raw().await;
        wire.greet(1000).await;
        serve_partitions(&mut wire).await;
        wire
    });
    partitions.unwrap();
    // One answer to both.
    wire.send(Command::AuthChallenge(AuthChallenge::default()))
        .await;
    assert_eq!(challenge(&mut wire).await, b"token-2");
    let (partitions, ()) = tokio::join!(
        client.partitions("persistent://a/b/c"),
        serve_partitions(&mut wire)
    );
    partitions.unwrap();
    // The endpoint is looked up anew after a failure.
    let metadata = |request: &&String| request.starts_with("GET");
    assert_eq!(issuer.requests().iter().filter(metadata).count(), 2);
}

#[tokio::test]
async fn no_connection_is_made_without_a_token() {
    let issuer = FakeIssuer::start(|_| (UNAVAILABLE, String::new(), "<html>".to_owned())).await;
    let broker = FakeBroker::start().await;
    let client = client(&broker, issuer.authentication());
    let error = soon(client.partitions("persistent://a/b/c")).await;
    assert!(
        matches!(error, Err(LookupError::Unavailable(Cause::Credentials(_)))),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_broker_that_does_not_believe_the_token_is_told_as_such() {
    let issuer = FakeIssuer::start(|_| token("unknown")).await;
    let broker = FakeBroker::start().await;
    let client = client(&broker, issuer.authentication());
    let (refused, ()) = tokio::join!(client.partitions("persistent://a/b/c"), async {
        let mut wire = broker.accept_raw().await;
        wire.command().await;
        wire.send(Command::Error(ErrorResponse {
            request_id: u64::MAX,
            error: ServerError::Authentication.into(),
            message: "who are you".to_owned(),
        }))
        .await;
    });
    assert!(
        matches!(refused, Err(LookupError::Unauthorized(_))),
        "{refused:?}"
    );
    assert_eq!(issuer.requests().len(), 2, "not asked again at once");
}

#[tokio::test]
async fn an_issuer_that_knows_no_such_client_is_quoted_without_the_secret() {
    let issuer = FakeIssuer::start(|_| {
        let body = format!(
            r#"{{"error": "invalid_client", "error_description": "kop with {SECRET} is unknown"}}"#
        );
        ("401 Unauthorized", String::new(), body)
    })
    .await;
    let options = issuer.options();
    let file = options.credentials_file.display().to_string();
    let said = refusal(options).await.to_string();
    for part in [
        "/token?v=2: invalid_client: kop with … is unknown (status 401)",
        &format!("look at client_id and client_secret in {file}"),
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn answers_that_are_none_of_an_issuer_are_told() {
    let endless = "x".repeat(300 * 1024);
    for (body, problem) in [
        ("<html>", "what is no JSON"),
        ("{}", "holds no access_token"),
        (&endless, "more than 262144 bytes"),
    ] {
        let body = body.to_owned();
        let issuer = FakeIssuer::start(move |_| ok(body.clone())).await;
        let said = refusal(issuer.options()).await.to_string();
        assert!(
            said.contains("not understood") && said.contains(problem),
            "{said}"
        );
    }
    for (metadata, problem) in [
        (ok("{}"), "names no token_endpoint"),
        (
            ok(r#"{"token_endpoint": "/token"}"#),
            "names no token_endpoint",
        ),
        (ok(r#"{"token_endpoint": "file:///x"}"#), "is not https"),
        (ok(endless), "more than 262144 bytes"),
        (
            ("404 Not Found", String::new(), String::new()),
            "is the issuer's URL the right one?",
        ),
        (
            (
                "302 Found",
                "Location: http://127.0.0.1:1/\r\n".to_owned(),
                String::new(),
            ),
            "status 302",
        ),
    ] {
        let issuer = FakeIssuer::of_metadata(false, metadata).await;
        let said = refusal(issuer.options()).await.to_string();
        assert!(
            said.contains("not understood") && said.contains(problem),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_secret_is_not_sent_where_a_token_endpoint_redirects_to() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("Location: http://{}/\r\n", elsewhere.local_addr().unwrap());
    let issuer =
        FakeIssuer::start(move |_| ("307 Temporary Redirect", location.clone(), String::new()))
            .await;
    let error = refusal(issuer.options()).await;
    assert!(matches!(error, OAuth2Error::Malformed { .. }), "{error:?}");
    let nobody = std::future::poll_fn(|context| elsewhere.poll_accept(context).map(drop));
    assert!(futures::poll!(std::pin::pin!(nobody)).is_pending());
}

#[tokio::test]
async fn an_issuer_over_tls_is_trusted_by_the_authorities_given() {
    let issuer = FakeIssuer::start_tls(|_| token("over-tls")).await;
    let token = soon(issuer.authentication().token()).await;
    assert_eq!(token.unwrap(), "over-tls");

    for (file, problem) in [
        ("other-ca.pem", "UnknownIssuer"),
        ("missing.pem", "TLS cannot be used"),
    ] {
        let mut options = issuer.options();
        options.ca_file = options.ca_file.map(|path| path.with_file_name(file));
        let said = refusal(options).await.to_string();
        assert!(
            said.contains("not reached") && said.contains(problem),
            "{said}"
        );
    }
}

#[tokio::test]
async fn an_issuer_over_tls_cannot_send_us_where_there_is_none() {
    let endpoint = ok(r#"{"token_endpoint": "http://127.0.0.1:1/token"}"#);
    let issuer = FakeIssuer::of_metadata(true, endpoint).await;
    let said = refusal(issuer.options()).await.to_string();
    assert!(said.contains("its token_endpoint is not https"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_issuer_is_given_up() {
    let issuer = FakeIssuer::start(|_| token("never")).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = OAuth2Options {
        issuer_url: format!("http://{}", silent.local_addr().unwrap()),
        ..issuer.options()
    };
    let said = refusal(options).await.to_string();
    assert!(said.ends_with("no token within 10 s"), "{said}");
}

#[tokio::test]
async fn an_issuer_that_is_not_there_or_no_url_is_told() {
    let issuer = FakeIssuer::start(|_| token("never")).await;
    for (url, problem) in [
        ("http://127.0.0.1:1", "Connection refused"),
        ("127.0.0.1:1", "its URL"),
        ("https://kop:s3cr3t+/=@127.0.0.1:1", "its URL"),
    ] {
        let options = OAuth2Options {
            issuer_url: url.to_owned(),
            ..issuer.options()
        };
        let said = refusal(options.clone()).await;
        assert!(said.to_string().contains(problem), "{said}");
    }
}
