//! A real Prometheus of our own: started on a free port, fed, asked, and ended with the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bellwether::model::{Label, Labels, Sample, Timestamp};
use bellwether::promql::{Point, Series, Value};
use serde_json::Value as Json;

use crate::data::{self, Data};
use crate::query::{Said, Times};
use crate::remote_write;

/// Which Prometheus there is.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    pub version: String,
}

impl Program {
    /// The one that `PROMETHEUS3` names, or else the system's.
    pub fn find() -> Self {
        let path = std::env::var_os("PROMETHEUS3").map_or("prometheus".into(), PathBuf::from);
        let output = Command::new(&path).arg("--version").output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        let words = text.split_whitespace().skip_while(|word| *word != "version");
        let version = words.take(2).nth(1).unwrap_or_default().trim_end_matches(',').to_owned();
        assert!(!version.is_empty(), "{} tells no version: {text}", path.display());
        Self { path, version }
    }

    /// Whether windows leave out their left edge, and all else that came with Prometheus 3.
    pub fn is_3(&self) -> bool {
        !self.version.starts_with("2.")
    }
}

pub struct Peer {
    child: Child,
    directory: PathBuf,
    address: String,
    client: reqwest::Client,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself, and the folder lies among temporary files: nothing is lost.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
        let _removed = std::fs::remove_dir_all(&self.directory);
    }
}

impl Peer {
    /// Starts one that holds these samples.
    pub async fn with(program: &Program, data: &Data) -> Self {
        // Another program may take the port between the two calls; then the start is tried again.
        for _ in 0..3 {
            if let Some(peer) = Self::start(program).await {
                peer.write(data).await;
                return peer;
            }
        }
        panic!("{} does not start", program.path.display());
    }

    async fn start(program: &Program) -> Option<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("bellwether-differential-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("temporary files can be made");
        let address = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("a bound listener has an address").to_string()
        };
        let child = command(program, &directory, &address).spawn().expect("the program starts");
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build();
        let client = client.expect("a client with a time limit");
        let mut peer = Self { child, directory, address, client };
        for _ in 0..600 {
            if peer.child.try_wait().expect("a child of ours").is_some() {
                return None;
            }
            let ready = peer.client.get(peer.url("/-/ready")).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return Some(peer);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn write(&self, data: &Data) {
        for slice in data::slices(data) {
            let request = self
                .client
                .post(self.url("/api/v1/write"))
                .header("content-encoding", "snappy")
                .header("content-type", "application/x-protobuf")
                .header("x-prometheus-remote-write-version", "0.1.0")
                .body(remote_write::body(&slice));
            let answer = request.send().await.expect("the peer answers");
            let status = answer.status();
            let text = answer.text().await.unwrap_or_default();
            assert!(status.is_success(), "the peer refuses samples: {status} {text}");
        }
    }

    /// What the peer says.
    pub async fn ask(&self, query: &str, times: Times) -> Said {
        let seconds = |millis: i64| format!("{}.{:03}", millis / 1000, millis % 1000);
        let (path, times) = match times {
            Times::At(at) => ("/api/v1/query", vec![("time", seconds(at))]),
            Times::Range { start, end, step } => {
                let times =
                    [("start", seconds(start)), ("end", seconds(end)), ("step", seconds(step))];
                ("/api/v1/query_range", times.to_vec())
            }
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("query", query).append_pair("timeout", "50s").extend_pairs(times);
        let request = self
            .client
            .post(self.url(path))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.finish());
        let answer = request.send().await.expect("the peer answers");
        let text = answer.text().await.expect("the peer answers in full");
        read(&text).unwrap_or_else(|| panic!("the peer answers `{text}` to `{query}`"))
    }
}

fn command(program: &Program, directory: &Path, address: &str) -> Command {
    let config = directory.join("prometheus.yml");
    std::fs::write(&config, "global: {}\n").expect("temporary files can be written");
    let mut command = Command::new(&program.path);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("samples").display()))
        .arg("--storage.tsdb.retention.time=100y")
        .arg(format!("--web.listen-address={address}"))
        .arg("--web.enable-remote-write-receiver")
        .arg("--log.level=error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn read(text: &str) -> Option<Said> {
    let answer: Json = serde_json::from_str(text).ok()?;
    if answer["status"] != "success" {
        return Some(Said::Failure(answer["error"].as_str()?.to_owned()));
    }
    let result = &answer["data"]["result"];
    let value = match answer["data"]["resultType"].as_str()? {
        "scalar" => Value::Scalar(sample(result)?.value),
        "string" => Value::String(result[1].as_str()?.to_owned()),
        "vector" => {
            let points = result.as_array()?.iter().map(|point| {
                let Sample { at, value } = sample(&point["value"])?;
                Some(Point { labels: labels(&point["metric"])?, at, value })
            });
            Value::Vector(points.collect::<Option<_>>()?)
        }
        _ => {
            let series = result.as_array()?.iter().map(|series| {
                let samples = series["values"].as_array()?.iter().map(sample);
                Some(Series {
                    labels: labels(&series["metric"])?,
                    samples: samples.collect::<Option<_>>()?,
                })
            });
            Value::Matrix(series.collect::<Option<_>>()?)
        }
    };
    let remarks = ["warnings", "infos"].iter().filter_map(|kind| answer[kind].as_array()).flatten();
    let remarks = remarks.map(|text| text.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    Some(Said::Value { value, remarks })
}

fn sample(pair: &Json) -> Option<Sample> {
    let millis = (pair[0].as_f64()? * 1000.0).round() as i64;
    Some(Sample { at: Timestamp::from_millis(millis), value: pair[1].as_str()?.parse().ok()? })
}

/// Taken as they are told, empty values too: to drop one here would hide a difference.
fn labels(object: &Json) -> Option<Labels> {
    let pairs = object.as_object()?.iter().map(|(name, value)| {
        let value = value.as_str().filter(|value| !value.is_empty())?;
        Some(Label { name: Arc::from(name.as_str()), value: Arc::from(value) })
    });
    pairs.collect::<Option<Vec<Label>>>().map(Labels::new)
}
