//! A release that is told to go back while it is moved on: traffic ends where it came from, whatever
//! is under way for the candidate at that moment.
//!
//! Each round starts a release, moves it on to half of the traffic while whoever carries the traffic
//! is slow, refuses, loses answers or hangs, and tells it to go back some moments later; the process
//! is killed before that, after it, both times or never. The share for the candidate may then be tried
//! again by a process that knows it from its outbox only. Nothing that is sent after the first word of
//! going back may give the candidate anything.
//!
//! `CLIMB_ROUNDS` (16, each combination once) says how many rounds, `CLIMB_SEED` where the moments
//! come from.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;

use super::crash::{drawn, setting};
use super::program::{Scratch, let_pass};
use super::receiver::{Call, Manner, Receiver};
use super::rollback::SECRET;
use super::service::{Service, Simulator};
use super::wait::until;

const SIGNING: [(&str, &str); 1] = [("SIGNING", SECRET)];
const MANNERS: [Manner; 4] = [Manner::Lingers, Manner::Unavailable, Manner::Closes, Manner::Hangs];
const AT_ONCE: usize = 8;
/// Longer than a share that is tried again rests.
const AFTERWARDS: Duration = Duration::from_secs(5);

struct Round {
    number: u64,
    draws: u64,
    manner: Manner,
    is_killed_before: bool,
    is_killed_after: bool,
    scratch: Scratch,
    receiver: Receiver,
    config: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_given_to_the_candidate_once_its_release_goes_back() {
    let (rounds, seed) = (setting("CLIMB_ROUNDS", 16), setting("CLIMB_SEED", 20_261_130));
    let simulator = Simulator::start().await;
    simulator.play("ttft: 50ms, gap: 1ms, tokens: 5").await;
    let playing = (0..rounds).map(|number| {
        let url = simulator.url.clone();
        async move { Round::new(seed, number, &url).await.play().await }
    });
    let late: Vec<usize> =
        futures_util::stream::iter(playing).buffer_unordered(AT_ONCE).collect().await;
    let shared = late.iter().filter(|shares| **shares > 0).count();
    println!("seed {seed}, {rounds} rounds; a share was asked for before going back in {shared}");
    assert!(shared * 2 > late.len(), "the moments are spread over the move");
}

impl Round {
    async fn new(seed: u64, number: u64, provider: &str) -> Self {
        let scratch = Scratch::new(&format!("climb-{number}"));
        let receiver = Receiver::start(Manner::Takes).await;
        scratch.write("weights", "nothing");
        scratch.write("rules.yml", "groups: []\n");
        let config = config(&scratch, &receiver, provider);
        let combination = usize::try_from(number).unwrap() / MANNERS.len();
        Self {
            number,
            draws: seed.wrapping_add(number.wrapping_mul(0xd6e8_feb8_6659_fd93)),
            manner: MANNERS[usize::try_from(number).unwrap() % MANNERS.len()],
            is_killed_before: combination % 2 == 1,
            is_killed_after: combination / 2 % 2 == 1,
            scratch,
            receiver,
            config,
        }
    }

    fn draw(&mut self, bound: u64) -> Duration {
        Duration::from_millis(drawn(&mut self.draws, bound))
    }

    async fn start(&self) -> Service {
        Service::start_with(&self.scratch, &self.config, &SIGNING, &[]).await
    }

    async fn restart(&self, mut service: Service) -> Service {
        service.program.kill();
        service.program.ended().await;
        self.start().await
    }

    /// Returns how often half of the traffic was asked for before going back.
    async fn play(mut self) -> usize {
        let what = format!(
            "round {}, {:?}, killed before {} and after {}",
            self.number, self.manner, self.is_killed_before, self.is_killed_after
        );
        let mut service = self.start().await;
        let started = service.post("/api/v1/releases/chat/start", "").await;
        assert_eq!(started.status, 200, "{what}: {}", started.body);
        self.stands(&service, |release| release["isMoved"] == true).await;

        self.receiver.behave(self.manner);
        let moved = service.post("/api/v1/releases/chat/advance?force=true", "").await;
        assert_eq!(moved.status, 200, "{what}: {}", moved.body);
        let_pass(self.draw(700)).await;
        if self.is_killed_before {
            service = self.restart(service).await;
            let_pass(self.draw(700)).await;
        }
        // Whoever asks gets no answer where the process is killed, and asks again.
        let told = service.post("/api/v1/releases/chat/rollback", "").await;
        assert_eq!(told.status, 200, "{what}: {}", told.body);
        let_pass(self.draw(700)).await;
        if self.is_killed_after {
            service = self.restart(service).await;
        }
        let_pass(Duration::from_secs(2)).await;
        self.receiver.behave(Manner::Takes);
        self.stands(&service, |release| release["state"] == "rolled_back").await;
        let_pass(AFTERWARDS).await;
        self.check(&what)
    }

    async fn stands(&self, service: &Service, is_so: impl Fn(&Value) -> bool) {
        until(async || {
            let listed = service.get("/api/v1/releases").await.json();
            let release = &listed["data"]["releases"][0]["release"];
            let said = || format!("round {}: {release}", self.number);
            if is_so(release) { Ok(()) } else { Err(said()) }
        })
        .await;
    }

    fn check(&self, what: &str) -> usize {
        let calls = self.receiver.calls("/gateway");
        let share = |call: &Call| {
            let body: Value = serde_json::from_str(&call.body).unwrap();
            assert!(call.is_signed(SECRET), "{what}");
            body["data"]["share"].as_u64().unwrap()
        };
        let shares: Vec<u64> = calls.iter().map(share).collect();
        let back = shares.iter().position(|share| *share == 0);
        let back = back.unwrap_or_else(|| panic!("{what}: {shares:?}"));
        assert!(shares[back..].iter().all(|share| *share == 0), "{what}: {shares:?}");
        assert!(
            calls[back..].iter().any(|call| call.manner == Manner::Takes || self.manner.is_taken()),
            "{what}"
        );
        let weights = std::fs::read_to_string(self.scratch.path("weights")).unwrap();
        assert_eq!(weights, "new 0", "{what}: {shares:?}");
        shares[..back].iter().filter(|share| **share == 50).count()
    }
}

fn config(scratch: &Scratch, receiver: &Receiver, provider: &str) -> String {
    format!(
        "global: {{evaluation_interval: 100ms, sample_interval: 1s}}\n\
         rule_files: [rules.yml]\n\
         providers:\n- {{name: p, dialect: openai_chat, base_url: '{provider}', auth: none}}\n\
         probes:\n\
         - {{name: new, provider: p, model: m, interval: 5s, budget_daily: unlimited}}\n\
         - {{name: old, provider: p, model: m, interval: 5s, budget_daily: unlimited}}\n\
         releases:\n- name: chat\n  stable: [old]\n  candidate: [new]\n  stages: [1, 50]\n  \
         gates: [{{indicator: errors, objective: 95}}]\n  traffic:\n  \
         - name: gateway\n    webhook: {{url: '{}', signing_secret: 'env:SIGNING'}}\n    rehearsal: post\n  \
         - name: weights\n    file: {{path: '{}', content: 'new {{{{share}}}}'}}\n  \
         rollback: {{matchers: ['severity=\"rollback\"']}}\n",
        receiver.url("/gateway"),
        scratch.path("weights"),
    )
}
