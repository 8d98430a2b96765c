//! Watches one other gateway, and announces its end.
//!
//! Each gateway watches the next one by node id, so that every one is watched by somebody. It asks
//! what any client could ask; no answer is a suspicion, not a proof: the proof is to win its seat,
//! which Pulsar gives away only when its holder does not answer the broker either.
use std::{io, sync::Arc, time::Duration};

use kop_config::HostPort;
use kop_store_pulsar::{MembershipLog, SeatError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::{
    announcement::{Announcement, Member},
    view::View,
};
use crate::sparingly::Sparingly;

/// It goes on for as long as it is not mended.
static UNREACHED: Sparingly = Sparingly::every(Duration::from_secs(60));

/// Between two questions.
const EVERY: Duration = Duration::from_secs(1);
/// Between two questions to one who lives and cannot be asked from here.
const UNREACHABLE: Duration = Duration::from_secs(5);
/// An answer may come from elsewhere, and who answers may have lost its way to Pulsar: after so many
/// answers the seat is looked at, too.
const ANSWERS: u32 = 30;
/// Looks at which the seat of one who answers was free, one after another, until it is taken for gone.
const FREE: u32 = 3;
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a silent holder of a seat may take to lose it.
const SEAT: Duration = Duration::from_secs(6);
/// An ApiVersions request, version 0, without a client id: four bytes of length, then the header.
const QUESTION: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// What has been seen of the gateway that is watched.
#[derive(Default)]
struct Watched {
    incarnation: Uuid,
    answers: u32,
    free: u32,
}

/// Watches whoever is to be watched, until the views end.
pub(super) async fn watch(log: MembershipLog, node: i32, mut views: watch::Receiver<Arc<View>>) {
    let mut watched = Watched::default();
    loop {
        let next = views.borrow_and_update().watched_by(node).cloned();
        let pause = match next {
            Some(member) => watched.look(&log, &member).await,
            None => Duration::MAX,
        };
        tokio::select! {
            () = sleep(pause) => {}
            changed = views.changed() => if changed.is_err() { return },
        }
    }
}

impl Watched {
    /// Looks after one gateway. Answers when to look again.
    async fn look(&mut self, log: &MembershipLog, member: &Member) -> Duration {
        let node = member.node;
        if self.incarnation != member.incarnation {
            *self = Self {
                incarnation: member.incarnation,
                ..Self::default()
            };
            // It has announced itself, and listens as soon as it sees that it is in.
            return EVERY;
        }
        let silent = is_silent(member).await;
        self.answers = self.answers.wrapping_add(1);
        if silent.is_none() && self.free == 0 && !self.answers.is_multiple_of(ANSWERS) {
            return EVERY;
        }
        let mut seat = match log.seat(node, SEAT).await {
            Ok(seat) => seat,
            Err(SeatError::Taken(_)) => {
                self.free = 0;
                let Some(silent) = silent else { return EVERY };
                if let Some(more_before) = UNREACHED.now() {
                    warn!(
                        node,
                        silent,
                        more_before,
                        "a gateway lives and does not answer this one; do its clients reach it?"
                    );
                }
                return UNREACHABLE;
            }
            Err(SeatError::Unavailable(error)) => {
                debug!(node, %error, "seat not looked at");
                return EVERY;
            }
        };
        self.free += 1;
        if silent.is_some() || self.free >= FREE {
            info!(node, silent, "gateway is gone");
            let gone = Announcement::Leave {
                node,
                incarnation: member.incarnation,
            };
            if let Err(error) = seat.announce(gone.encode()).await {
                warn!(node, %error, "could not tell that a gateway is gone");
            }
        }
        seat.release().await;
        EVERY
    }
}

/// Why a gateway is taken to be silent; `None` where it answers.
async fn is_silent(member: &Member) -> Option<String> {
    let address = member.listeners.first()?;
    let address = HostPort {
        host: address.host.clone(),
        port: address.port,
    };
    let silent = match timeout(ANSWER, ask(&address)).await {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    debug!(node = member.node, %address, silent, "gateway does not answer");
    Some(silent)
}

async fn ask(address: &HostPort) -> io::Result<()> {
    let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.write_all(&QUESTION).await?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map(drop)
}
