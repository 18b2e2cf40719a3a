//! Raw samples from anything that speaks Prometheus's API: a selector with a window, asked at the
//! end of each stretch of time.
//!
//! A query over a range of steps would give values where there are none and hide those between two
//! steps; a window gives every sample with its own time. Servers bound what one answer may hold, so
//! a stretch that is too much is halved, and one that was little is doubled. What may be over in a
//! moment (no connection, 429, 5xx) is asked again, five times, with twice the wait each time.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ReplayError;
use super::plan::Plan;
use super::recording::{Point, Stretch, rounds};
use super::scrapes::Scrapes;
use crate::model::{HttpSettings, Labels, Timestamp, histogram_marker};
use crate::upstream::{ClientOptions, Idle, Reach, client, describe};

/// The longest and the shortest stretch that is asked for at once.
const STRETCH_MAX: Duration = Duration::from_secs(3600);
const STRETCH_MIN: Duration = Duration::from_secs(15);
/// A stretch with fewer samples may be longer: some 10 MB of JSON.
const SAMPLES_FEW: usize = 150_000;
/// An answer that is larger is as good as refused.
const ANSWER_BYTES_MAX: usize = 256 << 20;
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait that a server may ask for.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Servers let a query take two minutes at most.
const TIMEOUT: Duration = Duration::from_secs(150);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Who is asked, and with which headers.
#[derive(Clone)]
pub struct Server {
    url: Url,
    headers: HeaderMap,
}

impl Server {
    /// A server by what stands before `/api/v1`. A name and a password in it sign in.
    pub fn new(url: Url, headers: HeaderMap) -> Self {
        Self { url, headers }
    }
}

/// Without what signs in.
impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        // A URL that has a host can do without both.
        let _is_open = url.set_username("").and_then(|()| url.set_password(None)).is_ok();
        formatter.write_str(url.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{self}`")
    }
}

/// A server's samples.
#[derive(Debug)]
pub(super) struct Prometheus {
    client: reqwest::Client,
    server: Server,
    selectors: Vec<String>,
    /// Everything up to here was read.
    after: Timestamp,
    until: Timestamp,
    stretch: Duration,
    scrapes: Scrapes,
    has_histograms: bool,
}

/// What one query came to.
enum Answered {
    Points(Vec<Point>),
    TooMuch(ReplayError),
}

impl Prometheus {
    /// The samples with `from <= at <= until`.
    pub(super) fn new(
        server: Server,
        plan: &Plan,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Self, ReplayError> {
        let options = ClientOptions {
            connect_timeout: CONNECT_TIMEOUT,
            idle: Idle::Kept,
            reach: Reach::of(server.url.as_str()),
        };
        let client = client(&HttpSettings::default(), &options)
            .map_err(|source| ReplayError::Client { server: server.to_string(), source })?;
        let after = Timestamp::from_millis(from.millis().saturating_sub(1));
        Ok(Self {
            client,
            server,
            selectors: plan.selections.keys().cloned().collect(),
            after,
            until,
            stretch: STRETCH_MAX,
            scrapes: Scrapes::default(),
            has_histograms: false,
        })
    }

    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let unplaced = self.scrapes.unplaced();
        if unplaced > 0 {
            remarks.push(format!(
                "{unplaced} series have times of their own or no `up`: when they ended cannot be \
                 known, so each is seen for five minutes after its last sample"
            ));
        }
        if self.has_histograms {
            let refused = "rules that read native histograms fail: what they hold is not read";
            remarks.push(refused.into());
        }
        remarks
    }

    pub(super) async fn next(&mut self) -> Result<Option<Stretch>, ReplayError> {
        while self.after < self.until {
            let until = (self.after + self.stretch).min(self.until);
            match self.read(until).await? {
                Answered::Points(points) => {
                    if points.len() < SAMPLES_FEW {
                        self.stretch = (self.stretch * 2).min(STRETCH_MAX);
                    }
                    self.after = until;
                    return Ok(Some(Stretch { until, rounds: rounds(points) }));
                }
                Answered::TooMuch(error) if self.stretch <= STRETCH_MIN => return Err(error),
                Answered::TooMuch(_) => self.stretch = (self.stretch / 2).max(STRETCH_MIN),
            }
        }
        Ok(None)
    }

    /// All selectors over one stretch, and the ends of series.
    async fn read(&mut self, until: Timestamp) -> Result<Answered, ReplayError> {
        let mut points = Vec::new();
        for selector in self.selectors.clone() {
            match self.select(&selector, until).await? {
                Answered::Points(more) => points.extend(more),
                too_much @ Answered::TooMuch(_) => return Ok(too_much),
            }
        }
        // All of them: the series of a job may have gone, and it is its scrapes that say so.
        let up = match self.select("up", until).await? {
            Answered::Points(up) => up,
            too_much @ Answered::TooMuch(_) => return Ok(too_much),
        };
        points.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        points.dedup_by(|later, earlier| (later.0, &later.1) == (earlier.0, &earlier.1));
        self.scrapes.end(&mut points, &up);
        Ok(Answered::Points(points))
    }

    async fn select(&mut self, selector: &str, until: Timestamp) -> Result<Answered, ReplayError> {
        let window = until.since(self.after).as_millis();
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", &format!("{selector}[{window}ms]"))
            .append_pair("time", &format!("{:.3}", until.seconds()))
            .finish();
        let (status, body) = match self.ask(&form).await? {
            Some(answer) => answer,
            None => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                return Ok(Answered::TooMuch(self.refused(status, "the answer is too large")));
            }
        };
        let answer = serde_json::from_slice::<Answer>(&body);
        match (answer, status.is_success()) {
            (Ok(Answer { data: Some(data), .. }), true) => {
                self.has_histograms |= data.result.iter().any(|s| !s.histograms.is_empty());
                let points = data.result.into_iter().flat_map(Series::points);
                // Older servers count the window's first moment in.
                let after = self.after;
                Ok(Answered::Points(points.filter(|(at, _, _)| *at > after).collect()))
            }
            (Ok(answer), _) => {
                let reason = answer.error.unwrap_or_else(|| "no reason given".to_owned());
                let refusal = self.refused(status, &reason);
                // What is wrong with a query is so for every stretch; 422 is a limit, 503 a time limit.
                match status.as_u16() {
                    413 | 422 | 503 | 504 => Ok(Answered::TooMuch(refusal)),
                    _ => Err(refusal),
                }
            }
            (Err(_), true) => Err(ReplayError::NotPrometheus(self.server.to_string())),
            (Err(_), false) => {
                let text = String::from_utf8_lossy(&body);
                let line: String =
                    text.lines().next().unwrap_or_default().chars().take(200).collect();
                Err(self.refused(status, if line.is_empty() { "nothing more" } else { &line }))
            }
        }
    }

    fn refused(&self, status: StatusCode, reason: &str) -> ReplayError {
        let server = self.server.to_string();
        ReplayError::Refused { server, status, reason: reason.to_owned() }
    }

    /// Asks until there is an answer. Nothing where it is too large.
    async fn ask(&self, form: &str) -> Result<Option<(StatusCode, Vec<u8>)>, ReplayError> {
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        loop {
            let (failure, asked_wait) = match self.ask_once(form).await {
                Ok(Some((status, body, asked_wait))) => {
                    let is_passing = status.is_server_error() || status.as_u16() == 429;
                    if !is_passing || attempt == ATTEMPTS {
                        return Ok(Some((status, body)));
                    }
                    (status.to_string(), asked_wait)
                }
                Ok(None) => return Ok(None),
                Err(error) => (describe(&error), None),
            };
            if attempt == ATTEMPTS {
                let server = self.server.to_string();
                return Err(ReplayError::Silent { server, reason: failure });
            }
            tracing::warn!(server = %self.server, failure, attempt, "asked again");
            tokio::time::sleep(asked_wait.unwrap_or(wait).min(WAIT_MAX)).await;
            wait *= 2;
            attempt += 1;
        }
    }

    async fn ask_once(
        &self,
        form: &str,
    ) -> reqwest::Result<Option<(StatusCode, Vec<u8>, Option<Duration>)>> {
        let mut url = self.server.url.clone();
        url.set_path(&format!("{}/api/v1/query", url.path().trim_end_matches('/')));
        let request = self
            .client
            .post(url)
            .timeout(TIMEOUT)
            .header("content-type", "application/x-www-form-urlencoded")
            .headers(self.server.headers.clone())
            .body(form.to_owned());
        let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
        let asked_wait = response.headers().get("retry-after");
        let asked_wait = asked_wait.and_then(|value| value.to_str().ok()?.parse().ok());
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + part.len() > ANSWER_BYTES_MAX {
                return Ok(None);
            }
            body.extend_from_slice(&part);
        }
        Ok(Some((status, body, asked_wait.map(Duration::from_secs))))
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Option<Matrix>,
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histograms: Vec<(f64, IgnoredAny)>,
}

impl Series {
    fn points(self) -> impl Iterator<Item = Point> {
        let pairs = self.metric.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let labels = Labels::from_pairs(pairs);
        let numbers = self.values.into_iter();
        let numbers = numbers.filter_map(|(seconds, value)| Some((seconds, value.parse().ok()?)));
        let histograms = self.histograms.into_iter().map(|(at, _)| (at, histogram_marker()));
        numbers.chain(histograms).map(move |(seconds, value)| {
            (Timestamp::from_millis((seconds * 1000.0).round() as i64), labels.clone(), value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::is_histogram;

    #[test]
    fn what_signs_in_is_never_shown() {
        let url = Url::parse("http://name:hidden@h:9/base/").unwrap();
        let server = Server::new(url, HeaderMap::new());
        assert_eq!(
            (server.to_string(), format!("{server:?}")),
            ("http://h:9/base".to_owned(), "`http://h:9/base`".to_owned())
        );
    }

    // The shapes are those of Prometheus's documentation.
    #[test]
    fn a_matrix_is_read_with_its_special_values() {
        let text = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":
            {"__name__":"x","a":"b"},"values":[[1435781430.781,"1"],[1435781445,"+Inf"],[1,"NaN"]],
            "histograms":[[2,{"count":"60","sum":"33897","buckets":[[0,"1","2","3"]]}]]}]}}"#;
        let answer: Answer = serde_json::from_str(text).unwrap();
        let series = answer.data.unwrap().result.remove(0);
        let points: Vec<Point> = series.points().collect();
        assert_eq!(points[0].0, Timestamp::from_millis(1_435_781_430_781));
        assert_eq!(points[0].1.to_string(), "x{a=\"b\"}");
        assert_eq!((points[0].2, points[1].2), (1.0, f64::INFINITY));
        assert!(points[2].2.is_nan() && !is_histogram(points[2].2));
        assert_eq!(points[3].0, Timestamp::from_millis(2_000));
        assert!(is_histogram(points[3].2));
    }
}
