//! What the embedded store finds in its directory.
use kop_store::producer_state::{ProducerState, Retention};
use kop_store_embedded::fuzzing;

/// A key and its value: `[key length u8][key][value]`.
pub fn stored_value(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else {
        return;
    };
    let (key, value) = rest.split_at(usize::from(*length).min(rest.len()));
    fuzzing::stored(key, value);
}

/// A snapshot of what idempotent producers wrote.
pub fn producer_state(bytes: &[u8]) {
    if let Ok(state) = ProducerState::restore(bytes, Retention::default()) {
        let snapshot = state.snapshot();
        // The same producer twice counts once, so the snapshot may be shorter.
        assert!(snapshot.len() <= bytes.len());
        let again = ProducerState::restore(&snapshot, Retention::default());
        let again = again.expect("what was written can be read");
        assert_eq!(again.snapshot().len(), snapshot.len());
    }
}
