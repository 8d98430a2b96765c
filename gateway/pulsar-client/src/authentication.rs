//! Credentials.
use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use crate::{OAuth2, OAuth2Error};

/// How the client proves who it is.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// A JSON web token.
    Token(TokenSource),
    /// Tokens that an OAuth 2.0 issuer gives for a client's credentials. Clones share the token.
    OAuth2(OAuth2),
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

/// Why there is no token to show. Says no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The file with the token cannot be read.
    #[error("token file {}: {reason}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The issuer gives none.
    #[error(transparent)]
    OAuth2(#[from] OAuth2Error),
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl Authentication {
    /// The token as it is now, for whom Pulsar is asked by other ways than this client's.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn token(&self) -> Result<String, CredentialsError> {
        match self {
            Self::Token(source) => source.read().await,
            Self::OAuth2(oauth2) => Ok(oauth2.token().await?.text().to_owned()),
        }
    }
}

impl TokenSource {
    async fn read(&self) -> Result<String, CredentialsError> {
        let token = match self {
            Self::Text(token) => token.clone(),
            Self::File(path) => {
                let file = path.clone();
                let failed = |error: std::io::Error| CredentialsError::TokenFile {
                    path: path.clone(),
                    reason: error.to_string(),
                };
                tokio::task::spawn_blocking(move || std::fs::read_to_string(file))
                    .await
                    .map_err(|error| failed(std::io::Error::other(error)))?
                    .map_err(failed)?
            }
        };
        Ok(token.trim().to_owned())
    }
}

/// What `CONNECT` and `AUTH_RESPONSE` carry.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) method: &'static str,
    pub(crate) data: Bytes,
}

/// Who one connection says it is. It remembers which token the broker has seen, so that a broker that
/// asks again is given another one.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    authentication: Option<Authentication>,
    /// Number of the issuer's token that was shown last, 0 before.
    shown: Arc<AtomicU64>,
}

impl Identity {
    pub(crate) fn new(authentication: Option<Authentication>) -> Self {
        Self {
            authentication,
            shown: Arc::default(),
        }
    }

    /// What is shown first; `None` where the client does not say who it is.
    pub(crate) async fn introduce(&self) -> Result<Option<Credentials>, CredentialsError> {
        self.credentials(0).await
    }

    /// What is shown to a broker that has seen something and asks again.
    pub(crate) async fn answer(&self) -> Result<Option<Credentials>, CredentialsError> {
        self.credentials(self.shown.load(Ordering::Relaxed)).await
    }

    /// The broker does not believe what was shown.
    pub(crate) fn refused(&self) {
        if let Some(Authentication::OAuth2(oauth2)) = &self.authentication {
            oauth2.refused(self.shown.load(Ordering::Relaxed));
        }
    }

    async fn credentials(&self, after: u64) -> Result<Option<Credentials>, CredentialsError> {
        let token = match &self.authentication {
            None => return Ok(None),
            Some(Authentication::Token(source)) => source.read().await?,
            Some(Authentication::OAuth2(oauth2)) => {
                let token = oauth2.token_after(after).await?;
                self.shown.store(token.number(), Ordering::Relaxed);
                token.text().to_owned()
            }
        };
        Ok(Some(Credentials {
            method: "token",
            data: Bytes::from(token),
        }))
    }
}
