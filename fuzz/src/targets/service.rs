//! A whole gateway, as clients reach it.
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    panic,
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Buf as _;
use kop_config::RawConfig;
use kop_gateway::Running;
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};

/// Inputs that one gateway serves: then it has topics enough, and the next one starts without any.
const INPUTS: usize = 200;
/// What one connection may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Threads of the gateway, to tell their panics from anybody's.
const THREADS: &str = "kop-service";

static PANICKED: AtomicBool = AtomicBool::new(false);
static SERVICE: Mutex<Option<Service>> = Mutex::new(None);

/// A gateway on a new directory.
struct Service {
    address: SocketAddr,
    inputs: usize,
    // In the order in which they are to end.
    running: Option<Running>,
    runtime: Runtime,
    _directory: TempDir,
}

impl Service {
    fn start() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                if thread::current()
                    .name()
                    .is_some_and(|name| name.starts_with(THREADS))
                {
                    PANICKED.store(true, Ordering::Release);
                }
                before(panic);
            }));
        });
        let directory = TempDir::new().expect("a temporary directory");
        let data = directory.path().join("data").display().to_string();
        let config = RawConfig {
            listen: Some(vec!["127.0.0.1:0".to_owned()]),
            admin_listen: Some("127.0.0.1:0".to_owned()),
            data_dir: Some(data.into()),
            durability: Some(kop_config::Durability::Os),
            max_request_bytes: Some(1024 * 1024),
            ..RawConfig::default()
        };
        let config = config.validate().expect("a configuration");
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(THREADS)
            .enable_all()
            .build()
            .expect("a runtime");
        let running = runtime.block_on(Running::start(config));
        let running = running.expect("a gateway");
        let address = *running.kafka().first().expect("one listener");
        Self {
            address,
            inputs: 0,
            running: Some(running),
            runtime,
            _directory: directory,
        }
    }

    /// Sends requests and reads what comes until the gateway closes the connection.
    fn connection(&self, requests: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(requests)?;
        stream.shutdown(Shutdown::Write)?;
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers)?;
        Ok(answers)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

/// Requests as `[length u16][request]`, sent to a gateway on an embedded store, one behind the other
/// on one connection; what earlier inputs left there stays for a while.
pub fn kafka_service(bytes: &[u8]) {
    let mut service = SERVICE.lock().unwrap_or_else(PoisonError::into_inner);
    if service
        .as_ref()
        .is_some_and(|service| service.inputs >= INPUTS)
    {
        *service = None;
    }
    let service = service.get_or_insert_with(Service::start);
    service.inputs += 1;
    match service.connection(&framed(bytes)) {
        Ok(answers) => whole_frames(&answers),
        // It may be closed while requests are still being sent.
        Err(error) => assert!(
            !matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            ),
            "no answer, and the connection stays open"
        ),
    }
    assert!(
        !PANICKED.swap(false, Ordering::AcqRel),
        "the gateway panicked"
    );
}

/// The requests with the lengths that Kafka's protocol has.
fn framed(mut bytes: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(bytes.len() + 16);
    while let Ok(length) = bytes.try_get_u16() {
        let (request, rest) = bytes.split_at(usize::from(length).min(bytes.len()));
        let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(request);
        bytes = rest;
    }
    framed
}

fn whole_frames(mut answers: &[u8]) {
    while !answers.is_empty() {
        let length = answers
            .try_get_u32()
            .expect("a length in front of an answer");
        let (_, rest) = answers
            .split_at_checked(length as usize)
            .expect("an answer as long as it says");
        answers = rest;
    }
}
