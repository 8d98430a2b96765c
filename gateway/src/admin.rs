//! The admin port: health and metrics over HTTP.
use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE,
    server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tracing::{debug, warn};

use crate::metrics::Metrics;

/// Connections to the admin port at a time.
const MOST_CONNECTIONS: usize = 64;
const HEADER_TIME: Duration = Duration::from_secs(10);
const AFTER_FAILURE: Duration = Duration::from_millis(100);
/// What Prometheus's exposition format is called.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How far the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The store is being opened.
    Starting,
    /// Clients are served.
    Ready,
    /// Clients are served by what was last known of the other gateways: it is not seen any more who comes
    /// and goes.
    Blind,
    /// Clients are being let go.
    Draining,
}

/// What the admin port answers from.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Serves the admin port until it is dropped.
pub(crate) async fn serve(listener: TcpListener, admin: Admin) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "admin connection not accepted");
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        let admin = admin.clone();
        connections.spawn(async move {
            connection(stream, admin).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, admin: Admin) {
    let service = service_fn(move |request| {
        let admin = admin.clone();
        async move { Ok::<_, Infallible>(answer(&request, &admin).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!(%error, "admin connection ended");
    }
}

async fn answer(request: &Request<Incoming>, admin: &Admin) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
    }
    let stage = *admin.stage.borrow();
    match (request.uri().path(), stage) {
        ("/livez", _) | ("/readyz", Stage::Ready) => plain(StatusCode::OK, "ok\n"),
        ("/readyz", Stage::Starting) => plain(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        ("/readyz", Stage::Blind) => {
            plain(StatusCode::SERVICE_UNAVAILABLE, "other gateways not seen\n")
        }
        ("/readyz", Stage::Draining) => plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        ("/metrics", _) => text(StatusCode::OK, OPEN_METRICS, admin.metrics.text().await),
        _ => plain(StatusCode::NOT_FOUND, "not found\n"),
    }
}

fn plain(status: StatusCode, line: &'static str) -> Response<Full<Bytes>> {
    text(status, "text/plain; charset=utf-8", line)
}

fn text(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .body(Full::new(body.into()))
        .expect("the status and the header are constants")
}
