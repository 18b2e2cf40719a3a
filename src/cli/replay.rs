//! `bellwether replay`.

mod progress;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::Url;

use self::progress::Bar;
use super::arguments::{LISTEN, runtime};
use super::query::{Header, Moment};
use super::rule_files::read;
use crate::app::{LoadError, Loaded, load};
use crate::clock::Clock;
use crate::engine;
use crate::model::{Labels, Mistake, parse_duration};
use crate::probe::Calendar;
use crate::replay::{Origin, Outcome, Replay, Request, Server};
use crate::rules::{self, RuleFile};
use crate::series;

/// Flags of `replay`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bellwether replay -c bellwether.yml --from -6h\n  bellwether replay --rules alerts.yml --source http://prometheus:9090 --from -7d --to -6d\n  bellwether replay --rules alerts.yml --against stricter.yml --source data\n\nTimes are RFC 3339, seconds since 1970, `now`, or as long ago as `-6h` says.\nA data directory is only read: a run that holds it is not disturbed. With a configuration, its receivers and rollbacks are played too; rules alone have none.\nA group of one name is evaluated at the same times in `--rules` and `--against`, whatever the files are called.\n\nExit codes: 0 played, 1 `--against` differs, 2 wrong usage, 3 history or rules cannot be read."
)]
pub(super) struct Arguments {
    /// The configuration: its rules, receivers and rollbacks are played. `bellwether.yml` where no
    /// rules are given.
    #[arg(short = 'c', long = "config.file", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Rule files, in place of those of the configuration.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// Rule files to compare with: says which alerts and rollbacks would have been other ones.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    against: Vec<PathBuf>,
    /// Where samples come from: a data directory, or the URL of a Prometheus, which may hold
    /// `NAME:PASSWORD@`.
    #[arg(long, value_name = "DIRECTORY|URL", default_value = "data")]
    source: String,
    /// A further header for a server, `NAME: VALUE`; may be repeated.
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<Header>,
    /// Where it begins: with the first sample of a directory, or a day before its end at a server.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<Moment>,
    /// Where it ends: with the last sample of a directory, or now at a server.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<Moment>,
    /// For how long rules run before it begins, so that alerts are as they were; as long as `for` and
    /// recorded series need where absent.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    warm_up: Option<Duration>,
    /// How often groups are evaluated that name no interval; the configuration's, or 15s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    evaluation_interval: Option<Duration>,
    /// Lines for people, or an object a line for programs.
    #[arg(long, default_value = "text")]
    output: Output,
    /// Leave out the progress on standard error.
    #[arg(long)]
    no_progress: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let request = request(arguments)?;
    let bar = (!arguments.no_progress).then(Bar::start);
    let outcome = runtime()?.block_on(play(request, arguments.output, bar))?;
    print(&outcome, arguments.output)?;
    let differs = outcome.differences.is_some_and(|differences| !differences.is_empty());
    Ok(if differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn play(request: Request, output: Output, mut bar: Option<Bar>) -> anyhow::Result<Outcome> {
    let mut replay = Replay::open(request)?;
    loop {
        let progress = tokio::select! {
            progress = replay.next() => progress,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        };
        // What an error says must not stand behind half a bar.
        if let Some(bar) = &mut bar {
            bar.clear();
        }
        let Some(progress) = progress? else { break };
        let mut out = io::stdout().lock();
        for entry in &progress.entries {
            match output {
                Output::Text => writeln!(out, "{entry}")?,
                Output::Json => writeln!(out, "{}", entry.to_json())?,
            }
        }
        out.flush()?;
        if let Some(bar) = &mut bar {
            bar.show(&progress);
        }
    }
    Ok(replay.finish())
}

fn print(outcome: &Outcome, output: Output) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let differences = outcome.differences.as_deref();
    match output {
        Output::Text => {
            write!(out, "\n{}", outcome.summary)?;
            match differences {
                None => {}
                Some([]) => writeln!(out, "the other rules make no difference")?,
                Some(differences) => {
                    writeln!(out, "differences with the other rules:")?;
                    for difference in differences {
                        writeln!(out, "  {difference}")?;
                    }
                }
            }
        }
        Output::Json => {
            for difference in differences.into_iter().flatten() {
                writeln!(out, "{}", difference.to_json())?;
            }
            writeln!(out, "{}", outcome.summary.to_json())?;
        }
    }
    out.flush()
}

fn request(arguments: &Arguments) -> anyhow::Result<Request> {
    let path = match (&arguments.config, arguments.rules.is_empty()) {
        (Some(path), _) => Some(path.as_path()),
        (None, true) => Some(Path::new("bellwether.yml")),
        (None, false) => None,
    };
    let loaded = path.map(load).transpose()?;
    let mut mistakes = Vec::new();
    let own = parse(&arguments.rules, &mut mistakes)?;
    let other = parse(&arguments.against, &mut mistakes)?;
    if !mistakes.is_empty() {
        return Err(LoadError::Mistakes(mistakes).into());
    }
    let settings = |files: Option<Vec<RuleFile>>| settings(loaded.as_ref(), files, arguments);
    let now = Clock::start().now();
    Ok(Request {
        settings: settings((!own.is_empty()).then_some(own)),
        against: (!other.is_empty()).then(|| settings(Some(other))),
        origin: origin(arguments)?,
        from: arguments.from.map(|moment| moment.from(now)),
        to: arguments.to.map(|moment| moment.from(now)),
        warm_up: arguments.warm_up,
        now,
    })
}

fn parse(paths: &[PathBuf], mistakes: &mut Vec<Mistake>) -> anyhow::Result<Vec<RuleFile>> {
    let mut files = Vec::new();
    for path in paths {
        let text = read(path).map_err(anyhow::Error::msg)?;
        match rules::parse(&path.display().to_string(), &text) {
            Ok(file) => files.push(file),
            Err(found) => mistakes.extend(found),
        }
    }
    Ok(files)
}

/// What the engine works by: the configuration's, or what holds without one.
fn settings(
    loaded: Option<&Loaded>,
    files: Option<Vec<RuleFile>>,
    arguments: &Arguments,
) -> engine::Settings {
    let address: SocketAddr = LISTEN.parse().expect("the default is an address");
    let mut settings = match loaded {
        Some(loaded) => {
            let mut settings = loaded.engine_settings(address);
            // They tell of now, and history is none of their business.
            settings.heartbeats.clear();
            if let Some(files) = files {
                settings.rules = loaded.rules_with(files);
            }
            settings
        }
        None => plain(files.unwrap_or_default()),
    };
    if let Some(interval) = arguments.evaluation_interval {
        settings.evaluation_interval = interval;
    }
    settings
}

/// Rules alone, with the defaults of a configuration.
fn plain(rules: Vec<RuleFile>) -> engine::Settings {
    engine::Settings {
        targets: Vec::new(),
        calendar: Calendar::default(),
        rules,
        evaluation_interval: Duration::from_secs(15),
        rule_query_offset: Duration::ZERO,
        releases: Vec::new(),
        external_labels: Labels::empty(),
        external_url: format!("http://{LISTEN}"),
        receivers: Vec::new(),
        route: None,
        alertmanagers: Vec::new(),
        heartbeats: Vec::new(),
        rollbacks: Vec::new(),
        slos: Vec::new(),
        store: series::Settings {
            retention: Duration::from_secs(24 * 3600),
            size_max_bytes: 1 << 30,
            series_max: 1_000_000,
        },
        series_room: None,
    }
}

fn origin(arguments: &Arguments) -> anyhow::Result<Origin> {
    let source = &arguments.source;
    if !source.contains("://") {
        return Ok(Origin::Archive(PathBuf::from(source)));
    }
    // It may hold a password, so it is not repeated.
    let wrong = || anyhow::anyhow!("`--source` is no URL such as `http://HOST:PORT`");
    let url = Url::parse(source).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong());
    }
    Ok(Origin::Server(Server::new(url, Header::map(&arguments.headers))))
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}
