//! The demo as it is told: start everything, watch, print what happens and when.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::client::{Clients, RATE};
use super::receiver::{self, Received};
use super::scenario::{self, Expected, FAULT_SHARE, RELEASE, Scenario};
use super::scratch::Scratch;
use super::telling::Teller;
use crate::app::{App, Configuration, Loaded, Options, Succession, Wanted};
use crate::clock::Clock;
use crate::engine::{Happening, Order, ReleaseStatus, What};
use crate::model::{Mistake, Timestamp};
use crate::release::machine::{Notice, State};
use crate::release::{RunEnd, RunMode};
use crate::simulator::Simulator;
use crate::threads::Threads;
use crate::{config, rules};

/// So long after the start the release begins: a drill comes first, and the providers are known.
const PRELUDE: Duration = Duration::from_secs(3);
/// So long after the stage with the fault was entered, the fault begins.
const BEFORE_FAULT: Duration = Duration::from_secs(2);
/// So long after both providers fell ill, stable recovers.
const STABLE_ILL: Duration = Duration::from_secs(8);
/// As long as the whole of it may take.
const PATIENCE: Duration = Duration::from_secs(150);
/// Between two looks at the evidence.
const LOOK: Duration = Duration::from_secs(2);

/// How the demo is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What goes wrong.
    pub scenario: Scenario,
    /// Where the page and the metrics are.
    pub listen: String,
    /// Whether it ends by itself.
    pub is_once: bool,
    /// Seed of everything that the providers draw.
    pub seed: u64,
}

/// How the demo ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As its scenario is to end.
    AsExpected,
    /// Otherwise, or not in time.
    Otherwise,
    /// Somebody ended it before.
    Interrupted,
}

/// The stage on which it is played.
struct House {
    teller: Teller,
    clock: Clock,
    scenario: Scenario,
    stable: Simulator,
    candidate: Simulator,
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Watch {
    is_started: bool,
    fault_due: Option<Instant>,
    fault: Option<Timestamp>,
    recovery_due: Option<Instant>,
    held: Option<Timestamp>,
    decided: Option<Timestamp>,
    webhook: Option<Timestamp>,
    verified: Option<(Timestamp, Duration)>,
    is_completed: bool,
}

/// Plays the demo; `interrupted` ends it early.
pub async fn play(
    settings: Settings,
    interrupted: impl Future<Output = ()>,
) -> anyhow::Result<Ending> {
    let clock = Clock::start();
    let scratch = Scratch::new().context("no scratch directory for the demo")?;
    let (secret_file, secret) = scratch.write_secret()?;
    let receiver = loopback().await?;
    let receiver_url = format!("http://{}", receiver.local_addr()?);
    let (receiving, mut received) = receiver::spawn(receiver, secret, clock);
    let well = || scenario::well().map_err(said);
    let house = House {
        teller: Teller::new(clock),
        clock,
        scenario: settings.scenario,
        stable: Simulator::spawn(loopback().await?, well()?, settings.seed).await,
        candidate: Simulator::spawn(loopback().await?, well()?, settings.seed).await,
    };
    let text = scenario::config(
        &house.stable.base_url(),
        &house.candidate.base_url(),
        &receiver_url,
        &secret_file.display().to_string(),
    );
    let options = Options {
        configuration: Configuration::Built(Box::new(load(&text)?)),
        web: None,
        router_web: None,
        listen: settings.listen.clone(),
        router: Some("127.0.0.1:0".to_owned()),
        router_threads: Threads::Own(Threads::available()),
        storage: scratch.path().join("data"),
        succession: Succession::Alone,
        clock,
    };
    let mut app = App::start(options).await?;
    let router = app.router_address().context("the demo has a router")?;
    let clients = Clients::start(format!("http://{router}"));
    house.introduce(app.address(), router);

    let mut happenings = app.happenings();
    let mut watch = Watch::default();
    let (start_due, give_up) = (Instant::now() + PRELUDE, Instant::now() + PATIENCE);
    let mut look = tokio::time::interval(LOOK);
    tokio::pin!(interrupted);
    let ending = loop {
        let later = give_up + PATIENCE;
        let (fault_due, recovery_due) =
            (watch.fault_due.unwrap_or(later), watch.recovery_due.unwrap_or(later));
        tokio::select! {
            happening = happenings.recv() => match happening {
                Ok(happening) => house.happened(&happening, &mut watch),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break Ending::Otherwise,
            },
            Some(webhook) = received.recv() => house.received(&webhook, &mut watch),
            wanted = app.wanted() => {
                if wanted? == Wanted::Succession {
                    break Ending::Otherwise;
                }
                // Refused, as there is no file to read again; whoever asked is told so.
                let _is_taken_up = app.reload().await.is_ok();
            }
            () = tokio::time::sleep_until(start_due), if !watch.is_started => {
                watch.is_started = true;
                house.begin(&app).await?;
            }
            () = tokio::time::sleep_until(fault_due), if watch.fault_due.is_some() => {
                house.fall_ill(&mut watch)?;
            }
            () = tokio::time::sleep_until(recovery_due), if watch.recovery_due.is_some() => {
                watch.recovery_due = None;
                house.stable.set(well()?);
                house.teller.tell("stable is well again; the candidate is not");
            }
            _ = look.tick() => house.look(&app, &clients, &mut watch),
            () = tokio::time::sleep_until(give_up), if !watch.is_over(settings.scenario) => {
                break Ending::Otherwise;
            }
            () = &mut interrupted => break match watch.is_over(settings.scenario) {
                true => Ending::AsExpected,
                false => Ending::Interrupted,
            },
        }
        if watch.is_over(settings.scenario) && settings.is_once {
            break Ending::AsExpected;
        }
    };
    house.summarize(ending, &watch, &clients, app.address());
    drop(clients);
    app.stop().await;
    house.stable.stop().await;
    house.candidate.stop().await;
    receiving.abort();
    Ok(ending)
}

async fn loopback() -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await
}

fn said(mistake: Mistake) -> anyhow::Error {
    anyhow::anyhow!("{mistake}")
}

fn load(text: &str) -> anyhow::Result<Loaded> {
    let listed = |mistakes: Vec<Mistake>| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    };
    let config = config::parse("demo.yml", text).map_err(listed)?;
    let (name, text_of_rules) = scenario::rules();
    let rules = rules::parse(name, text_of_rules).map_err(listed)?;
    Ok(Loaded::built(config, vec![rules], text))
}

impl Watch {
    fn is_over(&self, scenario: Scenario) -> bool {
        let is_back = self.verified.is_some() && self.webhook.is_some();
        match scenario.expected() {
            Expected::RolledBack => is_back,
            Expected::HeldThenRolledBack => is_back && self.held.is_some(),
            Expected::Completed => self.is_completed,
        }
    }
}

impl House {
    fn introduce(&self, page: SocketAddr, router: SocketAddr) {
        let teller = &self.teller;
        teller.plain(&format!(
            "bellwether demo: two simulated providers on loopback, clients that send {RATE} requests \
             a second,\nand a release from one to the other; hours are seconds here\n"
        ));
        teller.plain(&format!("  page     http://{page}/"));
        teller.plain(&format!("  metrics  http://{page}/metrics"));
        teller.plain(&format!("  router   http://{router}/v1/chat/completions"));
        teller
            .plain("  stages   1, 5, 10, 25, 50, 100 %, each 3 s at least; both gates allow 10 %");
        teller.plain(&format!("  stable     {}", self.stable.base_url()));
        teller.plain(&format!("  candidate  {}\n", self.candidate.base_url()));
        teller.tell("both providers are well");
    }

    /// A drill, then the first stage.
    async fn begin(&self, app: &App) -> anyhow::Result<()> {
        match app.drill(RELEASE).await {
            Ok(RunEnd::DrillPassed) => {
                self.teller.tell("drill passed: going back works before it is needed");
            }
            Ok(end) => self.teller.tell(&format!("drill: {}", end.as_str())),
            Err(refused) => self.teller.tell(&format!("no drill: {refused}")),
        }
        let (release, by) = (RELEASE.to_owned(), "the demo".to_owned());
        let order = Order { release, what: What::Start { force: false }, by };
        app.order(order).await.map_err(|error| anyhow::anyhow!("not started: {error}"))?;
        Ok(())
    }

    fn fall_ill(&self, watch: &mut Watch) -> anyhow::Result<()> {
        watch.fault_due = None;
        watch.fault = Some(self.clock.now());
        self.teller.tell(self.scenario.announcement());
        let ill = || self.scenario.ill().map_err(said);
        self.candidate.set(ill()?);
        if self.scenario.takes_stable() {
            self.stable.set(ill()?);
            watch.recovery_due = Some(Instant::now() + STABLE_ILL);
        }
        Ok(())
    }

    fn happened(&self, happening: &Happening, watch: &mut Watch) {
        match happening {
            Happening::Released { state, why, is_move: true, share, .. } => {
                self.teller.tell(&format!("release {state}: {why}"));
                let is_due = *share == FAULT_SHARE && watch.fault.is_none();
                if is_due && watch.fault_due.is_none() {
                    watch.fault_due = Some(Instant::now() + BEFORE_FAULT);
                }
                watch.is_completed |= *state == "completed";
            }
            Happening::Released { state, why, .. } if *state != "running" => {
                self.teller.tell(&format!("release {state}: {why}"));
            }
            Happening::Decided { decision, .. } => {
                watch.decided.get_or_insert(decision.at);
            }
            Happening::PlanEnded(ended)
                if ended.mode == RunMode::Real && ended.end == RunEnd::RolledBack =>
            {
                watch.verified.get_or_insert((self.clock.now(), ended.took));
            }
            Happening::Health(health) if !health.is_green => self.teller.tell(
                "this machine stalled: evidence is inconclusive, nothing is rolled back meanwhile",
            ),
            Happening::Health(_) => self.teller.tell("evidence counts again"),
            _ => {}
        }
    }

    /// Tells how far the evidence is.
    fn look(&self, app: &App, clients: &Clients, watch: &mut Watch) {
        let Some(status) = app.releases().into_iter().next() else { return };
        let ReleaseStatus { state, .. } = &status;
        let is_common = state.told().any(|(notice, _)| notice == Notice::CommonCause);
        if is_common && watch.held.is_none() {
            watch.held = Some(self.clock.now());
            self.teller.tell("held, and people are paged: stable is bad too, so nothing goes back");
        }
        let State::Running(run) = state else { return };
        let (candidate, stable, _) = clients.counts.now();
        let percent = 100.0 * candidate as f64 / (candidate + stable).max(1) as f64;
        let gates: Vec<String> = run
            .standings()
            .iter()
            .map(|gate| {
                let [bad, needed] = [gate.ln_bad, gate.ln_bad_threshold].map(f64::exp);
                let good = gate.ln_good.map_or(0.0, f64::exp);
                let (k, n) = (gate.bad, gate.finished);
                format!(
                    "{} {k}/{n} bad, against {bad:.1} of {needed:.0}, for {good:.1} of 20",
                    gate.gate
                )
            })
            .collect();
        let share = run.stage().share;
        self.teller
            .tell(&format!("  {share:>3} % | {} | so far {percent:.1} %", gates.join(" | ")));
    }

    fn received(&self, webhook: &Received, watch: &mut Watch) {
        let signature = if webhook.is_genuine { "signature valid" } else { "SIGNATURE WRONG" };
        let id = &webhook.id;
        let what = match webhook.path.as_str() {
            "/rollback" if webhook.is_drill => "drill webhook",
            "/rollback" => "rollback webhook",
            _ => "notice",
        };
        self.teller.tell_at(webhook.at, &format!("{what} received, {signature}, webhook-id {id}"));
        if what == "rollback webhook" && webhook.is_genuine {
            watch.webhook.get_or_insert(webhook.at);
        }
    }

    fn summarize(&self, ending: Ending, watch: &Watch, clients: &Clients, page: SocketAddr) {
        let teller = &self.teller;
        let line = |name: &str, from: Option<Timestamp>, to: Option<Timestamp>| {
            if let Some((from, to)) = from.zip(to) {
                teller.plain(&format!("  {name:<24}{:>9.3} s", to.since(from).as_secs_f64()));
            }
        };
        teller.plain("");
        let verified = watch.verified.map(|(at, _)| at);
        line("fault    → held", watch.fault, watch.held);
        line("fault    → decision", watch.fault, watch.decided);
        line("decision → webhook", watch.decided, watch.webhook);
        line("decision → verified", watch.decided, verified);
        let (candidate, stable, broken) = clients.counts.now();
        teller.plain(&format!(
            "  clients: {} answers, {candidate} of the candidate; {broken} were broken",
            candidate + stable
        ));
        teller.plain(match (ending, self.scenario.expected()) {
            (Ending::AsExpected, Expected::RolledBack) => {
                "\nrolled back: stable answers and has all of the traffic"
            }
            (Ending::AsExpected, Expected::HeldThenRolledBack) => {
                "\nheld while stable was bad too, and rolled back once it was not"
            }
            (Ending::AsExpected, Expected::Completed) => {
                "\ncompleted: the candidate has all of the traffic"
            }
            (Ending::Otherwise, _) => "\nthis is not how it was to end",
            (Ending::Interrupted, _) => "\ninterrupted before the end",
        });
        if ending == Ending::Otherwise {
            teller.plain(&format!("look at http://{page}/ and at the log"));
        }
    }
}
