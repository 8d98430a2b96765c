//! Kafka bytes: frames, messages, record batches viewed in place.
