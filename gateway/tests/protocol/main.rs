//! Whole gateways in this process, on the embedded store, spoken to over their sockets.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test does not expect fails it"
)]
mod api_versions;
mod client;
mod cluster;
mod configs;
mod describing;
mod fetch_sessions;
mod fetching;
mod group_admin;
mod group_rules;
mod hostile;
mod listing;
mod metrics;
mod operation;
mod producing;
mod topics;
mod validation;
