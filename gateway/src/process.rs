//! The process from its start to its end.
use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use kop_config::{Config, HostPort, Listener};
use tokio::{
    net::{TcpListener, TcpSocket, lookup_host},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tracing::{error, info};
use uuid::Uuid;

use crate::{
    admin::{self, Admin, Stage},
    cluster::{Address, Cluster, JoinError, Member},
    gateway::Gateway,
    handover,
    metrics::Metrics,
    news,
    server::{self, Room},
    store::{OpenStoreError, Store},
};

/// How long clients that are being served keep their connections once the gateway is to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How many connections may wait to be accepted; the system has a limit of its own (`net.core.somaxconn`).
const BACKLOG: u32 = 1024;

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address as configured.
        address: HostPort,
        /// What the system says.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// The other gateways cannot be joined.
    #[error(transparent)]
    Join(#[from] JoinError),
}

/// A gateway that serves.
#[derive(Debug)]
pub struct Running {
    kafka: Vec<SocketAddr>,
    admin: SocketAddr,
    stage: watch::Sender<Stage>,
    draining: watch::Sender<bool>,
    listeners: JoinSet<()>,
    admin_task: JoinHandle<()>,
    gateway: Arc<Gateway>,
}

impl Running {
    /// Opens the store and listens.
    ///
    /// # Errors
    /// An address that cannot be listened on, or a store that cannot be opened.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::new());
        let (stage, watched) = watch::channel(Stage::Starting);
        let (admin_listener, admin) = Bound::new(&config.admin_listen).await?.listen()?;
        let answering = Admin {
            stage: watched,
            metrics: Arc::clone(&metrics),
        };
        let admin_task = tokio::spawn(admin::serve(admin_listener, answering));
        let started = Self::open(config, metrics).await;
        let (gateway, draining, bound) = match started {
            Ok(started) => started,
            Err(error) => {
                admin_task.abort();
                return Err(error);
            }
        };
        let limits = gateway.config.limits;
        let room = Room::new(limits.connections, limits.connections_per_ip);
        let kafka: Vec<SocketAddr> = bound.iter().map(|(_, address)| *address).collect();
        let mut listeners = JoinSet::new();
        for (index, (listener, _)) in bound.into_iter().enumerate() {
            let (gateway, room) = (Arc::clone(&gateway), Arc::clone(&room));
            listeners.spawn(server::serve(gateway, (index, listener), room, GRACE));
        }
        stage.send_replace(Stage::Ready);
        tokio::spawn(note_blindness(gateway.cluster.clone(), stage.clone()));
        for (listener, (bound, advertised)) in
            (gateway.config.listeners.iter()).zip(kafka.iter().zip(&gateway.advertised))
        {
            info!(listener = listener.name, %bound, %advertised, "serving kafka clients");
        }
        Ok(Self {
            kafka,
            admin,
            stage,
            draining,
            listeners,
            admin_task,
            gateway,
        })
    }

    /// Binds first: a port that is taken is found before a store is opened for nothing. Listens last: clients of a
    /// gateway that cannot reach its brokers are turned away at once, where a connection that nobody accepts would
    /// have them wait, and are free to try another.
    async fn open(
        config: Config,
        metrics: Arc<Metrics>,
    ) -> Result<
        (
            Arc<Gateway>,
            watch::Sender<bool>,
            Vec<(TcpListener, SocketAddr)>,
        ),
        StartError,
    > {
        let mut bound = Vec::with_capacity(config.listeners.len());
        for listener in &config.listeners {
            bound.push(Bound::new(&listener.bind).await?);
        }
        let store = Store::open(&config).await?;
        metrics.add_store(&store);
        let (drain, draining) = watch::channel(false);
        let addresses: Vec<SocketAddr> = bound.iter().map(|bound| bound.local).collect();
        let advertised = advertised(&config, &addresses);
        // From now on the others send clients.
        let cluster = store.join(member(&config, &advertised)).await?;
        store.follow(&cluster);
        if cluster.has_others() {
            store.note_others();
            store.mark_producer_ids().await;
        }
        let listening = bound.into_iter().map(Bound::listen);
        let listening = listening.collect::<Result<Vec<_>, _>>()?;
        let of_process = (Arc::clone(&metrics), draining);
        let gateway = Gateway::new(config, store, (cluster, advertised), of_process);
        metrics.look_at(Arc::downgrade(&gateway));
        tokio::spawn(handover::follow(Arc::clone(&gateway)));
        tokio::spawn(news::follow(Arc::downgrade(&gateway)));
        Ok((gateway, drain, listening))
    }

    /// Where Kafka clients connect, in the order of the configured listeners.
    #[must_use]
    pub fn kafka(&self) -> &[SocketAddr] {
        &self.kafka
    }

    /// Where health and metrics are.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The line that says that clients may come.
    #[must_use]
    pub fn ready_line(&self) -> String {
        let [first, ..] = self.kafka.as_slice() else {
            return String::new();
        };
        format!(
            "ready kafka={first} admin={} store={}",
            self.admin,
            self.gateway.store.name()
        )
    }

    /// Lets clients go and closes the store: no new connections, what has been asked is answered.
    pub async fn stop(mut self) {
        info!("draining");
        self.stage.send_replace(Stage::Draining);
        let cluster = &self.gateway.cluster;
        let others = cluster.has_others();
        if others {
            // They take over while clients are still told where to go.
            cluster.leave().await;
        }
        self.draining.send_replace(true);
        self.gateway.coordination.drain();
        while self.listeners.join_next().await.is_some() {}
        if !others {
            cluster.leave().await;
        }
        self.gateway.coordination.close().await;
        self.gateway.store.close().await;
        self.admin_task.abort();
        info!("stopped");
    }
}

/// Says that the gateway is not ready any more when it no longer sees the others: it would lead clients by
/// a view that grows old, and has to be started anew.
async fn note_blindness(cluster: Cluster, stage: watch::Sender<Stage>) {
    cluster.blinded().await;
    stage.send_if_modified(|stage| {
        let was_ready = *stage == Stage::Ready;
        if was_ready {
            error!("not ready any more: the other gateways are not seen; start this one anew");
            *stage = Stage::Blind;
        }
        was_ready
    });
}

/// Where clients of each listener are told to connect, in the order of the listeners.
fn advertised(config: &Config, bound: &[SocketAddr]) -> Vec<HostPort> {
    let listeners = config.listeners.iter().zip(bound);
    let address = |(listener, bound): (&Listener, &SocketAddr)| {
        let HostPort { host, port } = listener.advertise.clone();
        let port = if port == 0 { bound.port() } else { port };
        HostPort { host, port }
    };
    listeners.map(address).collect()
}

/// This run of this gateway, as the others see it.
fn member(config: &Config, advertised: &[HostPort]) -> Member {
    let listeners = config.listeners.iter().zip(advertised);
    let address = |(listener, at): (&Listener, &HostPort)| Address {
        name: listener.name.clone(),
        host: at.host.clone(),
        port: at.port,
    };
    Member {
        node: config.node_id,
        incarnation: Uuid::new_v4(),
        listeners: listeners.map(address).collect(),
    }
}

/// An address that is taken, at which nobody listens yet.
struct Bound {
    address: HostPort,
    socket: TcpSocket,
    local: SocketAddr,
}

impl Bound {
    /// Takes the first address of the host's that can be had.
    async fn new(address: &HostPort) -> Result<Self, StartError> {
        let bound = async {
            let mut refused = io::Error::other("the host has no address");
            for candidate in lookup_host((address.host.as_str(), address.port)).await? {
                match bind(candidate) {
                    Ok(socket) => return Ok((socket.local_addr()?, socket)),
                    Err(error) => refused = error,
                }
            }
            Err(refused)
        };
        let (local, socket) = bound.await.map_err(cannot_listen(address))?;
        Ok(Self {
            address: address.clone(),
            socket,
            local,
        })
    }

    fn listen(self) -> Result<(TcpListener, SocketAddr), StartError> {
        // Its connections inherit that: what is left of them does not keep the next gateway from the address.
        let reused = self.socket.set_reuseaddr(true);
        let listener = reused.and_then(|()| self.socket.listen(BACKLOG));
        let listener = listener.map_err(cannot_listen(&self.address))?;
        Ok((listener, self.local))
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // For this gateway alone where that can be had: nobody else is to listen there before it does.
    match socket.bind(address) {
        // By connections that another gateway has left, or by a gateway that is there.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
        }
        bound => bound?,
    }
    Ok(socket)
}

fn cannot_listen(address: &HostPort) -> impl FnOnce(io::Error) -> StartError {
    let address = address.clone();
    |source| StartError::Listen { address, source }
}
