use super::Verdict;
use crate::controller::apply::{Applied, BrokerOutcome};
use crate::controller::broker_rollout::Rollout;
use crate::controller::validate::{Brokers, ManagedBrokers, ValidatedGateway};

/// The condition `BrokersConfigured`.
pub(super) fn verdict(gateway: &ValidatedGateway, applied: Option<&Applied>) -> Verdict {
    match &gateway.brokers {
        Brokers::Unmanaged => {
            Verdict::holds("NotManaged", "the brokers' settings are not looked at")
        }
        Brokers::Verify(brokers) => verified(brokers),
        Brokers::Patch(brokers) => {
            let outcome = applied.map_or(&BrokerOutcome::Nothing, |applied| &applied.brokers);
            patched(brokers, outcome)
        }
    }
}

fn verified(brokers: &ManagedBrokers) -> Verdict {
    if brokers.config.missing.is_empty() {
        return Verdict::holds("Verified", "the brokers have every setting that is needed");
    }
    let lines: Vec<_> = brokers
        .config
        .missing
        .iter()
        .map(|(key, value)| format!("{key}: \"{value}\""))
        .collect();
    Verdict::fails(
        "SettingsMissing",
        format!(
            "set in ConfigMap {}/{}, then restart the brokers: {}",
            brokers.namespace,
            brokers.config_map,
            lines.join(", ")
        ),
    )
}

fn patched(brokers: &ManagedBrokers, outcome: &BrokerOutcome) -> Verdict {
    if let Some(rival) = &brokers.rival {
        return Verdict::fails(
            "ManagedByOther",
            format!("KafkaOnPulsar {rival} is older and patches the same brokers"),
        );
    }
    if !brokers.config.conflicts.is_empty() {
        return conflict(brokers);
    }
    match outcome {
        BrokerOutcome::Conflict(message) => return Verdict::fails("ConfigConflict", message),
        BrokerOutcome::Replaced(message) => return Verdict::pending("BrokersReplaced", message),
        BrokerOutcome::Refused(message) => return Verdict::fails("PatchRefused", message),
        BrokerOutcome::Nothing if !brokers.config.written => {
            return Verdict::pending(
                "PatchPending",
                "the brokers' settings are yet to be written",
            );
        }
        BrokerOutcome::Nothing | BrokerOutcome::Written { .. } => {}
    }
    rolled_out(brokers)
}

fn rolled_out(brokers: &ManagedBrokers) -> Verdict {
    let total = brokers.replicas;
    let current = brokers.pods.iter().filter(|pod| pod.current).count();
    let ready = brokers.pods.iter().filter(|pod| pod.ready).count();
    let progress = format!("{current} of {total} brokers run with the needed settings");
    match &brokers.rollout {
        Rollout::Done if brokers.config.written => Verdict::holds("Configured", progress),
        Rollout::Done
        | Rollout::Annotate
        | Rollout::DeletePod { .. }
        | Rollout::Restarting { stalled: false } => Verdict::pending("BrokersRestarting", progress),
        Rollout::Restarting { stalled: true } => Verdict::fails(
            "RestartStalled",
            format!(
                "{progress}, and none has become ready for longer than \
                     brokers.restart.healthTimeoutSeconds"
            ),
        ),
        Rollout::UserRestarts => Verdict::fails(
            "RestartNeeded",
            format!(
                "{progress}: restart the pods of StatefulSet {}/{}",
                brokers.namespace, brokers.stateful_set
            ),
        ),
        Rollout::NotReady => Verdict::pending(
            "BrokersNotReady",
            format!("{ready} of {total} brokers are ready"),
        ),
    }
}

fn conflict(brokers: &ManagedBrokers) -> Verdict {
    let conflicts: Vec<_> = brokers
        .config
        .conflicts
        .iter()
        .map(|conflict| {
            format!(
                "{} is set by {} and has to be \"{}\"",
                conflict.key, conflict.owner, conflict.wanted
            )
        })
        .collect();
    Verdict::fails(
        "ConfigConflict",
        format!(
            "ConfigMap {}/{}: {}; change it there, nothing is overwritten",
            brokers.namespace,
            brokers.config_map,
            conflicts.join(", ")
        ),
    )
}
