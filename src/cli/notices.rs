//! `bellwether notices`: the outbox of a running bellwether.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::arguments::{LISTEN, runtime, server_url, unheard, without_user};
use super::http::HttpFile;

/// As long as the longest plan of a rollback may take, and a little more.
const TIMEOUT: Duration = Duration::from_secs(660);

/// What to do with the outbox.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what waits and what was given up, newest first.
    List(List),
    /// Send what was given up again, under the same id.
    Resend(Resend),
}

/// Flags of `notices list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those that wait, or only those that were given up.
    #[arg(long)]
    state: Option<State>,
    #[command(flatten)]
    server: Server,
    /// Lines for people or the API's JSON for programs.
    #[arg(long, default_value = "text")]
    output: Output,
}

/// Flags of `notices resend`.
#[derive(Debug, Args)]
pub(super) struct Resend {
    /// The ids, as `notices list` shows them.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// Everything that was given up.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(super) struct Server {
    /// Which bellwether is asked; `http://NAME:PASSWORD@HOST` signs in.
    #[arg(long, default_value_t = format!("http://{LISTEN}"), value_parser = server_url)]
    pub(super) url: String,
    #[command(flatten)]
    http: HttpFile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    Pending,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(arguments) => list(arguments),
        Command::Resend(arguments) => resend(arguments),
    }
}

fn list(arguments: &List) -> anyhow::Result<ExitCode> {
    let query = match arguments.state {
        None => "",
        Some(State::Pending) => "?state=pending",
        Some(State::Dead) => "?state=dead",
    };
    let url = format!("{}/api/v1/notices{query}", arguments.server.url);
    let (body, answer) = ask(&arguments.server, &url, None)?;
    if arguments.output == Output::Json {
        println!("{body}");
        return Ok(ExitCode::SUCCESS);
    }
    let notices = answer["data"]["notices"].as_array();
    for notice in notices.into_iter().flatten() {
        println!("{}", line(notice));
    }
    if notices.is_none_or(Vec::is_empty) {
        eprintln!("nothing is in the outbox");
    }
    Ok(ExitCode::SUCCESS)
}

/// One letter: state, id, where to, since when, and why it was given up.
fn line(notice: &Value) -> String {
    let text = |name: &str| notice[name].as_str().unwrap_or_default();
    let attempts = notice["attempts"].as_u64().unwrap_or_default();
    let mut line =
        format!("{:<7} {}  {}  {}", text("state"), text("id"), text("hook"), text("decidedAt"));
    if !text("why").is_empty() {
        line.push_str(&format!("  {} ({attempts} attempts)", text("why")));
    }
    line
}

fn resend(arguments: &Resend) -> anyhow::Result<ExitCode> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    if arguments.all {
        form.append_pair("all", "true");
    }
    arguments.ids.iter().for_each(|id| {
        form.append_pair("id", id);
    });
    let url = format!("{}/api/v1/notices/resend", arguments.server.url);
    let (_, answer) = ask(&arguments.server, &url, Some(form.finish()))?;
    let resent = answer["data"]["resent"].as_array();
    for letter in resent.into_iter().flatten() {
        let text = |name: &str| letter[name].as_str().unwrap_or_default();
        println!("resent {}  {}", text("id"), text("hook"));
    }
    let missing: Vec<&str> = answer["data"]["notDead"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for id in &missing {
        eprintln!(
            "no dead letter has the id `{id}`; `bellwether notices list --state dead` lists them"
        );
    }
    if arguments.all && resent.is_none_or(Vec::is_empty) {
        eprintln!("nothing was given up");
    }
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks, by `POST` where there is a form. Returns the answer as it came and as it reads.
pub(super) fn ask(
    server: &Server,
    url: &str,
    form: Option<String>,
) -> anyhow::Result<(String, Value)> {
    let http = server.http.read()?;
    let (status, body) = runtime()?.block_on(async {
        let client = http.client(url)?;
        let request = match form {
            None => client.get(url),
            Some(form) => client
                .post(url)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form),
        };
        let request = http.authorize(request.timeout(TIMEOUT)).await?;
        let answered = async {
            let response = request.send().await?;
            Ok((response.status(), response.text().await?))
        };
        let unheard = |error: reqwest::Error| anyhow::anyhow!("{}", unheard(url, &error));
        answered.await.map_err(unheard)
    })?;
    let url = without_user(url);
    let answer: Value = serde_json::from_str(&body)
        .map_err(|_| anyhow::anyhow!("`{url}` answers {status}: {}", body.trim()))?;
    anyhow::ensure!(
        answer["status"] == "success",
        "`{url}`: {}",
        answer["error"].as_str().unwrap_or("the call failed")
    );
    Ok((body, answer))
}
