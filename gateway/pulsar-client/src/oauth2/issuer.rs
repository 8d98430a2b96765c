//! What is said to an issuer over HTTP. No redirect is followed: the client's secret goes where the
//! user and the issuer's own metadata say, and never from `https` to `http`.

use bytes::{Bytes, BytesMut};
use reqwest::{Client, RequestBuilder, StatusCode, Url, header, redirect};

use super::{
    DEADLINE, OAuth2Error, OAuth2Options,
    answers::{self, Refusal},
    file::ClientCredentials,
    keeper::{Grant, Grants},
};
use crate::transport::client_config;

/// Longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 256 * 1024;

/// An issuer, and where it gives tokens.
pub(super) struct Issuer {
    options: OAuth2Options,
    /// As its metadata say; looked up again after a failure.
    token_endpoint: Option<Url>,
}

impl Issuer {
    pub(super) fn new(options: OAuth2Options) -> Self {
        Self {
            options,
            token_endpoint: None,
        }
    }

    async fn ask(&mut self) -> Result<Grant, OAuth2Error> {
        let client = ClientCredentials::read(&self.options.credentials_file).await?;
        let metadata = metadata_url(&self.options.issuer_url)
            .map_err(|problem| OAuth2Error::Url { problem })?;
        let http = self.http(&metadata).await?;
        let endpoint = match self.token_endpoint.clone() {
            Some(endpoint) => endpoint,
            None => discover(&http, metadata).await?,
        };
        let grant = self.request(&http, &endpoint, &client).await?;
        self.token_endpoint = Some(endpoint);
        Ok(grant)
    }

    /// Made for each token: so renewed authorities are taken up, and no connection waits for hours.
    async fn http(&self, url: &Url) -> Result<Client, OAuth2Error> {
        let authorities = self.options.ca_file.clone();
        let unusable = |reason: String| OAuth2Error::Unreachable {
            url: url.to_string(),
            reason: format!("TLS cannot be used: {reason}"),
        };
        let tls = tokio::task::spawn_blocking(move || client_config(authorities))
            .await
            .map_err(|error| unusable(error.to_string()))?
            .map_err(|error| unusable(error.to_string()))?;
        Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| unusable(root(&error).to_string()))
    }

    async fn request(
        &self,
        http: &Client,
        endpoint: &Url,
        client: &ClientCredentials,
    ) -> Result<Grant, OAuth2Error> {
        let OAuth2Options {
            audience, scope, ..
        } = &self.options;
        let fields = [
            ("grant_type", Some("client_credentials")),
            ("client_id", Some(&client.id)),
            ("client_secret", Some(&client.secret)),
            ("audience", audience.as_deref()),
            ("scope", scope.as_deref()),
        ];
        let request = http
            .post(endpoint.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form(&fields));
        let (status, body) = answer(request, endpoint).await?;
        if status.is_success() {
            return answers::grant(&body).map_err(|problem| malformed(endpoint, problem));
        }
        match answers::refusal(&body) {
            Some(Refusal { reason }) => Err(OAuth2Error::Refused {
                url: endpoint.to_string(),
                status: status.as_u16(),
                // An issuer may repeat what it was sent.
                reason: reason.replace(&client.secret, "…"),
                credentials_file: self.options.credentials_file.clone(),
            }),
            None => Err(unexpected(endpoint, status)),
        }
    }
}

impl Grants for Issuer {
    async fn grant(&mut self) -> Result<Grant, OAuth2Error> {
        let granted = match tokio::time::timeout(DEADLINE, self.ask()).await {
            Ok(granted) => granted,
            Err(_) => Err(OAuth2Error::Unreachable {
                url: self.options.issuer_url.clone(),
                reason: format!("no token within {} s", DEADLINE.as_secs()),
            }),
        };
        if granted.is_err() {
            self.token_endpoint = None;
        }
        granted
    }
}

/// Where an issuer's metadata are (OpenID Connect Discovery 1.0 §4).
fn metadata_url(issuer: &str) -> Result<Url, String> {
    let mut url = issuer
        .parse::<Url>()
        .map_err(|error| format!("its URL is none: {error}"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("its URL begins neither with https:// nor with http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its URL is not to hold credentials".to_owned());
    }
    let path = url.path().trim_end_matches('/');
    let path = format!("{path}/.well-known/openid-configuration");
    url.set_path(&path);
    Ok(url)
}

async fn discover(http: &Client, metadata: Url) -> Result<Url, OAuth2Error> {
    let (status, body) = answer(http.get(metadata.clone()), &metadata).await?;
    if !status.is_success() {
        return Err(unexpected(&metadata, status));
    }
    let endpoint = answers::token_endpoint(&body)
        .and_then(|text| text.parse::<Url>().ok())
        .ok_or_else(|| malformed(&metadata, "it names no token_endpoint".to_owned()))?;
    match (metadata.scheme(), endpoint.scheme()) {
        (_, "https") | ("http", "http") => Ok(endpoint),
        _ => Err(malformed(
            &metadata,
            "its token_endpoint is not https".to_owned(),
        )),
    }
}

async fn answer(request: RequestBuilder, url: &Url) -> Result<(StatusCode, Bytes), OAuth2Error> {
    let failed = |error: reqwest::Error| OAuth2Error::Unreachable {
        url: url.to_string(),
        reason: root(&error).to_string(),
    };
    let request = request.header(header::ACCEPT, "application/json");
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            let problem = format!("it answers more than {LONGEST_ANSWER} bytes");
            return Err(malformed(url, problem));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, body.freeze()))
}

fn malformed(url: &Url, problem: String) -> OAuth2Error {
    OAuth2Error::Malformed {
        url: url.to_string(),
        problem,
    }
}

fn unexpected(url: &Url, status: StatusCode) -> OAuth2Error {
    let hint = if status == StatusCode::NOT_FOUND {
        "; is the issuer's URL the right one?"
    } else {
        ""
    };
    malformed(url, format!("it answers with status {status}{hint}"))
}

/// What is at the root of an error; the layers above it say no more.
fn root<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .unwrap_or(error)
}

/// `application/x-www-form-urlencoded`, of the fields that there are.
fn form(fields: &[(&str, Option<&str>)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        let Some(value) = value else { continue };
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    text.push(char::from(byte));
                }
                other => text.push_str(&format!("%{other:02X}")),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_below_the_issuers_own_path() {
        for (issuer, metadata) in [
            (
                "https://a.example.com",
                "https://a.example.com/.well-known/openid-configuration",
            ),
            (
                "https://a.example.com/",
                "https://a.example.com/.well-known/openid-configuration",
            ),
            (
                "http://a:8080/realms/p/",
                "http://a:8080/realms/p/.well-known/openid-configuration",
            ),
        ] {
            assert_eq!(metadata_url(issuer).unwrap().as_str(), metadata);
        }
    }

    #[test]
    fn what_is_no_issuer_is_told_without_its_credentials() {
        for issuer in [
            "issuer",
            "file:///etc/passwd",
            "https://kop:s3cr3t@a.example.com",
        ] {
            let problem = metadata_url(issuer).unwrap_err();
            assert!(!problem.contains("s3cr3t"), "{problem}");
        }
    }

    #[test]
    fn forms_are_encoded_byte_by_byte() {
        let fields = [("a", Some("x y&z=ü")), ("b", None), ("c", Some("~1-_."))];
        assert_eq!(form(&fields), "a=x%20y%26z%3D%C3%BC&c=~1-_.");
    }
}
