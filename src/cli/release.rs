//! `bellwether release`.

use std::process::ExitCode;

use clap::Args;

use super::arguments::ConfigFile;
use crate::app::{LoadError, load};
use crate::model::suggest;

/// Flags of `release plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Which release; may be left out where there is one.
    name: Option<String>,
}

/// Prints what each stage takes, at the configured cadence and traffic.
pub(super) fn plan(arguments: &PlanArguments) -> anyhow::Result<ExitCode> {
    let loaded = match load(&arguments.config.path) {
        Ok(loaded) => loaded,
        Err(error @ LoadError::Unreadable { .. }) => return Err(error.into()),
        Err(error @ (LoadError::Mistakes(_) | LoadError::WebMistakes(_))) => {
            eprintln!("{error}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let releases = &loaded.config.releases;
    let names = || releases.iter().map(|release| release.plan.name.as_str());
    let found = match (&arguments.name, releases.as_slice()) {
        (Some(name), all) => all.iter().find(|release| release.plan.name == *name),
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
        eprintln!("warning: release `{}`: {remark}", release.plan.name);
    }
    Ok(ExitCode::SUCCESS)
}
