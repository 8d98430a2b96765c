//! Watches, and one reconciliation: five calls. No logic.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::jiff::Timestamp;
use kop_api::KafkaOnPulsar;
use kube::api::ListParams;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use tracing::{debug, warn};

use crate::metrics::Metrics;

mod apply;
mod broker_config;
mod broker_rollout;
mod build;
mod dereference;
mod events;
mod finalize;
#[cfg(test)]
mod fixtures;
mod status;
mod validate;

pub use validate::Settings;

use events::Events;
use status::View;

/// How soon a ready resource is looked at again, for what no watch tells: a ConfigMap of the
/// brokers that somebody changed.
const RESYNC: Duration = Duration::from_secs(60);
/// How soon one that is getting ready is.
const PROGRESS: Duration = Duration::from_secs(5);
/// Pauses after failures grow from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LAST_PAUSE: Duration = Duration::from_secs(300);

/// What every reconciliation shares.
pub struct Context {
    client: Client,
    settings: Settings,
    events: Events,
    metrics: Arc<Metrics>,
    /// Failures in a row, by uid: the runtime itself knows no growing pause per object.
    failures: Mutex<HashMap<String, u32>>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Why a reconciliation did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Reading failed.
    #[error("cannot read: {0}")]
    Read(#[source] kube::Error),
    /// The gateway would not take the settings.
    #[error("the gateway would not take these settings: {0}")]
    Build(#[source] kop_config::ConfigError),
    /// Writing failed.
    #[error("{0}")]
    Apply(String),
    /// The status could not be written.
    #[error("cannot write the status: {0}")]
    Status(#[source] kube::Error),
    /// A deletion did not come further.
    #[error("{0}")]
    Finalize(String),
}

impl ReconcileError {
    /// The step that failed, as metrics name it.
    fn step(&self) -> &'static str {
        match self {
            ReconcileError::Read(_) => "dereference",
            ReconcileError::Build(_) => "build",
            ReconcileError::Apply(_) => "apply",
            ReconcileError::Status(_) => "status",
            ReconcileError::Finalize(_) => "finalize",
        }
    }
}

impl Context {
    /// A context that acts through `client`; `instance` names this operator's pod in events.
    pub fn new(
        client: Client,
        settings: Settings,
        metrics: Arc<Metrics>,
        instance: Option<String>,
    ) -> Self {
        let events = Events::new(client.clone(), instance);
        Context {
            client,
            settings,
            events,
            metrics,
            failures: Mutex::default(),
        }
    }

    /// Doubles with every failure in a row.
    fn pause_after_failure(&self, object: &KafkaOnPulsar) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures
            .entry(object.uid().unwrap_or_default())
            .or_default();
        *count = count.saturating_add(1);
        FIRST_PAUSE
            .saturating_mul(1 << (*count - 1).min(10))
            .min(LAST_PAUSE)
    }

    fn forget_failures(&self, object: &KafkaOnPulsar) {
        let uid = object.uid().unwrap_or_default();
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&uid);
    }
}

/// Brings the cluster one step closer to what the resource says.
///
/// # Errors
/// When a step could not be done; the runtime tries again after a pause.
pub async fn reconcile(
    object: Arc<KafkaOnPulsar>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let started = Instant::now();
    let result = if object.metadata.deletion_timestamp.is_some() {
        finalize::finalize(&context.client, &context.events, &object, Timestamp::now())
            .await
            .map_err(|error| ReconcileError::Finalize(error.to_string()))
    } else {
        bring_about(&object, &context).await
    };
    context.metrics.reconciled(
        started.elapsed(),
        result.as_ref().err().map(ReconcileError::step),
    );
    if result.is_ok() {
        context.forget_failures(&object);
    }
    result
}

async fn bring_about(object: &KafkaOnPulsar, context: &Context) -> Result<Action, ReconcileError> {
    let Context {
        client,
        settings,
        events,
        ..
    } = context;
    let now = Timestamp::now();

    // dereference (reads)
    let found = dereference::dereference(client, object)
        .await
        .map_err(ReconcileError::Read)?;
    // validate (pure)
    let gateway = validate::validate(object, &found, settings, now);
    let mut view = View {
        object,
        found: &found,
        gateway: gateway.as_ref(),
        applied: None,
        failure: None,
    };
    let Ok(gateway) = gateway.as_ref() else {
        status::report(client, events, &view, now)
            .await
            .map_err(ReconcileError::Status)?;
        return Ok(Action::requeue(PROGRESS));
    };
    // build (pure), apply (writes)
    let result = match build::build(gateway).map_err(ReconcileError::Build) {
        Ok(_) if gateway.paused => Ok(None),
        Ok(resources) => apply::apply(client, object, gateway, &found, resources)
            .await
            .map(Some)
            .map_err(|error| ReconcileError::Apply(error.to_string())),
        Err(error) => Err(error),
    };
    view.applied = result.as_ref().ok().and_then(Option::as_ref);
    view.failure = result.as_ref().err().map(ToString::to_string);
    // status
    let ready = status::report(client, events, &view, now)
        .await
        .map_err(ReconcileError::Status)?;
    result?;
    Ok(Action::requeue(if ready { RESYNC } else { PROGRESS }))
}

fn after_failure(
    object: Arc<KafkaOnPulsar>,
    error: &ReconcileError,
    context: Arc<Context>,
) -> Action {
    let pause = context.pause_after_failure(&object);
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    warn!(%namespace, %name, step = error.step(), %error, ?pause, "reconciliation failed");
    Action::requeue(pause)
}

/// Waits until resources can be listed: the definition is installed, and we have the right.
///
/// The store of the controller cannot be asked instead: it wakes only one of those who wait for it.
pub async fn listable(context: &Context) {
    let api = Api::<KafkaOnPulsar>::all(context.client.clone());
    let one = ListParams::default().limit(1);
    while let Err(error) = api.list_metadata(&one).await {
        warn!(%error, "KafkaOnPulsar resources cannot be listed");
        tokio::time::sleep(PROGRESS).await;
    }
}

/// Watches until `stop` comes, then ends what is under way.
pub async fn run(context: Arc<Context>, stop: impl Future<Output = ()> + Send + Sync + 'static) {
    let client = context.client.clone();
    let ours = watcher::Config::default().labels(&format!(
        "{}={}",
        build::labels::MANAGED_BY,
        build::labels::OPERATOR
    ));
    let controller = Controller::new(
        Api::<KafkaOnPulsar>::all(client.clone()),
        watcher::Config::default(),
    )
    .owns(Api::<Deployment>::all(client.clone()), ours.clone())
    .owns(Api::<Service>::all(client.clone()), ours);
    let store = controller.store();
    controller
        .watches(
            Api::<StatefulSet>::all(client),
            watcher::Config::default(),
            move |set: StatefulSet| patched_by(&store, &set),
        )
        .graceful_shutdown_on(stop)
        .run(reconcile, after_failure, context)
        .for_each(|result| async move {
            if let Ok((object, _)) = result {
                debug!(namespace = object.namespace.as_deref(), name = %object.name, "reconciled");
            }
        })
        .await;
}

/// The resources whose brokers a StatefulSet runs.
fn patched_by(store: &Store<KafkaOnPulsar>, set: &StatefulSet) -> Vec<ObjectRef<KafkaOnPulsar>> {
    let target = Some((set.namespace().unwrap_or_default(), set.name_any()));
    let objects = store.state();
    let patching = objects
        .iter()
        .filter(|object| dereference::broker_target(object) == target);
    patching
        .map(|object| ObjectRef::from_obj(object.as_ref()))
        .collect()
}
