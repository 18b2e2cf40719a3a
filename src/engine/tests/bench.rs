//! An engine on a bench: a candidate, a stable target, one rule, one rollback.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Action, Engine, Event, Happening, Settings};
use crate::model::{HttpSettings, Labels, Matcher, ProviderId, TargetId, Timestamp, UrlSource};
use crate::notice::{Delivery, Integration, Receiver, Route, Webhook};
use crate::probe::{
    Budget, Calendar, Check, Connection, Delivery as Transport, Health, Outcome, Phases, Target,
    Thresholds, Timeouts,
};
use crate::provider::{Auth, Dialect, ErrorType, Provider, RateLimits, SloClass, Wire};
use crate::release::{Does, Mode, Rollback, Tick};
use crate::rules;
use crate::series::{self, Source as _};

/// Fires while a target has errors.
pub(super) const RULES: &str = "
groups:
- name: g
  interval: 15s
  rules:
  - alert: Broken
    expr: errors > 0
    labels: {severity: rollback}
";

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn target(name: &str) -> Target {
    let provider = Provider {
        id: ProviderId::new("p"),
        dialect: Dialect::OpenaiChat,
        system: "openai".to_owned(),
        base_url: "http://127.0.0.1:1".to_owned(),
        auth: Auth::None,
        http: HttpSettings::default(),
        wire: Wire::default(),
        models: BTreeMap::new(),
    };
    let second = Duration::from_secs(1);
    Target {
        id: TargetId::new(name),
        provider: Arc::new(provider),
        model: "m".to_owned(),
        delivery: Transport::Streamed,
        interval: second,
        in_flight_max: 2,
        timeouts: Timeouts { connect: second, first_token: second, idle: second, total: second },
        thresholds: Thresholds::default(),
        tokens_max: 8,
        prompt: None,
        check: Check::Any,
        page: None,
        connection: Connection::Warm,
        budget: Budget::Unlimited,
        classes: BTreeMap::new(),
    }
}

pub(super) fn outcome(target: &str, finished: i64, class: SloClass) -> Outcome {
    let error_type = if class == SloClass::Good { ErrorType::None } else { ErrorType::Connect };
    Outcome {
        target: TargetId::new(target),
        sequence: 0,
        due: at(finished),
        finished: at(finished),
        lateness: Duration::ZERO,
        error_type,
        class,
        detail: String::new(),
        broke: None,
        phases: Phases::default(),
        ttft: None,
        ttfo: None,
        time_per_output_token: None,
        gaps: Vec::new(),
        total: Duration::from_millis(1),
        status: None,
        usage: None,
        cost: None,
        anomalies: Vec::new(),
        rate_limits: RateLimits::default(),
        certificate_expires: None,
        request_id: None,
        is_cold: false,
        is_conclusive: true,
        is_planned: false,
    }
}

fn webhook() -> Webhook {
    Webhook {
        url: UrlSource::Plain("http://127.0.0.1:1/".to_owned()),
        send_resolved: true,
        alerts_max: 0,
        body: None,
        timeout: Duration::from_secs(5),
        signing_secrets: Vec::new(),
        http: HttpSettings::default(),
    }
}

pub(super) fn settings(rules: &[(&str, &str)]) -> Settings {
    let rules = rules.iter().map(|(name, text)| rules::parse(name, text).unwrap());
    Settings {
        targets: vec![Arc::new(target("candidate")), Arc::new(target("stable"))],
        calendar: Calendar::default(),
        rules: rules.collect(),
        evaluation_interval: Duration::from_secs(15),
        rule_query_offset: Duration::ZERO,
        external_labels: Labels::from_pairs([("region", "eu"), ("severity", "outer")]),
        external_url: "http://b".to_owned(),
        receivers: vec![Receiver {
            name: "all".to_owned(),
            integrations: vec![Integration::Webhook(webhook())],
        }],
        route: Some(Route {
            receiver: "all".to_owned(),
            matchers: Vec::new(),
            goes_on: false,
            group_by: Vec::new(),
            group_wait: Duration::from_secs(1),
            group_interval: Duration::from_secs(5),
            repeat_interval: Duration::from_secs(3600),
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
            routes: Vec::new(),
        }),
        alertmanagers: Vec::new(),
        heartbeats: Vec::new(),
        slos: Vec::new(),
        releases: Vec::new(),
        rollbacks: vec![Rollback {
            name: "r".to_owned(),
            matchers: vec![Matcher::parse("severity=rollback").unwrap()],
            candidate: vec![TargetId::new("candidate")],
            stable: vec![TargetId::new("stable")],
            does: Does::Call(Box::new(webhook())),
            cooldown: Duration::from_secs(1800),
            daily_max: 3,
            drill_interval: None,
            mode: Mode::Live,
            force: false,
        }],
        store: series::Settings {
            retention: Duration::from_secs(3600),
            size_max_bytes: 1 << 30,
            series_max: 1000,
        },
        series_room: None,
    }
}

pub(super) fn errors(target: &str, value: f64) -> (Labels, f64) {
    (Labels::from_pairs([(Labels::NAME, "errors"), ("target", target)]), value)
}

/// An engine and what it said, each line as `seconds: what`.
pub(super) struct Bench {
    pub engine: Engine,
    pub said: Vec<String>,
    pub deliveries: Vec<Delivery>,
    /// The steps of releases that went on record.
    pub ticks: Vec<Tick>,
    pub breaches: Vec<Timestamp>,
}

impl Bench {
    pub(super) fn new(settings: Settings) -> Self {
        let engine = Engine::new(settings, &[], at(0));
        Self {
            engine,
            said: Vec::new(),
            deliveries: Vec::new(),
            ticks: Vec::new(),
            breaches: Vec::new(),
        }
    }

    /// The standard bench, and the first slot of its group.
    pub(super) fn standard() -> (Self, i64) {
        let bench = Self::new(settings(&[("rules.yml", RULES)]));
        let slot = bench.engine.next_due().unwrap().millis();
        (bench, slot)
    }

    pub(super) fn handle(&mut self, event: Event, now: i64) {
        for action in self.engine.handle(event, at(now)) {
            let line = match action {
                Action::Record(decision) => format!("record {}", decision.verdict.as_str()),
                Action::Deliver(delivery) | Action::Enqueue(delivery) => {
                    let line = format!("deliver to {}", delivery.hook);
                    self.deliveries.push(delivery);
                    line
                }
                Action::Note(tick) => {
                    self.ticks.push(Tick::clone(&tick));
                    continue;
                }
                Action::Split(split) => format!("{} has {} %", split.route, split.share),
                Action::Ask(question) => format!("ask {}", question.exprs.join(", ")),
                Action::Shift(shift) => format!("ask for {} %", shift.share),
                Action::Tell(Happening::Released { state, why, .. }) => format!("{state}: {why}"),
                Action::Tell(Happening::Decided { breach, .. }) => {
                    self.breaches.push(breach);
                    continue;
                }
                Action::Tell(Happening::Transition(transition)) => format!(
                    "{} {} -> {}",
                    transition.alert.labels.get("target").unwrap_or_default(),
                    transition.from.as_str(),
                    transition.to.as_str()
                ),
                Action::Tell(Happening::Noticed { reason, .. }) => format!("notice: {reason}"),
                Action::Tell(Happening::RuleFailed { group, rule, .. }) => {
                    format!("{group} {rule} failed")
                }
                Action::Tell(
                    Happening::Finished(_)
                    | Happening::Health(_)
                    | Happening::TemplatesFailed { .. }
                    | Happening::Muted(_)
                    | Happening::Unheard(_)
                    | Happening::Refused { .. }
                    | Happening::PlanEnded(_)
                    | Happening::Delivered { .. },
                ) => continue,
            };
            self.said.push(line);
        }
    }

    pub(super) fn sample(&mut self, now: i64, samples: &[(&str, f64)]) {
        self.handle(Event::Sampled(live(samples)), now);
    }

    pub(super) fn look_early(&mut self, now: i64, samples: &[(&str, f64)]) {
        self.handle(Event::Live(live(samples)), now);
    }

    pub(super) fn finish(&mut self, target: &str, now: i64, class: SloClass) {
        self.handle(Event::Finished(Box::new(outcome(target, now, class))), now);
    }

    pub(super) fn health(&mut self, is_green: bool, is_vantage_suspect: bool) {
        let health = Health { is_green, is_vantage_suspect, ..Health::green(at(0)) };
        self.handle(Event::Health(health), 0);
    }

    /// Evaluates whatever is due.
    pub(super) fn evaluate(&mut self, now: i64) {
        for position in self.engine.due(at(now)) {
            self.handle(Event::Evaluate(position), now);
        }
    }

    /// What was said since the last call.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    /// The alerts of every group: `target state since fired_at`.
    pub(super) fn alerts(&self) -> Vec<String> {
        let snapshot = self.engine.snapshot(at(0));
        let rules = snapshot.groups.iter().flat_map(|group| &group.rules);
        rules
            .flat_map(|rule| &rule.alerts)
            .map(|alert| {
                let target = alert.labels.get("target").unwrap_or_default();
                let fired = alert.fired_at.map(Timestamp::millis);
                format!("{target} {} {fired:?}", alert.state.as_str())
            })
            .collect()
    }

    /// The samples of a metric, as `target value@time`; an end is `end`.
    pub(super) fn content(&self, metric: &str) -> Vec<String> {
        let matcher = Matcher::parse(&format!("{}={metric}", Labels::NAME)).unwrap();
        let mut lines = Vec::new();
        self.engine.store().select(
            &[matcher],
            Timestamp::MIN,
            Timestamp::MAX,
            &mut |l, samples| {
                let mut line = l.get("target").unwrap_or_default().to_owned();
                for sample in samples {
                    let value = match crate::model::is_stale(sample.value) {
                        true => "end".to_owned(),
                        false => sample.value.to_string(),
                    };
                    line += &format!(" {value}@{}", sample.at.millis());
                }
                lines.push(line);
            },
        );
        lines.sort();
        lines
    }
}

fn live(samples: &[(&str, f64)]) -> Vec<(Labels, f64)> {
    samples.iter().map(|(target, value)| errors(target, *value)).collect()
}
