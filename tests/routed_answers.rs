//! The corpus of answers through the router: what a provider sends, what the client gets of it, and
//! what counts as evidence.

#![expect(clippy::unwrap_used, reason = "what cannot be had is a failed test")]

#[path = "provider/fixture.rs"]
mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether::clock::Clock;
use bellwether::model::{HttpSettings, ProviderId, RouteId, TargetId};
use bellwether::probe::{Budget, Check, Connection, Delivery, Target, Thresholds};
use bellwether::provider::translate::Strictness;
use bellwether::provider::{Auth, Dialect, ErrorType, Model, Provider, Wire};
use bellwether::router::{Ends, Router};
use bellwether::routing::{
    self, Admission, Credentials, KeySource, Retries, Route, Served, Settings, TIMEOUTS, Table,
};
use bellwether::telemetry::Telemetry;
use bellwether::threads::Threads;
use fixture::{Fixture, error_type, fixtures};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// What the client heard.
struct Heard {
    status: u16,
    body: Vec<u8>,
    is_whole: bool,
}

/// Answers whoever names a fixture in what it asks with that fixture.
async fn provider(dialect: Dialect) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, dialect));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, dialect: Dialect) {
    let mut asked = Vec::new();
    let name = loop {
        let text = String::from_utf8_lossy(&asked);
        let named = text.split_once("fixture:").and_then(|(_, rest)| rest.split_once(';'));
        if let Some((name, _)) = named {
            break name.to_owned();
        }
        if stream.read_buf(&mut asked).await.unwrap() == 0 {
            return;
        }
    };
    let fixture = fixtures(dialect).iter().find(|fixture| fixture.name == name).unwrap();
    let mut head = format!("HTTP/1.1 {} Said\r\n", fixture.asked("status"));
    if let Some(media) = fixture.get("content-type").filter(|media| *media != "-") {
        head += &format!("content-type: {media}\r\n");
    }
    for (_, header) in fixture.fields.iter().filter(|(name, _)| name == "header") {
        head += &format!("{header}\r\n");
    }
    head += "transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let mut wire = head.into_bytes();
    for piece in fixture.body.chunks(64) {
        wire.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        wire.extend_from_slice(piece);
        wire.extend_from_slice(b"\r\n");
    }
    if fixture.ending().is_none() {
        wire.extend_from_slice(b"0\r\n\r\n");
    }
    // Whoever has heard enough hangs up.
    let _is_heard = stream.write_all(&wire).await.is_ok();
}

fn target(fixture: &Fixture, provider: SocketAddr) -> Target {
    let model = fixture.get("model").unwrap_or("m").to_owned();
    // What a deployment answers as is known where somebody said so.
    let answering = Model { answers_as: Some(model.clone()), ..Model::default() };
    Target {
        id: TargetId::new(&fixture.name),
        provider: Arc::new(Provider {
            id: ProviderId::new(fixture.dialect.as_str()),
            dialect: fixture.dialect,
            system: "corpus".to_owned(),
            base_url: format!("http://{provider}"),
            auth: Auth::None,
            http: HttpSettings::default(),
            models: BTreeMap::from([(model.clone(), answering)]),
            wire: Wire::default(),
        }),
        model,
        delivery: Delivery::Streamed,
        interval: Duration::from_secs(60),
        in_flight_max: 1,
        timeouts: TIMEOUTS,
        thresholds: Thresholds { ttft: None, total: None },
        tokens_max: 16,
        prompt: None,
        check: Check::Any,
        page: None,
        connection: Connection::Warm,
        budget: Budget::Unlimited,
        classes: BTreeMap::new(),
    }
}

/// A route for each, so that no breaker sees two of them.
fn route(fixture: &Fixture) -> Route {
    Route {
        id: RouteId::new(&fixture.name),
        models: vec![fixture.name.clone()],
        stable: vec![TargetId::new(&fixture.name)],
        keys: vec![KeySource::User],
        testers: BTreeSet::new(),
        pins: Vec::new(),
        retries: Retries { max: 0, ..Retries::default() },
        timeouts: TIMEOUTS,
        in_flight_max: None,
        body_bytes_max: 1 << 20,
        tells: BTreeSet::new(),
        credentials: Credentials::Ours,
        strictness: Strictness::Strict,
        mirror: None,
    }
}

async fn ask(client: &reqwest::Client, router: SocketAddr, fixture: &Fixture) -> Heard {
    let is_streamed = fixture.get("asked") != Some("whole");
    let said = format!("fixture:{};", fixture.name);
    let messages = json!([{"role": "user", "content": said}]);
    let named = |rest: Value| {
        let mut body = json!({"model": fixture.name, "stream": is_streamed});
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        body
    };
    let (path, body) = match fixture.dialect {
        Dialect::AnthropicMessages => {
            ("/v1/messages", named(json!({"max_tokens": 9, "messages": messages})))
        }
        Dialect::OpenaiResponses => ("/v1/responses", named(json!({"input": said}))),
        _ => ("/v1/chat/completions", named(json!({"messages": messages}))),
    };
    let request = client.post(format!("http://{router}{path}")).body(body.to_string());
    let mut response = request.header("anthropic-version", "2023-06-01").send().await.unwrap();
    let mut heard = Heard { status: response.status().as_u16(), body: Vec::new(), is_whole: true };
    loop {
        match response.chunk().await {
            Ok(Some(bytes)) => heard.body.extend_from_slice(&bytes),
            Ok(None) => return heard,
            Err(_) => {
                heard.is_whole = false;
                return heard;
            }
        }
    }
}

/// What the router has no part in: strictness and usage are a prober's wishes, silence is for tests
/// with a clock, and without a head there is no answer.
fn is_for_the_router(fixture: &Fixture) -> bool {
    let has_head = fixture.asked("status").parse::<u16>().is_ok();
    let is_told = matches!(fixture.ending(), None | Some(ErrorType::ConnectionReset));
    has_head
        && is_told
        && fixture.get("terminal") != Some("strict")
        && fixture.get("model") != Some("")
}

fn check(fixture: &Fixture, heard: &Heard, served: &Served) {
    let name = &fixture.name;
    let expected = match error_type(fixture.asked("expect")) {
        ErrorType::UsageMissing => ErrorType::None,
        // Cut without a word: that is what a reset looks like within a body.
        ErrorType::ConnectionReset => ErrorType::TruncatedStream,
        other => other,
    };
    let found = match (expected, served.error_type) {
        (ErrorType::TruncatedStream, ErrorType::ConnectionReset) => ErrorType::TruncatedStream,
        (_, found) => found,
    };
    assert_eq!(found, expected, "{name}");
    let is_cut = expected == ErrorType::TruncatedStream;
    let status = fixture.asked("status").parse::<u16>().unwrap();
    if is_cut && heard.status == 200 {
        assert!(!heard.is_whole, "{name}: a client takes it for complete");
    }
    let is_told_in_other_words = fixture.dialect == Dialect::Gemini;
    if expected == ErrorType::None {
        assert_eq!((heard.status, heard.is_whole), (status, true), "{name}");
        if !is_told_in_other_words {
            assert!(heard.body == fixture.body, "{name}: {}", String::from_utf8_lossy(&heard.body));
        }
    }
    if status >= 400 && !is_told_in_other_words {
        assert_eq!(heard.status, status, "{name}");
    }
}

async fn check_all(dialect: Dialect, least: usize) {
    let provider = provider(dialect).await;
    let fixtures: Vec<_> = fixtures(dialect).iter().filter(|one| is_for_the_router(one)).collect();
    assert!(fixtures.len() >= least, "{} of {dialect:?}", fixtures.len());
    let targets = fixtures.iter().map(|fixture| {
        let target = target(fixture, provider);
        (target.id.clone(), Arc::new(target))
    });
    let settings = Settings {
        routes: fixtures.iter().map(|fixture| Arc::new(route(fixture))).collect(),
        targets: targets.collect(),
        admission: Admission::default(),
    };
    let (sender, mut served) = mpsc::channel(16);
    let ends = Ends {
        door: watch::channel(Arc::default()).1,
        table: watch::channel(Arc::new(Table::all_on_stable(&settings))).1,
        served: sender,
        clock: Clock::start(),
        telemetry: Telemetry::new(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let router = Router::spawn(listener, settings, ends, Threads::Callers).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for fixture in fixtures {
        let heard = ask(&client, router.address(), fixture).await;
        let told = tokio::time::timeout(Duration::from_secs(20), served.recv()).await;
        let told = told.unwrap_or_else(|_| panic!("{}: nobody was told", fixture.name)).unwrap();
        assert_eq!(told.route.as_str(), fixture.name);
        assert_eq!(told.class, routing::class(&target(fixture, provider), told.error_type));
        check(fixture, &heard, &told);
    }
}

#[tokio::test]
async fn answers_of_chat_completions_are_seen_through_the_router() {
    check_all(Dialect::OpenaiChat, 60).await;
}

#[tokio::test]
async fn answers_of_azure_are_seen_through_the_router() {
    check_all(Dialect::AzureOpenai, 60).await;
}

#[tokio::test]
async fn answers_of_messages_are_seen_through_the_router() {
    check_all(Dialect::AnthropicMessages, 60).await;
}

#[tokio::test]
async fn answers_of_responses_are_seen_through_the_router() {
    check_all(Dialect::OpenaiResponses, 60).await;
}

#[tokio::test]
async fn answers_of_gemini_are_seen_in_other_words() {
    check_all(Dialect::Gemini, 60).await;
}
