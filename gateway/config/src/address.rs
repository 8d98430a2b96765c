//! `HOST:PORT` as people write it.
use std::{fmt, net::IpAddr, str::FromStr};

/// A host, by name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A DNS name or an IP address; an IPv6 address stands here without its brackets.
    pub host: String,
    /// The port; 0 asks for a free one.
    pub port: u16,
}

/// A text that is not `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not HOST:PORT")]
pub struct InvalidHostPort(pub String);

impl HostPort {
    /// Whether the host stands for "every address of this machine", which a client cannot dial.
    #[must_use]
    pub fn is_unspecified(&self) -> bool {
        self.host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_unspecified())
    }
}

impl FromStr for HostPort {
    type Err = InvalidHostPort;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidHostPort(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().map_err(|_| invalid())?;
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            // Whoever fills in an address without knowing its kind puts brackets around any.
            Some(address) => {
                let address: IpAddr = address.parse().map_err(|_| invalid())?;
                address.to_string()
            }
            None if is_name_or_v4(host) => host.to_owned(),
            None => return Err(invalid()),
        };
        Ok(Self { host, port })
    }
}

fn is_name_or_v4(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 253
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_of_both_families_are_read_and_written_alike() {
        for text in ["localhost:9092", "127.0.0.1:0", "[::1]:9092", "[::]:1"] {
            let parsed: HostPort = text.parse().unwrap();
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "host",
            ":9092",
            "host:",
            "host:99999",
            "::1:9092",
            "a b:1",
            "[host]:1",
        ] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_unspecified_addresses_are_known() {
        for (text, expected) in [
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("127.0.0.1:1", false),
        ] {
            assert_eq!(text.parse::<HostPort>().unwrap().is_unspecified(), expected);
        }
    }
}
