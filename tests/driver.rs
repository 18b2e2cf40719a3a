//! The loop on paused time, with real instruments, a real engine and the other ends of its channels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use bellwether::clock::Clock;
use bellwether::driver::{Batch, Cadence, Driver, Feeds, Hands, Reload};
use bellwether::engine::{self, Engine, Happening, Snapshot};
use bellwether::model::{
    HttpSettings, Labels, Matcher, ProviderId, TargetId, Timestamp, UrlSource,
};
use bellwether::notice::{Delivery, Webhook};
use bellwether::probe::{
    Budget, Check, Connection, Delivery as Transport, Health, Outcome, Phases, Target, Thresholds,
    Timeouts,
};
use bellwether::provider::{Auth, Dialect, ErrorType, Provider, RateLimits, SloClass, Wire};
use bellwether::release::machine::{Notice, State, Urgency};
use bellwether::release::{Does, Mode, Rollback};
use bellwether::series::{self, Store};
use bellwether::telemetry::{RELEASE_NOTICES, RELEASE_STATES, Sampler, Telemetry};

const RULES: &str = "
groups:
- name: g
  interval: 15s
  rules:
  - alert: Broken
    expr: bellwether_probe_runs_total{slo=\"bad\"} > 0
    labels: {severity: rollback}
";
const SECOND: Duration = Duration::from_secs(1);

type Recorded = mpsc::Receiver<(Batch, oneshot::Sender<bool>)>;

/// A running driver and the other ends of its channels.
struct House {
    driver: Driver,
    telemetry: Telemetry,
    clock: Clock,
    outcomes: mpsc::Sender<Outcome>,
    health: watch::Sender<Health>,
    delivered: mpsc::Sender<Happening>,
    samples: mpsc::Sender<oneshot::Sender<Arc<Store>>>,
    reloads: mpsc::Sender<Reload>,
    recorded: Recorded,
    sent: mpsc::Receiver<Delivery>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    happenings: broadcast::Receiver<Happening>,
}

fn target() -> Target {
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
    Target {
        id: TargetId::new("candidate"),
        provider: Arc::new(provider),
        model: "m".to_owned(),
        delivery: Transport::Streamed,
        interval: SECOND,
        in_flight_max: 2,
        timeouts: Timeouts { connect: SECOND, first_token: SECOND, idle: SECOND, total: SECOND },
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

fn outcome(now: Timestamp, error_type: ErrorType) -> Outcome {
    Outcome {
        target: TargetId::new("candidate"),
        sequence: 0,
        due: now,
        finished: now,
        lateness: Duration::ZERO,
        error_type,
        class: error_type.class(),
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

fn settings() -> engine::Settings {
    let webhook = Webhook {
        url: UrlSource::Plain("http://127.0.0.1:1/".to_owned()),
        send_resolved: true,
        alerts_max: 0,
        body: None,
        timeout: SECOND,
        signing_secrets: Vec::new(),
        http: HttpSettings::default(),
    };
    engine::Settings {
        calendar: Default::default(),
        targets: vec![Arc::new(target())],
        rules: vec![
            bellwether::rules::parse("rules.yml", RULES).expect("the rules are well formed"),
        ],
        evaluation_interval: 15 * SECOND,
        rule_query_offset: Duration::ZERO,
        external_labels: Labels::empty(),
        external_url: "http://b".to_owned(),
        receivers: Vec::new(),
        route: None,
        alertmanagers: Vec::new(),
        heartbeats: Vec::new(),
        slos: Vec::new(),
        releases: Vec::new(),
        rollbacks: vec![Rollback {
            name: "r".to_owned(),
            matchers: vec![Matcher::parse("severity=rollback").expect("a matcher")],
            candidate: vec![TargetId::new("candidate")],
            stable: vec![TargetId::new("stable")],
            does: Does::Call(Box::new(webhook)),
            cooldown: 1800 * SECOND,
            daily_max: 3,
            drill_interval: None,
            mode: Mode::Live,
            force: false,
        }],
        store: series::Settings {
            retention: 3600 * SECOND,
            size_max_bytes: 1 << 30,
            series_max: 10_000,
        },
        series_room: None,
    }
}

fn reload(settings: engine::Settings, scrape: Duration, instance: &str) -> Reload {
    let cadence = Cadence { scrape, rollback: SECOND, beside: 3600 * SECOND };
    Reload { settings, cadence, sampler: Sampler::new("bellwether", instance) }
}

impl House {
    fn start() -> Self {
        let clock = Clock::start();
        let telemetry = Telemetry::new();
        telemetry.configure(&[target()]);
        telemetry.configure_actions(&[], &["r".to_owned()], &["rules.yml;g".to_owned()]);
        let Reload { settings, cadence, sampler } = reload(settings(), 15 * SECOND, "i");
        let engine = Engine::new(settings, &[], clock.now());
        let (outcomes, finished) = mpsc::channel(4096);
        let (health, examined) = watch::channel(Health::green(clock.now()));
        let (delivered, ended) = mpsc::channel(16);
        let (samples, asked) = mpsc::channel(16);
        let (reloads, renewed) = mpsc::channel(1);
        let (records, recorded) = mpsc::channel(64);
        let (sending, sent) = mpsc::channel(64);
        let (shown, snapshot) = watch::channel(Arc::new(Snapshot::empty(clock.now())));
        let (told, happenings) = broadcast::channel(64);
        let feeds = Feeds {
            outcomes: finished,
            served: mpsc::channel(1).1,
            health: examined,
            delivered: ended,
            posts: mpsc::channel(1).1,
            orders: mpsc::channel(1).1,
            answers: mpsc::channel(1).1,
            samples: asked,
            reloads: renewed,
        };
        let hands = Hands {
            records,
            send: Box::new(move |delivery| {
                sending.try_send(delivery).expect("the test reads what is sent")
            }),
            shift: Box::new(|_| panic!("no share is to be set")),
            questions: mpsc::channel(1).0,
            splits: watch::channel(Default::default()).0,
            attentions: watch::channel(Default::default()).0,
            // Nobody archives here: what is handed over is counted as lost.
            written: mpsc::channel(1).0,
            snapshot: shown,
            happenings: told,
            telemetry: telemetry.clone(),
        };
        let driver = Driver::spawn(engine, cadence, sampler, feeds, hands, clock);
        Self {
            driver,
            telemetry,
            clock,
            outcomes,
            health,
            delivered,
            samples,
            reloads,
            recorded,
            sent,
            snapshot,
            happenings,
        }
    }

    /// A probe ends: it is counted, then told, as the prober does it.
    fn finish(&self, error_type: ErrorType) {
        let outcome = outcome(self.clock.now(), error_type);
        self.telemetry.probe_finished(&target(), &outcome);
        self.outcomes.try_send(outcome).expect("there is room");
    }

    async fn store(&self) -> Arc<Store> {
        let (answer, answered) = oneshot::channel();
        self.samples.send(answer).await.expect("the driver runs");
        answered.await.expect("the driver answers")
    }

    /// How many times a metric was sampled, over all of its series with a label.
    async fn samples_of(&self, metric: &str, label: (&str, &str)) -> usize {
        use bellwether::series::Source as _;
        let matchers = [
            Matcher::parse(&format!("{}={metric}", Labels::NAME)).expect("a matcher"),
            Matcher::parse(&format!("{}={}", label.0, label.1)).expect("a matcher"),
        ];
        let mut count = 0;
        self.store().await.select(&matchers, Timestamp::MIN, Timestamp::MAX, &mut |_, samples| {
            count += samples.len()
        });
        count
    }

    /// Writes decisions down as a journal that works.
    fn keep_journal(&mut self) {
        let (_, nothing) = mpsc::channel(1);
        let mut recorded = std::mem::replace(&mut self.recorded, nothing);
        tokio::spawn(async move {
            while let Some((_, answer)) = recorded.recv().await {
                let _is_awaited = answer.send(true).is_ok();
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_result_rolls_back_at_once_and_not_at_the_next_interval() {
    let mut house = House::start();
    house.keep_journal();
    sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    house.finish(ErrorType::TruncatedStream);
    let delivery = house.sent.recv().await.unwrap();
    assert_eq!(delivery.hook.as_str(), "rollback/r");
    assert!(start.elapsed() <= Duration::from_millis(50), "{:?}", start.elapsed());
    house.driver.stop(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_on_record_before_it_is_sent() {
    let mut house = House::start();
    sleep(Duration::from_millis(200)).await;
    house.finish(ErrorType::TruncatedStream);
    let (batch, answer) = house.recorded.recv().await.unwrap();
    assert_eq!((batch.decisions.len(), batch.decisions[0].rollback.as_str()), (1, "r"));
    // The alert that it was decided for goes on record with it: without that, a process that dies
    // now would find another incident after its restart, and decide again.
    let incident = &batch.decisions[0].incident;
    let rows = batch.rows.iter().filter_map(|row| row.value.as_deref());
    assert_eq!(rows.filter(|row| row.contains(incident.as_str())).count(), 1);
    sleep(Duration::from_millis(100)).await;
    assert!(house.sent.try_recv().is_err(), "not before the journal answered");
    answer.send(true).unwrap();
    let start = Instant::now();
    assert!(house.sent.recv().await.is_some());
    assert!(start.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_hangs_delays_a_rollback_by_half_a_second() {
    let mut house = House::start();
    sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    house.finish(ErrorType::TruncatedStream);
    assert!(house.sent.recv().await.is_some());
    let took = start.elapsed();
    assert!((500..=550).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_is_gone_delays_nothing() {
    let mut house = House::start();
    house.recorded.close();
    sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    house.finish(ErrorType::TruncatedStream);
    assert!(house.sent.recv().await.is_some());
    assert!(start.elapsed() <= Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn health_that_turned_bad_before_a_result_came_holds_the_rollback() {
    let mut house = House::start();
    house.keep_journal();
    sleep(Duration::from_millis(200)).await;
    let suspect = Health { is_vantage_suspect: true, ..Health::green(house.clock.now()) };
    house.health.send_replace(suspect);
    house.finish(ErrorType::Connect);
    assert!(timeout(500 * Duration::from_millis(1), house.sent.recv()).await.is_err());
    house.health.send_replace(Health::green(house.clock.now()));
    // Asked again at an interval evaluation, one of which comes within 15 s; a second one where the
    // first came before the samples.
    assert!(timeout(31 * SECOND, house.sent.recv()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_last_results_are_looked_at_before_the_end() {
    let mut house = House::start();
    house.keep_journal();
    sleep(Duration::from_millis(200)).await;
    for _ in 0..100 {
        house.finish(ErrorType::TruncatedStream);
    }
    house.driver.stop(SECOND).await;
    assert!(house.sent.recv().await.is_some());
    let snapshot = Arc::clone(&house.snapshot.borrow());
    assert_eq!(snapshot.targets[0].recent.len(), engine::RECENT_MAX);
    assert_eq!(snapshot.decisions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_left_to_talk_to_does_not_make_it_spin() {
    let mut house = House::start();
    sleep(Duration::from_millis(200)).await;
    let (_, nobody) = mpsc::channel(1);
    let (outcomes, _) = mpsc::channel(1);
    let (health, _) = watch::channel(Health::green(house.clock.now()));
    let (delivered, _) = mpsc::channel(1);
    let (reloads, _) = mpsc::channel(1);
    house.outcomes = outcomes;
    house.health = health;
    house.delivered = delivered;
    house.reloads = reloads;
    house.recorded = nobody;
    // Time that is paused passes only while nobody is busy.
    let mut published = 0;
    let until = Instant::now() + 10 * SECOND;
    while timeout(until - Instant::now(), house.snapshot.changed()).await.is_ok() {
        published += 1;
    }
    // One a second, and one more for each of the group's slots.
    assert!((10..=12).contains(&published), "{published}");
    house.driver.stop(SECOND).await;
}

#[tokio::test]
async fn a_flood_of_results_keeps_neither_time_nor_questions_nor_the_end_waiting() {
    let mut house = House::start();
    house.keep_journal();
    let (outcomes, clock) = (house.outcomes.clone(), house.clock);
    let flood = tokio::spawn(async move {
        while outcomes.send(outcome(clock.now(), ErrorType::None)).await.is_ok() {}
    });
    for _ in 0..3 {
        timeout(5 * SECOND, house.store()).await.expect("a question is answered");
        timeout(5 * SECOND, house.snapshot.changed()).await.expect("time is kept").unwrap();
    }
    let happening = timeout(5 * SECOND, house.happenings.recv()).await;
    assert!(happening.is_ok(), "whoever watches hears of it");
    let stopping = Instant::now();
    house.driver.stop(5 * SECOND).await;
    assert!(stopping.elapsed() < 4 * SECOND, "{:?}", stopping.elapsed());
    timeout(5 * SECOND, flood).await.expect("nobody takes outcomes any more").unwrap();
}

#[tokio::test(start_paused = true)]
async fn everything_is_sampled_at_its_cadence_and_what_rollbacks_select_in_between() {
    let house = House::start();
    // Scraped at 0, 15 and 30 s; sampled each second, which the scrapes are part of.
    sleep(Duration::from_millis(30_500)).await;
    assert_eq!(house.samples_of("up", ("job", "bellwether")).await, 3);
    let label = ("error_type", "dns");
    assert_eq!(house.samples_of("bellwether_probe_runs_total", label).await, 31);
}

#[tokio::test(start_paused = true)]
async fn a_reload_takes_up_cadence_and_labels_and_samples_at_once() {
    let house = House::start();
    sleep(Duration::from_millis(500)).await;
    house.reloads.send(reload(settings(), 5 * SECOND, "other")).await.unwrap();
    // At 0.5, 5.5 and 10.5 s.
    sleep(Duration::from_millis(10_250)).await;
    assert_eq!(house.samples_of("up", ("instance", "other")).await, 3);
    // The former instance's series ended with the reload: one value and its end.
    assert_eq!(house.samples_of("up", ("instance", "i")).await, 2);
}

#[tokio::test(start_paused = true)]
async fn rules_that_fail_are_counted() {
    rules_that_fail(3600 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn rules_that_fail_beside_the_loop_are_counted_too() {
    rules_that_fail(Duration::ZERO).await;
}

async fn rules_that_fail(beside: Duration) {
    let house = House::start();
    let failing =
        format!("{RULES}  - record: x\n    expr: up * on () bellwether_probe_runs_total\n");
    let mut broken = settings();
    broken.rules = vec![bellwether::rules::parse("rules.yml", &failing).expect("well formed")];
    let mut broken = reload(broken, SECOND, "i");
    broken.cadence.beside = beside;
    house.reloads.send(broken).await.expect("the driver runs");
    sleep(46 * SECOND).await;
    let text = house.telemetry.exposition();
    let line = |metric: &str| {
        let start = format!("{metric}{{rule_group=\"rules.yml;g\"}} ");
        let found = text.lines().find_map(|line| line.strip_prefix(&start));
        found.map(str::to_owned)
    };
    // Three slots within 45 s, and a fourth where one is at the very start.
    let failures = line("bellwether_rule_evaluation_failures_total").expect("a count");
    assert!(["3", "4"].contains(&failures.as_str()), "{failures}");
    assert_eq!(line("bellwether_rule_evaluations_total").expect("a count"), failures);
    assert_eq!(line("bellwether_rule_group_iterations_missed_total").expect("a count"), "0");
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_delivery_is_passed_on() {
    let mut house = House::start();
    let happening = Happening::Delivered {
        hook: "rollback/r".to_owned(),
        id: "x".to_owned(),
        at: house.clock.now(),
        failure: None,
    };
    house.delivered.send(happening).await.unwrap();
    let heard = timeout(SECOND, house.happenings.recv()).await.unwrap().unwrap();
    assert!(matches!(heard, Happening::Delivered { id, .. } if id == "x"));
    assert_eq!(ErrorType::TruncatedStream.class(), SloClass::Bad);
}

// Instruments and machine may not know each other, and have to say the same.
#[test]
fn instruments_have_the_words_of_the_machine() {
    assert_eq!(RELEASE_STATES, State::WORDS);
    let wanting = Notice::ALL.into_iter().filter(|notice| notice.urgency() != Urgency::Info);
    assert_eq!(RELEASE_NOTICES.to_vec(), wanting.map(Notice::as_str).collect::<Vec<_>>());
}
