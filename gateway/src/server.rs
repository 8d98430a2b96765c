//! Listening for Kafka clients.
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tracing::{debug, info, warn};

use crate::{connection, gateway::Gateway, metrics::Turned, sparingly::Sparingly};

/// Pause after a connection could not be accepted, most likely for want of file descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Clients that are turned away come again at once, all of them.
static TURNED_AWAY: Sparingly = Sparingly::every(Duration::from_secs(1));
static NOT_ACCEPTED: Sparingly = Sparingly::every(Duration::from_secs(1));

/// The connections that there is room for, over all listeners.
#[derive(Debug)]
pub(crate) struct Room {
    most: usize,
    most_per_ip: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// A connection's place; dropping it gives it back.
#[derive(Debug)]
struct Place {
    room: Arc<Room>,
    ip: IpAddr,
}

/// Why there is no room for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum NoRoom {
    #[error("there are as many as --max-connections allows")]
    Full,
    #[error("there are as many from this address as --max-connections-per-ip allows")]
    FullForIp,
}

impl From<NoRoom> for Turned {
    fn from(reason: NoRoom) -> Self {
        match reason {
            NoRoom::Full => Self::full,
            NoRoom::FullForIp => Self::full_for_address,
        }
    }
}

impl Room {
    /// Room for `most` connections, of which so many may come from one address.
    pub(crate) fn new(most: usize, most_per_ip: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_ip,
            taken: Mutex::default(),
        })
    }

    fn take(self: &Arc<Self>, ip: IpAddr) -> Result<Place, NoRoom> {
        // An IPv4 client is the same whether or not the listener is an IPv6 one.
        let ip = ip.to_canonical();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.most {
            return Err(NoRoom::Full);
        }
        let of_ip = taken.by_ip.entry(ip).or_default();
        if *of_ip >= self.most_per_ip {
            return Err(NoRoom::FullForIp);
        }
        *of_ip += 1;
        taken.all += 1;
        let room = Arc::clone(self);
        Ok(Place { room, ip })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &self.room.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(of_ip) = taken.by_ip.get_mut(&self.ip) {
            *of_ip -= 1;
            if *of_ip == 0 {
                taken.by_ip.remove(&self.ip);
            }
        }
    }
}

/// Accepts connections on one listener until the gateway drains, then waits until `grace` is over for
/// those that are still open to end.
pub(crate) async fn serve(
    gateway: Arc<Gateway>,
    listener: (usize, TcpListener),
    room: Arc<Room>,
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
                    if let Some(more_before) = NOT_ACCEPTED.now() {
                        warn!(%error, more_before, "connection not accepted");
                    }
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
    room: &Arc<Room>,
    connections: &mut JoinSet<()>,
) {
    let place = match room.take(peer.ip()) {
        Ok(place) => place,
        Err(reason) => {
            gateway.metrics.connections.refused(reason.into());
            match TURNED_AWAY.now() {
                Some(more_before) => {
                    warn!(%peer, %reason, more_before, "connection turned away");
                }
                None => debug!(%peer, %reason, "connection turned away"),
            }
            return;
        }
    };
    if let Err(error) = prepare(&stream) {
        // It is gone already.
        debug!(%peer, %error, "connection not accepted");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let room = Room::new(3, 2);
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = room.take(a).unwrap();
        let mapped = IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1]);
        let _second = room.take(mapped).unwrap();
        assert_eq!(room.take(a).unwrap_err(), NoRoom::FullForIp);
        let third = room.take(b).unwrap();
        assert_eq!(room.take(b).unwrap_err(), NoRoom::Full);
        drop(first);
        drop(third);
        room.take(a).unwrap();
        assert_eq!(room.taken.lock().unwrap().by_ip.len(), 1);
    }
}
