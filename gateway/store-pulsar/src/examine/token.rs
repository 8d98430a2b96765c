//! What can be seen of a token without its key.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// There is none.
    Unusable(String),
    /// A token whose content is nobody else's business than Pulsar's.
    Opaque,
    /// A JSON web token.
    Claims(Claims),
}

/// The claims of a JSON web token that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Claims {
    /// Whom it stands for: Pulsar's role.
    #[serde(default, rename = "sub")]
    pub(crate) role: Option<String>,
    /// Seconds since the epoch after which it is worth nothing.
    #[serde(default, rename = "exp")]
    pub(crate) expires: Option<u64>,
}

impl Token {
    /// What a token's text says.
    pub(crate) fn of(text: &str) -> Self {
        let claims = || {
            let mut parts = text.split('.');
            let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
            let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
            serde_json::from_slice(&json).ok()
        };
        claims().map_or(Self::Opaque, Self::Claims)
    }

    /// Whom it stands for.
    pub(crate) fn role(&self) -> Option<&str> {
        match self {
            Self::Claims(claims) => claims.role.as_deref(),
            Self::Unusable(_) | Self::Opaque => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_token_tells_its_role_and_end() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"sub":"kafka","exp":1700000000,"x":[1]}"#);
        let token = Token::of(&format!("eyJhbGciOiJIUzI1NiJ9.{payload}.c2ln"));
        assert_eq!(token.role(), Some("kafka"));
        let expected = Claims {
            role: Some("kafka".to_owned()),
            expires: Some(1_700_000_000),
        };
        assert_eq!(token, Token::Claims(expected));
    }

    #[test]
    fn what_is_no_web_token_is_left_to_pulsar() {
        for text in ["secret", "a.b.c", "a.e30", ".."] {
            assert_eq!(Token::of(text), Token::Opaque, "{text}");
        }
        assert_eq!(Token::of("a.e30.c"), Token::Claims(Claims::default()));
    }
}
