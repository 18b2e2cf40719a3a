//! The demo as it is told: start everything, watch, print what happens and when.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::receiver::{self, Received};
use super::scenario::{self, HEALTHY, Scenario};
use crate::app::{App, Configuration, Loaded, Options};
use crate::clock::Clock;
use crate::engine::Happening;
use crate::model::{Secret, Timestamp};
use crate::provider::SloClass;
use crate::release::Verdict;
use crate::rules::AlertState;
use crate::simulator::Simulator;
use crate::{config, rules};

/// How long after the fault the rollback may take before the demo counts as failed.
const PATIENCE: Duration = Duration::from_secs(40);

/// How the demo is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What goes wrong.
    pub scenario: Scenario,
    /// Where the page and the metrics are.
    pub listen: String,
    /// Whether it ends by itself.
    pub is_once: bool,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

/// How the demo ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The rollback was received, with a valid signature.
    RolledBack,
    /// It was not.
    NotRolledBack,
    /// Somebody ended it before.
    Interrupted,
}

/// A directory that is removed with everything in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let name = format!("bellwether-demo-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Writes the secret that signs webhooks, for this demo only.
    fn write_secret(&self) -> std::io::Result<(PathBuf, Secret)> {
        let key: [u8; 32] = rand::random();
        let text = format!("whsec_{}", base64::prelude::BASE64_STANDARD.encode(key));
        let path = self.0.join("signing-secret");
        std::fs::write(&path, &text)?;
        Ok((path, Secret::new(text)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "scratch directory not removed");
        }
    }
}

/// Prints lines with the time since the start.
struct Teller {
    clock: Clock,
    start: Timestamp,
}

impl Teller {
    fn tell(&self, line: &str) {
        self.tell_at(self.clock.now(), line);
    }

    fn tell_at(&self, at: Timestamp, line: &str) {
        let seconds = at.since(self.start).as_secs_f64();
        let mut out = std::io::stdout().lock();
        // A closed terminal ends the telling, not the demo.
        let _is_written = writeln!(out, "{seconds:7.3}s  {line}").is_ok();
    }

    fn plain(&self, line: &str) {
        let _is_written = writeln!(std::io::stdout().lock(), "{line}").is_ok();
    }
}

/// Times of the rollback's way, as they become known.
#[derive(Debug, Default)]
struct Times {
    fault: Option<Timestamp>,
    breach: Option<Timestamp>,
    decision: Option<Timestamp>,
    webhook: Option<Timestamp>,
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
    let stable_script = Scenario::stable().map_err(|mistake| anyhow::anyhow!("{mistake}"))?;
    let script = settings.scenario.script().map_err(|mistake| anyhow::anyhow!("{mistake}"))?;
    let stable = Simulator::spawn(loopback().await?, stable_script, settings.seed).await;
    let candidate = Simulator::spawn(loopback().await?, script, settings.seed).await;
    let teller = Teller { clock, start: clock.now() };
    let fault_at = Instant::now() + HEALTHY;

    let text = scenario::config(
        &stable.base_url(),
        &candidate.base_url(),
        &receiver_url,
        &secret_file.display().to_string(),
    );
    let options = Options {
        configuration: Configuration::Built(Box::new(load(&text)?)),
        router: None,
        web: None,
        listen: settings.listen.clone(),
        storage: scratch.0.join("data"),
        clock,
    };
    let mut app = App::start(options).await?;
    introduce(&teller, app.address(), &stable, &candidate);

    let mut happenings = app.happenings();
    let mut times = Times::default();
    let mut watch = Watch::default();
    tokio::pin!(interrupted);
    let ending = loop {
        let give_up = fault_at + PATIENCE;
        tokio::select! {
            happening = happenings.recv() => match happening {
                Ok(happening) => watch.happened(&teller, &happening, &mut times),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break Ending::NotRolledBack,
            },
            Some(webhook) = received.recv() => watch.received(&teller, &webhook, &mut times),
            asked = app.serve_reloads() => {
                asked?;
                // Refused, as there is no file to read again; whoever asked is told so.
                let _is_taken_up = app.reload().await.is_ok();
            }
            () = tokio::time::sleep_until(fault_at), if times.fault.is_none() => {
                times.fault = Some(clock.now());
                teller.tell(settings.scenario.announcement());
            }
            () = tokio::time::sleep_until(give_up), if times.webhook.is_none() => {
                break Ending::NotRolledBack;
            }
            () = &mut interrupted => break match times.webhook {
                Some(_) => Ending::RolledBack,
                None => Ending::Interrupted,
            },
        }
        if watch.is_over() && settings.is_once {
            break Ending::RolledBack;
        }
    };
    summarize(&teller, ending, &times, app.address(), settings.is_once);
    app.stop().await;
    stable.stop().await;
    candidate.stop().await;
    receiving.abort();
    Ok(ending)
}

async fn loopback() -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await
}

fn load(text: &str) -> anyhow::Result<Loaded> {
    let listed = |mistakes: Vec<crate::model::Mistake>| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    };
    let config = config::parse("demo.yml", text).map_err(listed)?;
    let (name, text_of_rules) = scenario::rules();
    let rules = rules::parse(name, text_of_rules).map_err(listed)?;
    Ok(Loaded::built(config, vec![rules], text))
}

fn introduce(teller: &Teller, address: SocketAddr, stable: &Simulator, candidate: &Simulator) {
    teller.plain("bellwether demo: two simulated providers on loopback, probed once a second\n");
    teller.plain(&format!("  page     http://{address}/"));
    teller.plain(&format!("  metrics  http://{address}/metrics"));
    teller.plain(&format!("  query    http://{address}/api/v1/query?query=ALERTS"));
    teller.plain(&format!("  stable     {} speaks openai_chat", stable.base_url()));
    teller.plain(&format!("  candidate  {} speaks anthropic_messages\n", candidate.base_url()));
    teller.tell("both providers are well");
}

fn summarize(teller: &Teller, ending: Ending, times: &Times, address: SocketAddr, is_once: bool) {
    let between = |from: Option<Timestamp>, to: Option<Timestamp>| {
        from.zip(to).map(|(from, to)| to.since(from))
    };
    match ending {
        Ending::RolledBack => {
            let line = |name: &str, took: Option<Duration>| {
                if let Some(took) = took {
                    teller.plain(&format!("  {name:<22}{:>9.3} s", took.as_secs_f64()));
                }
            };
            teller.plain("");
            line("fault  → breach", between(times.fault, times.breach));
            line("breach → decision", between(times.breach, times.decision));
            line("breach → webhook", between(times.breach, times.webhook));
            line("fault  → webhook", between(times.fault, times.webhook));
            teller.plain("\nrolled back: the signed webhook was received");
        }
        Ending::NotRolledBack => teller.plain(&format!(
            "\nnot rolled back within {} s of the fault; look at http://{address}/ and at the log",
            PATIENCE.as_secs()
        )),
        Ending::Interrupted => teller.plain("\ninterrupted before the rollback"),
    }
    if !is_once && ending == Ending::RolledBack {
        teller.plain("the demo went on until it was interrupted");
    }
}

/// What was said already, so that it is said once.
#[derive(Debug, Default)]
struct Watch {
    good: u64,
    first_bad: bool,
    is_rolled_back: bool,
    is_notified: bool,
    rolled_back_at: Option<Instant>,
}

impl Watch {
    /// Over once the rollback was received, and the notice too or three seconds passed.
    fn is_over(&self) -> bool {
        let is_late = self.rolled_back_at.is_some_and(|at| at.elapsed() > Duration::from_secs(3));
        self.is_rolled_back && (self.is_notified || is_late)
    }

    fn happened(&mut self, teller: &Teller, happening: &Happening, times: &mut Times) {
        match happening {
            Happening::Finished(outcome) => {
                if outcome.class == SloClass::Good {
                    self.good += 1;
                    if self.good == 10 {
                        teller.tell("10 good probes: streamed, answer checked, tokens priced");
                    }
                } else if !self.first_bad {
                    self.first_bad = true;
                    let error = outcome.error_type.as_str();
                    let line = format!("{}: {error} ({})", outcome.target, outcome.detail);
                    teller.tell_at(outcome.finished, &line);
                }
            }
            Happening::Decided { decision, breach } => {
                if times.decision.is_none() && is_carried_out(decision.verdict) {
                    times.breach = Some(*breach);
                    times.decision = Some(decision.at);
                    let summary = decision.alert.annotations.get("summary").unwrap_or_default();
                    teller.tell_at(*breach, &format!("breach: {summary}"));
                }
                // What follows the rollback within its cooldown is no part of this story.
                if self.is_rolled_back && !is_carried_out(decision.verdict) {
                    return;
                }
                let verdict = decision.verdict.as_str();
                let line = format!("rollback {} {verdict}: {}", decision.rollback, decision.report);
                teller.tell_at(decision.at, &line);
            }
            Happening::Transition(transition) if transition.to == AlertState::Firing => {
                let name = transition.alert.labels.get("alertname").unwrap_or_default();
                let target = transition.alert.labels.get("target").unwrap_or_default();
                teller.tell(&format!("alert {name} fires for {target}"));
            }
            Happening::Health(health) if !health.is_green => teller.tell(
                "this machine stalled: evidence is inconclusive, nothing is rolled back meanwhile",
            ),
            Happening::Health(_) => teller.tell("evidence counts again"),
            Happening::RuleFailed { rule, error, .. } => {
                teller.tell(&format!("rule {rule} failed: {error}"));
            }
            Happening::Transition(_)
            | Happening::Noticed { .. }
            | Happening::TemplatesFailed { .. }
            | Happening::Muted(_)
            | Happening::Unheard(_)
            | Happening::Refused { .. }
            | Happening::Released { .. }
            | Happening::PlanEnded(_)
            | Happening::Delivered { .. } => {}
        }
    }

    fn received(&mut self, teller: &Teller, webhook: &Received, times: &mut Times) {
        let signature = if webhook.is_genuine { "signature valid" } else { "SIGNATURE WRONG" };
        let id = &webhook.id;
        let what = if webhook.path == "/rollback" { "rollback webhook" } else { "alert notice" };
        teller.tell_at(webhook.at, &format!("{what} received, {signature}, webhook-id {id}"));
        match webhook.path.as_str() {
            "/rollback" if webhook.is_genuine && !self.is_rolled_back => {
                self.is_rolled_back = true;
                self.rolled_back_at = Some(Instant::now());
                times.webhook = Some(webhook.at);
            }
            "/alerts" if webhook.is_genuine => self.is_notified = true,
            _ => {}
        }
    }
}

fn is_carried_out(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Fired | Verdict::DryRun)
}
