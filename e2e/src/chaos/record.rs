//! A record knows who wrote it, and says it in its text.

use anyhow::{Context, Result, ensure};
use std::fmt::{self, Display, Formatter, Write as _};

/// Who wrote a record, and its number among those that this producer wrote to that partition, from 0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The producer.
    pub producer: u8,
    /// The record's number.
    pub number: u32,
}

impl Identity {
    /// The record that this producer sends to the partition so many records later.
    #[must_use]
    pub fn plus(self, records: u32) -> Self {
        let number = self.number + records;
        Self { number, ..self }
    }
}

impl Display for Identity {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of producer {}", self.number, self.producer)
    }
}

/// The value of a record: its identity, and letters after that, so that lengths differ. `Numbered.java`
/// makes the same.
#[must_use]
pub fn value(record: Identity, partition: usize) -> String {
    let Identity { producer, number } = record;
    let letter = char::from(b'a' + (number % 26) as u8);
    let length = u64::from(number) * 31 % 150;
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "{producer} {partition} {number} ");
    text.extend(std::iter::repeat_n(letter, length as usize));
    text
}

/// The identity in a value, all of which must be as it was sent to that partition.
///
/// # Errors
/// It is another value.
pub fn identify(partition: usize, text: &str) -> Result<Identity> {
    let mut fields = text.splitn(4, ' ');
    let mut field = || fields.next().context("a field is missing");
    let (producer, _, number) = (field()?, field()?, field()?);
    let record = Identity {
        producer: producer.parse()?,
        number: number.parse()?,
    };
    ensure!(
        text == value(record, partition),
        "a record of partition {partition} is not as it was sent: {text}"
    );
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_who_wrote_it_and_where_to() {
        let record = Identity {
            producer: 3,
            number: 77,
        };
        let text = value(record, 5);
        assert_eq!(identify(5, &text).unwrap(), record);
        assert!(identify(4, &text).is_err());
        assert!(identify(5, text.trim_end_matches('z')).is_err());
    }
}
