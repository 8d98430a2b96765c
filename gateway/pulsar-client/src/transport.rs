//! Sockets, with or without TLS.
use std::{io, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::service_url::HostPort;

pub(crate) type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

/// How to reach brokers.
#[derive(Debug, Clone)]
pub(crate) enum Transport {
    Plain,
    /// With the authorities of that file, or the system's.
    Tls(Option<PathBuf>),
}

impl Transport {
    /// Connects. The caller limits the time.
    pub(crate) async fn connect(&self, address: &HostPort) -> io::Result<(ReadHalf, WriteHalf)> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        // Receipts and small sends must not wait for one another.
        stream.set_nodelay(true)?;
        match self {
            Self::Plain => {
                let (read, write) = stream.into_split();
                Ok((Box::new(read), Box::new(write)))
            }
            Self::Tls(authorities) => {
                let authorities = authorities.clone();
                // Read anew for each connection, so that renewed certificates are taken up.
                let config = tokio::task::spawn_blocking(move || client_config(authorities))
                    .await
                    .map_err(io::Error::other)??;
                let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
                let stream = TlsConnector::from(Arc::new(config))
                    .connect(name, stream)
                    .await?;
                let (read, write) = tokio::io::split(stream);
                Ok((Box::new(read), Box::new(write)))
            }
        }
    }
}

/// With the authorities of that file, or the system's.
pub(crate) fn client_config(authorities: Option<PathBuf>) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(&path).map_err(io::Error::other)?;
            for certificate in certificates {
                let certificate = certificate.map_err(io::Error::other)?;
                roots.add(certificate).map_err(io::Error::other)?;
            }
            if roots.is_empty() {
                return Err(io::Error::other(format!(
                    "no certificate in {}",
                    path.display()
                )));
            }
        }
        None => {
            // Some of a system's authorities may be unreadable or outdated; the rest counts.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
