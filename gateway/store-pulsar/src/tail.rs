//! The tail reader of a partition: brings what others write, while the partition is open. There is none
//! while what is known, and what this gateway writes, is all there is.
use std::{sync::Arc, time::Duration};

use pulsar_client::{ReadError, Reader, ReaderError, ReaderOptions, ReaderStart};
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

/// Follows the partition's end until it is closed. `from` is behind all that is known of it.
pub(crate) async fn follow(log: Arc<Log>, mut life: watch::Receiver<Life>, from: ReaderStart) {
    tokio::select! {
        () = read(&log, from) => {}
        _ = life.wait_for(|life| *life != Life::Serving) => {}
    }
}

async fn read(log: &Log, from: ReaderStart) {
    let mut next = from;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(last) = log.hungry().await {
            next = later(next, last);
        }
        let begun = next;
        // Boxed: the task holds no room for what is seldom done.
        let ended = match Box::pin(open(log, next)).await {
            Ok(reader) => entries(log, reader, &mut next).await,
            Err(ended) => ended,
        };
        if next != begun {
            pause = FIRST_PAUSE;
        }
        if log.is_deleted() {
            return;
        }
        if let Ended::Needless = ended {
            continue;
        }
        tracing::debug!(topic = %log.topic, error = %ended, "tail reader ended");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Where to go on: at the entry that was read last, or at one of ours that stands behind it.
fn later(next: ReaderStart, last: Position) -> ReaderStart {
    match next {
        ReaderStart::At(read) => ReaderStart::At(read.max(last.into())),
        ReaderStart::Earliest | ReaderStart::Latest => last.start(),
    }
}

async fn open(log: &Log, from: ReaderStart) -> Result<Reader, Ended> {
    log.check_existence().await?;
    let options = ReaderOptions {
        receive_bytes_budget: RECEIVE_BYTES,
        ..ReaderOptions::default()
    };
    Ok(log
        .shared
        .client
        .reader(log.topic.as_str(), from, options)
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
            *next = position.start_behind();
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
