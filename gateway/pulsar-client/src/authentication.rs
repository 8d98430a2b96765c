//! Credentials.
use std::{fmt, path::PathBuf};

use bytes::Bytes;

/// How the client proves who it is.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// A JSON web token.
    Token(TokenSource),
}

/// Where the token comes from.
#[derive(Clone)]
pub enum TokenSource {
    /// The token itself.
    Text(String),
    /// A file that holds it. Read for every connection and whenever a broker asks again, so a token
    /// that is renewed in place is taken up.
    File(PathBuf),
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// What `CONNECT` and `AUTH_RESPONSE` carry.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) method: &'static str,
    pub(crate) data: Bytes,
}

impl Authentication {
    /// The credentials as they are now.
    pub(crate) async fn credentials(&self) -> std::io::Result<Credentials> {
        let Self::Token(source) = self;
        let token = match source {
            TokenSource::Text(token) => token.clone(),
            TokenSource::File(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || std::fs::read_to_string(path))
                    .await
                    .map_err(std::io::Error::other)??
            }
        };
        Ok(Credentials {
            method: "token",
            data: Bytes::from(token.trim().to_owned()),
        })
    }
}
