//! How commands that ask a running server connect: `--http.config.file`, as in promtool, or a user
//! in the URL.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http::header::AUTHORIZATION;

use crate::config;
use crate::model::HttpSettings;
use crate::upstream::{self, ClientOptions, Idle, Reach, Tokens};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The flag.
#[derive(Debug, Args)]
pub(super) struct HttpFile {
    /// Credentials and TLS for the server that is asked: `authorization`, `basic_auth`,
    /// `tls_config` and the like, as in promtool.
    #[arg(id = "http.config.file", long = "http.config.file", value_name = "FILE")]
    path: Option<PathBuf>,
}

/// What the file says.
pub(super) struct Connecting(HttpSettings);

impl HttpFile {
    pub(super) fn read(&self) -> anyhow::Result<Connecting> {
        let Some(path) = &self.path else { return Ok(Connecting(HttpSettings::default())) };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("`{}` cannot be read", path.display()))?;
        let settings =
            config::http_file(&path.display().to_string(), &text).map_err(|mistakes| {
                let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                anyhow::anyhow!("{}", lines.join("\n"))
            })?;
        Ok(Connecting(settings))
    }
}

impl Connecting {
    /// A client for a URL.
    pub(super) fn client(&self, url: &str) -> anyhow::Result<reqwest::Client> {
        let options = ClientOptions {
            connect_timeout: CONNECT_TIMEOUT,
            idle: Idle::Kept,
            reach: Reach::of(url),
        };
        Ok(upstream::client(&self.0, &options)?)
    }

    /// A request with the file's headers; where it names credentials, they win over the URL's.
    pub(super) async fn authorize(
        &self,
        request: reqwest::RequestBuilder,
    ) -> anyhow::Result<reqwest::RequestBuilder> {
        let mut headers = upstream::headers(&self.0)?;
        if let Some(tokens) = Tokens::of(&self.0) {
            headers.insert(AUTHORIZATION, tokens.header().await?);
        }
        Ok(request.headers(headers))
    }
}
