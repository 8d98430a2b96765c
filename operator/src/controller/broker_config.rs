//! Which settings the brokers lack, what to write into their ConfigMap, and what stands against it.
//!
//! Pulsar's images turn environment variables into `broker.conf` before they start: `PULSAR_PREFIX_k`
//! always wins and works for keys that the file does not have, a plain `k` works only for those it
//! has. So the operator writes the prefixed form alone, under a field manager of its own, and what
//! somebody else wrote keeps standing beside it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::jiff::Timestamp;

use super::dereference::ObservedBrokers;

/// The field manager of everything the operator writes to brokers, which it does not own.
pub(crate) const BROKER_MANAGER: &str = "kop-operator-broker";

/// The interceptor that numbers the messages of a topic: Kafka offsets are these numbers.
pub(crate) const INDEX_INTERCEPTOR: &str =
    "org.apache.pulsar.common.intercept.AppendIndexMetadataInterceptor";

/// The key of `broker.conf` that lists the interceptors.
pub(crate) const INTERCEPTORS_KEY: &str = "brokerEntryMetadataInterceptors";

/// Before the name of a variable that is to become a key of `broker.conf` in any case.
pub(crate) const PREFIX: &str = "PULSAR_PREFIX_";

#[cfg(test)]
mod tests;

/// What the brokers are to run with, compared with what they have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BrokerConfig {
    /// All that the operator's field manager is to hold in the ConfigMap, by its key there.
    pub(crate) writes: BTreeMap<String, String>,
    /// Whether the ConfigMap already holds exactly that from us.
    pub(crate) written: bool,
    /// The values in force without us, by key of `broker.conf`; empty where there is none.
    pub(crate) previous: BTreeMap<String, String>,
    /// What is not in force right now, by the ConfigMap's key.
    pub(crate) missing: BTreeMap<String, String>,
    /// What keeps us from writing.
    pub(crate) conflicts: Vec<Conflict>,
    /// Names the settings that the brokers are to run with.
    pub(crate) hash: String,
    /// When our part of the ConfigMap last changed.
    pub(crate) patched_at: Option<Timestamp>,
}

/// A key that somebody else holds at a value with which the gateway cannot work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The variable, prefix included.
    pub(crate) key: String,
    /// Who holds it.
    pub(crate) owner: String,
    /// The value it would have to have.
    pub(crate) wanted: String,
}

enum Need {
    Equals(String),
    Contains(&'static str),
}

impl Need {
    fn is_met_by(&self, value: Option<&str>) -> bool {
        let Some(value) = value.map(str::trim) else {
            return false;
        };
        match self {
            Need::Equals(wanted) => value.eq_ignore_ascii_case(wanted),
            Need::Contains(entry) => value.split(',').any(|part| part.trim() == *entry),
        }
    }

    /// The value that meets the need and keeps what is there.
    fn value(&self, base: Option<&str>) -> String {
        match (self, base.map(str::trim).filter(|base| !base.is_empty())) {
            (Need::Equals(wanted), _) => wanted.clone(),
            (Need::Contains(entry), None) => (*entry).to_owned(),
            (Need::Contains(entry), Some(base)) => format!("{base},{entry}"),
        }
    }
}

/// What the gateway cannot do without, then what the user wants besides.
///
/// `allowAutoTopicCreationType` is left alone on purpose: the gateway makes its topics itself, and
/// changing what native clients' topics are is not ours to decide.
fn needs(extra: &BTreeMap<String, String>) -> BTreeMap<String, Need> {
    let mut needs: BTreeMap<String, Need> = extra
        .iter()
        .map(|(key, value)| (key.clone(), Need::Equals(value.clone())))
        .collect();
    needs.insert(
        INTERCEPTORS_KEY.to_owned(),
        Need::Contains(INDEX_INTERCEPTOR),
    );
    needs.insert(
        "exposingBrokerEntryMetadataToClientEnabled".to_owned(),
        Need::Equals("true".to_owned()),
    );
    // A Kafka topic without clients has no subscription: Pulsar would delete it after a minute.
    needs.insert(
        "brokerDeleteInactiveTopicsEnabled".to_owned(),
        Need::Equals("false".to_owned()),
    );
    needs
}

impl BrokerConfig {
    /// Compares what the brokers have with what the gateway needs and the user wants (`extra`).
    pub(crate) fn evaluate(brokers: &ObservedBrokers, extra: &BTreeMap<String, String>) -> Self {
        let ours = keys_of_ours(&brokers.config_map);
        let layers = Layers {
            brokers,
            without: &ours,
        };
        let now = Layers {
            brokers,
            without: &BTreeSet::new(),
        };

        let mut config = BrokerConfig {
            writes: BTreeMap::new(),
            written: false,
            previous: BTreeMap::new(),
            missing: BTreeMap::new(),
            conflicts: Vec::new(),
            hash: String::new(),
            patched_at: patched_at(&brokers.config_map),
        };
        let mut effective = Vec::new();
        for (key, need) in needs(extra) {
            let base = layers.effective(&key);
            let prefixed = format!("{PREFIX}{key}");
            let wanted = need.value(base);
            if !need.is_met_by(now.effective(&key)) {
                config.missing.insert(prefixed.clone(), wanted.clone());
            }
            if need.is_met_by(base) {
                effective.push((key, base.unwrap_or_default().to_owned()));
                continue;
            }
            if let Some(owner) = layers.holder_of(&prefixed) {
                config.conflicts.push(Conflict {
                    key: prefixed,
                    owner,
                    wanted,
                });
                continue;
            }
            config
                .previous
                .insert(key.clone(), base.unwrap_or_default().to_owned());
            config.writes.insert(prefixed, wanted.clone());
            effective.push((key, wanted));
        }
        config.written = held_by(&brokers.config_map, &ours) == config.writes;
        config.hash = fingerprint(effective.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        config
    }

    /// Names the settings that are in force right now, as [`hash`](Self::hash) would name them.
    pub(crate) fn hash_in_force(
        brokers: &ObservedBrokers,
        extra: &BTreeMap<String, String>,
    ) -> String {
        let nothing = BTreeSet::new();
        let now = Layers {
            brokers,
            without: &nothing,
        };
        let needs = needs(extra);
        fingerprint(
            needs
                .keys()
                .map(|key| (key.as_str(), now.effective(key).unwrap_or_default())),
        )
    }
}

/// What our field manager holds in the ConfigMap, by key.
pub(crate) fn held_by_us(config_map: &ConfigMap) -> BTreeMap<String, String> {
    held_by(config_map, &keys_of_ours(config_map))
}

/// Where a broker's settings come from, strongest first; `without` names keys of the last
/// ConfigMap to look away from.
struct Layers<'a> {
    brokers: &'a ObservedBrokers,
    without: &'a BTreeSet<String>,
}

impl<'a> Layers<'a> {
    fn effective(&self, key: &str) -> Option<&'a str> {
        let prefixed = format!("{PREFIX}{key}");
        self.variable(&prefixed).or_else(|| self.variable(key))
    }

    /// A variable of the container: its own `env` beats every ConfigMap, a later one an earlier.
    fn variable(&self, name: &str) -> Option<&'a str> {
        let brokers = self.brokers;
        let of = |map: &'a ConfigMap| map.data.as_ref()?.get(name).map(String::as_str);
        let target = || {
            if self.without.contains(name) {
                None
            } else {
                of(&brokers.config_map)
            }
        };
        brokers
            .container_env
            .get(name)
            .map(String::as_str)
            .or_else(target)
            .or_else(|| brokers.earlier_config_maps.iter().rev().find_map(of))
    }

    /// Who else sets `variable` where we would write it or above.
    fn holder_of(&self, variable: &str) -> Option<String> {
        if self.brokers.container_env.contains_key(variable) {
            return Some("the container's env".to_owned());
        }
        let map = &self.brokers.config_map;
        let present = map
            .data
            .as_ref()
            .is_some_and(|data| data.contains_key(variable));
        if !present || self.without.contains(variable) {
            return None;
        }
        Some(
            managers_of(map, variable)
                .find(|(manager, _)| *manager != BROKER_MANAGER)
                .map_or_else(
                    || "an unknown manager".to_owned(),
                    |(manager, _)| manager.to_owned(),
                ),
        )
    }
}

fn held_by(config_map: &ConfigMap, keys: &BTreeSet<String>) -> BTreeMap<String, String> {
    let data = config_map.data.iter().flatten();
    data.filter(|(key, _)| keys.contains(*key))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// The keys that our field manager holds and nobody else does.
fn keys_of_ours(config_map: &ConfigMap) -> BTreeSet<String> {
    let keys = config_map.data.iter().flatten().map(|(key, _)| key);
    keys.filter(|key| {
        let mut managers = managers_of(config_map, key).peekable();
        managers.peek().is_some()
            && managers
                .all(|(manager, operation)| manager == BROKER_MANAGER && operation == "Apply")
    })
    .cloned()
    .collect()
}

/// Field manager and operation of everyone who holds a key of the ConfigMap.
fn managers_of<'a>(
    config_map: &'a ConfigMap,
    key: &str,
) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let field = format!("f:{key}");
    config_map
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .filter_map(move |entry| {
            entry.fields_v1.as_ref()?.0.get("f:data")?.get(&field)?;
            Some((entry.manager.as_deref()?, entry.operation.as_deref()?))
        })
}

fn patched_at(config_map: &ConfigMap) -> Option<Timestamp> {
    let entries = config_map.metadata.managed_fields.iter().flatten();
    entries
        .filter(|entry| entry.manager.as_deref() == Some(BROKER_MANAGER))
        .filter_map(|entry| entry.time.as_ref().map(|time| time.0))
        .max()
}

/// A short name for a list of settings. It is kept in annotations, so it must not depend on the
/// version of anything: FNV-1a with 64 bits.
pub(crate) fn fingerprint<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (key, value) in pairs {
        for byte in key.bytes().chain([b'=']).chain(value.bytes()).chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}
