//! One expression, asked once.

use std::sync::Arc;

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use crate::model::Timestamp;
use crate::release::Datasource;
use crate::release::gate::Answer;
use crate::upstream::{ClientOptions, Idle, Reach, Tokens, client, describe, headers};

/// An answer that is larger is as good as none: a gate wants one value.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A datasource and how it is reached.
#[derive(Clone, Debug)]
pub(super) struct Server {
    settings: Datasource,
    client: reqwest::Client,
    tokens: Option<Arc<Tokens>>,
    url: Url,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Option<Found>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    result_type: String,
    result: Value,
}

impl Server {
    /// Fails in words.
    pub(super) fn new(settings: Datasource) -> Result<Self, String> {
        let mut url = Url::parse(&settings.url).map_err(|error| error.to_string())?;
        url.set_path(&format!("{}/api/v1/query", url.path().trim_end_matches('/')));
        let options = ClientOptions {
            connect_timeout: settings.timeout,
            idle: Idle::Kept,
            reach: Reach::of(&settings.url),
        };
        let client = client(&settings.http, &options).map_err(|error| error.to_string())?;
        let tokens = Tokens::of(&settings.http);
        Ok(Self { settings, client, tokens, url })
    }

    /// Asks for one value. Fails in words, without what signs in.
    pub(super) async fn ask(&self, expr: &str, at: Timestamp) -> Result<Answer, String> {
        let mut headers = headers(&self.settings.http).map_err(|error| error.to_string())?;
        if let Some(tokens) = &self.tokens {
            let token = tokens.header().await.map_err(|error| error.to_string())?;
            headers.insert("authorization", token);
        }
        let time = format!("{:.3}", at.millis() as f64 / 1000.0);
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", expr)
            .append_pair("time", &time)
            .finish();
        let request = self
            .client
            .post(self.url.clone())
            .timeout(self.settings.timeout)
            .header("content-type", "application/x-www-form-urlencoded")
            .headers(headers)
            .body(form);
        let failed = |error: reqwest::Error| describe(&error.without_url());
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if body.len() + part.len() > ANSWER_BYTES_MAX {
                return Err(format!("an answer of more than {ANSWER_BYTES_MAX} bytes"));
            }
            body.extend_from_slice(&part);
        }
        read(&body).map_err(|why| format!("status {}: {why}", status.as_u16()))
    }
}

/// Reads the one value of an answer.
pub(super) fn read(body: &[u8]) -> Result<Answer, String> {
    let body: Body =
        serde_json::from_slice(body).map_err(|_| "no answer of a query API".to_owned())?;
    let Some(data) = body.data else {
        return Err(body.error.unwrap_or_else(|| "no data and no error".to_owned()));
    };
    let value = |pair: &Value| {
        let text = pair.get(1).and_then(Value::as_str).ok_or("a value that is none")?;
        let number = match text {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            other => other.parse().map_err(|_| "a value that is no number")?,
        };
        Ok(Answer::Value(number))
    };
    match data.result_type.as_str() {
        "scalar" => value(&data.result),
        "vector" => match data.result.as_array().map(Vec::as_slice) {
            Some([point]) => point.get("value").ok_or("a histogram".to_owned()).and_then(value),
            _ => Ok(Answer::Nothing),
        },
        other => Err(format!("a {other}, where one value is due")),
    }
}
