//! `seeds CAPTURED`: fills the corpora from what `kop-e2e` captured (`KOP_E2E_CAPTURE=CAPTURED`).
//!
//! Requests and frames are taken as they are. What stands in them gives the seeds of the targets below:
//! record batches, their payloads, subscriptions, entries. `CAPTURED/log`, if it is there, holds
//! segments of an Apache Kafka's `__consumer_offsets`.
use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::{Buf as _, Bytes, BytesMut};
use kop_store::producer_state::{ProducerState, Retention};
use kop_wire::{
    Batch, BatchHeader, Offset, Timestamp,
    kafka_protocol::{
        messages::{ApiKey, JoinGroupRequest, ProduceRequest, RequestHeader, SyncGroupRequest},
        protocol::Decodable as _,
    },
};
use pulsar_protocol::{CompressionType, entry, frame};

/// Larger seeds than this are left out.
const LARGEST: usize = 4096;
/// Seeds of one kind that are derived.
const OF_A_KIND: usize = 3;

fn main() -> io::Result<()> {
    let captured = std::env::args_os().nth(1).map(PathBuf::from);
    let captured = captured.ok_or_else(|| io::Error::other("seeds CAPTURED"))?;
    for (name, bytes) in files(&captured.join("kafka"))? {
        if name.contains("-connection-") {
            seed("kafka_connection", &name, &bytes)?;
            seed("kafka_service", &name, &shortened(&bytes))?;
        } else {
            seed("kafka_request", &name, &bytes)?;
            let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            let framed = [&length.to_be_bytes()[..], &bytes].concat();
            derived("kafka_service", api(&name), &framed)?;
            in_request(&name, bytes.into())?;
        }
    }
    for (name, bytes) in files(&captured.join("pulsar"))? {
        from_pulsar(&name, &bytes)?;
    }
    for (name, bytes) in files(&captured.join("log"))? {
        in_log(&name, bytes.into())?;
    }
    let golden = repository().join("gateway/pulsar-protocol/tests/golden");
    for (name, bytes) in files(&golden)? {
        let name = name.trim_end_matches(".bin").to_owned();
        in_entry(&format!("pulsar-java-4.2.4-{name}"), &bytes.into())?;
    }
    seed("producer_state", "of-two-producers", &two_producers())?;
    seed("producer_snapshot", "of-two-producers", &in_an_entry())
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of a folder by name; none where there is no folder.
fn files(folder: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for file in fs::read_dir(folder).into_iter().flatten() {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        files.push((name.into_owned(), fs::read(&path)?));
    }
    files.sort();
    Ok(files)
}

/// Writes a seed, unless it is large, or there are enough whose names say the same but for a last
/// part that tells them apart.
fn seed(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = repository().join("fuzz/corpus").join(target);
    fs::create_dir_all(&folder)?;
    let kind = name.rsplit_once('-').map_or(name, |(kind, _)| kind);
    let like = files(&folder)?;
    let known = like.iter().any(|(_, there)| there == bytes);
    let of_kind = like.iter().filter(|(name, _)| name.starts_with(kind));
    let enough = name.starts_with("of-") && of_kind.count() >= OF_A_KIND;
    if known || enough || bytes.is_empty() || bytes.len() > LARGEST {
        return Ok(());
    }
    fs::write(folder.join(name), bytes)
}

fn derived(target: &str, kind: &str, bytes: &[u8]) -> io::Result<()> {
    seed(
        target,
        &format!("of-{kind}-{:08x}", crc32c::crc32c(bytes)),
        bytes,
    )
}

/// Frames with lengths of two bytes, as the target of whole connections has them.
fn shortened(mut frames: &[u8]) -> Vec<u8> {
    let mut shortened = Vec::new();
    while let Ok(length) = frames.try_get_u32() {
        let (frame, rest) = frames.split_at((length as usize).min(frames.len()));
        let length = u16::try_from(frame.len()).unwrap_or(u16::MAX);
        shortened.extend_from_slice(&length.to_be_bytes());
        shortened.extend_from_slice(frame);
        frames = rest;
    }
    shortened
}

/// `java-4.4.0-api00-v13-1234abcd` to `java-4.4.0`.
fn client(name: &str) -> &str {
    name.split_once("-api").map_or(name, |(client, _)| client)
}

/// `java-4.4.0-api00-v13-1234abcd` to `api00`.
fn api(name: &str) -> &str {
    let from = name.find("-api").map(|at| at + 1);
    from.and_then(|at| name.get(at..at + 5))
        .unwrap_or("request")
}

fn in_request(name: &str, mut request: Bytes) -> io::Result<()> {
    let (key, version) = {
        let mut start = request.clone();
        (start.try_get_i16()?, start.try_get_i16()?)
    };
    let Ok(api) = ApiKey::try_from(key) else {
        return Ok(());
    };
    let invalid = |error| io::Error::other(format!("{name}: {error}"));
    RequestHeader::decode(&mut request, api.request_header_version(version)).map_err(invalid)?;
    let client = client(name);
    match api {
        ApiKey::Produce => {
            let produce = ProduceRequest::decode(&mut request, version).map_err(invalid)?;
            let partitions = produce
                .topic_data
                .into_iter()
                .flat_map(|t| t.partition_data);
            for records in partitions.filter_map(|partition| partition.records) {
                in_batches(client, &records)?;
                derived("batch_to_pulsar", client, &records)?;
            }
        }
        ApiKey::JoinGroup => {
            let join = JoinGroupRequest::decode(&mut request, version).map_err(invalid)?;
            for protocol in join.protocols {
                derived("subscription", client, &protocol.metadata)?;
            }
        }
        ApiKey::SyncGroup => {
            let sync = SyncGroupRequest::decode(&mut request, version).map_err(invalid)?;
            for assignment in sync.assignments {
                derived("subscription", client, &assignment.assignment)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn in_batches(kind: &str, records: &Bytes) -> io::Result<()> {
    for batch in Batch::split(records.clone()).map_while(Result::ok) {
        let codec = batch.header().compression();
        let kind = format!("{kind}-{codec:?}");
        derived("record_batch", &kind, batch.bytes())?;
        let number = u8::try_from(codec.attribute_bits()).unwrap_or_default();
        derived(
            "compression",
            &kind,
            &[&[number][..], &batch.payload()].concat(),
        )?;
    }
    Ok(())
}

/// A segment of `__consumer_offsets`.
fn in_log(name: &str, segment: Bytes) -> io::Result<()> {
    let mut log = Vec::new();
    for batch in Batch::split(segment).map_while(Result::ok) {
        derived("record_batch", name, batch.bytes())?;
        for record in batch.records().unwrap_or_default() {
            let mut one = Vec::new();
            part(&mut one, record.key.as_deref());
            part(&mut one, record.value.as_deref());
            log.extend_from_slice(&one);
            derived("group_log", name, &one)?;
        }
    }
    log.truncate(LARGEST);
    derived("group_log", &format!("{name}-whole"), &log)
}

fn part(to: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let length = bytes.map_or(u16::MAX, |bytes| u16::try_from(bytes.len()).unwrap_or(0));
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(bytes.unwrap_or_default());
}

fn from_pulsar(name: &str, bytes: &[u8]) -> io::Result<()> {
    if name.contains("-connection-") {
        return seed("pulsar_connection", name, bytes);
    }
    // Frames were captured without the length in front.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let whole = [&length[..], bytes].concat();
    seed("pulsar_connection", name, &whole)?;
    let decoded = frame::decode(&mut BytesMut::from(&*whole), usize::MAX);
    match decoded.map_err(io::Error::other)? {
        Some(frame) if !frame.trailer.is_empty() => in_entry(name, &frame.trailer),
        _ => Ok(()),
    }
}

fn in_entry(name: &str, bytes: &Bytes) -> io::Result<()> {
    seed("pulsar_entry", name, bytes)?;
    let entry = entry::parse(bytes.clone()).map_err(io::Error::other)?;
    let codec = entry.metadata.compression();
    if codec == CompressionType::None {
        return Ok(());
    }
    let [_, a, b, c] = entry.metadata.uncompressed_size().to_be_bytes();
    let number = u8::try_from(i32::from(codec)).unwrap_or_default();
    let seed = [&[number, a, b, c][..], &entry.payload].concat();
    derived("pulsar_compression", &format!("{codec:?}"), &seed)
}

/// The same as a note: version, CRC (the target mends it), the last entry, the first one.
fn in_an_entry() -> Vec<u8> {
    let mut note = vec![1, 0, 0, 0, 0];
    for number in [12_u64, 90, 400_002] {
        note.extend(number.to_be_bytes());
    }
    note.push(1);
    for number in [11_u64, 7, 65_000, 1_700_000_000_000] {
        note.extend(number.to_be_bytes());
    }
    note.extend(two_producers());
    note
}

fn two_producers() -> Vec<u8> {
    let mut state = ProducerState::new(Retention::default());
    for producer_id in [7, 4_000] {
        for at in 0..3 {
            let header = BatchHeader {
                base_offset: Offset(0),
                leader_epoch: 0,
                crc: 0,
                attributes: 0,
                last_offset_delta: 9,
                base_timestamp: Timestamp(1),
                max_timestamp: Timestamp(1),
                producer_id,
                producer_epoch: 2,
                base_sequence: at * 10,
                record_count: 10,
            };
            state.replay(&header, Offset(producer_id * 100 + i64::from(at)), 5);
        }
    }
    state.snapshot()
}
