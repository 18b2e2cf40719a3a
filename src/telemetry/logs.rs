//! Logs to standard error, as text or as JSON lines.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people, and for systemd's journal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging at a level (`error`, `warn`, `info`, `debug`, `trace`); `RUST_LOG` refines it.
/// Other crates speak from `warn` up only: their finer lines may carry headers.
pub fn start_logs(level: tracing::Level, format: LogFormat) {
    let directives = format!("warn,bellwether={}", level.to_string().to_lowercase());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // A second start in one process (tests) keeps the first.
    let _is_first = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    }
    .is_ok();
}
