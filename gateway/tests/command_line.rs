//! What the program says to people: help, and one line for whatever keeps it from starting.
#![expect(
    clippy::unwrap_used,
    reason = "a program that does not run fails the test"
)]
use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Runs the program to its end, in an empty environment and a directory of its own.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_kop-gateway"))
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .current_dir(directory.path())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// The last line that it says before it ends.
fn complaint(arguments: &[&str]) -> (Option<i32>, String) {
    let (status, _, said) = run(arguments, &[]);
    (status, said.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn help_teaches() {
    let (status, help, _) = run(&["--help"], &[]);
    assert_eq!(status, Some(0));
    for taught in [
        "Examples:",
        "--advertise kafka.example.com:9092",
        "gateway.toml",
        "[env: KOP_LISTEN=]",
        "RUST_LOG",
        "SIGTERM",
        "[default: 127.0.0.1:9092]",
    ] {
        assert!(help.contains(taught), "{taught}");
    }
    // The examples are what they claim to be: no option of theirs is unknown.
    let examples = help.split("Examples:").nth(1).unwrap();
    for option in examples
        .split_whitespace()
        .filter(|word| word.starts_with("--"))
    {
        assert!(
            help.contains(&format!("      {option} ")) || option.starts_with("--help"),
            "{option}"
        );
    }
}

#[test]
fn a_value_is_said_to_come_from_the_environment() {
    let (status, _, said) = run(&[], &[("KOP_NODE_ID", "seven")]);
    assert_eq!(status, Some(64));
    assert!(said.contains("'seven' for '--node-id <N>'"), "{said}");
    assert!(said.ends_with("The value is that of KOP_NODE_ID in the environment.\n"));
    let (_, _, said) = run(&["--node-id=six"], &[("KOP_NODE_ID", "7")]);
    assert!(!said.contains("environment"), "{said}");
}

#[test]
fn what_keeps_it_from_starting_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let pulsar = [
        "--pulsar",
        "pulsar://127.0.0.1:1",
        "--pulsar-admin",
        "http://127.0.0.1:1",
    ];
    let token = [&pulsar[..], &["--pulsar-token-file", "/nonexistent"]].concat();
    let other = format!("other://{taken}");
    let cases: [(&[&str], i32, String); 6] = [
        (
            &["--listen", &other],
            1,
            format!("kop-gateway: cannot listen on {taken}: Address already in use (os error 98)"),
        ),
        (
            &["--listen", "other://host"],
            64,
            "kop-gateway: --listen: `host` is not HOST:PORT".to_owned(),
        ),
        (
            &pulsar,
            1,
            "kop-gateway: pulsar's admin API at http://127.0.0.1:1: no answer: Connection refused \
             (os error 111)"
                .to_owned(),
        ),
        (
            &token,
            1,
            "kop-gateway: token file /nonexistent: No such file or directory (os error 2)"
                .to_owned(),
        ),
        (
            &["--pulsar", "pulsar://127.0.0.1:1"],
            64,
            "kop-gateway: --pulsar needs --pulsar-admin".to_owned(),
        ),
        (
            &["--config", "nonexistent.toml"],
            64,
            "kop-gateway: --config nonexistent.toml: No such file or directory (os error 2)"
                .to_owned(),
        ),
    ];
    for (arguments, status, line) in cases {
        assert_eq!(complaint(arguments), (Some(status), line), "{arguments:?}");
    }
}

/// Ends the program with the test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

/// The answer's first line.
fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: kop\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn clients_are_turned_away_while_brokers_do_not_answer() {
    // Whoever connects is never accepted, and waits.
    let brokers = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = brokers.local_addr().unwrap();
    let (kafka, admin) = (free_address(), free_address());
    let directory = tempfile::tempdir().unwrap();
    let mut started = Started(
        Command::new(env!("CARGO_BIN_EXE_kop-gateway"))
            .arg(format!("--listen={kafka}"))
            .arg(format!("--admin-listen={admin}"))
            .arg(format!("--pulsar=pulsar://{silent}"))
            .arg(format!("--pulsar-admin=http://{silent}"))
            .env_clear()
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let deadline = Instant::now() + Duration::from_secs(20);
    let readiness = loop {
        match get(admin, "/readyz") {
            Ok(answer) => break answer,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::yield_now();
    };
    assert!(readiness.contains("503"), "{readiness}");
    // Somebody else would get it otherwise.
    let taken = TcpListener::bind(kafka).unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    let refused = TcpStream::connect(kafka).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert!(started.0.try_wait().unwrap().is_none(), "it has ended");
}

#[test]
fn a_start_without_a_token_of_the_issuer_ends_with_why() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials.json");
    let text = r#"{"type": "client_credentials", "client_id": "kop", "client_secret": "s3cr3t"}"#;
    std::fs::write(&credentials, text).unwrap();
    let credentials = credentials.display().to_string();
    for (file, line) in [
        (
            credentials.as_str(),
            "kop-gateway: OAuth2 issuer not reached at \
             http://127.0.0.1:1/x/.well-known/openid-configuration: Connection refused (os error 111)",
        ),
        (
            "/nonexistent",
            "kop-gateway: OAuth2 credentials file /nonexistent: No such file or directory (os \
             error 2); it is to be JSON like {\"type\": \"client_credentials\", \"client_id\": \
             \"…\", \"client_secret\": \"…\"}",
        ),
    ] {
        let arguments = [
            "--pulsar=pulsar://127.0.0.1:1",
            "--pulsar-admin=http://127.0.0.1:1",
            "--pulsar-oauth2-issuer=http://127.0.0.1:1/x",
            "--pulsar-oauth2-credentials-file",
            file,
        ];
        assert_eq!(complaint(&arguments), (Some(1), line.to_owned()));
        let (status, said, _) = run(&[&["check"], &arguments[..]].concat(), &[]);
        assert_eq!(status, Some(2));
        let why = line.strip_prefix("kop-gateway: ").unwrap();
        assert!(said.contains(why) && !said.contains("s3cr3t"), "{said}");
    }
}
