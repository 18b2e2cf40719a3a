//! The rule file: what `bellwether slo generate` prints and what the engine runs.
//!
//! Two groups for each objective. The first holds the windows of pages and runs at the default
//! interval. The second holds the windows of tickets and the objective's own; a month of counters is
//! dear to read, so it runs at half of the shortest window only, which its readers can't notice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::series::Quantity;
use super::settings::{Indicator, Scope, Slo};
use super::text::{quoted, target_matcher};
use super::windows::{Pair, Severity, pairs, shortest, window_name};
use crate::model::format_duration;

/// The name of every alert of an objective.
pub const ALERT: &str = "BellwetherErrorBudgetBurn";

/// Writes the rules of all objectives as one Prometheus rule file; an empty one where there is none.
pub fn generate(slos: &[Slo]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(if slos.is_empty() { "groups: []\n" } else { "groups:\n" });
    for slo in slos {
        group(&mut text, slo);
        slow_group(&mut text, slo);
    }
    text
}

/// The names of the groups that an objective's rules stand in; no other name has a colon in front of
/// an objective's.
pub fn group_names(slo: &Slo) -> [String; 2] {
    [format!("slo:{}", slo.name), format!("slo:{}:slow", slo.name)]
}

const HEAD: &str = "\
# Service level objectives, written by `bellwether slo generate`: change `slos:` in bellwether.yml and
# write this file anew. Bellwether's own engine runs the very same rules.
#
# An alert fires while both of its windows burn the error budget faster than its rate (the Site
# Reliability Workbook, chapter 5), and only on evidence: the long window holds a minimum of events,
# its failures spend the alert's share of the budget as counted in planned probes, and both windows
# hold a minimum of failures. `increase()` extrapolates, so two failures are more than 1.5.
";

fn group(text: &mut String, slo: &Slo) {
    let [first, second, ..] = pairs(slo.window);
    let of = slo.subjects.iter().map(|subject| quoted(subject.target.as_str()));
    let of: Vec<String> = of.collect();
    let together = if slo.scope == Scope::Together && of.len() > 1 { ", together" } else { "" };
    let window = window_name(slo.window);
    line(
        text,
        2,
        format_args!(
            "# {} {} over {window} of {}{together}.",
            slo.objective,
            slo.indicator.as_str(),
            of.join(", ")
        ),
    );
    line(text, 2, format_args!("- name: {}", group_names(slo)[0]));
    line(text, 4, format_args!("rules:"));
    record(
        text,
        slo,
        "slo:bellwether_slo_objective:ratio",
        &[&format!("vector({})", slo.objective.ratio_text())],
    );
    let targets = target_matcher(slo.subjects.iter().map(|subject| subject.target.as_str()));
    let planned = summed(slo, &format!("1 / bellwether_probe_interval_seconds{{{targets}}}"));
    record(text, slo, &slo.planned_series(), &[&planned]);
    for window in [first.short, second.short, first.long, second.long] {
        counts(text, slo, window);
    }
    alerts(text, slo, Severity::Page);
}

fn slow_group(text: &mut String, slo: &Slo) {
    let [.., third, fourth] = pairs(slo.window);
    line(text, 2, format_args!("- name: {}", group_names(slo)[1]));
    line(text, 4, format_args!("interval: {}", format_duration(shortest(slo.window) / 2)));
    line(text, 4, format_args!("rules:"));
    for window in [third.short, third.long, fourth.long, slo.window] {
        counts(text, slo, window);
    }
    // Of planned probes, where fewer were made so far: a first failure is not charged to an hour's
    // budget. Where more vantages probe than are planned here, of those that were made.
    let planned = format!("{} * {}", slo.window.as_secs(), read(slo, &slo.planned_series()));
    let events = read(slo, &slo.series(Quantity::Events, slo.window));
    record(
        text,
        slo,
        &slo.series(Quantity::BudgetRemaining, slo.window),
        &[
            &format!("1 - {}", read(slo, &slo.series(Quantity::Failures, slo.window))),
            "  /",
            &format!("({} * ({events} > {planned} or {planned}))", slo.objective.allowed_text()),
        ],
    );
    alerts(text, slo, Severity::Ticket);
}

/// Events, failures and their ratio over a window.
fn counts(text: &mut String, slo: &Slo, window: Duration) {
    let range = window_name(window);
    let [events, failures, ratio] = [Quantity::Events, Quantity::Failures, Quantity::ErrorRatio]
        .map(|quantity| slo.series(quantity, window));
    let (of_events, of_failures) = selectors(slo);
    for (name, selector) in [(&events, of_events), (&failures, of_failures)] {
        record(text, slo, name, &[&summed(slo, &format!("increase({selector}[{range}])"))]);
    }
    let (failures, events) = (read(slo, &failures), read(slo, &events));
    record(text, slo, &ratio, &[&failures, "  /", &format!("({events} > 0)")]);
}

/// Which counters hold what counts, and what counts as a failure. Excluded outcomes are in neither.
fn selectors(slo: &Slo) -> (String, String) {
    let targets = target_matcher(slo.subjects.iter().map(|subject| subject.target.as_str()));
    let runs = |more: &str| format!("bellwether_probe_runs_total{{{targets},{more}}}");
    let threshold = |name: &str, kind: &str| {
        format!("bellwether_probe_threshold_{name}_total{{{targets},kind=\"{kind}\"}}")
    };
    let conclusive = runs("slo=~\"good|bad\"");
    match slo.indicator {
        Indicator::Availability => (conclusive, runs("slo=\"bad\"")),
        Indicator::Truncation => (conclusive, runs("error_type=\"truncated_stream\",slo=\"bad\"")),
        Indicator::Latency => (threshold("observed", "total"), threshold("exceeded", "total")),
        Indicator::Ttft => (threshold("observed", "ttft"), threshold("exceeded", "ttft")),
    }
}

fn summed(slo: &Slo, expr: &str) -> String {
    match slo.scope {
        Scope::Each => format!("sum by (target, provider, model) ({expr})"),
        Scope::Together => format!("sum({expr})"),
    }
}

/// What another rule of this objective recorded.
fn read(slo: &Slo, series: &str) -> String {
    format!("{series}{{slo=\"{}\"}}", slo.name)
}

fn record(text: &mut String, slo: &Slo, name: &str, expr: &[&str]) {
    line(text, 6, format_args!("- record: {name}"));
    expression(text, expr);
    line(text, 8, format_args!("labels:"));
    line(text, 10, format_args!("slo: {}", quoted(&slo.name)));
}

fn alerts(text: &mut String, slo: &Slo, severity: Severity) {
    let Some(alerting) = slo.alerting(severity) else { return };
    for pair in pairs(slo.window).iter().filter(|pair| pair.severity == severity) {
        if pair.burn() * slo.objective.allowed() >= 1.0 {
            let burn = pair.burn_text();
            line(
                text,
                6,
                format_args!("# No outage burns this budget {burn} times as fast as allowed."),
            );
            continue;
        }
        line(text, 6, format_args!("- alert: {ALERT}"));
        let condition = condition(slo, pair);
        expression(text, &condition.iter().map(String::as_str).collect::<Vec<_>>());
        if !alerting.pending.is_zero() {
            line(text, 8, format_args!("for: {}", format_duration(alerting.pending)));
        }
        line(text, 8, format_args!("labels:"));
        let mut labels = slo.labels.clone();
        labels.entry("severity".to_owned()).or_insert_with(|| severity.as_str().to_owned());
        labels.extend(alerting.labels.clone());
        labels.insert("slo".to_owned(), slo.name.clone());
        labels.insert("long_window".to_owned(), window_name(pair.long));
        labels.insert("short_window".to_owned(), window_name(pair.short));
        for (name, value) in &labels {
            line(text, 10, format_args!("{}: {}", key(name), quoted(value)));
        }
        line(text, 8, format_args!("annotations:"));
        let mut more = slo.annotations.clone();
        more.extend(alerting.annotations.clone());
        annotations(text, slo, pair, &more);
    }
}

/// A name, in quotes where YAML could take it for something else: old readers know many words for
/// true and false.
fn key(name: &str) -> String {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let is_word = WORDS.iter().any(|word| name.eq_ignore_ascii_case(word));
    if is_word { quoted(name) } else { name.to_owned() }
}

/// When it fires; its value is the burn rate over the long window.
fn condition(slo: &Slo, pair: &Pair) -> Vec<String> {
    let of = |quantity, window| read(slo, &slo.series(quantity, window));
    let (allowed, burn) = (slo.objective.allowed_text(), pair.burn_text());
    let burns = |window| format!("{} / {allowed} > {burn}", of(Quantity::ErrorRatio, window));
    let failures_least = format!("{}.5", slo.failures_min.saturating_sub(1));
    let parts = [
        burns(pair.long),
        burns(pair.short),
        format!("{} >= {}", of(Quantity::Events, pair.long), slo.events_min),
        format!(
            "{} > {} * {allowed} * {} * {}",
            of(Quantity::Failures, pair.long),
            pair.share(),
            slo.window.as_secs(),
            read(slo, &slo.planned_series())
        ),
        format!("{} > {failures_least}", of(Quantity::Failures, pair.long)),
        format!("{} > {failures_least}", of(Quantity::Failures, pair.short)),
    ];
    let mut lines = Vec::new();
    for (position, part) in parts.into_iter().enumerate() {
        if position > 0 {
            lines.push("  and".to_owned());
        }
        lines.push(part);
    }
    lines
}

/// Ours, and what the configuration adds to them or has in their place.
fn annotations(text: &mut String, slo: &Slo, pair: &Pair, more: &BTreeMap<String, String>) {
    let own = [("summary", summary(slo)), ("description", description(slo, pair))];
    for (name, lines) in own.iter().filter(|(name, _)| !more.contains_key(*name)) {
        line(text, 10, format_args!("{name}: >-"));
        lines.iter().for_each(|part| line(text, 12, format_args!("{part}")));
    }
    if !more.contains_key("dashboard") {
        line(text, 10, format_args!("dashboard: bellwether-overview"));
    }
    for (name, value) in more {
        line(text, 10, format_args!("{}: {}", key(name), quoted(value)));
    }
}

fn summary(slo: &Slo) -> Vec<String> {
    let who = match slo.scope {
        Scope::Each => "{{ $labels.target }}: ",
        Scope::Together => "",
    };
    let name = &slo.name;
    vec![format!(
        "{who}{name} burns its error budget {{{{ $value | humanize }}}} times as fast as allowed"
    )]
}

/// What burns, what is left, and until when: read at night.
fn description(slo: &Slo, pair: &Pair) -> Vec<String> {
    let (subject, matcher, argument) = match slo.scope {
        Scope::Each => (
            "{{ $labels.target }} ({{ $labels.provider }}, {{ $labels.model }})",
            ",target=%q",
            " $labels.target",
        ),
        Scope::Together => ("all targets together", "", ""),
    };
    let series = |quantity, window| {
        format!("{}{{slo=\"{}\"{matcher}}}", slo.series(quantity, window), slo.name)
    };
    let ratio = series(Quantity::ErrorRatio, pair.long);
    let left = series(Quantity::BudgetRemaining, slo.window);
    let [long, short, window] = [pair.long, pair.short, slo.window].map(window_name);
    let (allowed, seconds) = (slo.objective.allowed_text(), slo.window.as_secs());
    let (failed, objective) = (slo.indicator.failed(), slo.objective);
    // A dash takes away the space that a fold of lines leaves before an action.
    let first = ". | first | value";
    let (ratio_query, left_query) = (
        format!("printf `{ratio}`{argument} | query"),
        format!("printf `{left}`{argument} | query"),
    );
    let until = format!("{left} * {seconds} / ({ratio} / {allowed})");
    vec![
        format!("Over the last {long} {{{{ with {ratio_query} }}}}"),
        format!("{{{{- {first} | humanizePercentage }}}}{{{{ end }}}} of the probes of {subject}"),
        format!(
            "{failed}, and in the last {short} it went on; {objective} must be good over {window}."
        ),
        format!("{{{{ with {left_query} }}}}"),
        format!("{{{{- $left := {first} }}}}{{{{ if gt $left 0.0 }}}}"),
        "{{- $left | humanizePercentage }} of the error budget is left".to_owned(),
        format!("{{{{- with printf `{until}`{argument}{argument} | query }}}}"),
        format!(
            "and at this pace it is gone in {{{{ {first} | humanizeDuration }}}}{{{{ end }}}}."
        ),
        "{{- else }}The error budget is spent.{{ end }}{{ end }}".to_owned(),
    ]
}

fn expression(text: &mut String, lines: &[&str]) {
    // A name with `: ` or ` #` in it would end a plain scalar.
    if let [one] = lines
        && !one.contains(": ")
        && !one.contains(" #")
    {
        line(text, 8, format_args!("expr: {one}"));
        return;
    }
    line(text, 8, format_args!("expr: |"));
    for part in lines {
        line(text, 10, format_args!("{part}"));
    }
}

fn line(text: &mut String, indent: usize, arguments: std::fmt::Arguments<'_>) {
    let _infallible = writeln!(text, "{:indent$}{arguments}", "");
}
