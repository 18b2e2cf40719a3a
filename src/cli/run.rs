//! `bellwether run`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::arguments::{ConfigFile, LISTEN, listen_address, runtime, server_url};
use super::signals::{Asked, Signals};
use crate::app::{App, Configuration, FollowOptions, Follower, Options, Succession, Wanted};
use crate::clock::Clock;
use crate::threads::Threads;

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
    /// Route by the table of another bellwether, given by its server's URL, and do nothing else.
    #[arg(long = "router.follow", value_name = "URL", value_parser = server_url, requires = "router")]
    follow: Option<String>,
    /// How many threads carry requests; as many as there are cores where it is not given.
    #[arg(long = "router.threads", value_name = "NUMBER", requires = "router")]
    router_threads: Option<NonZeroUsize>,
    /// A file with the bearer token that the one that is followed asks for.
    #[arg(long = "router.follow.token-file", value_name = "FILE", requires = "follow")]
    follow_token: Option<PathBuf>,
    /// TLS of the router, in the format of Prometheus's own web configuration file.
    #[arg(long = "router.config.file", value_name = "FILE", requires = "router")]
    router_web: Option<PathBuf>,
    /// TLS, users and headers, in the format of Prometheus's own web configuration file.
    #[arg(long = "web.config.file", value_name = "FILE")]
    web: Option<PathBuf>,
    /// Where state is kept; locked against a second process.
    #[arg(long = "storage.path", value_name = "DIRECTORY", default_value = "data")]
    storage: PathBuf,
    /// Take over from the bellwether that uses the same storage: its router's socket at once, the rest
    /// when it has stopped, which it then does.
    #[arg(long = "take-over")]
    takes_over: bool,
}

impl Arguments {
    fn succession(&self) -> Succession {
        if self.takes_over { Succession::TakeOver } else { Succession::Alone }
    }

    fn threads(&self) -> Threads {
        Threads::Own(self.router_threads.unwrap_or_else(Threads::available))
    }
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        if let (Some(leader), Some(router)) = (&arguments.follow, &arguments.router) {
            return follow(&arguments, leader, router, signals).await;
        }
        let (succession, router_threads) = (arguments.succession(), arguments.threads());
        let options = Options {
            configuration: Configuration::File(arguments.config.path),
            listen: arguments.listen,
            router: arguments.router,
            router_threads,
            web: arguments.web,
            router_web: arguments.router_web,
            storage: arguments.storage,
            succession,
            clock: Clock::start(),
        };
        let mut app = tokio::select! {
            started = App::start(options) => started?,
            // Whoever waits for another to stop may be told to stop itself.
            () = signals.stop_alone() => return Ok(ExitCode::SUCCESS),
        };
        loop {
            let asked = tokio::select! {
                asked = signals.next() => asked,
                wanted = app.wanted() => match wanted? {
                    Wanted::Reload => Asked::Reload,
                    Wanted::Succession => Asked::Stop,
                },
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

/// Routes by another one's table until SIGTERM.
async fn follow(
    arguments: &Arguments,
    leader: &str,
    router: &str,
    mut signals: Signals,
) -> anyhow::Result<ExitCode> {
    let options = FollowOptions {
        configuration: arguments.config.path.clone(),
        listen: arguments.listen.clone(),
        router: router.to_owned(),
        router_threads: arguments.threads(),
        router_web: arguments.router_web.clone(),
        leader: leader.to_owned(),
        token: arguments.follow_token.clone(),
        storage: arguments.storage.clone(),
        succession: arguments.succession(),
        clock: Clock::start(),
    };
    let follower = tokio::select! {
        started = Follower::start(options) => started?,
        () = signals.stop_alone() => return Ok(ExitCode::SUCCESS),
    };
    loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            () = follower.succeeded() => Asked::Stop,
        };
        match asked {
            Asked::Stop => break,
            Asked::Reload => {
                if let Err(error) = follower.reload().await {
                    tracing::error!("configuration not reloaded, the old one holds: {error:#}");
                }
            }
        }
    }
    tracing::info!("stopping");
    tokio::select! {
        () = follower.stop() => {}
        () = signals.stop() => tracing::warn!("asked twice: stopping at once"),
    }
    Ok(ExitCode::SUCCESS)
}
