//! The router between raw clients and simulated providers.

mod arms;
mod chains;
mod faults;
mod herd;
mod mirroring;
mod passing;
mod refusals;
mod retelling;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::RuntimeFlavor;
use tokio::sync::{mpsc, watch};

use super::{Ends, Router};
use crate::access::{Hash, Token};
use crate::clock::Clock;
use crate::model::{HttpSettings, Money, ProviderId, RouteId, TargetId};
use crate::price::{Price, PriceList, Rates};
use crate::probe::{Budget, Check, Connection, Delivery, Target, Thresholds, Timeouts};
use crate::provider::translate::Strictness;
use crate::provider::{Auth, Dialect, ErrorType, Model, Provider};
use crate::routing::{
    Admission, Credentials, KeySource, Retries, Route, Served, Settings, Share, Split, Table, Tell,
};
use crate::simulator::{Behavior, Fault, Injection, Script, Simulator};
use crate::telemetry::Telemetry;
use crate::threads::Threads;

const MS: Duration = Duration::from_millis(1);

/// A dollar for a million tokens in, two for a million out.
fn price() -> PriceList {
    let dollar = Money::from_nanos(1_000_000_000);
    let double = Money::from_nanos(2_000_000_000);
    PriceList::always(Price::flat(Rates::plain(dollar, double)))
}

fn target(name: &str, base_url: &str, dialect: Dialect) -> Target {
    let model =
        Model { name: Some(format!("{name}-upstream")), price: Some(price()), ..Model::default() };
    Target {
        id: TargetId::new(name),
        provider: Arc::new(Provider {
            id: ProviderId::new(name),
            dialect,
            system: "sim".to_owned(),
            base_url: base_url.to_owned(),
            auth: Auth::None,
            http: HttpSettings::default(),
            models: BTreeMap::from([("m".to_owned(), model)]),
            wire: crate::provider::Wire::default(),
        }),
        model: "m".to_owned(),
        delivery: Delivery::Streamed,
        interval: 1000 * MS,
        in_flight_max: 2,
        timeouts: patience(),
        thresholds: Thresholds::default(),
        tokens_max: 32,
        prompt: None,
        check: Check::Nonce,
        connection: Connection::Warm,
        budget: Budget::Unlimited,
        classes: BTreeMap::new(),
        page: None,
    }
}

fn patience() -> Timeouts {
    Timeouts { connect: 5000 * MS, first_token: 10_000 * MS, idle: 10_000 * MS, total: 20_000 * MS }
}

fn route() -> Route {
    Route {
        id: RouteId::new("chat"),
        models: vec!["chat".to_owned()],
        stable: vec![TargetId::new("old")],
        keys: vec![KeySource::User, KeySource::MetadataUserId],
        testers: ["qa".to_owned()].into(),
        pins: Vec::new(),
        retries: Retries { max: 0, ..Retries::default() },
        timeouts: patience(),
        in_flight_max: None,
        body_bytes_max: 1 << 20,
        tells: [Tell::Arm, Tell::RequestId, Tell::Target].into(),
        credentials: Credentials::Ours,
        strictness: Strictness::Strict,
        mirror: None,
    }
}

fn token(name: &str) -> Token {
    Token { name: name.to_owned(), hash: Hash::of(&format!("key-of-{name}")), allow: [].into() }
}

async fn simulator(behavior: Behavior) -> Simulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::spawn(listener, Script::always(behavior), 7).await
}

fn failing(fault: Fault) -> Behavior {
    let injection = Injection { fault, share: crate::simulator::Share::ALL, after_tokens: None };
    Behavior { faults: vec![injection], keepalive: 10 * MS, ..Behavior::default() }
}

/// A router between two simulators, `old` and `new`.
struct Stage {
    router: Router,
    settings: Settings,
    table: watch::Sender<Arc<Table>>,
    served: mpsc::Receiver<Served>,
    telemetry: Telemetry,
    old: Simulator,
    new: Simulator,
    client: reqwest::Client,
    storage: std::path::PathBuf,
}

impl Stage {
    async fn new(old: Behavior, new: Behavior, route: Route, dialect: Dialect) -> Self {
        Self::admitting(old, new, route, dialect, Admission::default()).await
    }

    async fn admitting(
        old: Behavior,
        new: Behavior,
        route: Route,
        dialect: Dialect,
        admission: Admission,
    ) -> Self {
        let (old, new) = (simulator(old).await, simulator(new).await);
        let targets = [("old", &old), ("new", &new)].map(|(name, simulator)| {
            let target = target(name, &simulator.base_url(), dialect);
            (target.id.clone(), Arc::new(target))
        });
        let settings = Settings { routes: vec![route.into()], targets: targets.into(), admission };
        let (table, watched) = watch::channel(Arc::new(Table::all_on_stable(&settings)));
        let (sender, served) = mpsc::channel(65_536);
        let telemetry = Telemetry::new();
        let storage =
            std::env::temp_dir().join(format!("bellwether-router-{:016x}", rand::random::<u64>()));
        let ends = Ends {
            door: watch::channel(Arc::default()).1,
            table: watched,
            served: sender,
            clock: Clock::start(),
            telemetry: telemetry.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Time can be paused only where there is one thread.
        let threads = match tokio::runtime::Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread => Threads::Own(NonZeroUsize::new(2).unwrap()),
            _ => Threads::Callers,
        };
        let mut router = Router::spawn(listener, settings.clone(), ends, threads).unwrap();
        router.store(storage.clone());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { router, settings, table, served, telemetry, old, new, client, storage }
    }

    async fn stable(behavior: Behavior, dialect: Dialect) -> Self {
        Self::new(behavior, Behavior::default(), route(), dialect).await
    }

    /// So much to the candidate, from the next request on.
    fn split(&self, points: u32) {
        let share = Share::from_basis_points(points).unwrap();
        let candidate = vec![TargetId::new("new")];
        let split = Split { candidate, share, salt: "r".to_owned() };
        let splits = BTreeMap::from([(RouteId::new("chat"), split)]);
        self.table.send_modify(|table| *table = Arc::new(table.next(&self.settings, &splits)));
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.router.address())
    }

    fn post(&self, dialect: Dialect, body: &Value) -> reqwest::RequestBuilder {
        let path = match dialect {
            Dialect::OpenaiChat => "/v1/chat/completions",
            Dialect::AnthropicMessages => "/v1/messages",
            other => panic!("no surface speaks {other:?}"),
        };
        let request = self.client.post(self.url(path)).body(body.to_string());
        request.header("anthropic-version", "2023-06-01")
    }

    async fn ask(&self, dialect: Dialect, is_streamed: bool) -> Heard {
        heard(self.post(dialect, &question(is_streamed))).await
    }

    async fn told(&mut self) -> Served {
        let told = tokio::time::timeout(Duration::from_secs(20), self.served.recv()).await;
        told.expect("what came of the request is told").unwrap()
    }

    /// The value of a series, by words that its line holds.
    fn value(&self, metric: &str, labels: &[&str]) -> f64 {
        let text = self.telemetry.exposition();
        let line = text.lines().find(|line| {
            line.starts_with(&format!("{metric}{{")) && labels.iter().all(|one| line.contains(one))
        });
        let value = line.and_then(|line| line.rsplit(' ').next());
        value.unwrap_or_else(|| panic!("{metric} {labels:?}")).parse().unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Absent where nothing was stored yet.
        let _is_gone = std::fs::remove_dir_all(&self.storage).is_ok();
    }
}

fn question(is_streamed: bool) -> Value {
    let messages = json!([{"role": "user", "content": "say exactly 7f3a"}]);
    let mut body = json!({"model": "chat", "messages": messages, "max_tokens": 32});
    if is_streamed {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

/// What a client heard.
#[derive(Debug)]
struct Heard {
    status: u16,
    headers: http::HeaderMap,
    body: String,
    /// Whether the body ended as HTTP says it should.
    is_whole: bool,
}

impl Heard {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn heard(request: reqwest::RequestBuilder) -> Heard {
    let mut response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    let is_whole = loop {
        match response.chunk().await {
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    Heard { status, headers, body: String::from_utf8(body).unwrap(), is_whole }
}
