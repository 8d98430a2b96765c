//! What members call a topic, and what offset records call it.
use std::{fmt, sync::Arc};

use crate::Name;

/// Turns the name by which a member subscribes to a topic into the one it has in records. Offsets of
/// one topic stand under one name, whatever its readers call it.
#[derive(Clone)]
pub struct TopicNames(Arc<dyn Fn(Name) -> Name + Send + Sync>);

impl TopicNames {
    /// Names as this function gives them. It must always give the same one.
    pub fn new(stored: impl Fn(Name) -> Name + Send + Sync + 'static) -> Self {
        Self(Arc::new(stored))
    }

    /// Records use the names that members use.
    #[must_use]
    pub fn verbatim() -> Self {
        Self::new(|name| name)
    }

    pub(crate) fn stored(&self, name: Name) -> Name {
        (self.0)(name)
    }
}

impl fmt::Debug for TopicNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TopicNames")
    }
}
