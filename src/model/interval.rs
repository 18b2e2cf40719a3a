//! Times that come again: working hours, weekends, the last days of a month.
//!
//! The meaning is Alertmanager's. An interval has one or more rules and holds when any of them
//! does; a rule holds when each of its fields that says anything has a range with the moment in
//! it, as clocks and calendars in the rule's time zone show it (UTC where none is named). A range
//! of times ends before its last minute, all others include their last. So an hour that clocks skip
//! in spring never comes, and one that they repeat in autumn holds both times.
//!
//! A day of the month may be counted from the end: -1 is the last. A range that begins after the
//! end of a month does not come in that month; one that ends after it ends with it.

use std::ops::{Range, RangeInclusive};

use jiff::tz::TimeZone;

use super::Timestamp;

/// A name for some rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeInterval {
    /// What routes call it.
    pub name: String,
    /// It holds when any of these does.
    pub rules: Vec<TimeRule>,
}

impl TimeInterval {
    /// Whether it holds at a time.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.rules.iter().any(|rule| rule.holds(now))
    }

    /// A time after `now` before which it does not begin or end: the next at which clocks reach a
    /// bound of its times or midnight, or are put forward or back.
    pub fn same_until(&self, now: Timestamp) -> Timestamp {
        self.rules.iter().map(|rule| rule.same_until(now)).min().unwrap_or(Timestamp::MAX)
    }
}

/// One rule; a field without ranges says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRule {
    /// Minutes since midnight by the clock, 0 to 1440.
    pub times: Vec<Range<u16>>,
    /// Days of the week, Sunday is 0.
    pub weekdays: Vec<RangeInclusive<i8>>,
    /// Days of the month: 1 to 31, or -31 to -1 counted from its end.
    pub days_of_month: Vec<RangeInclusive<i8>>,
    /// Months from 1.
    pub months: Vec<RangeInclusive<i8>>,
    /// Years.
    pub years: Vec<RangeInclusive<i16>>,
    /// Whose clocks and calendars.
    pub zone: TimeZone,
}

impl TimeRule {
    fn holds(&self, now: Timestamp) -> bool {
        // Beyond what calendars know: years -9999 to 9999.
        let Ok(at) = jiff::Timestamp::from_millisecond(now.millis()) else { return false };
        let at = at.to_zoned(self.zone.clone());
        // An hour is at most 23 and a minute at most 59.
        let minute =
            u16::from(at.hour().unsigned_abs()) * 60 + u16::from(at.minute().unsigned_abs());
        let weekday = at.weekday().to_sunday_zero_offset();
        (self.times.is_empty() || self.times.iter().any(|range| range.contains(&minute)))
            && any(&self.weekdays, weekday)
            && self.is_day(at.day(), at.days_in_month())
            && any(&self.months, at.month())
            && any(&self.years, at.year())
    }

    fn same_until(&self, now: Timestamp) -> Timestamp {
        let Ok(instant) = jiff::Timestamp::from_millisecond(now.millis()) else {
            return Timestamp::MAX;
        };
        let at = instant.to_zoned(self.zone.clone());
        let second = |hour: i8, minute: i8, second: i8| {
            (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second)
        };
        let passed = second(at.hour(), at.minute(), at.second()) * 1000;
        let passed = passed + i64::from(at.millisecond());
        let bounds = self.times.iter().flat_map(|range| [range.start, range.end]);
        let bounds = bounds.map(|minute| i64::from(minute) * 60_000);
        let left = bounds.chain([86_400_000]).map(|bound| bound - passed).filter(|left| *left > 0);
        let by_clock = now.millis().saturating_add(left.min().unwrap_or(60_000));
        // Where clocks change before, they show something else from then on.
        let change = self.zone.following(instant).next().map(|one| one.timestamp());
        Timestamp::from_millis(change.map_or(by_clock, |at| by_clock.min(at.as_millisecond())))
    }

    fn is_day(&self, day: i8, last: i8) -> bool {
        let from_start = |day: i8| if day < 0 { last + day + 1 } else { day };
        let mut ranges = self.days_of_month.iter();
        self.days_of_month.is_empty()
            || ranges.any(|range| {
                let (first, end) = (from_start(*range.start()), from_start(*range.end()));
                (first..=end.min(last)).contains(&day)
            })
    }
}

fn any<T: PartialOrd>(ranges: &[RangeInclusive<T>], value: T) -> bool {
    ranges.is_empty() || ranges.iter().any(|range| range.contains(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule of which nothing but its zone is said.
    fn rule(zone: &str) -> TimeRule {
        TimeRule {
            times: Vec::new(),
            weekdays: Vec::new(),
            days_of_month: Vec::new(),
            months: Vec::new(),
            years: Vec::new(),
            zone: jiff::tz::TimeZoneDatabase::bundled().get(zone).unwrap(),
        }
    }

    /// From one minute of the day to another.
    fn between(from: u16, to: u16) -> Vec<Range<u16>> {
        std::iter::once(from..to).collect()
    }

    /// Instants in UTC, and whether the rule holds.
    fn check(rule: &TimeRule, cases: &[(&str, bool)]) {
        for (at, expected) in cases {
            let at: jiff::Timestamp = at.parse().unwrap();
            let now = Timestamp::from_millis(at.as_millisecond());
            assert_eq!(rule.holds(now), *expected, "{at}");
        }
    }

    #[test]
    fn a_rule_that_says_nothing_always_holds() {
        check(&rule("UTC"), &[("2026-11-30T00:00:00Z", true), ("1970-01-01T00:00:00Z", true)]);
        assert!(!rule("UTC").holds(Timestamp::MAX), "no calendar goes that far");
    }

    #[test]
    fn a_range_of_times_ends_before_its_last_minute() {
        let office = TimeRule { times: between(9 * 60, 17 * 60), ..rule("UTC") };
        check(
            &office,
            &[
                ("2026-11-30T08:59:59.999Z", false),
                ("2026-11-30T09:00:00Z", true),
                ("2026-11-30T16:59:59.999Z", true),
                ("2026-11-30T17:00:00Z", false),
            ],
        );
        let late = TimeRule { times: vec![0..60, 23 * 60..24 * 60], ..rule("UTC") };
        check(
            &late,
            &[
                ("2026-11-30T23:59:59Z", true),
                ("2026-12-01T00:00:00Z", true),
                ("2026-12-01T01:00:00Z", false),
            ],
        );
    }

    // By hand: Berlin is UTC+1 in winter and UTC+2 in summer; in 2026 clocks go from 02:00 to 03:00
    // on 29 March and from 03:00 back to 02:00 on 25 October, both at 01:00 UTC.
    #[test]
    fn times_are_those_of_clocks_that_are_put_forward_and_back() {
        let night = TimeRule { times: between(2 * 60, 3 * 60), ..rule("Europe/Berlin") };
        check(
            &night,
            &[
                // An ordinary winter's and summer's night.
                ("2026-01-15T00:59:59Z", false),
                ("2026-01-15T01:00:00Z", true),
                ("2026-01-15T02:00:00Z", false),
                ("2026-07-15T00:00:00Z", true),
                ("2026-07-15T01:00:00Z", false),
                // The hour that does not come: 01:59:59 is followed by 03:00:00.
                ("2026-03-29T00:59:59Z", false),
                ("2026-03-29T01:00:00Z", false),
                ("2026-03-29T01:59:59Z", false),
                // The hour that comes twice.
                ("2026-10-24T23:59:59Z", false),
                ("2026-10-25T00:00:00Z", true),
                ("2026-10-25T00:59:59Z", true),
                ("2026-10-25T01:00:00Z", true),
                ("2026-10-25T01:59:59Z", true),
                ("2026-10-25T02:00:00Z", false),
            ],
        );
        // Half an hour: Lord Howe, UTC+10:30 in winter, +11 in summer; back at 02:00 on 5 April.
        let half = TimeRule { times: between(90, 120), ..rule("Australia/Lord_Howe") };
        check(
            &half,
            &[
                ("2026-04-04T14:29:00Z", false),
                ("2026-04-04T14:30:00Z", true),
                ("2026-04-04T14:59:00Z", true),
                ("2026-04-04T15:00:00Z", true),
                ("2026-04-04T15:29:00Z", true),
                ("2026-04-04T15:30:00Z", false),
            ],
        );
    }

    // By the calendar: 30 November 2026 is a Monday.
    #[test]
    fn days_are_those_of_the_zone() {
        let weekend = TimeRule { weekdays: vec![6..=6, 0..=0], ..rule("America/New_York") };
        check(
            &weekend,
            &[
                ("2026-11-28T04:59:59Z", false),
                ("2026-11-28T05:00:00Z", true),
                ("2026-11-30T04:59:59Z", true),
                ("2026-11-30T05:00:00Z", false),
            ],
        );
        let week = TimeRule { weekdays: vec![1..=5], ..rule("UTC") };
        check(&week, &[("2026-11-29T23:59:59Z", false), ("2026-11-30T00:00:00Z", true)]);
    }

    #[test]
    fn days_of_the_month_count_from_either_end() {
        let rule = |range| TimeRule { days_of_month: vec![range], ..rule("UTC") };
        check(
            &rule(-3..=-1),
            &[
                ("2026-02-25T12:00:00Z", false),
                ("2026-02-26T12:00:00Z", true),
                ("2026-02-28T12:00:00Z", true),
                ("2028-02-26T12:00:00Z", false),
                ("2028-02-29T12:00:00Z", true),
                ("2026-12-28T12:00:00Z", false),
                ("2026-12-29T12:00:00Z", true),
            ],
        );
        check(&rule(28..=31), &[("2026-02-28T12:00:00Z", true), ("2026-02-27T12:00:00Z", false)]);
        check(&rule(30..=31), &[("2026-02-28T12:00:00Z", false), ("2026-04-30T12:00:00Z", true)]);
        check(
            &rule(RangeInclusive::new(15, -1)),
            &[("2026-02-14T12:00:00Z", false), ("2026-02-28T12:00:00Z", true)],
        );
        check(&rule(-31..=-30), &[("2026-12-01T12:00:00Z", true), ("2026-02-01T12:00:00Z", false)]);
    }

    #[test]
    fn every_field_must_hold_and_any_rule_may() {
        let christmas =
            TimeRule { months: vec![12..=12], days_of_month: vec![24..=26], ..rule("UTC") };
        check(&christmas, &[("2026-12-24T00:00:00Z", true), ("2026-11-24T00:00:00Z", false)]);
        let launch = TimeRule { years: vec![2027..=2028], ..rule("UTC") };
        let interval = TimeInterval { name: "quiet".to_owned(), rules: vec![christmas, launch] };
        let at = |text: &str| {
            Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
        };
        assert!(interval.holds(at("2026-12-25T00:00:00Z")));
        assert!(interval.holds(at("2028-12-31T23:59:59Z")));
        assert!(!interval.holds(at("2029-01-01T00:00:00Z")));
    }

    // By its law: looked at minute by minute, nothing changes before.
    #[test]
    fn nothing_changes_before_the_next_bound() {
        let odd = |zone| TimeRule { times: vec![90..150, 23 * 60..24 * 60], ..rule(zone) };
        let days = TimeRule { weekdays: vec![0..=0], ..rule("Europe/Berlin") };
        let start = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond() + 1;
        for (rule, from) in [
            (odd("UTC"), "2026-11-30T00:00:00Z"),
            (odd("Europe/Berlin"), "2026-03-28T00:00:00Z"),
            (odd("Europe/Berlin"), "2026-10-24T00:00:00Z"),
            (odd("Australia/Lord_Howe"), "2026-04-04T00:00:00Z"),
            (days, "2026-10-24T00:00:00Z"),
        ] {
            let (from, mut looks) = (start(from), 0);
            let mut now = Timestamp::from_millis(from);
            while now.millis() < from + 2 * 86_400_000 {
                let next = rule.same_until(now);
                assert!(next > now, "{now}");
                let mut between = now.millis();
                while between < next.millis() {
                    let at = Timestamp::from_millis(between);
                    assert_eq!(rule.holds(at), rule.holds(now), "{at}, from {now} to {next}");
                    between += 60_000;
                }
                (now, looks) = (next, looks + 1);
            }
            // Two days have at most ten bounds and two midnights, and clocks change once.
            assert!(looks <= 14, "{looks}");
        }
    }
}
