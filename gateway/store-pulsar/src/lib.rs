//! Kafka offsets and records on Apache Pulsar topics.
//!
//! A Kafka partition is a Pulsar topic. Pulsar numbers the messages of a topic (broker entry
//! metadata, PIP-70), and that number is the Kafka offset: whoever reads a topic sees the same one,
//! whoever wrote it.
//!
//! ```text
//! PulsarStore ── topics ── admin REST                 catalog, topics, naming, admin, policies
//!     │ open
//!     ▼
//! Log ◄── Writer: named producer, receipts → offsets  append, ownership, append::history
//!   │ ◄── tail reader: what others write              tail, feed
//!   ├── ring of the newest batches, sparse index      ring, offset_index
//!   └── cursors: sequential readers for the rest      read, offset_search, read::compacted
//! ```
//!
//! Which gateway should write is decided elsewhere ([`Views`]); that only one does is proved here.
//! A partition is open while somebody holds a handle to it, and a minute longer ([`PulsarOptions`] says how
//! long): then its tasks, its producer and its reader end, and the next who asks opens it anew     usage
mod admin;
mod append;
mod bounds;
mod catalog;
mod clock;
mod compaction;
mod config;
mod connect;
mod damaged;
mod entry;
mod examine;
mod feed;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod live;
mod log;
mod log_start;
mod look_anew;
mod membership;
mod metrics;
mod naming;
mod numbering;
mod offset_index;
mod offset_search;
mod offset_time;
mod options;
mod owned_before;
mod ownership;
mod partition;
mod policies;
mod producer_ids;
mod read;
mod ring;
mod shared;
mod tail;
mod time_index;
mod topics;
mod usage;
mod version;
mod views;

pub use admin::AdminError;
pub use catalog::PulsarStore;
pub use config::supports;
pub use connect::ConnectError;
pub use examine::examine;
pub use membership::{Announced, Announcements, MembershipError, MembershipLog, Seat, SeatError};
pub use metrics::PulsarMetrics;
pub use naming::{Naming, PulsarTopic};
pub use options::{EntryFormat, PulsarAuthentication, PulsarOptions};
pub use partition::{PulsarPartition, WeakPulsarPartition};
pub use views::Views;
