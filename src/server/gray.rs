//! The page's part about releases: where each stands, whether it will go back, what holds it, what
//! people are told of it, and what it came through.

use std::time::Duration;

use super::gates::{self, against_part, percent};
use super::page::{age, escape, long, push};
use crate::engine::{ReleaseStatus, Snapshot};
use crate::model::{TargetId, Timestamp};
use crate::release::gate::{Standing, Verdict};
use crate::release::machine::{
    AdvanceOn, Basis, Hold, Notice, PausedBy, Run, State, Told, Trigger, Urgency,
};

pub(super) fn section(html: &mut String, snapshot: &Snapshot, now: Timestamp) {
    if snapshot.releases.is_empty() {
        return;
    }
    html.push_str("<section><h2>Releases</h2>");
    for status in &snapshot.releases {
        article(html, status, now);
    }
    html.push_str("</section>");
}

fn article(html: &mut String, status: &ReleaseStatus, now: Timestamp) {
    let state = &status.state;
    let plan = state.plan().unwrap_or(&status.settings.plan);
    let (class, words) = standing(state, now);
    let route = status.settings.route.as_ref();
    let route = route.map_or_else(String::new, |route| format!(" on route {}", escape(route)));
    push(
        html,
        format_args!(
            "<article class=\"release {class}\"><h3>{} <small>{} → {}{route}</small></h3>\
             <p class=\"{class} sign\"><strong>{words}</strong> <small>generation {}{}</small></p>",
            escape(&plan.name),
            names(&plan.stable),
            names(&plan.candidate),
            plan.generation,
            since(state, now),
        ),
    );
    let configured = status.settings.plan.generation;
    if configured != plan.generation {
        push(
            html,
            format_args!(
                "<p><small>Generation {configured} is configured and was not started.</small></p>"
            ),
        );
    }
    ladder(html, status, now);
    html.push_str("<ul class=\"facts\">");
    facts(html, status, now);
    drill(html, status, now);
    html.push_str("</ul>");
    if let Some(run) = state.run() {
        gates::table(html, run);
    }
    told(html, state, now);
    turns(html, status, now);
    html.push_str("</article>");
}

fn names(targets: &[TargetId]) -> String {
    targets.iter().map(|target| escape(target.as_str())).collect::<Vec<_>>().join(", ")
}

fn since(state: &State, now: Timestamp) -> String {
    state.since().map_or_else(String::new, |since| format!(", for {}", age(since, now)))
}

/// The class of a state, and the words for it.
fn standing(state: &State, now: Timestamp) -> (&'static str, String) {
    let is_held = |run: &Run, notice: Notice| run_is_told(run, notice);
    match state {
        State::Idle => ("excluded", "Not started".to_owned()),
        State::Running(run) | State::Paused { run, .. } | State::Completed { run, .. }
            if [Notice::CommonCause, Notice::Capped].iter().any(|it| is_held(run, *it)) =>
        {
            ("bad", "Ought to go back, and is held".to_owned())
        }
        State::Running(run) => {
            let (number, share) = (run.stage_number(), run.stage().share);
            let count = run.plan().stages.len();
            let words = format!("Stage {number} of {count}: {share} % of the traffic");
            let waits = [Notice::Doubtful, Notice::NoData, Notice::NotMoved];
            let waits = waits.iter().chain(&[Notice::Drill, Notice::Approval]);
            if waits.into_iter().any(|notice| is_held(run, *notice)) {
                ("warning", format!("{words}, held"))
            } else {
                ("good", words)
            }
        }
        State::Paused { run, by, .. } => {
            let by = match by {
                PausedBy::Operator => "Paused by an operator",
                PausedBy::Deadline => "Paused by the stage's deadline",
            };
            ("warning", format!("{by}, with {} % of the traffic", run.stage().share))
        }
        State::Completed { .. } if state.is_armed(now) => {
            ("good", "Completed: all of the traffic, and it still goes back by itself".to_owned())
        }
        State::Completed { .. } => ("good", "Completed: all of the traffic".to_owned()),
        State::RollingBack { .. } => ("bad", "Going back to stable".to_owned()),
        State::RolledBack { .. } => {
            ("warning", "Rolled back: stable has all of the traffic and answers".to_owned())
        }
        State::RollbackUnverified { .. } => {
            ("bad", "Went back, and nobody knows whether stable answers".to_owned())
        }
    }
}

fn run_is_told(run: &Run, notice: Notice) -> bool {
    run.told().any(|(told, _)| told == notice)
}

/// The stages as steps; the present one is marked for eyes and for screen readers.
fn ladder(html: &mut String, status: &ReleaseStatus, now: Timestamp) {
    let plan = status.state.plan().unwrap_or(&status.settings.plan);
    let present = status.state.run().map_or(0, Run::stage_number);
    html.push_str("<ol class=\"ladder\" aria-label=\"stages\">");
    for (number, stage) in (1..).zip(&plan.stages) {
        let passed = status.past.passed.get(&number);
        let (class, sign, words) = match &status.state {
            _ if number > present => ("ahead", "", "ahead".to_owned()),
            State::Running(run) if number == present => {
                ("now", "▶ ", format!("present, for {}", age(run.entered_at(), now)))
            }
            State::Paused { .. } if number == present => ("now", "▶ ", "paused here".to_owned()),
            State::RollingBack { .. }
            | State::RolledBack { .. }
            | State::RollbackUnverified { .. }
                if number == present =>
            {
                ("fell", "✕ ", "went back from here".to_owned())
            }
            _ => match passed {
                Some((_, basis)) => ("done", "✓ ", format!("passed on {}", basis_words(*basis))),
                None => ("done", "✓ ", "passed".to_owned()),
            },
        };
        let current = if class == "now" { " aria-current=\"step\"" } else { "" };
        push(
            html,
            format_args!(
                "<li class=\"{class}\"{current}><strong>{sign}{} %</strong><small>{words}</small></li>",
                stage.share
            ),
        );
    }
    html.push_str("</ol>");
}

fn basis_words(basis: Basis) -> &'static str {
    match basis {
        Basis::Evidence => "evidence",
        Basis::Time => "time",
        Basis::Operator => "an operator's word",
    }
}

fn fact(html: &mut String, name: &str, words: &str) {
    push(html, format_args!("<li><b>{name}</b> <span>{}</span></li>", escape(words)));
}

/// Why it is where it is, when it goes on, and how near it is to going back.
fn facts(html: &mut String, status: &ReleaseStatus, now: Timestamp) {
    match &status.state {
        State::Idle => {
            let name = &status.settings.plan.name;
            fact(html, "Begins", &format!("with `bellwether release start {name}`"));
        }
        State::Running(run) => {
            fact(html, "Waits", &waits(status, run, now));
            if run.is_moved() && !is_due(run) {
                fact(html, "Goes on", &goes_on(run, now));
            }
            fact(html, "Goes back", &goes_back(run));
            fact(html, "Started", &format!("by {}", run.started_by()));
        }
        State::Paused { run, .. } => {
            let name = &run.plan().name;
            fact(html, "Waits", &format!("for `bellwether release resume {name}`"));
            fact(html, "Goes back", &goes_back(run));
        }
        State::Completed { run, since } => {
            let left = run.plan().bake.saturating_sub(now.since(*since));
            if left > Duration::ZERO {
                fact(
                    html,
                    "Goes back",
                    &format!("{}; for another {}", goes_back(run), left_over(left)),
                );
            }
        }
        State::RollingBack { run, since, trigger, attempt } => {
            fact(html, "Cause", &cause(trigger));
            let left = run.rollback_deadline().saturating_sub(now.since(*since));
            let words = format!("attempt {attempt}, counts as unverified in {}", left_over(left));
            fact(html, "Rollback", &words);
        }
        State::RolledBack { run, trigger, .. } => {
            fact(html, "Cause", &cause(trigger));
            let outcome = run.told().find(|(notice, _)| *notice == Notice::RolledBack);
            // The cause comes after it, with all of its numbers, and stands below.
            let outcome = outcome.and_then(|(_, told)| told.why.split(';').next());
            fact(html, "Outcome", outcome.unwrap_or("verified"));
            fact(html, "Begins again", "with a higher generation only");
        }
        State::RollbackUnverified { run, trigger, attempt, .. } => {
            let name = &run.plan().name;
            fact(html, "Cause", &cause(trigger));
            let words = format!(
                "attempt {attempt} is not verified. `bellwether release log {name}` says which step \
                 failed, `bellwether release rollback {name}` tries again"
            );
            fact(html, "Outcome", &words);
        }
    }
}

/// How long something still takes, rounded to the nearest of the unit that [`long`] takes.
fn left_over(left: Duration) -> String {
    let half = match left.as_secs() {
        0..120 => Duration::from_millis(500),
        120..7200 => Duration::from_secs(30),
        7200..172_800 => Duration::from_secs(1800),
        _ => Duration::from_secs(43_200),
    };
    long(left + half)
}

fn cause(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Operator(by) => format!("{by} said so"),
        Trigger::Alert(alert) => format!("the alert {alert} fired"),
        Trigger::Gate(gate) => format!("the gate {gate} failed in this stage"),
        Trigger::WholeRelease(gate) => format!("the gate {gate} failed over the whole release"),
    }
}

/// What holds the stage.
fn waits(status: &ReleaseStatus, run: &Run, now: Timestamp) -> String {
    let Some(report) = &status.report else { return "for the first look".to_owned() };
    match &report.hold {
        Some(Hold::TooSoon) => {
            let is_open = |standing: &Standing| standing.verdict != Verdict::Pass;
            let open = run.standings().into_iter().find(is_open);
            let may_pass = run.waited(now) >= run.stage().floor;
            match open.filter(|_| may_pass && run.plan().advance_on != AdvanceOn::Time) {
                Some(open) => format!("for the gate {}, or for its time", open.gate),
                None => "for its time".to_owned(),
            }
        }
        Some(Hold::Gate(gate)) => format!("for the gate {gate}"),
        Some(Hold::Nothing) | None => "for the first outcomes".to_owned(),
        Some(
            Hold::NotMoved
            | Hold::Frozen(_)
            | Hold::Maintenance(_)
            | Hold::NoData
            | Hold::Untrusted
            | Hold::CommonCause
            | Hold::Doubtful
            | Hold::Capped
            | Hold::Drill(_)
            | Hold::Approval
            | Hold::Paused
            | Hold::Refused,
        ) => format!("since {}", report.why),
    }
}

/// When the stage may pass at the soonest, and when it pauses.
fn goes_on(run: &Run, now: Timestamp) -> String {
    let (stage, waited) = (run.stage(), run.waited(now));
    let from = |wait: Duration| match wait.saturating_sub(waited) {
        Duration::ZERO => "from now on".to_owned(),
        left => format!("in {} at the soonest", left_over(left)),
    };
    let on_evidence = format!("on evidence {}", from(stage.floor));
    let on_time = format!("on time {}", from(stage.hold.max(stage.floor)));
    let may = match run.plan().advance_on {
        AdvanceOn::Either => format!("{on_evidence}, {on_time}"),
        AdvanceOn::Evidence => on_evidence,
        AdvanceOn::Time => on_time,
    };
    match run.deadline().saturating_sub(waited) {
        Duration::ZERO => may,
        left => format!("{may}; pauses in {} otherwise", left_over(left)),
    }
}

/// Whether a gate fails, so that it ought to have gone back.
fn is_due(run: &Run) -> bool {
    let all = [run.standings(), run.whole_standings()].concat();
    all.iter().any(|standing| standing.verdict == Verdict::Fail)
}

/// How near it is to being rolled back by its gates.
fn goes_back(run: &Run) -> String {
    let (stage, whole) = (run.standings(), run.whole_standings());
    let scopes = [(stage, ""), (whole, " over the whole release")];
    let mut nearest: Option<(f64, Standing, &str)> = None;
    for (standings, scope) in scopes {
        for standing in standings {
            if standing.verdict == Verdict::Fail {
                return format!("is due: the gate {} fails{scope}", standing.gate);
            }
            let Some(part) = against_part(&standing) else { continue };
            if nearest.as_ref().is_none_or(|(known, ..)| part > *known) {
                nearest = Some((part, standing, scope));
            }
        }
    }
    let Some((part, standing, scope)) = nearest else {
        return "by an alert, an operator, or a gate that fails".to_owned();
    };
    if part <= 0.0 {
        return "nothing speaks against the candidate".to_owned();
    }
    format!("the gate {} has {} of what it takes{scope}", standing.gate, percent(part))
}

fn drill(html: &mut String, status: &ReleaseStatus, now: Timestamp) {
    let (class, words) = match (&status.drilled, &status.undrilled) {
        (Some(drilled), None) => {
            let took = drilled.took.as_secs_f64();
            let ago = age(drilled.at, now);
            ("good", format!("rehearsed well {ago} ago, in {took:.1} s"))
        }
        (_, Some(why)) => ("warning", why.clone()),
        (None, None) => ("excluded", "not rehearsed".to_owned()),
    };
    push(
        html,
        format_args!(
            "<li><b>Rollback drill</b> <span class=\"{class}\">{}</span></li>",
            escape(&words)
        ),
    );
}

/// What people are told at present; what asks nothing of them is not repeated here.
fn told(html: &mut String, state: &State, now: Timestamp) {
    let wanted = |notice: Notice| notice.urgency() != Urgency::Info;
    let all: Vec<(Notice, &Told)> = state.told().filter(|(notice, _)| wanted(*notice)).collect();
    if all.is_empty() {
        return;
    }
    html.push_str("<h4>People are told</h4><ul>");
    for (notice, told) in all {
        push(
            html,
            format_args!(
                "<li><strong>{}</strong> {}, for {}: {}</li>",
                notice.urgency().as_str(),
                escape(notice.in_words()),
                age(told.since, now),
                escape(&told.why)
            ),
        );
    }
    html.push_str("</ul>");
}

fn turns(html: &mut String, status: &ReleaseStatus, now: Timestamp) {
    if status.past.turns.is_empty() {
        return;
    }
    html.push_str("<h4>Latest decisions</h4><ul>");
    for turn in status.past.turns.iter().rev() {
        let stage = turn.stage.map_or_else(String::new, |stage| format!(", stage {stage}"));
        push(
            html,
            format_args!(
                "<li>{} ago{stage}, {}: {}</li>",
                age(turn.at, now),
                escape(&turn.state.replace('_', " ")),
                escape(&turn.why)
            ),
        );
    }
    html.push_str("</ul>");
}
