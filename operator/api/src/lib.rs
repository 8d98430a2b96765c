//! The KafkaOnPulsar resource: types, schema and rules.
