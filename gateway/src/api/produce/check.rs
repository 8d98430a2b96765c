//! What a batch must be to be written: Kafka's checks of a produce request and of its records.
use std::{
    cell::RefCell,
    time::{SystemTime, UNIX_EPOCH},
};

use kop_store::TopicSettings;
use kop_wire::{
    Batch, BatchError, Compression, InvalidRecords, RecordFault, RecordRules, Timestamp,
    TimestampType, Validator,
    compression::CompressionError,
    kafka_protocol::{ResponseError, messages::produce_request::PartitionProduceData},
};

use super::keeping::Keeping;
use crate::api::{Call, error::Refusal};

/// Compressed records up to this size, in bytes, are checked on the spot. Larger ones are decompressed on
/// a thread where nobody waits for them.
const ON_THE_SPOT: usize = 32 << 10;

/// A batch that is not written.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    /// Which of its records are to blame, and why, where it is single ones (KIP-467).
    pub(super) faults: Vec<(i32, RecordFault)>,
}

impl<R: Into<Refusal>> From<R> for Refused {
    fn from(refusal: R) -> Self {
        Self {
            refusal: refusal.into(),
            faults: Vec::new(),
        }
    }
}

/// Takes the one batch of a partition, if it may be written.
pub(super) async fn checked(
    call: &Call,
    data: PartitionProduceData,
    keeping: &Keeping,
    settings: &TopicSettings,
) -> Result<Batch, Refused> {
    let batch = framed(call, data, keeping, settings.max_message_bytes)?;
    let rules = rules(settings, now());
    let on_the_spot = match batch.header().compression() {
        Compression::None => true,
        _ => batch.bytes().len() <= ON_THE_SPOT,
    };
    if on_the_spot {
        return records(batch, &rules);
    }
    match tokio::task::spawn_blocking(move || records(batch, &rules)).await {
        Ok(checked) => checked,
        // The runtime ends, and this request with it.
        Err(_) => Err(ResponseError::UnknownServerError.into()),
    }
}

/// What the topic asks of each record. Bounds so wide that no time is outside of them are none.
fn rules(settings: &TopicSettings, now: Timestamp) -> RecordRules {
    // Where the log gives the time, that of the producer does not count.
    let created = !settings.log_append_time;
    let earliest = now.0.checked_sub(settings.timestamp_before_max_ms);
    let latest = now.0.checked_add(settings.timestamp_after_max_ms);
    RecordRules {
        keyed: settings.compacts,
        earliest: earliest
            .filter(|first| created && *first > 0)
            .map(Timestamp),
        latest: latest.filter(|_| created).map(Timestamp),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Checks all but the records.
fn framed(
    call: &Call,
    data: PartitionProduceData,
    keeping: &Keeping,
    limit: usize,
) -> Result<Batch, Refusal> {
    let invalid = |why: &str| Err(Refusal::new(ResponseError::InvalidRecord, why));
    let Some(bytes) = data.records.filter(|bytes| !bytes.is_empty()) else {
        return invalid("no record batch");
    };
    if bytes.len() > limit {
        let why = format!("batch of {} bytes is larger than {limit}", bytes.len());
        return Err(Refusal::new(ResponseError::MessageTooLarge, why));
    }
    let batch = Batch::parse(keeping.keep(bytes)).map_err(malformed)?;
    let header = batch.header();
    if header.base_offset.0 != 0 {
        return invalid("a producer's batch begins at offset 0");
    }
    if header.is_control() {
        return invalid("clients write no control batches");
    }
    if header.is_transactional() {
        let why = "transactions are not served";
        return Err(Refusal::new(ResponseError::InvalidTxnState, why));
    }
    if header.timestamp_type() == TimestampType::LogAppend {
        let why = "producers do not set the time of appending";
        return Err(Refusal::new(ResponseError::InvalidTimestamp, why));
    }
    if header.producer_id >= 0 && (header.producer_epoch < 0 || header.base_sequence < 0) {
        return invalid("a producer id without epoch or sequence");
    }
    if header.compression() == Compression::Zstd && call.version < 7 {
        let why = "zstd needs version 7 of the request";
        return Err(Refusal::new(ResponseError::UnsupportedCompressionType, why));
    }
    Ok(batch)
}

thread_local! {
    /// Each thread that checks records keeps the memory for it.
    static VALIDATOR: RefCell<Validator> = RefCell::default();
}

fn records(batch: Batch, rules: &RecordRules) -> Result<Batch, Refused> {
    let checked = VALIDATOR.with_borrow_mut(|validator| validator.check(batch, rules));
    checked.map_err(|invalid| match invalid {
        InvalidRecords::Batch(error) => malformed(error).into(),
        InvalidRecords::Faults(faults) => {
            let late = |(_, fault): &(i32, RecordFault)| matches!(fault, RecordFault::Timestamp(_));
            let code = if faults.iter().any(late) {
                ResponseError::InvalidTimestamp
            } else {
                ResponseError::InvalidRecord
            };
            let why = "some of the records are not taken; record_errors names them";
            Refused {
                refusal: Refusal::new(code, why),
                faults,
            }
        }
    })
}

/// A producer sends what is CORRUPT_MESSAGE once more, as it may have been damaged on its way; that is
/// for what the checksum tells. All else would be wrong again, except that of a batch which is too
/// large the producer makes smaller ones.
fn malformed(error: BatchError) -> Refusal {
    let code = match error {
        BatchError::Crc { .. } | BatchError::Length(_) => ResponseError::CorruptMessage,
        BatchError::Codec(_) => ResponseError::UnsupportedCompressionType,
        BatchError::Compression(CompressionError::TooLarge { .. }) => {
            ResponseError::MessageTooLarge
        }
        BatchError::Truncated { .. }
        | BatchError::Magic(_)
        | BatchError::Trailing(_)
        | BatchError::Count { .. }
        | BatchError::TooManyRecords(_)
        | BatchError::Record(_)
        | BatchError::Compression(CompressionError::Damaged { .. }) => ResponseError::InvalidRecord,
    };
    Refusal::new(code, crate::store::error_chain(&error))
}

#[cfg(test)]
mod tests {
    use kop_store::{TopicClass, TopicConfig, TopicDefaults};

    use super::*;

    fn of(pairs: &[(&str, &str)]) -> RecordRules {
        let config = TopicConfig::of(pairs.iter().copied()).unwrap();
        let settings = config.settings(&TopicDefaults::default(), TopicClass::UserData);
        rules(&settings, Timestamp(10_000))
    }

    #[test]
    fn a_topic_asks_what_its_configuration_says() {
        assert_eq!(of(&[]), RecordRules::default());
        assert!(of(&[("cleanup.policy", "delete,compact")]).keyed);
        let bounds = [
            ("message.timestamp.before.max.ms", "1000"),
            ("message.timestamp.after.max.ms", "3000"),
        ];
        let bounded = of(&bounds);
        assert_eq!(bounded.earliest, Some(Timestamp(9_000)));
        assert_eq!(bounded.latest, Some(Timestamp(13_000)));
        let [before, after] = bounds;
        let stamped = of(&[before, after, ("message.timestamp.type", "LogAppendTime")]);
        assert_eq!(stamped, RecordRules::default());
    }
}
