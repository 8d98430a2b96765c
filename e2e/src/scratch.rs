//! Where a story keeps its parts' data and logs.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// A folder of its own below `target/e2e`, empty at first. Logs stay there after the story; data go
/// when it ended well.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Empties and makes the folder of the story `name`.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        let path = crate::install::target_dir()?.join("e2e").join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(|| format!("empty {}", path.display()))?;
        }
        std::fs::create_dir_all(path.join("data"))?;
        Ok(Self { path })
    }

    /// The folder; logs of parts lie in it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Prints the ends of all logs.
    pub fn print_logs(&self) {
        const LINES: usize = 15;
        const WIDTH: usize = 300;
        let Ok(entries) = std::fs::read_dir(&self.path) else {
            return;
        };
        let mut logs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        logs.sort();
        for log in logs.iter().filter(|log| log.is_file()) {
            let text = std::fs::read(log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            if !lines.is_empty() {
                eprintln!("--- the end of {}", log.display());
            }
            for line in lines.iter().skip(lines.len().saturating_sub(LINES)) {
                eprintln!("{}", line.chars().take(WIDTH).collect::<String>());
            }
        }
    }

    /// A place for data below the folder. Not made, so that a part can make it.
    #[must_use]
    pub fn data(&self, name: &str) -> PathBuf {
        self.path.join("data").join(name)
    }
}

/// Tells one story in a folder of its own, as the body of a test.
///
/// # Panics
/// The story did not end well. The ends of all logs are printed then.
pub fn tell(name: &str, story: impl FnOnce(&Scratch) -> Result<()>) {
    let told = Scratch::new(name).and_then(|scratch| {
        let told = story(&scratch);
        match &told {
            // What stays behind costs disk space only, and the next run empties it.
            Ok(()) => drop(std::fs::remove_dir_all(scratch.path.join("data"))),
            Err(_) => scratch.print_logs(),
        }
        told
    });
    if let Err(error) = told {
        panic!("{name}: {error:#}");
    }
}

/// Ports of 127.0.0.1 that were free a moment ago, all different.
///
/// # Errors
/// The system has no free port.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
