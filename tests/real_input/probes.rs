//! What is asked, and what must come of it.

use std::fmt::Write;
use std::time::Duration;

use crate::exposition::Exposition;
use crate::peer::Peer;
use crate::service::Service;

/// A dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Chat,
    Messages,
    Responses,
    Azure,
    Gemini,
}

/// How an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Streamed,
    Whole,
}

/// Which key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Right,
    Wrong,
}

/// One target and what every one of its probes must come to.
#[derive(Clone, Debug)]
pub struct Probe {
    pub api: Api,
    pub delivery: Delivery,
    pub key: Key,
    pub model: &'static str,
    pub interval: Duration,
    /// `error_type` and `slo`.
    pub comes_to: &'static str,
    /// Series that must be above zero in the end, beside the probes themselves.
    pub counts: Vec<(&'static str, Vec<(&'static str, &'static str)>)>,
    /// Series that must be zero in the end.
    pub zeros: Vec<(&'static str, Vec<(&'static str, &'static str)>)>,
    /// At least so many probes, the first one included.
    pub runs_min: u32,
    /// Whether each goes over a connection of its own.
    pub is_alone: bool,
}

/// The ways in which every peer can be asked.
pub const WAYS: [(Api, Delivery); 4] = [
    (Api::Chat, Delivery::Streamed),
    (Api::Chat, Delivery::Whole),
    (Api::Messages, Delivery::Streamed),
    (Api::Messages, Delivery::Whole),
];

/// The ways in which only some can.
pub const MORE_WAYS: [(Api, Delivery); 6] = [
    (Api::Responses, Delivery::Streamed),
    (Api::Responses, Delivery::Whole),
    (Api::Azure, Delivery::Streamed),
    (Api::Azure, Delivery::Whole),
    (Api::Gemini, Delivery::Streamed),
    (Api::Gemini, Delivery::Whole),
];

pub const TTFT: &str = "bellwether_probe_time_to_first_token_seconds_count";
pub const TPOT: &str = "bellwether_probe_time_per_output_token_seconds_count";
pub const DURATION: &str = "bellwether_probe_duration_seconds_count";
pub const PHASE: &str = "bellwether_probe_phase_seconds_count";
pub const TOKENS: &str = "bellwether_probe_tokens_total";
pub const BROKEN: &str = "bellwether_probe_stream_failures_total";
pub const RESPONSES: &str = "bellwether_probe_http_responses_total";
const RUNS: &str = "bellwether_probe_runs_total";

/// The server closes a connection that rests for five seconds, aimock's up to a second later.
const LONGER_THAN_KEPT: Duration = Duration::from_millis(6500);

/// A peer that is slow on a busy machine is no failing one.
const PATIENT: &str = "{first_token: 60s, idle: 60s, total: 60s}";

/// Looks ten times a second and, on a machine that is busy, a minute and a half long at most.
const LOOKS: u32 = 900;

impl Probe {
    /// One a second with the right key, all of them good.
    pub fn healthy(way: (Api, Delivery), model: &'static str) -> Self {
        let (api, delivery) = way;
        let mut counts = vec![(DURATION, vec![]), (PHASE, vec![("phase", "headers")])];
        if delivery == Delivery::Streamed {
            counts.push((TTFT, vec![]));
        }
        Self {
            api,
            delivery,
            key: Key::Right,
            model,
            interval: Duration::from_secs(1),
            comes_to: "none good",
            counts,
            zeros: vec![],
            runs_min: 4,
            is_alone: false,
        }
    }

    /// All of them come to the same failure: an `error_type` and an `slo`.
    pub fn failing(way: (Api, Delivery), model: &'static str, comes_to: &'static str) -> Self {
        let (api, delivery) = way;
        Self {
            api,
            delivery,
            key: Key::Right,
            model,
            interval: Duration::from_secs(1),
            comes_to,
            counts: vec![],
            // A failure that comes back at once must not make latency look better.
            zeros: vec![(DURATION, vec![]), (TTFT, vec![])],
            runs_min: 3,
            is_alone: false,
        }
    }

    /// With a key that the server does not know.
    pub fn with_wrong_key(self) -> Self {
        Self { key: Key::Wrong, ..self }.counting(RESPONSES, &[("code", "401")])
    }

    /// All over the connection of the first one.
    pub fn over_a_kept_connection(mut self) -> Self {
        self.zeros.push((PHASE, vec![("phase", "connect")]));
        self
    }

    /// Over new connections, since the server closes each after its answer.
    pub fn over_new_connections(self) -> Self {
        self.counting(PHASE, &[("phase", "connect")])
    }

    /// So far apart that the server has closed the connection before each of them.
    pub fn resting(self) -> Self {
        Self { interval: LONGER_THAN_KEPT, runs_min: 2, ..self }.over_new_connections()
    }

    /// A series that must be above zero in the end.
    pub fn counting(mut self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Self {
        self.counts.push((name, labels.to_vec()));
        self
    }

    fn name(&self) -> String {
        let Self { api, delivery, key, model, interval, .. } = self;
        format!("{api:?} {delivery:?} {key:?} {model} {}s", interval.as_secs_f64())
    }

    fn write(&self, check: &str, config: &mut String) {
        let Self { api, key, model, interval, .. } = self;
        let is_streamed = self.delivery == Delivery::Streamed;
        let is_alone = self.is_alone;
        let interval = interval.as_millis();
        let name = self.name();
        writeln!(
            config,
            "  - {{name: {name}, provider: {api:?} {key:?}, model: {model}, stream: {is_streamed}, \
             interval: {interval}ms, max_in_flight: 1, max_tokens: 64, check: {check}, \
             timeouts: {PATIENT}, new_connection: {is_alone}, budget_daily: unlimited}}",
        )
        .unwrap();
    }

    /// What is still missing; with time it may come.
    fn missing(&self, shown: &Exposition) -> Vec<String> {
        let name = self.name();
        let runs = shown.sum(RUNS, &[("target", &name)]);
        let few = (runs < f64::from(self.runs_min)).then(|| format!("{name}: {runs} probes"));
        let none = self.counts.iter().filter_map(|(family, labels)| {
            let is_there = shown.sum(family, &of(&name, labels)) > 0.0;
            (!is_there).then(|| format!("{name}: no {family} {labels:?}"))
        });
        few.into_iter().chain(none).collect()
    }

    /// What is there and must never be.
    fn wrong(&self, shown: &Exposition) -> Vec<String> {
        let name = self.name();
        let came = shown.above_zero(RUNS, &[("target", &name)], &["error_type", "slo"]);
        let others = came.iter().filter(|came| *came != self.comes_to);
        let others = others.map(|came| format!("{name}: came to `{came}`"));
        let above = self.zeros.iter().filter_map(|(family, labels)| {
            let value = shown.sum(family, &of(&name, labels));
            (value > 0.0).then(|| format!("{name}: {family} {labels:?} is {value}"))
        });
        others.chain(above).collect()
    }
}

fn of<'a>(target: &'a str, labels: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [("target", target)].into_iter().chain(labels.iter().copied()).collect()
}

/// Runs the probes against a peer until each has shown what it must, and nothing else.
pub async fn check(name: &str, peer: &Peer, answer: &str, probes: &[Probe]) {
    let mut config = "providers:\n".to_owned();
    for (api, dialect) in [
        (Api::Chat, "openai_chat"),
        (Api::Messages, "anthropic_messages"),
        (Api::Responses, "openai_responses"),
        (Api::Azure, "azure_openai, api_version: 2024-10-21"),
        (Api::Gemini, "gemini"),
    ] {
        for (key, variable) in [(Key::Right, "RIGHT_KEY"), (Key::Wrong, "WRONG_KEY")] {
            let url = &peer.url;
            writeln!(
                config,
                "  - {{name: {api:?} {key:?}, dialect: {dialect}, base_url: \"{url}\", \
                 api_key: \"env:{variable}\"}}"
            )
            .unwrap();
        }
    }
    config.push_str("probes:\n");
    probes.iter().for_each(|probe| probe.write(answer, &mut config));
    let service = Service::start(name, &config);
    let mut looks = tokio::time::interval(Duration::from_millis(100));
    let mut missing = Vec::new();
    for _ in 0..LOOKS {
        looks.tick().await;
        let shown = service.scrape();
        let wrong: Vec<_> = probes.iter().flat_map(|probe| probe.wrong(&shown)).collect();
        assert!(wrong.is_empty(), "{}\n\n{}", wrong.join("\n"), service.log());
        missing = probes.iter().flat_map(|probe| probe.missing(&shown)).collect();
        if missing.is_empty() {
            return;
        }
    }
    panic!("{}\n\n{}", missing.join("\n"), service.log());
}
