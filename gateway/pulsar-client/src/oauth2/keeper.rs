//! The task that asks for tokens: one request at a time, in good time, and slower where it fails.
use std::{fmt, future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{OAuth2Error, Unwanted};

/// Pause after the first failure; doubles from failure to failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Least time between two tokens, whoever wants one.
const GAP: Duration = Duration::from_secs(1);
/// A token that a broker refuses is not offered again once it is so old: the issuer may sign with
/// another key by now. A younger one would be refused again, if its role may not be let in.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// Where tokens come from.
pub(super) trait Grants: Send + 'static {
    /// A new token. Takes a bounded time.
    fn grant(&mut self) -> impl Future<Output = Result<Grant, OAuth2Error>> + Send;
}

/// What an issuer gives.
pub(super) struct Grant {
    pub(super) text: String,
    /// How long it is good, from when it was asked for.
    pub(super) lifetime: Duration,
}

/// A token of the issuer.
#[derive(Clone)]
pub(crate) struct Token {
    text: Arc<str>,
    /// Number of the try that brought it: the youngest token has the highest.
    number: u64,
    asked_at: Instant,
    refresh_at: Instant,
    expires_at: Instant,
}

impl Token {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn expires_at(&self) -> Instant {
        self.expires_at
    }

    /// Whether it is time for the next one.
    fn is_due(&self, now: Instant, unwanted: Unwanted) -> bool {
        let refused = self.number <= unwanted.refused;
        now >= self.refresh_at || refused && now >= self.asked_at + REFUSED_FOR
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// What everybody may know.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// Tries that have ended.
    pub(super) tries: u64,
    /// The youngest token.
    token: Option<Token>,
    /// Where the last try failed.
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    error: OAuth2Error,
    /// When the issuer is asked again.
    until: Instant,
}

/// What somebody who wants a token gets.
#[derive(Debug)]
pub(super) enum Offer {
    /// This one.
    Take(Token),
    /// None, for now.
    Fail(OAuth2Error),
    /// The next one; the old one still is good, where there is one.
    Wait { meanwhile: Option<Token> },
}

impl Published {
    pub(super) fn offer(&self, now: Instant, unwanted: Unwanted) -> Offer {
        let good = |token: &&Token| now < token.expires_at && token.number > unwanted.until;
        let good = self.token.as_ref().filter(good).cloned();
        let failing = self.failure.as_ref().filter(|failure| now < failure.until);
        match (good, failing) {
            (Some(token), Some(_)) => Offer::Take(token),
            (Some(token), None) if !token.is_due(now, unwanted) => Offer::Take(token),
            (None, Some(failure)) => Offer::Fail(failure.error.clone()),
            (meanwhile, None) => Offer::Wait { meanwhile },
        }
    }
}

/// Asks for tokens until nobody can want one any more.
pub(super) struct Keeper<G> {
    grants: G,
    publish: watch::Sender<Published>,
    wants: watch::Receiver<u64>,
    tries: u64,
    failures: u32,
}

impl<G: Grants> Keeper<G> {
    pub(super) fn new(
        grants: G,
        publish: watch::Sender<Published>,
        wants: watch::Receiver<u64>,
    ) -> Self {
        Self {
            grants,
            publish,
            wants,
            tries: 0,
            failures: 0,
        }
    }

    pub(super) async fn run(mut self) {
        // The first is asked for when somebody wants it.
        let mut not_before = Instant::now();
        let mut due = None;
        loop {
            tokio::select! {
                wanted = wanted(&mut self.wants, self.tries, not_before) => {
                    if !wanted {
                        return;
                    }
                }
                () = reached(due) => {
                    if self.wants.has_changed().is_err() {
                        return;
                    }
                }
            }
            let next = self.attempt().await;
            (not_before, due) = (next.not_before, Some(next.due));
        }
    }

    async fn attempt(&mut self) -> Next {
        let asked_at = Instant::now();
        let granted = self.grants.grant().await;
        self.tries += 1;
        let tries = self.tries;
        let now = Instant::now();
        match granted {
            Ok(Grant { text, lifetime }) => {
                self.failures = 0;
                let token = Token {
                    text: text.into(),
                    number: tries,
                    asked_at,
                    refresh_at: asked_at + lifetime * 3 / 4,
                    expires_at: asked_at + lifetime,
                };
                tracing::debug!(?lifetime, "token of the OAuth2 issuer");
                let next = Next {
                    not_before: now + GAP,
                    due: token.refresh_at.max(now + GAP),
                };
                self.publish.send_modify(|known| {
                    *known = Published {
                        tries,
                        token: Some(token),
                        failure: None,
                    };
                });
                next
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let pause = pause(self.failures);
                let until = now + pause;
                self.publish.send_modify(|known| {
                    // Whoever wants the first token is told. Nobody is when a later one fails.
                    if known.token.is_some() {
                        tracing::warn!(%error, again_in = ?pause, "no new token");
                    }
                    known.tries = tries;
                    known.failure = Some(Failure { error, until });
                });
                Next {
                    not_before: until,
                    due: until,
                }
            }
        }
    }
}

/// When the issuer is asked next.
struct Next {
    /// Not before that, even if somebody wants it.
    not_before: Instant,
    /// Then, even if nobody wants it.
    due: Instant,
}

/// Waits until a further try than `tries` is wanted and allowed; false where nobody can want any more.
async fn wanted(wants: &mut watch::Receiver<u64>, tries: u64, not_before: Instant) -> bool {
    if wants.wait_for(|number| *number > tries).await.is_err() {
        return false;
    }
    sleep_until(not_before).await;
    true
}

async fn reached(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// How long to wait after so many failures.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests;
