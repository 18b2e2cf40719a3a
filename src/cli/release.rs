//! `bellwether release` and `bellwether rollback`: what plans do, by a running bellwether or without
//! one.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::arguments::{ConfigFile, loaded, runtime};
use super::notices::{Server, ask};
use crate::app::{load, roll_back_offline};
use crate::clock::Clock;
use crate::model::suggest;
use crate::release::LogEntry;

/// What to ask about.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print for each stage what it takes to pass, and how long, at the configured cadence.
    Plan(PlanArguments),
    /// Rehearse the plan of a rollback; exit 1 if it fails.
    Drill(Named),
    /// Print what the plans of a rollback did, oldest first.
    Log(Named),
}

/// Flags of `release drill` and `release log`.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// The rollback.
    name: String,
    #[command(flatten)]
    server: Server,
}

/// Flags of `rollback`.
#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The rollback.
    name: String,
    /// Carry its plan out from here, by the configuration file alone; needs no running bellwether
    /// and no store.
    #[arg(long, conflicts_with = "url")]
    offline: bool,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    config: ConfigFile,
    /// Where the record goes, if it can be had.
    #[arg(long = "storage.path", value_name = "DIRECTORY", default_value = "data")]
    storage: PathBuf,
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Plan(arguments) => plan(arguments),
        Command::Drill(named) => {
            let (_, answer) = ask(
                &named.server,
                &address(&named.server, &named.name, "drill")?,
                Some(String::new()),
            )?;
            println!("{}", answer["data"]["end"].as_str().unwrap_or_default());
            Ok(code(answer["data"]["isGood"] == true))
        }
        Command::Log(named) => {
            let (_, answer) =
                ask(&named.server, &address(&named.server, &named.name, "log")?, None)?;
            for entry in answer["data"]["log"].as_array().into_iter().flatten() {
                println!("{}", line(entry));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

pub(super) fn roll_back(arguments: &Rollback) -> anyhow::Result<ExitCode> {
    if !arguments.offline {
        let url = address(&arguments.server, &arguments.name, "rollback")?;
        let (_, answer) = ask(&arguments.server, &url, Some(String::new()))?;
        println!("under way as {}", answer["data"]["id"].as_str().unwrap_or_default());
        return Ok(ExitCode::SUCCESS);
    }
    let loaded = load(&arguments.config.path)?;
    let say = |entry: &LogEntry| println!("{}", line(&shown(entry)));
    let end = runtime()?.block_on(roll_back_offline(
        loaded,
        &arguments.name,
        &arguments.storage,
        Clock::start(),
        say,
    ))?;
    println!("{}", end.as_str());
    Ok(code(end.is_good()))
}

fn code(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn address(server: &Server, name: &str, what: &str) -> anyhow::Result<String> {
    let mut url = reqwest::Url::parse(&server.url)?;
    let mut path = url.path_segments_mut().ok().context("write `http://HOST:PORT`")?;
    path.pop_if_empty().extend(["api", "v1", "releases", name, what]);
    drop(path);
    Ok(url.to_string())
}

fn shown(entry: &LogEntry) -> Value {
    let mut shown = serde_json::to_value(entry).unwrap_or_default();
    shown["at"] = Value::String(entry.at().rfc3339());
    shown
}

/// One line: when, which execution, what, and its fields.
fn line(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let mut line = format!("{} {} {}", text("at"), text("run"), text("what"));
    for name in
        ["step", "attempt", "attempts", "is_good", "result", "end", "took_ms", "why", "output"]
    {
        match &entry[name] {
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => line.push_str(&format!(" {name}={}", text.replace('\n', " "))),
            value => line.push_str(&format!(" {name}={value}")),
        }
    }
    line
}

/// Flags of `release plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Which release; may be left out where there is one.
    name: Option<String>,
}

/// Prints what each stage takes, at the configured cadence and traffic.
fn plan(arguments: &PlanArguments) -> anyhow::Result<ExitCode> {
    let Some(loaded) = loaded(&arguments.config.path)? else { return Ok(ExitCode::FAILURE) };
    let releases = &loaded.config.releases;
    let names = || releases.iter().map(|release| release.settings.plan.name.as_str());
    let found = match (&arguments.name, releases.as_slice()) {
        (Some(name), all) => all.iter().find(|release| release.settings.plan.name == *name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let Some(release) = found else {
        let path = arguments.config.path.display();
        let known: Vec<&str> = names().collect();
        match &arguments.name {
            Some(name) => {
                let remedy = suggest::remedy(name, names());
                let remedy = remedy.map_or(String::new(), |remedy| format!(" ({remedy})"));
                eprintln!("no release of `{path}` is called `{name}`{remedy}");
            }
            None if known.is_empty() => eprintln!("`{path}` has no `releases`"),
            None => eprintln!("say which release: {}", known.join(", ")),
        }
        return Ok(ExitCode::FAILURE);
    };
    println!("{}", release.forecast);
    for remark in release.forecast.remarks() {
        eprintln!("warning: release `{}`: {remark}", release.settings.plan.name);
    }
    Ok(ExitCode::SUCCESS)
}
