//! What a group's members read. The bytes are the clients': nothing is believed.
use std::collections::BTreeSet;

use crate::{GroupId, Groups, Name, classic::State};

/// The protocol type of groups whose subscriptions the coordinator can read.
const CONSUMER: &str = "consumer";

/// What is known of what a group's members read.
#[derive(Debug)]
pub(crate) enum Subscribed {
    /// All of it; nothing, where there are no members.
    To(Subscription),
    /// Nothing: they are consumers, but a subscription cannot be read.
    Unreadable,
    /// Nothing: they are no consumers.
    Foreign,
}

/// Topics that members read, by the names they have in records.
#[derive(Debug, Default)]
pub(crate) struct Subscription(BTreeSet<Name>);

impl Subscription {
    pub(crate) fn includes(&self, topic: &Name) -> bool {
        self.0.contains(topic)
    }
}

impl Groups {
    /// What the members of a group read.
    pub(crate) fn subscribed(&self, id: &GroupId) -> Subscribed {
        let live = self.live.get(id).filter(|g| g.state() != State::Empty);
        let Some(group) = live else {
            return Subscribed::To(Subscription::default());
        };
        if group.protocol_type().map(Name::as_str) != Some(CONSUMER) {
            return Subscribed::Foreign;
        }
        let mut read = Subscription::default();
        for subscription in group.subscriptions() {
            let Some(topics) = topics(subscription) else {
                return Subscribed::Unreadable;
            };
            read.0
                .extend(topics.into_iter().map(|name| self.names.stored(name)));
        }
        Subscribed::To(read)
    }
}

/// The topics of a `ConsumerProtocolSubscription`, which stand first in all its versions; `None`
/// where these bytes are none.
pub(crate) fn topics(bytes: &[u8]) -> Option<Vec<Name>> {
    let (version, rest) = bytes.split_first_chunk()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    let (count, mut rest) = rest.split_first_chunk()?;
    let count = u32::try_from(i32::from_be_bytes(*count)).ok()?;
    let mut topics = Vec::new();
    for _ in 0..count {
        let (length, behind) = rest.split_first_chunk()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (topic, behind) = behind.split_at_checked(length)?;
        topics.push(Name::new(std::str::from_utf8(topic).ok()?).ok()?);
        rest = behind;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_stand_behind_the_version_whatever_follows() {
        let bytes = b"\0\x01\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff\0\0\0\0";
        let names = ["a", "bc"].map(|name| Name::new(name).unwrap());
        assert_eq!(topics(bytes), Some(names.to_vec()));
    }

    #[test]
    fn bytes_that_are_no_subscription_name_no_topics() {
        let bytes = b"\0\x01\0\0\0\x02\0\x01a\0\x02bc";
        for cut in 0..bytes.len() {
            assert_eq!(topics(&bytes[..cut]), None);
        }
        assert_eq!(topics(b"\0\0\xff\xff\xff\xff"), None);
        assert_eq!(topics(b"\xff\xff\0\0\0\0"), None);
        assert_eq!(topics(b"\0\0\x7f\xff\xff\xff"), None);
        assert_eq!(topics(b"\0\0\0\0\0\x01\0\x01\xff"), None);
    }
}
