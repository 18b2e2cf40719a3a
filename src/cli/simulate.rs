//! `bellwether simulate`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;

use super::arguments::{listen_address, runtime};
use super::signals::{Asked, Signals};
use crate::simulator::{Script, Simulator, parse_script};

/// Flags of `simulate`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where it listens; port 0 picks one and prints it.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9780",
        value_parser = listen_address
    )]
    listen: String,
    /// What it plays, as YAML; healthy and fast where absent. SIGHUP reads it again.
    #[arg(long = "script.file", value_name = "FILE")]
    script: Option<PathBuf>,
    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let listener = TcpListener::bind(&arguments.listen)
            .await
            .with_context(|| format!("cannot listen on `{}`", arguments.listen))?;
        let script = read(arguments)?;
        let simulator = Simulator::spawn(listener, script, arguments.seed).await;
        println!("listening on {}", simulator.base_url());
        loop {
            match signals.next().await {
                Asked::Stop => break,
                Asked::Reload => match read(arguments) {
                    Ok(script) => simulator.set(script),
                    Err(error) => eprintln!("bellwether: script not reloaded: {error:#}"),
                },
            }
        }
        simulator.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn read(arguments: &Arguments) -> anyhow::Result<Script> {
    let Some(path) = &arguments.script else { return Ok(Script::default()) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("`{}` cannot be read", path.display()))?;
    parse_script(&path.display().to_string(), &text).map_err(|mistake| anyhow::anyhow!("{mistake}"))
}
