//! A part as a process: its output watched and kept, and its end certain.

use crate::wait::until;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running part. Its standard output is kept line by line and, like its standard error, written
/// to a log. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Lines>,
    copying: Option<JoinHandle<std::io::Result<()>>>,
    logs: [PathBuf; 2],
}

/// The lines of standard output so far.
#[derive(Debug, Default)]
struct Lines {
    all: Mutex<Vec<String>>,
    /// Notified with each line, and at the end of the output.
    more: Condvar,
}

/// Longest time between two looks at whether a process has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Process {
    /// Starts `command`; its logs are `NAME.out` and `NAME.err` in `logs`, continued if they exist.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(name: &str, mut command: Command, logs: &Path) -> Result<Self> {
        let logs = ["out", "err"].map(|kind| logs.join(format!("{name}.{kind}")));
        let [out, err] = logs
            .each_ref()
            .map(|log| File::options().create(true).append(true).open(log));
        let mut out = out?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(err?)
            .spawn()
            .with_context(|| format!("start {name}: {command:?}"))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let lines = Arc::new(Lines::default());
        let kept = Arc::clone(&lines);
        let copying = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let line = line?;
                writeln!(out, "{line}")?;
                let mut all = kept.all.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(line);
                kept.more.notify_all();
            }
            Ok(())
        });
        Ok(Self {
            name: name.to_owned(),
            child,
            lines,
            copying: Some(copying),
            logs,
        })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Applies `look` to the lines of standard output from number `from` on.
    pub fn lines<T>(&self, from: usize, look: impl FnOnce(&[String]) -> T) -> T {
        let lines = self.lines.all.lock();
        let lines = lines.unwrap_or_else(PoisonError::into_inner);
        look(lines.get(from..).unwrap_or_default())
    }

    /// Waits until `found` yields a value for a line of standard output.
    ///
    /// # Errors
    /// The process ended or the time passed before that.
    pub fn wait_for_line<T>(
        &mut self,
        what: &str,
        within: Duration,
        found: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + within;
        let mut seen = 0;
        loop {
            let ended = self.ended()?;
            let value = self.lines(seen, |new| {
                seen += new.len();
                new.iter().find_map(|line| found(line))
            });
            match (value, ended) {
                (Some(value), _) => return Ok(value),
                (None, Some(status)) => bail!("{} ended ({status}) before {what}", self.name),
                (None, None) if Instant::now() >= deadline => {
                    let (name, seconds) = (&self.name, within.as_secs());
                    bail!("waited {seconds} s in vain for {what} of {name}")
                }
                (None, None) => self.await_line(seen),
            }
        }
    }

    /// Waits a little for a line behind the first `seen`.
    fn await_line(&self, seen: usize) {
        let lines = self.lines.all.lock();
        let lines = lines.unwrap_or_else(PoisonError::into_inner);
        let more = &self.lines.more;
        drop(more.wait_timeout_while(lines, LOOK_AGAIN, |lines| lines.len() <= seen));
    }

    /// Its status if it has ended, with all of its output there.
    ///
    /// # Errors
    /// The system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some()
            && let Some(copying) = self.copying.take()
        {
            copying
                .join()
                .ok()
                .context("the thread that copies output panicked")??;
        }
        Ok(status)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        until(&format!("the end of {}", self.name), within, || {
            self.ended()
        })
    }

    /// Waits for a good end.
    ///
    /// # Errors
    /// It does not end in time, or not with status 0.
    pub fn succeed(&mut self, within: Duration) -> Result<()> {
        let status = self.wait(within)?;
        if !status.success() {
            bail!("{} ended with {status}; see {:?}", self.name, self.logs);
        }
        Ok(())
    }

    /// Writes a line to its standard input and gives the line that it answers with.
    ///
    /// # Errors
    /// It ended, or answered nothing in time.
    pub fn ask(&mut self, line: &str, within: Duration) -> Result<String> {
        let answered = self.lines(0, <[String]>::len);
        let input = self.child.stdin.as_mut().context("its input has ended")?;
        writeln!(input, "{line}").with_context(|| format!("ask {}", self.name))?;
        until(
            &format!("an answer of {} to {line}", self.name),
            within,
            || {
                let ended = self.ended()?;
                match (self.lines(answered, |new| new.first().cloned()), ended) {
                    (None, Some(status)) => {
                        bail!("{} ended ({status}) asked for {line}", self.name)
                    }
                    (answer, _) => Ok(answer),
                }
            },
        )
    }

    /// The last lines of its standard error.
    #[must_use]
    pub fn last_words(&self) -> String {
        const LINES: usize = 20;
        let [_, err] = &self.logs;
        let said = std::fs::read(err).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        lines
            .get(lines.len().saturating_sub(LINES)..)
            .unwrap_or_default()
            .join("\n")
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Ends it by `SIGKILL`, which it cannot know of before. It is gone when this returns.
    ///
    /// # Errors
    /// It has ended already.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} has ended already: {status}", self.name);
        }
        self.child.kill()?;
        self.child.wait()?;
        self.ended().map(drop)
    }

    /// Sends a signal by its name, such as `TERM`.
    ///
    /// # Errors
    /// The process has ended already.
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} has ended already: {status}", self.name);
        }
        let sent = Command::new("kill")
            .args(["-s", signal, &self.id().to_string()])
            .status()?;
        if !sent.success() {
            bail!("cannot signal {}", self.name);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
