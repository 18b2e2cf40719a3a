//! Tokens of OAuth 2: got with a client's credentials (RFC 6749, section 4.4), kept while they last.
//!
//! Whoever has the same settings shares one token: a thousand probes ask for one. A token is asked for
//! again a while before it ends, beside whoever uses the old one meanwhile, so that nobody waits but
//! for the first. While it cannot be had, the failure is told at once for some seconds, lest each
//! probe wait for a server that does not answer.
//!
//! A client may show its credentials in a header or in the form, and servers take one of them or
//! both: the header is tried first, as the RFC prefers and Prometheus does, and what a server took is
//! remembered.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{ClientError, ClientOptions, Idle, Reach, SecretError, client, describe, read_secret};
use crate::model::{HttpSettings, OAuth2, Secret};

/// To connect, ask and read.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a failure is told without asking again.
const FAILURE_AGE: Duration = Duration::from_secs(5);
/// Nobody begins with a token that ends within this time, or within a tenth of a short life.
const MARGIN: Duration = Duration::from_secs(10);
/// A token is renewed in its last tenth or ten seconds, and this long before its end at the earliest.
const RENEWAL_MAX: Duration = Duration::from_secs(300);
/// For servers that do not say how long a token lasts.
const LIFE_UNSAID: Duration = Duration::from_secs(300);
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// More than these are kept only while somebody uses them.
const SHARED_MAX: usize = 64;

/// Why a token cannot be had. Names the server and never a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// The client's secret cannot be read.
    #[error("the client's secret for `{url}`: {why}")]
    Secret {
        /// Which server.
        url: String,
        /// Why.
        why: Arc<SecretError>,
    },
    /// No client can be built.
    #[error("`{url}` cannot be asked for a token: {why}")]
    Client {
        /// Which server.
        url: String,
        /// Why.
        why: Arc<ClientError>,
    },
    /// The server cannot be reached, or does not answer.
    #[error("`{url}` gives no token: {why}")]
    Unheard {
        /// Which server.
        url: String,
        /// In words.
        why: String,
    },
    /// The server refuses.
    #[error("`{url}` refuses a token with status {status}{said}")]
    Refused {
        /// Which server.
        url: String,
        /// Its status.
        status: u16,
        /// Its words, if it said any.
        said: String,
    },
    /// Its answer holds no token.
    #[error("the answer of `{url}` holds no token that a header can carry")]
    NoToken {
        /// Which server.
        url: String,
    },
}

/// The token of one client at one server.
pub struct Tokens {
    settings: OAuth2,
    state: Mutex<State>,
    /// Held by who asks the server.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failed: Option<(Instant, TokenError)>,
    /// How the server takes credentials, once that is known.
    manner: Option<Manner>,
}

#[derive(Clone)]
struct Held {
    header: HeaderValue,
    renew_at: Instant,
    ends_at: Instant,
}

/// How a client shows its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Header,
    Form,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Option<String>,
    token_type: Option<String>,
    /// A number by the RFC, and a text with some.
    #[serde(default)]
    expires_in: Value,
}

#[derive(Deserialize)]
struct Denied {
    error: Option<String>,
    error_description: Option<String>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tokens").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Tokens {
    /// The tokens of these settings, which all who have the same ones share.
    pub fn shared(settings: &OAuth2) -> Arc<Self> {
        static SHARED: Mutex<Vec<Arc<Tokens>>> = Mutex::new(Vec::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shared.iter().find(|known| known.settings == *settings) {
            return Arc::clone(known);
        }
        if shared.len() >= SHARED_MAX {
            shared.retain(|known| Arc::strong_count(known) > 1);
        }
        let new = Arc::new(Self::new(settings.clone()));
        shared.push(Arc::clone(&new));
        new
    }

    /// Those of the settings of a connection, where it has any.
    pub fn of(settings: &HttpSettings) -> Option<Arc<Self>> {
        settings.oauth2.as_ref().map(Self::shared)
    }

    fn new(settings: OAuth2) -> Self {
        Self { settings, state: Mutex::default(), asking: Arc::default() }
    }

    /// The value of the header `Authorization`; sensitive.
    pub async fn header(self: &Arc<Self>) -> Result<HeaderValue, TokenError> {
        let now = Instant::now();
        let held = self.state().held.clone().filter(|held| now < held.ends_at);
        if let Some(held) = held {
            if now >= held.renew_at {
                self.renew(now);
            }
            return Ok(held.header);
        }
        let turn = Arc::clone(&self.asking).lock_owned().await;
        let now = Instant::now();
        {
            let state = self.state();
            if let Some(held) = state.held.as_ref().filter(|held| now < held.ends_at) {
                return Ok(held.header.clone());
            }
            if let Some(failure) = state.failure(now) {
                return Err(failure);
            }
        }
        // In a task of its own: whoever has no more time leaves what comes of it to the others.
        let this = Arc::clone(self);
        let asking = tokio::spawn(async move {
            let _turn = turn;
            this.ask().await
        });
        asking
            .await
            .unwrap_or_else(|_| Err(self.unheard("asking for it was broken off".to_owned())))
    }

    /// Asks for the next token beside those who use this one, unless somebody does or it failed lately.
    fn renew(self: &Arc<Self>, now: Instant) {
        if self.state().failure(now).is_some() {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(_turn) = this.asking.try_lock() else { return };
            if this.state().held.as_ref().is_some_and(|held| Instant::now() < held.renew_at) {
                return;
            }
            if let Err(error) = this.ask().await {
                tracing::warn!(%error, "a token could not be renewed; the old one is used while it lasts");
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Held for a few stores.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the server, and keeps what came of it.
    async fn ask(&self) -> Result<HeaderValue, TokenError> {
        let asked = Instant::now();
        let answer = match tokio::time::timeout(TIMEOUT, self.granted()).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unheard(format!("no answer within {} s", TIMEOUT.as_secs()))),
        };
        let mut state = self.state();
        match answer {
            Ok((header, life)) => {
                let renewal = (life / 10).clamp(MARGIN.min(life), RENEWAL_MAX);
                let held = Held {
                    header: header.clone(),
                    renew_at: asked + life.saturating_sub(renewal),
                    ends_at: asked + life.saturating_sub(MARGIN.min(life / 10)),
                };
                (state.held, state.failed) = (Some(held), None);
                Ok(header)
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn granted(&self) -> Result<(HeaderValue, Duration), TokenError> {
        let secret = read_secret(&self.settings.client_secret)
            .map_err(|why| TokenError::Secret { url: self.url(), why: Arc::new(why) })?;
        let known = self.state().manner;
        let manner = known.unwrap_or(Manner::Header);
        match self.call(manner, &secret).await {
            // Servers that take the form alone refuse the header by any of several statuses.
            Err(TokenError::Refused { status: 400..500, .. }) if known.is_none() => {
                let answer = self.call(Manner::Form, &secret).await;
                answer.inspect(|_| self.state().manner = Some(Manner::Form))
            }
            answer => answer.inspect(|_| self.state().manner = Some(manner)),
        }
    }

    async fn call(
        &self,
        manner: Manner,
        secret: &Secret,
    ) -> Result<(HeaderValue, Duration), TokenError> {
        let OAuth2 { client_id, token_url, .. } = &self.settings;
        let options = ClientOptions {
            connect_timeout: TIMEOUT,
            idle: Idle::Closed,
            reach: Reach::of(token_url),
        };
        let http = HttpSettings {
            proxy_url: self.settings.proxy_url.clone(),
            tls: self.settings.tls.clone(),
            ..HttpSettings::default()
        };
        let client = client(&http, &options)
            .map_err(|why| TokenError::Client { url: self.url(), why: Arc::new(why) })?;
        let mut request = client
            .post(token_url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form(&self.settings, manner, secret));
        if manner == Manner::Header {
            request = request.header(AUTHORIZATION, basic(client_id, secret));
        }
        let broken = |error: reqwest::Error| self.unheard(describe(&error.without_url()));
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(broken)? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(TokenError::NoToken { url: self.url() });
            }
            body.extend_from_slice(&piece);
        }
        if !status.is_success() {
            let said = said(&body, secret);
            return Err(TokenError::Refused { url: self.url(), status: status.as_u16(), said });
        }
        read(&body).ok_or_else(|| TokenError::NoToken { url: self.url() })
    }

    fn unheard(&self, why: String) -> TokenError {
        TokenError::Unheard { url: self.url(), why }
    }

    /// Scheme, host and path: the rest may hold a key.
    fn url(&self) -> String {
        let url = reqwest::Url::parse(&self.settings.token_url);
        url.map_or_else(
            |_| "token_url".to_owned(),
            |url| format!("{}{}", url.origin().ascii_serialization(), url.path()),
        )
    }
}

impl State {
    fn failure(&self, now: Instant) -> Option<TokenError> {
        let (at, error) = self.failed.as_ref()?;
        (now.saturating_duration_since(*at) < FAILURE_AGE).then(|| error.clone())
    }
}

/// What is asked, as a form.
fn form(settings: &OAuth2, manner: Manner, secret: &Secret) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if manner == Manner::Form {
        form.append_pair("client_id", &settings.client_id);
        form.append_pair("client_secret", secret.expose());
    }
    if !settings.scopes.is_empty() {
        form.append_pair("scope", &settings.scopes.join(" "));
    }
    form.extend_pairs(&settings.endpoint_params);
    form.finish()
}

/// The client's credentials as a header (RFC 6749, section 2.3.1): each is encoded as in a form first.
fn basic(client_id: &str, secret: &Secret) -> HeaderValue {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client_id), encoded(secret.expose()));
    let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let mut value = HeaderValue::try_from(text).expect("Base64 is letters, digits and three signs");
    value.set_sensitive(true);
    value
}

/// The token of an answer, as a header, and how long it lasts.
fn read(body: &[u8]) -> Option<(HeaderValue, Duration)> {
    let Granted { access_token, token_type, expires_in } = serde_json::from_slice(body).ok()?;
    let token = access_token.filter(|token| !token.is_empty())?;
    let scheme = match token_type {
        Some(scheme) if !scheme.is_empty() && !scheme.eq_ignore_ascii_case("bearer") => scheme,
        _ => "Bearer".to_owned(),
    };
    let mut header = HeaderValue::try_from(format!("{scheme} {token}")).ok()?;
    header.set_sensitive(true);
    let seconds = expires_in.as_f64().or_else(|| expires_in.as_str()?.trim().parse().ok());
    let life = seconds.filter(|seconds| *seconds > 0.0);
    let life = life.and_then(|seconds| Duration::try_from_secs_f64(seconds.min(1e9)).ok());
    Some((header, life.unwrap_or(LIFE_UNSAID)))
}

/// What a refusal says, short and without the secret.
fn said(body: &[u8], secret: &Secret) -> String {
    const CHARS_MAX: usize = 200;
    let Ok(Denied { error, error_description }) = serde_json::from_slice(body) else {
        return String::new();
    };
    let parts = [error, error_description].into_iter().flatten();
    let parts: Vec<String> = parts.filter(|part| !part.trim().is_empty()).collect();
    if parts.is_empty() {
        return String::new();
    }
    let text = parts.join(": ").replace(secret.expose(), "***");
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!(": {}", text.chars().take(CHARS_MAX).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SecretSource, TlsSettings};

    fn settings(token_url: &str) -> OAuth2 {
        OAuth2 {
            client_id: "s6BhdRkqt3".to_owned(),
            client_secret: SecretSource::Env("PATH".to_owned()),
            scopes: vec!["a".to_owned(), "b/.default".to_owned()],
            token_url: token_url.to_owned(),
            endpoint_params: vec![("audience".to_owned(), "x y".to_owned())],
            proxy_url: None,
            tls: TlsSettings::default(),
        }
    }

    // RFC 6749, section 2.3.1, and the encoding of its appendix B.
    #[test]
    fn credentials_are_shown_as_the_rfc_says() {
        let value = basic("s6BhdRkqt3", &Secret::new("7Fjfp0ZBr1KtDRbnfVdmIw".to_owned()));
        assert_eq!(value, "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
        assert!(value.is_sensitive());
        // As Prometheus 2.42 sends it.
        let value = basic("a:b c", &Secret::new("s e&cret".to_owned()));
        assert_eq!(value, "Basic YSUzQWIrYzpzK2UlMjZjcmV0");
        // printf 'a%%3Ab:%%26%%C3%%BC+' | base64
        let value = basic("a:b", &Secret::new("&ü ".to_owned()));
        assert_eq!(value, "Basic YSUzQWI6JTI2JUMzJUJDKw==");
    }

    #[test]
    fn the_form_has_what_the_server_needs() {
        let secret = Secret::new("p&w".to_owned());
        let settings = settings("http://127.0.0.1:1/token");
        assert_eq!(
            form(&settings, Manner::Header, &secret),
            "grant_type=client_credentials&scope=a+b%2F.default&audience=x+y"
        );
        assert_eq!(
            form(&settings, Manner::Form, &secret),
            "grant_type=client_credentials&client_id=s6BhdRkqt3&client_secret=p%26w\
             &scope=a+b%2F.default&audience=x+y"
        );
    }

    #[test]
    fn answers_are_read_as_servers_write_them() {
        for (body, expected) in [
            // RFC 6749, section 4.4.3.
            (
                r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"example","expires_in":3600}"#,
                Some(("example 2YotnFZFEjr1zCsicMWpAA", 3600)),
            ),
            // Entra, and its older form with texts.
            (
                r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"eyJ0"}"#,
                Some(("Bearer eyJ0", 3599)),
            ),
            (
                r#"{"token_type":"bearer","expires_in":"3599","access_token":"t"}"#,
                Some(("Bearer t", 3599)),
            ),
            (r#"{"access_token":"t"}"#, Some(("Bearer t", 300))),
            (r#"{"access_token":"t","expires_in":-1}"#, Some(("Bearer t", 300))),
            (r#"{"access_token":""}"#, None),
            (r#"{"access_token":"a\nb"}"#, None),
            (r#"{"error":"invalid_client"}"#, None),
            ("<html>", None),
        ] {
            let got = read(body.as_bytes());
            let got = got.as_ref().map(|(header, life)| (header.to_str().unwrap(), life.as_secs()));
            assert_eq!(got, expected, "{body}");
        }
    }

    #[test]
    fn a_refusal_is_told_without_the_secret() {
        let secret = Secret::new("canary".to_owned());
        let body = br#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid\r\nsecret canary."}"#;
        assert_eq!(said(body, &secret), ": invalid_client: AADSTS7000215: Invalid secret ***.");
        assert_eq!(said(b"<html>", &secret), "");
        assert_eq!(said(b"{}", &secret), "");
        let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(1000));
        assert_eq!(said(long.as_bytes(), &secret).len(), 202);
    }

    #[test]
    fn the_url_is_shown_without_what_may_be_a_key() {
        let tokens = Tokens::new(settings("https://u:canary@id.example/t/oauth2?key=canary"));
        assert_eq!(tokens.url(), "https://id.example/t/oauth2");
    }
}
