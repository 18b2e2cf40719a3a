//! How values and expressions are written, as Prometheus writes them.

use std::fmt::{self, Formatter, Write as _};
use std::time::Duration;

use super::tree::{At, Id, Kind, Matching, Selection, Shift, Tree};
use crate::model::{Labels, MatchOp, format_duration};

/// Writes a value as `strconv.FormatFloat(value, 'f', -1, 64)` does: the shortest decimal that reads
/// back as the same value, without an exponent; `+Inf`, `-Inf`, `NaN`.
pub fn format_value(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        format!("{value}")
    }
}

/// Writes a value as Go's `%g` does, which remarks use: below 1e-4 and from 1e6 on with an exponent
/// of at least two digits.
pub(super) fn format_remarked(value: f64) -> String {
    let written = format!("{value:e}");
    let Some((digits, exponent)) = written
        .split_once('e')
        .and_then(|(digits, text)| Some((digits, text.parse::<i32>().ok()?)))
    else {
        return format_value(value);
    };
    if (-4..6).contains(&exponent) || value == 0.0 {
        return format_value(value);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A text in double quotes, as Go's `%q` writes it.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            control if control.is_control() => {
                let code = u32::from(control);
                let digits =
                    if code < 0x80 { format!("\\x{code:02x}") } else { format!("\\u{code:04x}") };
                quoted.push_str(&digits);
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A label set as Prometheus's errors show it, the name among the labels.
pub(super) fn label_set<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut written = String::from("{");
    for (position, (name, value)) in labels.enumerate() {
        let comma = if position == 0 { "" } else { ", " };
        let _infallible = write!(written, "{comma}{}={}", label_name(name), quote(value));
    }
    written.push('}');
    written
}

/// Writes a whole expression. Chains are a loop, as everywhere.
pub(super) fn expression(tree: &Tree, formatter: &mut Formatter<'_>) -> fmt::Result {
    node(tree, tree.root(), formatter)
}

fn node(tree: &Tree, id: Id, formatter: &mut Formatter<'_>) -> fmt::Result {
    let mut chain = Vec::new();
    let mut bottom = id;
    while let Kind::Binary { operator, is_bool, matching, left, right } = &tree.node(bottom).kind {
        chain.push((*operator, *is_bool, matching.as_ref(), *right));
        bottom = *left;
    }
    operand(tree, bottom, formatter)?;
    for (operator, is_bool, matching, right) in chain.into_iter().rev() {
        write!(formatter, " {}{}", operator.as_str(), if is_bool { " bool" } else { "" })?;
        if let Some(matching) = matching {
            self::matching(matching, formatter)?;
        }
        formatter.write_str(" ")?;
        node(tree, right, formatter)?;
    }
    Ok(())
}

fn operand(tree: &Tree, id: Id, formatter: &mut Formatter<'_>) -> fmt::Result {
    match &tree.node(id).kind {
        Kind::Number { value, as_duration: true } => {
            let sign = if *value < 0.0 { "-" } else { "" };
            let duration = Duration::try_from_secs_f64(value.abs()).unwrap_or(Duration::MAX);
            write!(formatter, "{sign}{}", format_duration(duration))
        }
        Kind::Number { value, as_duration: false } => formatter.write_str(&format_value(*value)),
        Kind::Text(text) => formatter.write_str(&quote(text)),
        Kind::Selection(selection) => self::selection(selection, formatter),
        Kind::Subquery { inner, range_ms, step_ms, shift } => {
            node(tree, *inner, formatter)?;
            let step = step_ms.map(duration).unwrap_or_default();
            write!(formatter, "[{}:{step}]", duration(*range_ms))?;
            self::shift(shift, formatter)
        }
        Kind::Paren(inner) => {
            formatter.write_str("(")?;
            node(tree, *inner, formatter)?;
            formatter.write_str(")")
        }
        Kind::Unary { is_negation, operand } => {
            formatter.write_str(if *is_negation { "-" } else { "+" })?;
            node(tree, *operand, formatter)
        }
        Kind::Call { function, arguments } => {
            write!(formatter, "{}(", function.name)?;
            list(tree, arguments.iter().copied(), formatter)
        }
        Kind::Aggregate { operator, grouping, parameter, operand } => {
            formatter.write_str(operator.as_str())?;
            if grouping.is_without {
                write!(formatter, " without ({}) ", names(&grouping.labels))?;
            } else if !grouping.labels.is_empty() {
                write!(formatter, " by ({}) ", names(&grouping.labels))?;
            }
            formatter.write_str("(")?;
            list(tree, parameter.iter().copied().chain([*operand]), formatter)
        }
        // `node` has taken these apart.
        Kind::Binary { .. } => Ok(()),
    }
}

fn list(tree: &Tree, ids: impl Iterator<Item = Id>, formatter: &mut Formatter<'_>) -> fmt::Result {
    for (position, id) in ids.enumerate() {
        formatter.write_str(if position == 0 { "" } else { ", " })?;
        node(tree, id, formatter)?;
    }
    formatter.write_str(")")
}

fn matching(matching: &Matching, formatter: &mut Formatter<'_>) -> fmt::Result {
    if !matching.is_on && matching.labels.is_empty() && matching.group.is_none() {
        return Ok(());
    }
    let word = if matching.is_on { "on" } else { "ignoring" };
    write!(formatter, " {word} ({})", names(&matching.labels))?;
    match &matching.group {
        Some(group) => {
            let side = if group.many_is_left { "left" } else { "right" };
            write!(formatter, " group_{side} ({})", names(&group.include))
        }
        None => Ok(()),
    }
}

fn selection(selection: &Selection, formatter: &mut Formatter<'_>) -> fmt::Result {
    let mut written = String::new();
    let mut quoted_name = None;
    match selection.name.as_deref() {
        Some(name) if is_plain(name, true) => written.push_str(name),
        Some(name) => quoted_name = Some(quote(name)),
        None => {}
    }
    let mut conditions: Vec<String> = selection
        .matchers
        .iter()
        .filter(|matcher| {
            let is_name = matcher.name() == Labels::NAME && matcher.op() == MatchOp::Equal;
            !(is_name && selection.name.as_deref() == Some(matcher.value()))
        })
        .map(|matcher| {
            let (name, op) = (label_name(matcher.name()), matcher.op().as_str());
            format!("{name}{op}{}", quote(matcher.value()))
        })
        .collect();
    conditions.sort();
    let inside: Vec<String> = quoted_name.into_iter().chain(conditions).collect();
    if !inside.is_empty() {
        let _infallible = write!(written, "{{{}}}", inside.join(","));
    }
    formatter.write_str(&written)?;
    if let Some(range_ms) = selection.range_ms {
        write!(formatter, "[{}]", duration(range_ms))?;
    }
    shift(&selection.shift, formatter)
}

fn shift(shift: &Shift, formatter: &mut Formatter<'_>) -> fmt::Result {
    match shift.at {
        Some(At::Millis(millis)) => write!(formatter, " @ {:.3}", millis as f64 / 1000.0)?,
        Some(At::Start) => formatter.write_str(" @ start()")?,
        Some(At::End) => formatter.write_str(" @ end()")?,
        None => {}
    }
    match shift.offset_ms {
        Some(offset_ms) if offset_ms != 0 => {
            let sign = if offset_ms < 0 { "-" } else { "" };
            write!(formatter, " offset {sign}{}", duration(offset_ms))
        }
        _ => Ok(()),
    }
}

fn duration(millis: i64) -> String {
    format_duration(Duration::from_millis(millis.unsigned_abs()))
}

fn names(labels: &[std::sync::Arc<str>]) -> String {
    labels.iter().map(|label| label_name(label)).collect::<Vec<_>>().join(", ")
}

fn label_name(name: &str) -> String {
    if is_plain(name, false) { name.to_owned() } else { quote(name) }
}

fn is_plain(name: &str, with_colon: bool) -> bool {
    let is_letter =
        |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || with_colon && byte == b':';
    name.bytes().next().is_some_and(is_letter)
        && name.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    // The formatting of Prometheus's own printer, worked out by hand from its documentation.
    #[test]
    fn expressions_are_written_as_prometheus_writes_them() {
        for (text, written) in [
            ("SUM(x)BY(job)", "sum by (job) (x)"),
            ("sum by()(x)", "sum(x)"),
            ("topk without(a,b)(3,x)", "topk without (a, b) (3, x)"),
            ("a+on(x)group_left(y)b", "a + on (x) group_left (y) b"),
            ("a==bool ignoring(z) b", "a == bool ignoring (z) b"),
            ("a+ignoring()b", "a + b"),
            ("- a ^ 2", "-a ^ 2"),
            ("-1", "-1"),
            ("1e3 + 0x10", "1000 + 16"),
            ("5m+90s", "5m + 1m30s"),
            (
                "rate(x{a='b',c=~`d`}[5m:1m]offset -1m @ 10)",
                "rate(x{a=\"b\",c=~\"d\"}[5m:1m] @ 10.000 offset -1m)",
            ),
            ("x[300]@start()", "x[5m] @ start()"),
            ("{\"a.b\",\"c.d\"='e'}", "{\"a.b\",\"c.d\"=\"e\"}"),
            ("{__name__='up'}", "{__name__=\"up\"}"),
            ("x{b='2',c=~'3',a='0',a!='1'}", "x{a!=\"1\",a=\"0\",b=\"2\",c=~\"3\"}"),
            ("((x))", "((x))"),
            ("x[5m:]", "x[5m:]"),
            ("sum by(\"a.b\")(x)", "sum by (\"a.b\") (x)"),
            ("a or b and c", "a or b and c"),
        ] {
            let expression = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(expression.to_string(), written);
            assert_eq!(parse(written).map(|again| again.to_string()), Ok(written.to_owned()));
        }
    }

    #[test]
    fn values_are_written_as_go_writes_them() {
        for (value, text) in [
            (1.0, "1"),
            (0.5, "0.5"),
            (-0.0, "-0"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_value(value), text);
        }
    }

    // Expected: what Prometheus 3.5 remarks of `quantile(VALUE, x)`.
    #[test]
    fn remarked_values_have_exponents_where_go_writes_them() {
        for (value, text) in [
            (2.0, "2"),
            (-0.1, "-0.1"),
            (-0.0, "-0"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.234567e+06"),
            (1e6, "1e+06"),
            (12_345_678.25, "1.234567825e+07"),
            (1e100, "1e+100"),
            (-1e-4, "-0.0001"),
            (-1e-5, "-1e-05"),
            (-1.25e-7, "-1.25e-07"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_remarked(value), text);
        }
    }
}
