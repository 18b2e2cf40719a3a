//! `bellwether release` and `bellwether rollback`: what plans do, by a running bellwether or without
//! one.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::arguments::{ConfigFile, loaded, runtime};
use super::notices::{Server, ask};
use crate::app::{load, roll_back_offline};
use crate::clock::Clock;
use crate::model::suggest;
use crate::release::{Difference, LogEntry, Tick, played_again};

/// What to ask about.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print for each stage what it takes to pass, and how long, at the configured cadence.
    Plan(PlanArguments),
    /// Print where releases stand: state, stage, share, and how each gate stands.
    Status(Status),
    /// Begin a release with the plan of the configuration.
    Start(Forced),
    /// Go to the next stage at once, whatever the evidence.
    Advance(Forced),
    /// Let the next stage begin, as somebody else than who started the release.
    Approve(Named),
    /// Stay in the stage; trouble still rolls back.
    Pause(Named),
    /// Go on after a pause.
    Resume(Named),
    /// Take all of the traffic back to stable.
    Rollback(Named),
    /// Rehearse the plan of a rollback; exit 1 if it fails.
    Drill(Named),
    /// Print what a release and the plans of its rollback did, oldest first.
    Log(Log),
    /// Play a recorded release again and say where it comes out otherwise; exit 1 if it does.
    Replay(Replay),
}

/// Flags of `release status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Which; all where none is named.
    name: Option<String>,
    /// For people or for programs.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
    #[command(flatten)]
    server: Server,
}

/// Flags of `release start` and `release advance`.
#[derive(Debug, Args)]
pub(super) struct Forced {
    #[command(flatten)]
    named: Named,
    /// Do it without a good drill of the rollback and without a second person; goes on record.
    #[arg(long)]
    force: bool,
}

/// Flags of `release log`.
#[derive(Debug, Args)]
pub(super) struct Log {
    #[command(flatten)]
    named: Named,
    /// Lines for people, or a JSON object a line.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

/// Flags of `release replay`.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The release.
    name: String,
    /// Which generation; the last where none is named.
    #[arg(long)]
    generation: Option<u64>,
    /// A record, a JSON object a line, instead of that of a running bellwether; `-` is standard
    /// input.
    #[arg(long, conflicts_with = "url")]
    file: Option<PathBuf>,
    /// Print the record instead, a JSON object a line.
    #[arg(long)]
    export: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
}

/// Which release or rollback, and where.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// The release, or the rollback.
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
        Command::Status(arguments) => status(arguments),
        Command::Start(forced) => order(&forced.named, "start", forced.force),
        Command::Advance(forced) => order(&forced.named, "advance", forced.force),
        Command::Approve(named) => order(named, "approve", false),
        Command::Pause(named) => order(named, "pause", false),
        Command::Resume(named) => order(named, "resume", false),
        Command::Rollback(named) => go_back(&named.server, &named.name),
        Command::Drill(named) => {
            let url = address(&named.server, &named.name, "drill")?;
            let (_, answer) = ask(&named.server, &url, Some(String::new()))?;
            println!("{}", answer["data"]["end"].as_str().unwrap_or_default());
            Ok(code(answer["data"]["isGood"] == true))
        }
        Command::Log(arguments) => {
            let Named { name, server } = &arguments.named;
            let (_, answer) = ask(server, &address(server, name, "log")?, None)?;
            for entry in answer["data"]["log"].as_array().into_iter().flatten() {
                match arguments.output {
                    Form::Json => println!("{entry}"),
                    Form::Text => println!("{}", line(entry)),
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Replay(arguments) => replay(arguments),
    }
}

fn order(named: &Named, what: &str, force: bool) -> anyhow::Result<ExitCode> {
    let mut url = address(&named.server, &named.name, what)?;
    if force {
        url.push_str("?force=true");
    }
    let (_, answer) = ask(&named.server, &url, Some(String::new()))?;
    let text = |name: &str| answer["data"][name].as_str().unwrap_or_default();
    println!("{}: {}", text("state"), text("why"));
    Ok(ExitCode::SUCCESS)
}

fn status(arguments: &Status) -> anyhow::Result<ExitCode> {
    let server = &arguments.server;
    let mut url = reqwest::Url::parse(&server.url)?;
    let mut path = url.path_segments_mut().ok().context("write `http://HOST:PORT`")?;
    path.pop_if_empty().extend(["api", "v1", "releases"]);
    drop(path);
    let (_, answer) = ask(server, url.as_str(), None)?;
    let all = answer["data"]["releases"].as_array().cloned().unwrap_or_default();
    let is_asked = |entry: &&Value| {
        let is_named = |name: &String| entry["name"] == name.as_str();
        !entry["release"].is_null() && arguments.name.as_ref().is_none_or(is_named)
    };
    let asked: Vec<&Value> = all.iter().filter(is_asked).collect();
    if let (Some(name), true) = (&arguments.name, asked.is_empty()) {
        let names: Vec<&str> = all.iter().filter_map(|entry| entry["name"].as_str()).collect();
        let remedy = suggest::remedy(name, names);
        anyhow::bail!(
            "no release has the name `{name}`{}",
            remedy.map_or(String::new(), |it| format!(" ({it})"))
        );
    }
    for entry in asked {
        match arguments.output {
            Form::Json => println!("{entry}"),
            Form::Text => print!("{}", standing(entry)),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a release stands, for people.
fn standing(entry: &Value) -> String {
    let (release, name) = (&entry["release"], entry["name"].as_str().unwrap_or_default());
    let text = |name: &str| release[name].as_str().unwrap_or_default().to_owned();
    let stages = release["stages"].as_array().map_or(0, Vec::len);
    let mut lines = format!("{name}: {}, generation {}", text("state"), release["generation"]);
    if let Some(stage) = release["stage"].as_u64() {
        let (share, since) = (&release["share"], text("stageEnteredAt"));
        lines.push_str(&format!(", stage {stage} of {stages}, {share} %, since {since}"));
    }
    lines.push('\n');
    if let Some(why) = release["report"]["why"].as_str() {
        lines.push_str(&format!("  {why}\n"));
    }
    for gate in release["report"]["gates"].as_array().into_iter().flatten() {
        lines.push_str(&format!("  gate {}\n", gate["text"].as_str().unwrap_or_default()));
    }
    if let Some(why) = release["undrilled"].as_str() {
        lines.push_str(&format!("  drill: {why}\n"));
    }
    for told in release["told"].as_array().into_iter().flatten() {
        let text = |name: &str| told[name].as_str().unwrap_or_default();
        lines.push_str(&format!("  told {} since {}\n", text("event"), text("since")));
    }
    lines
}

/// Plays a record again, or prints it.
fn replay(arguments: &Replay) -> anyhow::Result<ExitCode> {
    let ticks = match &arguments.file {
        Some(path) if path.as_os_str() == "-" => read(&std::io::read_to_string(std::io::stdin())?)?,
        Some(path) => {
            let text = std::fs::read_to_string(path);
            read(&text.with_context(|| format!("`{}` cannot be read", path.display()))?)?
        }
        None => {
            let mut url = address(&arguments.server, &arguments.name, "record")?;
            if let Some(generation) = arguments.generation {
                url.push_str(&format!("?generation={generation}"));
            }
            let (_, answer) = ask(&arguments.server, &url, None)?;
            serde_json::from_value(answer["data"]["record"].clone())
                .context("the record of the running bellwether cannot be read")?
        }
    };
    if arguments.export {
        for tick in &ticks {
            println!("{}", serde_json::to_string(tick)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::ensure!(!ticks.is_empty(), "nothing of `{}` is on record", arguments.name);
    let (state, report, differences) = played_again(&ticks)
        .map_err(|number| anyhow::anyhow!("step {number} of the record cannot be read"))?;
    for Difference { number, recorded, played } in &differences {
        println!("step {number} comes out otherwise\n  recorded {recorded}\n  played   {played}");
    }
    for tick in ticks.iter().filter(|tick| tick.is_news) {
        let report: Value = serde_json::from_str(&tick.report).unwrap_or_default();
        let why = report["why"].as_str().unwrap_or_default();
        println!("{} {} {why}", tick.at().rfc3339(), tick.state);
    }
    let why = report.map_or_else(String::new, |report| report.why);
    let count = differences.len();
    println!("{} steps, {count} come out otherwise; ends {}: {why}", ticks.len(), state.as_str());
    Ok(code(differences.is_empty()))
}

fn read(text: &str) -> anyhow::Result<Vec<Tick>> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let tick = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("line {number} is no step of a release"))
    };
    lines.map(tick).collect()
}

fn go_back(server: &Server, name: &str) -> anyhow::Result<ExitCode> {
    let (_, answer) = ask(server, &address(server, name, "rollback")?, Some(String::new()))?;
    println!("under way as {}", answer["data"]["id"].as_str().unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn roll_back(arguments: &Rollback) -> anyhow::Result<ExitCode> {
    if !arguments.offline {
        return go_back(&arguments.server, &arguments.name);
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
    let fields = [
        "state", "stage", "passedOn", "hold", "step", "attempt", "attempts", "is_good", "result",
        "end", "took_ms", "why", "output",
    ];
    for name in fields {
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
