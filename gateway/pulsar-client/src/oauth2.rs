//! Tokens of an OAuth 2.0 issuer, by client credentials (RFC 6749 §4.4), as Pulsar's own clients get
//! them: the issuer's metadata name its token endpoint, a JSON file holds the client's id and secret.
//!
//! ```text
//! connections, admin calls ── token() ──► newest token ◄── published by ── Keeper, the one who asks
//!                                                                            │ before it expires, or
//!                                                                            │ when a broker wants another
//!                                                                            ▼
//!                                                                          Issuer (HTTP)
//! ```
mod answers;
mod file;
mod issuer;
mod keeper;

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

pub(crate) use self::keeper::Token;
use self::{
    issuer::Issuer,
    keeper::{Keeper, Offer, Published},
};

/// An issuer has so long to give a token, its metadata included.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long anybody waits for a new token while the old one is still good.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which issuer is asked, and for what.
#[derive(Clone, PartialEq, Eq)]
pub struct OAuth2Options {
    /// `https://HOST[:PORT][/PATH]`. With `http://` the client's secret goes in the clear.
    pub issuer_url: String,
    /// JSON file of `type` (`client_credentials`), `client_id` and `client_secret`; read anew for each
    /// token.
    pub credentials_file: PathBuf,
    /// The service that the token is for, where the issuer has several.
    pub audience: Option<String>,
    /// What the token is to allow, where the issuer wants to be told.
    pub scope: Option<String>,
    /// PEM file of the authorities to trust for the issuer; the system's where there is none.
    pub ca_file: Option<PathBuf>,
}

/// Why an issuer gives no token. Says no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OAuth2Error {
    /// The file with the client's credentials is of no use.
    #[error(
        "OAuth2 credentials file {}: {problem}; it is to be JSON like {{\"type\": \
         \"client_credentials\", \"client_id\": \"…\", \"client_secret\": \"…\"}}",
        path.display()
    )]
    CredentialsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The URL is none of an issuer.
    #[error("OAuth2 issuer: {problem}")]
    Url {
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody answers there.
    #[error("OAuth2 issuer not reached at {url}: {reason}")]
    Unreachable {
        /// Where it was tried.
        url: String,
        /// Why not.
        reason: String,
    },
    /// What answers is no issuer, or none that is understood.
    #[error("OAuth2 issuer not understood at {url}: {problem}")]
    Malformed {
        /// Where it was asked.
        url: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// It gives this client no token.
    #[error(
        "OAuth2 issuer refused a token at {url}: {reason} (status {status}); look at client_id and \
         client_secret in {}, and at audience and scope",
        credentials_file.display()
    )]
    Refused {
        /// Where it was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        reason: String,
        /// Where the client's credentials come from.
        credentials_file: PathBuf,
    },
    /// The task that asks for tokens has ended with the runtime that it was started in.
    #[error("nobody asks the OAuth2 issuer any more")]
    Stopped,
}

/// The tokens of one client at one issuer. Clones share them; one request for a token is made at a
/// time, however many want one.
#[derive(Clone)]
pub struct OAuth2 {
    shared: Arc<Shared>,
}

struct Shared {
    options: OAuth2Options,
    /// Started by the first who wants a token.
    idle: Mutex<Option<Keeper<Issuer>>>,
    published: watch::Receiver<Published>,
    /// Which try is wanted, by its number.
    wanted: watch::Sender<u64>,
    /// Number of the token that a broker refused last.
    refused: AtomicU64,
}

impl fmt::Debug for OAuth2Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What stands before an @ may be a password; such a URL is refused when it is used.
        let issuer = self.issuer_url.rsplit_once('@');
        let issuer = issuer.map_or(self.issuer_url.as_str(), |(_, host)| host);
        f.debug_struct("OAuth2Options")
            .field("issuer_url", &issuer)
            .field("credentials_file", &self.credentials_file)
            .field("audience", &self.audience)
            .field("scope", &self.scope)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OAuth2")
            .field(&self.shared.options)
            .finish_non_exhaustive()
    }
}

impl OAuth2 {
    /// Nothing is asked for yet. What is wrong with the options is told with the first token.
    #[must_use]
    pub fn new(options: OAuth2Options) -> Self {
        let (wanted, wants) = watch::channel(0);
        let (publish, published) = watch::channel(Published::default());
        let keeper = Keeper::new(Issuer::new(options.clone()), publish, wants);
        Self {
            shared: Arc::new(Shared {
                options,
                idle: Mutex::new(Some(keeper)),
                published,
                wanted,
                refused: AtomicU64::new(0),
            }),
        }
    }

    /// A token that has not expired.
    pub(crate) async fn token(&self) -> Result<Token, OAuth2Error> {
        self.token_after(0).await
    }

    /// A token that has not expired and is younger than the one of that number.
    pub(crate) async fn token_after(&self, number: u64) -> Result<Token, OAuth2Error> {
        self.start();
        let shared = &self.shared;
        let refused = shared.refused.load(Ordering::Relaxed);
        obtain(
            shared.published.clone(),
            &shared.wanted,
            Unwanted {
                until: number,
                refused,
            },
        )
        .await
    }

    /// A broker does not believe the token of that number.
    pub(crate) fn refused(&self, number: u64) {
        self.shared.refused.fetch_max(number, Ordering::Relaxed);
    }

    fn start(&self) {
        let idle = &self.shared.idle;
        let keeper = idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            tokio::spawn(keeper.run());
        }
    }
}

/// Which tokens are not wanted.
#[derive(Debug, Clone, Copy, Default)]
struct Unwanted {
    /// Those up to this number: somebody wants a younger one.
    until: u64,
    /// The one of this number: a broker did not believe it. It is better than none.
    refused: u64,
}

/// The newest token, or the next one where that is over, or about to be.
async fn obtain(
    mut published: watch::Receiver<Published>,
    wanted: &watch::Sender<u64>,
    unwanted: Unwanted,
) -> Result<Token, OAuth2Error> {
    let patient_until = Instant::now() + PATIENCE;
    loop {
        let (tries, meanwhile) = {
            let known = published.borrow();
            match known.offer(Instant::now(), unwanted) {
                Offer::Take(token) => return Ok(token),
                Offer::Fail(error) => return Err(error),
                Offer::Wait { meanwhile } => (known.tries, meanwhile),
            }
        };
        wanted.send_if_modified(|number| {
            // Others may know of later tries already.
            let more = *number <= tries;
            *number = (*number).max(tries + 1);
            more
        });
        let tried = async {
            let tried = published.wait_for(|known| known.tries > tries).await;
            tried.map(drop).map_err(|_| OAuth2Error::Stopped)
        };
        match meanwhile {
            None => tried.await?,
            Some(token) => {
                let until = patient_until.min(token.expires_at());
                match tokio::time::timeout_at(until, tried).await {
                    Ok(tried) => tried?,
                    Err(_) if Instant::now() < token.expires_at() => return Ok(token),
                    Err(_) => {}
                }
            }
        }
    }
}
