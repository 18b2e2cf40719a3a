//! Ends in good order and in bad.

use std::time::Duration;

use tokio::time::Instant;

use super::program::{Program, Scratch};
use super::receiver::{Call, Manner, Receiver};
use super::rollback::{RULES, SECRET, config, entry};
use super::service::{Service, Simulator};

const VARIABLES: &[(&str, &str)] = &[("SIGNING", SECRET)];

/// A service whose candidate fails and whose rollback is on its way to a receiver.
struct Incident {
    scratch: Scratch,
    config: String,
    service: Service,
    receiver: Receiver,
    candidate: Simulator,
    stable: Simulator,
}

impl Incident {
    async fn start(name: &str, manner: Manner) -> Self {
        let (candidate, stable) = (Simulator::start().await, Simulator::start().await);
        let receiver = Receiver::start(manner).await;
        let rollback = entry("back", "stable", &receiver.url("/back"), "");
        let config = format!("{}rollbacks:\n{rollback}", config(&candidate.url, &stable.url));
        let scratch = Scratch::new(name);
        scratch.write("rules.yml", RULES);
        let service = Service::start_with(&scratch, &config, VARIABLES, &[]).await;
        let runs = "bellwether_probe_runs_total";
        for target in ["candidate", "stable"] {
            service.reaches(runs, &[("target", target), ("slo", "good")], 5.0).await;
        }
        candidate.fault("{kind: http, status: 500}").await;
        receiver.wait("/back", 1).await;
        Self { scratch, config, service, receiver, candidate, stable }
    }

    /// Starts anew over what the first life left, with a receiver that takes what comes.
    async fn live_again(&mut self) -> Vec<Call> {
        let before = self.receiver.calls("/back").len();
        self.receiver.behave(Manner::Takes);
        self.service = Service::start_with(&self.scratch, &self.config, VARIABLES, &[]).await;
        let calls = self.receiver.wait("/back", before + 1).await;
        let delivered = [("hook", "rollback/back"), ("result", "delivered")];
        self.service.reaches("bellwether_webhook_deliveries_total", &delivered, 1.0).await;
        // The candidate fails still. Where the old samples reach into the first evaluation that is
        // the same incident; otherwise it is a new one, within the cooldown of the old.
        let bad = [("target", "candidate"), ("slo", "bad")];
        let metrics = self.service.reaches("bellwether_probe_runs_total", &bad, 40.0).await;
        let fired = [("rollback", "back"), ("result", "fired")];
        assert_eq!(metrics.value("bellwether_rollbacks_total", &fired), Some(0.0));
        assert_eq!(self.receiver.calls("/back").len(), before + 1);
        calls
    }
}

fn ids(calls: &[Call]) -> Vec<&str> {
    let mut ids: Vec<&str> = calls.iter().map(|call| call.header("webhook-id")).collect();
    ids.dedup();
    ids
}

#[tokio::test]
async fn sigterm_ends_in_time_whatever_hangs_and_the_rest_is_sent_at_the_next_start() {
    let mut incident = Incident::start("stop-hung", Manner::Hangs).await;
    incident.stable.play("ttft: 60s").await;
    let in_flight = "bellwether_probe_in_flight";
    incident.service.reaches(in_flight, &[("target", "stable")], 1.0).await;

    let asked = Instant::now();
    incident.service.program.signal("TERM");
    let code = incident.service.program.ended().await;
    let took = asked.elapsed();
    let said = incident.service.program.err.whole().await;
    assert_eq!(code, 0, "{said}");
    assert!(took < Duration::from_secs(10), "{took:?}: {said}");

    incident.stable.play("ttft: 1ms").await;
    let calls = incident.live_again().await;
    assert_eq!(ids(&calls).len(), 1, "{calls:?}");
    assert!(calls.iter().all(|call| call.is_signed(SECRET)));
    assert!(incident.candidate.requests().await > 0.0);
}

#[tokio::test]
async fn a_decision_outlives_a_kill_and_is_delivered_once_under_its_own_id() {
    let mut incident = Incident::start("stop-killed", Manner::Closes).await;
    incident.service.program.signal("KILL");
    assert_eq!(incident.service.program.ended().await, -1);
    let calls = incident.live_again().await;
    assert_eq!(ids(&calls).len(), 1, "{calls:?}");
    let last = calls.last().unwrap();
    assert!(last.is_signed(SECRET) && !last.header("webhook-id").is_empty(), "{last:?}");
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused_and_told_who_has_it() {
    let simulator = Simulator::start().await;
    let scratch = Scratch::new("stop-second");
    let config = config(&simulator.url, &simulator.url).replace("rule_files: [rules.yml]\n", "");
    let first = Service::start(&scratch, &config).await;
    let (file, data) = (scratch.path("bellwether.yml"), scratch.path("data"));
    let arguments = ["run", "-c", &file, "--web.listen-address=127.0.0.1:0", "--storage.path"];
    let second = Program::run(&[], &[&arguments[..], &[&data]].concat()).await;
    assert_eq!(second.code, 3, "{}", second.err);
    assert!(second.err.contains(&format!("`{}`", first.program.id())), "{}", second.err);
    assert_eq!(first.get("/-/ready").await.status, 200);
}
