//! What a topic may be called.
use std::{fmt, sync::Arc};

/// Longest name of a topic, and of each part of a Pulsar name, in bytes.
const MAX_PART: usize = 249;

/// A legal topic name: Kafka's (`[a-zA-Z0-9._-]{1,249}`, neither `.` nor `..`), or one of Pulsar's
/// longer forms, `tenant/namespace/topic` and `persistent://tenant/namespace/topic`, as `KoP`'s users
/// write them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

/// The text is not a topic name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopicName {
    /// It is empty, or a part of it is.
    #[error("topic name is empty")]
    Empty,
    /// It, or a part of it, is `.` or `..`.
    #[error("topic name may not be \".\" or \"..\"")]
    Dots,
    /// It, or a part of it, is longer than 249 bytes.
    #[error("topic name is longer than {MAX_PART} bytes")]
    TooLong,
    /// It holds a character that is not allowed.
    #[error("topic name holds {0:?}; allowed are letters, digits, \".\", \"_\" and \"-\"")]
    Character(char),
    /// It has slashes, but not two (after `persistent://`, which may be left out).
    #[error("topic name with slashes is not tenant/namespace/topic")]
    Parts,
}

impl TopicName {
    /// Checks a name.
    ///
    /// # Errors
    /// Says what is wrong with the name.
    pub fn new(name: &str) -> Result<Self, InvalidTopicName> {
        let path = name.strip_prefix("persistent://");
        if path.is_none() && !name.contains('/') {
            part(name, kafka_character)?;
            return Ok(Self(name.into()));
        }
        let mut parts = path.unwrap_or(name).split('/');
        for _ in 0..3 {
            part(
                parts.next().ok_or(InvalidTopicName::Parts)?,
                pulsar_character,
            )?;
        }
        match parts.next() {
            Some(_) => Err(InvalidTopicName::Parts),
            None => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn part(text: &str, allowed: fn(char) -> bool) -> Result<(), InvalidTopicName> {
    if text.is_empty() {
        return Err(InvalidTopicName::Empty);
    }
    if text == "." || text == ".." {
        return Err(InvalidTopicName::Dots);
    }
    if let Some(other) = text.chars().find(|c| !allowed(*c)) {
        return Err(InvalidTopicName::Character(other));
    }
    if text.len() > MAX_PART {
        return Err(InvalidTopicName::TooLong);
    }
    Ok(())
}

fn kafka_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// Pulsar's tenants and namespaces may hold `=` and `:` as well.
fn pulsar_character(c: char) -> bool {
    kafka_character(c) || matches!(c, '=' | ':')
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_kafka_allows_are_taken() {
        for name in ["a", "orders", "My.Topic_1-x", &"x".repeat(249)] {
            assert_eq!(
                TopicName::new(name).map(|n| n.as_str().to_owned()),
                Ok(name.to_owned())
            );
        }
    }

    #[test]
    fn names_that_kafka_refuses_are_refused() {
        let cases = [
            ("", InvalidTopicName::Empty),
            (".", InvalidTopicName::Dots),
            ("..", InvalidTopicName::Dots),
            ("a b", InvalidTopicName::Character(' ')),
            ("a:b", InvalidTopicName::Character(':')),
            ("grün", InvalidTopicName::Character('ü')),
            (&"x".repeat(250), InvalidTopicName::TooLong),
        ];
        for (name, error) in cases {
            assert_eq!(TopicName::new(name), Err(error), "{name}");
        }
    }

    #[test]
    fn pulsar_names_need_exactly_three_parts() {
        assert!(TopicName::new("public/default/orders").is_ok());
        assert!(TopicName::new("persistent://public/default/orders").is_ok());
        assert_eq!(
            TopicName::new("default/orders"),
            Err(InvalidTopicName::Parts)
        );
        assert_eq!(
            TopicName::new("persistent://orders"),
            Err(InvalidTopicName::Parts)
        );
        assert_eq!(TopicName::new("a/b/c/d"), Err(InvalidTopicName::Parts));
        assert_eq!(TopicName::new("a//c"), Err(InvalidTopicName::Empty));
        assert_eq!(TopicName::new("a/../c"), Err(InvalidTopicName::Dots));
        assert_eq!(
            TopicName::new("non-persistent://a/b/c"),
            Err(InvalidTopicName::Empty)
        );
    }
}
