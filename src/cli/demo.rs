//! `bellwether demo`.

use std::process::ExitCode;

use clap::Args;

use super::arguments::{listen_address, runtime};
use super::signals::Signals;
use crate::demo::{Ending, Scenario, Settings, play};

/// Flags of `demo`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What becomes of the candidate at 25 % of the traffic.
    #[arg(long, default_value = "errors")]
    scenario: Scenario,
    /// End by itself; exit 0 only if it ended as the scenario is to end.
    #[arg(long)]
    once: bool,
    /// Where the page and /metrics listen; port 0 picks one and prints it.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:0",
        value_parser = listen_address
    )]
    listen: String,
    /// Seed of everything the simulated providers draw.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = Settings {
        scenario: arguments.scenario,
        listen: arguments.listen.clone(),
        is_once: arguments.once,
        seed: arguments.seed,
    };
    let ending = runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        play(settings, async move { signals.stop().await }).await
    })?;
    Ok(match ending {
        Ending::AsExpected => ExitCode::SUCCESS,
        Ending::Otherwise | Ending::Interrupted => ExitCode::FAILURE,
    })
}
