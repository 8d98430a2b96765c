//! Texts that go into records, none longer than a record can hold.
use std::{borrow::Borrow, fmt, sync::Arc};

/// A text that is longer than the 32,767 bytes that Kafka's record schema can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name of {0} bytes is longer than 32767")]
pub struct NameTooLong(usize);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// At most 32,767 bytes of UTF-8; clones share the text.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text, unless it is too long for a record.
            pub fn new(text: &str) -> Result<Self, NameTooLong> {
                if i16::try_from(text.len()).is_ok() {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(NameTooLong(text.len()))
                }
            }

            /// No text at all.
            #[must_use]
            pub fn empty() -> Self {
                Self(Arc::from(""))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// `group.id`: what the members of a group share.
    GroupId
}
name! {
    /// The id under which the coordinator knows one run of one member.
    MemberId
}
name! {
    /// `group.instance.id`: a member's own name, the same across its restarts (KIP-345).
    InstanceId
}
name! {
    /// A text whose meaning is the client's: a protocol, a client id, a topic as stored.
    Name
}
