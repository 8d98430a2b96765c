//! An OAuth 2.0 issuer (RFC 6749 §4.4) that gives one client tokens of a few seconds.

use crate::scratch::Scratch;
use crate::tokens;
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// What it calls itself.
const PATH: &str = "/realms/pulsar";
const CLIENT: &str = "kop";
const AUDIENCE: &str = "urn:pulsar";
/// What the client proves itself with. Nobody is to see it.
pub const SECRET: &str = "correct-horse-battery-staple";
/// Longest body that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// The issuer. Its thread ends with the process.
#[derive(Debug)]
pub struct Issuer {
    address: SocketAddr,
    state: Arc<State>,
    folder: PathBuf,
}

#[derive(Debug)]
struct State {
    /// Seconds that a token is good.
    lifetime: u64,
    granted: AtomicUsize,
    failed: AtomicUsize,
    failing: AtomicBool,
}

impl Issuer {
    /// Gives tokens for the role `admin` that are good for `lifetime` seconds.
    ///
    /// # Errors
    /// There is no free port.
    pub fn start(scratch: &Scratch, lifetime: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            lifetime,
            granted: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
        });
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Err(error) = served.serve(&stream, address) {
                    eprintln!("issuer: {error:#}");
                }
            }
        });
        Ok(Self {
            address,
            state,
            folder: scratch.path().to_owned(),
        })
    }

    /// The gateway's flags for its client, who says that its secret is `secret`.
    ///
    /// # Errors
    /// The file with the credentials cannot be written.
    pub fn flags(&self, secret: &str) -> Result<Vec<String>> {
        let file = self
            .folder
            .join(format!("credentials-{}.json", secret.len()));
        let credentials = json!({
            "type": "client_credentials",
            "client_id": CLIENT,
            "client_secret": secret,
            "issuer_url": self.url(),
        });
        std::fs::write(&file, credentials.to_string())?;
        Ok(vec![
            format!("--pulsar-oauth2-issuer={}", self.url()),
            format!("--pulsar-oauth2-credentials-file={}", file.display()),
            format!("--pulsar-oauth2-audience={AUDIENCE}"),
        ])
    }

    /// How many tokens it has given.
    #[must_use]
    pub fn granted(&self) -> usize {
        self.state.granted.load(Ordering::SeqCst)
    }

    /// How many requests have failed because it was told to fail.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.state.failed.load(Ordering::SeqCst)
    }

    /// Lets it fail, or no more.
    pub fn fail(&self, failing: bool) {
        self.state.failing.store(failing, Ordering::SeqCst);
    }

    fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }
}

impl State {
    fn serve(&self, stream: &TcpStream, address: SocketAddr) -> Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let (line, body) = request(stream)?;
        let (status, answer) = self.answer(&line, &body, address)?;
        let length = answer.len();
        let mut stream = stream;
        stream.write_all(
            format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
            )
            .as_bytes(),
        )?;
        Ok(())
    }

    fn answer(
        &self,
        line: &str,
        body: &str,
        address: SocketAddr,
    ) -> Result<(&'static str, String)> {
        if self.failing.load(Ordering::SeqCst) {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return Ok(("503 Service Unavailable", String::new()));
        }
        if line.starts_with(&format!("GET {PATH}/.well-known/openid-configuration ")) {
            let endpoint = format!("http://{address}{PATH}/token");
            return Ok(("200 OK", json!({ "token_endpoint": endpoint }).to_string()));
        }
        if !line.starts_with(&format!("POST {PATH}/token ")) {
            return Ok(("404 Not Found", String::new()));
        }
        let expected = [
            "grant_type=client_credentials",
            &format!("client_id={CLIENT}"),
            &format!("client_secret={SECRET}"),
            &format!("audience={}", AUDIENCE.replace(':', "%3A")),
        ];
        let fields: Vec<&str> = body.split('&').collect();
        if fields != expected {
            let error = json!({ "error": "invalid_client", "error_description": "unknown" });
            return Ok(("401 Unauthorized", error.to_string()));
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let claims = json!({ "sub": "admin", "exp": now.as_secs() + self.lifetime });
        let token = json!({
            "access_token": tokens::signed(&claims),
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        });
        self.granted.fetch_add(1, Ordering::SeqCst);
        Ok(("200 OK", token.to_string()))
    }
}

/// The first line of a request, and its body.
fn request(stream: &TcpStream) -> Result<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            bail!("the request has no end");
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(told) = line.strip_prefix("content-length:") {
            length = told.trim().parse().context("content-length")?;
        }
    }
    if length > LONGEST {
        bail!("a request of {length} bytes");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((first, String::from_utf8(body)?))
}
