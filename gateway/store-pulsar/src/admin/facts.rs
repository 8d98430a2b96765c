//! What Pulsar tells about a topic's ledgers and about one entry.
use std::{collections::BTreeMap, fmt, str::FromStr};

use pulsar_client::{EntryId, ReaderStart};
use reqwest::header::HeaderMap;
use serde::{Deserialize, Deserializer, de::IgnoredAny};

/// Name of the subscription of Pulsar's compaction.
pub(crate) const COMPACTION: &str = "__compaction";

/// Where an entry stands in a topic. Ledger ids rise with time within a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position {
    /// The ledger.
    pub(crate) ledger: u64,
    /// The entry within it, from 0.
    pub(crate) entry: u64,
}

impl Position {
    /// Whether `self` is the entry right behind `other`, so that nothing can stand between them.
    /// The first entry of a new ledger is not: markers may have closed the old one.
    pub(crate) fn follows(self, other: Self) -> bool {
        self.ledger == other.ledger && other.entry.checked_add(1) == Some(self.entry)
    }

    /// Where a reader begins to read the entry, and what stands behind it.
    pub(crate) fn start(self) -> ReaderStart {
        ReaderStart::At(self.into())
    }

    /// Where a reader begins to read what stands behind the entry.
    pub(crate) fn start_behind(self) -> ReaderStart {
        let entry = self.entry.saturating_add(1);
        Self { entry, ..self }.start()
    }
}

impl From<EntryId> for Position {
    fn from(EntryId { ledger, entry }: EntryId) -> Self {
        Self { ledger, entry }
    }
}

impl From<Position> for EntryId {
    fn from(Position { ledger, entry }: Position) -> Self {
        Self { ledger, entry }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ledger, self.entry)
    }
}

/// The ledgers of one topic.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InternalStats {
    #[serde(default)]
    ledgers: Vec<Ledger>,
    /// `ledger:entry` of the last entry that is durable; the entry is −1 in a ledger without any.
    #[serde(deserialize_with = "last_confirmed")]
    last_confirmed_entry: Option<(u64, i64)>,
    #[serde(default)]
    pub(super) properties: Option<BTreeMap<String, String>>,
    /// Bytes of all ledgers.
    total_size: Option<u64>,
    #[serde(default)]
    compacted_ledger: Option<CompactedLedger>,
    /// By the names of the subscriptions.
    #[serde(default)]
    cursors: BTreeMap<String, IgnoredAny>,
}

/// What compaction has left.
#[derive(Debug, Clone, Copy, Deserialize)]
struct CompactedLedger {
    /// −1 where there is none.
    size: i64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ledger {
    ledger_id: u64,
    /// 0 in the ledger that is being written, whatever it holds.
    entries: u64,
}

fn last_confirmed<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<(u64, i64)>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| {
        let (ledger, entry) = text.split_once(':')?;
        Some((ledger.parse().ok()?, entry.parse().ok()?))
    }))
}

impl InternalStats {
    /// Bytes of all entries and of what compaction has left, before they are replicated; `None` where
    /// Pulsar does not say.
    pub(crate) fn stored_bytes(&self) -> Option<u64> {
        let compacted = self.compacted_ledger.map_or(0, |ledger| ledger.size.max(0));
        Some(self.total_size?.saturating_add(compacted.unsigned_abs()))
    }

    /// Whether compaction has a cursor there: nothing behind it is removed before it was compacted.
    pub(crate) fn is_followed_by_compaction(&self) -> bool {
        self.cursors.contains_key(COMPACTION)
    }

    /// Each ledger that holds entries, oldest first, with their number.
    pub(crate) fn ledgers(&self) -> Vec<(u64, u64)> {
        let mut ledgers: Vec<(u64, u64)> = self
            .ledgers
            .iter()
            .map(|l| (l.ledger_id, self.entries_of(*l)))
            .collect();
        ledgers.retain(|(_, entries)| *entries > 0);
        ledgers.sort_unstable();
        ledgers
    }

    fn entries_of(&self, ledger: Ledger) -> u64 {
        match self.last_confirmed_entry {
            Some((id, last)) if id == ledger.ledger_id => u64::try_from(last.saturating_add(1))
                .unwrap_or(0)
                .max(ledger.entries),
            _ => ledger.entries,
        }
    }

    /// The first entry that is still there.
    pub(crate) fn first(&self) -> Option<Position> {
        self.ledgers().first().map(|(ledger, _)| Position {
            ledger: *ledger,
            entry: 0,
        })
    }

    /// The last entry that is durable and still there, a marker perhaps.
    pub(crate) fn last(&self) -> Option<Position> {
        self.ledgers().last().map(|(ledger, entries)| Position {
            ledger: *ledger,
            entry: entries.saturating_sub(1),
        })
    }

    /// Where the next entry will stand, of a topic without any and unless the ledger changes.
    pub(crate) fn begins(&self) -> Option<Position> {
        match self.last_confirmed_entry {
            Some((ledger, -1)) if self.ledgers().is_empty() => Some(Position { ledger, entry: 0 }),
            _ => None,
        }
    }

    /// The entry before `position`, if it is still there.
    pub(crate) fn before(&self, position: Position) -> Option<Position> {
        if let Some(entry) = position.entry.checked_sub(1) {
            return Some(Position {
                ledger: position.ledger,
                entry,
            });
        }
        let ledgers = self.ledgers();
        let (ledger, entries) = ledgers.iter().rev().find(|(id, _)| *id < position.ledger)?;
        Some(Position {
            ledger: *ledger,
            entry: entries.saturating_sub(1),
        })
    }

    /// The entry behind `position`, if there is one.
    pub(crate) fn behind(&self, position: Position) -> Option<Position> {
        let ledgers = self.ledgers();
        let held = ledgers.iter().find(|(id, _)| *id == position.ledger);
        let entry = position.entry.checked_add(1)?;
        if held.is_some_and(|(_, entries)| entry < *entries) {
            return Some(Position { entry, ..position });
        }
        let (ledger, _) = ledgers.iter().find(|(id, _)| *id > position.ledger)?;
        Some(Position {
            ledger: *ledger,
            entry: 0,
        })
    }

    /// A property of the topic itself (of one partition, where it has partitions).
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.properties.as_ref()?.get(name).map(String::as_str)
    }

    /// The index that the topic had reached when its ledgers last changed; `None` for a topic that
    /// never had one.
    pub(crate) fn index_on_record(&self) -> Option<i64> {
        self.property("index")?.parse().ok()
    }
}

/// One entry's metadata, as the headers of the entry read show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryFacts {
    /// Index of the entry's last message; `None` for an entry written without the interceptor.
    pub(crate) index: Option<i64>,
    /// Messages in the entry.
    pub(crate) messages: i64,
    /// Whether it is one that no Kafka client is ever given: a marker, of a transaction that was aborted, or
    /// of any in versions of Pulsar that number none of them.
    pub(crate) hidden: bool,
    /// Whether an open transaction wrote it or stands before it: until that ends, no reader is given it.
    pub(crate) undecided: bool,
}

impl EntryFacts {
    /// Index of the entry's first message.
    pub(crate) fn base(self) -> Option<i64> {
        self.index.map(|index| index - self.messages + 1)
    }

    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, String> {
        let index = number(headers, "x-pulsar-broker-entry-metadata-index")?;
        let messages: i64 = number(headers, "x-pulsar-num-batch-message")?.unwrap_or(1);
        if index.is_some_and(|index: i64| index < 0)
            || !(1..=i64::from(i32::MAX)).contains(&messages)
        {
            return Err("entry index or number of messages out of range".to_owned());
        }
        let is = |name| headers.get(name).is_some_and(|value| value == "true");
        Ok(Self {
            index,
            messages,
            hidden: headers.contains_key("x-pulsar-marker-type")
                || is("x-pulsar-txn-aborted")
                || index.is_none() && headers.contains_key("x-pulsar-txnid-most-bits"),
            undecided: is("x-pulsar-txn-uncommitted"),
        })
    }
}

fn number<T: FromStr>(headers: &HeaderMap, name: &str) -> Result<Option<T>, String> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| format!("header {name} is not a number"))
}
