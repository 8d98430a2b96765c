//! The door for fuzz targets to what is not public. Built with the feature `fuzzing` only.
use crate::{Name, subscription};

/// The topics of a consumer's subscription; `None` where these bytes are none.
#[must_use]
pub fn subscribed_topics(bytes: &[u8]) -> Option<Vec<Name>> {
    subscription::topics(bytes)
}
