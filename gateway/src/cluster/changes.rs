//! Topics that have changed: what this gateway is to tell the others, and what it has heard from them.
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kop_wire::TopicName;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// Topics that are named one by one. With more than these, all topics count as changed, so that neither
/// the memory of a gateway that cannot announce nor an announcement grows with them.
const NAMED: usize = 4096;

/// Topics that were made, deleted, grown or configured, by their Kafka names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Changed {
    /// Those that are named.
    #[serde(default)]
    pub(crate) names: BTreeSet<String>,
    /// Any other may have changed as well.
    #[serde(default)]
    pub(crate) all: bool,
}

impl Changed {
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.all
    }

    /// Takes in what has changed besides.
    pub(crate) fn add(&mut self, more: Self) {
        self.all |= more.all;
        if self.all {
            self.names.clear();
            return;
        }
        self.names.extend(more.names);
        if self.names.len() > NAMED {
            self.names.clear();
            self.all = true;
        }
    }

    /// The names, as far as they are any.
    pub(crate) fn topics(&self) -> impl Iterator<Item = TopicName> {
        self.names
            .iter()
            .filter_map(|name| TopicName::new(name).ok())
    }
}

impl From<&TopicName> for Changed {
    fn from(name: &TopicName) -> Self {
        Self {
            names: [name.as_str().to_owned()].into(),
            all: false,
        }
    }
}

/// Changes that wait to be taken by one task.
#[derive(Debug, Default)]
pub(super) struct Changes {
    waiting: Mutex<Changed>,
    arrived: Notify,
}

impl Changes {
    fn waiting(&self) -> MutexGuard<'_, Changed> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to what waits.
    pub(super) fn note(&self, changed: Changed) {
        if !changed.is_empty() {
            self.waiting().add(changed);
            self.arrived.notify_one();
        }
    }

    /// Waits until something has changed.
    pub(super) async fn any(&self) {
        while self.waiting().is_empty() {
            self.arrived.notified().await;
        }
    }

    /// Everything that has changed since this was asked last.
    pub(super) fn take(&self) -> Changed {
        std::mem::take(&mut *self.waiting())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Changed {
        Changed::from(&TopicName::new(name).unwrap())
    }

    #[tokio::test]
    async fn what_changes_is_taken_once_and_together() {
        let changes = Changes::default();
        changes.note(Changed::default());
        changes.note(named("a"));
        changes.note(named("b"));
        changes.note(named("a"));
        changes.any().await;
        let taken = changes.take();
        let names: Vec<String> = taken
            .topics()
            .map(|name| name.as_str().to_owned())
            .collect();
        assert_eq!(names, ["a", "b"]);
        assert!(!taken.all && changes.take().is_empty());
    }

    #[test]
    fn more_than_can_be_named_are_all() {
        let mut changed = Changed::default();
        for n in 0..=NAMED {
            assert!(!changed.all);
            changed.add(named(&format!("topic-{n}")));
        }
        assert!(changed.all && changed.names.is_empty());
        changed.add(named("one-more"));
        assert!(changed.all && changed.names.is_empty(), "it is among all");
    }
}
