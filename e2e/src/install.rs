//! Where installed and built parts are, and what to do when one is not there.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest Apache Kafka release of the 3 line, whose tools and clients the stories use.
pub const KAFKA: &str = "3.9.1";
/// The newest release of Kafka's tools.
pub const KAFKA_TOOLS: &str = "4.3.1";
/// An old release, whose client and tools are still in use.
pub const KAFKA_OLD: &str = "2.0.0";
/// The newest Kafka client for Java.
pub const KAFKA_CLIENT: &str = "4.4.0";
/// The newest Pulsar that the gateway is tested with.
pub const PULSAR_NEWEST: &str = "4.2.4";
/// The release of Pulsar with long-term support.
pub const PULSAR_LONG_TERM: &str = "4.0.8";
/// The oldest Pulsar that the gateway supports.
pub const PULSAR_OLDEST: &str = "3.0.7";

/// The newest Kafka client that `KoP` answers.
pub const KOP_CLIENT: &str = "3.7.2";

/// The root of the checkout.
#[must_use]
pub fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Cargo's target directory, in which the running test was built.
///
/// # Errors
/// The test does not run from a target directory.
pub fn target_dir() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    test.ancestors()
        .find(|folder| {
            folder
                .file_name()
                .is_some_and(|name| name == "debug" || name == "release")
        })
        .and_then(Path::parent)
        .map(Path::to_owned)
        .with_context(|| format!("{} is not in cargo's target directory", test.display()))
}

/// The binary `name` of this workspace: `$KOP_BIN_DIR/name`, else what the dev profile built.
///
/// # Errors
/// It was not built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("KOP_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => target_dir()?.join("debug"),
    };
    let path = folder.join(name);
    if !path.exists() {
        bail!(
            "{} is missing: cargo build --workspace --bins",
            path.display()
        );
    }
    Ok(path)
}

/// What the project downloads and builds for its tests: `$KOP_CACHE`, else `~/.cache/kop`.
///
/// # Errors
/// There is no home directory.
pub fn cache() -> Result<PathBuf> {
    if let Some(cache) = std::env::var_os("KOP_CACHE") {
        return Ok(cache.into());
    }
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(base.join("kop"))
}

/// The class path of all jars of `part` (`kafka`, `kafka-clients` or `pulsar`) in `version`.
///
/// # Errors
/// They were not downloaded.
pub fn jars(part: &str, version: &str) -> Result<String> {
    let folder = cache()?.join("java/lib").join(format!("{part}-{version}"));
    if !folder.join(".done").exists() {
        bail!(
            "{} is missing: e2e/parts/java.sh {part} {version}",
            folder.display()
        );
    }
    Ok(format!("{}/*", folder.display()))
}

/// The class path of those jars of `part` in `version` whose names begin with `prefix`.
///
/// # Errors
/// They were not downloaded.
pub fn jars_of(part: &str, version: &str, prefix: &str) -> Result<String> {
    let all = jars(part, version)?;
    let folder = all.strip_suffix("/*").context("a folder of jars")?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(prefix)) {
            found.push(path.display().to_string());
        }
    }
    Ok(found.join(":"))
}

/// `program` of the machine, started so that it dies with the thread that started it.
///
/// # Errors
/// It is not installed.
pub fn program(program: &str, package: &str) -> Result<Command> {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()?
        .status
        .success();
    if !found {
        bail!("{program} is missing: apt-get install {package}");
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    Ok(command)
}

/// The Java virtual machine, as [`program`].
///
/// # Errors
/// No Java is installed.
pub fn java() -> Result<Command> {
    program("java", "default-jdk-headless")
}

/// A virtual machine for a driver with a class path, quick to start.
///
/// # Errors
/// No Java is installed.
pub fn driver_java(classes: &str) -> Result<Command> {
    let mut command = java()?;
    command
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        // Tool.java runs the shutdown hooks that a tool leaves.
        .args(["--add-opens", "java.base/java.lang=ALL-UNNAMED"])
        .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"])
        .args(["-Dfile.encoding=UTF-8", "-cp", classes]);
    Ok(command)
}

/// The Python of the virtual environment with Kafka's clients, as [`program`].
///
/// # Errors
/// It was not made.
pub fn python() -> Result<Command> {
    let folder = cache()?.join("python/clients");
    let wanted = std::fs::read(checkout().join("e2e/parts/python.txt"))?;
    if std::fs::read(folder.join(".done")).ok() != Some(wanted) {
        bail!(
            "{} is missing or old: e2e/parts/python.sh",
            folder.display()
        );
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(folder.join("bin/python"));
    Ok(command)
}

/// Node.js with KafkaJS among its packages, as [`program`].
///
/// # Errors
/// One of them is missing.
pub fn node() -> Result<Command> {
    let folder = cache()?.join("node/clients");
    let wanted = std::fs::read(checkout().join("e2e/parts/node/package-lock.json"))?;
    if std::fs::read(folder.join(".done")).ok() != Some(wanted) {
        bail!("{} is missing or old: e2e/parts/node.sh", folder.display());
    }
    let mut command = program("node", "nodejs")?;
    command.env("NODE_PATH", folder.join("node_modules"));
    Ok(command)
}

/// The class path of one source file of `e2e/clients`, compiled against `against` when that is not yet done.
///
/// # Errors
/// It does not compile.
pub fn compiled(class: &str, against: &str) -> Result<String> {
    compiled_all("", class, &[&format!("{class}.java")], against)
}

/// As [`compiled`], of several source files into a folder of its own; `class` is one that they make.
///
/// # Errors
/// They do not compile.
pub fn compiled_all(name: &str, class: &str, sources: &[&str], against: &str) -> Result<String> {
    let from = checkout().join("e2e/clients");
    let sources: Vec<PathBuf> = sources.iter().map(|source| from.join(source)).collect();
    let folder = target_dir()?.join("e2e/clients").join(name);
    std::fs::create_dir_all(&folder)?;
    let built = folder.join(format!("{class}.class"));
    let mut newer = built.exists();
    for source in &sources {
        newer &= newer && built.metadata()?.modified()? >= source.metadata()?.modified()?;
    }
    if !newer {
        let done = program("javac", "default-jdk-headless")?
            .args(["-cp", against, "-d"])
            .arg(&folder)
            .args(&sources)
            .status()?;
        if !done.success() {
            bail!("javac {sources:?}: {done}");
        }
    }
    Ok(format!("{}:{against}", folder.display()))
}
