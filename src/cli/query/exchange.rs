//! Asking a Prometheus API over HTTP.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use reqwest::Url;
use serde_json::Value;

use crate::cli::arguments::{server_url, unheard};
use crate::cli::http::Connecting;

/// Longer than a server lets a query take unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(150);

/// Who is asked. Shows itself without what signs in.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Server(Url);

/// What was answered, as it came and as it reads.
#[derive(Debug)]
pub(in crate::cli) struct Body {
    pub text: String,
    pub answer: Value,
}

/// A header of the request; its value may be a secret and is never shown.
#[derive(Clone)]
pub(in crate::cli) struct Header(HeaderName, HeaderValue);

impl Server {
    pub(in crate::cli) fn at(address: &str) -> Self {
        address.parse().expect("an address is a server")
    }

    /// Sends a form and reads JSON. Where a form is refused, as some proxies do, asks by the address.
    pub(in crate::cli) async fn ask(
        &self,
        path: &str,
        parameters: &[(&'static str, String)],
        headers: &[Header],
        http: &Connecting,
    ) -> Result<Body, String> {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        let shown = Self(url.clone()).to_string();
        let unheard = |error: reqwest::Error| unheard(&shown, &error);
        let broken = |error: anyhow::Error| format!("{error:#}");
        let client = http.client(url.as_str()).map_err(broken)?;
        let headers = Header::map(headers);
        let form =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let request = client
            .post(url.clone())
            .timeout(TIMEOUT)
            .header("content-type", "application/x-www-form-urlencoded")
            .headers(headers.clone())
            .body(form.clone());
        let request = http.authorize(request).await.map_err(broken)?;
        let mut response = request.send().await.map_err(unheard)?;
        let refused = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
        if refused.contains(&response.status()) {
            url.set_query(Some(&form));
            let request = client.get(url).timeout(TIMEOUT).headers(headers);
            let request = http.authorize(request).await.map_err(broken)?;
            response = request.send().await.map_err(unheard)?;
        }
        let status = response.status();
        let text = response.text().await.map_err(unheard)?;
        match serde_json::from_str::<Value>(&text) {
            Ok(answer) if answer["status"].is_string() => Ok(Body { text, answer }),
            Ok(_) | Err(_) if status.is_success() => {
                Err(format!("`{shown}` does not answer as a Prometheus does"))
            }
            Ok(_) | Err(_) => Err(format!("`{shown}` answers {status}")),
        }
    }
}

impl FromStr for Server {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = server_url(text)?;
        Url::parse(&url).map(Self).map_err(|_| "write `http://HOST:PORT`")
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        // A URL that has a host can do without both.
        let _is_open = url.set_username("").and_then(|()| url.set_password(None)).is_ok();
        formatter.write_str(url.as_str().trim_end_matches('/'))
    }
}

impl Header {
    /// All of them as one map; of one name there may be several.
    pub(in crate::cli) fn map(headers: &[Self]) -> http::HeaderMap {
        headers.iter().map(|Self(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl FromStr for Header {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').ok_or("write `NAME: VALUE`")?;
        let name = name.trim().parse().map_err(|_| "its name is no header's")?;
        let mut value: HeaderValue =
            value.trim().parse().map_err(|_| "its value can't stand in a header")?;
        value.set_sensitive(true);
        Ok(Self(name, value))
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ***", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_signs_in_is_never_shown() {
        let server: Server = "http://name:hidden@127.0.0.1:9/base/".parse().unwrap();
        assert_eq!(server.to_string(), "http://127.0.0.1:9/base");
        let header: Header = "Authorization: Bearer hidden".parse().unwrap();
        assert_eq!(format!("{header:?}"), "authorization: ***");
        assert_eq!("127.0.0.1:9".parse::<Server>().unwrap().to_string(), "http://127.0.0.1:9");
        assert!("no header".parse::<Header>().is_err() && "a b: c".parse::<Header>().is_err());
    }
}
