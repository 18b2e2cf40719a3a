//! `bellwether check config`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::arguments::loaded;
use crate::app::{LoadError, load_web};
use crate::clock::Clock;
use crate::config::Config;
use crate::probe::Detail;
use crate::slo::{self, Slo};
use crate::telemetry::metrics;
use crate::{config, upstream};

/// Flags of `check config`.
#[derive(Debug, Args)]
pub(super) struct ConfigArguments {
    /// The configuration file.
    #[arg(default_value = "bellwether.yml")]
    path: PathBuf,
    /// Read every secret too, as `run` does at its start.
    #[arg(long)]
    with_secrets: bool,
}

/// Flags of `check web-config`.
#[derive(Debug, Args)]
pub(super) struct WebArguments {
    /// Web configuration files.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

pub(super) fn config(arguments: &ConfigArguments) -> anyhow::Result<ExitCode> {
    let Some(loaded) = loaded(&arguments.path)? else { return Ok(ExitCode::FAILURE) };
    for remark in loaded.remarks() {
        eprintln!("warning: {remark}");
    }
    let mut unread = 0;
    if arguments.with_secrets {
        for (what, source) in config::secrets(&loaded.config) {
            if let Err(error) = upstream::read_secret(&source) {
                eprintln!("{what}: {error}");
                unread += 1;
            }
        }
    }
    let (series, recorded) = (loaded.series_bound(), loaded.recorded_least());
    println!("{}", config::estimate(&loaded.config, series, recorded, Clock::start().now()));
    println!("{}", detail(&loaded.config));
    loaded.config.slos.iter().for_each(outlook);
    for release in &loaded.config.releases {
        println!("{}", release.forecast);
        for remark in release.forecast.remarks() {
            eprintln!("warning: release `{}`: {remark}", release.settings.plan.name);
        }
    }
    let groups: usize = loaded.rules.iter().map(|file| file.groups.len()).sum();
    println!(
        "{}: valid{}; {}, {}, {}, {}, {}, {}",
        arguments.path.display(),
        if unread > 0 { ", but it names secrets that cannot be read" } else { "" },
        count(loaded.config.targets.len(), "target"),
        count(groups, "rule group"),
        count(loaded.config.receivers.len(), "receiver"),
        count(loaded.config.rollbacks.len(), "rollback"),
        count(loaded.config.releases.len(), "release"),
        count(loaded.config.slos.len(), "slo"),
    );
    Ok(if unread == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the metrics of each target are, and are not.
fn detail(config: &Config) -> String {
    let detail = config.global.detail;
    let count = metrics::target_series(&config.targets, detail);
    let name = detail.as_str();
    let left_out: Vec<&str> = metrics::left_out(detail).iter().map(|family| family.name).collect();
    let more = match detail {
        Detail::Full => String::new(),
        Detail::Lean => format!("; not told: {}", left_out.join(", ")),
        Detail::Minimal => format!(
            "; not told: {}; `error_type` is `none` or `any`; histograms hold the thresholds and two \
             bounds",
            left_out.join(", ")
        ),
    };
    format!("metrics: {name}, at most {count} series a target{more}")
}

/// What an objective can tell at the cadence of its targets, and what is odd about that.
fn outlook(slo: &Slo) {
    println!("{}", slo.title());
    for outlook in slo::outlooks(slo) {
        println!("{outlook}");
        let whose: Vec<String> = outlook.targets.iter().map(|id| format!("`{id}`")).collect();
        for remark in &outlook.remarks {
            eprintln!("warning: slo `{}` of {}: {remark}", slo.name, whose.join(", "));
        }
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A web configuration file, with the certificates that it names.
pub(super) fn web(arguments: &WebArguments) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for path in &arguments.paths {
        match load_web(path) {
            Ok(_) => println!("{}: valid", path.display()),
            Err(error @ (LoadError::Mistakes(_) | LoadError::WebMistakes(_))) => {
                eprintln!("{error}");
                code = ExitCode::FAILURE;
            }
            Err(error @ LoadError::Unreadable { .. }) => return Err(error.into()),
        }
    }
    Ok(code)
}
