//! A stub of a Pulsar broker: it speaks the binary protocol and the few admin calls that the gateway makes,
//! acknowledges every entry at once and throws it away. No disk and no JVM stand behind it, so that what is
//! measured in front of it is the gateway.
//!
//! Topics whose names begin with `__` (the gateways' own) are kept in memory and read by readers, because
//! the gateway does not start without them. Of all others only the numbers of entries are known, and their
//! readers are given nothing.

use anyhow::Result;
use std::net::TcpListener;
use std::sync::Arc;

mod admin;
mod broker;
mod topics;

use topics::Topics;

/// A stub that serves on threads of this process, until the process ends.
#[derive(Debug)]
pub struct Stub {
    service: String,
    admin: String,
}

impl Stub {
    /// Serves on two free ports of 127.0.0.1.
    ///
    /// # Errors
    /// The system has no free port.
    pub fn start() -> Result<Self> {
        let topics = Arc::new(Topics::default());
        let broker = TcpListener::bind("127.0.0.1:0")?;
        let admin = TcpListener::bind("127.0.0.1:0")?;
        let stub = Self {
            service: format!("pulsar://{}", broker.local_addr()?),
            admin: format!("http://{}", admin.local_addr()?),
        };
        let (own, known) = (stub.service.clone(), Arc::clone(&topics));
        each_connection(broker, move |stream| broker::serve(stream, &own, &known));
        each_connection(admin, move |stream| admin::serve(&stream, &topics));
        Ok(stub)
    }

    /// `pulsar://HOST:PORT`
    #[must_use]
    pub fn service_url(&self) -> &str {
        &self.service
    }

    /// `http://HOST:PORT`
    #[must_use]
    pub fn admin_url(&self) -> &str {
        &self.admin
    }
}

/// Serves every connection on a thread of its own.
fn each_connection(
    listener: TcpListener,
    serve: impl Fn(std::net::TcpStream) -> Result<()> + Send + Sync + 'static,
) {
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || {
                if let Err(error) = serve(stream) {
                    eprintln!("stub: {error:#}");
                }
            });
        }
    });
}

#[cfg(test)]
mod tests;
