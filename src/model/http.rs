//! How bellwether calls out over HTTP: Prometheus's own `http_config` fields.

use std::path::PathBuf;

use super::SecretSource;

/// Authorization, proxy, TLS and extra headers of one outgoing connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpSettings {
    /// `authorization:`
    pub authorization: Option<Authorization>,
    /// `basic_auth:`
    pub basic_auth: Option<BasicAuth>,
    /// `oauth2:`
    pub oauth2: Option<OAuth2>,
    /// `proxy_url:`; where absent, the usual environment variables hold.
    pub proxy_url: Option<String>,
    /// `tls_config:`
    pub tls: TlsSettings,
    /// `http_headers:` in the order written; values that are secrets come from a source.
    pub headers: Vec<(String, HeaderValue)>,
}

/// A header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    /// Written in the configuration.
    Plain(String),
    /// Read from a secret's source.
    Secret(SecretSource),
}

/// `Authorization: <scheme> <credentials>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// `Bearer` by default.
    pub scheme: String,
    /// The credentials.
    pub credentials: SecretSource,
}

/// `Authorization: Basic …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: SecretSource,
}

/// A token got with a client's credentials (RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth2 {
    /// The client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretSource,
    /// What the token shall be good for.
    pub scopes: Vec<String>,
    /// Who gives it.
    pub token_url: String,
    /// What else is told, in the order written.
    pub endpoint_params: Vec<(String, String)>,
    /// The way to whoever gives it.
    pub proxy_url: Option<String>,
    /// TLS to whoever gives it.
    pub tls: TlsSettings,
}

/// Prometheus's `tls_config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Certificate authorities that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// A client certificate, with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// The client certificate's key.
    pub key_file: Option<PathBuf>,
    /// Whether any certificate is taken; never the default.
    pub insecure_skip_verify: bool,
}
