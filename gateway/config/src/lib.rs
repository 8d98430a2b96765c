//! The gateway's configuration: one type, written by the operator, read by the gateway.
