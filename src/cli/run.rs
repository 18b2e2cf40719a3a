//! `bellwether run`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::arguments::{ConfigFile, LISTEN, listen_address, runtime};
use super::signals::{Asked, Signals};
use crate::app::{App, Configuration, Options};
use crate::clock::Clock;

/// Flags of `run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Where the page, /metrics and the API listen; port 0 picks one and prints it.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = LISTEN,
        value_parser = listen_address
    )]
    listen: String,
    /// Where clients' requests are taken and routed; no router where it is not given.
    #[arg(long = "router.listen-address", value_name = "ADDRESS", value_parser = listen_address)]
    router: Option<String>,
    /// TLS, users and headers, in the format of Prometheus's own web configuration file.
    #[arg(long = "web.config.file", value_name = "FILE")]
    web: Option<PathBuf>,
    /// Where state is kept; locked against a second process.
    #[arg(long = "storage.path", value_name = "DIRECTORY", default_value = "data")]
    storage: PathBuf,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let options = Options {
            configuration: Configuration::File(arguments.config.path),
            listen: arguments.listen,
            router: arguments.router,
            web: arguments.web,
            storage: arguments.storage,
            clock: Clock::start(),
        };
        let mut app = App::start(options).await?;
        loop {
            let asked = tokio::select! {
                asked = signals.next() => asked,
                asked = app.serve_reloads() => asked.map(|()| Asked::Reload)?,
            };
            match asked {
                Asked::Stop => break,
                // What is wrong was logged, and the old configuration holds.
                Asked::Reload => {
                    let _is_taken_up = app.reload().await.is_ok();
                }
            }
        }
        tracing::info!("stopping");
        tokio::select! {
            () = app.stop() => {}
            () = signals.stop() => tracing::warn!("asked twice: stopping at once"),
        }
        Ok(ExitCode::SUCCESS)
    })
}
