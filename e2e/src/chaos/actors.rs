//! Who writes, reads and commits while things break.

mod committers;
mod leaders;
mod looks;
mod processes;
mod producers;
mod readers;

pub use committers::commit;
pub use looks::{look_at_commits, look_at_metrics};
pub use processes::{Client, pulsar_topic, read_in_group};
pub use producers::{Identified, produce};
pub use readers::{read_all, read_anywhere, read_on};
