//! `bellwether query`: PromQL from the shell, for people and for programs.

mod exchange;
mod look;
mod refusal;
mod sparkline;
mod table;
mod window;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

pub(super) use self::exchange::{Header, Server};
use self::look::Look;
pub(super) use self::window::Moment;
use self::window::{Span, Window};
use super::arguments::{LISTEN, runtime};
use super::http::HttpFile;
use crate::clock::Clock;

/// Flags of `query`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bellwether query 'up'\n  bellwether query --time -5m 'ALERTS'\n  bellwether query --range 1h 'sum by (target) (rate(bellwether_probe_runs_total[5m]))'\n  bellwether query --start 2026-01-30T12:00:00Z --end 2026-01-30T13:00:00Z --step 1m 'up'\n\nTimes are RFC 3339, seconds since 1970, `now`, or as long ago as `-5m` says.\nBehind a range, each line of blocks is drawn on its own scale from min to max; where several values share one place, the largest is drawn, and a gap is a blank.\n\nExit codes: 0 answered, 1 refused or not answered, 2 wrong usage."
)]
pub(super) struct Arguments {
    /// The expression.
    expr: String,
    /// When it is evaluated; now where absent.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with_all = ["range", "start", "end", "step"])]
    time: Option<Moment>,
    /// Evaluate over so long a time, up to now or `--end`, or from `--start` on.
    #[arg(long, value_name = "DURATION")]
    range: Option<Span>,
    /// Where a range begins.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<Moment>,
    /// Where a range ends; now where absent.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<Moment>,
    /// Time between two values of a range; a 250th of it where absent, and a second at least.
    #[arg(long, value_name = "DURATION")]
    step: Option<Span>,
    /// Which bellwether, or Prometheus, is asked; `http://NAME:PASSWORD@HOST` signs in.
    #[arg(long, default_value_t = Server::at(LISTEN))]
    url: Server,
    /// A further header of the request, `NAME: VALUE`; may be repeated.
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<Header>,
    #[command(flatten)]
    http: HttpFile,
    /// A table for people or the API's JSON for programs.
    #[arg(long, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let now = Clock::start().now();
    let window = match Window::of(arguments, now) {
        Ok(window) => window,
        Err(mistake) => {
            eprintln!("bellwether: {mistake}");
            return Ok(ExitCode::from(2));
        }
    };
    let (path, times) = window.request();
    let mut parameters = vec![("query", arguments.expr.clone())];
    parameters.extend(times);
    let http = arguments.http.read()?;
    let asked = arguments.url.ask(path, &parameters, &arguments.headers, &http);
    let asked = runtime()?.block_on(asked);
    let body = match asked {
        Ok(body) => body,
        Err(reason) => {
            eprintln!("bellwether: {reason}");
            return Ok(ExitCode::FAILURE);
        }
    };
    if arguments.output == Output::Json {
        println!("{}", body.text);
    }
    let answer = &body.answer;
    let errors = Look::of_errors();
    if answer["status"] != "success" {
        let reason = answer["error"].as_str().unwrap_or("the query failed");
        eprint!("{}", refusal::shown(reason, &arguments.expr, &errors));
        return Ok(ExitCode::FAILURE);
    }
    for kind in ["warnings", "infos"] {
        for remark in answer[kind].as_array().into_iter().flatten().filter_map(Value::as_str) {
            eprintln!("{}", refusal::remark(remark, &errors));
        }
    }
    if arguments.output == Output::Text {
        print!("{}", table::shown(&answer["data"], &window, &Look::of_output()));
    }
    Ok(ExitCode::SUCCESS)
}
