//! `bellwether healthcheck`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::arguments::{LISTEN, runtime, server_url, unheard};
use super::http::HttpFile;

/// Flags of `healthcheck`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which bellwether is asked.
    #[arg(long, default_value_t = format!("http://{LISTEN}"), value_parser = server_url)]
    url: String,
    #[command(flatten)]
    http: HttpFile,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let url = format!("{}/-/ready", arguments.url);
    let http = arguments.http.read()?;
    let answer = runtime()?.block_on(async {
        let request = http.client(&url)?.get(&url).timeout(Duration::from_secs(3));
        anyhow::Ok(
            http.authorize(request)
                .await?
                .send()
                .await
                .and_then(|answer| answer.error_for_status()),
        )
    })?;
    Ok(match answer {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("not ready: {}", unheard(&url, &error));
            ExitCode::FAILURE
        }
    })
}
