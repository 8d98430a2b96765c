//! Several gateways in front of one Pulsar while gateways and broker come and go: what writes, what
//! reads, what breaks, and who checks.
//!
//! Everybody is an actor with a thread of their own; what they share is the [`Course`].

pub mod actors;
pub mod checker;
pub mod course;
pub mod faults;
pub mod record;
pub mod settings;

pub use course::Course;
pub use settings::Settings;

/// The topic that all write to.
pub const TOPIC: &str = "chaos";
/// Its partitions.
pub const PARTITIONS: usize = 8;
