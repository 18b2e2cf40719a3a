//! What an objective can tell at the cadence of its targets, said before the first probe.
//!
//! An alert needs failures enough to spend its share of the budget, and never fewer than the
//! objective's minimum; at one probe a minute these take minutes to happen, however total the
//! outage. So each pair of windows has an earliest alert, and some have none: a window that holds
//! one probe can't hold two failures. A budget of less than one failure is spent by the first, and
//! an objective near 100 % is not shown by any number of good probes that the window holds.

use std::fmt;
use std::time::Duration;

use super::settings::{Scope, Slo};
use super::windows::{Pair, Severity, pairs, window_name};
use crate::model::{TargetId, format_duration};

/// A share that is whole but for the noise of floats counts as whole.
const NOISE: f64 = 1e-9;
/// One minus the confidence with which a run of good probes shows an objective.
const DOUBT: f64 = 0.05;

/// What is known of one budget: that of targets with one cadence, or of all together.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// Whose.
    pub targets: Vec<TargetId>,
    /// How often there is a probe.
    pub interval: Duration,
    /// How many are planned in the objective's window.
    pub events: f64,
    /// How many of them may fail.
    pub budget: f64,
    /// What each pair of windows can tell.
    pub pairs: Vec<PairOutlook>,
    /// What the operator should know; sentences without an end.
    pub remarks: Vec<String>,
}

/// What one pair of windows can tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairOutlook {
    /// The windows.
    pub pair: Pair,
    /// How many probes the long one holds.
    pub long_events: u64,
    /// How many the short one holds.
    pub short_events: u64,
    /// How many of the long one's must have failed.
    pub long_failures: u64,
    /// How many of the short one's.
    pub short_failures: u64,
    /// Whether it can fire.
    pub reach: Reach,
}

/// How soon an alert can fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// As long after the beginning of a total outage, at the latest phase of the cadence. The next
    /// sample and the next evaluation come on top.
    After(Duration),
    /// The configuration has it off.
    Off,
    /// Not even a total outage burns as fast.
    TooSlow,
    /// Its windows hold too few probes.
    TooFew,
}

/// What is known of each of an objective's budgets.
pub fn outlooks(slo: &Slo) -> Vec<Outlook> {
    let rate = |interval: Duration| 1.0 / interval.as_secs_f64();
    let mut budgets: Vec<(Vec<TargetId>, f64)> = Vec::new();
    for subject in &slo.subjects {
        let (own, target) = (rate(subject.interval), subject.target.clone());
        let same = budgets.iter_mut().find(|(_, other)| match slo.scope {
            Scope::Each => *other == own,
            Scope::Together => true,
        });
        match same {
            Some((targets, all)) => {
                targets.push(target);
                if slo.scope == Scope::Together {
                    *all += own;
                }
            }
            None => budgets.push((vec![target], own)),
        }
    }
    budgets.into_iter().map(|(targets, rate)| outlook(slo, targets, rate)).collect()
}

fn outlook(slo: &Slo, targets: Vec<TargetId>, rate: f64) -> Outlook {
    let events = rate * slo.window.as_secs_f64();
    let budget = events * slo.objective.allowed();
    let pairs: Vec<PairOutlook> =
        pairs(slo.window).into_iter().map(|pair| judge(slo, pair, rate, budget)).collect();
    let interval = Duration::from_secs_f64(1.0 / rate);
    let mut outlook = Outlook { targets, interval, events, budget, pairs, remarks: Vec::new() };
    outlook.remarks = remarks(slo, &outlook);
    outlook
}

fn judge(slo: &Slo, pair: Pair, rate: f64, budget: f64) -> PairOutlook {
    let share = pair.share() * budget;
    let part = pair.long.as_secs_f64() / pair.short.as_secs_f64();
    let held = |window: Duration| (rate * window.as_secs_f64() + NOISE).floor() as u64;
    let failures_min = u64::from(slo.failures_min);
    let (long_events, short_events) = (held(pair.long), held(pair.short));
    let long_failures = more_than(share).max(failures_min);
    let short_failures = more_than(share / part).max(failures_min);
    let reach = match slo.alerting(pair.severity) {
        None => Reach::Off,
        Some(_) if pair.burn() * slo.objective.allowed() >= 1.0 => Reach::TooSlow,
        Some(_) if short_failures > short_events || long_events < u64::from(slo.events_min) => {
            Reach::TooFew
        }
        Some(_) if long_failures > long_events => Reach::TooFew,
        Some(alerting) => {
            let failures = long_failures.max(short_failures) as f64;
            Reach::After(Duration::from_secs_f64((failures / rate).ceil()) + alerting.pending)
        }
    };
    PairOutlook { pair, long_events, short_events, long_failures, short_failures, reach }
}

/// The least whole number above an amount.
fn more_than(amount: f64) -> u64 {
    (amount + NOISE).floor() as u64 + 1
}

impl Outlook {
    /// How long after the beginning of a total outage the first alert can fire.
    pub fn first_alert(&self, severity: Severity) -> Option<Duration> {
        let pairs = self.pairs.iter().filter(|pair| pair.pair.severity == severity);
        let reached = pairs.filter_map(|pair| match pair.reach {
            Reach::After(after) => Some(after),
            Reach::Off | Reach::TooSlow | Reach::TooFew => None,
        });
        reached.min()
    }
}

fn remarks(slo: &Slo, outlook: &Outlook) -> Vec<String> {
    let mut remarks = Vec::new();
    let window = window_name(slo.window);
    let events = outlook.events.round();
    if outlook.budget < 1.0 {
        remarks.push(format!(
            "one failure exhausts the budget: of {events} probes in {window}, {} may fail",
            amount(outlook.budget)
        ));
    }
    // As many good probes in a row leave a chance of 5 % that the true share is below.
    let shown = (DOUBT.ln() / slo.objective.ratio().ln()).ceil();
    if shown > events {
        remarks.push(format!(
            "{window} without a failure do not show {}: that takes {shown} probes, and {events} are \
             planned",
            slo.objective
        ));
    }
    for severity in Severity::ALL {
        if slo.alerting(severity).is_none() {
            continue;
        }
        let of_severity = || outlook.pairs.iter().filter(|pair| pair.pair.severity == severity);
        let name = severity.as_str();
        match outlook.first_alert(severity) {
            None => remarks.push(format!("no {name} can ever fire")),
            Some(after) if of_severity().any(|pair| pair.reach == Reach::TooFew) => {
                let after = format_duration(after);
                remarks.push(format!("it cannot {name} faster than {after} into a total outage"));
            }
            Some(_) => {}
        }
        for found in of_severity() {
            let [long, short] = [found.pair.long, found.pair.short].map(window_name);
            match found.reach {
                Reach::TooFew => {
                    let interval = format_duration(slo.interval_for(&found.pair));
                    remarks.push(format!(
                        "the {name} alert over {long} and {short} cannot fire: they hold {} and {} \
                         probes; it takes one every {interval}",
                        found.long_events, found.short_events
                    ));
                }
                Reach::TooSlow => remarks.push(format!(
                    "the {name} alert over {long} and {short} is left out: a total outage burns {} \
                     times as fast as allowed, not {}",
                    amount(1.0 / slo.objective.allowed()),
                    found.pair.burn_text()
                )),
                Reach::After(_) | Reach::Off => {}
            }
        }
    }
    remarks
}

impl Slo {
    /// The longest cadence, in whole seconds, at which a pair of windows can fire.
    fn interval_for(&self, pair: &Pair) -> Duration {
        let most = pair.short.as_secs() / u64::from(self.failures_min);
        let can_fire = |seconds: &u64| {
            let rate = 1.0 / *seconds as f64;
            let budget = rate * self.window.as_secs_f64() * self.objective.allowed();
            matches!(judge(self, *pair, rate, budget).reach, Reach::After(_))
        };
        // What a window must hold grows slower than what it holds, so the first that fits is near.
        let seconds = (1..=most).rev().find(can_fire).unwrap_or(1);
        Duration::from_secs(seconds)
    }
}

/// A number with as many decimals as say something.
pub fn amount(number: f64) -> String {
    let text = if number < 1.0 { format!("{number:.3}") } else { format!("{number:.1}") };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// One line for the budget and one for each pair of windows; remarks are left to whoever shows them.
impl fmt::Display for Outlook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.targets.iter().map(|name| format!("`{name}`")).collect();
        let interval = Duration::from_millis(self.interval.as_millis() as u64);
        write!(
            formatter,
            "  {}: a probe every {}; of {} in the window {} may fail",
            names.join(", "),
            format_duration(interval),
            self.events.round(),
            amount(self.budget)
        )?;
        for found in &self.pairs {
            let windows = [found.pair.long, found.pair.short].map(window_name).join("/");
            let reach = match found.reach {
                Reach::After(after) => format!("{} into a total outage", format_duration(after)),
                Reach::Off => "switched off".to_owned(),
                Reach::TooSlow => "no outage burns as fast".to_owned(),
                Reach::TooFew => "never: too few probes".to_owned(),
            };
            write!(
                formatter,
                "\n    {:<6} {:>8}x over {windows:<12} {:>6} of {:<6} and {:>5} of {:<5} failed: {reach}",
                found.pair.severity.as_str(),
                found.pair.burn_text(),
                found.long_failures,
                found.long_events,
                found.short_failures,
                found.short_events
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Alerting, Indicator, Objective, Subject};
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn slo(objective: &str, intervals: &[u64], failures_min: u32) -> Slo {
        let subjects = intervals.iter().enumerate().map(|(position, seconds)| Subject {
            target: TargetId::new(&format!("t{position}")),
            interval: Duration::from_secs(*seconds),
        });
        Slo {
            name: "s".to_owned(),
            indicator: Indicator::Availability,
            objective: Objective::parse(objective).unwrap(),
            window: 30 * DAY,
            subjects: subjects.collect(),
            scope: Scope::Each,
            events_min: 10,
            failures_min,
            page: Some(Alerting::default()),
            ticket: Some(Alerting::default()),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }

    fn failures(objective: &str, seconds: u64, failures_min: u32) -> Vec<(u64, u64, u64, u64)> {
        let outlook = outlooks(&slo(objective, &[seconds], failures_min)).remove(0);
        let pairs = outlook.pairs.iter();
        pairs.map(|p| (p.long_failures, p.long_events, p.short_failures, p.short_events)).collect()
    }

    // One probe in 15 s: 14.4 × 1 % of 240 is 34.56, of 20 it is 2.88; 6 × 1 % of 1440 is 86.4, of
    // 120 it is 7.2; the same for 0.1 %, and so on down the table.
    #[test]
    fn as_many_must_fail_as_spend_the_share_of_the_budget() {
        assert_eq!(
            failures("99", 15, 1),
            [(35, 240, 3, 20), (87, 1440, 8, 120), (173, 5760, 15, 480), (173, 17_280, 15, 1440)]
        );
        assert_eq!(failures("99.9", 15, 1)[..2], [(4, 240, 1, 20), (9, 1440, 1, 120)]);
        assert_eq!(failures("99.9", 15, 2)[..2], [(4, 240, 2, 20), (9, 1440, 2, 120)]);
    }

    // The workbook's detection time is (1 - objective) / error ratio × burn × long window: for a total
    // outage 0.001 × 14.4 × 1 h = 51.84 s and 0.01 × 14.4 × 1 h = 518.4 s; at one probe a second the
    // whole number of failures above it.
    #[test]
    fn a_total_outage_is_found_as_the_workbook_computes_it() {
        for (objective, seconds) in [("99.9", 52), ("99", 519), ("99.99", 6)] {
            let outlook = outlooks(&slo(objective, &[1], 1)).remove(0);
            let first = outlook.first_alert(Severity::Page);
            assert_eq!(first, Some(Duration::from_secs(seconds)), "{objective}");
        }
    }

    // 99.9 % of 43,200 probes leaves 43.2 failures. One of the five in 5 m burns at 200, and the
    // hour's 0.864 failures would be passed by it: two are asked for, which takes two minutes.
    #[test]
    fn one_failure_at_one_probe_a_minute_pages_nobody() {
        let outlook = outlooks(&slo("99.9", &[60], 2)).remove(0);
        assert!((outlook.budget - 43.2).abs() < 1e-6);
        assert_eq!(failures("99.9", 60, 2)[0], (2, 60, 2, 5));
        assert_eq!(outlook.first_alert(Severity::Page), Some(Duration::from_secs(120)));
        assert_eq!(outlook.remarks, Vec::<String>::new());
    }

    // One in a quarter of an hour: 5 m hold none, 30 m two; 2,880 in 30 d, of which 0.288 may fail.
    // ln 0.05 / ln 0.9999 = 29,955.8.
    #[test]
    fn what_few_probes_cannot_tell_is_said() {
        let outlook = outlooks(&slo("99.99", &[900], 2)).remove(0);
        assert_eq!(
            outlook.remarks,
            [
                "one failure exhausts the budget: of 2880 probes in 30d, 0.288 may fail",
                "30d without a failure do not show 99.99%: that takes 29956 probes, and 2880 are \
                 planned",
                "it cannot page faster than 30m into a total outage",
                "the page alert over 1h and 5m cannot fire: they hold 4 and 0 probes; it takes one every \
                 2m30s",
            ]
        );
    }

    // 14.4 × 10 % is more than everything; 6 × 10 % is not.
    #[test]
    fn a_burn_that_no_outage_reaches_is_said() {
        let outlook = outlooks(&slo("90", &[60], 2)).remove(0);
        let reached: Vec<bool> =
            outlook.pairs.iter().map(|pair| pair.reach == Reach::TooSlow).collect();
        assert_eq!(reached, [true, false, false, false]);
        assert_eq!(
            outlook.remarks,
            [
                "the page alert over 1h and 5m is left out: a total outage burns 10 times as fast as \
              allowed, not 14.4"
            ]
        );
        let hopeless = outlooks(&slo("10", &[60], 2)).remove(0);
        assert!(hopeless.remarks.contains(&"no page can ever fire".to_owned()));
    }

    #[test]
    fn targets_of_one_cadence_share_a_line_and_together_they_share_a_budget() {
        let each = outlooks(&slo("99", &[60, 30, 60], 2));
        let named: Vec<usize> = each.iter().map(|outlook| outlook.targets.len()).collect();
        assert_eq!(named, [2, 1]);
        let together = Slo { scope: Scope::Together, ..slo("99", &[60, 30, 60], 2) };
        let together = outlooks(&together);
        assert_eq!(together.len(), 1);
        // 2 + 1 + 1 probes a minute.
        assert_eq!(together[0].interval, Duration::from_secs(15));
    }
}
