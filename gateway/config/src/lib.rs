//! The gateway's configuration: one type, written by the operator, read by the gateway.
//!
//! [`RawConfig`] is what a person or the operator may say, in flags, in environment variables or in
//! a TOML file: everything optional, nothing checked. [`RawConfig::validate`] turns it into a
//! [`Config`], in which every default is filled in and nothing contradicts anything else.
//! This crate opens no file: the caller brings the text.
mod address;
mod config;
mod raw;
mod sized;
mod validate;

pub use address::{HostPort, InvalidHostPort};
pub use config::{
    Config, Durability, EntryFormat, Groups, Limits, Listener, LogFormat, OAuth2Config,
    PulsarAuthentication, PulsarConfig, StoreConfig,
};
pub use raw::{InvalidFile, RawConfig};
pub use validate::ConfigError;
