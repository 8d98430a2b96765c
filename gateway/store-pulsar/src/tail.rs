//! The tail reader of a partition: brings what others write, while the partition is open. It is closed
//! while what this gateway writes is all that is new.
use std::{sync::Arc, time::Duration};

use pulsar_client::{EntryId, ReadError, Reader, ReaderError, ReaderOptions, ReaderStart};
use tokio::{sync::watch, time::sleep};

use crate::{
    admin::Position,
    damaged,
    entry::DecodeError,
    log::{Gone, Life, Log, position},
    metrics::Metrics,
};

const RECEIVE_BYTES: usize = 1024 * 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How tail readers are opened.
pub(crate) fn options() -> ReaderOptions {
    ReaderOptions {
        receive_bytes_budget: RECEIVE_BYTES,
        ..ReaderOptions::default()
    }
}

/// Why a tail reader ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Open(#[from] ReaderError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Gone(#[from] Gone),
    #[error("topic terminated")]
    Terminated,
    #[error("the gateway itself writes all that is new")]
    Needless,
}

/// Follows the partition's end until it is closed. `reader` began before the log's bounds were
/// asked for, so that nothing is missed in between.
pub(crate) async fn follow(
    log: Arc<Log>,
    mut life: watch::Receiver<Life>,
    reader: Reader,
    from: ReaderStart,
) {
    tokio::select! {
        () = read(&log, reader, from) => {}
        _ = life.wait_for(|life| *life != Life::Serving) => {}
    }
}

async fn read(log: &Log, reader: Reader, from: ReaderStart) {
    let mut reader = Some(reader);
    let mut next = from;
    let mut pause = FIRST_PAUSE;
    loop {
        let opened = match reader.take() {
            Some(reader) => Ok(reader),
            // Boxed: the task holds no room for what is seldom done.
            None => Box::pin(open(log, next)).await,
        };
        let ended = match opened {
            Ok(reader) => {
                let begun = next;
                let ended = entries(log, reader, &mut next).await;
                if next != begun {
                    pause = FIRST_PAUSE;
                }
                ended
            }
            Err(ended) => ended,
        };
        if log.is_deleted() {
            return;
        }
        if let Ended::Needless = ended {
            if let Some(last) = log.hungry().await {
                next = later(next, last);
            }
            continue;
        }
        tracing::debug!(topic = %log.topic, error = %ended, "tail reader ended");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Where to go on: at the entry that was read last, or at one of ours that stands behind it.
fn later(next: ReaderStart, last: Position) -> ReaderStart {
    let last = EntryId {
        ledger: last.ledger,
        entry: last.entry,
    };
    match next {
        ReaderStart::At(read) => ReaderStart::At(read.max(last)),
        ReaderStart::Earliest | ReaderStart::Latest => ReaderStart::At(last),
    }
}

async fn open(log: &Log, from: ReaderStart) -> Result<Reader, Ended> {
    log.check_existence().await?;
    Ok(log
        .shared
        .client
        .reader(log.topic.as_str(), from, options())
        .await?)
}

/// The next reader begins behind a damaged entry, once it is known which offsets that takes: who reads there
/// meets an error, and no empty offsets.
async fn passed_over(log: &Log, position: Position, error: &ReadError, next: &mut ReaderStart) {
    damaged::tell(log, position, error);
    match damaged::span(log, position).await {
        Ok(span) => {
            if let Some(span) = span {
                log.unreadable(position, span);
            }
            *next = damaged::behind(position);
        }
        Err(error) => tracing::debug!(topic = %log.topic, %position, %error, "not known yet"),
    }
}

/// Reads until the reader ends. `next` is where another one has to begin: at the last entry read,
/// which is then recognised as known.
async fn entries(log: &Log, mut reader: Reader, next: &mut ReaderStart) -> Ended {
    loop {
        match reader.next().await {
            Ok(Some(entry)) => {
                if entry.index.is_none() {
                    damaged::tell(log, position(&entry), &DecodeError::NoIndex);
                }
                log.observed(&entry);
                *next = ReaderStart::At(entry.id);
                if log.feeds_itself() {
                    Metrics::add(&log.shared.metrics.tail_readers_parked);
                    return Ended::Needless;
                }
            }
            Ok(None) => return Ended::Terminated,
            Err(error) => {
                if let ReadError::Damaged { ledger, entry, .. } = error {
                    passed_over(log, Position { ledger, entry }, &error, next).await;
                }
                return error.into();
            }
        }
    }
}
