//! What the store asks of those who decide which gateway leads a partition.
use std::fmt::Debug;

use kop_store::PartitionId;

/// The views of who leads what, as this gateway sees them.
pub trait Views: Debug + Send + Sync {
    /// The number of the view now; rises with each change of who is in.
    fn number(&self) -> i32;

    /// The number of the view since which this gateway has led a partition; `None` where it does not.
    fn led_since(&self, partition: &PartitionId) -> Option<i32>;
}
