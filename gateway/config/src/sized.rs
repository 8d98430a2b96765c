//! Defaults that follow the memory there is.
use crate::RawConfig;

/// Each of the budgets has one part of so many. Requests, what is read ahead for consumers and responses
/// have one each, batches kept beyond their request half of one, the newest records one: little more than
/// half of the memory together, and the rest is for the gateway itself.
const PARTS: u64 = 8;
/// No budget is less, however little there is.
const LEAST: u32 = 8 << 20;
/// Nor more than that, however much there is: enough for hundreds of MiB a second.
pub(crate) const MOST_MEMORY: u32 = 128 << 20;
/// Of the newest records, some more: who reads them from here does not ask brokers for them.
pub(crate) const MOST_TAIL_CACHE: u32 = 256 << 20;
/// What a request may have beside its largest batch.
const BESIDE_A_BATCH: u32 = 64 << 10;

/// Room that a request needs in which a batch of that size comes; sizes are `int`s to Kafka.
pub(crate) fn request_of(batch: u32) -> u32 {
    batch
        .saturating_add(BESIDE_A_BATCH)
        .min(i32::MAX.unsigned_abs())
}

impl RawConfig {
    /// Fills in what says nothing of the memory for requests and for the newest records, for a process that
    /// may use `available` bytes. Without it, it is as with enough.
    #[must_use]
    pub fn sized_for(mut self, available: u64) -> Self {
        let part = u32::try_from(available / PARTS)
            .unwrap_or(u32::MAX)
            .max(LEAST);
        let batch = self.max_message_bytes.unwrap_or_default();
        let needed = self.max_request_bytes.unwrap_or(request_of(batch));
        self.max_memory_bytes
            .get_or_insert(part.min(MOST_MEMORY).max(needed));
        if self.pulsar.is_some() {
            self.tail_cache_bytes
                .get_or_insert(part.min(MOST_TAIL_CACHE));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, StoreConfig};

    fn sized(raw: RawConfig, mib: u64) -> Config {
        raw.sized_for(mib << 20).validate().unwrap()
    }

    fn on_pulsar() -> RawConfig {
        RawConfig {
            pulsar: Some("pulsar://p:6650".to_owned()),
            pulsar_admin: Some("http://p:8080".to_owned()),
            ..RawConfig::default()
        }
    }

    /// Of a process with so much: memory, largest request and newest records, in MiB.
    fn budgets(mib: u64) -> [usize; 3] {
        let Config { store, limits, .. } = sized(on_pulsar(), mib);
        let StoreConfig::Pulsar(pulsar) = store else {
            panic!("on Pulsar")
        };
        let all = [
            limits.memory_bytes,
            limits.request_bytes,
            pulsar.tail_cache_bytes,
        ];
        all.map(|bytes| bytes >> 20)
    }

    #[test]
    fn budgets_follow_the_memory_there_is() {
        assert_eq!(budgets(16), [8, 8, 8]);
        assert_eq!(budgets(256), [32, 32, 32]);
        assert_eq!(budgets(1024), [128, 100, 128]);
        assert_eq!(budgets(4096), [128, 100, 256]);
        assert_eq!(budgets(1 << 20), [128, 100, 256]);
    }

    #[test]
    fn what_is_said_holds() {
        let said = RawConfig {
            max_memory_bytes: Some(1 << 30),
            tail_cache_bytes: Some(0),
            ..on_pulsar()
        };
        assert_eq!(said.clone().sized_for(256 << 20), said);
        let Config { store, .. } = sized(RawConfig::default(), 256);
        assert!(matches!(store, StoreConfig::Embedded { .. }));
    }

    #[test]
    fn what_may_come_has_room() {
        let large = RawConfig {
            max_message_bytes: Some(50 << 20),
            ..RawConfig::default()
        };
        let limits = sized(large, 256).limits;
        assert!(limits.request_bytes > limits.message_bytes);
        let large = RawConfig {
            max_request_bytes: Some(200 << 20),
            ..RawConfig::default()
        };
        assert_eq!(sized(large, 256).limits.memory_bytes, 200 << 20);
    }
}
