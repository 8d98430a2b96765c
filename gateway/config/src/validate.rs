//! From what was said to what holds.
use std::{path::PathBuf, time::Duration};

use crate::{
    Config, HostPort, InvalidHostPort, Limits, Listener, PulsarConfig, RawConfig, StoreConfig,
    sized::{self, MOST_MEMORY, MOST_TAIL_CACHE},
};

mod authentication;
mod groups;

/// The name of a listener that was given without one.
const DEFAULT_LISTENER: &str = "PLAINTEXT";
const MOST_PARTITIONS: u32 = 10_000;
const MOST: u32 = i32::MAX.unsigned_abs();
/// Largest request where nothing is said, as Kafka's `socket.request.max.bytes`.
const MOST_REQUEST: u32 = 100 << 20;
const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Why a configuration cannot be used. The message names the settings that are wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an address.
    #[error("{setting}: {invalid}")]
    Address {
        /// The flag.
        setting: &'static str,
        /// What is wrong with it.
        invalid: InvalidHostPort,
    },
    /// Not the name of a listener.
    #[error("{setting}: `{name}` is not a listener name (letters, digits, `-` and `_`)")]
    ListenerName {
        /// The flag.
        setting: &'static str,
        /// The name as given.
        name: String,
    },
    /// Two addresses for one listener.
    #[error("{setting} is given twice for the listener {name}")]
    TwiceNamed {
        /// The flag.
        setting: &'static str,
        /// The listener.
        name: String,
    },
    /// An address for a listener that is not there.
    #[error("--advertise {0}://…: there is no --listen with this name")]
    UnknownListener(String),
    /// No one can connect to `0.0.0.0`.
    #[error(
        "the listener {name} would tell clients to connect to {address}, which is no address of \
         any machine: give --advertise {name}://HOST:PORT"
    )]
    Unspecified {
        /// The listener.
        name: String,
        /// What would be advertised.
        address: HostPort,
    },
    /// Two settings that exclude each other.
    #[error("{0} and {1} exclude each other")]
    Conflict(&'static str, &'static str),
    /// A setting that needs another one.
    #[error("{setting} needs {needs}")]
    Needs {
        /// The one that was given.
        setting: &'static str,
        /// The one that was not.
        needs: &'static str,
    },
    /// A value out of its range, or not of its form.
    #[error("{setting}: `{value}` is not {expected}")]
    Value {
        /// The flag.
        setting: &'static str,
        /// The value as given.
        value: String,
        /// What it has to be.
        expected: &'static str,
    },
}

impl RawConfig {
    /// Checks everything and fills in the defaults.
    ///
    /// # Errors
    /// The first thing found wrong, naming the flags it is about.
    pub fn validate(self) -> Result<Config, ConfigError> {
        let listeners = listeners(
            self.listen.as_deref().unwrap_or(&[]),
            self.advertise.as_deref().unwrap_or(&[]),
        )?;
        let admin_listen = self.admin_listen.as_deref().unwrap_or("127.0.0.1:9100");
        let admin_listen = address("--admin-listen", admin_listen)?;
        let limits = limits(&self)?;
        let default_partitions = ranged(
            "--default-partitions",
            self.default_partitions.unwrap_or(1),
            (1, MOST_PARTITIONS),
            "a number from 1 to 10000",
        )?;
        let default_retention_ms = self.default_retention_ms.unwrap_or(WEEK_MS);
        if default_retention_ms < -1 {
            return Err(ConfigError::Value {
                setting: "--default-retention-ms",
                value: default_retention_ms.to_string(),
                expected: "-1 or greater",
            });
        }
        let node_id = self.node_id.unwrap_or(0);
        if node_id < 0 {
            return Err(ConfigError::Value {
                setting: "--node-id",
                value: node_id.to_string(),
                expected: "0 or greater",
            });
        }
        let auto_create_topics = self.auto_create_topics.unwrap_or(true);
        let log_format = self.log_format.unwrap_or_default();
        let groups = groups::groups(&self)?;
        let worker_threads = self.worker_threads.map(worker_threads).transpose()?;
        let store = store(self)?;
        Ok(Config {
            node_id,
            listeners,
            admin_listen,
            store,
            default_partitions,
            default_retention_ms,
            auto_create_topics,
            log_format,
            groups,
            limits,
            worker_threads,
        })
    }
}

fn milliseconds(count: u32) -> Duration {
    Duration::from_millis(u64::from(count))
}

fn address(setting: &'static str, text: &str) -> Result<HostPort, ConfigError> {
    text.parse()
        .map_err(|invalid| ConfigError::Address { setting, invalid })
}

/// Splits `[NAME://]HOST:PORT`.
fn named(setting: &'static str, text: &str) -> Result<(String, HostPort), ConfigError> {
    let (name, rest) = text.split_once("://").unwrap_or((DEFAULT_LISTENER, text));
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(legal) {
        return Err(ConfigError::ListenerName {
            setting,
            name: name.to_owned(),
        });
    }
    Ok((name.to_owned(), address(setting, rest)?))
}

/// Reads the entries of one repeatable setting, each name once.
fn all_named(
    setting: &'static str,
    texts: &[String],
) -> Result<Vec<(String, HostPort)>, ConfigError> {
    let mut entries: Vec<(String, HostPort)> = Vec::with_capacity(texts.len());
    for text in texts {
        let (name, at) = named(setting, text)?;
        if entries.iter().any(|(known, _)| *known == name) {
            return Err(ConfigError::TwiceNamed { setting, name });
        }
        entries.push((name, at));
    }
    Ok(entries)
}

fn listeners(listen: &[String], advertise: &[String]) -> Result<Vec<Listener>, ConfigError> {
    let default = ["127.0.0.1:9092".to_owned()];
    let listen = if listen.is_empty() { &default } else { listen };
    let bound = all_named("--listen", listen)?;
    let advertised = all_named("--advertise", advertise)?;
    if let Some((name, _)) = advertised
        .iter()
        .find(|(a, _)| !bound.iter().any(|(b, _)| a == b))
    {
        return Err(ConfigError::UnknownListener(name.clone()));
    }
    bound
        .into_iter()
        .map(|(name, bind)| {
            let advertise = advertised
                .iter()
                .find(|(of, _)| *of == name)
                .map_or_else(|| bind.clone(), |(_, at)| at.clone());
            if advertise.is_unspecified() {
                return Err(ConfigError::Unspecified {
                    name,
                    address: advertise,
                });
            }
            Ok(Listener {
                name,
                bind,
                advertise,
            })
        })
        .collect()
}

fn ranged(
    setting: &'static str,
    value: u32,
    (least, most): (u32, u32),
    expected: &'static str,
) -> Result<u32, ConfigError> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(ConfigError::Value {
            setting,
            value: value.to_string(),
            expected,
        })
    }
}

fn size(bytes: u32) -> usize {
    usize::try_from(bytes).expect("memory is addressed by 32 bits or more")
}

fn worker_threads(count: u32) -> Result<usize, ConfigError> {
    let expected = "a number from 1 to 1024";
    ranged("--worker-threads", count, (1, 1024), expected).map(size)
}

fn limits(raw: &RawConfig) -> Result<Limits, ConfigError> {
    let message = ranged(
        "--max-message-bytes",
        raw.max_message_bytes.unwrap_or(1_048_588),
        (1024, MOST),
        "a number from 1024 to 2147483647",
    )?;
    let request = ranged(
        "--max-request-bytes",
        raw.max_request_bytes.unwrap_or_else(|| {
            let memory = raw.max_memory_bytes.unwrap_or(MOST);
            MOST_REQUEST.min(memory).max(sized::request_of(message))
        }),
        (1024, MOST),
        "a number from 1024 to 2147483647",
    )?;
    let memory = ranged(
        "--max-memory-bytes",
        raw.max_memory_bytes.unwrap_or(MOST_MEMORY.max(request)),
        (request, MOST),
        "between --max-request-bytes and 2147483647",
    )?;
    let connections = ranged(
        "--max-connections",
        raw.max_connections.unwrap_or(10_000),
        (1, 1_000_000),
        "a number from 1 to 1000000",
    )?;
    let per_ip = ranged(
        "--max-connections-per-ip",
        raw.max_connections_per_ip.unwrap_or(connections),
        (1, 1_000_000),
        "a number from 1 to 1000000",
    )?;
    let in_flight = ranged(
        "--max-requests-in-flight",
        raw.max_requests_in_flight.unwrap_or(128),
        (1, 10_000),
        "a number from 1 to 10000",
    )?;
    let idle = ranged(
        "--connection-idle-ms",
        raw.connection_idle_ms.unwrap_or(600_000),
        (1000, MOST),
        "a number from 1000 to 2147483647",
    )?;
    let stall = ranged(
        "--connection-stall-ms",
        raw.connection_stall_ms.unwrap_or(30_000),
        (100, MOST),
        "a number from 100 to 2147483647",
    )?;
    let metrics_offsets = ranged(
        "--metrics-max-offsets",
        raw.metrics_max_offsets.unwrap_or(5000),
        (0, 1_000_000),
        "a number from 0 to 1000000",
    )?;
    Ok(Limits {
        connections: size(connections),
        connections_per_ip: size(per_ip),
        requests_in_flight: size(in_flight),
        request_bytes: size(request),
        message_bytes: size(message),
        memory_bytes: size(memory),
        connection_idle: milliseconds(idle),
        connection_stall: milliseconds(stall),
        metrics_offsets: size(metrics_offsets),
    })
}

fn store(raw: RawConfig) -> Result<StoreConfig, ConfigError> {
    match &raw.pulsar {
        Some(_) if raw.data_dir.is_some() => Err(ConfigError::Conflict("--data-dir", "--pulsar")),
        Some(_) if raw.durability.is_some() => {
            Err(ConfigError::Conflict("--durability", "--pulsar"))
        }
        Some(_) if raw.default_retention_ms.is_some() => {
            Err(ConfigError::Conflict("--default-retention-ms", "--pulsar"))
        }
        Some(url) => pulsar(url.clone(), raw).map(StoreConfig::Pulsar),
        None => embedded(raw),
    }
}

fn embedded(raw: RawConfig) -> Result<StoreConfig, ConfigError> {
    let for_pulsar = [
        ("--pulsar-admin", raw.pulsar_admin.is_some()),
        (authentication::TOKEN_FILE, raw.pulsar_token_file.is_some()),
        (authentication::ISSUER, raw.pulsar_oauth2_issuer.is_some()),
        (
            authentication::CREDENTIALS,
            raw.pulsar_oauth2_credentials_file.is_some(),
        ),
        (
            authentication::AUDIENCE,
            raw.pulsar_oauth2_audience.is_some(),
        ),
        (authentication::SCOPE, raw.pulsar_oauth2_scope.is_some()),
        ("--pulsar-ca-file", raw.pulsar_ca_file.is_some()),
        ("--tenant", raw.tenant.is_some()),
        ("--namespace", raw.namespace.is_some()),
        ("--metadata-namespace", raw.metadata_namespace.is_some()),
        ("--entry-format", raw.entry_format.is_some()),
        ("--tail-cache-bytes", raw.tail_cache_bytes.is_some()),
    ];
    if let Some((setting, _)) = for_pulsar.into_iter().find(|(_, given)| *given) {
        return Err(ConfigError::Needs {
            setting,
            needs: "--pulsar",
        });
    }
    Ok(StoreConfig::Embedded {
        data_dir: raw.data_dir.unwrap_or_else(|| PathBuf::from("kop-data")),
        durability: raw.durability.unwrap_or_default(),
    })
}

fn pulsar(service_url: String, raw: RawConfig) -> Result<PulsarConfig, ConfigError> {
    let authentication = authentication::authentication(&raw)?;
    let admin_url = raw.pulsar_admin.ok_or(ConfigError::Needs {
        setting: "--pulsar",
        needs: "--pulsar-admin",
    })?;
    if !has_host(&service_url, &["pulsar://", "pulsar+ssl://"]) {
        return Err(ConfigError::Value {
            setting: "--pulsar",
            value: service_url,
            expected: "pulsar://HOST:PORT or pulsar+ssl://HOST:PORT",
        });
    }
    if !has_host(&admin_url, &["http://", "https://"]) {
        return Err(ConfigError::Value {
            setting: "--pulsar-admin",
            value: admin_url,
            expected: "http://HOST:PORT or https://HOST:PORT",
        });
    }
    Ok(PulsarConfig {
        service_url,
        admin_url,
        authentication,
        ca_file: raw.pulsar_ca_file,
        tenant: part_of_name("--tenant", raw.tenant, "public")?,
        namespace: part_of_name("--namespace", raw.namespace, "default")?,
        metadata_namespace: part_of_name(
            "--metadata-namespace",
            raw.metadata_namespace,
            "__kafka",
        )?,
        entry_format: raw.entry_format.unwrap_or_default(),
        tail_cache_bytes: size(ranged(
            "--tail-cache-bytes",
            raw.tail_cache_bytes.unwrap_or(MOST_TAIL_CACHE),
            (0, MOST),
            "a number from 0 to 2147483647",
        )?),
    })
}

fn has_host(url: &str, schemes: &[&str]) -> bool {
    schemes.iter().any(|scheme| {
        url.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty())
    })
}

/// A tenant or a namespace, in the letters that Pulsar allows.
fn part_of_name(
    setting: &'static str,
    given: Option<String>,
    default: &str,
) -> Result<String, ConfigError> {
    let value = given.unwrap_or_else(|| default.to_owned());
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-=:._".contains(&b);
    if value.is_empty() || !value.bytes().all(legal) {
        return Err(ConfigError::Value {
            setting,
            value,
            expected: "a Pulsar name (letters, digits and -=:._)",
        });
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
