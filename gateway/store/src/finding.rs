//! What looking at a store brings, before anything is served from it.

/// One thing that was looked at, in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub subject: String,
    /// How it stands.
    pub state: FindingState,
    /// What was found: the beginning of a sentence, without a full stop.
    pub text: String,
    /// What would make it well.
    pub remedies: Vec<Remedy>,
}

/// How something that was looked at stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingState {
    /// As it should be.
    Ok,
    /// The gateway runs, but not as one may expect; or it could not be seen.
    Warning,
    /// The gateway does not run, or loses what it should keep.
    Missing,
    /// Nobody answered, so there was nothing to look at.
    Unreachable,
}

/// Something to do, to be copied as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// A line of the store's own configuration file; its processes are restarted afterwards.
    Setting(String),
    /// A command line.
    Command(String),
}

impl Finding {
    /// It is as it should be.
    #[must_use]
    pub fn ok(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(FindingState::Ok, subject, text)
    }

    /// It works, but.
    #[must_use]
    pub fn warning(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(FindingState::Warning, subject, text)
    }

    /// It does not work.
    #[must_use]
    pub fn missing(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(FindingState::Missing, subject, text)
    }

    /// Nobody answered.
    #[must_use]
    pub fn unreachable(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(FindingState::Unreachable, subject, text)
    }

    fn new(state: FindingState, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            state,
            text: text.into(),
            remedies: Vec::new(),
        }
    }

    /// With a line for the store's configuration file.
    #[must_use]
    pub fn set(mut self, line: impl Into<String>) -> Self {
        self.remedies.push(Remedy::Setting(line.into()));
        self
    }

    /// With a command to be run.
    #[must_use]
    pub fn run(mut self, command: impl Into<String>) -> Self {
        self.remedies.push(Remedy::Command(command.into()));
        self
    }
}
