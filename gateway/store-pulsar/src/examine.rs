//! A look at a Pulsar before a gateway is started on it: what is there, and what is missing.
//!
//! What is seen ([`Facts`]) and what follows from it ([`judge`]) are apart, so that every judgement is
//! tested without a Pulsar.
mod facts;
mod gather;
mod judge;
mod probe;
mod token;

use kop_store::Finding;

use crate::{PulsarOptions, connect};

/// Looks at the Pulsar that the options name and says what a gateway would miss there. Where it may,
/// it makes a topic `__kop_check-…` in each namespace that exists, writes two messages to it, reads
/// them and removes it again; it changes nothing else.
///
/// `largest_batch` is the size in bytes of the largest record batch that the gateway is to take.
pub async fn examine(options: PulsarOptions, largest_batch: usize) -> Vec<Finding> {
    match connect::clients(&options) {
        Ok(clients) => {
            let facts = gather::gather(&options, &clients, largest_batch).await;
            judge::judge(&facts)
        }
        Err(error) => vec![Finding::unreachable("options", facts::chain(&error))],
    }
}
