//! What a Pulsar broker sends.
use bytes::{Bytes, BytesMut};
use kop_store_pulsar::fuzzing;
use pulsar_protocol::{
    CompressionType,
    compression::{compress, decompress},
    entry::{self, Entry, EntryError},
    frame,
};

/// Largest frame taken, in bytes.
const LIMIT: usize = 1024 * 1024;

/// What a connection receives: frames, of which some carry entries.
pub fn pulsar_connection(bytes: &[u8]) {
    let mut received = BytesMut::from(bytes);
    loop {
        let before = received.len();
        let missing = frame::missing(&received, LIMIT);
        let Ok(Some(frame)) = frame::decode(&mut received, LIMIT) else {
            return;
        };
        assert_eq!(missing.ok(), Some(0), "a whole frame lacks nothing");
        assert!(received.len() < before, "each frame takes some bytes");
        if let Some(command) = frame.command.command {
            let mut written = BytesMut::from(&*frame::encode(command.clone()));
            let again = frame::decode(&mut written, usize::MAX);
            let again = again
                .expect("what was written can be read")
                .map(|f| f.command);
            assert_eq!(again.and_then(|base| base.command), Some(command));
        }
        if !frame.trailer.is_empty() {
            parsed(frame.trailer);
        }
    }
}

/// An entry as a broker delivers it, and what Kafka clients get of it.
pub fn pulsar_entry(bytes: &[u8]) {
    let Some(entry) = parsed(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    for group_log in [false, true] {
        fuzzing::entry_to_batches(&entry, group_log);
    }
}

/// The entry, its checksum ignored: no mutation would ever hit it.
fn parsed(bytes: Bytes) -> Option<Entry> {
    let parsed = entry::parse(bytes.clone());
    let parsed = match parsed {
        Err(EntryError::Checksum { expected, found }) => {
            let mut mended = bytes.to_vec();
            let at = mended
                .windows(4)
                .position(|window| window == expected.to_be_bytes())
                .expect("the checksum was found somewhere");
            mended
                .get_mut(at..at + 4)?
                .copy_from_slice(&found.to_be_bytes());
            entry::parse(mended.into())
        }
        parsed => parsed,
    };
    let entry = parsed.ok()?;
    let written = entry::encode(
        entry.broker.as_ref(),
        &entry.metadata,
        std::slice::from_ref(&entry.payload),
        true,
    );
    assert_eq!(
        entry::parse(written).expect("what was written can be read"),
        entry
    );
    Some(entry)
}

/// A codec's number, the size that the payload claims to have, and the payload.
pub fn pulsar_compression(bytes: &[u8]) {
    let Some((&[number, a, b, c], bytes)) = bytes.split_first_chunk() else {
        return;
    };
    let Ok(codec) = CompressionType::try_from(i32::from(number)) else {
        return;
    };
    let bytes = Bytes::copy_from_slice(bytes);
    let size = u32::from_be_bytes([0, a, b, c]) as usize;
    if let Ok(unpacked) = decompress(codec, &bytes, size, LIMIT) {
        // Where nothing is packed, the size that is given means nothing.
        assert!(unpacked.len() == size || codec == CompressionType::None);
    }
    let unpacked = decompress(codec, &compress(codec, &bytes), bytes.len(), bytes.len());
    assert_eq!(unpacked.expect("what was packed"), bytes);
}

/// A snapshot of what idempotent producers wrote, as it stands in an entry.
pub fn producer_snapshot(bytes: &[u8]) {
    fuzzing::producer_snapshot(bytes);
}
