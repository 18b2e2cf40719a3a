//! A running service or simulator, and its HTTP side.

use std::time::Duration;

use serde_json::Value;

use super::exposition::Exposition;
use super::program::{Program, Scratch};
use super::wait::until;

/// An answer over HTTP.
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A client that goes nowhere but where it is told.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}

/// Sends a request and reads the answer.
pub async fn exchange(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply { status, headers, body: response.text().await.unwrap() }
}

/// `bellwether run`.
pub struct Service {
    pub program: Program,
    pub url: String,
    pub client: reqwest::Client,
}

impl Service {
    /// Runs a configuration and waits until it listens.
    pub async fn start(scratch: &Scratch, config: &str) -> Self {
        Self::start_with(scratch, config, &[], &[]).await
    }

    /// The same with variables and further arguments.
    pub async fn start_with(
        scratch: &Scratch,
        config: &str,
        variables: &[(&str, &str)],
        further: &[&str],
    ) -> Self {
        let program = Self::launch(scratch, config, variables, further);
        let address = program.err.word_after("listening address=").await;
        Self { program, url: format!("http://{address}"), client: client() }
    }

    /// Starts the process and waits for nothing.
    pub fn launch(
        scratch: &Scratch,
        config: &str,
        variables: &[(&str, &str)],
        further: &[&str],
    ) -> Program {
        let path = scratch.write("bellwether.yml", config);
        let data = scratch.path("data");
        let listen = "--web.listen-address=127.0.0.1:0";
        let arguments = ["run", "-c", &path, listen, "--storage.path", &data];
        Program::start(variables, &[&arguments, further].concat())
    }

    pub async fn get(&self, path: &str) -> Reply {
        exchange(self.client.get(format!("{}{path}", self.url))).await
    }

    pub async fn post(&self, path: &str, form: &str) -> Reply {
        let request = self.client.post(format!("{}{path}", self.url));
        let kind = "application/x-www-form-urlencoded";
        exchange(request.header("content-type", kind).body(form.to_owned())).await
    }

    pub async fn metrics(&self) -> Exposition {
        Exposition::read(&self.get("/metrics").await.body)
    }

    /// Waits until a counter or gauge has reached a value; returns the whole look.
    pub async fn reaches(&self, name: &str, labels: &[(&str, &str)], least: f64) -> Exposition {
        until(async || {
            let metrics = self.metrics().await;
            match metrics.value(name, labels) {
                Some(value) if value >= least => Ok(metrics),
                value => Err(format!("{name} {labels:?} is {value:?}, not yet {least}")),
            }
        })
        .await
    }

    /// Waits until a gauge has a value.
    pub async fn becomes(&self, name: &str, value: f64) -> Exposition {
        until(async || {
            let metrics = self.metrics().await;
            match metrics.value(name, &[]) {
                Some(found) if found == value => Ok(metrics),
                found => Err(format!("{name} is {found:?}, not {value}")),
            }
        })
        .await
    }

    /// The result of an instant query.
    pub async fn query(&self, expr: &str) -> Vec<Value> {
        let form: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("query", expr).finish();
        let answer = self.post("/api/v1/query", &form).await.json();
        assert_eq!(answer["status"], "success", "{expr}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }
}

/// `bellwether simulate`.
pub struct Simulator {
    _program: Program,
    pub url: String,
    client: reqwest::Client,
}

impl Simulator {
    pub async fn start() -> Self {
        let program = Program::start(&[], &["simulate", "--web.listen-address", "127.0.0.1:0"]);
        let url = program.out.word_after("listening on ").await;
        Self { _program: program, url, client: client() }
    }

    /// Plays a script of one phase from now on; an injected fault ends.
    pub async fn play(&self, phase: &str) {
        self.script(&format!("phases: [{{after: 0s, {phase}}}]")).await;
    }

    /// Plays a script from its beginning; an injected fault ends.
    pub async fn script(&self, script: &str) {
        let request = self.client.put(format!("{}/-/script", self.url)).body(script.to_owned());
        let reply = exchange(request).await;
        assert_eq!(reply.status, 200, "{script}: {}", reply.body);
    }

    /// Injects a fault until it is deleted.
    pub async fn fault(&self, fault: &str) -> Reply {
        exchange(self.client.post(format!("{}/-/fault", self.url)).body(fault.to_owned())).await
    }

    /// How many questions came.
    pub async fn requests(&self) -> f64 {
        let reply = exchange(self.client.get(format!("{}/-/stats", self.url))).await;
        reply.json()["requests"].as_f64().unwrap()
    }
}
