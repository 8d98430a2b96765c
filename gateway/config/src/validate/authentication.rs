//! How the gateway says to Pulsar who it is.
use super::ConfigError;
use crate::{OAuth2Config, PulsarAuthentication, RawConfig};

pub(super) const TOKEN_FILE: &str = "--pulsar-token-file";
pub(super) const ISSUER: &str = "--pulsar-oauth2-issuer";
pub(super) const CREDENTIALS: &str = "--pulsar-oauth2-credentials-file";
pub(super) const AUDIENCE: &str = "--pulsar-oauth2-audience";
pub(super) const SCOPE: &str = "--pulsar-oauth2-scope";

pub(super) fn authentication(raw: &RawConfig) -> Result<Option<PulsarAuthentication>, ConfigError> {
    let given = [
        (ISSUER, raw.pulsar_oauth2_issuer.is_some()),
        (CREDENTIALS, raw.pulsar_oauth2_credentials_file.is_some()),
        (AUDIENCE, raw.pulsar_oauth2_audience.is_some()),
        (SCOPE, raw.pulsar_oauth2_scope.is_some()),
    ];
    let oauth2 = given.into_iter().find(|(_, given)| *given);
    match (&raw.pulsar_token_file, oauth2) {
        (None, None) => Ok(None),
        (Some(path), None) => Ok(Some(PulsarAuthentication::TokenFile(path.clone()))),
        (Some(_), Some((setting, _))) => Err(ConfigError::Conflict(TOKEN_FILE, setting)),
        (None, Some((setting, _))) => oauth2_config(raw, setting).map(Some),
    }
}

/// `setting` is the one by which we know that OAuth 2.0 is meant.
fn oauth2_config(
    raw: &RawConfig,
    setting: &'static str,
) -> Result<PulsarAuthentication, ConfigError> {
    let issuer_url = raw.pulsar_oauth2_issuer.clone();
    let issuer_url = issuer_url.ok_or(ConfigError::Needs {
        setting,
        needs: ISSUER,
    })?;
    let credentials_file = raw.pulsar_oauth2_credentials_file.clone();
    let credentials_file = credentials_file.ok_or(ConfigError::Needs {
        setting: ISSUER,
        needs: CREDENTIALS,
    })?;
    Ok(PulsarAuthentication::OAuth2(Box::new(OAuth2Config {
        issuer_url: checked_issuer(issuer_url)?,
        credentials_file,
        audience: not_empty(AUDIENCE, raw.pulsar_oauth2_audience.clone())?,
        scope: not_empty(SCOPE, raw.pulsar_oauth2_scope.clone())?,
    })))
}

fn checked_issuer(url: String) -> Result<String, ConfigError> {
    let expected =
        "https://HOST[:PORT][/PATH] (or http://…, where the secret may be seen on its way)";
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    let strange = |c: char| c.is_whitespace() || c.is_control() || "?#@".contains(c);
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !rest.contains(strange) => {
            Ok(url)
        }
        _ => Err(ConfigError::Value {
            setting: ISSUER,
            // What stands before an @ may be a password.
            value: match url.rsplit_once('@') {
                Some((_, host)) => format!("…@{host}"),
                None => url,
            },
            expected,
        }),
    }
}

fn not_empty(setting: &'static str, given: Option<String>) -> Result<Option<String>, ConfigError> {
    match given {
        Some(text) if text.trim().is_empty() => Err(ConfigError::Value {
            setting,
            value: text,
            expected: "a name; leave it out where the issuer wants none",
        }),
        given => Ok(given),
    }
}
