//! An issuer of tokens in the test's hands.
use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use pulsar_client::{Authentication, OAuth2, OAuth2Options};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::fake::acceptor;

pub(crate) const SECRET: &str = "s3cr3t+/=";
const METADATA: &str = "GET /tenant/.well-known/openid-configuration HTTP/1.1";

/// What it answers: status, more header lines, body.
pub(crate) type Answer = (&'static str, String, String);

/// That with this body.
pub(crate) fn ok(body: impl Into<String>) -> Answer {
    ("200 OK", String::new(), body.into())
}

/// A token that is good for an hour.
pub(crate) fn token(text: &str) -> Answer {
    ok(format!(
        r#"{{"access_token": "{text}", "token_type": "Bearer", "expires_in": 3600}}"#
    ))
}

pub(crate) struct FakeIssuer {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    origin: String,
    requests: Arc<Mutex<Vec<String>>>,
    credentials: NamedTempFile,
}

impl FakeIssuer {
    /// Answers each request for a token by `tokens`, which is told how many there were before.
    pub(crate) async fn start(tokens: impl Fn(usize) -> Answer + Send + 'static) -> Self {
        Self::serve(false, None, tokens).await
    }

    /// As [`start`](Self::start), over TLS, with a certificate for 127.0.0.1.
    pub(crate) async fn start_tls(tokens: impl Fn(usize) -> Answer + Send + 'static) -> Self {
        Self::serve(true, None, tokens).await
    }

    /// Answers a request for its metadata so; nobody is to ask it for a token.
    pub(crate) async fn of_metadata(tls: bool, metadata: Answer) -> Self {
        let none = |_| panic!("asked for a token");
        Self::serve(tls, Some(metadata), none).await
    }

    async fn serve(
        tls: bool,
        metadata: Option<Answer>,
        tokens: impl Fn(usize) -> Answer + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let origin = format!("{}://{address}", if tls { "https" } else { "http" });
        let metadata = metadata.unwrap_or_else(|| {
            ok(format!(
                r#"{{"issuer": "it", "token_endpoint": "{origin}/token?v=2"}}"#
            ))
        });
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut asked = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let Some((request, mut stream)) = request(stream, tls).await else {
                    continue;
                };
                let (status, headers, body) = if request.starts_with(METADATA) {
                    metadata.clone()
                } else {
                    asked += 1;
                    tokens(asked - 1)
                };
                kept.lock().expect("no holder panics").push(request);
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
                );
                // A client that has seen enough may go.
                let _ = stream.write_all((head + &body).as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        let credentials = NamedTempFile::new().expect("a file");
        let text = format!(
            r#"{{"type": "client_credentials", "client_id": "kop", "client_secret": "{SECRET}"}}"#
        );
        std::fs::write(credentials.path(), text).expect("it is written");
        Self {
            origin,
            requests,
            credentials,
        }
    }

    pub(crate) fn options(&self) -> OAuth2Options {
        let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broker/tls");
        OAuth2Options {
            issuer_url: format!("{}/tenant/", self.origin),
            credentials_file: self.credentials.path().to_owned(),
            audience: Some("urn:pulsar a&b".to_owned()),
            scope: None,
            ca_file: Some(tls.join("ca.pem")),
        }
    }

    pub(crate) fn authentication(&self) -> Authentication {
        Authentication::OAuth2(OAuth2::new(self.options()))
    }

    /// What it was sent, each request as a whole.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no holder panics").clone()
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The next request, to the end of its body; `None` where it does not come.
async fn request(stream: TcpStream, tls: bool) -> Option<(String, Box<dyn Stream>)> {
    let mut stream: Box<dyn Stream> = if tls {
        Box::new(acceptor().accept(stream).await.ok()?)
    } else {
        Box::new(stream)
    };
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap_or(0)) {
                return Some((text.into_owned(), stream));
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
