//! Whether Pulsar is reached, and which one it is.
use kop_store::Finding;

use crate::{
    examine::{
        facts::{AdminFacts, Facts, Trouble},
        token::Token,
    },
    version::{self, Version},
};

/// Oldest version whose behaviour the gateway is tested with.
const OLDEST: Version = (3, 0, 7);
/// The protocol version that brought entry metadata to clients.
const ENTRY_METADATA: i32 = 18;
/// What an entry holds beside the batch, at the most, in bytes.
const ENTRY_OVERHEAD: usize = 10 * 1024;

/// The token.
pub(super) fn token(facts: &Facts) -> Option<Finding> {
    let claims = match facts.token.as_ref()? {
        Token::Unusable(problem) => {
            let hint = hint(problem, facts).map(|hint| format!(": {hint}"));
            let text = format!("{problem}{}", hint.unwrap_or_default());
            return Some(Finding::missing("token", text));
        }
        Token::Opaque => {
            return Some(Finding::ok(
                "token",
                "there is one; what it says is not readable",
            ));
        }
        Token::Claims(claims) => claims,
    };
    let role = claims.role.as_deref().unwrap_or("an unnamed role");
    let now = facts.now;
    Some(match claims.expires {
        Some(end) if end <= now => Finding::missing(
            "token",
            format!("it stands for {role} and expired {} ago", span(now - end)),
        ),
        Some(end) => {
            let left = span(end - now);
            let next = if facts.renewed {
                "; the next one comes by itself"
            } else {
                ""
            };
            Finding::ok(
                "token",
                format!("it stands for {role}, for another {left}{next}"),
            )
        }
        None => Finding::ok("token", format!("it stands for {role} and does not expire")),
    })
}

/// The binary service.
pub(super) fn service(facts: &Facts) -> Finding {
    const SUBJECT: &str = "brokers";
    match &facts.greeting {
        Ok(greeting) if greeting.protocol_version < ENTRY_METADATA => Finding::missing(
            SUBJECT,
            format!(
                "{} speaks protocol version {}; {ENTRY_METADATA} or newer is needed",
                facts.service_url, greeting.protocol_version
            ),
        ),
        Ok(greeting) => Finding::ok(
            SUBJECT,
            format!(
                "{} answers, protocol version {}",
                facts.service_url, greeting.protocol_version
            ),
        ),
        Err(trouble) => unreached(SUBJECT, &facts.service_url, trouble, facts),
    }
}

/// The admin service.
pub(super) fn admin(facts: &Facts) -> Finding {
    const SUBJECT: &str = "admin service";
    match &facts.admin {
        Ok(_) => Finding::ok(SUBJECT, format!("{} answers", facts.admin_url)),
        Err(trouble) => unreached(SUBJECT, &facts.admin_url, trouble, facts),
    }
}

fn unreached(subject: &str, url: &str, trouble: &Trouble, facts: &Facts) -> Finding {
    let text = trouble.text();
    if let Trouble::NotAllowed(_) = trouble {
        let what = if facts.token.is_some() {
            "does not accept the token"
        } else {
            "asks for credentials: give them with --pulsar-token-file or --pulsar-oauth2-issuer"
        };
        return Finding::unreachable(subject, format!("{url} {what} ({text})"));
    }
    if let Trouble::NoToken(_) = trouble {
        return Finding::unreachable(subject, format!("{url} is not asked without a token"));
    }
    match hint(text, facts) {
        Some(hint) => Finding::unreachable(subject, format!("{url}: {hint} ({text})")),
        None => Finding::unreachable(subject, format!("{url} is not reached: {text}")),
    }
}

/// What usually stands behind the words of a failed connection.
fn hint(text: &str, facts: &Facts) -> Option<&'static str> {
    let hints: [(&str, &str); 8] = [
        (
            "UnknownIssuer",
            if facts.authorities {
                "its certificate is signed by none of the authorities of --pulsar-ca-file"
            } else {
                "its certificate is signed by no authority that this machine trusts: give the PEM \
                 file of the one that did with --pulsar-ca-file"
            },
        ),
        (
            "NotValidForName",
            "its certificate is for another host name than the one in the URL",
        ),
        ("certificate expired", "its certificate has expired"),
        ("CaUsedAsEndEntity", "its certificate is an authority's own"),
        (
            "InvalidContentType",
            "what answers speaks no TLS: is this the port for pulsar:// or http://?",
        ),
        (
            "closed during the greeting",
            "what answers speaks no Pulsar: is this the port for pulsar+ssl:// or for HTTP?",
        ),
        ("Connection refused", "nobody listens there"),
        (
            "failed to lookup address",
            "the host name is not known here",
        ),
    ];
    hints
        .iter()
        .find(|(words, _)| text.contains(words))
        .map(|(_, hint)| *hint)
}

/// The brokers' version.
pub(super) fn version(facts: &Facts, admin: &AdminFacts) -> Finding {
    const SUBJECT: &str = "version";
    let told = match &admin.version {
        Ok(version) => version,
        Err(trouble) => {
            let text = format!("not told ({})", trouble.text());
            return Finding::warning(SUBJECT, text);
        }
    };
    let oldest = format!("{}.{}.{}", OLDEST.0, OLDEST.1, OLDEST.2);
    match version::parse(told) {
        Some(version) if version < OLDEST => Finding::missing(
            SUBJECT,
            format!("Pulsar {told}; {oldest} or newer is needed"),
        ),
        // apache/pulsar#22601 was mended in several steps.
        Some(version) if version < (4, 0, 0) && facts.service_url.starts_with("pulsar+ssl") => {
            Finding::warning(
                SUBJECT,
                format!(
                    "Pulsar {told}: over TLS, brokers before 4.0 were seen to damage entries under \
                     load when they show entry metadata; 4.0 or newer is safer"
                ),
            )
        }
        Some(_) => Finding::ok(SUBJECT, format!("Pulsar {told}")),
        None => Finding::warning(
            SUBJECT,
            format!("{told:?} is no version that is known; {oldest} or newer is needed"),
        ),
    }
}

/// Whether brokers take the largest batch that the gateway takes.
pub(super) fn largest_message(facts: &Facts) -> Option<Finding> {
    const SUBJECT: &str = "largest message";
    let greeting = facts.greeting.as_ref().ok()?;
    let (taken, asked) = (greeting.max_message_size, facts.largest_batch);
    Some(if asked.saturating_add(ENTRY_OVERHEAD) > taken {
        let fits = taken.saturating_sub(ENTRY_OVERHEAD);
        Finding::warning(
            SUBJECT,
            format!(
                "the brokers take {taken} bytes and the gateway batches of {asked}: larger ones than \
                 they take are refused when they come. Start the gateway with --max-message-bytes \
                 {fits}, or raise maxMessageSize and the bookies' nettyMaxFrameSizeBytes"
            ),
        )
    } else {
        Finding::ok(
            SUBJECT,
            format!("{taken} bytes, the gateway takes batches of {asked}"),
        )
    })
}

/// Seconds, roughly.
pub(super) fn span(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..120 => (seconds, "seconds"),
        120..7_200 => (seconds / 60, "minutes"),
        7_200..172_800 => (seconds / 3_600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{number} {unit}")
}
