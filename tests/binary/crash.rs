//! `kill -9` at any moment: nothing is lost, nothing is told twice under two ids.
//!
//! Each round takes up rules under which 20 new alerts fire, one of them with a rollback, and the 20
//! of the round before resolve; kills the process at a random moment of that; starts it again; and
//! waits until the receiver, which answers after up to 30 ms, has every trigger, every resolve and
//! the rollback. Each is legitimately told once, so two ids for one of them are a mistake, and the
//! same id twice is what "at least once" means.
//!
//! `CRASH_ROUNDS` (20) says how many rounds, `CRASH_SEED` where the moments come from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::program::{Scratch, let_pass};
use super::receiver::{Call, Manner, Receiver};
use super::rollback::SECRET;
use super::service::Service;
use super::wait::until;

const ALERTS: usize = 20;
/// Long enough for the reload, the next evaluation and all deliveries.
const KILLED_WITHIN_MS: u64 = 300;

/// What came so far by what it says: `trigger R3A7`, `resolve R3A7`, `rollback R3A19`.
#[derive(Default)]
struct Told {
    calls: BTreeMap<String, Vec<Call>>,
    notices: usize,
    rollbacks: usize,
}

impl Told {
    /// Takes in what came since the last look.
    fn look(&mut self, receiver: &Receiver) {
        for call in receiver.calls("/notice").into_iter().skip(self.notices) {
            self.notices += 1;
            let body: Value = serde_json::from_str(&call.body).unwrap();
            let what = if body["status"] == "firing" { "trigger" } else { "resolve" };
            let name = body["groupLabels"]["alertname"].as_str().unwrap();
            self.calls.entry(format!("{what} {name}")).or_default().push(call);
        }
        for call in receiver.calls("/rollback").into_iter().skip(self.rollbacks) {
            self.rollbacks += 1;
            let body: Value = serde_json::from_str(&call.body).unwrap();
            let name = body["data"]["alert"]["labels"]["alertname"].as_str().unwrap();
            self.calls.entry(format!("rollback {name}")).or_default().push(call);
        }
    }

    fn missing<'e>(&self, expected: &'e BTreeSet<String>) -> Vec<&'e String> {
        expected.iter().filter(|key| !self.calls.contains_key(*key)).collect()
    }
}

fn rules(round: usize) -> String {
    let mut text = String::from("groups:\n- name: g\n  rules:\n");
    let before = round.checked_sub(1);
    for (round, expr) in
        before.map(|round| (round, "vector(1) > 2")).into_iter().chain([(round, "vector(1)")])
    {
        for number in 0..ALERTS {
            let severity = if number == ALERTS - 1 { "rollback" } else { "page" };
            text += &format!(
                "  - {{alert: R{round}A{number}, expr: {expr}, labels: {{severity: {severity}}}}}\n"
            );
        }
    }
    text
}

fn config(receiver: &Receiver) -> String {
    format!(
        "global: {{evaluation_interval: 100ms, sample_interval: 1s, probe_interval: 1h}}\n\
         rule_files: [rules.yml]\n\
         providers:\n- {{name: p, dialect: openai_chat, base_url: 'http://127.0.0.1:1', auth: none}}\n\
         probes:\n\
         - {{name: candidate, provider: p, model: m, budget_daily: unlimited}}\n\
         - {{name: stable, provider: p, model: m, budget_daily: unlimited}}\n\
         receivers:\n- name: team\n  webhook_configs:\n  \
         - {{url: '{}', signing_secret: 'env:SIGNING'}}\n\
         route: {{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 100ms, \
         repeat_interval: 1h}}\n\
         rollbacks:\n- name: back\n  matchers: ['severity=\"rollback\"']\n  candidate: [candidate]\n  \
         stable: [stable]\n  force: true\n  cooldown: 0s\n  max_per_day: 1000\n  \
         webhook: {{url: '{}', signing_secret: 'env:SIGNING'}}\n",
        receiver.url("/notice"),
        receiver.url("/rollback"),
    )
}

fn expected(round: usize) -> BTreeSet<String> {
    let triggers = (0..ALERTS).map(|number| format!("trigger R{round}A{number}"));
    let resolves = round
        .checked_sub(1)
        .into_iter()
        .flat_map(|before| (0..ALERTS).map(move |number| format!("resolve R{before}A{number}")));
    let rollback = format!("rollback R{round}A{}", ALERTS - 1);
    triggers.chain(resolves).chain([rollback]).collect()
}

/// Uniform below a bound; the splitmix64 generator, whose state is the seed.
pub fn drawn(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % bound
}

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_at_any_moment_loses_nothing_and_repeats_nothing_under_a_new_id() {
    let rounds = usize::try_from(setting("CRASH_ROUNDS", 20)).unwrap();
    let seed = setting("CRASH_SEED", 20_261_130);
    let mut state = seed;
    let receiver = Receiver::start(Manner::Dawdles).await;
    let scratch = Scratch::new("crash");
    scratch.write("rules.yml", "groups: []\n");
    let config = config(&receiver);
    let variables = [("SIGNING", SECRET)];
    let mut service = Service::start_with(&scratch, &config, &variables, &[]).await;
    let (mut told, mut early) = (Told::default(), 0);
    println!("seed {seed}, {rounds} rounds\nround  killed after  told before  until all were told");
    for round in 0..rounds {
        scratch.write("rules.yml", &rules(round));
        service.program.signal("HUP");
        let moment = Duration::from_millis(drawn(&mut state, KILLED_WITHIN_MS));
        let_pass(moment).await;
        service.program.signal("KILL");
        service.program.ended().await;
        let expected = expected(round);
        told.look(&receiver);
        let due = expected.len();
        let before = due - told.missing(&expected).len();
        let gap = tokio::time::Instant::now();
        service = Service::start_with(&scratch, &config, &variables, &[]).await;
        until(async || {
            told.look(&receiver);
            let missing = told.missing(&expected);
            if missing.is_empty() { Ok(()) } else { Err(format!("seed {seed}, lost: {missing:?}")) }
        })
        .await;
        early += usize::from(before == due);
        let took = gap.elapsed().as_millis();
        println!("{round:>5}  {moment:>12?}  {before:>5} of {due:<2}  {took:>6} ms");
    }
    // Whatever would come again has the time for it: the group interval is a tenth of this.
    let_pass(Duration::from_secs(1)).await;
    service.program.signal("KILL");
    told.look(&receiver);
    check(&told.calls, &(0..rounds).flat_map(expected).collect(), seed);
    println!("killed after the last of a round was told: {early} of {rounds}");
    assert!(early < rounds, "the moments are spread over the deliveries");
}

fn check(told: &BTreeMap<String, Vec<Call>>, due: &BTreeSet<String>, seed: u64) {
    let ids = |calls: &Vec<Call>| -> BTreeSet<String> {
        calls.iter().map(|call| call.header("webhook-id").to_owned()).collect()
    };
    let lost = due.iter().filter(|key| !told.contains_key(*key)).count();
    let calls: usize = told.values().map(Vec::len).sum();
    let same: usize = told.values().map(|calls| calls.len() - ids(calls).len()).sum();
    let new: Vec<_> = told.iter().filter(|(_, calls)| ids(calls).len() > 1).collect();
    println!(
        "due {}, received {calls}, lost {lost}, again under the same id {same}, again under a new id {}",
        due.len(),
        new.len()
    );
    assert_eq!(lost, 0, "seed {seed}");
    assert!(new.is_empty(), "seed {seed}: {new:?}");
    assert_eq!(&told.keys().cloned().collect::<BTreeSet<_>>(), due, "nothing else was told");
    assert!(told.values().flatten().all(|call| call.is_signed(SECRET)));
    check_identity(told);
}

/// A resolve ends the very alert that its trigger announced.
fn check_identity(told: &BTreeMap<String, Vec<Call>>) {
    let starts_at = |call: &Call| {
        let body: Value = serde_json::from_str(&call.body).unwrap();
        body["alerts"][0]["startsAt"].as_str().unwrap().to_owned()
    };
    for (key, calls) in told {
        let Some(name) = key.strip_prefix("resolve ") else { continue };
        let trigger = &told[&format!("trigger {name}")][0];
        assert_eq!(starts_at(&calls[0]), starts_at(trigger), "{name}");
    }
}
