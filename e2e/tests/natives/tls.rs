//! A Pulsar that is reached by TLS, with a certificate of an authority of its own.

use anyhow::{Context, Result, ensure};
use kop_e2e::authority::Authority;
use kop_e2e::clients::{Java, kafka_java};
use kop_e2e::exact;
use kop_e2e::gateway::Gateway;
use kop_e2e::install;
use kop_e2e::process::Process;
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::{Scratch, free_ports};
use kop_e2e::story::{self, KafkaServer};
use kop_e2e::wire::{Connection, NOBODY, batch};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the ports with TLS are.
struct Urls {
    service: String,
    admin: String,
}

impl Urls {
    fn pair(&self) -> (&str, &str) {
        (&self.service, &self.admin)
    }
}

/// Topics are made and deleted, records written and read, groups commit, all by TLS; and a Pulsar that
/// no trusted authority vouches for is refused at the start, with what to do.
pub(crate) fn is_spoken_to_pulsar(scratch: &Scratch, version: &'static str) -> Result<()> {
    let authority = Authority::new(scratch, "authority")?;
    let stranger = Authority::new(scratch, "stranger")?;
    let server = authority.sign("broker")?;
    let [broker, web] = free_ports()?;
    let path = |path: &Path| path.display().to_string();
    let settings = [
        ("brokerServicePortTls", broker.to_string()),
        ("webServicePortTls", web.to_string()),
        ("tlsCertificateFilePath", path(&server.certificate)),
        ("tlsKeyFilePath", path(&server.key)),
        ("tlsTrustCertsFilePath", path(&authority.certificate())),
    ];
    let settings = settings.each_ref().map(|(name, value)| (*name, &**value));
    let pulsar = Pulsar::start(scratch, version, &settings)?;
    let urls = Urls {
        service: format!("pulsar+ssl://127.0.0.1:{broker}"),
        admin: format!("https://127.0.0.1:{web}"),
    };
    refused(scratch, &urls, Some(&stranger.certificate())).context("another authority")?;
    refused(scratch, &urls, None).context("the machine's authorities")?;

    let trusted = path(&authority.certificate());
    let more = ["--pulsar-ca-file", &trusted];
    let mut gateway = Gateway::on_pulsar_at(scratch, "gateway", urls.pair(), &more)?;
    let topics = everything_goes_on(scratch, &gateway)?;
    let ports = remote_ports(gateway.id())?;
    ensure!(
        ports.contains(&broker),
        "no connection to {broker}: {ports:?}"
    );
    for url in [pulsar.service_url(), pulsar.admin_url()] {
        let port = url.rsplit(':').next().context("a port")?.parse()?;
        ensure!(
            !ports.contains(&port),
            "a connection without TLS: {ports:?}"
        );
    }
    gateway.restart()?;
    exact::holds(scratch, Java::Newest, gateway.bootstrap(), &topics).context("after a restart")?;
    let checked = check(&urls, Some(&authority.certificate()))?;
    ensure!(checked.0 == Some(0), "check: {}", checked.1);
    gateway.stop()
}

fn everything_goes_on(
    scratch: &Scratch,
    gateway: &Gateway,
) -> Result<std::collections::BTreeMap<String, exact::Contents>> {
    let bootstrap = gateway.bootstrap();
    let ask = |arguments: &[&str]| exact::ask(scratch, Java::Newest, arguments);
    ask(&["create", bootstrap, "exact:2", "deleted:1"])?;
    let lines = exact::lines(2, true, 0);
    let mut contents = exact::Contents::new();
    exact::write(
        scratch,
        Java::Newest,
        bootstrap,
        "exact",
        &lines,
        &mut contents,
    )?;
    let topics = [("exact".to_owned(), contents)].into();
    exact::holds(scratch, Java::Newest, bootstrap, &topics)?;
    ask(&["assign", bootstrap, "exact", "group", "5"])?;
    let committed = exact::committed(
        scratch,
        Java::Newest,
        bootstrap,
        &["group:exact".to_owned()],
    )?;
    ensure!(
        committed.len() == 2 && committed.iter().all(|line| line.contains(" 5 ")),
        "{committed:?}"
    );
    let arguments = ["delete", bootstrap, "deleted"];
    story::run(kafka_java(scratch, Java::Three, "delete", &arguments)?)?;

    // Many records of TLS, at the limit of what a topic takes.
    let mut client = Connection::connect(bootstrap)?;
    client.create("large", 1)?;
    let value = "k".repeat(1_000_000);
    for offset in 0..20 {
        let written = client.produce("large", 0, batch(NOBODY, vec![value.clone()])?)?;
        ensure!(written == (0, offset), "{written:?}");
    }
    let read = client.fetch_all("large", 0, 0)?;
    ensure!(
        read.len() == 20 && read.iter().all(|(_, read)| *read == value),
        "{} read",
        read.len()
    );
    Ok(topics)
}

fn command(urls: &Urls, first: &[&str], authorities: Option<&Path>) -> Result<Command> {
    let mut command = Command::new(install::binary("kop-gateway")?);
    let (service, admin) = urls.pair();
    command
        .args(first)
        .args(["--pulsar", service, "--pulsar-admin", admin]);
    if let Some(path) = authorities {
        command.arg("--pulsar-ca-file").arg(path);
    }
    Ok(command)
}

/// The gateway does not start, and says why in one line that names the setting; `check` does too.
fn refused(scratch: &Scratch, urls: &Urls, authorities: Option<&Path>) -> Result<()> {
    let name = format!(
        "refused-{}",
        if authorities.is_some() {
            "other"
        } else {
            "none"
        }
    );
    let mut starting = command(urls, &[], authorities)?;
    starting.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let mut process = Process::start(&name, starting, scratch.path())?;
    let status = process.wait(PATIENCE)?;
    ensure!(status.code() == Some(1), "{status}");
    let said = std::fs::read_to_string(scratch.path().join(format!("{name}.err")))?;
    let line = said.lines().find(|line| line.starts_with("kop-gateway: "));
    let line = line.with_context(|| format!("no line in: {said}"))?;
    for words in [urls.admin.as_str(), "UnknownIssuer", "--pulsar-ca-file"] {
        ensure!(line.contains(words), "no {words} in: {line}");
    }
    let (status, said) = check(urls, authorities)?;
    ensure!(status == Some(2), "check: {status:?}, {said}");
    for url in [&urls.service, &urls.admin] {
        let line = said.lines().find(|line| line.contains(url.as_str()));
        let named = line.is_some_and(|line| line.contains("--pulsar-ca-file"));
        ensure!(named, "check: {said}");
    }
    Ok(())
}

/// The status of `kop-gateway check`, and what it says.
fn check(urls: &Urls, authorities: Option<&Path>) -> Result<(Option<i32>, String)> {
    let output = command(urls, &["check"], authorities)?.output()?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?))
}

/// The ports at the other ends of a process's connections.
fn remote_ports(process: u32) -> Result<BTreeSet<u16>> {
    let mut sockets = BTreeSet::new();
    for descriptor in std::fs::read_dir(format!("/proc/{process}/fd"))? {
        // One that has been closed meanwhile is none.
        if let Ok(link) = std::fs::read_link(descriptor?.path()) {
            let link = link.display().to_string();
            let inode = link
                .strip_prefix("socket:[")
                .and_then(|link| link.strip_suffix(']'));
            sockets.extend(inode.map(str::to_owned));
        }
    }
    let mut ports = BTreeSet::new();
    for line in std::fs::read_to_string("/proc/net/tcp")?.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(remote), Some(inode)) = (fields.get(2), fields.get(9)) else {
            continue;
        };
        if sockets.contains(*inode) {
            let port = remote.rsplit(':').next().unwrap_or_default();
            ports.insert(u16::from_str_radix(port, 16)?);
        }
    }
    Ok(ports)
}
