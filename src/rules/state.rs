//! The alert state machine: what becomes of one alert at one evaluation.
//!
//! As in Prometheus (rules/alerting.go): a condition that holds makes an alert pending; one that
//! has held for `for` makes it firing, so that with `for: 0s` it fires in the same evaluation. A
//! pending alert whose condition vanishes is forgotten, and nobody hears of it. A firing one is
//! kept firing for `keep_firing_for` since the first evaluation without it, and then resolves; it
//! is remembered for 15 minutes, so that its end can be told again. A condition that returns after
//! that end is a new incident. `keep_firing_for` never helps a pending alert.
//!
//! A firing alert becomes pending again only where a reload raised `for` above the time that it had
//! waited. Where an early evaluation made it fire, an interval evaluation with an earlier timestamp
//! may follow: that alone does not take it back.

use std::time::Duration;

use super::alert::{Alert, AlertState};
use crate::model::{Labels, Timestamp};

/// How long the end of an alert is remembered (Prometheus's `resolvedRetention`).
const RESOLVED_KEPT: Duration = Duration::from_secs(15 * 60);

/// What a rule says of waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// `for`: how long the condition must hold before the alert fires.
    pub pending: Duration,
    /// `keep_firing_for`: how long it fires on without the condition.
    pub firing: Duration,
}

/// What an evaluation says of one alert whose condition holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding<'a> {
    pub(super) annotations: Labels,
    pub(super) value: f64,
    pub(super) expr: &'a str,
}

/// Moves an alert that holds on, or begins one. `begin` makes the pending alert of a new incident.
pub(super) fn found(
    held: Option<Alert>,
    finding: Finding<'_>,
    holds: Holds,
    at: Timestamp,
    begin: impl FnOnce() -> Alert,
) -> Alert {
    let held = held.filter(|alert| alert.state != AlertState::Inactive);
    let mut alert = held.unwrap_or_else(begin);
    alert.value = finding.value;
    alert.annotations = finding.annotations;
    if alert.expr != finding.expr {
        finding.expr.clone_into(&mut alert.expr);
    }
    alert.keep_firing_since = None;
    let had_waited = alert.fired_at.map_or(Duration::ZERO, |fired| fired.since(alert.active_at));
    let has_waited = at.since(alert.active_at).max(had_waited);
    match alert.state {
        AlertState::Pending if has_waited >= holds.pending => {
            alert.state = AlertState::Firing;
            alert.fired_at = Some(at);
        }
        AlertState::Firing if has_waited < holds.pending => {
            alert.state = AlertState::Pending;
            alert.fired_at = None;
        }
        AlertState::Inactive | AlertState::Pending | AlertState::Firing => {}
    }
    alert
}

/// Moves an alert whose condition does not hold. `None` means that it is forgotten.
pub(super) fn missing(mut alert: Alert, holds: Holds, at: Timestamp) -> Option<Alert> {
    match alert.state {
        AlertState::Pending => return None,
        AlertState::Firing => {
            if !holds.firing.is_zero() {
                let since = *alert.keep_firing_since.get_or_insert(at);
                if at.since(since) < holds.firing {
                    return Some(alert);
                }
            }
            alert.state = AlertState::Inactive;
            alert.resolved_at = Some(at);
        }
        AlertState::Inactive => {
            if alert.resolved_at.is_none_or(|resolved| at.since(resolved) > RESOLVED_KEPT) {
                return None;
            }
        }
    }
    Some(alert)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(active_at: Timestamp) -> Alert {
        Alert {
            labels: Labels::empty(),
            annotations: Labels::empty(),
            state: AlertState::Pending,
            value: 0.0,
            active_at,
            fired_at: None,
            resolved_at: None,
            keep_firing_since: None,
            expr: String::new(),
            rule: String::new(),
            group: String::new(),
            file: String::new(),
            incident: active_at.millis().to_string(),
        }
    }

    /// Walks one alert through evaluations a minute apart. In `conditions`, `x` is an evaluation in
    /// which the condition holds and `.` one in which it does not. The answer has a letter for each:
    /// `-` unknown, `p` pending, `f` firing, `k` kept firing, `r` resolved.
    fn check(hold: u64, keep: u64, conditions: &str, expected: &str) {
        let minutes = |number: u64| Duration::from_secs(60 * number);
        let holds = Holds { pending: minutes(hold), firing: minutes(keep) };
        let mut held: Option<Alert> = None;
        let mut seen = String::new();
        let mut at = Timestamp::from_millis(0);
        for condition in conditions.chars() {
            let finding = Finding { annotations: Labels::empty(), value: 1.0, expr: "" };
            held = match condition {
                'x' => Some(found(held, finding, holds, at, || alert(at))),
                _ => held.and_then(|alert| missing(alert, holds, at)),
            };
            seen.push(match &held {
                None => '-',
                Some(alert) => match (alert.state, alert.keep_firing_since) {
                    (AlertState::Inactive, _) => 'r',
                    (AlertState::Pending, _) => 'p',
                    (AlertState::Firing, None) => 'f',
                    (AlertState::Firing, Some(_)) => 'k',
                },
            });
            at = at + minutes(1);
        }
        assert_eq!(seen, expected, "for {hold}m, keep {keep}m, {conditions}");
    }

    // Worked by hand from the rules in alerting.go; the same sequences are put before promtool in
    // tests/rules.
    #[test]
    fn alerts_move_as_in_prometheus() {
        // `for: 0` fires in the evaluation that finds it, and resolves in the next without it.
        check(0, 0, "x.", "fr");
        check(0, 0, "xx..x", "ffrrf");
        // `for` counts from the first active evaluation.
        check(2, 0, "xxxx.", "ppffr");
        check(1, 0, "xx", "pf");
        // One missing evaluation forgets a pending alert and starts again.
        check(2, 0, "xx.xxx", "pp-ppf");
        check(2, 5, "xx.xx.", "pp-pp-");
        // `keep_firing_for` starts with the first missing evaluation and ends with a return.
        check(0, 2, "x...", "fkkr");
        check(0, 2, "x.x...", "fkfkkr");
        check(1, 2, "xx.x..x", "pfkfkkf");
        // After its end, an alert is remembered for 15 minutes, and a return is a new incident.
        check(0, 0, "x.................", "frrrrrrrrrrrrrrrr-");
        check(1, 0, "xx.x", "pfrp");
    }

    #[test]
    fn a_return_after_the_end_is_a_new_incident() {
        let minute = Duration::from_secs(60);
        let start = Timestamp::from_millis(0);
        let finding = || Finding { annotations: Labels::empty(), value: 1.0, expr: "" };
        let holds = Holds::default();
        let first = found(None, finding(), holds, start, || alert(start));
        let over = missing(first.clone(), holds, start + minute).unwrap();
        assert_eq!(over.resolved_at, Some(start + minute));
        assert_eq!(over.incident, first.incident);
        let later = start + 2 * minute;
        let second = found(Some(over), finding(), holds, later, || alert(later));
        assert_ne!(second.incident, first.incident);
        assert_eq!((second.active_at, second.fired_at), (later, Some(later)));
        assert_eq!(second.resolved_at, None);
    }

    #[test]
    fn only_a_raised_for_takes_firing_back() {
        let second = Duration::from_secs(1);
        let start = Timestamp::from_millis(0);
        let finding = || Finding { annotations: Labels::empty(), value: 1.0, expr: "" };
        let holds = |seconds| Holds { pending: second * seconds, firing: Duration::ZERO };
        let mut firing = alert(start);
        firing.state = AlertState::Firing;
        firing.fired_at = Some(start + second * 30);
        // Fired early at 30 s; the interval evaluation of 29 s comes late and leaves it so.
        let after =
            found(Some(firing.clone()), finding(), holds(30), start + second * 29, || alert(start));
        assert_eq!(after.state, AlertState::Firing);
        // A reload raised `for` to 60 s: at 45 s it waits again, at 60 s it fires again.
        let after = found(Some(firing), finding(), holds(60), start + second * 45, || alert(start));
        assert_eq!((after.state, after.fired_at), (AlertState::Pending, None));
        let at = start + second * 60;
        let after = found(Some(after), finding(), holds(60), at, || alert(start));
        assert_eq!((after.state, after.fired_at), (AlertState::Firing, Some(at)));
    }
}
