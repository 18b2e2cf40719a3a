//! `bellwether slo`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::arguments::{ConfigFile, loaded};
use crate::slo;

/// Flags of `slo generate`.
#[derive(Debug, Args)]
pub(super) struct GenerateArguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Where the rule file is written; `-` is standard output.
    #[arg(short = 'o', long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

pub(super) fn generate(arguments: &GenerateArguments) -> anyhow::Result<ExitCode> {
    let Some(loaded) = loaded(&arguments.config.path)? else { return Ok(ExitCode::FAILURE) };
    let slos = &loaded.config.slos;
    if slos.is_empty() {
        eprintln!("warning: `{}` has no `slos`", arguments.config.path.display());
    }
    write(&arguments.output, &slo::generate(slos))?;
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if path == Path::new("-") {
        print!("{text}");
        return Ok(());
    }
    std::fs::write(path, text).with_context(|| format!("`{}` cannot be written", path.display()))
}
