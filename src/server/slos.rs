//! The page's part about service level objectives: what is left, how fast it burns, who was told,
//! and what their traffic can't tell.

use std::time::Duration;

use super::page::{escape, push};
use crate::engine::{BudgetStatus, SloStatus, Snapshot};
use crate::rules::{Alert, AlertState};
use crate::slo::{self, Outlook, Severity, window_name};

pub(super) fn section(html: &mut String, snapshot: &Snapshot) {
    if snapshot.slos.is_empty() {
        return;
    }
    html.push_str(
        "<section><h2>Objectives</h2><div class=\"scroll\" tabindex=\"0\"><table><thead><tr>\
         <th scope=\"col\">objective</th><th scope=\"col\">of</th>\
         <th scope=\"col\">budget left</th><th scope=\"col\">burn rate</th>\
         <th scope=\"col\">alert</th><th scope=\"col\">what its traffic can tell</th>\
         </tr></thead><tbody>",
    );
    for status in &snapshot.slos {
        let outlooks = slo::outlooks(&status.slo);
        for budget in &status.budgets {
            row(html, snapshot, status, budget, &outlooks);
        }
    }
    html.push_str("</tbody></table></div></section>");
}

fn row(
    html: &mut String,
    snapshot: &Snapshot,
    status: &SloStatus,
    budget: &BudgetStatus,
    outlooks: &[Outlook],
) {
    let slo = &status.slo;
    let whose = budget.target.as_ref();
    let name = whose.map_or("all together", |target| target.as_str());
    push(
        html,
        format_args!(
            "<tr><th scope=\"row\">{} <small>{} {} over {}</small></th><td>{}</td>",
            escape(&slo.name),
            slo.objective,
            slo.indicator.as_str(),
            window_name(slo.window),
            escape(name)
        ),
    );
    let class = match budget.remaining {
        None => "excluded",
        Some(left) if left <= 0.0 => "bad",
        Some(left) if left < 0.25 => "warning",
        Some(_) => "good",
    };
    let left = budget.remaining.map_or("not known yet".to_owned(), percent);
    push(html, format_args!("<td class=\"{class}\">{left}</td><td>{}</td>", burns(slo, budget)));
    let (class, told) = told(snapshot, slo, whose.map(|target| target.as_str()));
    push(html, format_args!("<td class=\"{class}\">{told}</td><td>"));
    let outlook = outlooks.iter().find(|outlook| match whose {
        Some(target) => outlook.targets.contains(target),
        None => true,
    });
    if let Some(outlook) = outlook {
        html.push_str(&escape(&can_tell(outlook)));
        for remark in &outlook.remarks {
            push(html, format_args!("<br><span class=\"warning\">{}</span>", escape(remark)));
        }
    }
    html.push_str("</td></tr>");
}

/// Over the long windows of pages, which say what is going on now.
fn burns(slo: &slo::Slo, budget: &BudgetStatus) -> String {
    let shown = slo::pairs(slo.window).into_iter().filter(|pair| pair.severity == Severity::Page);
    let over = |window: Duration| {
        let burn = budget.burns.iter().find(|(other, _)| *other == window)?.1?;
        Some(format!("{burn:.1}× over {}", window_name(window)))
    };
    let all: Vec<String> = shown.filter_map(|pair| over(pair.long)).collect();
    if all.is_empty() { "–".to_owned() } else { all.join(", ") }
}

/// Whether an alert of the objective is active, the gravest first.
fn told(snapshot: &Snapshot, slo: &slo::Slo, target: Option<&str>) -> (&'static str, String) {
    let rules = snapshot.groups.iter().flat_map(|group| &group.rules);
    let alerts = rules.filter(|rule| rule.name == slo::ALERT).flat_map(|rule| &rule.alerts);
    let is_ours = |alert: &&Alert| {
        alert.labels.get("slo") == Some(&slo.name)
            && (target.is_none() || alert.labels.get("target") == target)
            && alert.state != AlertState::Inactive
    };
    let gravest = alerts.filter(is_ours).max_by_key(|alert| {
        (alert.state, alert.labels.get("severity") != Some(Severity::Ticket.as_str()))
    });
    let Some(alert) = gravest else { return ("good", "none".to_owned()) };
    let class = if alert.state == AlertState::Firing { "bad" } else { "warning" };
    let severity = escape(alert.labels.get("severity").unwrap_or("alert"));
    (class, format!("{severity} {}", alert.state.as_str()))
}

fn can_tell(outlook: &Outlook) -> String {
    let first = |severity: Severity| {
        let after = crate::model::format_duration(outlook.first_alert(severity)?);
        Some(format!("a {} {after} into a total outage at the soonest", severity.as_str()))
    };
    let soonest = first(Severity::Page).or_else(|| first(Severity::Ticket));
    let may_fail = slo::amount(outlook.budget);
    let events = outlook.events.round();
    let budget = format!("{may_fail} of {events} probes may fail");
    soonest.map_or(budget.clone(), |soonest| format!("{budget}; {soonest}"))
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}
