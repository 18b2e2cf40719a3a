//! Parts of a date in UTC, from seconds since the epoch.

use super::super::EvalError;
use super::super::function::Calendar;
use super::super::plan::PartId;
use super::block::{Block, Row};
use super::{Evaluation, Grid};
use crate::model::Labels;

impl Evaluation<'_> {
    pub(super) fn calendar(
        &mut self,
        calendar: Calendar,
        vector: Option<PartId>,
        grid: Grid,
    ) -> Result<Block, EvalError> {
        let block = match vector {
            Some(vector) => self.numbers(vector, grid)?,
            None => {
                let mut now = Block::new(grid.count);
                let seconds = (0..grid.count).map(|step| grid.timestamp(step).seconds());
                now.push(Row { labels: Labels::empty(), drops_name: false }, seconds);
                now
            }
        };
        block.map(|_, seconds| part(calendar, seconds)).drop_names(self.naming)
    }
}

const DAY: i64 = 86_400;

fn part(calendar: Calendar, seconds: f64) -> f64 {
    if seconds.is_nan() {
        return f64::NAN;
    }
    // Truncated as Go converts; what lies beyond is the last second there is.
    let seconds = seconds.trunc() as i64;
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let value = match calendar {
        Calendar::Year => year,
        Calendar::Month => month,
        Calendar::DayOfMonth => day,
        // The epoch was a Thursday.
        Calendar::DayOfWeek => (days + 4).rem_euclid(7),
        Calendar::DayOfYear => days - days_of(year, 1, 1) + 1,
        Calendar::DaysInMonth if month == 12 => 31,
        Calendar::DaysInMonth => days_of(year, month + 1, 1) - days_of(year, month, 1),
        Calendar::Hour => second / 3600,
        Calendar::Minute => second / 60 % 60,
    };
    value as f64
}

/// Year, month and day of a day since the epoch, in the proleptic Gregorian calendar. Years are
/// counted from March, so that the leap day is a year's last; an era is 400 of them, 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: date -u -d @SECONDS.
    #[test]
    fn dates_are_gregorian() {
        for (seconds, date) in [
            (0.0, (1970, 1, 1)),
            (951_782_400.0, (2000, 2, 29)),
            (1_456_790_399.0, (2016, 2, 29)),
            (1_456_790_400.0, (2016, 3, 1)),
            (-1.0, (1969, 12, 31)),
            (-2_203_977_600.0, (1900, 2, 28)),
        ] {
            let read = |calendar| part(calendar, seconds) as i64;
            let read = (read(Calendar::Year), read(Calendar::Month), read(Calendar::DayOfMonth));
            assert_eq!(read, date, "{seconds}");
        }
        // Go: time.Unix(math.MaxInt64, 0).UTC().Year()
        assert_eq!(part(Calendar::Year, f64::INFINITY), 292_277_026_596.0);
        assert_eq!(part(Calendar::DayOfYear, 1_483_191_420.0), 366.0);
        assert_eq!(part(Calendar::DaysInMonth, 951_782_400.0), 29.0);
        assert_eq!(part(Calendar::DayOfWeek, -1.0), 3.0);
    }
}
