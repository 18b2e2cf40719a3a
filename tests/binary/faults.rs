//! Every fault of the simulated provider has its one error type and class on `/metrics`.
//!
//! The tables say what the taxonomy of providers says of each fault, for four targets that ask the
//! same simulator: `type class`, then `@` where the stream broke and `+` the oddity that is counted.
//! Each target has one probe under way at most; so of two results after a fault was injected at
//! least the second is the fault's, and anything but the last two expectations is a mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use tokio::net::TcpSocket;

use super::exposition::Exposition;
use super::program::Scratch;
use super::service::{Service, Simulator};
use super::wait::until;

const TARGETS: [&str; 4] = ["chat", "messages", "chat-whole", "messages-whole"];
const RUNS: &str = "bellwether_probe_runs_total";
const BREAKS: &str = "bellwether_probe_stream_failures_total";
const ODDITIES: &str = "bellwether_probe_protocol_anomalies_total";
const TIMING: [&str; 4] = ["connect_timeout", "ttft_timeout", "stalled_stream", "total_timeout"];

/// What is expected of each target, in their order.
type Expected = [&'static str; 4];

/// The same of all four.
const fn all(expected: &'static str) -> Expected {
    [expected; 4]
}

/// One of streams, another of whole answers.
const fn each(streamed: &'static str, whole: &'static str) -> Expected {
    [streamed, streamed, whole, whole]
}

const AT_ONCE: &[(&str, Expected)] = &[
    ("{kind: http, status: 400}", all("http_400 excluded")),
    ("{kind: http, status: 401}", all("http_401 excluded")),
    ("{kind: http, status: 402}", all("quota_exhausted excluded")),
    ("{kind: http, status: 403}", all("http_403 excluded")),
    ("{kind: http, status: 404}", all("http_404 excluded")),
    ("{kind: http, status: 409}", all("_OTHER bad")),
    ("{kind: http, status: 413}", all("http_413 excluded")),
    ("{kind: http, status: 422}", all("http_400 excluded")),
    ("{kind: http, status: 429}", all("rate_limited excluded")),
    ("{kind: http, status: 500}", all("server_error bad")),
    ("{kind: http, status: 429, retry_after: 7s}", all("rate_limited excluded")),
    ("{kind: http, status: 502}", all("server_error bad")),
    ("{kind: http, status: 503}", all("overloaded bad")),
    ("{kind: http, status: 504}", all("server_error bad")),
    ("{kind: http, status: 529}", all("overloaded bad")),
    ("{kind: quota_exhausted}", all("quota_exhausted excluded")),
    ("{kind: overloaded_mid_stream}", each("overloaded bad @after_content", "overloaded bad")),
    ("{kind: truncated}", each("truncated_stream bad @after_content", "truncated_stream bad")),
    ("{kind: reset}", each("connection_reset bad @after_content", "connection_reset bad")),
    (
        "{kind: truncated, after_tokens: 0}",
        each("truncated_stream bad @before_content", "truncated_stream bad"),
    ),
    (
        "{kind: reset, after_tokens: 0}",
        each("connection_reset bad @before_content", "connection_reset bad"),
    ),
    (
        "{kind: overloaded_mid_stream, after_tokens: 0}",
        each("overloaded bad @before_content", "overloaded bad"),
    ),
    ("{kind: html_200}", each("wrong_content_type bad @before_content", "wrong_content_type bad")),
    ("{kind: malformed_json}", each("malformed_json bad @after_content", "malformed_json bad")),
    ("{kind: json_on_stream}", each("wrong_content_type bad @before_content", "none good")),
    ("{kind: schema_mismatch}", each("schema_mismatch bad @after_content", "schema_mismatch bad")),
    ("{kind: empty_content}", all("empty_content bad")),
    ("{kind: wrong_answer}", all("content_check_failed bad")),
    ("{kind: refusal}", all("refusal bad")),
    (
        "{kind: content_filter}",
        ["content_filtered bad", "refusal bad", "content_filtered bad", "refusal bad"],
    ),
    ("{kind: max_tokens}", all("max_tokens_reached excluded")),
    ("{kind: wrong_model}", all("model_mismatch good")),
    ("{kind: usage_missing}", all("usage_missing good")),
    ("{kind: unprefixed_error}", each("overloaded bad @after_content", "overloaded bad")),
    ("{kind: early_finish}", each("none good +early_finish", "none good")),
    ("{kind: no_done}", ["none good +no_done", "none good", "none good", "none good"]),
    ("{kind: lingering_socket}", each("none good +lingering_socket", "none good")),
    ("{kind: crlf}", all("none good")),
    ("{kind: comments}", all("none good")),
    (
        "{kind: usage_with_choices}",
        ["none good +usage_with_choices", "none good", "none good", "none good"],
    ),
];

/// Those that cost a timeout. A whole answer has no first token, so only its total can pass.
const IN_TIME: &[(&str, Expected)] = &[
    ("{kind: stall}", each("stalled_stream bad @after_content", "total_timeout bad")),
    (
        "{kind: never_starts}",
        [
            "ttft_timeout bad @before_content",
            "ttft_timeout bad @before_content",
            "total_timeout bad",
            "total_timeout bad",
        ],
    ),
    ("{kind: pings_only}", each("stalled_stream bad @before_content", "total_timeout bad")),
    ("{kind: no_headers}", each("ttft_timeout bad", "total_timeout bad")),
];

#[tokio::test]
async fn each_fault_has_its_one_error_type_and_oddities_have_none() {
    let simulator = Simulator::start().await;
    let scratch = Scratch::new("faults");
    let timeouts = "{first_token: 10s, total: 20s}";
    let service = Service::start(&scratch, &config(&simulator, timeouts)).await;
    let before = names(&service.metrics().await);
    let mut played = Played::begin(&service, &simulator).await;
    for (fault, expected) in AT_ONCE {
        assert_eq!(simulator.fault(fault).await.status, 200, "{fault}");
        played.expect(fault, *expected).await;
    }
    simulator.script("key: right").await;
    played.expect("a wrong key", all("http_401 excluded")).await;
    simulator.script("models: [other]").await;
    played.expect("a wrong model", all("http_404 excluded")).await;
    // Everything that can appear is there from the start.
    let after = names(&service.metrics().await);
    let late: Vec<_> = after.difference(&before).collect();
    assert!(late.is_empty(), "{late:?}");
}

#[tokio::test]
async fn what_does_not_come_in_time_has_the_error_type_of_what_was_waited_for() {
    let simulator = Simulator::start().await;
    let scratch = Scratch::new("faults-in-time");
    let timeouts = "{first_token: 600ms, idle: 600ms, total: 900ms}";
    let service = Service::start(&scratch, &config(&simulator, timeouts)).await;
    let mut played = Played::begin(&service, &simulator).await;
    for (fault, expected) in IN_TIME {
        assert_eq!(simulator.fault(fault).await.status, 200, "{fault}");
        played.expect(fault, *expected).await;
    }
}

#[tokio::test]
async fn no_fault_of_the_simulator_is_left_out() {
    let simulator = Simulator::start().await;
    let refused = simulator.fault("{kind: none}").await;
    assert_eq!(refused.status, 400);
    let (_, known) = refused.body.split_once("one of ").unwrap();
    let known = known.split('`').skip(1).step_by(2);
    let tables = AT_ONCE.iter().chain(IN_TIME).map(|(fault, _)| *fault).collect::<String>();
    for kind in known {
        assert!(tables.contains(&format!("{{kind: {kind}")), "{kind}");
    }
}

#[tokio::test]
async fn who_cannot_be_reached_is_told_from_who_cannot_speak_tls() {
    let simulator = Simulator::start().await;
    // Bound and not listening: nobody else gets the port, and it refuses.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let (nobody, plain) = (socket.local_addr().unwrap(), simulator.url.replace("http:", "https:"));
    let config = format!(
        "global: {{probe_interval: 100ms}}\n\
         providers:\n\
         - {{name: nobody, dialect: openai_chat, base_url: 'http://{nobody}', auth: none}}\n\
         - {{name: plain, dialect: openai_chat, base_url: '{plain}', auth: none}}\n\
         probes:\n\
         - {{name: nobody, provider: nobody, model: m, budget_daily: unlimited}}\n\
         - {{name: plain, provider: plain, model: m, budget_daily: unlimited}}\n"
    );
    let scratch = Scratch::new("faults-transport");
    let service = Service::start(&scratch, &config).await;
    for (target, error_type) in [("nobody", "connect"), ("plain", "tls")] {
        let labels = [("target", target), ("error_type", error_type), ("slo", "bad")];
        let metrics = service.reaches(RUNS, &labels, 2.0).await;
        let others = metrics.sum(RUNS, &[("target", target)]) - metrics.sum(RUNS, &labels);
        assert_eq!(others, 0.0, "{target}: {:?}", metrics.series(RUNS));
    }
}

fn config(simulator: &Simulator, timeouts: &str) -> String {
    let url = &simulator.url;
    let probe = |name: &str, provider: &str, stream: bool| {
        format!(
            "- {{name: {name}, provider: {provider}, model: m, stream: {stream}, \
             timeouts: {timeouts}, max_in_flight: 1, budget_daily: unlimited}}\n"
        )
    };
    [
        "global: {probe_interval: 60ms}\nproviders:\n".to_owned(),
        format!("- {{name: chat, dialect: openai_chat, base_url: '{url}', auth: none}}\n"),
        format!(
            "- {{name: messages, dialect: anthropic_messages, base_url: '{url}', auth: none}}\n"
        ),
        "probes:\n".to_owned(),
        probe(TARGETS[0], "chat", true),
        probe(TARGETS[1], "messages", true),
        probe(TARGETS[2], "chat", false),
        probe(TARGETS[3], "messages", false),
    ]
    .concat()
}

/// What can be counted of a target, by a short name: `type class`, `@type phase`, `+oddity`.
type Counts = BTreeMap<String, f64>;

/// Where a play stands.
struct Played<'a> {
    service: &'a Service,
    counts: [Counts; 4],
    expected: Expected,
}

impl<'a> Played<'a> {
    /// Waits until every target is well.
    async fn begin(service: &'a Service, simulator: &Simulator) -> Self {
        simulator.play("keepalive: 50ms, ttft: 5ms, gap: 1ms").await;
        let counts = TARGETS.map(|_| Counts::new());
        let mut played = Self { service, counts, expected: all("none good") };
        played.expect("nothing", all("none good")).await;
        played
    }

    /// Waits until each target has two results more as expected, and finds no others.
    async fn expect(&mut self, fault: &str, expected: Expected) {
        let counts = until(async || {
            let metrics = self.service.metrics().await;
            let counts = TARGETS.map(|target| counts(&metrics, target));
            for position in 0..TARGETS.len() {
                let rises = rises(&counts[position], &self.counts[position]);
                for due in words(expected[position]) {
                    let count = rises.get(&due).copied().unwrap_or_default();
                    if count < 2.0 {
                        let target = TARGETS[position];
                        return Err(format!("{fault}: {target}: `{due}` in {rises:?}"));
                    }
                }
            }
            Ok(counts)
        })
        .await;
        for position in 0..TARGETS.len() {
            let known: BTreeSet<String> =
                words(self.expected[position]).chain(words(expected[position])).collect();
            let mut found = rises(&counts[position], &self.counts[position]);
            // What a machine that stalls makes late is excused, and counted as such. It may also keep
            // the end of one answer from coming within the quarter of a second after its evidence.
            found.retain(|word, count| {
                let is_excused = TIMING.iter().any(|kind| *word == format!("{kind} excluded"));
                let is_late = word == "+lingering_socket" && *count == 1.0;
                !known.contains(word) && !is_excused && !is_late
            });
            assert!(found.is_empty(), "{fault}: {}: {found:?}", TARGETS[position]);
        }
        self.counts = counts;
        self.expected = expected;
    }
}

/// What an expectation counts.
fn words(expected: &str) -> impl Iterator<Item = String> {
    let mut parts = expected.split(' ');
    let (error_type, class) = (parts.next().unwrap(), parts.next().unwrap());
    let rest = parts.map(move |part| match part.strip_prefix('@') {
        Some(phase) => format!("@{error_type} {phase}"),
        None => part.to_owned(),
    });
    [format!("{error_type} {class}")].into_iter().chain(rest)
}

fn counts(metrics: &Exposition, target: &str) -> Counts {
    let mut counts = Counts::new();
    for (name, parts) in [
        (RUNS, &["", "error_type", " ", "slo"][..]),
        (BREAKS, &["@", "error_type", " ", "phase"]),
        (ODDITIES, &["+", "kind"]),
    ] {
        for (labels, count) in metrics.series(name) {
            if labels["target"] == target {
                // Labels' values between what stands for itself.
                let part = |part: &&str| labels.get(*part).cloned().unwrap_or((*part).to_owned());
                counts.insert(parts.iter().map(part).collect(), count);
            }
        }
    }
    counts
}

/// What rose, and by how much.
fn rises(now: &Counts, before: &Counts) -> Counts {
    let rise = |(word, count): (&String, &f64)| {
        let rise = count - before.get(word).copied().unwrap_or_default();
        (rise != 0.0).then(|| (word.clone(), rise))
    };
    now.iter().filter_map(rise).collect()
}

/// The series of targets that are there whatever happens. A status, a rate limit and a time of the
/// last probe have a series once there was one.
fn names(metrics: &Exposition) -> BTreeSet<String> {
    let by_chance = ["http_responses", "ratelimit", "last_run", "last_success"];
    let fixed = |name: &str| {
        name.starts_with("bellwether_probe_") && !by_chance.iter().any(|part| name.contains(part))
    };
    let series = metrics.all().filter(|(name, _)| fixed(name));
    series.map(|(name, labels)| format!("{name}{labels:?}")).collect()
}
