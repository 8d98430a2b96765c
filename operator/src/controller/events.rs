//! Kubernetes events about a resource, as `kubectl describe` shows them.

use kop_api::KafkaOnPulsar;
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::warn;

use super::build::labels::OPERATOR;

/// Publishes events; one that cannot be published costs a log line, never a reconciliation.
#[derive(Clone)]
pub(crate) struct Events {
    recorder: Recorder,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// Publishes through `client` as `instance`, which is the operator's pod.
    pub(crate) fn new(client: kube::Client, instance: Option<String>) -> Self {
        let reporter = Reporter {
            controller: OPERATOR.to_owned(),
            instance,
        };
        Events {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Says that `action` led to `reason`.
    pub(crate) async fn publish(
        &self,
        object: &KafkaOnPulsar,
        kind: EventType,
        reason: &str,
        action: &str,
        mut note: String,
    ) {
        // The API server refuses notes of more than 1 KiB.
        let end = (0..=note.len().min(1000))
            .rev()
            .find(|end| note.is_char_boundary(*end));
        note.truncate(end.unwrap_or(0));
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            note: Some(note),
            action: action.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            warn!(%error, reason, "event not published");
        }
    }
}
