//! `bellwether models`.

use std::process::ExitCode;

use clap::Args;

use super::arguments::{ConfigFile, runtime};
use crate::app::{load, watched_models};
use crate::clock::Clock;
use crate::prober::list_models;
use crate::provider::{Dialect, Listed, Provider, Standing, standing};

/// Flags of `models`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only this provider.
    provider: Option<String>,
    /// Show what the providers list besides, too.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// A line of the table.
type Row = [String; 5];

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config.path)?.config;
    let wanted = arguments.provider.as_deref();
    let is_wanted = |provider: &Provider| wanted.is_none_or(|name| provider.id.as_str() == name);
    let providers: Vec<_> = config
        .providers
        .iter()
        .filter(|provider| provider.dialect != Dialect::Http && is_wanted(provider))
        .collect();
    if let (true, Some(name)) = (providers.is_empty(), wanted) {
        anyhow::bail!("no provider with models is called `{name}`");
    }
    let mut rows: Vec<Row> =
        vec![["PROVIDER", "MODEL", "ASKED AS", "ANSWERS AS", "LISTED"].map(str::to_owned)];
    let mut is_well = true;
    for provider in providers {
        let clock = Clock::start();
        let list = runtime()?.block_on(list_models(provider, &clock));
        let models = watched_models(&config, provider);
        if let Err(error) = &list {
            eprintln!("provider `{}`: {error}", provider.id);
            is_well = false;
        }
        let list = list.ok();
        for model in &models {
            let stands = list.as_ref().map(|list| standing(provider, model, list, clock.now()));
            is_well &= stands != Some(Standing::Missing);
            rows.push(configured(provider, model, stands));
        }
        if arguments.all {
            let list = list.unwrap_or_default();
            rows.extend(list.iter().filter(|listed| !asks(provider, &models, listed)).map(
                |listed| {
                    let id = listed.id.clone();
                    [provider.id.to_string(), "-".to_owned(), id, "-".to_owned(), "yes".to_owned()]
                },
            ));
        }
    }
    print(&rows);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn asks(provider: &Provider, models: &[String], listed: &Listed) -> bool {
    models.iter().any(|model| provider.upstream_model(model) == listed.id)
}

fn configured(provider: &Provider, model: &str, stands: Option<Standing>) -> Row {
    let answering = match provider.answering_model(model) {
        "" => "any",
        name => name,
    };
    let listed = match stands {
        None => "no list".to_owned(),
        Some(Standing::Listed) => "yes".to_owned(),
        Some(Standing::Deprecated(None)) => "deprecated".to_owned(),
        Some(Standing::Deprecated(Some(end))) => {
            format!("deprecated, ends {}", &end.rfc3339()[..10])
        }
        Some(Standing::Missing) => "MISSING".to_owned(),
        Some(Standing::Unknown) => "unknown".to_owned(),
    };
    let asked = provider.upstream_model(model).to_owned();
    [provider.id.to_string(), model.to_owned(), asked, answering.to_owned(), listed]
}

fn print(rows: &[Row]) {
    let mut widths = [0; 5];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let cells = row.iter().zip(widths);
        let line: Vec<String> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", line.join("  ").trim_end());
    }
}
