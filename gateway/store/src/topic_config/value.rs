//! Values of topic options: reading them as Kafka reads them, writing them down.
use std::fmt;

/// Kafka's type of a configuration value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// `true` or `false`.
    Boolean,
    /// A word.
    String,
    /// A number of 32 bits.
    Int,
    /// A number of 64 bits.
    Long,
    /// A number with a fraction.
    Double,
    /// Words separated by commas.
    List,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Range {
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second.
    From(i64, i64),
    /// A number from 0 to 1.
    Ratio,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One or more of these words, each once.
    SomeOf(&'static [&'static str]),
}

/// A legal value. Its `Display` is what Kafka's clients are told.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A number from 0 to 1.
    Ratio(f64),
    /// A word.
    Word(&'static str),
    /// Words in the order in which they were given, at least one.
    Words(Vec<&'static str>),
}

// No number that is not equal to itself lies from 0 to 1.
impl Eq for ConfigValue {}

impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            // As Java writes it: 1.0, not 1.
            Self::Ratio(ratio) => fmt::Debug::fmt(ratio, f),
            Self::Word(word) => f.write_str(word),
            Self::Words(words) => f.write_str(&words.join(",")),
        }
    }
}

/// The elements of a list as Kafka splits it; none of the empty text.
pub(super) fn elements(text: &str) -> Vec<String> {
    let split = text.split(',').map(str::trim);
    split
        .filter(|element| !element.is_empty())
        .map(str::to_owned)
        .collect()
}

impl Range {
    /// Reads a value; `None` where it is not one of these.
    pub(super) fn parse(self, text: &str) -> Option<ConfigValue> {
        let text = text.trim();
        match self {
            Self::Flag if text.eq_ignore_ascii_case("true") => Some(ConfigValue::Flag(true)),
            Self::Flag if text.eq_ignore_ascii_case("false") => Some(ConfigValue::Flag(false)),
            Self::Flag => None,
            Self::From(low, high) => {
                let number = text.parse().ok()?;
                (low..=high)
                    .contains(&number)
                    .then_some(ConfigValue::Number(number))
            }
            Self::Ratio => {
                let ratio = text.parse().ok()?;
                (0.0..=1.0)
                    .contains(&ratio)
                    .then_some(ConfigValue::Ratio(ratio))
            }
            Self::OneOf(words) => known(words, text).map(ConfigValue::Word),
            Self::SomeOf(words) => {
                let mut given = Vec::new();
                for element in elements(text) {
                    let word = known(words, &element)?;
                    if !given.contains(&word) {
                        given.push(word);
                    }
                }
                (!given.is_empty()).then_some(ConfigValue::Words(given))
            }
        }
    }

    /// For people: what a value has to be.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Flag => "true or false".to_owned(),
            Self::From(low, i64::MAX) => format!("a number from {low} on"),
            Self::From(low, high) => format!("a number from {low} to {high}"),
            Self::Ratio => "a number from 0 to 1".to_owned(),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::SomeOf(words) => format!("one or more of {}", words.join(", ")),
        }
    }
}

fn known(words: &[&'static str], word: &str) -> Option<&'static str> {
    words.iter().copied().find(|known| *known == word)
}
