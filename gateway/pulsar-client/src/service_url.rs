//! Where Pulsar is found.
use std::fmt;

const PORT: u16 = 6650;
const TLS_PORT: u16 = 6651;

/// A broker's or proxy's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HostPort {
    /// Name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
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

/// A service URL taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceUrl {
    pub(crate) tls: bool,
    /// At least one.
    pub(crate) hosts: Vec<HostPort>,
}

impl ServiceUrl {
    /// # Errors
    /// In words, where it is no service URL.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let (tls, rest) = if let Some(rest) = url.strip_prefix("pulsar://") {
            (false, rest)
        } else if let Some(rest) = url.strip_prefix("pulsar+ssl://") {
            (true, rest)
        } else {
            return Err(format!(
                "{url:?} begins neither with pulsar:// nor with pulsar+ssl://"
            ));
        };
        let default = if tls { TLS_PORT } else { PORT };
        let hosts = rest
            .trim_end_matches('/')
            .split(',')
            .map(|host| parse_host(host.trim(), default))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| format!("{url:?} is not HOST:PORT[,HOST:PORT…]"))?;
        Ok(Self { tls, hosts })
    }
}

fn parse_host(text: &str, default_port: u16) -> Option<HostPort> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (
                host,
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':')?)
                },
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let legal = !host.is_empty() && !host.contains(['/', '@', ' ']);
    let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
    legal.then(|| HostPort {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_many_hosts_and_default_ports_are_understood() {
        let url = ServiceUrl::parse("pulsar://a:1,b,[::1]:3/").unwrap();
        let hosts: Vec<_> = url.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["a:1", "b:6650", "[::1]:3"]);
        assert!(!url.tls);
        let url = ServiceUrl::parse("pulsar+ssl://broker").unwrap();
        assert_eq!(
            url.hosts.first().map(ToString::to_string).as_deref(),
            Some("broker:6651")
        );
        assert!(url.tls);
    }

    #[test]
    fn what_is_no_service_url_is_refused() {
        for url in [
            "",
            "http://a",
            "pulsar://",
            "pulsar://a:b",
            "pulsar://a:99999",
            "pulsar://a,,b",
            "pulsar://u@a",
        ] {
            assert!(ServiceUrl::parse(url).is_err(), "{url}");
        }
    }
}
