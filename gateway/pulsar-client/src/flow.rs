//! How many messages a reader lets the broker send.
//!
//! The broker counts *messages* against permits, but reads *entries*: with `p > 0` permits left it
//! sends up to `p` entries and then takes off all their messages, so that permits go below zero.
//! [`Flow`] keeps the same account on this side. It grants so that the balance never exceeds the
//! window, and a broker with a balance of at most `w` sends at most `w` entries more: the window is
//! the bound, in entries, of what is on its way or waiting to be read.

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
    /// Entries to have on their way.
    window: i64,
    /// Permits granted less messages read.
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
        self.grant().unwrap_or(0)
    }

    /// An entry has been read: what to grant now, if anything.
    pub(crate) fn read(&mut self, messages: u32, bytes: usize) -> Option<u32> {
        self.balance -= i64::from(messages);
        // A large entry counts at once and is forgotten slowly.
        self.entry_size = bytes.max(self.entry_size - self.entry_size.saturating_sub(bytes) / 8);
        let fitting = self.budget / self.entry_size.max(1);
        let fitting = i64::try_from(fitting).unwrap_or(MAX_WINDOW);
        self.window = (self.window * 2).min(fitting).clamp(1, MAX_WINDOW);
        self.grant()
    }

    /// Grants in large steps: once half of the window is used up.
    fn grant(&mut self) -> Option<u32> {
        if self.balance > self.window / 2 {
            return None;
        }
        // The broker adds permits up in an `int`.
        let permits = (self.window - self.balance).min(i64::from(i32::MAX / 2));
        self.balance += permits;
        u32::try_from(permits).ok().filter(|permits| *permits > 0)
    }
}

#[cfg(test)]
mod tests;
