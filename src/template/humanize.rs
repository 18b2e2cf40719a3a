//! Numbers for people, exactly as Prometheus writes them: four significant digits and a prefix.

use super::number::float;

fn four(value: f64) -> String {
    float(value, 'g', Some(4))
}

/// Divides by a base while the value is large; `1234567` becomes `1.235` and `M`.
fn scaled<'a>(mut value: f64, base: f64, prefixes: &[&'a str]) -> (f64, &'a str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    (value, prefix)
}

/// Multiplies by a thousand while the value is below one; `0.001` becomes `1` and `m`.
fn raised(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    (value, prefix)
}

/// With SI prefixes: `1.235M`, `12.3m`.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four(value);
    }
    let (value, prefix) = if value.abs() >= 1.0 {
        scaled(value, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"])
    } else {
        raised(value)
    };
    format!("{}{prefix}", four(value))
}

/// With binary prefixes: `1.5ki`.
pub(super) fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four(value);
    }
    let (value, prefix) = scaled(value, 1024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]);
    format!("{}{prefix}", four(value))
}

/// Seconds as `1d 2h 3m 4s`, `3.5s` or `12ms`.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return four(value);
    }
    if value == 0.0 {
        return format!("{}s", four(value));
    }
    if value.abs() < 1.0 {
        let (value, prefix) = raised(value);
        return format!("{}{prefix}s", four(value));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    let total = value as u64;
    let (days, hours, minutes, seconds) =
        (total / 86_400, total / 3600 % 24, total / 60 % 60, total % 60);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", four(value))
    }
}

/// A ratio in percent: `12.3%`.
pub(super) fn humanize_percentage(value: f64) -> String {
    format!("{}%", four(value * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: github.com/prometheus/prometheus, template/template_test.go, restated.
    #[test]
    fn numbers_are_humanized_as_prometheus_does() {
        for (value, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (1_234_567.0, "1.235M"),
            (0.12, "120m"),
            (123.0, "123"),
            (999.99, "1000"),
            (1e30, "1e+06Y"),
            (-1500.0, "-1.5k"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(humanize(value), expected, "{value}");
        }
        for (value, expected) in
            [(0.0, "0"), (1.0, "1"), (1_048_576.0, "1Mi"), (0.12, "0.12"), (1536.0, "1.5ki")]
        {
            assert_eq!(humanize1024(value), expected, "{value}");
        }
        for (value, expected) in [
            (0.0, "0s"),
            (1.0, "1s"),
            (60.0, "1m 0s"),
            (3600.0, "1h 0m 0s"),
            (86_400.0, "1d 0h 0m 0s"),
            (90_061.0, "1d 1h 1m 1s"),
            (-3661.0, "-1h 1m 1s"),
            (899.99, "14m 59s"),
            (0.1, "100ms"),
            (0.0001, "100us"),
            (0.123_45, "123.5ms"),
            (1.2345, "1.234s"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(humanize_duration(value), expected, "{value}");
        }
        for (value, expected) in
            [(-0.22222, "-22.22%"), (0.0, "0%"), (0.123_456_7, "12.35%"), (1.0, "100%")]
        {
            assert_eq!(humanize_percentage(value), expected, "{value}");
        }
    }
}
