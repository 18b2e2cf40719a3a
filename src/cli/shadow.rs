//! `bellwether shadow`: stable and candidate side by side on the same questions.

mod limits;
mod plan;
mod progress;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tokio::sync::{mpsc, watch};

use self::limits::LimitFlags;
use self::plan::{Plan, Refused, plan};
use self::progress::Progress;
use super::arguments::{ConfigFile, loaded, runtime};
use super::signals::Signals;
use crate::clock::Clock;
use crate::model::{Money, parse_duration};
use crate::price::parse_scaled;
use crate::prober::{End, Ended, News, compare};
use crate::shadow::{Frame, Report, Tally, Texts, Word, markdown, page, text};
use crate::statistics::Proportion;

/// Flags of `shadow`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each prompt is asked of both targets one right after the other, in an order drawn for each pair, and what came of it is held against the limits. A limit is kept where the whole interval is within it and broken where all of it is beyond; between, the verdict is `insufficient`, and says how many pairs would tell.\n\nA 429 of our own rate limit is waited out, and its pair asked again whole; a provider without capacity counts as it is; a used-up quota or credit ends the comparison. Ctrl-C ends it early with a report of what there is.\n\nExamples:\n  bellwether shadow --stable openai-mini --candidate relay-mini --dry-run\n  bellwether shadow --stable openai-mini --candidate relay-mini --html report.html\n  bellwether shadow --stable a --candidate b --capture traffic.har --rate 2 --max-cost 5 --monthly-requests 3000000\n\nExit codes: 0 pass, 1 failed, 2 wrong usage (or no price, or too dear), 3 could not run, 4 insufficient."
)]
pub(super) struct Arguments {
    /// The target that serves today, by its name in the configuration.
    #[arg(long, value_name = "TARGET")]
    stable: String,
    /// The target that may take its place.
    #[arg(long, value_name = "TARGET")]
    candidate: String,
    #[command(flatten)]
    config: ConfigFile,
    /// What is asked: JSON lines with `prompt` or `messages`, and `id`, `system`, `max_tokens`, `check`.
    /// A set of some fifty short questions ships and is asked where nothing is named.
    #[arg(long, value_name = "FILE", conflicts_with = "capture")]
    prompts: Option<PathBuf>,
    /// Requests to ask again, as JSON lines or HAR; keys and who asked are left out.
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// How many pairs are asked; 600, or each request of a capture once.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pairs: Option<u32>,
    /// End after so long a time, whatever is left.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    duration: Option<Duration>,
    /// How many pairs begin in a second, at most; as many as the lanes carry where absent.
    #[arg(long, value_name = "NUMBER", value_parser = rate)]
    rate: Option<f64>,
    /// How many pairs are under way at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=512))]
    concurrency: u16,
    /// How many pairs are asked beforehand and left out; as many as are under way at once where absent.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(0..=512))]
    warm_up: Option<u16>,
    /// How often a pair is asked again that our own rate limit refused.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    retries: u32,
    /// The seed of what is drawn; one is drawn and told where absent.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// No answer may have more tokens than this, whatever a prompt says.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    /// Leave parameters out that an arm has no word for, in place of the prompts that have them.
    #[arg(long)]
    lenient: bool,
    /// Let this target judge pairs whose answers differ; it sees both.
    #[arg(long, value_name = "TARGET")]
    judge: Option<String>,
    /// What all of it may cost, in US dollars.
    #[arg(long, value_name = "USD", default_value = "1.00", value_parser = dollars)]
    max_cost: Money,
    /// Ask targets without a known price too; what they cost is then in no budget.
    #[arg(long)]
    allow_unpriced: bool,
    /// How many requests a month has, for what a month would cost.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    monthly_requests: u64,
    #[command(flatten)]
    limits: LimitFlags,
    /// The confidence of intervals, in percent.
    #[arg(long, value_name = "PERCENT", default_value = "95", value_parser = confidence)]
    confidence: Proportion,
    /// Keep prompts and answers of some pairs that differ in the report.
    #[arg(long)]
    include_text: bool,
    /// What is written to standard output.
    #[arg(long, default_value = "text")]
    output: Output,
    /// Write the report as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as Markdown too.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the report as one page of HTML too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Say what would be asked and what it may cost, and ask nothing.
    #[arg(long)]
    dry_run: bool,
    /// Leave out the progress on standard error.
    #[arg(long)]
    no_progress: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
    Markdown,
    Html,
}

impl Output {
    fn write(self, report: &Report) -> anyhow::Result<String> {
        Ok(match self {
            Self::Text => text(report),
            Self::Json => serde_json::to_string_pretty(report)? + "\n",
            Self::Markdown => markdown(report),
            Self::Html => page(report),
        })
    }
}

const USAGE: u8 = 2;
const COULD_NOT_RUN: u8 = 3;
const INSUFFICIENT: u8 = 4;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let clock = Clock::start();
    let Some(loaded) = loaded(&arguments.config.path)? else { return Ok(ExitCode::from(USAGE)) };
    let plan = match plan(arguments, &loaded.config.targets, clock.now()) {
        Ok(plan) => plan,
        Err(Refused(lines)) => {
            lines.iter().for_each(|line| eprintln!("bellwether: {line}"));
            return Ok(ExitCode::from(USAGE));
        }
    };
    eprint!("{}", plan.estimate);
    if arguments.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(reason) = plan.too_dear(arguments.max_cost) {
        eprintln!("bellwether: {reason}");
        return Ok(ExitCode::from(USAGE));
    }
    let texts = if arguments.include_text { Texts::Kept } else { Texts::Forgotten };
    let frame = plan.frame.clone();
    let (tally, ended) = runtime()?.block_on(ask(arguments, plan, clock, texts))?;
    let report = tally.report(Frame { written: clock.now().rfc3339(), ..framed(frame, &ended) });
    deliver(arguments, &report)?;
    if let (End::Refused { arm, error_type, detail }, 0) = (&ended.end, report.run.pairs_counted) {
        eprintln!(
            "bellwether: {} cannot be asked: {}: {detail}",
            arm.as_str(),
            error_type.as_str()
        );
        return Ok(ExitCode::from(COULD_NOT_RUN));
    }
    Ok(match report.verdict.word {
        Word::Pass => ExitCode::SUCCESS,
        Word::Failed => ExitCode::FAILURE,
        Word::Insufficient => ExitCode::from(INSUFFICIENT),
    })
}

/// Asks all of it, taking in what comes.
async fn ask(
    arguments: &Arguments,
    plan: Plan,
    clock: Clock,
    texts: Texts,
) -> anyhow::Result<(Tally, Ended)> {
    let mut signals = Signals::listen()?;
    // Lanes wait for whoever takes their news in: a few are always on the way.
    let (news, mut heard) = mpsc::channel(64);
    let (stop, stopped) = watch::channel(false);
    let mut progress =
        (!arguments.no_progress).then(|| Progress::start(plan.comparison.turns.len()));
    let mut tally = Tally::new(texts);
    let asking = compare(plan.comparison, clock, news, stopped);
    tokio::pin!(asking);
    let ended = loop {
        tokio::select! {
            ended = &mut asking => break ended,
            () = signals.stop() => stop.send_modify(|is_stopped| *is_stopped = true),
            Some(one) = heard.recv() => take(one, &mut tally, progress.as_mut()),
        }
    };
    while let Ok(one) = heard.try_recv() {
        take(one, &mut tally, progress.as_mut());
    }
    if let Some(progress) = &mut progress {
        progress.clear();
    }
    Ok((tally, ended))
}

fn take(news: News, tally: &mut Tally, progress: Option<&mut Progress>) {
    match news {
        News::Pair(pair) => {
            tally.take(&pair);
            if let Some(progress) = progress {
                progress.pair(&pair);
            }
        }
        News::Refused { arm, limit, wait } => {
            tally.refused(arm, limit);
            if let Some(progress) = progress {
                progress.refused(arm, limit, wait);
            }
        }
    }
}

/// The frame with how it ended.
fn framed(mut frame: Frame, ended: &Ended) -> Frame {
    let run = &mut frame.run;
    (run.ended, run.ended_because) = match &ended.end {
        End::Complete => ("complete", "all pairs were asked".to_owned()),
        End::Interrupted => ("interrupted", "somebody stopped it".to_owned()),
        End::Time => ("time", "its time was up".to_owned()),
        End::Budget => ("budget", "the next request had no room in what it may cost".to_owned()),
        End::Refused { arm, error_type, detail } => {
            let (arm, error_type) = (arm.as_str(), error_type.as_str());
            ("refused", format!("{arm} refuses, and no wait helps: {error_type}: {detail}"))
        }
    };
    run.repeats = ended.repeats;
    run.seconds = ended.took.as_secs_f64();
    run.spent_usd = ended.spent.usd();
    run.judge_usd = ended.judge.usd();
    frame
}

/// Writes the report wherever it was asked for. Files come first: a closed pipe must not lose them.
fn deliver(arguments: &Arguments, report: &Report) -> anyhow::Result<()> {
    let files = [
        (&arguments.json, Output::Json),
        (&arguments.markdown, Output::Markdown),
        (&arguments.html, Output::Html),
    ];
    for (path, output) in files {
        if let Some(path) = path {
            std::fs::write(path, output.write(report)?)
                .with_context(|| format!("`{}` cannot be written", path.display()))?;
        }
    }
    let written = arguments.output.write(report)?;
    match io::stdout().lock().write_all(written.as_bytes()) {
        // Whoever closed the pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

fn rate(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.000_1 && rate <= 10_000.0 => Ok(rate),
        _ => Err("write how many pairs a second, such as `2` or `0.5`"),
    }
}

fn dollars(text: &str) -> Result<Money, &'static str> {
    let nanos = parse_scaled(text.trim_start_matches('$'), 9);
    nanos.map(Money::from_nanos).ok_or("write dollars, such as `2.50`")
}

fn confidence(text: &str) -> Result<Proportion, &'static str> {
    let percent = text.trim_end_matches('%').trim().parse::<f64>();
    let percent = percent.ok().filter(|percent| (50.0..100.0).contains(percent));
    let alpha = percent.and_then(|percent| Proportion::new(1.0 - percent / 100.0).ok());
    alpha.ok_or("write a number from 50 to below 100, such as `95`")
}
