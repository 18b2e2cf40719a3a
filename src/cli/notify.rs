//! `bellwether notify`: tries what the configuration says about receivers.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::arguments::{ConfigFile, LISTEN, runtime};
use crate::app::load;
use crate::clock::Clock;
use crate::config::Config;
use crate::notice::{Endpoint, Guard, Notice, Policy, Receiver, endpoints, trial};
use crate::notifier::{Ending, Notifier, Report};
use crate::telemetry::Telemetry;

/// What to try.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Send a test notice and its end through a receiver now, once each, and say what was answered.
    Test(Test),
}

/// Flags of `notify test`.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// The receiver's name in the configuration.
    receiver: String,
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::Test(arguments) = command;
    let config = load(&arguments.config.path)?.config;
    let named = |receiver: &&Receiver| receiver.name == arguments.receiver;
    let Some(receiver) = config.receivers.iter().find(named) else {
        let names = config.receivers.iter().map(|receiver| format!("`{}`", receiver.name));
        let names: Vec<_> = names.collect();
        anyhow::bail!(
            "no receiver is called `{}`; known: {}",
            arguments.receiver,
            names.join(", ")
        );
    };
    if receiver.integrations.is_empty() {
        anyhow::bail!("receiver `{}` tells nobody: it has no integration", receiver.name);
    }
    let is_well = runtime()?.block_on(test(receiver, &config));
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether everything was taken.
async fn test(receiver: &Receiver, config: &Config) -> bool {
    let clock = Clock::start();
    let external_url = config.global.external_url.clone();
    let external_url = external_url.unwrap_or_else(|| format!("http://{LISTEN}"));
    let notices = trial(receiver, &external_url, clock.now());
    let guard = Guard::new(&config.global.allowed_networks);
    let endpoints = endpoints(std::slice::from_ref(receiver), &[], &[], [], &guard);
    // Somebody waits for the answer, so nothing is tried again.
    let once = |endpoint| Endpoint { policy: Policy::Once, ..endpoint };
    let endpoints = endpoints.into_iter().map(once).collect();
    let (notifier, mut reports) = Notifier::spawn(endpoints, clock, Telemetry::new());
    let mut is_well = true;
    for notice in &notices {
        notifier.send(notice.delivery.clone());
        let Some(report) = reports.recv().await else { return false };
        is_well &= print(notice, &report);
    }
    is_well
}

/// One line: where to, what, and what became of it. Returns whether it was taken.
fn print(notice: &Notice, report: &Report) -> bool {
    let what = if !notice.firing.is_empty() { "test" } else { "its end" };
    println!("{}  {what}: {}", report.hook, report.ending);
    for error in &notice.template_errors {
        println!("{}  template of {error}", report.hook);
    }
    matches!(report.ending, Ending::Delivered { .. }) && notice.template_errors.is_empty()
}
