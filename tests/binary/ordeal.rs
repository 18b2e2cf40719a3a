//! Rollbacks and drills while everything else fails: what is decided is carried out, once, in the
//! right direction, and verified within a minute.
//!
//! Each round runs the binary with a plan of its own: a webhook and a file that move traffic, a
//! program, a second webhook, a verification. An operator asks for a rollback or a drill, or an alert
//! begins to fire, and a fault comes at a moment that is drawn: the process is killed as a step begins or when it has ended, and started
//! again as by a supervisor; it is stopped for 20 s; whom it calls is down for 15 s (refuses, takes
//! the message and loses the answer, or says nothing), and perhaps the process is killed meanwhile;
//! stable is slow. Every receiver honours `Idempotency-Key`, as a careful one does: a key that it has
//! seen changes nothing.
//!
//! `ROLLBACK_ROUNDS` (20, each fault once) says how many rounds, `ROLLBACK_SEED` where the moments
//! come from, `ROLLBACK_AT_ONCE` (10) how many rounds there are at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::time::Instant;

use super::crash::{drawn, setting};
use super::program::{Scratch, let_pass};
use super::receiver::{Call, Manner, Receiver};
use super::rollback::SECRET;
use super::service::{Service, Simulator, exchange};

const SIGNING: [(&str, &str); 1] = [("SIGNING", SECRET)];
/// From a decision to a verified stable.
const BUDGET: Duration = Duration::from_secs(60);
/// An undisturbed one on a machine that does nothing else.
const TYPICAL: Duration = Duration::from_secs(2);
const STOPPED: Duration = Duration::from_secs(20);
const DOWN: Duration = Duration::from_secs(15);
/// Longer than any round may take; what takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(150);

/// Under which an alert fires for good.
const RULES: &str = "groups: [{name: g, rules: [{alert: Broken, expr: vector(1), \
                     labels: {severity: rollback}}]}]\n";

/// What is asked for, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Drill,
    ByOperator,
    ByAlert,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Begun,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// At a step.
    Killed(&'static str, Moment),
    /// At any moment after it was asked for.
    KilledAnywhere,
    /// The second time while it comes up.
    KilledTwice,
    Stopped,
    Down(Manner),
    DownAndKilled,
    StableIsSlow,
}

const FAULTS: [Fault; 20] = [
    Fault::Nothing,
    Fault::Killed("gateway", Moment::Begun),
    Fault::Killed("gateway", Moment::Ended),
    Fault::Killed("weights", Moment::Begun),
    Fault::Killed("weights", Moment::Ended),
    Fault::Killed("deploy", Moment::Begun),
    Fault::Killed("deploy", Moment::Ended),
    Fault::Killed("tell", Moment::Begun),
    Fault::Killed("tell", Moment::Ended),
    Fault::Killed("verify", Moment::Begun),
    Fault::Killed("verify", Moment::Ended),
    Fault::KilledAnywhere,
    Fault::KilledTwice,
    Fault::Stopped,
    Fault::Stopped,
    Fault::Down(Manner::Unavailable),
    Fault::Down(Manner::Closes),
    Fault::Down(Manner::Hangs),
    Fault::DownAndKilled,
    Fault::StableIsSlow,
];

impl Fault {
    fn name(self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::Killed(step, Moment::Begun) => format!("killed as `{step}` begins"),
            Self::Killed(step, Moment::Ended) => format!("killed when `{step}` has ended"),
            Self::KilledAnywhere => "killed anywhere".to_owned(),
            Self::KilledTwice => "killed twice".to_owned(),
            Self::Stopped => "stopped for 20 s".to_owned(),
            Self::Down(Manner::Unavailable) => "receiver says 503 for 15 s".to_owned(),
            Self::Down(Manner::Closes) => "receiver loses answers for 15 s".to_owned(),
            Self::Down(_) => "receiver hangs for 15 s".to_owned(),
            Self::DownAndKilled => "receiver down for 15 s, killed".to_owned(),
            Self::StableIsSlow => "stable is slow".to_owned(),
        }
    }
}

/// Where traffic goes back to.
struct Stables {
    quick: Simulator,
    /// Answers after a fifth of a second: a fault may come in between.
    usual: Simulator,
    slow: Simulator,
}

struct Round {
    number: u64,
    draws: u64,
    fault: Fault,
    asked: Asked,
    scratch: Scratch,
    receiver: Receiver,
    config: String,
}

/// What came of a round.
struct Record {
    fault: Fault,
    asked: Asked,
    /// Whether the fault came before the end.
    is_hit: bool,
    took: Duration,
    /// How many calls were repetitions.
    again: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn rollbacks_and_drills_are_verified_within_a_minute_whatever_fails_meanwhile() {
    let (rounds, seed) = (setting("ROLLBACK_ROUNDS", 20), setting("ROLLBACK_SEED", 20_261_130));
    let at_once = usize::try_from(setting("ROLLBACK_AT_ONCE", 10)).unwrap();
    let stables = Arc::new(Stables {
        quick: Simulator::start().await,
        usual: Simulator::start().await,
        slow: Simulator::start().await,
    });
    stables.usual.play("ttft: 200ms, gap: 1ms, tokens: 5").await;
    stables.slow.play("ttft: 1500ms, gap: 1ms, tokens: 5").await;
    // Alone, on a machine that does nothing else for this test.
    let mut alone = Vec::new();
    for number in 0..3 {
        let round =
            Round::new(seed, 1_000_000 + number, Fault::Nothing, Asked::ByOperator, &stables).await;
        alone.push(round.play().await.took);
    }
    println!("seed {seed}, {rounds} rounds; undisturbed and alone: {alone:?}");
    let playing = (0..rounds).map(|number| {
        let stables = Arc::clone(&stables);
        let fault = FAULTS[usize::try_from(number).unwrap() % FAULTS.len()];
        let asked = match (number + number / FAULTS.len() as u64) % 4 {
            0 | 1 => Asked::ByOperator,
            2 => Asked::Drill,
            _ => Asked::ByAlert,
        };
        async move {
            let round = Round::new(seed, number, fault, asked, &stables).await;
            round.play().await
        }
    });
    let records: Vec<Record> =
        futures_util::stream::iter(playing).buffer_unordered(at_once).collect().await;
    table(&records);
    assert_eq!(records.len() as u64, rounds);
    let late: Vec<_> = records.iter().filter(|record| record.took > BUDGET).collect();
    // One of a hundred may be late, and none of fewer.
    assert!(late.len() * 100 <= records.len(), "seed {seed}: {} are late", late.len());
    let hit = records.iter().filter(|record| record.is_hit).count();
    assert!(hit * 2 > records.len(), "seed {seed}: {hit} faults came before the end");
    assert!(alone.iter().any(|took| *took <= TYPICAL), "{alone:?}");
}

fn table(records: &[Record]) {
    let mut by_fault: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    for record in records {
        by_fault.entry(record.fault.name()).or_default().push(record);
    }
    by_fault.insert("all".to_owned(), records.iter().collect());
    println!(
        "{:<34}{:>9}{:>7}{:>7}{:>9}{:>12}{:>10}{:>10}{:>10}",
        "fault", "by hand", "alert", "drill", "in time", "calls again", "median", "p99", "longest"
    );
    for (name, records) in by_fault {
        let mut took: Vec<Duration> = records.iter().map(|record| record.took).collect();
        took.sort_unstable();
        let at = |part: usize| took[(took.len() * part).div_ceil(100).max(1) - 1].as_secs_f64();
        let by = |asked: Asked| records.iter().filter(|record| record.asked == asked).count();
        let again: usize = records.iter().map(|record| record.again).sum();
        let hit = records.iter().filter(|record| record.is_hit).count();
        println!(
            "{name:<34}{:>9}{:>7}{:>7}{hit:>9}{again:>12}{:>8.2} s{:>8.2} s{:>8.2} s",
            by(Asked::ByOperator),
            by(Asked::ByAlert),
            by(Asked::Drill),
            at(50),
            at(99),
            at(100)
        );
    }
}

impl Round {
    async fn new(seed: u64, number: u64, fault: Fault, asked: Asked, stables: &Stables) -> Self {
        let scratch = Scratch::new(&format!("ordeal-{number}"));
        let (stable, manner) = match fault {
            Fault::Nothing => (&stables.quick, Manner::Takes),
            Fault::StableIsSlow => (&stables.slow, Manner::Takes),
            Fault::Down(manner) => (&stables.usual, manner),
            Fault::DownAndKilled => (&stables.usual, Manner::Unavailable),
            _ => (&stables.usual, Manner::Lingers),
        };
        let receiver = Receiver::start(manner).await;
        scratch.write("weights", "candidate");
        scratch.write("rules.yml", "groups: []\n");
        std::fs::create_dir_all(scratch.path("effects")).unwrap();
        let config = config(&scratch, &receiver, &stable.url);
        // Far from the state of the round beside it.
        let draws = seed.wrapping_add(number.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self { number, draws, fault, asked, scratch, receiver, config }
    }

    fn draw(&mut self, bound: u64) -> Duration {
        Duration::from_millis(drawn(&mut self.draws, bound))
    }

    async fn start(&self) -> Service {
        Service::start_with(&self.scratch, &self.config, &SIGNING, &[]).await
    }

    async fn play(mut self) -> Record {
        let mut service = self.start().await;
        let asked_at = Instant::now();
        let asking = match self.asked {
            Asked::Drill | Asked::ByOperator => Some(tokio::spawn(self.request(&service).send())),
            Asked::ByAlert => {
                self.scratch.write("rules.yml", RULES);
                service.program.signal("HUP");
                None
            }
        };
        service = self.suffer(service, asked_at).await;
        let is_answered = match asking {
            Some(asking) => asking.await.unwrap().is_ok_and(|reply| reply.status() == 200),
            None => true,
        };
        let (end, took, begun) = self.end(&service, is_answered).await;
        let expected = if self.is_drill() { "drill_passed" } else { "rolled_back" };
        let said = || service.program.err.text();
        assert_eq!(end, expected, "round {}, {:?}: {}", self.number, self.fault, said());
        if self.asked == Asked::ByAlert {
            // It goes on firing; some evaluations later nothing more has been called.
            let_pass(Duration::from_millis(300)).await;
        }
        let again = self.check();
        let is_hit = match self.fault {
            Fault::Nothing | Fault::StableIsSlow => true,
            Fault::Killed(..) | Fault::KilledAnywhere | Fault::KilledTwice => begun > 1,
            Fault::Stopped => took >= STOPPED,
            Fault::Down(_) | Fault::DownAndKilled => again > 0,
        };
        Record { fault: self.fault, asked: self.asked, is_hit, took, again }
    }

    fn is_drill(&self) -> bool {
        self.asked == Asked::Drill
    }

    fn request(&self, service: &Service) -> reqwest::RequestBuilder {
        let word = if self.is_drill() { "drill" } else { "rollback" };
        service.client.post(format!("{}/api/v1/releases/chat/{word}", service.url))
    }

    /// Lets the fault happen. Returns the service that is there afterwards.
    async fn suffer(&mut self, service: Service, asked_at: Instant) -> Service {
        let mark = |step: &str, moment: Moment| match moment {
            Moment::Begun => format!("StepBegun {{ step: \"{step}\""),
            Moment::Ended => format!("StepEnded {{ step: \"{step}\""),
        };
        match self.fault {
            Fault::Nothing | Fault::StableIsSlow => service,
            Fault::Killed(step, moment) => {
                service.program.err.word_after(&mark(step, moment)).await;
                // The end of all is on record some milliseconds after the last step's.
                let is_last = (step, moment) == ("verify", Moment::Ended);
                let_pass(self.draw(if is_last { 3 } else { 20 })).await;
                self.restart(service).await
            }
            Fault::KilledAnywhere => {
                let_pass(self.draw(1500)).await;
                self.restart(service).await
            }
            Fault::KilledTwice => {
                let_pass(self.draw(700)).await;
                let service = self.restart(service).await;
                let_pass(self.draw(700)).await;
                self.restart(service).await
            }
            Fault::Stopped => {
                let_pass(self.draw(1500)).await;
                service.program.signal("STOP");
                let_pass(STOPPED).await;
                service.program.signal("CONT");
                service
            }
            Fault::Down(_) => {
                tokio::time::sleep_until(asked_at + DOWN).await;
                self.receiver.behave(Manner::Takes);
                service
            }
            Fault::DownAndKilled => {
                let_pass(self.draw(14_000)).await;
                let service = self.restart(service).await;
                tokio::time::sleep_until(asked_at + DOWN).await;
                self.receiver.behave(Manner::Takes);
                service
            }
        }
    }

    /// Kills it and starts it again, as soon as a supervisor does.
    async fn restart(&mut self, mut service: Service) -> Service {
        service.program.kill();
        service.program.ended().await;
        let_pass(self.draw(200)).await;
        self.start().await
    }

    /// Waits for the end, and asks again where nobody can have heard it, as an operator does. Returns
    /// how it ended, how long that took from the decision, and how often it began.
    async fn end(&self, service: &Service, is_answered: bool) -> (String, Duration, usize) {
        let by = Instant::now() + PATIENCE;
        let mut may_ask = !is_answered;
        loop {
            let log = service.get("/api/v1/releases/chat/log").await.json()["data"]["log"].clone();
            let log = log.as_array().unwrap();
            if let Some(ended) = log.iter().rev().find(|entry| entry["what"] == "ended") {
                let took_ms = if self.is_drill() {
                    ended["took_ms"].as_i64().unwrap()
                } else {
                    let (_, decided_ms) = ended["run"].as_str().unwrap().rsplit_once(':').unwrap();
                    let at: jiff::Timestamp = ended["at"].as_str().unwrap().parse().unwrap();
                    at.as_millisecond() - decided_ms.parse::<i64>().unwrap()
                };
                let took = Duration::from_millis(u64::try_from(took_ms).unwrap());
                let runs: BTreeSet<&str> =
                    log.iter().map(|entry| entry["run"].as_str().unwrap()).collect();
                assert!(runs.len() == 1 || self.is_drill(), "round {}: {runs:?}", self.number);
                let begun = log.iter().filter(|entry| entry["what"] == "begun").count();
                return (ended["end"].as_str().unwrap().to_owned(), took, begun);
            }
            // A drill ends with its process, and is refused while there is one; a rollback that is on
            // record does not end with it.
            if may_ask && self.is_drill() {
                may_ask = false;
                drop(tokio::spawn(self.request(service).send()));
            } else if may_ask && log.is_empty() {
                may_ask = false;
                let reply = exchange(self.request(service)).await;
                assert_eq!(reply.status, 200, "{}", reply.body);
            }
            assert!(Instant::now() < by, "round {}, {:?}: {log:?}", self.number, self.fault);
            let_pass(Duration::from_millis(50)).await;
        }
    }

    /// What was done outside: each effect once, none in a drill, and none the wrong way. Returns how
    /// many calls were repetitions.
    fn check(&self) -> usize {
        let what = format!("round {}, {:?}", self.number, self.fault);
        let kind = if self.is_drill() { "rollback.drill" } else { "rollback" };
        let mut calls = Vec::new();
        for step in ["gateway", "tell"] {
            let to_step: Vec<Call> = self.receiver.calls(&format!("/{step}"));
            for call in &to_step {
                assert!(call.is_signed(SECRET), "{what}");
                let body: Value = serde_json::from_str(&call.body).unwrap();
                assert_eq!(body["type"], kind, "{what}");
                assert_eq!(body["data"]["stable"][0], "stable", "{what}");
                assert!(call.header("idempotency-key").ends_with(&format!(":{step}")), "{what}");
            }
            let taken = to_step.iter().filter(|call| call.manner.is_taken());
            let keys: BTreeSet<&str> = taken.map(|call| call.header("idempotency-key")).collect();
            match self.is_drill() {
                // Those of a drill that was killed are of an execution of its own.
                true => assert!(!keys.is_empty(), "{what}: {step}"),
                false => assert_eq!(keys.len(), 1, "{what}: {step}: {keys:?}"),
            }
            calls.extend(to_step);
        }
        let fences: Vec<i64> =
            calls.iter().map(|call| call.header("x-fence").parse().unwrap()).collect();
        let of_steps = [&fences[..self.receiver.calls("/gateway").len()], &fences];
        assert!(of_steps[0].is_sorted(), "{what}: {fences:?}");
        let effects: Vec<String> = std::fs::read_dir(self.scratch.path("effects"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
            .collect();
        let weights = std::fs::read_to_string(self.scratch.path("weights")).unwrap();
        if self.is_drill() {
            assert!(effects.is_empty(), "{what}: {effects:?}");
            assert_eq!(weights, "candidate", "{what}");
            return calls.len() - 2;
        }
        assert_eq!((effects.len(), weights.as_str()), (1, "stable"), "{what}: {effects:?}");
        assert!(effects[0].ends_with(":deploy"), "{what}: {effects:?}");
        calls.len() - 2
    }
}

/// A program that honours its key: making a directory is one act, and fails where it is there.
fn deploy(scratch: &Scratch) -> String {
    let effects = scratch.path("effects");
    format!(
        "sleep 0.2; mkdir {effects}/$BELLWETHER_KEY 2>/dev/null || [ -d {effects}/$BELLWETHER_KEY ]"
    )
}

fn config(scratch: &Scratch, receiver: &Receiver, stable: &str) -> String {
    let webhook = |step: &str, further: &str| {
        format!(
            "  - name: {step}\n    webhook: {{url: '{}', signing_secret: 'env:SIGNING'}}\n    \
             rehearsal: post\n    timeout: 25s\n{further}",
            receiver.url(&format!("/{step}"))
        )
    };
    format!(
        "global: {{evaluation_interval: 100ms, sample_interval: 1s, probe_interval: 1h}}\n\
         rule_files: [rules.yml]\nproviders:\n\
         - {{name: old, dialect: openai_chat, base_url: '{stable}', auth: none}}\n\
         - {{name: new, dialect: openai_chat, base_url: 'http://127.0.0.1:1', auth: none}}\n\
         probes:\n\
         - {{name: candidate, provider: new, model: m, budget_daily: unlimited}}\n\
         - {{name: stable, provider: old, model: m, budget_daily: unlimited}}\n\
         rollbacks:\n- name: chat\n  matchers: ['severity=\"rollback\"']\n  \
         candidate: [candidate]\n  stable: [stable]\n  force: true\n  steps:\n{}\
         \x20 - name: weights\n    file: {{path: '{}', content: stable}}\n    traffic: true\n\
         \x20 - name: deploy\n    command: [/bin/sh, -c, '{}']\n    rehearsal: ['true']\n    timeout: 10s\n\
         {}\x20 - {{name: verify, verify: true}}\n",
        webhook("gateway", "    traffic: true\n"),
        scratch.path("weights"),
        deploy(scratch),
        webhook("tell", ""),
    )
}
