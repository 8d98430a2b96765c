//! What an issuer's answers say. They come from a network: nothing is taken for granted, and nothing
//! of a token is repeated.
use std::time::Duration;

use serde_json::Value;

use super::keeper::Grant;

/// Of a token whose issuer does not say how long it is good.
const UNSAID: Duration = Duration::from_secs(60);
/// A longer lifetime is taken for this one.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Characters of a refusal that are repeated.
const LONGEST_REASON: usize = 300;

/// That the client gets no token (RFC 6749 §5.2).
pub(super) struct Refusal {
    pub(super) reason: String,
}

/// The token endpoint that an issuer's metadata name.
pub(super) fn token_endpoint(body: &[u8]) -> Option<String> {
    let json: Value = serde_json::from_slice(body).ok()?;
    json.get("token_endpoint")?.as_str().map(str::to_owned)
}

/// The token (RFC 6749 §5.1).
///
/// # Errors
/// In words, where it is none that can be shown to Pulsar.
pub(super) fn grant(body: &[u8]) -> Result<Grant, String> {
    let json: Value = serde_json::from_slice(body)
        .map_err(|_| "it answers a request for a token with what is no JSON".to_owned())?;
    let text = json
        .get("access_token")
        .and_then(Value::as_str)
        .ok_or("its answer holds no access_token")?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("its access_token is none: it is empty or holds other characters".to_owned());
    }
    let lifetime = match json.get("expires_in") {
        None | Some(Value::Null) => UNSAID,
        Some(told) => lifetime(told).ok_or("its expires_in is no number of seconds")?,
    };
    if lifetime.is_zero() {
        return Err("its access_token has expired already".to_owned());
    }
    Ok(Grant {
        text: text.to_owned(),
        lifetime: lifetime.min(LONGEST),
    })
}

/// Whole seconds; some issuers tell them as text.
fn lifetime(told: &Value) -> Option<Duration> {
    let seconds = match told {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let most = LONGEST.as_secs_f64();
    (!seconds.is_nan()).then(|| Duration::from_secs_f64(seconds.clamp(0.0, most).floor()))
}

/// What an answer says that is no token.
pub(super) fn refusal(body: &[u8]) -> Option<Refusal> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    let mut reason = text("error")?.to_owned();
    if let Some(description) = text("error_description") {
        reason.push_str(": ");
        reason.push_str(description);
    }
    let shown = reason.chars().filter(|c| !c.is_control());
    Some(Refusal {
        reason: shown.take(LONGEST_REASON).collect(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lifetime_of(answer: &str) -> Result<u64, String> {
        grant(answer.as_bytes()).map(|grant| grant.lifetime.as_secs())
    }

    #[test]
    fn lifetimes_are_told_in_several_ways() {
        for (told, seconds) in [
            (r#", "expires_in": 3600"#, 3600),
            (r#", "expires_in": "3599""#, 3599),
            (r#", "expires_in": 59.9"#, 59),
            ("", 60),
            (r#", "expires_in": null"#, 60),
            (r#", "expires_in": 31536000"#, 86_400),
            (r#", "expires_in": 1e300"#, 86_400),
        ] {
            let answer = format!(r#"{{"access_token": "t", "token_type": "Bearer"{told}}}"#);
            assert_eq!(lifetime_of(&answer), Ok(seconds), "{answer}");
        }
    }

    #[test]
    fn what_is_no_token_is_told_without_it() {
        for answer in [
            "s3cr3t",
            "[]",
            r#"{"access_token": ["s3cr3t"]}"#,
            r#"{"access_token": ""}"#,
            r#"{"access_token": "s3cr3t\r\nX: y"}"#,
            r#"{"access_token": "s3cr3t", "expires_in": 0}"#,
            r#"{"access_token": "s3cr3t", "expires_in": -5}"#,
            r#"{"access_token": "s3cr3t", "expires_in": 0.5}"#,
            r#"{"access_token": "s3cr3t", "expires_in": "soon"}"#,
            r#"{"access_token": "s3cr3t", "expires_in": "NaN"}"#,
            r#"{"access_token": "s3cr3t", "expires_in": {}}"#,
        ] {
            let problem = lifetime_of(answer).unwrap_err();
            assert!(!problem.contains("s3cr3t"), "{answer}: {problem}");
        }
    }

    #[test]
    fn refusals_are_repeated_in_one_short_line() {
        let long = "x".repeat(1_000);
        let body =
            format!(r#"{{"error": "invalid_client", "error_description": "who\nare you {long}"}}"#);
        let Refusal { reason } = refusal(body.as_bytes()).unwrap();
        assert!(
            reason.starts_with("invalid_client: whoare you x"),
            "{reason}"
        );
        assert_eq!(reason.chars().count(), LONGEST_REASON);
        assert!(refusal(b"<html>").is_none() && refusal(b"{}").is_none());
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(body: Vec<u8>, seconds: f64, token: String) {
            let _ = (token_endpoint(&body), grant(&body).is_ok(), refusal(&body).is_some());
            let value = serde_json::json!({"access_token": token, "expires_in": seconds});
            if let Ok(grant) = grant(value.to_string().as_bytes()) {
                prop_assert!(grant.lifetime >= Duration::from_secs(1) && grant.lifetime <= LONGEST);
            }
        }
    }
}
