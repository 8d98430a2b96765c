//! The table of topic options.
use super::{
    ConfigError, ConfigValue, ValueType,
    value::Range::{self, Flag, From, OneOf, Ratio, SomeOf},
};

/// An option that a topic may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the table documents each of them")]
pub enum TopicOption {
    CleanupPolicy,
    CompressionType,
    DeleteRetentionMs,
    FlushMessages,
    FlushMs,
    IndexIntervalBytes,
    MaxCompactionLagMs,
    MaxMessageBytes,
    MessageDownconversionEnable,
    MessageTimestampAfterMaxMs,
    MessageTimestampBeforeMaxMs,
    MessageTimestampType,
    MinCleanableDirtyRatio,
    MinCompactionLagMs,
    MinInsyncReplicas,
    Preallocate,
    RemoteStorageEnable,
    RetentionBytes,
    RetentionMs,
    SegmentBytes,
    SegmentIndexBytes,
    SegmentJitterMs,
    SegmentMs,
    UncleanLeaderElectionEnable,
}

impl TopicOption {
    /// The option's row of the table.
    ///
    /// # Panics
    /// Never: a test looks every option up.
    #[must_use]
    pub fn spec(self) -> &'static OptionSpec {
        let row = OPTIONS.iter().find(|spec| spec.option == self);
        row.expect("each option has a row")
    }
}

/// A row of the table.
#[derive(Debug)]
pub struct OptionSpec {
    /// Which option.
    pub option: TopicOption,
    /// Kafka's name of it.
    pub name: &'static str,
    /// Kafka's type of its values.
    pub kind: ValueType,
    /// The value where nothing else says one: Kafka's default, unless the option has only one value.
    pub default: &'static str,
    /// Kafka's name of the same setting for a whole broker.
    pub broker_name: &'static str,
    /// What it does here.
    pub doc: &'static str,
    /// Why it has no value but its default; `None` where it may be set to others.
    pub fixed: Option<&'static str>,
    range: Range,
}

impl OptionSpec {
    /// Reads a value as Kafka does.
    ///
    /// # Errors
    /// It is not of the option's type, out of its range, or not honoured.
    pub fn parse(&self, value: &str) -> Result<ConfigValue, ConfigError> {
        let parsed = self.range.parse(value);
        let parsed = parsed.ok_or_else(|| ConfigError::Invalid {
            name: self.name,
            value: value.to_owned(),
            expected: self.range.expected(),
        })?;
        match self.fixed {
            Some(reason) if parsed.to_string() != self.default => Err(ConfigError::Only {
                name: self.name,
                value: value.to_owned(),
                only: self.default,
                reason,
            }),
            _ => Ok(parsed),
        }
    }

    /// The value where nothing else says one.
    ///
    /// # Panics
    /// Never: a test reads every default.
    #[must_use]
    pub fn default_value(&self) -> ConfigValue {
        let parsed = self.range.parse(self.default);
        parsed.expect("a default is a legal value")
    }

    const fn is(mut self, value: &'static str, why_only: &'static str) -> Self {
        self.default = value;
        self.fixed = Some(why_only);
        self
    }
}

/// The row of a name.
pub(super) fn find(name: &str) -> Result<&'static OptionSpec, ConfigError> {
    if let Some(spec) = OPTIONS.iter().find(|spec| spec.name == name) {
        return Ok(spec);
    }
    match NOT_HONOURED.iter().find(|(known, _)| *known == name) {
        Some((name, reason)) => Err(ConfigError::NotHonoured { name, reason }),
        None => Err(ConfigError::Unknown(name.to_owned())),
    }
}

const fn row(
    (option, name, broker_name): (TopicOption, &'static str, &'static str),
    kind: ValueType,
    range: Range,
    default: &'static str,
    doc: &'static str,
) -> OptionSpec {
    OptionSpec {
        option,
        name,
        kind,
        default,
        broker_name,
        doc,
        fixed: None,
        range,
    }
}

/// A number of 64 bits from `low` on.
const fn long(
    names: (TopicOption, &'static str, &'static str),
    low: i64,
    default: &'static str,
    doc: &'static str,
) -> OptionSpec {
    row(names, ValueType::Long, From(low, i64::MAX), default, doc)
}

/// A number of 32 bits from `low` on.
const fn int(
    names: (TopicOption, &'static str, &'static str),
    low: i64,
    default: &'static str,
    doc: &'static str,
) -> OptionSpec {
    row(names, ValueType::Int, From(low, INT_MAX), default, doc)
}

const fn flag(
    names: (TopicOption, &'static str, &'static str),
    default: &'static str,
    doc: &'static str,
) -> OptionSpec {
    row(names, ValueType::Boolean, Flag, default, doc)
}

const INT_MAX: i64 = 0x7fff_ffff;
/// The largest number of 64 bits: no limit.
const FOR_EVER: &str = "9223372036854775807";

/// Kafka's codecs, and `producer` for leaving batches as they come.
const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

/// Every option that a topic may set, by name. Names, types, ranges and defaults are those of Kafka
/// 3.9's `TopicConfig` and `LogConfig`.
pub static OPTIONS: &[OptionSpec] = &[
    row(
        (
            TopicOption::CleanupPolicy,
            "cleanup.policy",
            "log.cleanup.policy",
        ),
        ValueType::List,
        SomeOf(&["delete", "compact"]),
        "delete",
        "What becomes of old records. delete: they go by age and size, as retention.ms and \
         retention.bytes say. compact: of each key the newest record stays, and records without a key \
         are refused. Both together: both.",
    ),
    row(
        (
            TopicOption::CompressionType,
            "compression.type",
            "compression.type",
        ),
        ValueType::String,
        OneOf(CODECS),
        "producer",
        "How records are compressed: as their producer did.",
    )
    .is(
        "producer",
        "batches are stored as their producer compressed them",
    ),
    long(
        (
            TopicOption::DeleteRetentionMs,
            "delete.retention.ms",
            "log.cleaner.delete.retention.ms",
        ),
        0,
        "86400000",
        "How long compaction keeps the record without a value that deletes a key, counted from when it \
         has removed the records of that key before it.",
    ),
    long(
        (
            TopicOption::FlushMessages,
            "flush.messages",
            "log.flush.interval.messages",
        ),
        1,
        FOR_EVER,
        "After how many records they are forced to the disk at the latest. Where an append is \
         acknowledged once it is on the disk, that is before any number.",
    ),
    long(
        (TopicOption::FlushMs, "flush.ms", "log.flush.interval.ms"),
        0,
        FOR_EVER,
        "After how long records are forced to the disk at the latest. Where an append is acknowledged \
         once it is on the disk, that is before any time.",
    ),
    int(
        (
            TopicOption::IndexIntervalBytes,
            "index.interval.bytes",
            "log.index.interval.bytes",
        ),
        0,
        "4096",
        "How many bytes of the log there are between entries of its index at the most. Every batch is \
         in the index here, so any value holds.",
    ),
    long(
        (
            TopicOption::MaxCompactionLagMs,
            "max.compaction.lag.ms",
            "log.cleaner.max.compaction.lag.ms",
        ),
        1,
        FOR_EVER,
        "How long a record may stay uncompacted, however little of the log is.",
    ),
    int(
        (
            TopicOption::MaxMessageBytes,
            "max.message.bytes",
            "message.max.bytes",
        ),
        0,
        "1048588",
        "The largest record batch that is taken, in bytes as it is sent.",
    ),
    flag(
        (
            TopicOption::MessageDownconversionEnable,
            "message.downconversion.enable",
            "log.message.downconversion.enable",
        ),
        "false",
        "Whether records are converted for consumers that know only formats 0 and 1.",
    )
    .is("false", "record formats 0 and 1 are not served"),
    long(
        (
            TopicOption::MessageTimestampAfterMaxMs,
            "message.timestamp.after.max.ms",
            "log.message.timestamp.after.max.ms",
        ),
        0,
        FOR_EVER,
        "How far ahead of the gateway's clock a record's timestamp may be, where producers set it.",
    ),
    long(
        (
            TopicOption::MessageTimestampBeforeMaxMs,
            "message.timestamp.before.max.ms",
            "log.message.timestamp.before.max.ms",
        ),
        0,
        FOR_EVER,
        "How far behind the gateway's clock a record's timestamp may be, where producers set it.",
    ),
    row(
        (
            TopicOption::MessageTimestampType,
            "message.timestamp.type",
            "log.message.timestamp.type",
        ),
        ValueType::String,
        OneOf(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "Whose clock timestamps are from: the producer's (CreateTime) or that of the log \
         (LogAppendTime).",
    ),
    row(
        (
            TopicOption::MinCleanableDirtyRatio,
            "min.cleanable.dirty.ratio",
            "log.cleaner.min.cleanable.ratio",
        ),
        ValueType::Double,
        Ratio,
        "0.5",
        "How much of a log, by bytes, must not yet have been compacted before it is.",
    ),
    long(
        (
            TopicOption::MinCompactionLagMs,
            "min.compaction.lag.ms",
            "log.cleaner.min.compaction.lag.ms",
        ),
        0,
        "0",
        "How long a record stays uncompacted at least, by its batch's largest timestamp.",
    ),
    int(
        (
            TopicOption::MinInsyncReplicas,
            "min.insync.replicas",
            "min.insync.replicas",
        ),
        1,
        "1",
        "How many replicas must have a record before it is acknowledged to acks=all.",
    )
    .is(
        "1",
        "as Kafka clients see it there is one node; what replicates is the store",
    ),
    flag(
        (TopicOption::Preallocate, "preallocate", "log.preallocate"),
        "false",
        "Whether segment files are made in their full size.",
    )
    .is("false", "there are no segment files"),
    flag(
        (
            TopicOption::RemoteStorageEnable,
            "remote.storage.enable",
            "remote.storage.enable",
        ),
        "false",
        "Whether old segments are moved to another storage by Kafka's brokers.",
    )
    .is("false", "tiered storage is the store's business"),
    long(
        (
            TopicOption::RetentionBytes,
            "retention.bytes",
            "log.retention.bytes",
        ),
        -1,
        "-1",
        "How many bytes of batches a partition keeps at least; the oldest batches beyond go. -1: no \
         limit.",
    ),
    long(
        (TopicOption::RetentionMs, "retention.ms", "log.retention.ms"),
        -1,
        "604800000",
        "How long records are kept, by their batch's largest timestamp. A batch that follows one which \
         stays, stays too. -1: for ever.",
    ),
    int(
        (
            TopicOption::SegmentBytes,
            "segment.bytes",
            "log.segment.bytes",
        ),
        14,
        "1073741824",
        "The most bytes that retention and compaction treat as one. Here they go batch by batch, so any \
         value holds.",
    ),
    int(
        (
            TopicOption::SegmentIndexBytes,
            "segment.index.bytes",
            "log.index.size.max.bytes",
        ),
        4,
        "10485760",
        "The largest index of a segment, which bounds the segment. Here retention and compaction go \
         batch by batch, so any value holds.",
    ),
    long(
        (
            TopicOption::SegmentJitterMs,
            "segment.jitter.ms",
            "log.roll.jitter.ms",
        ),
        0,
        "0",
        "How much earlier than segment.ms a segment may end. Here retention and compaction go batch by \
         batch, so any value holds.",
    ),
    long(
        (TopicOption::SegmentMs, "segment.ms", "log.roll.ms"),
        1,
        "604800000",
        "The longest time whose records retention and compaction treat as one. Here they go batch by \
         batch, so any value holds.",
    ),
    flag(
        (
            TopicOption::UncleanLeaderElectionEnable,
            "unclean.leader.election.enable",
            "unclean.leader.election.enable",
        ),
        "false",
        "Whether a replica that lacks records may become the leader.",
    )
    .is("false", "no replica lacks acknowledged records"),
];

/// What Kafka's topics may set besides, and why it is not taken here.
const NOT_HONOURED: &[(&str, &str)] = &[
    (
        "compression.gzip.level",
        "batches are stored as their producer compressed them",
    ),
    (
        "compression.lz4.level",
        "batches are stored as their producer compressed them",
    ),
    (
        "compression.zstd.level",
        "batches are stored as their producer compressed them",
    ),
    (
        "file.delete.delay.ms",
        "the store gives space back as it merges its files",
    ),
    (
        "follower.replication.throttled.replicas",
        "what replicates is the store",
    ),
    (
        "leader.replication.throttled.replicas",
        "what replicates is the store",
    ),
    (
        "local.retention.bytes",
        "tiered storage is the store's business",
    ),
    (
        "local.retention.ms",
        "tiered storage is the store's business",
    ),
    (
        "message.format.version",
        "records are stored in format 2, whatever it says",
    ),
    (
        "message.timestamp.difference.max.ms",
        "it is deprecated; set message.timestamp.before.max.ms and message.timestamp.after.max.ms",
    ),
    (
        "remote.log.copy.disable",
        "tiered storage is the store's business",
    ),
    (
        "remote.log.delete.on.disable",
        "tiered storage is the store's business",
    ),
];
