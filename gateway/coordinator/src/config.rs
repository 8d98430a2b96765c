//! What an operator may set about groups.

/// Timing and limits of consumer groups. The defaults are Kafka's where Kafka has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// How long the first rebalance of an empty group waits for more members, in milliseconds
    /// (`group.initial.rebalance.delay.ms`). 0 means not at all.
    pub initial_rebalance_delay_ms: u64,
    /// Shortest session timeout a member may ask for (`group.min.session.timeout.ms`).
    pub min_session_timeout_ms: u64,
    /// Longest session timeout a member may ask for (`group.max.session.timeout.ms`).
    pub max_session_timeout_ms: u64,
    /// Members in one group (`group.max.size`), and as many more who have only been given an id.
    pub max_group_size: usize,
    /// Bytes of subscriptions and assignments of one group's members together: they are written as
    /// one record.
    pub max_group_bytes: usize,
    /// Groups with members in one shard.
    pub max_groups: usize,
    /// Bytes that members, their subscriptions and their assignments may take in one shard: what
    /// clients can make it keep by joining.
    pub max_shard_bytes: usize,
    /// Partitions for which one group may have committed an offset.
    pub max_offsets_per_group: usize,
    /// Length of the text a client may store with an offset (`offset.metadata.max.bytes`), in UTF-16
    /// units as in Kafka, whatever its setting's name says.
    pub max_offset_metadata_bytes: usize,
    /// How long a committed offset is kept that nobody uses (`offsets.retention.minutes`, here in
    /// milliseconds; KIP-211).
    pub offset_retention_ms: u64,
    /// How often offsets are looked through for such as nobody uses
    /// (`offsets.retention.check.interval.ms`).
    pub offset_retention_check_ms: u64,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            initial_rebalance_delay_ms: 3_000,
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 30 * 60 * 1_000,
            max_group_size: 2_000,
            max_group_bytes: 4 * 1024 * 1024,
            max_groups: 20_000,
            max_shard_bytes: 32 * 1024 * 1024,
            max_offsets_per_group: 200_000,
            max_offset_metadata_bytes: 4_096,
            offset_retention_ms: 7 * 24 * 60 * 60 * 1_000,
            offset_retention_check_ms: 10 * 60 * 1_000,
        }
    }
}
