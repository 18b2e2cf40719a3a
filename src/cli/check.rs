//! `bellwether check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::app::{LoadError, load};
use crate::{config, rules, telemetry, upstream};

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

/// Flags of `check rules`.
#[derive(Debug, Args)]
pub(super) struct RulesArguments {
    /// Rule files.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

pub(super) fn config(arguments: &ConfigArguments) -> anyhow::Result<ExitCode> {
    let loaded = match load(&arguments.path) {
        Ok(loaded) => loaded,
        Err(LoadError::Unreadable { path, error }) => {
            anyhow::bail!("`{}` cannot be read: {error}", path.display())
        }
        Err(error @ LoadError::Mistakes(_)) => {
            eprintln!("{error}");
            return Ok(ExitCode::FAILURE);
        }
    };
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    let mut is_complete = true;
    if arguments.with_secrets {
        for (what, source) in config::secrets(&loaded.config) {
            if let Err(error) = upstream::read_secret(&source) {
                eprintln!("{what}: {error}");
                is_complete = false;
            }
        }
    }
    println!("{}", config::estimate(&loaded.config, loaded.series_bound()));
    let groups: usize = loaded.rules.iter().map(|file| file.groups.len()).sum();
    println!(
        "{}: valid; {} targets, {} rule groups, {} receivers, {} rollbacks, {} metric families",
        arguments.path.display(),
        loaded.config.targets.len(),
        groups,
        loaded.config.receivers.len(),
        loaded.config.rollbacks.len(),
        telemetry::metrics::ALL.len()
    );
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) fn rules(arguments: &RulesArguments) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for path in &arguments.paths {
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("`{name}` cannot be read: {error}");
                code = ExitCode::FAILURE;
                continue;
            }
        };
        match rules::parse(&name, &text) {
            Ok(file) => {
                let count: usize = file.groups.iter().map(|group| group.rules.len()).sum();
                println!("{name}: {count} rules found");
            }
            Err(mistakes) => {
                code = ExitCode::FAILURE;
                mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
            }
        }
    }
    code
}
