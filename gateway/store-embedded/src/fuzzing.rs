//! The door for fuzz targets: keys and values of the directory as they are read back. Built with the
//! feature `fuzzing` only.
use crate::{
    format::{
        BatchKey, Stored, cleaned_of, cleaned_value, indexed_of, indexed_value, number_of,
        producers_of, producers_value, removed_key, removed_of, segment_key, segment_of, topic_key,
        topic_of, topic_value,
    },
    frame::{Frame, HEADER, Place},
};

/// Reads a key and its value as each kind of thing that the directory holds.
///
/// # Panics
/// Where what was read does not come back from its own bytes.
pub fn stored(key: &[u8], value: &[u8]) {
    if let Ok(batch) = BatchKey::decode(key) {
        assert_eq!(batch.encode(), key);
        assert!(batch.end() > batch.base || batch.base.0 == i64::MAX);
    }
    if let Ok(topic) = topic_of(key, value) {
        assert_eq!(topic_key(&topic.name), key);
        assert_eq!(topic_of(key, &topic_value(&topic)), Ok(topic));
    }
    if let Ok((topic, partitions)) = removed_of(key, value) {
        assert_eq!(removed_key(topic), key);
        assert_eq!(partitions.to_be_bytes(), value);
    }
    if let Ok(number) = number_of(value, "number") {
        assert_eq!(number.to_be_bytes(), value);
    }
    if let Ok((to, horizon_ms)) = cleaned_of(value) {
        assert_eq!(cleaned_value(to, horizon_ms), value);
    }
    if let Ok(Stored::At(pointer)) = Stored::of(value.to_vec().into()) {
        assert_eq!(pointer.encode(), value);
    }
    if let Ok(place) = indexed_of(value) {
        assert_eq!(indexed_value(place), value);
    }
    if let Ok((number, dead)) = segment_of(key, value) {
        assert_eq!(segment_key(number), key);
        assert_eq!(dead.to_be_bytes(), value);
    }
    let place = Place {
        segment: 1,
        position: 0,
    };
    if let Some(frame) = Frame::parse(place, value) {
        let mut again = Vec::new();
        let (header, batch) = value.split_at(HEADER);
        frame.put(place, [batch, &[]], &mut again);
        assert_eq!(again, header);
    }
    if let Ok((end, snapshot)) = producers_of(value) {
        assert_eq!(producers_value(end, snapshot), value);
    }
}
