//! How many messages a reader lets the broker send.
//!
//! The broker counts *messages* against permits, but reads *entries*: with `p > 0` permits left it
//! sends up to `p` entries and then takes off all their messages, so that permits go far below zero.
//! [`Flow`] keeps the same account on this side, of what has arrived: a broker with a balance of at
//! most `b` there sends at most `b` entries more, those that are on their way included. So many are
//! let come that they and those that wait to be read are no more than the window; and they are let
//! come as soon as half of it is free, so that the broker fetches some while others are being read.

/// Entries a new reader asks for: few, because nothing is known of their sizes.
const FIRST_WINDOW: i64 = 2;
/// Entries on their way at the most. Brokers read at most 100 at once.
pub(crate) const MAX_WINDOW: i64 = 256;

/// The account of one reader.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    /// Bytes to have on their way.
    budget: usize,
    /// Size of a large entry lately.
    entry_size: usize,
    /// Entries to have on their way or waiting to be read.
    window: i64,
    /// Permits granted less messages arrived.
    balance: i64,
}

impl Flow {
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            budget,
            entry_size: 0,
            window: FIRST_WINDOW,
            balance: 0,
        }
    }

    /// The permits to begin with.
    pub(crate) fn begin(&mut self) -> u32 {
        self.grant(0).unwrap_or(0)
    }

    /// An entry has arrived.
    pub(crate) fn arrived(&mut self, messages: u32, bytes: usize) {
        self.balance -= i64::from(messages);
        // A large entry counts at once and is forgotten slowly.
        self.entry_size = bytes.max(self.entry_size - self.entry_size.saturating_sub(bytes) / 8);
        let fitting = self.budget / self.entry_size.max(1);
        let fitting = i64::try_from(fitting).unwrap_or(MAX_WINDOW);
        self.window = (self.window * 2).min(fitting).clamp(1, MAX_WINDOW);
    }

    /// What to grant, if anything, with so many entries arrived and not read. In large steps: once half of
    /// the window is free and not granted.
    pub(crate) fn grant(&mut self, unread: usize) -> Option<u32> {
        let free = self.window - i64::try_from(unread).unwrap_or(i64::MAX);
        let missing = free - self.balance;
        let enough = (self.window + 1) / 2;
        if free < enough || missing < enough {
            return None;
        }
        // The broker adds permits up in an `int`.
        let permits = missing.min(i64::from(i32::MAX / 2));
        self.balance += permits;
        u32::try_from(permits).ok().filter(|permits| *permits > 0)
    }
}

#[cfg(test)]
mod tests;
