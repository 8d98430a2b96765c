//! What the system is asked for, in its order, as `strace` tells it.

use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Calls that bring bytes or names somewhere, or that wait for the disk.
const CALLS: &str = "mkdir,mkdirat,openat,creat,rename,renameat,renameat2,unlink,unlinkat,rmdir,\
                     fsync,fdatasync,sync_file_range,write,writev,pwrite64,pwritev,sendto,sendmsg";

/// A call that succeeded. It began before line `begun` of the trace was written, and had returned
/// when line `returned` was.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// What it was called with, each file descriptor with what it stands for.
    pub(crate) arguments: String,
    begun: usize,
    returned: usize,
}

/// All calls, in the order in which they returned.
#[derive(Debug)]
pub(crate) struct Trace(Vec<Call>);

/// A command under `strace`, which writes to `trace`. It dies with `strace`.
pub(crate) fn traced(trace: &Path, binary: &Path) -> Result<Command> {
    let mut command = kop_e2e::install::program("strace", "strace")?;
    command.args(["-f", "-yy", "-s", "16384", "-e"]);
    command.arg(format!("trace={CALLS}"));
    command.arg("-o").arg(trace);
    command
        .args(["setpriv", "--pdeathsig", "KILL", "--"])
        .arg(binary);
    Ok(command)
}

impl Trace {
    /// Reads `PID call(arguments) = value`, in which other lines may come between
    /// `PID call(arguments <unfinished ...>` and `PID <... call resumed>arguments) = value`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path)?;
        let text = String::from_utf8_lossy(&text);
        let mut calls = Vec::new();
        let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
        for (line, text) in text.lines().enumerate() {
            let (process, said) = text.split_once(' ').context("no process")?;
            let said = said.trim_start();
            if said.starts_with("+++") || said.starts_with("---") {
                continue;
            }
            if let Some(call) = said.strip_suffix(" <unfinished ...>") {
                unfinished.insert(process, (line, call));
                continue;
            }
            let (begun, whole) = if let Some(rest) = said.strip_prefix("<... ") {
                let (begun, call) = unfinished.remove(process).context("resumed from nothing")?;
                let (_, rest) = rest.split_once(" resumed>").context("resumed")?;
                (begun, format!("{call}{rest}"))
            } else {
                (line, said.to_owned())
            };
            // Values stand in a column. The last call of a process that ends has none.
            let Some((call, value)) = whole.rsplit_once(" = ") else {
                continue;
            };
            let call = call.trim_end();
            let call = call.strip_suffix(')').unwrap_or(call);
            let (name, arguments) = call.split_once('(').context("no call")?;
            if !value.starts_with('-') && !value.starts_with('?') {
                calls.push(Call {
                    name: name.to_owned(),
                    arguments: arguments.to_owned(),
                    begun,
                    returned: line,
                });
            }
        }
        if calls.is_empty() {
            bail!("{} holds no calls", path.display());
        }
        Ok(Self(calls))
    }

    /// The process that was traced first.
    pub(crate) fn process(path: &Path) -> Result<String> {
        let text = std::fs::read_to_string(path)?;
        let (process, _) = text.split_once(' ').context("an empty trace")?;
        Ok(process.to_owned())
    }

    fn named<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a Call> {
        self.0
            .iter()
            .filter(|call| names.contains(&call.name.as_str()))
    }

    /// What was sent to the client at this port, in order.
    pub(crate) fn answers(&self, port: u16) -> Vec<&Call> {
        let to = format!(":{port}]>");
        self.named(&["write", "writev", "sendto", "sendmsg"])
            .filter(|call| {
                let (socket, _) = call.arguments.split_once(',').unwrap_or_default();
                socket.contains("<TCP") && socket.ends_with(&to)
            })
            .collect()
    }

    /// Whether a call wrote `marker` into a journal or a segment, and that file was brought to the disk,
    /// all of it before `answer` began. Fails where it was never written.
    pub(crate) fn is_synced(&self, marker: &str, answer: &Call) -> Result<bool> {
        let written = self
            .named(&["write", "writev", "pwrite64", "pwritev"])
            .find(|call| {
                let kept = [".jnl", ".appended"]
                    .iter()
                    .any(|end| file(call).ends_with(end));
                kept && call.arguments.contains(marker)
            });
        let written = written.with_context(|| format!("{marker} is in no journal or segment"))?;
        Ok(self.named(&["fsync", "fdatasync"]).any(|sync| {
            file(sync) == file(written)
                && sync.begun > written.returned
                && sync.returned < answer.begun
        }))
    }

    /// Names that were made below `folder`, or `folder` itself, and whose folder was not brought to the
    /// disk before `answer` began: after a power cut they may be gone.
    pub(crate) fn unsynced_names(&self, folder: &Path, answer: &Call) -> Vec<PathBuf> {
        let mut unsynced: HashMap<PathBuf, usize> = HashMap::new();
        for call in self.0.iter().filter(|call| call.returned < answer.begun) {
            let names: Vec<PathBuf> = call
                .arguments
                .split('"')
                .skip(1)
                .step_by(2)
                .map(Into::into)
                .collect();
            match call.name.as_str() {
                "mkdir" | "mkdirat" | "creat" => {
                    unsynced.extend(names.into_iter().map(|name| (name, call.returned)));
                }
                "openat" if call.arguments.contains("O_CREAT") => {
                    unsynced.extend(names.into_iter().map(|name| (name, call.returned)));
                }
                "rename" | "renameat" | "renameat2" => {
                    if let [from, to] = names.as_slice() {
                        unsynced.remove(from);
                        unsynced.insert(to.clone(), call.returned);
                    }
                }
                "unlink" | "unlinkat" | "rmdir" => {
                    unsynced.retain(|name, _| !names.contains(name));
                }
                "fsync" => {
                    let synced = PathBuf::from(file(call));
                    unsynced
                        .retain(|name, made| name.parent() != Some(&synced) || *made > call.begun);
                }
                _ => {}
            }
        }
        let mut names: Vec<PathBuf> = unsynced.into_keys().collect();
        names.retain(|name| name.starts_with(folder));
        names.sort();
        names
    }
}

/// The path of the file that a call's first argument, a descriptor, stands for.
fn file(call: &Call) -> &str {
    let (_, rest) = call.arguments.split_once('<').unwrap_or_default();
    rest.split_once('>').map_or("", |(file, _)| file)
}
