//! Times by Go's layouts: `2006-01-02 15:04:05 MST` stands for itself at another time.

use jiff::Zoned;
use jiff::tz::TimeZone;

use crate::model::Timestamp;

/// What stands for what, the longest first where one begins another.
const PARTS: [(&str, &str); 27] = [
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("MST", "%Z"),
    ("2006", "%Y"),
    ("-07:00", "%:z"),
    ("-0700", "%z"),
    ("Z07:00", "Z:"),
    ("Z0700", "Z"),
    ("-07", "-07"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("_2", "%e"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

/// Writes a time. What Go knows no meaning for stands as it is.
pub(super) fn format(layout: &str, at: Timestamp, zone: &TimeZone) -> String {
    let Ok(moment) = jiff::Timestamp::from_millisecond(at.millis()) else {
        return at.millis().to_string();
    };
    let moment = moment.to_zoned(zone.clone());
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some((written, length)) = fraction(rest, &moment) {
            out.push_str(&written);
            rest = &rest[length..];
        } else if let Some((part, meaning)) = part_at(rest) {
            out.push_str(&written(meaning, &moment));
            rest = &rest[part.len()..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// The part that a layout begins with, and what it means.
pub(super) fn part_at(layout: &str) -> Option<(&'static str, &'static str)> {
    let begins = |part: &str| layout.starts_with(part) && !is_word_on(layout, part);
    PARTS.iter().find(|(part, _)| begins(part)).copied()
}

/// Go takes `Jan` in `January` and not in `Janus`.
fn is_word_on(rest: &str, part: &str) -> bool {
    matches!(part, "Jan" | "Mon")
        && rest[part.len()..].starts_with(|next: char| next.is_ascii_lowercase())
}

fn written(meaning: &str, moment: &Zoned) -> String {
    let is_utc = moment.offset().is_zero();
    match meaning {
        "Z:" | "Z" if is_utc => "Z".to_owned(),
        "Z:" => moment.strftime("%:z").to_string(),
        "Z" => moment.strftime("%z").to_string(),
        // A zone that is nothing but its offset has no letters.
        "%Z" if !is_utc && moment.time_zone().to_fixed_offset().is_ok() => {
            moment.strftime("%z").to_string()
        }
        "-07" => moment.strftime("%z").to_string().chars().take(3).collect(),
        meaning => moment.strftime(meaning).to_string(),
    }
}

/// `.000` keeps its zeros at the end and `.999` does not; either follows digits.
fn fraction(rest: &str, moment: &Zoned) -> Option<(String, usize)> {
    let mark = rest.chars().next().filter(|mark| matches!(mark, '.' | ','))?;
    let digit = rest[1..].chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let count = rest[1..].chars().take_while(|next| *next == digit).count();
    if rest[1 + count..].starts_with(|next: char| next.is_ascii_digit()) || count > 9 {
        return None;
    }
    let nanos = format!("{:09}", moment.subsec_nanosecond());
    let digits = &nanos[..count];
    let digits = if digit == '9' { digits.trim_end_matches('0') } else { digits };
    let written = if digits.is_empty() { String::new() } else { format!("{mark}{digits}") };
    Some((written, 1 + count))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: the examples of Go's package time, worked by hand for this moment.
    #[test]
    fn layouts_are_written_as_go_writes_them() {
        let at = Timestamp::from_millis(1_424_862_406_120);
        let zone = jiff::tz::TimeZoneDatabase::bundled().get("America/Los_Angeles").unwrap();
        for (layout, utc, there) in [
            ("2006-01-02T15:04:05Z07:00", "2015-02-25T11:06:46Z", "2015-02-25T03:06:46-08:00"),
            (
                "Mon Jan _2 15:04:05 MST 2006",
                "Wed Feb 25 11:06:46 UTC 2015",
                "Wed Feb 25 03:06:46 PST 2015",
            ),
            (
                "3:04PM on Monday, January 2",
                "11:06AM on Wednesday, February 25",
                "3:06AM on Wednesday, February 25",
            ),
            ("15:04:05.000 -0700", "11:06:46.120 +0000", "03:06:46.120 -0800"),
            ("05.999 pm 06/1 002", "46.12 am 15/2 056", "46.12 am 15/2 056"),
            ("at 4 h é Janus", "at 6 h é Janus", "at 6 h é Janus"),
        ] {
            assert_eq!(format(layout, at, &TimeZone::UTC), utc, "{layout}");
            assert_eq!(format(layout, at, &zone), there, "{layout}");
        }
    }
}
