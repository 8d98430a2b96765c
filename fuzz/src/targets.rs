//! The targets, by what they read.
pub(crate) mod batch;
pub(crate) mod config;
pub(crate) mod group_log;
pub(crate) mod kafka;
pub(crate) mod pulsar;
pub(crate) mod service;
pub(crate) mod stored;
