//! Reading what is no longer in memory: sequential readers, parked between one fetch and the next.
//!
//! Of a compacted topic, what Pulsar has removed since it was compacted is read from what compaction has
//! left ([`compacted`]), and everything else from the entries themselves.
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use kop_store::{ReadError as StoreReadError, ReadLimit, Watermarks};
use pulsar_client::{ReadError, Reader, ReaderOptions, ReaderStart};
use tokio::time::{Instant, timeout};

use crate::{
    admin::Position,
    bounds::{self, Ahead},
    damaged,
    entry::{self, DecodeError, Placed, Span},
    log::{Log, position},
    metrics::Metrics,
    naming::PulsarTopic,
    offset_index::Point,
    offset_search::{self, Around},
};

mod compacted;

use compacted::Compacted;

/// Bytes of entries that one reader may have on their way, where there is memory enough.
const MOST_RECEIVE_BYTES: usize = 4 * 1024 * 1024;
/// And where there is little.
const LEAST_RECEIVE_BYTES: usize = 256 * 1024;
/// Readers parked at once, in one store.
const PARKED: usize = 32;
/// How long a parked reader is kept.
const PARKED_FOR: Duration = Duration::from_secs(30);
/// Offsets that are rather read over than searched.
const NEAR: i64 = 1_000;
/// How long the first entry of a read, known to exist, may take until it is asked whether it is one that
/// readers are given; how long then; and each further one.
const QUIET: Duration = Duration::from_secs(1);
const FIRST_PATIENCE: Duration = Duration::from_secs(20);
const NEXT_PATIENCE: Duration = Duration::from_millis(3);

/// How often a read begins again because ledgers were removed meanwhile.
const ATTEMPTS: usize = 5;
/// Offsets that one batch without records covers at the most.
const WIDEST: i64 = i32::MAX as i64;

/// A reader somewhere in a partition.
pub(crate) struct Cursor {
    topic: PulsarTopic,
    reader: Reader,
    /// The offset behind what the reader gave; unknown before the first entry.
    next: Option<i64>,
    /// Everything from here on is still to come.
    reached: Option<i64>,
    /// Read, but no room for it in the last answer.
    pending: Option<Unpacked>,
    /// That it reads what compaction has left.
    compacted: Option<Compacted>,
    parked: Instant,
}

struct Unpacked {
    span: Span,
    batches: Result<Vec<Placed>, DecodeError>,
}

/// What comes next.
enum Next {
    Entry(Unpacked),
    /// Nothing in time.
    Late,
    /// No record stands before that offset. The cursor is of no more use; another one goes on.
    Over(i64),
}

/// What a read brought.
struct Filled {
    chunks: Vec<Bytes>,
    /// The cursor is of no more use.
    over: bool,
}

/// The parked cursors of a store.
pub(crate) struct Cursors {
    parked: Mutex<Vec<Cursor>>,
    /// Bytes of entries that each reader may have on their way.
    receive_bytes: usize,
}

impl Cursors {
    /// None yet. Parked ones together have `read_ahead_bytes` on their way, about.
    pub(crate) fn new(read_ahead_bytes: usize) -> Self {
        Self {
            parked: Mutex::default(),
            receive_bytes: (read_ahead_bytes / PARKED)
                .clamp(LEAST_RECEIVE_BYTES, MOST_RECEIVE_BYTES),
        }
    }

    fn parked(&self) -> MutexGuard<'_, Vec<Cursor>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cursor that stands at `offset`, or a little before.
    fn take(&self, topic: &PulsarTopic, offset: i64) -> Option<Cursor> {
        let mut parked = self.parked();
        let distance = |cursor: &Cursor| {
            let reached = cursor.reached?;
            (cursor.topic == *topic && reached <= offset && offset - reached <= NEAR)
                .then_some(offset - reached)
        };
        let best = parked
            .iter()
            .enumerate()
            .filter_map(|(i, cursor)| Some((distance(cursor)?, i)))
            .min()?;
        Some(parked.swap_remove(best.1))
    }

    fn park(&self, mut cursor: Cursor) {
        cursor.parked = Instant::now();
        let mut parked = self.parked();
        if parked.len() >= PARKED
            && let Some(oldest) =
                (0..parked.len()).min_by_key(|i| parked.get(*i).map(|cursor| cursor.parked))
        {
            parked.swap_remove(oldest);
        }
        parked.push(cursor);
    }

    /// Closes cursors that nobody came back for.
    pub(crate) fn expire(&self) {
        let expired: Vec<Cursor> = {
            let mut parked = self.parked();
            let now = Instant::now();
            parked
                .extract_if(.., |cursor| now - cursor.parked > PARKED_FOR)
                .collect()
        };
        drop(expired);
    }

    /// Closes the cursors of a topic.
    pub(crate) fn forget(&self, topic: &PulsarTopic) {
        self.parked().retain(|cursor| cursor.topic != *topic);
    }

    /// Closes all cursors.
    pub(crate) fn clear(&self) {
        self.parked().clear();
    }
}

/// Batches from the one that holds `from` on, read from Pulsar. A record at `from` or behind it is
/// known to exist.
pub(crate) async fn stored(
    log: &Log,
    from: i64,
    limit: ReadLimit,
) -> Result<Vec<Bytes>, StoreReadError> {
    Metrics::add(&log.shared.metrics.stored_reads);
    let cursors = &log.shared.cursors;
    for _ in 0..ATTEMPTS {
        let (mut cursor, opened) = match cursors.take(&log.topic, from) {
            Some(cursor) => (cursor, false),
            None => (open(log, from).await?, true),
        };
        let Filled { chunks, over } = fill(log, &mut cursor, from, limit, opened).await?;
        if !over {
            cursors.park(cursor);
            return Ok(chunks);
        }
        if !chunks.is_empty() {
            return Ok(chunks);
        }
    }
    Err(StoreReadError::Unavailable(
        "the topic's ledgers keep changing".into(),
    ))
}

async fn fill(
    log: &Log,
    cursor: &mut Cursor,
    from: i64,
    limit: ReadLimit,
    opened: bool,
) -> Result<Filled, StoreReadError> {
    let mut chunks = Vec::new();
    let mut size = 0;
    let mut next = from;
    let mut over = false;
    let mut patience = QUIET;
    loop {
        let item = match cursor.next(log, next, patience).await? {
            Next::Entry(item) => item,
            Next::Late if patience != QUIET => break,
            Next::Late => {
                match cursor.ahead(log, next).await? {
                    Ahead::Records => {}
                    // As at the end: whoever asks again may be given more.
                    Ahead::Undecided => break,
                    // Transactions wrote it that have been aborted since.
                    Ahead::Nothing => {
                        let high = log.high();
                        chunks.extend(bare(next, high)?);
                        next = next.max(high.min(next.saturating_add(WIDEST)));
                        break;
                    }
                }
                patience = FIRST_PATIENCE;
                continue;
            }
            Next::Over(end) => {
                over = true;
                chunks.extend(bare(next, end)?);
                break;
            }
        };
        if item.span.end <= next {
            continue;
        }
        if opened && chunks.is_empty() && item.span.base > next && !log.compacts() {
            // Either nothing stands between, or what did was trimmed.
            still_there(log, next).await?;
        }
        if item.span.base - next > WIDEST {
            chunks.extend(bare(next, item.span.base)?);
            next += WIDEST;
            cursor.pending = Some(item);
            break;
        }
        let batches = match &item.batches {
            Ok(batches) => batches,
            Err(_) if !chunks.is_empty() => {
                cursor.pending = Some(item);
                break;
            }
            Err(error) => {
                let text = format!("offset {}: {error}", item.span.base);
                return Err(StoreReadError::Unreadable(text));
            }
        };
        let records = batches.iter().flat_map(Placed::chunks);
        let parts: Vec<Bytes> = bare(next, item.span.base)?
            .into_iter()
            .chain(records)
            .collect();
        let bytes: usize = parts.iter().map(Bytes::len).sum();
        let progress = limit.at_least_one && chunks.is_empty();
        if size + bytes > limit.max_bytes && !progress {
            cursor.pending = Some(item);
            break;
        }
        size += bytes;
        chunks.extend(parts);
        patience = NEXT_PATIENCE;
        next = item.span.end;
        log.raise(next);
        if next >= log.high() || log.holds(next) || size >= limit.max_bytes {
            break;
        }
    }
    cursor.reached = Some(next);
    Ok(Filled { chunks, over })
}

/// The batch without records that covers the offsets from `next` to before `end`, or as many as one can.
fn bare(next: i64, end: i64) -> Result<Vec<Bytes>, StoreReadError> {
    let end = end.min(next.saturating_add(WIDEST));
    let gap = entry::gap(next, end);
    let gap = gap.map_err(|error| StoreReadError::Unreadable(error.to_string()))?;
    Ok(gap.iter().flat_map(Placed::chunks).collect())
}

impl Cursor {
    /// The next entry, where it comes in time or `next` was not reached yet.
    async fn next(
        &mut self,
        log: &Log,
        next: i64,
        patience: Duration,
    ) -> Result<Next, StoreReadError> {
        if let Some(pending) = self.pending.take() {
            return Ok(Next::Entry(pending));
        }
        if let Some(compacted) = &self.compacted
            && compacted.is_exhausted()
        {
            return Ok(Next::Over(compacted.until));
        }
        let entry = loop {
            let entry = match timeout(patience, self.reader.next()).await {
                Ok(Ok(Some(entry))) => entry,
                Ok(Ok(None)) => return Ok(Next::Late),
                Ok(Err(ReadError::Damaged {
                    ledger,
                    entry,
                    reason,
                })) => {
                    let position = Position { ledger, entry };
                    return self.damaged(log, position, reason).await.map(Next::Entry);
                }
                Ok(Err(error)) => return Err(unavailable(log, error)),
                Err(_) if patience < FIRST_PATIENCE => return Ok(Next::Late),
                // What was to come may have been compacted away since, or removed.
                Err(_) if log.compacts() => return Ok(Next::Over(next)),
                Err(error) => return Err(unavailable(log, error)),
            };
            if entry.index.is_some() {
                break entry;
            }
            // It has no offset at which anyone could be given it.
            damaged::tell(log, position(&entry), &DecodeError::NoIndex);
        };
        let span = Span::of(&entry.metadata, entry.index)
            .map_err(|error| StoreReadError::Unreadable(error.to_string()))?;
        if self.next.is_some_and(|end| span.base < end) {
            log.mismatch(position(&entry), span);
            return Err(StoreReadError::Unavailable("offsets overlap".into()));
        }
        if let Some(compacted) = &mut self.compacted {
            if span.base >= compacted.until {
                return Ok(Next::Over(compacted.until));
            }
            compacted.given(position(&entry));
        } else if log.compacts() && span.base > next && compacted::removed(log, next).await? {
            return Ok(Next::Over(next));
        }
        self.passes(log, position(&entry), span);
        let batches = if span.end <= next {
            Ok(Vec::new())
        } else {
            entry::decode(log.is_group_log(), &entry.metadata, &entry.payload, span)
        };
        Ok(Next::Entry(Unpacked { span, batches }))
    }

    /// What is ahead of a cursor that is given nothing.
    async fn ahead(&self, log: &Log, next: i64) -> Result<Ahead, StoreReadError> {
        if self.compacted.is_some() {
            // It knows where it ends.
            return Ok(Ahead::Records);
        }
        let ahead = bounds::ahead(&log.shared.admin, &log.topic, next).await;
        ahead.map_err(|error| unavailable(log, error))
    }

    fn passes(&mut self, log: &Log, position: Position, span: Span) {
        log.learn(position, span);
        self.next = Some(span.end);
    }

    /// The entry at which the reader has ended. Another one goes on behind it.
    async fn damaged(
        &mut self,
        log: &Log,
        position: Position,
        reason: String,
    ) -> Result<Unpacked, StoreReadError> {
        let error = DecodeError::Damaged(reason);
        if self.compacted.is_some() {
            return Err(StoreReadError::Unreadable(error.to_string()));
        }
        let span = damaged::span(log, position).await;
        let span = span.map_err(|error| unavailable(log, error))?;
        let span = span.ok_or_else(|| StoreReadError::Unreadable(error.to_string()))?;
        self.reader = reader(log, position.start_behind()).await?;
        self.passes(log, position, span);
        Ok(Unpacked {
            span,
            batches: Err(error),
        })
    }
}

async fn reader(log: &Log, start: ReaderStart) -> Result<Reader, StoreReadError> {
    Metrics::add(&log.shared.metrics.readers_opened);
    let options = ReaderOptions {
        receive_bytes_budget: log.shared.cursors.receive_bytes,
        ..ReaderOptions::default()
    };
    let topic = log.topic.as_str();
    let opened = log.shared.client.reader(topic, start, options).await;
    opened.map_err(|error| unavailable(log, error))
}

async fn open(log: &Log, from: i64) -> Result<Cursor, StoreReadError> {
    if log.compacts() && compacted::removed(log, from).await? {
        return compacted::open(log, from, log.stored_start()).await;
    }
    let start = start(log, from).await?;
    Ok(Cursor {
        topic: log.topic.clone(),
        reader: reader(log, start).await?,
        next: None,
        reached: None,
        pending: None,
        compacted: None,
        parked: Instant::now(),
    })
}

/// Where a reader has to begin so that it soon comes to `from`.
async fn start(log: &Log, from: i64) -> Result<ReaderStart, StoreReadError> {
    if from == log.stored_start() {
        return Ok(log.beginning());
    }
    let (below, above) = log.around(from);
    if let Some(Point { base, position }) = below
        && from - base <= NEAR
    {
        return Ok(position.start());
    }
    let admin = &log.shared.admin;
    let stats = admin
        .internal_stats(&log.topic)
        .await
        .map_err(|e| unavailable(log, e))?;
    let around = Around { below, above };
    let found = offset_search::find(admin, &log.topic, &stats, from, around)
        .await
        .map_err(|error| unavailable(log, error))?;
    Ok(found.map_or_else(|| log.beginning(), Position::start))
}

/// Asks where the log begins now; an offset before that is out of range.
async fn still_there(log: &Log, offset: i64) -> Result<(), StoreReadError> {
    let bounds = bounds::ask(&log.shared.admin, &log.topic)
        .await
        .map_err(|error| unavailable(log, error))?;
    log.begins(bounds.start);
    let Watermarks {
        log_start, high, ..
    } = log.watermarks();
    if offset >= log_start.0 {
        return Ok(());
    }
    Err(StoreReadError::OutOfRange { log_start, high })
}

/// Pulsar does not answer, or the topic is gone.
pub(crate) fn unavailable(
    log: &Log,
    error: impl std::error::Error + Send + Sync + 'static,
) -> StoreReadError {
    if log.is_deleted() {
        StoreReadError::Deleted
    } else {
        StoreReadError::Unavailable(Box::new(error))
    }
}

/// A cursor of its own from `from` on, for a scan.
pub(crate) struct Scan {
    cursor: Cursor,
    log: Arc<Log>,
    next: i64,
}

impl Scan {
    pub(crate) async fn open(log: Arc<Log>, from: i64) -> Result<Self, StoreReadError> {
        Ok(Self {
            cursor: open(&log, from).await?,
            log,
            next: from,
        })
    }

    /// The next entry's batches. One is known to exist.
    pub(crate) async fn next(&mut self) -> Result<Vec<Placed>, StoreReadError> {
        let mut attempts = 0;
        loop {
            let next = self.cursor.next(&self.log, self.next, FIRST_PATIENCE);
            let item = match next.await? {
                Next::Entry(item) => item,
                Next::Late => return Ok(Vec::new()),
                Next::Over(end) => {
                    self.next = self.next.max(end);
                    if self.next >= self.log.high() || attempts == ATTEMPTS {
                        return Ok(Vec::new());
                    }
                    attempts += 1;
                    self.cursor = open(&self.log, self.next).await?;
                    continue;
                }
            };
            if item.span.end <= self.next {
                continue;
            }
            self.next = item.span.end;
            // What cannot be unpacked has no timestamps that anyone could ask for.
            return Ok(item.batches.unwrap_or_default());
        }
    }

    /// The offset behind what was read.
    pub(crate) fn position(&self) -> i64 {
        self.next
    }
}
