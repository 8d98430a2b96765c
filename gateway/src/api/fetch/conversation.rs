//! Where a fetch stands in the conversation with its client: alone, at the beginning of a session, or
//! within one (KIP-227).
//!
//! | session id | epoch | |
//! | --- | --- | --- |
//! | any | −1 | the session ends, if there is one; a full fetch outside of any |
//! | any | 0 | the session ends, if there is one; a full fetch that begins another |
//! | its own | the next one | only what changes, in the request and in the answer |
use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use kop_wire::kafka_protocol::{ResponseError, messages::FetchRequest};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    TopicRef, Wanted,
    answer::{FetchAnswer, PartitionAnswer},
    read::Records,
    session::{Asked, Mismatch, News, Session},
    sessions::{Sessions, Shared},
};
use crate::api::Call;

/// Epoch of a request outside of any session, or of a session's last one.
const FINAL: i32 = -1;
/// Epoch of a session's first request.
const INITIAL: i32 = 0;
/// How often an id is drawn for a session before it is done without.
const DRAWS: usize = 16;

/// How a fetch is to be answered.
pub(super) enum Conversation {
    /// With everything, and that is it.
    Alone,
    /// With everything, and a session if there is room for one.
    Begins,
    /// With what is new to the client.
    GoesOn {
        id: i32,
        epoch: i32,
        session: Shared,
        /// [`Session::patience`].
        patience: Option<Duration>,
    },
}

impl Conversation {
    /// Finds the request's session, if it has one. Gives the partitions to be read, in their order.
    pub(super) fn begin(
        call: &Call,
        asked: Vec<Asked>,
        request: &FetchRequest,
    ) -> Result<(Self, Vec<Asked>), ResponseError> {
        let (id, epoch) = (request.session_id, request.session_epoch);
        if matches!(epoch, FINAL | INITIAL) {
            if id != 0 {
                with(call, |sessions| sessions.end(id));
            }
            let conversation = if epoch == FINAL {
                Self::Alone
            } else {
                Self::Begins
            };
            return Ok((conversation, asked));
        }
        let now = Instant::now();
        let session = with(call, |sessions| sessions.get(id, now));
        let session = session.ok_or(ResponseError::FetchSessionIdNotFound)?;
        let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| {
            let name = if call.version >= 13 {
                TopicRef::Id(topic.topic_id)
            } else {
                TopicRef::Name(topic.topic.clone())
            };
            let of = move |partition: &i32| (name.clone(), *partition);
            topic.partitions.iter().map(of)
        });
        let (asked, size, patience) = {
            let mut session = locked(&session);
            let asked = session
                .proceed(call.version >= 13, epoch, asked, forgotten.collect())
                .map_err(refusal)?;
            let size = (session.len(), session.weight());
            (asked, size, session.patience())
        };
        with(call, |sessions| sessions.resize(id, size, now));
        if asked.is_empty() {
            return Ok((Self::Alone, asked));
        }
        let conversation = Self::GoesOn {
            id,
            epoch,
            session,
            patience,
        };
        Ok((conversation, asked))
    }

    /// How long the fetch waits for records whose client allows `most`.
    pub(super) fn wait(&self, most: Duration) -> Duration {
        match self {
            Self::GoesOn {
                patience: Some(patience),
                ..
            } => most.min(*patience),
            _ => most,
        }
    }

    /// The answer, and what the session remembers of it.
    pub(super) fn answer(
        self,
        call: &Call,
        wanted: Vec<Wanted>,
        records: Records,
        committed: bool,
    ) -> FetchAnswer {
        let Records {
            partitions, held, ..
        } = records;
        let mut asked = Vec::with_capacity(wanted.len());
        let mut answers = Vec::with_capacity(wanted.len());
        for (wanted, found) in wanted.into_iter().zip(partitions) {
            answers.push(PartitionAnswer::new(call, &wanted.asked, found));
            asked.push(wanted.asked);
        }
        let news: Vec<News> = answers.iter().map(PartitionAnswer::news).collect();
        let (id, said) = match self {
            Self::Alone => (0, None),
            Self::Begins => (begin(call, &asked, &news), None),
            Self::GoesOn {
                id, epoch, session, ..
            } => match locked(&session).answer(epoch, &news) {
                Ok(said) => (id, Some(said)),
                Err(mismatch) => return FetchAnswer::refused(call.refuse(refusal(mismatch))),
            },
        };
        let says = |at: usize| {
            let said = said.as_ref();
            said.is_none_or(|said| said.get(at).copied().unwrap_or(true))
        };
        let answers = asked.into_iter().zip(answers).enumerate();
        let answers = answers.filter(|(at, _)| says(*at));
        let answers = answers.map(|(_, (asked, answer))| (asked.topic, answer));
        FetchAnswer::new(id, answers, committed, held)
    }
}

/// Begins a session, if there is room for it; its id, or 0.
fn begin(call: &Call, asked: &[Asked], news: &[News]) -> i32 {
    let session = Session::begin(call.version >= 13, asked, news);
    let drawn = || i32::from_be_bytes(*Uuid::new_v4().as_bytes().first_chunk().unwrap_or(&[0; 4]));
    let ids = std::iter::repeat_with(drawn)
        .map(|id| id & i32::MAX)
        .take(DRAWS);
    let id = with(call, |sessions| {
        sessions.begin(session, Instant::now(), ids)
    });
    id.unwrap_or(0)
}

fn refusal(mismatch: Mismatch) -> ResponseError {
    match mismatch {
        Mismatch::Epoch => ResponseError::InvalidFetchSessionEpoch,
        Mismatch::Naming => ResponseError::FetchSessionTopicIdError,
    }
}

/// Does something with all sessions, and counts them.
fn with<T>(call: &Call, does: impl FnOnce(&mut Sessions) -> T) -> T {
    let gateway = &call.gateway;
    let mut sessions = gateway
        .fetch_sessions
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let done = does(&mut sessions);
    let many = i64::try_from(sessions.len()).unwrap_or(i64::MAX);
    gateway.metrics.fetch_sessions.set(many);
    done
}

fn locked(session: &Shared) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}
