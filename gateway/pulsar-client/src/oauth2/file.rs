//! The file with a client's credentials, as Pulsar's own clients read it.
use std::{fs::File, io::Read as _, path::Path};

use serde_json::Value;

use super::OAuth2Error;

/// No such file is longer, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What a client proves itself with. Not to be shown.
pub(super) struct ClientCredentials {
    pub(super) id: String,
    pub(super) secret: String,
}

impl ClientCredentials {
    pub(super) async fn read(path: &Path) -> Result<Self, OAuth2Error> {
        let file = path.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            File::open(file)?
                .take(LONGEST + 1)
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        let read = read.await.map_err(std::io::Error::other);
        read.and_then(|bytes: std::io::Result<Vec<u8>>| bytes)
            .map_err(|error| error.to_string())
            .and_then(|bytes| Self::parse(&bytes))
            .map_err(|problem| OAuth2Error::CredentialsFile {
                path: path.to_owned(),
                problem,
            })
    }

    /// Says nothing of what stands in the text but names of fields.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > LONGEST {
            return Err(format!("longer than {LONGEST} bytes"));
        }
        let json: Value = serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("not JSON at line {line}, column {column}")
        })?;
        if json.get("type").and_then(Value::as_str) != Some("client_credentials") {
            return Err("its `type` is not `client_credentials`".to_owned());
        }
        let field = |name: &str| match json.get(name).and_then(Value::as_str) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(format!("there is no `{name}` in it")),
        };
        Ok(Self {
            id: field("client_id")?,
            secret: field("client_secret")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        ClientCredentials::parse(text.as_bytes())
            .err()
            .expect("refused")
    }

    #[test]
    fn the_file_of_pulsars_own_clients_is_read() {
        let text = r#"{"type": "client_credentials", "client_id": "kop", "client_secret": "s3cr3t",
            "client_email": "kop@example.com", "issuer_url": "https://issuer.example.com"}"#;
        let read = ClientCredentials::parse(text.as_bytes()).unwrap();
        assert_eq!((read.id.as_str(), read.secret.as_str()), ("kop", "s3cr3t"));
    }

    #[test]
    fn what_is_wrong_is_told_without_what_stands_there() {
        assert_eq!(problem("s3cr3t"), "not JSON at line 1, column 1");
        assert_eq!(
            problem("\"s3cr3t\""),
            "its `type` is not `client_credentials`"
        );
        let service = r#"{"type": "s3cr3t", "client_id": "kop", "client_secret": "s3cr3t"}"#;
        assert_eq!(problem(service), "its `type` is not `client_credentials`");
        for lacking in [
            r#"{"type": "client_credentials", "client_id": "s3cr3t"}"#,
            r#"{"type": "client_credentials", "client_id": "s3cr3t", "client_secret": ""}"#,
            r#"{"type": "client_credentials", "client_id": "s3cr3t", "client_secret": ["s3cr3t"]}"#,
        ] {
            assert_eq!(problem(lacking), "there is no `client_secret` in it");
        }
        assert_eq!(
            problem(&" ".repeat(70_000)),
            "longer than 65536 bytes",
            "an endless file is not read to its end"
        );
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let path = Path::new("/nonexistent/credentials.json");
        let error = ClientCredentials::read(path).await.err().unwrap();
        let said = error.to_string();
        assert!(
            said.starts_with(
                "OAuth2 credentials file /nonexistent/credentials.json: No such file or directory"
            ),
            "{said}"
        );
    }
}
