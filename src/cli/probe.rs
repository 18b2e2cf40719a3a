//! `bellwether probe`.

use std::process::ExitCode;

use clap::Args;

use super::arguments::{ConfigFile, runtime};
use crate::app::load;
use crate::clock::Clock;
use crate::probe::Outcome;
use crate::prober::{Trace, probe_once};
use crate::provider::SloClass;

/// Flags of `probe`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The target's name in the configuration.
    target: String,
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let loaded = load(&arguments.config.path)?;
    let mut targets = loaded.config.targets.iter();
    let Some(target) = targets.find(|target| target.id.as_str() == arguments.target) else {
        let names = loaded.config.targets.iter().map(|target| format!("`{}`", target.id));
        let names: Vec<_> = names.collect();
        anyhow::bail!("no target is called `{}`; known: {}", arguments.target, names.join(", "));
    };
    let (outcome, trace) = runtime()?.block_on(async { probe_once(target, &Clock::start()).await });
    print(&outcome, &trace);
    Ok(match outcome.class {
        SloClass::Good => ExitCode::SUCCESS,
        SloClass::Bad | SloClass::Excluded => ExitCode::FAILURE,
    })
}

fn print(outcome: &Outcome, trace: &Trace) {
    println!("{} {}", trace.method, trace.url.as_deref().unwrap_or("(no request could be built)"));
    for (name, value) in &trace.request_headers {
        println!("> {name}: {value}");
    }
    if let Some(status) = outcome.status {
        println!("< HTTP {status}");
    }
    for (name, value) in &trace.response_headers {
        println!("< {name}: {value}");
    }
    println!();
    for step in &trace.steps {
        println!("{:>10.3} ms  {}", step.at.as_secs_f64() * 1000.0, step.what);
    }
    println!();
    let phases = &outcome.phases;
    for (name, took) in [
        ("dns", phases.dns),
        ("connect", phases.connect),
        ("tls", phases.tls),
        ("headers", phases.headers),
        ("first content", phases.first_content),
        ("stream", phases.stream),
        ("time to first token", outcome.ttft),
        ("time per output token", outcome.time_per_output_token),
        ("total", Some(outcome.total)),
    ] {
        if let Some(took) = took {
            println!("{name:<22}{:>10.3} ms", took.as_secs_f64() * 1000.0);
        }
    }
    if let Some(usage) = outcome.usage {
        println!("{:<22}{:>10} in, {} out", "tokens", usage.input, usage.output);
    }
    if let Some(cost) = outcome.cost {
        println!("{:<22}{:>10}", "cost", cost.to_string());
    }
    if let Some(expires) = outcome.certificate_expires {
        println!("{:<22}{:>10}", "certificate until", expires.rfc3339());
    }
    if let Some(id) = &outcome.request_id {
        println!("{:<22}{:>10}", "request id", id);
    }
    println!(
        "\n{} ({}){}{}",
        outcome.error_type.as_str(),
        outcome.class.as_str(),
        if outcome.detail.is_empty() { "" } else { ": " },
        outcome.detail
    );
}
