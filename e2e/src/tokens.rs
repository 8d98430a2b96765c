//! A Pulsar that asks who asks: web tokens, and the key that they are signed with.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

/// What the tokens are signed with.
const KEY: &[u8] = b"kop-end-to-end-tests-sign-with-it";

/// A web token for the role `admin`, which does not expire.
pub const ADMIN: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.X5XOVQwr4zarW6Ebm2M-BvEC7Cc_0yfNwnM5xPYijy8";

/// Settings of a Pulsar that takes such tokens, and whose superuser is `admin`.
#[must_use]
pub fn settings() -> Vec<(&'static str, String)> {
    let settings = [
        ("authenticationEnabled", "true"),
        ("authorizationEnabled", "true"),
        (
            "authenticationProviders",
            "org.apache.pulsar.broker.authentication.AuthenticationProviderToken",
        ),
        ("superUserRoles", "admin"),
        (
            "brokerClientAuthenticationPlugin",
            "org.apache.pulsar.client.impl.auth.AuthenticationToken",
        ),
    ];
    let own = settings.map(|(name, value)| (name, value.to_owned()));
    let mut settings = Vec::from(own);
    let key = format!("data:;base64,{}", STANDARD.encode(KEY));
    settings.push(("tokenSecretKey", key));
    let client = json!({ "token": ADMIN }).to_string();
    settings.push(("brokerClientAuthenticationParameters", client));
    settings
}

/// A web token with these claims (RFC 7519, HS256).
#[must_use]
pub fn signed(claims: &Value) -> String {
    let encoded = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let text = format!(
        "{}.{}",
        encoded(&json!({ "alg": "HS256" })),
        encoded(claims)
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY);
    let signature = hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_signed_as_pulsars_own_tool_signs_them() {
        assert_eq!(signed(&json!({ "sub": "admin" })), ADMIN);
    }
}
