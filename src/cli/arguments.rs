//! What can be asked for.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::{
    check, check_rules, convert, cost, demo, healthcheck, init, models, notices, notify, prices,
    probe, query, release, replay, run, shadow, simulate, slo, test, token,
};
use crate::app::{LoadError, Loaded, load};
use crate::telemetry::{LogFormat, start_logs};
use crate::upstream::describe;

/// Where bellwether listens unless told otherwise.
pub(super) const LISTEN: &str = "127.0.0.1:9779";

/// Probes LLM providers with real completions, judges them with Prometheus rules, and fires the
/// rollback.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "First steps:\n  bellwether demo --once                    see the whole job in half a minute\n  bellwether init --url https://api.openai.com --key-variable OPENAI_API_KEY > bellwether.yml\n  bellwether check config bellwether.yml    every mistake at once, and what it will cost\n  bellwether run -c bellwether.yml\n\nRules:\n  bellwether check rules rules/*.yml        mistakes, and what is valid but odd\n  bellwether test rules tests/*_test.yml    promtool's unit tests, with promtool's verdicts\n\nExit codes: 0 success, 1 something is wrong with what was checked, 2 wrong usage, 3 could not run."
)]
struct Cli {
    #[command(flatten)]
    log: Log,
    #[command(subcommand)]
    command: Command,
}

/// How bellwether logs, to standard error.
#[derive(Debug, Args)]
struct Log {
    /// Log from this level up: error, warn, info, debug, trace.
    #[arg(
        long = "log.level",
        global = true,
        value_name = "LEVEL",
        default_value = "info",
        display_order = 900
    )]
    level: tracing::Level,
    /// Write log lines for people or for programs.
    #[arg(
        long = "log.format",
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        display_order = 901
    )]
    format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Probe, export, judge and act until SIGTERM; SIGHUP reloads the configuration.
    Run(run::Arguments),
    /// Show the whole job on loopback, with two simulated providers; needs nothing.
    Demo(demo::Arguments),
    /// Play a provider of every dialect, healthy or failing as scripted.
    Simulate(simulate::Arguments),
    /// Find every mistake in a file without running anything.
    #[command(subcommand)]
    Check(Check),
    /// Turn the service level objectives of a configuration into Prometheus rules.
    #[command(subcommand)]
    Slo(Slo),
    /// Run unit tests, in promtool's format.
    #[command(subcommand)]
    Test(Test),
    /// Write a first configuration from one URL and the name of a key's variable.
    Init(init::Arguments),
    /// Print a new bearer token, once, and the entry of `web: tokens:` that knows it by its hash.
    Token(token::Arguments),
    /// Run one probe of a configured target and print every phase, redacted.
    Probe(probe::Arguments),
    /// Ask two targets the same questions side by side, and report what differs and what it costs.
    Shadow(Box<shadow::Arguments>),
    /// Ask providers which models they have, and print how the configured ones stand.
    Models(models::Arguments),
    /// Tell a request or a response in the words of the other dialect, as the router does.
    Convert(convert::Arguments),
    /// Evaluate a PromQL expression on a running bellwether (or any Prometheus).
    Query(query::Arguments),
    /// Print what was spent, and what the candidate would have cost for the same traffic.
    Cost(cost::Arguments),
    /// What the configured models cost, and prices from LiteLLM's file.
    #[command(subcommand)]
    Prices(prices::Command),
    /// List the outbox of a running bellwether, and send again what was given up.
    #[command(subcommand)]
    Notices(notices::Command),
    /// Start, watch and move releases; rehearse their rollbacks; play their record again.
    #[command(subcommand)]
    Release(release::Command),
    /// Roll back now, by a running bellwether or, with `--offline`, without one.
    Rollback(release::Rollback),
    /// Try what the configuration says about receivers.
    #[command(subcommand)]
    Notify(notify::Command),
    /// Play rules over history, from a data directory or a Prometheus; nothing is sent.
    Replay(replay::Arguments),
    /// Exit 0 if a running bellwether is ready; for container health checks.
    Healthcheck(healthcheck::Arguments),
}

#[derive(Debug, Subcommand)]
enum Check {
    /// A configuration and the rule files it names; prints what it will cost.
    Config(check::ConfigArguments),
    /// Prometheus rule files: mistakes as Prometheus refuses them, and remarks.
    Rules(check_rules::RulesArguments),
    /// Web configuration files: TLS, users and headers of the server.
    WebConfig(check::WebArguments),
}

#[derive(Debug, Subcommand)]
enum Test {
    /// Unit tests of Prometheus rule files: the same files and verdicts as `promtool test rules`.
    Rules(test::RulesArguments),
}

#[derive(Debug, Subcommand)]
enum Slo {
    /// Print the rule file that bellwether's own engine runs for `slos:`, for any Prometheus.
    Generate(slo::GenerateArguments),
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let quiet = matches!(cli.command, Command::Demo(_)) && cli.log.level == tracing::Level::INFO;
    start_logs(if quiet { tracing::Level::ERROR } else { cli.log.level }, cli.log.format);
    let ended = match cli.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Check(Check::Config(arguments)) => check::config(&arguments),
        Command::Slo(Slo::Generate(arguments)) => slo::generate(&arguments),
        Command::Check(Check::Rules(arguments)) => Ok(check_rules::rules(&arguments)),
        Command::Test(Test::Rules(arguments)) => test::rules(&arguments),
        Command::Check(Check::WebConfig(arguments)) => check::web(&arguments),
        Command::Token(arguments) => Ok(token::run(&arguments)),
        Command::Init(arguments) => Ok(init::run(&arguments)),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Shadow(arguments) => shadow::run(&arguments),
        Command::Models(arguments) => models::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Query(arguments) => query::run(&arguments),
        Command::Cost(arguments) => cost::run(&arguments),
        Command::Prices(command) => prices::run(&command),
        Command::Notices(command) => notices::run(&command),
        Command::Release(command) => release::run(&command),
        Command::Rollback(arguments) => release::roll_back(&arguments),
        Command::Notify(command) => notify::run(&command),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bellwether: {error:#}");
            if is_missing_file(&error) {
                eprintln!("`bellwether init` writes a first configuration");
            }
            ExitCode::from(3)
        }
    }
}

fn is_missing_file(error: &anyhow::Error) -> bool {
    let Some(LoadError::Unreadable { error, .. }) = error.downcast_ref() else { return false };
    error.kind() == std::io::ErrorKind::NotFound
}

/// Names a file, for flags that several commands share.
#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The configuration file.
    #[arg(
        short = 'c',
        long = "config.file",
        value_name = "FILE",
        default_value = "bellwether.yml"
    )]
    pub path: PathBuf,
}

/// Reads where to listen; as in Prometheus, `:PORT` stands for every interface.
pub(super) fn listen_address(text: &str) -> Result<String, &'static str> {
    match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => {
            Ok(if host.is_empty() { format!("0.0.0.0:{port}") } else { text.to_owned() })
        }
        _ => Err("write `HOST:PORT`, or `:PORT` for every interface"),
    }
}

/// Reads which server is asked; without a scheme it is plain HTTP.
pub(super) fn server_url(text: &str) -> Result<String, &'static str> {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    match reqwest::Url::parse(&url) {
        Ok(parsed) if parsed.has_host() => Ok(url.trim_end_matches('/').to_owned()),
        _ => Err("write `http://HOST:PORT`"),
    }
}

/// Why a server gave no answer of use: its status, or the innermost cause, which says most.
pub(super) fn unheard(url: &str, error: &reqwest::Error) -> String {
    let url = without_user(url);
    match error.status() {
        Some(status) => format!("`{url}` answers {status}"),
        None => format!("`{url}` does not answer: {}", describe(error)),
    }
}

/// A URL as it may be shown: `user:password@` is left out.
pub(super) fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// Reads a configuration. Nothing where it has mistakes, which are printed; a file that cannot be
/// read is an error.
pub(super) fn loaded(path: &Path) -> Result<Option<Loaded>, LoadError> {
    match load(path) {
        Ok(loaded) => Ok(Some(loaded)),
        Err(error @ LoadError::Unreadable { .. }) => Err(error),
        Err(error @ (LoadError::Mistakes(_) | LoadError::WebMistakes(_))) => {
            eprintln!("{error}");
            Ok(None)
        }
    }
}

/// A runtime for everything that waits.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn a_url_is_shown_without_its_user() {
        for (url, expected) in [
            ("http://alice:hush@h:9779/x?a=@", "http://h:9779/x?a=@"),
            ("http://a@b@h", "http://h"),
            ("http://h/@", "http://h/@"),
            ("https://[::1]:1/", "https://[::1]:1/"),
        ] {
            assert_eq!(without_user(url), expected);
        }
    }

    #[test]
    fn an_address_may_leave_out_the_host_and_never_the_port() {
        for (text, expected) in [
            (LISTEN, Some(LISTEN)),
            (":0", Some("0.0.0.0:0")),
            ("[::1]:9779", Some("[::1]:9779")),
            ("localhost:80", Some("localhost:80")),
            ("127.0.0.1", None),
            ("9779", None),
            ("localhost:http", None),
            ("", None),
        ] {
            assert_eq!(listen_address(text).ok().as_deref(), expected, "{text}");
        }
    }

    // Two arguments of one name are found when a command is used, by whoever uses it.
    #[test]
    fn every_command_is_sound() {
        Cli::command().debug_assert();
    }
}
