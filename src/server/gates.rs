//! The page's part about the gates of a release: what each says, on what numbers, and how much more
//! it takes either way.
//!
//! Evidence is drawn as the part of its logarithm that is needed, as the metrics have it: at 100 % a
//! gate decides. Every bar has its number in words beside it.

use super::page::{escape, push};
use crate::release::gate::{Cause, Gate, Latency, Standing, Subject, Unit, Verdict};
use crate::release::machine::Run;

use crate::model::format_duration;

pub(super) fn table(html: &mut String, run: &Run) {
    let (standings, whole) = (run.standings(), run.whole_standings());
    if standings.is_empty() {
        return;
    }
    html.push_str(
        "<div class=\"scroll\" tabindex=\"0\"><table class=\"gates\"><thead><tr>\
         <th scope=\"col\">gate</th><th scope=\"col\">says</th>\
         <th scope=\"col\">bad, of how many</th><th scope=\"col\">evidence against</th>\
         <th scope=\"col\">evidence for</th></tr></thead><tbody>",
    );
    for standing in &standings {
        let gate = run.plan().gates.iter().find(|gate| gate.name == standing.gate);
        let whole = whole.iter().find(|whole| whole.gate == standing.gate);
        row(html, gate, standing, whole, run.plan().unit);
    }
    html.push_str("</tbody></table></div>");
}

fn row(
    html: &mut String,
    gate: Option<&Gate>,
    standing: &Standing,
    whole: Option<&Standing>,
    unit: Unit,
) {
    let limit = gate.map_or_else(String::new, |gate| limit(&gate.subject));
    let (class, said) = said(standing);
    push(
        html,
        format_args!(
            "<tr><th scope=\"row\">{} <br><small>{}</small></th>\
             <td class=\"{class} sign\">{said}</td>\
             <td data-of=\"bad, of how many\">{}</td>\
             <td data-of=\"evidence against\">",
            escape(&standing.gate),
            escape(&limit),
            counts(standing, gate),
        ),
    );
    against(html, standing, gate, unit);
    // Slower, but over all stages: it is worth a word where it is further than the stage.
    if let Some(whole) = whole.and_then(against_part)
        && against_part(standing).is_none_or(|part| part < whole)
        && whole > 0.0
    {
        push(html, format_args!("<small>whole release: {}</small>", percent(whole)));
    }
    html.push_str("</td><td data-of=\"evidence for\">");
    in_favour(html, standing, gate, unit);
    html.push_str("</td></tr>");
}

/// What a gate looks at, and how much it allows.
fn limit(subject: &Subject) -> String {
    let at_most = |what: &str| {
        let allowed = subject.allowed().map_or(0.0, |allowed| 100.0 * allowed.get());
        format!("at most {} % {what}", rounded(allowed))
    };
    match subject {
        Subject::Errors { .. } => at_most("fail"),
        Subject::Slow { latency, threshold, .. } => {
            let until = match latency {
                Latency::Ttft => "without a token after",
                Latency::Total => "not over after",
                Latency::PerToken => "with tokens apart by more than",
            };
            at_most(&format!("{until} {}", format_duration(*threshold)))
        }
        Subject::Content { .. } => at_most("with wrong content"),
        Subject::AgainstStable => "no worse than stable".to_owned(),
        Subject::Cost { mean_max, .. } => format!("at most {mean_max} a request"),
        Subject::Expression { pass, fail, .. } => format!("passes {pass}, fails {fail}"),
    }
}

/// The class of what a gate says, and the words for it.
fn said(standing: &Standing) -> (&'static str, String) {
    let (class, words) = match standing.verdict {
        Verdict::Pass => ("good", "passes".to_owned()),
        Verdict::Fail => ("bad", "fails".to_owned()),
        Verdict::Inconclusive(cause) => {
            let (class, why) = match cause {
                Cause::NoData => ("excluded", "no outcome yet"),
                Cause::TooFew => ("excluded", "too few outcomes"),
                Cause::Undecided => ("excluded", "neither way yet"),
                Cause::Braked => ("warning", "much speaks against it"),
                Cause::Rejected => ("warning", "the last block was left out"),
                Cause::ManyRejected => ("warning", "many blocks were left out"),
                Cause::Between => ("excluded", "between its bounds, or no value"),
            };
            (class, format!("inconclusive <br><small>{why}</small>"))
        }
    };
    if standing.is_common_cause {
        return (class, format!("{words} <br><small>stable is as bad</small>"));
    }
    (class, words)
}

/// What was counted, as HTML.
fn counts(standing: &Standing, gate: Option<&Gate>) -> String {
    let is_cost = gate.is_some_and(|gate| matches!(gate.subject, Subject::Cost { .. }));
    let counted = match standing.value {
        Some(value) if is_cost => format!("${value:.6} a request"),
        Some(value) => format!("value {value}"),
        None if standing.finished == 0 => "–".to_owned(),
        None => {
            let [lower, upper] =
                [standing.bounds.lower, standing.bounds.upper].map(|bound| rounded(100.0 * bound));
            let (bad, finished) = (standing.bad, standing.finished);
            format!("{bad} of {finished} <br><small>{lower} % to {upper} %</small>")
        }
    };
    if standing.rejected == 0 {
        return counted;
    }
    let (rejected, blocks) = (standing.rejected, standing.blocks);
    format!("{counted} <br><small>{rejected} of {blocks} blocks left out</small>")
}

/// The evidence against the candidate, as the part that is needed.
pub(super) fn against_part(standing: &Standing) -> Option<f64> {
    part(standing.ln_bad, standing.ln_bad_threshold)
}

fn part(ln: f64, threshold: f64) -> Option<f64> {
    let part = ln / threshold;
    (threshold > 0.0 && part.is_finite()).then(|| part.max(0.0))
}

fn against(html: &mut String, standing: &Standing, gate: Option<&Gate>, unit: Unit) {
    if standing.verdict == Verdict::Fail {
        bar(html, "bad", 1.0);
        return;
    }
    if let Some(part) = against_part(standing) {
        bar(html, "bad", part);
    }
    if let Some(needed) = standing.needed_to_fail {
        let noun = match gate.map(|gate| &gate.subject) {
            Some(Subject::Expression { .. }) => "failing value",
            Some(Subject::Cost { .. }) => "costly block",
            _ if unit == Unit::Probe => "bad outcome",
            _ => "bad minute",
        };
        push(
            html,
            format_args!("<small>fails after {} at the soonest</small>", some(needed, noun)),
        );
    } else if against_part(standing).is_none() {
        html.push('–');
    }
}

fn in_favour(html: &mut String, standing: &Standing, gate: Option<&Gate>, unit: Unit) {
    let part = standing.ln_good.and_then(|ln| part(ln, standing.ln_good_threshold));
    let noun = match gate.map(|gate| &gate.subject) {
        Some(Subject::Cost { .. }) => "block",
        _ if unit == Unit::Probe => "good outcome",
        _ => "good minute",
    };
    match part {
        Some(part) => bar(html, "good", if standing.verdict == Verdict::Pass { 1.0 } else { part }),
        None if standing.ln_bad_threshold > 0.0 => {
            html.push_str("<small>none is asked for</small> ")
        }
        None => html.push('–'),
    }
    // A gate that failed passes no more.
    let needed = standing.needed_to_pass.filter(|_| standing.verdict != Verdict::Fail);
    if let Some(needed) = needed.filter(|needed| *needed > 0) {
        push(
            html,
            format_args!("<small>passes after {} at the soonest</small>", some(needed, noun)),
        );
    }
}

fn some(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} more {noun}{plural}")
}

/// A part of what is needed, drawn and in words.
fn bar(html: &mut String, class: &str, part: f64) {
    let words = percent(part);
    // The words beside it say the same.
    push(
        html,
        format_args!(
            "<span class=\"gauge {class}\" aria-hidden=\"true\"><i style=\"width:{:.0}%\"></i></span> \
             {words} <br>",
            100.0 * part.clamp(0.0, 1.0)
        ),
    );
}

/// A part in percent, rounded down: what is nearly enough is not enough.
pub(super) fn percent(part: f64) -> String {
    format!("{:.0} %", (100.0 * part.clamp(0.0, 9.99)).floor())
}

/// With two decimals, and without zeros that say nothing.
fn rounded(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
