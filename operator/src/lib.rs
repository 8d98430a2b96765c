//! The operator that gives a Pulsar deployment the Kafka protocol.
//!
//! One resource, [`KafkaOnPulsar`], is brought about in five steps, each with its own file under
//! `controller/`: dereference (reads) → validate (pure) → build (pure) → apply (writes) → status.
//! The operator owns gateways, their Services and their ConfigMap. Brokers it does not own: it adds
//! a few keys to their ConfigMap under a field manager of its own, restarts them one at a time, and
//! gives them their settings back when the resource is deleted.
//!
//! Deliberately absent: webhooks (the schema and its rules refuse what is wrong), rights to read
//! Secrets (the gateways mount them), and a second replica of the operator.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kop_api::KafkaOnPulsar;
use kube::{Client, CustomResourceExt};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

pub mod admin;
pub mod args;
pub mod controller;
mod crd_text;
pub mod metrics;
pub mod telemetry;

use admin::Admin;
use args::RunArgs;
use controller::{Context, Settings};
use metrics::Metrics;

/// The custom resource definition as the YAML document that is kept in `crds/`.
///
/// # Errors
/// Never in practice: the definition is plain data.
pub fn crd_yaml() -> Result<String, serde_yaml_ng::Error> {
    let definition = serde_yaml_ng::to_string(&KafkaOnPulsar::crd())?;
    let definition = crd_text::quote_ambiguous(&definition);
    Ok(format!(
        "# Generated from operator/api by crdgen: do not edit.\n{definition}"
    ))
}

/// Runs the operator until it is told to stop.
///
/// # Errors
/// When Kubernetes cannot be reached or the admin port cannot be had.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    let metrics = Arc::new(Metrics::default());
    let admin = Arc::new(Admin::new(Arc::clone(&metrics)));
    let listener = TcpListener::bind(&args.admin_listen)
        .await
        .with_context(|| format!("listen on {}", args.admin_listen))?;
    let client = Client::try_default()
        .await
        .context("find a Kubernetes cluster")?;
    let settings = Settings {
        gateway_image: args.gateway_image.filter(|image| !image.is_empty()),
        allow_cross_namespace_brokers: args.allow_cross_namespace_brokers,
    };
    info!(version = env!("CARGO_PKG_VERSION"), admin = %args.admin_listen, "operator starts");
    let context = Arc::new(Context::new(client, settings, metrics, args.pod_name));
    let ready = Arc::clone(&admin);
    let listing = Arc::clone(&context);
    tokio::spawn(async move {
        controller::listable(&listing).await;
        ready.set_ready();
    });
    let (stop, stopped) = watch::channel(false);
    let stopping = stopped.clone();
    let controller = controller::run(context, until(stopped));
    let patience = async move {
        until(stopping).await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::spawn(async move {
        told_to_stop().await;
        info!("operator stops");
        stop.send_replace(true);
    });
    tokio::select! {
        served = admin.serve(listener) => served.context("serve the admin port"),
        () = controller => Ok(()),
        // A watch that cannot reach the API server does not notice that it should end.
        () = patience => Ok(()),
    }
}

/// How long reconciliations may take to come to their end after the signal.
const PATIENCE: Duration = Duration::from_secs(10);

async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone means that nobody will ever stop us: then we never stop.
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// SIGTERM, as Kubernetes sends it, or Ctrl-C.
async fn told_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
