//! Reads times by Go's layouts, as `toDate` does: the other way round from [`super::layout`].
//!
//! A day of the week is read and not held against the date, as in Go. A zone's letters stand for
//! UTC, since the time zone of this machine is no part of a notice; an offset in digits counts.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::layout::part_at;
use crate::model::Timestamp;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// What a text says so far. What it does not say is as in Go: the first of January of the year 0.
#[derive(Default)]
struct Found {
    year: i16,
    month: i8,
    day: i8,
    day_of_year: Option<i16>,
    hour: i8,
    is_afternoon: Option<bool>,
    minute: i8,
    second: i8,
    nanos: i32,
    offset_seconds: i32,
}

/// Reads a time; `None` where the text does not follow the layout or there is no such time.
pub(super) fn parse(layout: &str, text: &str) -> Option<(Timestamp, TimeZone)> {
    let mut found = Found { month: 1, day: 1, ..Found::default() };
    let (mut layout, mut rest) = (layout, text);
    while let Some(first) = layout.chars().next() {
        if let Some((part, meaning)) = part_at(layout) {
            rest = found.take(meaning, rest)?;
            layout = &layout[part.len()..];
            let is_fraction_due = starts_fraction(layout);
            if matches!(meaning, "%S" | "%-S") && !is_fraction_due && starts_fraction(rest) {
                // Go takes a fraction after the seconds whether the layout has one or not.
                rest = found.fraction(rest)?;
            }
        } else if let Some(length) = fraction_length(layout) {
            let is_optional = layout[1..].starts_with('9');
            if starts_fraction(rest) {
                rest = found.fraction(rest)?;
            } else if !is_optional {
                return None;
            }
            layout = &layout[length..];
        } else {
            rest = rest.strip_prefix(first)?;
            layout = &layout[first.len_utf8()..];
        }
    }
    rest.is_empty().then(|| found.moment())?
}

impl Found {
    /// Takes what a part of a layout means off the beginning of a text; gives back what is left.
    fn take<'t>(&mut self, meaning: &str, text: &'t str) -> Option<&'t str> {
        match meaning {
            "%Y" => number(text, 4, 4).map(|(year, rest)| (self.year = year, rest).1),
            "%y" => number::<i16>(text, 2, 2).map(|(year, rest)| {
                self.year = if year >= 69 { 1900 + year } else { 2000 + year };
                rest
            }),
            "%B" => name(text, &MONTHS, usize::MAX).map(|(at, rest)| (self.month = at, rest).1),
            "%b" => name(text, &MONTHS, 3).map(|(at, rest)| (self.month = at, rest).1),
            "%A" => name(text, &DAYS, usize::MAX).map(|(_, rest)| rest),
            "%a" => name(text, &DAYS, 3).map(|(_, rest)| rest),
            "%m" => number(text, 2, 2).map(|(month, rest)| (self.month = month, rest).1),
            "%-m" => number(text, 1, 2).map(|(month, rest)| (self.month = month, rest).1),
            "%d" => number(text, 2, 2).map(|(day, rest)| (self.day = day, rest).1),
            "%e" => {
                let digits = text.strip_prefix(' ').unwrap_or(text);
                number(digits, 1, 2).map(|(day, rest)| (self.day = day, rest).1)
            }
            "%-d" => number(text, 1, 2).map(|(day, rest)| (self.day = day, rest).1),
            "%j" => number(text, 3, 3).map(|(day, rest)| (self.day_of_year = Some(day), rest).1),
            "%H" => number(text, 1, 2).map(|(hour, rest)| (self.hour = hour, rest).1),
            "%I" => number(text, 2, 2).map(|(hour, rest)| (self.hour = hour, rest).1),
            "%-I" => number(text, 1, 2).map(|(hour, rest)| (self.hour = hour, rest).1),
            "%M" => number(text, 2, 2).map(|(minute, rest)| (self.minute = minute, rest).1),
            "%-M" => number(text, 1, 2).map(|(minute, rest)| (self.minute = minute, rest).1),
            "%S" => number(text, 2, 2).map(|(second, rest)| (self.second = second, rest).1),
            "%-S" => number(text, 1, 2).map(|(second, rest)| (self.second = second, rest).1),
            "%p" => self.half(text, ["AM", "PM"]),
            "%P" => self.half(text, ["am", "pm"]),
            "%Z" => letters(text),
            "Z:" | "Z" if text.starts_with('Z') => Some(&text[1..]),
            "Z:" | "%:z" => self.offset(text, ":", true),
            "Z" | "%z" => self.offset(text, "", true),
            "-07" => self.offset(text, "", false),
            _ => None,
        }
    }

    fn half<'t>(&mut self, text: &'t str, words: [&str; 2]) -> Option<&'t str> {
        let after =
            words.into_iter().map(|word| text.strip_prefix(word)).position(|is| is.is_some());
        self.is_afternoon = Some(after? == 1);
        text.get(2..)
    }

    fn offset<'t>(&mut self, text: &'t str, mark: &str, has_minutes: bool) -> Option<&'t str> {
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let (hours, mut rest) = number::<i32>(&text[1..], 2, 2)?;
        let mut minutes = 0;
        if has_minutes {
            (minutes, rest) = number::<i32>(rest.strip_prefix(mark)?, 2, 2)?;
        }
        (hours <= 24 && minutes < 60).then_some(())?;
        self.offset_seconds = sign * (hours * 3600 + minutes * 60);
        Some(rest)
    }

    fn fraction<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let digits = text[1..].chars().take_while(char::is_ascii_digit).count();
        let shown: String = text[1..=digits].chars().chain("000000000".chars()).take(9).collect();
        self.nanos = shown.parse().ok()?;
        Some(&text[1 + digits..])
    }

    fn moment(self) -> Option<(Timestamp, TimeZone)> {
        let hour = match self.is_afternoon {
            Some(_) if !(1..=12).contains(&self.hour) => return None,
            Some(is_afternoon) => self.hour % 12 + if is_afternoon { 12 } else { 0 },
            None => self.hour,
        };
        let date = match self.day_of_year {
            Some(day) => {
                let first = jiff::civil::Date::new(self.year, 1, 1).ok()?;
                first.with().day_of_year(day).build().ok()?
            }
            None => jiff::civil::Date::new(self.year, self.month, self.day).ok()?,
        };
        let time = jiff::civil::Time::new(hour, self.minute, self.second, self.nanos).ok()?;
        let offset = Offset::from_seconds(self.offset_seconds).ok()?;
        let moment = offset.to_timestamp(DateTime::from_parts(date, time)).ok()?;
        let zone = if offset.is_zero() { TimeZone::UTC } else { TimeZone::fixed(offset) };
        Some((Timestamp::from_millis(moment.as_millisecond()), zone))
    }
}

/// A number of so many digits, as many as there are.
fn number<T: std::str::FromStr>(text: &str, least: usize, most: usize) -> Option<(T, &str)> {
    let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    (digits >= least).then_some(())?;
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

/// A name or its first letters, in whichever case; its position counts from 1.
fn name<'t>(text: &'t str, names: &[&str], letters: usize) -> Option<(i8, &'t str)> {
    names.iter().zip(1..).find_map(|(name, at)| {
        let name = name.get(..letters.min(name.len()))?;
        let said = text.get(..name.len())?;
        said.eq_ignore_ascii_case(name).then(|| (at, &text[name.len()..]))
    })
}

/// A zone's three or four capital letters.
fn letters(text: &str) -> Option<&str> {
    let count = text.bytes().take(4).take_while(u8::is_ascii_uppercase).count();
    (count >= 3).then(|| &text[count..])
}

fn starts_fraction(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [b'.' | b',', digit, ..] if digit.is_ascii_digit())
}

/// How long a layout's fraction is, such as `.000`.
fn fraction_length(layout: &str) -> Option<usize> {
    let bytes = layout.as_bytes();
    let [b'.' | b',', digit @ (b'0' | b'9'), ..] = bytes else { return None };
    let count = bytes[1..].iter().take_while(|next| *next == digit).count();
    let goes_on = bytes.get(1 + count).is_some_and(u8::is_ascii_digit);
    (!goes_on).then_some(1 + count)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: the rules of Go's package time, seconds since 1970 by `date -u +%s`.
    #[test]
    fn dates_are_read_as_go_reads_them() {
        for (layout, text, expected) in [
            ("2006-01-02", "2026-11-22", Some(1_795_305_600_000)),
            ("2006-01-02", "2026-11-22 ", None),
            ("2006-01-02", "2026-02-30", None),
            ("2006-01-02", "nonsense", None),
            ("2006-01-02T15:04:05Z07:00", "2026-11-22T10:27:16Z", Some(1_795_343_236_000)),
            ("2006-01-02T15:04:05Z07:00", "2026-11-22T12:27:16.678+02:00", Some(1_795_343_236_678)),
            ("2006-01-02T15:04:05.000Z07:00", "2026-11-22T10:27:16Z", None),
            ("2006-01-02 15:04:05.999 -0700", "2026-11-22 09:27:16 -0100", Some(1_795_343_236_000)),
            (
                "Jan _2, 2006 at 3:04pm (MST)",
                "Nov  2, 2026 at 7:54pm (UTC)",
                Some(1_793_649_240_000),
            ),
            ("Monday, January 2 06 03PM", "Sunday, november 22 26 12AM", Some(1_795_305_600_000)),
            ("2006 002", "2026 326", Some(1_795_305_600_000)),
            ("2006 002", "2026 366", None),
            ("15:04", "24:00", None),
            ("3pm", "13pm", None),
            ("", "", Some(-62_167_219_200_000)),
        ] {
            let read = parse(layout, text).map(|(at, _)| at.millis());
            assert_eq!(read, expected, "{layout} of {text}");
        }
    }
}
