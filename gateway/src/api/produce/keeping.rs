//! The memory of batches once they are the store's.
//!
//! A store, and those who read from it, may keep a batch in memory for long. A batch that is a part of its
//! request's memory keeps all of that with it, so the whole request is counted for as long as any of its
//! batches is there. When too much is kept in that way already, batches are copied.
use std::sync::Arc;

use bytes::Bytes;

use crate::budget::{Budget, Share};

/// How the batches of one request are kept.
pub(super) enum Keeping {
    /// As it is, if there is not much else in the request, which is so large.
    Alone(usize),
    /// As they are, and the request counts.
    Shared(Arc<Share>),
    /// As copies.
    Copied,
}

/// A batch in a request's memory.
struct Kept {
    batch: Bytes,
    _request: Arc<Share>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.batch
    }
}

impl Keeping {
    /// For a request of so many batches and bytes.
    pub(super) fn of(batches: usize, bytes: usize, kept: &Budget) -> Self {
        if batches == 1 {
            return Self::Alone(bytes);
        }
        match kept.try_take(bytes) {
            Some(share) => Self::Shared(Arc::new(share)),
            None => Self::Copied,
        }
    }

    /// The bytes of one of its batches, to be kept for any time.
    pub(super) fn keep(&self, batch: Bytes) -> Bytes {
        match self {
            Self::Alone(request) if batch.len() >= request / 2 => batch,
            Self::Shared(request) => Bytes::from_owner(Kept {
                batch,
                _request: Arc::clone(request),
            }),
            Self::Alone(_) | Self::Copied => Bytes::copy_from_slice(&batch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_until_the_last_piece_of_its_batches_is_gone() {
        let budget = Budget::new(100);
        let request = Bytes::from(vec![7; 60]);
        let keeping = Keeping::of(2, request.len(), &budget);
        let [first, second] = [0..20, 20..60].map(|at| keeping.keep(request.slice(at)));
        drop(keeping);
        assert_eq!(second.as_ptr(), request[20..].as_ptr(), "not copied");
        let piece = second.slice(1..2);
        drop((first, second));
        assert!(budget.try_take(50).is_none());
        drop(piece);
        assert!(budget.try_take(100).is_some());
    }

    #[test]
    fn where_too_much_is_kept_batches_are_copied() {
        let budget = Budget::new(100);
        let _others = budget.try_take(50);
        let request = Bytes::from(vec![7; 60]);
        let copy = Keeping::of(2, request.len(), &budget).keep(request.slice(..20));
        assert_eq!(copy, request[..20]);
        assert_ne!(copy.as_ptr(), request.as_ptr());
    }

    #[test]
    fn a_batch_that_is_alone_stays_where_it_is_unless_it_is_small() {
        let budget = Budget::new(100);
        let request = Bytes::from(vec![7; 60]);
        let batch = Keeping::of(1, request.len(), &budget).keep(request.slice(10..));
        assert_eq!(batch.as_ptr(), request[10..].as_ptr());
        assert!(budget.try_take(100).is_some());
        let small = Keeping::of(1, request.len(), &budget).keep(request.slice(..20));
        assert_ne!(small.as_ptr(), request.as_ptr());
    }
}
