//! The port for probes and metrics: `/livez`, `/readyz`, `/metrics`.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::debug;

use crate::metrics::Metrics;

/// Probes and a scraper need a handful.
const CONNECTIONS: usize = 64;
/// Who sends no request within this time is let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the admin port tells.
#[derive(Debug, Default)]
pub struct Admin {
    ready: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Admin {
    /// Not ready yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Admin {
            ready: AtomicBool::new(false),
            metrics,
        }
    }

    /// From now on `/readyz` says yes.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Serves for ever.
    ///
    /// # Errors
    /// When no more connections can be accepted.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let place = Arc::clone(&places)
                .acquire_owned()
                .await
                .map_err(io::Error::other)?;
            let (stream, _) = listener.accept().await?;
            let admin = Arc::clone(&self);
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let response = admin.answer(request.method(), request.uri().path());
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = connection.await {
                    debug!(%error, "admin connection ended");
                }
                drop(place);
            });
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
        }
        match path {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" if self.ready.load(Ordering::Acquire) => text(StatusCode::OK, "ok\n"),
            "/readyz" => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "resources cannot be listed yet\n",
            ),
            "/metrics" => match self.metrics.page() {
                Ok(page) => {
                    let mut response = text(StatusCode::OK, page);
                    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                    let kind = hyper::header::HeaderValue::from_static(kind);
                    response.headers_mut().insert(CONTENT_TYPE, kind);
                    response
                }
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            },
            _ => text(
                StatusCode::NOT_FOUND,
                "/livez, /readyz and /metrics are here\n",
            ),
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_has_to_be_declared() {
        let admin = Admin::default();
        assert_eq!(
            admin.answer(&Method::GET, "/livez").status(),
            StatusCode::OK
        );
        assert_eq!(
            admin.answer(&Method::GET, "/readyz").status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        admin.set_ready();
        assert_eq!(
            admin.answer(&Method::GET, "/readyz").status(),
            StatusCode::OK
        );
    }

    #[test]
    fn failures_are_counted_by_step() {
        let metrics = Metrics::default();
        metrics.reconciled(Duration::from_millis(20), Some("apply"));
        let page = metrics.page().unwrap();
        assert!(
            page.contains("kop_operator_reconcile_failures_total{step=\"apply\"} 1"),
            "{page}"
        );
    }
}
