//! Cadence, accounts, reload and stop.

use tokio::sync::{mpsc, watch};

use super::*;
use crate::model::Timestamp;
use crate::probe::{Attention, Attentions, Fund, Health, Tally, planned_windows};
use crate::prober::{Ends, Prober, Purses};
use crate::provider::{ErrorType, LimitKind, SloClass};
use crate::simulator::Phase;
use crate::telemetry::Telemetry;
use crate::threads::Thread;

struct Bench {
    prober: Prober,
    outcomes: mpsc::Receiver<Outcome>,
    health: watch::Receiver<Health>,
    attentions: watch::Sender<Arc<Attentions>>,
}

fn bench(targets: Vec<Target>, capacity: usize) -> Bench {
    let clock = Clock::start();
    let (sender, outcomes) = mpsc::channel(capacity);
    let (health_sender, health) = watch::channel(Health::green(clock.now()));
    let (telemetry, purses) = (Telemetry::default(), Purses::default());
    let (attentions, watched) = watch::channel(Arc::default());
    let thread = Thread::callers();
    let ends = Ends { outcomes: sender, health: health_sender, attentions: watched };
    let prober = Prober::spawn(thread, shared(targets), purses, clock, telemetry, ends);
    Bench { prober, outcomes, health, attentions }
}

fn shared(targets: Vec<Target>) -> Vec<Arc<Target>> {
    targets.into_iter().map(Arc::new).collect()
}

impl Bench {
    fn reload(&self, targets: Vec<Target>) {
        self.prober.reload(shared(targets));
    }

    fn tally(&self, name: &str) -> Tally {
        self.prober.tallies().get(&TargetId::new(name)).copied().unwrap_or_default()
    }

    async fn next(&mut self) -> Outcome {
        let next = tokio::time::timeout(10_000 * MS, self.outcomes.recv()).await;
        next.expect("an outcome within ten seconds").unwrap()
    }

    /// Everything that has come, and comes while time passes.
    async fn gather(&mut self, time: Duration) -> Vec<Outcome> {
        let by = tokio::time::Instant::now() + time;
        let mut gathered = Vec::new();
        while let Ok(Some(outcome)) = tokio::time::timeout_at(by, self.outcomes.recv()).await {
            gathered.push(outcome);
        }
        gathered
    }

    async fn until(&self, name: &str, is_reached: impl Fn(Tally) -> bool) -> Tally {
        until(|| is_reached(self.tally(name))).await;
        self.tally(name)
    }

    async fn stop(mut self) -> Vec<Outcome> {
        self.prober.stop(5000 * MS).await;
        let mut rest = Vec::new();
        while let Some(outcome) = self.outcomes.recv().await {
            rest.push(outcome);
        }
        rest
    }
}

/// Waits for a level.
async fn until(is_reached: impl Fn() -> bool) {
    for _ in 0..2000 {
        if is_reached() {
            return;
        }
        tokio::time::sleep(5 * MS).await;
    }
    panic!("not within ten seconds");
}

/// A target that fails at once and without any socket, so that paused time runs on its own.
fn unaskable(name: &str, interval: Duration) -> Target {
    Target { id: TargetId::new(name), interval, ..target("no url") }
}

fn assert_exact(tally: Tally) {
    let accounted = tally.fired + tally.in_flight + tally.budget_skipped + tally.missed;
    assert_eq!(accounted, tally.due, "{tally:?}");
}

#[tokio::test(start_paused = true)]
async fn each_interval_fires_exactly_one_probe() {
    let targets =
        vec![unaskable("a", 1000 * MS), unaskable("b", 700 * MS), unaskable("c", 35_000 * MS)];
    let mut bench = bench(targets, 64);
    let outcomes = bench.gather(70_000 * MS).await;
    // 70 s hold 70, 100 and 2 of these intervals, wherever in the interval a target starts.
    for (name, due) in [("a", 70), ("b", 100), ("c", 2)] {
        let tally = bench.tally(name);
        assert_eq!(tally, Tally { due, fired: due, ..Tally::default() }, "{name}");
        let own = outcomes.iter().filter(|outcome| outcome.target.as_str() == name);
        let sequences: Vec<_> = own.clone().map(|outcome| outcome.sequence).collect();
        assert_eq!(sequences, (0..due).collect::<Vec<_>>(), "{name}");
        assert!(own.clone().all(|outcome| outcome.lateness <= 2 * MS));
        assert!(own.skip(1).all(|outcome| !outcome.is_cold));
    }
    assert!(bench.stop().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn due_times_that_pass_in_a_stall_are_missed_and_counted() {
    let mut bench = bench(vec![unaskable("a", 1000 * MS)], 64);
    bench.gather(10_000 * MS).await;
    let before = bench.tally("a");
    assert_eq!(before.due, 10);
    // The whole process sleeps for 20 s at once.
    tokio::time::advance(20_000 * MS).await;
    bench.gather(10_000 * MS).await;
    let after = bench.tally("a");
    assert_exact(after);
    assert_eq!(after.due, 40);
    // Of the 20 that passed at once, the newest may have been fired late.
    assert!((19..=20).contains(&after.missed), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stuck_receiver_stops_no_cadence() {
    let bench = bench(vec![unaskable("a", 1000 * MS)], 1);
    tokio::time::sleep(100_000 * MS).await;
    // One outcome fits into the channel, two probes wait to hand theirs over.
    let tally = Tally { due: 100, fired: 3, in_flight: 97, ..Tally::default() };
    assert_eq!(bench.tally("a"), tally);
}

#[tokio::test]
async fn a_probe_beyond_the_limit_is_skipped_and_a_stop_cancels() {
    let simulator = simulator(failing(Fault::NoHeaders)).await;
    let target = Target { interval: 20 * MS, ..target(&simulator.base_url()) };
    let bench = bench(vec![target], 64);
    let tally = bench.until("t", |tally| tally.in_flight >= 5).await;
    assert_eq!(tally.fired, 2);
    assert_exact(tally);
    let rest = bench.stop().await;
    assert_eq!(rest.len(), 2);
    for outcome in rest {
        assert_eq!(outcome.error_type, ErrorType::Cancelled);
        assert_eq!(outcome.class, SloClass::Excluded);
    }
    simulator.stop().await;
}

#[tokio::test]
async fn a_spent_budget_skips_and_is_never_overdrawn() {
    let simulator = simulator(Behavior::default()).await;
    let limit = Money::from_nanos(250_000);
    let budget = Budget::Limited { daily: Some(limit), monthly: None };
    let target = Target { interval: 20 * MS, budget, ..target(&simulator.base_url()) };
    let mut bench = bench(vec![target], 1024);
    let tally = bench.until("t", |tally| tally.budget_skipped >= 3).await;
    assert_exact(tally);
    assert!(tally.fired > 0);
    let mut spent = Money::ZERO;
    while let Ok(outcome) = bench.outcomes.try_recv() {
        assert_eq!(outcome.error_type, ErrorType::None, "{outcome:?}");
        spent += outcome.cost.unwrap();
    }
    assert!(spent > Money::ZERO && spent <= limit, "{spent}");
    // A reload with other settings does not give the money back.
    let changed = Target { interval: 19 * MS, budget, ..super::target(&simulator.base_url()) };
    bench.reload(vec![changed]);
    bench.until("t", |now| now.budget_skipped >= tally.budget_skipped + 3).await;
    assert_eq!(bench.tally("t").fired, tally.fired);
    simulator.stop().await;
}

fn attention(target: &str, interval: Duration, fund: Option<Fund>) -> Attentions {
    Attentions::from([(TargetId::new(target), Attention { interval, fund })])
}

#[tokio::test(start_paused = true)]
async fn a_release_makes_its_targets_due_more_often_and_no_due_time_is_lost() {
    let slow = unaskable("a", 60_000 * MS);
    let mut bench = bench(vec![slow, unaskable("b", 60_000 * MS)], 1024);
    bench.gather(600_000 * MS).await;
    assert_eq!([bench.tally("a").due, bench.tally("b").due], [10, 10]);
    bench.attentions.send_replace(Arc::new(attention("a", 15_000 * MS, None)));
    bench.gather(600_000 * MS).await;
    // Forty in ten minutes; ten of the other.
    assert_eq!([bench.tally("a").due, bench.tally("b").due], [50, 20]);
    bench.attentions.send_replace(Arc::default());
    bench.gather(600_000 * MS).await;
    let tally = bench.tally("a");
    assert_eq!([tally.due, bench.tally("b").due], [60, 30]);
    assert_exact(tally);
    assert_eq!(tally.missed, 0);
    // A target that is asked more often by itself stays so.
    bench.attentions.send_replace(Arc::new(attention("a", 120_000 * MS, None)));
    bench.gather(600_000 * MS).await;
    assert_eq!(bench.tally("a").due, 70);
}

#[tokio::test]
async fn a_release_pays_for_its_probes_first_and_their_targets_after_it() {
    let simulator = simulator(Behavior::default()).await;
    let budget = Budget::Limited { daily: Some(Money::from_nanos(250_000)), monthly: None };
    let target = Target { interval: 10 * MS, budget, ..target(&simulator.base_url()) };
    let mut bench = bench(vec![target], 1024);
    let own = bench.until("t", |tally| tally.budget_skipped >= 3).await;
    let fund = Fund { release: "r".to_owned(), daily: Money::from_nanos(500_000) };
    bench.attentions.send_replace(Arc::new(attention("t", 10 * MS, Some(fund))));
    let both = bench.until("t", |tally| tally.budget_skipped >= own.budget_skipped + 3).await;
    assert!(both.fired > own.fired, "the release pays where the target cannot any more");
    let mut spent = Money::ZERO;
    while let Ok(outcome) = bench.outcomes.try_recv() {
        spent += outcome.cost.unwrap();
    }
    assert!(spent <= Money::from_nanos(750_000), "{spent}");
    simulator.stop().await;
}

#[tokio::test]
async fn what_a_release_sets_aside_of_the_houses_day_is_given_to_nobody_else() {
    let simulator = simulator(Behavior::default()).await;
    let asked = |name| {
        let id = TargetId::new(name);
        Target { id, interval: 10 * MS, ..target(&simulator.base_url()) }
    };
    let mut bench = bench(vec![asked("other")], 1024);
    let house = Money::from_nanos(500_000);
    bench.prober.limit(Budget::Limited { daily: Some(house), monthly: None });
    let fund = Fund { release: "r".to_owned(), daily: Money::from_nanos(300_000) };
    bench.attentions.send_replace(Arc::new(attention("t", 10 * MS, Some(fund))));
    let other = bench.until("other", |tally| tally.budget_skipped >= 3).await;
    bench.reload(vec![asked("other"), asked("t")]);
    let its = bench.until("t", |tally| tally.budget_skipped >= 3).await;
    assert!(its.fired > 0, "{other:?} {its:?}");
    let mut spent = [Money::ZERO; 2];
    while let Ok(outcome) = bench.outcomes.try_recv() {
        spent[usize::from(outcome.target.as_str() == "t")] += outcome.cost.unwrap();
    }
    assert!(spent[0] <= Money::from_nanos(200_000), "{spent:?}");
    assert!(spent[0] + spent[1] <= house, "{spent:?}");
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_touches_only_what_changed() {
    let interval = 1000 * MS;
    let [kept, changed, gone, fresh] =
        ["kept", "changed", "gone", "fresh"].map(|name| unaskable(name, interval));
    let mut bench = bench(vec![kept.clone(), changed.clone(), gone], 64);
    let mut outcomes = bench.gather(5_000 * MS).await;
    let changed = Target { tokens_max: 33, ..changed };
    bench.reload(vec![kept, changed, fresh]);
    outcomes.extend(bench.gather(5_000 * MS).await);
    let dues = |name: &str| -> Vec<(u64, Timestamp, bool)> {
        let own = outcomes.iter().filter(|outcome| outcome.target.as_str() == name);
        own.map(|outcome| (outcome.sequence, outcome.due, outcome.is_cold)).collect()
    };
    for (name, due) in [("kept", 10), ("changed", 10), ("gone", 5), ("fresh", 5)] {
        let dues = dues(name);
        let tally = bench.tally(name);
        assert_eq!(tally, Tally { due, fired: due, ..Tally::default() }, "{name}");
        assert_eq!(dues.len() as u64, due, "{name}");
        for (earlier, later) in dues.iter().zip(&dues[1..]) {
            assert_eq!(later.0, earlier.0 + 1, "{name}");
            let apart = later.1.since(earlier.1);
            assert!(apart >= 999 * MS && apart <= 1001 * MS, "{name} {apart:?}");
        }
    }
    let cold = |name| dues(name).iter().filter(|(_, _, is_cold)| *is_cold).count();
    assert_eq!([cold("kept"), cold("changed"), cold("gone"), cold("fresh")], [1, 2, 1, 1]);
}

#[tokio::test]
async fn a_reload_leaves_probes_and_connections_of_equal_targets_alone() {
    let simulator = simulator(Behavior::default()).await;
    // One at a time: two that overlap on a busy machine need two connections.
    let in_flight_max = 1;
    let target = Target { interval: 20 * MS, in_flight_max, ..target(&simulator.base_url()) };
    let mut bench = bench(vec![target.clone()], 64);
    let first = bench.next().await;
    assert!(first.phases.connect.is_some(), "{first:?}");
    bench.reload(vec![target.clone()]);
    for _ in 0..3 {
        let later = bench.next().await;
        assert_eq!(later.phases.connect, None, "{later:?}");
        assert!(!later.is_cold);
    }
    simulator.set(Script::always(failing(Fault::NoHeaders)));
    until(|| simulator.stats().by_fault.contains_key("no_headers")).await;
    // What was answered before is still in the channel.
    while bench.outcomes.try_recv().is_ok() {}
    bench.reload(vec![target]);
    assert_eq!(bench.gather(50 * MS).await, []);
    // Gone with the next reload: now they are cancelled.
    bench.reload(Vec::new());
    assert_eq!(bench.next().await.error_type, ErrorType::Cancelled);
    simulator.stop().await;
}

#[tokio::test]
async fn a_new_connection_is_made_for_each_probe_where_that_is_wanted() {
    let simulator = simulator(Behavior::default()).await;
    let base_url = simulator.base_url().replace("127.0.0.1", "localhost");
    let connection = Connection::New;
    let target = Target { interval: 20 * MS, connection, ..target(&base_url) };
    let mut bench = bench(vec![target], 64);
    for _ in 0..4 {
        let outcome = bench.next().await;
        assert_eq!(outcome.error_type, ErrorType::None, "{outcome:?}");
        assert!(outcome.phases.dns.is_some() && outcome.phases.connect.is_some(), "{outcome:?}");
    }
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stall_turns_the_canary_red_until_calm_returns() {
    let mut bench = bench(vec![unaskable("a", 1000 * MS)], 1024);
    let calm = bench.gather(3_000 * MS).await;
    assert!(calm.iter().all(|outcome| outcome.is_conclusive), "{calm:?}");
    tokio::time::advance(2_000 * MS).await;
    bench.health.wait_for(|health| !health.is_green).await.unwrap();
    let red = bench.gather(4_000 * MS).await;
    assert!(red.iter().all(|outcome| !outcome.is_conclusive), "{red:?}");
    bench.health.wait_for(|health| health.is_green).await.unwrap();
    // What was fired in the last of the red.
    while bench.outcomes.try_recv().is_ok() {}
    let calm = bench.gather(3_000 * MS).await;
    assert!(calm.iter().all(|outcome| outcome.is_conclusive), "{calm:?}");
}

// All of 127.0.0.0/8 is this machine, so three hosts can be had without a network.
#[tokio::test]
async fn three_hosts_that_are_gone_together_are_excused() {
    let target = |name: &str, host: &str| Target {
        id: TargetId::new(name),
        interval: 50 * MS,
        ..target(&format!("http://{host}:1"))
    };
    let two = vec![target("a", "127.0.0.1"), target("b", "127.0.0.2")];
    let mut bench = bench(two.clone(), 1024);
    for outcome in bench.gather(200 * MS).await {
        assert_eq!(outcome.error_type, ErrorType::Connect);
        assert_eq!(outcome.class, SloClass::Bad);
    }
    assert!(!bench.health.borrow().is_vantage_suspect);
    bench.reload([two, vec![target("c", "127.0.0.3")]].concat());
    bench.health.wait_for(|health| health.is_vantage_suspect).await.unwrap();
    bench.until("c", |tally| tally.fired > 2).await;
    let outcomes = bench.stop().await;
    assert_eq!(outcomes.last().unwrap().class, SloClass::Excluded);
}

#[tokio::test]
async fn what_comes_of_planned_maintenance_is_no_evidence_and_no_target_begins_anew_for_it() {
    let simulator = simulator(failing(Fault::Http { status: 500, retry_after: None })).await;
    let target = Target { interval: 100 * MS, ..target(&simulator.base_url()) };
    let mut bench = bench(vec![target], 100);
    let before = bench.next().await;
    assert_eq!((before.class, before.is_planned), (SloClass::Bad, false));
    let now = before.finished.millis();
    bench.prober.plan(planned_windows("p", &[(now - 3_600_000, now + 3_600_000)]));
    let mut next = bench.next().await;
    while !next.is_planned {
        next = bench.next().await;
    }
    assert_eq!((next.class, next.error_type), (SloClass::Excluded, ErrorType::ServerError));
    assert!(!next.is_cold, "the same rounds go on");
    bench.prober.plan(planned_windows("p", &[(now - 3_600_000, now - 1)]));
    while next.is_planned {
        next = bench.next().await;
    }
    assert_eq!(next.class, SloClass::Bad);
    bench.stop().await;
}

#[tokio::test]
async fn a_limited_target_is_probed_less_and_recovers() {
    let limited = failing(Fault::Http { status: 429, retry_after: Some(2000 * MS) });
    let script = Script {
        phases: vec![
            Phase { after: Duration::ZERO, behavior: limited },
            Phase { after: 1000 * MS, behavior: Behavior::default() },
        ],
        ..Script::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = Simulator::spawn(listener, script, 7).await;
    let target = Target { interval: 20 * MS, ..target(&simulator.base_url()) };
    let mut bench = bench(vec![target], 4096);
    let first = bench.next().await;
    assert_eq!(first.error_type, ErrorType::RateLimited);
    assert_eq!(first.rate_limits.refused_by, Some(LimitKind::Rate));
    let tally = bench.until("t", |tally| tally.rate_limited >= 5).await;
    // The first, and at most one more that was under way with it.
    assert!(tally.fired <= 2, "{tally:?}");
    let tally = bench.until("t", |tally| tally.fired >= 10).await;
    let sum = tally.fired + tally.in_flight + tally.budget_skipped + tally.rate_limited;
    assert_eq!(tally.due, sum + tally.missed, "{tally:?}");
    bench.stop().await;
    simulator.stop().await;
}
