//! Which brokers are known to number what is written through them.
//!
//! Where an entry stands tells its offset only if the broker counts (its
//! `AppendIndexMetadataInterceptor`). Brokers do not say whether they do, and one that was started anew
//! may have other settings: the entries of each connection show it.
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use pulsar_client::ConnectionId;

/// Connections that are remembered. Through one that was forgotten, one more entry's index is asked for.
const MOST: usize = 256;

/// The connections through which an entry was written that has an index.
#[derive(Debug, Default)]
pub(crate) struct Numbering(Mutex<VecDeque<ConnectionId>>);

impl Numbering {
    fn shown(&self) -> MutexGuard<'_, VecDeque<ConnectionId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written through that connection has an index.
    pub(crate) fn note(&self, connection: ConnectionId) {
        let mut shown = self.shown();
        if shown.contains(&connection) {
            return;
        }
        if shown.len() == MOST {
            shown.pop_front();
        }
        shown.push_back(connection);
    }

    /// Whether that is known.
    pub(crate) fn has(&self, connection: ConnectionId) -> bool {
        self.shown().contains(&connection)
    }
}
