//! The first page: is anything wrong, who and since when, where releases stand, how bad it is, what
//! was decided, is this page fresh.
//!
//! Complete without JavaScript and without any other file; it asks the browser to load it again
//! every ten seconds.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use tokio::sync::watch;

use super::costs;
use super::gray;
use super::headline::{headline, name_of};
use super::listener::Views;
use super::slos;
use crate::clock::Clock;
use crate::engine::{Snapshot, TargetStatus};
use crate::model::{JournalStanding, Timestamp};
use crate::probe::Planned;
use crate::provider::SloClass;
use crate::rules::{Alert, AlertState};
use crate::telemetry::{Spent, Telemetry};

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; \
     form-action 'none'";
const STYLE: &str = include_str!("page.css");

/// What the page is written from.
#[derive(Clone)]
struct Reader {
    snapshot: watch::Receiver<Arc<Snapshot>>,
    standing: watch::Receiver<JournalStanding>,
    set_aside: Option<Arc<str>>,
    telemetry: Telemetry,
    clock: Clock,
}

pub(super) fn routes(views: &Views) -> Router {
    let (snapshot, standing) = (views.snapshot.clone(), views.standing.clone());
    let (set_aside, telemetry) = (views.set_aside.clone(), views.telemetry.clone());
    let reader = Reader { snapshot, standing, set_aside, telemetry, clock: views.clock };
    Router::new().route("/", get(page)).with_state(reader)
}

async fn page(State(reader): State<Reader>) -> impl IntoResponse {
    let snapshot = Arc::clone(&reader.snapshot.borrow());
    let mut troubles = troubles(&reader.standing.borrow(), reader.set_aside.as_deref());
    troubles.extend(muted(&snapshot));
    let headers = [(CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-store")];
    (headers, Html(render(&snapshot, &troubles, &reader.telemetry.spent(), reader.clock.now())))
}

/// What is wrong with what must outlive the process: notices that nobody got, a disk that takes
/// nothing, a damaged file.
fn troubles(standing: &JournalStanding, set_aside: Option<&str>) -> Vec<String> {
    let mut troubles = Vec::new();
    let noun = if standing.dead == 1 { "notice was" } else { "notices were" };
    if standing.dead > 0 {
        troubles.push(format!(
            "{} {noun} given up: `bellwether notices list` names them, `notices resend` sends them \
             again",
            standing.dead
        ));
    }
    if standing.unwritten > 0 && standing.failures > 0 {
        troubles.push(
            "The journal cannot be written: bellwether goes on in memory, and a restart would forget \
             what is not on disk"
                .to_owned(),
        );
    }
    if let Some(path) = set_aside {
        troubles.push(format!(
            "The journal was damaged at the start; it lies at {path}, and a new one was begun"
        ));
    }
    troubles
}

/// Who is not told of what fires, for the sake of which time intervals.
fn muted(snapshot: &Snapshot) -> Option<String> {
    let muted = || snapshot.muted.iter().filter(|muted| muted.firing > 0);
    let set = |names: Vec<&str>| {
        let names: BTreeSet<&str> = names.into_iter().collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    let groups = match muted().count() {
        0 => return None,
        1 => "1 group of alerts fires".to_owned(),
        count => format!("{count} groups of alerts fire"),
    };
    let receivers = set(muted().map(|muted| muted.receiver.as_str()).collect());
    let intervals = set(muted().flat_map(|muted| &muted.intervals).map(String::as_str).collect());
    Some(format!("{groups} and nobody is told at this time: {receivers} muted by {intervals}"))
}

/// Writes the page for a state as seen at a time.
fn render(snapshot: &Snapshot, troubles: &[String], spent: &Spent, now: Timestamp) -> String {
    let firing = alerts(snapshot, AlertState::Firing);
    let pending = alerts(snapshot, AlertState::Pending);
    let headline = headline(snapshot, &firing, now);
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"10\"><title>{0} · bellwether</title>\
         <style>{STYLE}</style></head><body><header><p class=\"name\">bellwether</p>\
         <h1 class=\"{1}\">{0}</h1></header><main>",
        escape(&headline.0),
        headline.1
    );
    trouble_list(&mut html, troubles);
    alert_table(&mut html, "Firing", &firing, now);
    gray::section(&mut html, snapshot, now);
    targets(&mut html, snapshot, now);
    slos::section(&mut html, snapshot);
    alert_table(&mut html, "Pending", &pending, now);
    decisions(&mut html, snapshot, now);
    costs::section(&mut html, spent);
    push(
        &mut html,
        format_args!(
            "</main><footer><p>State of {}, {} before this page was written. \
             <a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/alerts\">alerts</a> · \
             <a href=\"/api/v1/rules\">rules</a> · \
             <a href=\"/api/v1/notices\">notices</a> · <a href=\"/api/v1/query?query=up\">query</a>\
             </p></footer></body></html>",
            snapshot.at,
            age(snapshot.at, now)
        ),
    );
    html
}

fn alerts(snapshot: &Snapshot, state: AlertState) -> Vec<&Alert> {
    let rules = snapshot.groups.iter().flat_map(|group| &group.rules);
    rules.flat_map(|rule| &rule.alerts).filter(|alert| alert.state == state).collect()
}

fn trouble_list(html: &mut String, troubles: &[String]) {
    if troubles.is_empty() {
        return;
    }
    html.push_str("<section><h2>State</h2><ul>");
    for trouble in troubles {
        push(html, format_args!("<li>{}</li>", escape(trouble)));
    }
    html.push_str("</ul></section>");
}

fn targets(html: &mut String, snapshot: &Snapshot, now: Timestamp) {
    html.push_str(
        "<section><h2>Targets</h2><div class=\"scroll\" tabindex=\"0\"><table><thead><tr>\
         <th scope=\"col\">target</th><th scope=\"col\">model</th><th scope=\"col\">last</th>\
         <th scope=\"col\">first token</th><th scope=\"col\">total</th>\
         <th scope=\"col\">latest probes, newest right</th></tr></thead><tbody>",
    );
    for status in &snapshot.targets {
        target_row(html, status, now);
    }
    html.push_str("</tbody></table></div></section>");
}

fn target_row(html: &mut String, status: &TargetStatus, now: Timestamp) {
    let target = &status.target;
    push(
        html,
        format_args!(
            "<tr><th scope=\"row\">{}{}</th><td>{} · {}</td>",
            escape(target.id.as_str()),
            planned(status),
            escape(&target.provider.system),
            escape(&target.model)
        ),
    );
    match &status.last {
        None => html.push_str("<td colspan=\"3\">not asked yet</td>"),
        Some(outcome) => {
            let ms = |duration: Option<Duration>| {
                duration.map_or("–".to_owned(), |duration| format!("{} ms", duration.as_millis()))
            };
            push(
                html,
                format_args!(
                    "<td class=\"{}\">{} {} ago</td><td>{}</td><td>{}</td>",
                    class(outcome.class),
                    word(outcome.error_type.as_str()),
                    age(outcome.finished, now),
                    ms(outcome.ttft),
                    ms(Some(outcome.total))
                ),
            );
        }
    }
    let good = status.recent.iter().filter(|bar| bar.class == SloClass::Good).count();
    push(
        html,
        format_args!(
            "<td><span class=\"bars\" role=\"img\" aria-label=\"{good} of the latest {} good\">",
            status.recent.len()
        ),
    );
    for bar in &status.recent {
        push(
            html,
            format_args!(
                "<i class=\"{}\" title=\"{} {}\"></i>",
                class(bar.class),
                word(bar.error_type.as_str()),
                bar.finished
            ),
        );
    }
    html.push_str("</span></td></tr>");
}

fn planned(status: &TargetStatus) -> String {
    match status.planned {
        None => String::new(),
        Some(Planned { until: None }) => "<br><small>planned maintenance</small>".to_owned(),
        Some(Planned { until: Some(until) }) => {
            format!("<br><small>planned maintenance until {until}</small>")
        }
    }
}

fn word(error_type: &str) -> &str {
    if error_type == "none" { "good" } else { error_type }
}

fn class(class: SloClass) -> &'static str {
    match class {
        SloClass::Good => "good",
        SloClass::Bad => "bad",
        SloClass::Excluded => "excluded",
    }
}

fn alert_table(html: &mut String, title: &str, alerts: &[&Alert], now: Timestamp) {
    if alerts.is_empty() {
        return;
    }
    push(
        html,
        format_args!(
            "<section><h2>{title}</h2><div class=\"scroll\" tabindex=\"0\"><table><thead><tr>\
             <th scope=\"col\">alert</th><th scope=\"col\">target</th><th scope=\"col\">since</th>\
             <th scope=\"col\">what</th></tr></thead><tbody>"
        ),
    );
    for alert in alerts {
        let summary = alert.annotations.get("summary").unwrap_or_default();
        push(
            html,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(name_of(alert)),
                escape(alert.labels.get("target").unwrap_or("–")),
                age(alert.active_at, now),
                escape(summary)
            ),
        );
    }
    html.push_str("</tbody></table></div></section>");
}

fn decisions(html: &mut String, snapshot: &Snapshot, now: Timestamp) {
    if snapshot.decisions.is_empty() {
        return;
    }
    html.push_str("<section><h2>Rollbacks</h2><ul>");
    for decision in snapshot.decisions.iter().take(10) {
        push(
            html,
            format_args!(
                "<li><strong>{}</strong> {}, {} ago: {}</li>",
                escape(&decision.rollback),
                escape(decision.verdict.as_str()),
                age(decision.at, now),
                escape(&decision.report.to_string())
            ),
        );
    }
    html.push_str("</ul></section>");
}

/// How long ago, in the largest unit that says something.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    long(now.since(at))
}

/// How long, in the largest unit that says something.
pub(super) fn long(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

pub(super) fn push(html: &mut String, arguments: std::fmt::Arguments<'_>) {
    html.write_fmt(arguments).expect("a String takes every write");
}
