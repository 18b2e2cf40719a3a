//! `bellwether query`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::arguments::{LISTEN, runtime, server_url, unheard};
use crate::upstream::Reach;

/// Flags of `query`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The expression.
    expr: String,
    /// Which bellwether, or Prometheus, is asked.
    #[arg(long, default_value_t = format!("http://{LISTEN}"), value_parser = server_url)]
    url: String,
    /// Lines for people or the API's JSON for programs.
    #[arg(long, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let url = format!("{}/api/v1/query", arguments.url);
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("query", &arguments.expr)
        .finish();
    let body = runtime()?.block_on(async {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60));
        let client = match Reach::of(&url) {
            Reach::Loopback => client.no_proxy(),
            Reach::Anywhere => client,
        };
        let client = client.build()?;
        let request = client
            .post(&url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        request.send().await?.text().await
    });
    let body = body.map_err(|error| anyhow::anyhow!("{}", unheard(&url, &error)))?;
    if arguments.output == Output::Json {
        println!("{body}");
    }
    let answer: Value = serde_json::from_str(&body)
        .map_err(|_| anyhow::anyhow!("{url} did not answer as a Prometheus does"))?;
    if answer["status"] != "success" {
        eprintln!("{}", answer["error"].as_str().unwrap_or("the query failed"));
        return Ok(ExitCode::FAILURE);
    }
    if arguments.output == Output::Text {
        print(&answer["data"]);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(data: &Value) {
    let result = &data["result"];
    match data["resultType"].as_str() {
        Some("scalar" | "string") => println!("{}", result[1].as_str().unwrap_or_default()),
        Some("vector") => each(result, |series| {
            println!("{} {}", name(&series["metric"]), text(&series["value"][1]));
        }),
        _ => each(result, |series| {
            println!("{}", name(&series["metric"]));
            each(&series["values"], |point| println!("  {} {}", point[0], text(&point[1])));
        }),
    }
}

fn each(list: &Value, visit: impl FnMut(&Value)) {
    list.as_array().into_iter().flatten().for_each(visit);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn name(metric: &Value) -> String {
    let labels = metric.as_object().into_iter().flatten();
    let pairs = labels.map(|(name, value)| (name.as_str(), text(value)));
    crate::model::Labels::from_pairs(pairs).to_string()
}
