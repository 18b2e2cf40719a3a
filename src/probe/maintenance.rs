//! When providers are in planned maintenance.
//!
//! What comes of a probe while its provider works on itself, as it announced, is no evidence: it is
//! counted in a series of its own and in none that a rule goes by. Filters in rules would protect only
//! those rules that have them; this way any rule file is quiet, in bellwether and in Prometheus. And a
//! count that stands still is what rules know how to judge already: too little evidence.
//!
//! A probe belongs to the maintenance if any moment of it does: a stream that breaks as the provider
//! goes down began before, and a connection that hangs may end after. Windows that touch or overlap
//! are one. An end that is more than a year ahead is not known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{ProviderId, TimeInterval, Timestamp};

/// Further ahead no end is looked for.
const AHEAD_MAX: Duration = Duration::from_secs(366 * 86_400);
/// As many bounds of intervals are looked at: over a year, ten a day.
const LOOKS_MAX: usize = 4000;

/// What is planned for one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Times that come again.
    pub intervals: Vec<Arc<TimeInterval>>,
    /// Times that come once.
    pub windows: Vec<Window>,
}

/// From a moment until before another, which is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
}

/// Maintenance that is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The first moment after it, where that is known.
    pub until: Option<Timestamp>,
}

/// What is planned for all providers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Providers that have something planned.
    pub providers: BTreeMap<ProviderId, Maintenance>,
}

impl Calendar {
    /// Whether a provider is in maintenance, and until when.
    pub fn planned(&self, provider: &ProviderId, now: Timestamp) -> Option<Planned> {
        let maintenance = self.providers.get(provider)?;
        maintenance.holds(now).then(|| Planned { until: maintenance.until(now) })
    }

    /// Whether a provider is in maintenance at any moment between two, these included.
    pub fn touches(&self, provider: &ProviderId, from: Timestamp, to: Timestamp) -> bool {
        self.providers.get(provider).is_some_and(|maintenance| maintenance.touches(from, to))
    }
}

impl Maintenance {
    fn holds(&self, now: Timestamp) -> bool {
        self.window(now).is_some() || self.intervals.iter().any(|interval| interval.holds(now))
    }

    fn window(&self, now: Timestamp) -> Option<&Window> {
        self.windows.iter().find(|window| window.from <= now && now < window.until)
    }

    fn touches(&self, from: Timestamp, to: Timestamp) -> bool {
        self.windows.iter().any(|window| window.from <= to && from < window.until)
            || self.intervals.iter().any(|interval| {
                let bounds = std::iter::successors(Some(from), |at| Some(interval.same_until(*at)));
                let bounds = bounds.take(LOOKS_MAX);
                bounds.take_while(|at| *at <= to).any(|at| interval.holds(at))
            })
    }

    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let mut at = now;
        for _ in 0..LOOKS_MAX {
            if at.since(now) > AHEAD_MAX {
                return None;
            }
            let interval = self.intervals.iter().find(|interval| interval.holds(at));
            at = match (self.window(at), interval) {
                (Some(window), _) => window.until,
                (None, Some(interval)) => interval.same_until(at),
                (None, None) => return Some(at),
            };
        }
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::TimeRule;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    /// Nothing but windows, in milliseconds, for one provider.
    pub(crate) fn windows(provider: &str, windows: &[(i64, i64)]) -> Calendar {
        let at = Timestamp::from_millis;
        let windows =
            windows.iter().map(|(from, until)| Window { from: at(*from), until: at(*until) });
        let maintenance = Maintenance { intervals: Vec::new(), windows: windows.collect() };
        Calendar { providers: BTreeMap::from([(ProviderId::new(provider), maintenance)]) }
    }

    fn sundays() -> Arc<TimeInterval> {
        let rule = TimeRule {
            times: std::iter::once(60..180).collect(),
            weekdays: vec![0..=0],
            days_of_month: Vec::new(),
            months: Vec::new(),
            years: Vec::new(),
            zone: jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap(),
        };
        Arc::new(TimeInterval { name: "sundays".to_owned(), rules: vec![rule] })
    }

    #[test]
    fn a_window_holds_from_its_first_moment_until_before_its_end() {
        let calendar = windows("p", &[(1000, 2000)]);
        let (p, other) = (ProviderId::new("p"), ProviderId::new("other"));
        let at = Timestamp::from_millis;
        let until = |millis| Some(Planned { until: Some(at(millis)) });
        for (now, expected) in [(999, None), (1000, until(2000)), (1999, until(2000)), (2000, None)]
        {
            assert_eq!(calendar.planned(&p, at(now)), expected, "{now}");
        }
        assert_eq!(calendar.planned(&other, at(1500)), None);
        // All that touch or overlap are one, in any order.
        let calendar = windows("p", &[(5000, 6000), (2000, 5000), (1000, 3000), (7000, 8000)]);
        assert_eq!(calendar.planned(&p, at(1000)), until(6000));
    }

    #[test]
    fn a_probe_belongs_to_a_window_if_any_moment_of_it_does() {
        let calendar = windows("p", &[(1000, 2000)]);
        let at = Timestamp::from_millis;
        for (from, to, expected) in [
            (0, 999, false),
            (0, 1000, true),
            (0, 5000, true),
            (1999, 5000, true),
            (2000, 5000, false),
        ] {
            let found = calendar.touches(&ProviderId::new("p"), at(from), at(to));
            assert_eq!(found, expected, "{from} to {to}");
        }
    }

    // By hand: Berlin puts its clocks from 02:00 to 03:00 on 29 March 2026, at 01:00 UTC, so that
    // 01:00 to 03:00 there is one hour and not two. The Sunday before it is 00:00 to 02:00 UTC.
    #[test]
    fn times_that_come_again_are_those_of_their_zone() {
        let p = ProviderId::new("p");
        let window = Window { from: at("2026-03-22T02:00:00Z"), until: at("2026-03-22T02:30:00Z") };
        let maintenance = Maintenance { intervals: vec![sundays()], windows: vec![window] };
        let calendar = Calendar { providers: BTreeMap::from([(p.clone(), maintenance)]) };
        for (now, until) in [
            ("2026-03-21T23:59:59Z", None),
            ("2026-03-22T00:00:00Z", Some("2026-03-22T02:30:00Z")),
            ("2026-03-22T02:30:00Z", None),
            ("2026-03-29T00:30:00Z", Some("2026-03-29T01:00:00Z")),
            ("2026-03-29T01:00:00Z", None),
            ("2026-04-04T23:00:00Z", Some("2026-04-05T01:00:00Z")),
        ] {
            let expected = until.map(|until| Planned { until: Some(at(until)) });
            assert_eq!(calendar.planned(&p, at(now)), expected, "{now}");
        }
        let touches = |from, to| calendar.touches(&p, at(from), at(to));
        assert!(!touches("2026-03-28T23:00:00Z", "2026-03-28T23:59:59Z"));
        assert!(touches("2026-03-28T23:00:00Z", "2026-03-29T09:00:00Z"), "it is all within");
        assert!(!touches("2026-03-29T01:00:00Z", "2026-03-29T09:00:00Z"));
    }

    #[test]
    fn an_end_that_is_too_far_ahead_is_not_known() {
        let always = TimeRule {
            times: Vec::new(),
            weekdays: Vec::new(),
            days_of_month: Vec::new(),
            months: Vec::new(),
            years: Vec::new(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let interval = TimeInterval { name: "always".to_owned(), rules: vec![always] };
        let maintenance = Maintenance { intervals: vec![Arc::new(interval)], windows: Vec::new() };
        let p = ProviderId::new("p");
        let calendar = Calendar { providers: BTreeMap::from([(p.clone(), maintenance)]) };
        let planned = calendar.planned(&p, at("2026-11-30T00:00:00Z"));
        assert_eq!(planned, Some(Planned { until: None }));
    }
}
