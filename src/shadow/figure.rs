//! Numbers as people read them, each with its bounds.

use super::gate::{Gate, Unit};
use super::report::Share;
use crate::statistics::Bounded;

/// A missing bound or value.
const NONE: &str = "–";

/// A time: three digits, in the unit that fits.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.000_999_5 => format!("{:.0} µs", s * 1e6),
        s if s < 0.009_995 => format!("{:.2} ms", s * 1e3),
        s if s < 0.099_95 => format!("{:.1} ms", s * 1e3),
        s if s < 0.999_5 => format!("{:.0} ms", s * 1e3),
        s if s < 9.995 => format!("{s:.2} s"),
        s => format!("{s:.1} s"),
    }
}

/// A factor.
pub(super) fn ratio(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2}×") } else { format!("{ratio:.1}×") }
}

/// A share, in percent.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        0.0 => "0 %".to_owned(),
        p if p < 0.095 => format!("{percent:.2} %"),
        p if p < 99.95 => format!("{percent:.1} %"),
        _ => format!("{percent:.0} %"),
    }
}

/// A difference of shares, in percentage points.
pub(super) fn points(difference: f64) -> String {
    let points = difference * 100.0;
    // A sign before nothing says nothing.
    if points.abs() < 0.005 { "0 pp".to_owned() } else { format!("{points:+.1} pp") }
}

/// Dollars, with as many decimals as a small amount needs to be seen.
pub(super) fn dollars(usd: f64) -> String {
    let sign = if usd < 0.0 { "−" } else { "" };
    match usd.abs() {
        0.0 => "$0".to_owned(),
        usd if usd >= 1000.0 => format!("{sign}${}", thousands(usd.round() as u64)),
        usd if usd >= 1.0 => format!("{sign}${usd:.2}"),
        usd if usd >= 0.01 => format!("{sign}${usd:.4}"),
        usd => format!("{sign}${usd:.7}"),
    }
}

/// A whole number with its thousands apart.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A mean amount.
pub(super) fn amount(amount: f64) -> String {
    if amount >= 1000.0 { thousands(amount.round() as u64) } else { format!("{amount:.1}") }
}

/// A number with its bounds in brackets.
pub(super) fn bounded(bounded: Option<Bounded>, write: impl Fn(f64) -> String) -> String {
    let Some(Bounded { value, lower, upper }) = bounded else { return NONE.to_owned() };
    match (lower, upper) {
        (None, None) => format!("{} (no bounds)", write(value)),
        (Some(lower), Some(upper)) if write(lower) == write(upper) => write(value),
        (Some(lower), Some(upper)) => {
            format!("{} ({} to {})", write(value), write(lower), write(upper))
        }
        (Some(lower), None) => format!("{} (at least {})", write(value), write(lower)),
        (None, Some(upper)) => format!("{} (at most {})", write(value), write(upper)),
    }
}

/// A share with its bounds and what it is counted from.
pub(super) fn share(share: &Share) -> String {
    if share.of == 0 {
        return NONE.to_owned();
    }
    format!("{} of {}: {}", share.count, share.of, bounded(Some(share.bounded()), percent))
}

/// What a gate found, and its limit.
pub(super) fn gate(gate: &Gate) -> (String, String) {
    let write = |number: f64| match gate.unit {
        Unit::Points => points(number),
        Unit::Share => percent(number),
        Unit::Ratio => ratio(number),
        Unit::Answers => format!("{number:.0}"),
    };
    let limit = match gate.unit {
        Unit::Share => format!("at least {}", write(gate.limit)),
        Unit::Answers => "none".to_owned(),
        Unit::Points | Unit::Ratio => format!("at most {}", write(gate.limit)),
    };
    (bounded(gate.found, write), limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_people_read() {
        for (found, expected) in [
            (seconds(0.000_012), "12 µs"),
            (seconds(0.001_25), "1.25 ms"),
            (seconds(0.212_4), "212 ms"),
            (seconds(1.353), "1.35 s"),
            (seconds(75.0), "75.0 s"),
            (ratio(1.3), "1.30×"),
            (percent(0.021_6), "2.2 %"),
            (percent(1.0), "100 %"),
            (points(0.02), "+2.0 pp"),
            (points(-0.000_01), "0 pp"),
            (dollars(0.000_012_5), "$0.0000125"),
            (dollars(-1234.5), "−$1,235"),
            (thousands(1_234_567), "1,234,567"),
            (thousands(12), "12"),
        ] {
            assert_eq!(found, expected);
        }
        let known = Bounded { value: 1.5, lower: Some(1.25), upper: None };
        assert_eq!(bounded(Some(known), ratio), "1.50× (at least 1.25×)");
        let exact = Bounded { value: 0.5, lower: Some(0.5), upper: Some(0.5) };
        assert_eq!(bounded(Some(exact), ratio), "0.50×");
        assert_eq!(bounded(None, ratio), "–");
    }
}
