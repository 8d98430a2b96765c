//! One connection to a broker: greeting, requests, and the task that owns the socket.
mod driver;
mod load;
mod multiplexer;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use pulsar_protocol::{
    Command, ServerError,
    command::{AuthData, AuthResponse, Connect, Connected, FeatureFlags},
    frame::{self, DEFAULT_MAX_MESSAGE_SIZE, FRAME_PADDING},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{mpsc, oneshot, watch},
};

use self::{driver::Driver, multiplexer::Multiplexer};
pub(crate) use self::{
    load::Load,
    multiplexer::{Delivery, Event, Line, Opens, RawEntry},
};
use crate::{
    Authentication, Cause, CredentialsError, SendError,
    authentication::{Credentials, Identity},
    service_url::HostPort,
    transport::{ReadHalf, Transport, WriteHalf},
};

const CLIENT_VERSION: &str = concat!("kop-", env!("CARGO_PKG_VERSION"));
/// Topic migration is the newest thing that version 20 knows; 18 brought broker entry metadata.
const PROTOCOL_VERSION: i32 = 20;
/// No broker's limit is believed to be higher.
const LARGEST_MAX_MESSAGE_SIZE: usize = 256 * 1024 * 1024;
/// A connect, TLS and greeting included, takes no longer.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// Greetings and challenges before a connection is usable.
const MAX_CHALLENGES: usize = 8;
const NO_CREDENTIALS: &str = "the broker asks for credentials and there are none";

/// Whom to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    /// Where the socket goes.
    pub(crate) address: HostPort,
    /// Behind a proxy: the broker that it is to connect to.
    pub(crate) broker: Option<HostPort>,
}

/// What all connections share.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionOptions {
    pub(crate) transport: Transport,
    pub(crate) authentication: Option<Authentication>,
    pub(crate) operation_timeout: Duration,
    pub(crate) keep_alive: Duration,
}

impl ConnectionOptions {
    /// Shorter than an operation, so that there is time for the next host.
    fn connect_timeout(&self) -> Duration {
        (self.operation_timeout / 3).min(LONGEST_CONNECT)
    }
}

/// What a broker (or a proxy) says of itself when it is greeted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Its name and version.
    pub server_version: String,
    /// The protocol version that both sides speak.
    pub protocol_version: i32,
    /// Largest entry it takes, in bytes.
    pub max_message_size: usize,
}

/// Tells a connection from all others that this process has or had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A handle to a connection. The connection ends when the last one is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    id: ConnectionId,
    events: mpsc::UnboundedSender<Event>,
    load: Arc<Load>,
    next_request: Arc<AtomicU64>,
    ended: watch::Receiver<Option<Cause>>,
    greeting: Arc<Greeting>,
}

impl Connection {
    /// Connects and greets.
    pub(crate) async fn open(target: &Target, options: &ConnectionOptions) -> Result<Self, Cause> {
        let refused = |reason: String| Cause::Connect {
            address: target.to_string(),
            reason,
        };
        // First, because an issuer may take longer than a broker has patience with a silent connection.
        let identity = Identity::new(options.authentication.clone());
        let credentials = identity.introduce().await.map_err(Cause::Credentials)?;
        let greeting = async {
            let (mut read, mut write) = options
                .transport
                .connect(&target.address)
                .await
                .map_err(|error| refused(error.to_string()))?;
            let mut inbox = BytesMut::new();
            let connect = connect(target, credentials);
            let connected = greet(
                target, connect, &identity, &mut read, &mut write, &mut inbox,
            );
            let connected = connected.await?;
            Ok((read, write, inbox, connected))
        };
        let (read, write, inbox, connected) =
            tokio::time::timeout(options.connect_timeout(), greeting)
                .await
                .map_err(|_| refused("no answer in time".to_owned()))??;
        let max_message_size = connected
            .max_message_size
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| *size > 0)
            .unwrap_or(DEFAULT_MAX_MESSAGE_SIZE)
            .min(LARGEST_MAX_MESSAGE_SIZE);
        tracing::debug!(%target, server = connected.server_version, max_message_size, "connected");

        let (events, inbound) = mpsc::unbounded_channel();
        let (ended_sender, ended) = watch::channel(None);
        let load = Arc::new(Load::default());
        let multiplexer = Multiplexer::new(load.clone(), options.operation_timeout);
        let driver = Driver {
            target: target.clone(),
            read,
            write,
            inbox,
            frame_limit: max_message_size + FRAME_PADDING,
            events: inbound,
            own_events: events.downgrade(),
            identity,
            answering: Arc::default(),
            keep_alive: options.keep_alive,
            timeout: options.operation_timeout,
            tick: (options.operation_timeout.min(options.keep_alive) / 4)
                .clamp(Duration::from_millis(5), Duration::from_secs(1)),
            multiplexer,
            ended: ended_sender,
        };
        tokio::spawn(driver.run());
        Ok(Self {
            id: ConnectionId::next(),
            events,
            load,
            next_request: Arc::default(),
            ended,
            greeting: Arc::new(Greeting {
                server_version: connected.server_version,
                protocol_version: connected.protocol_version.unwrap_or_default(),
                max_message_size,
            }),
        })
    }

    /// Which one it is.
    pub(crate) fn id(&self) -> ConnectionId {
        self.id
    }

    /// Whether it has ended, and why.
    pub(crate) fn ended(&self) -> Option<Cause> {
        self.ended.borrow().clone().or_else(|| {
            self.events
                .is_closed()
                .then(|| Cause::Disconnected("connection ended".to_owned()))
        })
    }

    /// Largest entry the broker takes, in bytes.
    pub(crate) fn max_message_size(&self) -> usize {
        self.greeting.max_message_size
    }

    /// What the broker has said of itself.
    pub(crate) fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// What waits to be sent or for a receipt.
    pub(crate) fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// A request id that no other request of the connection has.
    pub(crate) fn next_request(&self) -> u64 {
        self.next_request.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes a request and waits for its answer, for the operation timeout at the longest.
    pub(crate) async fn request(
        &self,
        id: u64,
        command: Command,
        opens: Opens,
    ) -> Result<Command, Cause> {
        let (reply, answer) = oneshot::channel();
        self.post(Event::Request {
            id,
            frame: frame::encode(command),
            opens,
            reply,
        });
        answer.await.unwrap_or_else(|_| Err(self.cause()))
    }

    /// Hands the task something to do. Where the connection has ended, an entry is answered here;
    /// other events are dropped, and who waits for an answer sees its slot go.
    pub(crate) fn post(&self, event: Event) {
        if let Err(mpsc::error::SendError(Event::Send(entry))) = self.events.send(event) {
            self.load.give_back(entry.size);
            let _ = entry.reply.send(Err(SendError::NotSent(self.cause())));
        }
    }

    /// Why the connection is gone.
    pub(crate) fn cause(&self) -> Cause {
        self.ended()
            .unwrap_or_else(|| Cause::Disconnected("connection ended".to_owned()))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.broker {
            Some(broker) => write!(f, "{broker} through {}", self.address),
            None => self.address.fmt(f),
        }
    }
}

fn connect(target: &Target, credentials: Option<Credentials>) -> Connect {
    let (method, data) = credentials
        .map(|credentials| (credentials.method.to_owned(), credentials.data))
        .unzip();
    Connect {
        client_version: CLIENT_VERSION.to_owned(),
        auth_data: data,
        protocol_version: Some(PROTOCOL_VERSION),
        auth_method_name: method,
        proxy_to_broker_url: target.broker.as_ref().map(ToString::to_string),
        feature_flags: Some(FeatureFlags {
            supports_auth_refresh: Some(true),
            supports_broker_entry_metadata: Some(true),
            ..FeatureFlags::default()
        }),
    }
}

/// `CONNECT` and what follows, up to `CONNECTED`.
async fn greet(
    target: &Target,
    connect: Connect,
    identity: &Identity,
    read: &mut ReadHalf,
    write: &mut WriteHalf,
    inbox: &mut BytesMut,
) -> Result<Connected, Cause> {
    let refused = |reason: String| Cause::Connect {
        address: target.to_string(),
        reason,
    };
    let mut outgoing = frame::encode(Command::Connect(connect));
    for _ in 0..MAX_CHALLENGES {
        write
            .write_all(&outgoing)
            .await
            .map_err(|error| refused(error.to_string()))?;
        write
            .flush()
            .await
            .map_err(|error| refused(error.to_string()))?;
        match read_command(read, inbox).await.map_err(refused)? {
            Command::Connected(connected) => return Ok(connected),
            Command::AuthChallenge(_) => {
                let answer = auth_response(identity).await.map_err(Cause::Credentials)?;
                outgoing = answer.ok_or_else(|| refused(NO_CREDENTIALS.to_owned()))?;
            }
            Command::Error(answer) => {
                let error = ServerError::from_code(answer.error);
                if error == ServerError::Authentication {
                    identity.refused();
                }
                return Err(Cause::Broker {
                    error,
                    message: answer.message,
                });
            }
            other => {
                return Err(refused(format!(
                    "answered the greeting with {}",
                    other.kind()
                )));
            }
        }
    }
    Err(refused("too many challenges".to_owned()))
}

async fn read_command(read: &mut ReadHalf, inbox: &mut BytesMut) -> Result<Command, String> {
    const LIMIT: usize = 64 * 1024;
    loop {
        if let Some(frame) = frame::decode(inbox, LIMIT).map_err(|error| error.to_string())? {
            match frame.command.command {
                Some(command) => return Ok(command),
                None => continue,
            }
        }
        if read
            .read_buf(inbox)
            .await
            .map_err(|error| error.to_string())?
            == 0
        {
            return Err("connection closed during the greeting".to_owned());
        }
    }
}

/// The frame that answers a challenge; `None` where there is nothing to answer with.
async fn auth_response(identity: &Identity) -> Result<Option<Bytes>, CredentialsError> {
    let credentials = identity.answer().await?;
    Ok(credentials.map(|credentials| {
        frame::encode(Command::AuthResponse(AuthResponse {
            client_version: Some(CLIENT_VERSION.to_owned()),
            response: Some(AuthData {
                auth_method_name: Some(credentials.method.to_owned()),
                auth_data: Some(credentials.data),
            }),
            protocol_version: Some(PROTOCOL_VERSION),
        }))
    }))
}
