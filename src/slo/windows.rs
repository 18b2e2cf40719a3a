//! The windows that alerts look at, and how fast the budget must burn in each.
//!
//! The Site Reliability Workbook's table for 30 days, chapter 5: 2 % of the budget in an hour or 5 %
//! in six page somebody; 10 % in one day or in three open a ticket. The short window, a twelfth of
//! the long one, lets an alert end soon after its cause. Objectives over 28 to 31 days keep the
//! table's windows, as other generators do, and their burn rates follow (13.44 in place of 14.4 for
//! 28 days); others keep the burn rates, and their windows shrink in proportion. The shares of the
//! budget are the same for all.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::format_duration;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// The table: how grave, how many percent of the budget, over how many seconds of 30 days.
const TABLE: [(Severity, u32, u64); 4] = [
    (Severity::Page, 2, HOUR),
    (Severity::Page, 5, 6 * HOUR),
    (Severity::Ticket, 10, DAY),
    (Severity::Ticket, 10, 3 * DAY),
];
const TABLE_WINDOW: u64 = 30 * DAY;
const SHORT_PART: u32 = 12;

/// As many samples as the shortest window must hold: `increase()` needs two, and one more at either
/// end lets a late sample pass.
pub const SAMPLES_LEAST: u32 = 4;

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody is woken.
    Page,
    /// Somebody looks at it within days.
    Ticket,
}

impl Severity {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Page, Self::Ticket];

    /// The value of the label `severity`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Who is told.
    pub severity: Severity,
    /// How much of the budget is spent when it fires.
    pub share_percent: u32,
    /// Over which time that is.
    pub long: Duration,
    /// In which it must still be so.
    pub short: Duration,
    /// Over which the objective is held.
    pub window: Duration,
}

impl Pair {
    /// How many times as fast as allowed the budget must burn.
    pub fn burn(&self) -> f64 {
        let percent = f64::from(self.share_percent) * self.window.as_secs_f64();
        percent / (100.0 * self.long.as_secs_f64())
    }

    /// The burn rate as it is written: at most six decimals.
    pub fn burn_text(&self) -> String {
        let text = format!("{:.6}", self.burn());
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// The share of the budget, from 0 to 1.
    pub fn share(&self) -> f64 {
        f64::from(self.share_percent) / 100.0
    }
}

/// The lines of the table for an objective over `window`, a whole number of days.
pub fn pairs(window: Duration) -> [Pair; 4] {
    let is_month = (28 * DAY..=31 * DAY).contains(&window.as_secs());
    TABLE.map(|(severity, share_percent, seconds)| {
        let base = Duration::from_secs(seconds);
        let long = if is_month {
            base
        } else {
            // A day shrinks the hour to two minutes, so no window of whole days leaves a remainder.
            Duration::from_secs(seconds * window.as_secs() / TABLE_WINDOW)
        };
        Pair { severity, share_percent, long, short: long / SHORT_PART, window }
    })
}

/// Every window that something is recorded over, the objective's own among them, the shortest first.
pub fn all(window: Duration) -> Vec<Duration> {
    let of_pairs = pairs(window).into_iter().flat_map(|pair| [pair.short, pair.long]);
    of_pairs.chain([window]).collect::<BTreeSet<_>>().into_iter().collect()
}

/// A window as it is named in rules: days are not gathered into weeks, as nobody calls 28 days so.
pub fn window_name(window: Duration) -> String {
    let seconds = window.as_secs();
    if seconds > 0 && seconds.is_multiple_of(DAY) {
        format!("{}d", seconds / DAY)
    } else {
        format_duration(window)
    }
}

/// The shortest of them.
pub fn shortest(window: Duration) -> Duration {
    pairs(window)[0].short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(days: u64) -> Vec<(String, String, String, u32)> {
        let rows = pairs(Duration::from_secs(days * DAY)).map(|pair| {
            let [long, short] = [pair.long, pair.short].map(window_name);
            (long, short, pair.burn_text(), pair.share_percent)
        });
        rows.into()
    }

    fn row(long: &str, short: &str, burn: &str, share: u32) -> (String, String, String, u32) {
        (long.to_owned(), short.to_owned(), burn.to_owned(), share)
    }

    // The workbook's table 5-8, and what Sloth makes of it for 28 days.
    #[test]
    fn a_month_has_the_workbooks_windows() {
        let thirty = [
            row("1h", "5m", "14.4", 2),
            row("6h", "30m", "6", 5),
            row("1d", "2h", "3", 10),
            row("3d", "6h", "1", 10),
        ];
        assert_eq!(table(30), thirty);
        let twenty_eight = [
            row("1h", "5m", "13.44", 2),
            row("6h", "30m", "5.6", 5),
            row("1d", "2h", "2.8", 10),
            row("3d", "6h", "0.933333", 10),
        ];
        assert_eq!(table(28), twenty_eight);
    }

    // By hand: 7 / 30 of an hour are 14 minutes, of six 84, of a day 5 h 36 m, of three 16 h 48 m.
    #[test]
    fn other_windows_shrink_the_table_and_keep_its_burn_rates() {
        let seven = [
            row("14m", "1m10s", "14.4", 2),
            row("1h24m", "7m", "6", 5),
            row("5h36m", "28m", "3", 10),
            row("16h48m", "1h24m", "1", 10),
        ];
        assert_eq!(table(7), seven);
    }

    #[test]
    fn the_slowest_short_window_is_the_second_long_one_whatever_the_objectives() {
        for days in 1..=30 {
            let window = Duration::from_secs(days * DAY);
            let pairs = pairs(window);
            assert_eq!(pairs[3].short, pairs[1].long, "{days} days");
            assert!(pairs.iter().all(|pair| pair.short * 12 == pair.long), "{days} days");
            assert_eq!(all(window).len(), 8, "{days} days");
        }
    }
}
