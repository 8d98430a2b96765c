//! Listening for Kafka clients.
use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tracing::{info, warn};

use crate::{connection, gateway::Gateway};

/// Pause after a connection could not be accepted, most likely for want of file descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Accepts connections on one listener until the gateway drains, then waits until `grace` is over for
/// those that are still open to end.
pub(crate) async fn serve(
    gateway: Arc<Gateway>,
    listener: (usize, TcpListener),
    room: Arc<Semaphore>,
    grace: Duration,
) {
    let (index, listener) = listener;
    let mut draining = gateway.draining.clone();
    let mut connections = JoinSet::new();
    while !*draining.borrow_and_update() {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => accept(&gateway, (index, stream, peer), &room, &mut connections),
                Err(error) => {
                    warn!(%error, "connection not accepted");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    warn!(%error, "connection ended by a mistake of the gateway");
                }
            }
            // Its sender outlives the listeners.
            _ = draining.changed() => {}
        }
    }
    drop(listener);
    let deadline = Instant::now() + grace;
    while let Ok(Some(_)) = timeout_at(deadline, connections.join_next()).await {}
    if !connections.is_empty() {
        info!(connections = connections.len(), "connections cut off");
    }
    connections.shutdown().await;
}

fn accept(
    gateway: &Arc<Gateway>,
    (listener, stream, peer): (usize, TcpStream, SocketAddr),
    room: &Arc<Semaphore>,
    connections: &mut JoinSet<()>,
) {
    let Ok(place) = Arc::clone(room).try_acquire_owned() else {
        gateway.metrics.refused_connections.inc();
        warn!(%peer, "connection turned away: there are as many as --max-connections allows");
        return;
    };
    if let Err(error) = prepare(&stream) {
        warn!(%peer, %error, "connection not accepted");
        return;
    }
    let gateway = Arc::clone(gateway);
    connections.spawn(async move {
        connection::serve(gateway, stream, peer, listener).await;
        drop(place);
    });
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    // An answer is written in one call; waiting for more to send along only delays it.
    stream.set_nodelay(true)
}
