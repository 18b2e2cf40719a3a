//! promtool's notation of series: `name{label="value"}` and `1 2+3x4 _ _x2 stale`.
//!
//! `a+bxn` is `a` and `n` more, each `b` later than the one before; `axn` is `a` and `n` more alike;
//! `_` is a gap and `_xn` are `n`. The grammar is that of Prometheus's parser, letter for letter:
//! what looks like a slip (`stalex3`, `1 - 2`) is one there too.

use crate::model::{Label, Labels, stale_marker};
use crate::promql;

/// More samples in one series are refused, so that `1x1000000000` costs nothing.
pub(super) const SAMPLES_MAX: usize = 1_000_000;

/// Words of PromQL that Prometheus takes for no metric's name.
const RESERVED: [&str; 8] =
    ["atan2", "bool", "group_left", "group_right", "ignoring", "inf", "nan", "on"];

/// Why a text is not in the notation; the offset counts bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) offset: usize,
    pub(super) message: String,
}

fn flaw<T>(offset: usize, message: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw { offset, message: message.into() })
}

/// Reads a series' name and labels. Nothing at all is the empty label set.
pub(super) fn metric(text: &str) -> Result<Labels, Flaw> {
    let mut reader = Reader { text, at: 0 };
    let mut labels: Vec<Label> = Vec::new();
    reader.skip_space();
    let start = reader.at;
    let name = reader.identifier(true);
    if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        return flaw(start, format!("`{name}` is a word of PromQL and no metric's name"));
    }
    if !name.is_empty() {
        labels.push(Label { name: Labels::NAME.into(), value: name.into() });
    }
    reader.skip_space();
    if reader.next_is('{') {
        reader.labels(&mut labels)?;
        reader.skip_space();
    }
    match reader.rest().chars().next() {
        None => Ok(Labels::new(labels)),
        Some(other) => flaw(
            reader.at,
            format!("`{other}` can't stand here: a series is written `name{{label=\"value\"}}`"),
        ),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn next_is(&mut self, wanted: char) -> bool {
        let is = self.rest().starts_with(wanted);
        if is {
            self.at += wanted.len_utf8();
        }
        is
    }

    fn identifier(&mut self, may_have_colons: bool) -> &'a str {
        let rest = self.rest();
        let belongs = |character: char| {
            character.is_ascii_alphanumeric()
                || character == '_'
                || may_have_colons && character == ':'
        };
        if rest.starts_with(|first: char| first.is_ascii_digit()) {
            return "";
        }
        let end = rest.find(|character| !belongs(character)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// After `{`, up to and with `}`.
    fn labels(&mut self, labels: &mut Vec<Label>) -> Result<(), Flaw> {
        loop {
            self.skip_space();
            if self.next_is('}') {
                return Ok(());
            }
            let start = self.at;
            let is_quoted = self.rest().starts_with(['"', '\'', '`']);
            let name = if is_quoted { self.quoted()? } else { self.identifier(false).to_owned() };
            if name.is_empty() {
                return flaw(start, "a label's name or `}` is missing here");
            }
            self.skip_space();
            let (name, value) = if self.next_is('=') {
                self.skip_space();
                if !self.rest().starts_with(['"', '\'', '`']) {
                    return flaw(self.at, "a value in quotes is missing here");
                }
                (name, self.quoted()?)
            } else if is_quoted {
                (Labels::NAME.to_owned(), name)
            } else {
                return flaw(self.at, "`=` is missing here");
            };
            if labels.iter().any(|label| *label.name == *name && name != Labels::NAME) {
                return flaw(start, format!("the label `{name}` is written twice"));
            }
            labels.push(Label { name: name.into(), value: value.into() });
            self.skip_space();
            if !self.next_is(',') && !self.rest().starts_with('}') {
                return flaw(self.at, "`,` or `}` is missing here");
            }
        }
    }

    fn quoted(&mut self) -> Result<String, Flaw> {
        let start = self.at;
        let rest = self.rest();
        let mut characters = rest.char_indices();
        let Some((_, quote)) = characters.next() else { return flaw(start, "nothing is quoted") };
        let mut is_escaped = false;
        for (offset, character) in characters {
            if is_escaped {
                is_escaped = false;
            } else if character == '\\' && quote != '`' {
                is_escaped = true;
            } else if character == quote {
                let literal = &rest[..offset + quote.len_utf8()];
                self.at += literal.len();
                return match promql::unquoted(literal) {
                    Some(text) => Ok(text),
                    None => flaw(start, format!("{literal} is not a text as Go writes it")),
                };
            }
        }
        flaw(start, format!("the quote `{quote}` is not closed"))
    }
}

/// Reads values; `None` is a gap.
pub(super) fn values(text: &str) -> Result<Vec<Option<f64>>, Flaw> {
    let mut values = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start().len();
        let rest = &text[at..];
        if rest.is_empty() {
            return Ok(values);
        }
        if rest.starts_with("{{") {
            return flaw(at, "native histograms are not supported");
        }
        let item = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
        expand(item, at, &mut values)?;
        at += item.len();
    }
}

/// One item, such as `1+2x3`.
fn expand(item: &str, at: usize, values: &mut Vec<Option<f64>>) -> Result<(), Flaw> {
    let wrong =
        || flaw(at, format!("`{item}` is no value: write `1`, `1+2x3`, `1x3`, `_`, `stale`"));
    if let Some(times) = item.strip_prefix('_') {
        let count = match times.strip_prefix('x') {
            Some(count) => repetition(count, at)?,
            None if times.is_empty() => 1,
            None => return wrong(),
        };
        return push(values, at, count, |_| None);
    }
    let Some((first, rest)) = number(item) else { return wrong() };
    let (step, rest) = match rest.strip_prefix('x') {
        Some(count) => (0.0, Some(count)),
        None if rest.is_empty() => (0.0, None),
        None => match number(rest).filter(|_| rest.starts_with(['+', '-'])) {
            Some((step, rest)) => match rest.strip_prefix('x') {
                Some(count) => (step, Some(count)),
                None => return wrong(),
            },
            None => return wrong(),
        },
    };
    let more = rest.map_or(Ok(0), |count| repetition(count, at))?;
    let mut value = first;
    push(values, at, more.saturating_add(1), |position| {
        if position > 0 && step != 0.0 {
            value += step;
        }
        Some(value)
    })
}

fn repetition(count: &str, at: usize) -> Result<usize, Flaw> {
    // No sign, which Rust's parser would take.
    if count.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(count) = count.parse()
    {
        return Ok(count);
    }
    flaw(at, format!("`{count}` after `x` is not a whole number"))
}

fn push(
    values: &mut Vec<Option<f64>>,
    at: usize,
    count: usize,
    mut value: impl FnMut(usize) -> Option<f64>,
) -> Result<(), Flaw> {
    if values.len().saturating_add(count) > SAMPLES_MAX {
        return flaw(at, format!("a series has more than {SAMPLES_MAX} samples"));
    }
    values.extend((0..count).map(&mut value));
    Ok(())
}

/// A number or `stale` at the beginning, and what follows it.
fn number(text: &str) -> Option<(f64, &str)> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let word_end = digits.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let word = &digits[..word_end.unwrap_or(digits.len())];
    let rest = &digits[word.len()..];
    if word == "stale" && digits.len() == text.len() {
        return Some((stale_marker(), rest));
    }
    match word.to_ascii_lowercase().as_str() {
        "inf" => return Some((sign * f64::INFINITY, rest)),
        "nan" => return Some((f64::NAN, rest)),
        _ => {}
    }
    let bytes = digits.as_bytes();
    let run = |from: usize| {
        let digits = bytes[from..].iter().take_while(|b| b.is_ascii_digit() || **b == b'_');
        from + digits.count()
    };
    let mut end = run(0);
    if bytes.get(end) == Some(&b'.') {
        end = run(end + 1);
    }
    if !digits[..end].bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = run(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    let rest = &digits[end..];
    if rest.starts_with(|next: char| next != 'x' && (next.is_alphanumeric() || next == '_')) {
        return None;
    }
    let value: f64 = digits[..end].replace('_', "").parse().ok()?;
    Some((sign * value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match values(text) {
            Err(flaw) => format!("{}: {}", flaw.offset, flaw.message),
            Ok(values) => {
                let shown = values.iter().map(|value| match value {
                    None => "_".to_owned(),
                    Some(value) if crate::model::is_stale(*value) => "stale".to_owned(),
                    Some(value) => value.to_string(),
                });
                shown.collect::<Vec<_>>().join(" ")
            }
        }
    }

    // Expected: what promtool 3.5 makes of each, asked by `count_over_time` and range queries.
    #[test]
    fn values_are_read_as_promtool_reads_them() {
        for (text, expected) in [
            ("", ""),
            ("1 2", "1 2"),
            ("  1\t2 ", "1 2"),
            ("1x3", "1 1 1 1"),
            ("1x0", "1"),
            ("1+2x3", "1 3 5 7"),
            ("10-5x2", "10 5 0"),
            ("-1-1x2", "-1 -2 -3"),
            ("+1+1x2", "1 2 3"),
            ("_ _x2 1", "_ _ _ 1"),
            ("_x0", ""),
            ("stale NaN", "stale NaN"),
            ("Inf -Inf +inf", "inf -inf inf"),
            ("Inf+1x2", "inf inf inf"),
            ("1e3x2", "1000 1000 1000"),
            ("2e-1+1e-1x1", "0.2 0.30000000000000004"),
            (".5+.5x2", "0.5 1 1.5"),
            ("1_000", "1000"),
            ("1.e1", "10"),
            ("010x1", "10 10"),
            ("0x10", "0 0 0 0 0 0 0 0 0 0 0"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_promtool_refuses_is_refused() {
        for text in [
            "stalex3", "NaNx3", "1+1", "x3", "1 - 2", "1x1e1", "1,2", "1m", "_x", "1x2x3",
            "1-1-1x3", "a", "Stale", "+stale", "1x-1", "1x+1", "1xx", "--1", "0x", "_1", "1é",
        ] {
            assert!(values(text).is_err(), "{text}: {}", shown(text));
        }
        assert_eq!(shown("1 {{schema:1}}x2"), "2: native histograms are not supported");
        assert_eq!(shown("1x1000000000"), "0: a series has more than 1000000 samples");
    }

    #[test]
    fn series_are_read_as_promtool_reads_them() {
        for (text, expected) in [
            ("x", "x"),
            ("x{}", "x"),
            ("", "{}"),
            ("{}", "{}"),
            ("a:b", "a:b"),
            ("sum", "sum"),
            (r#"x{a="b",}"#, r#"x{a="b"}"#),
            (r#"x { a = 'b' , c=`d` }"#, r#"x{a="b", c="d"}"#),
            (r#"x{a=""}"#, "x"),
            (r#"{__name__="x",a="\n\u00e9"}"#, r#"x{a="\né"}"#),
            (r#"{"x y", a="b"}"#, r#"x y{a="b"}"#),
        ] {
            assert_eq!(metric(text).map(|labels| labels.to_string()), Ok(expected.to_owned()));
        }
        for (text, offset) in [
            (r#"x{a!="b"}"#, 3),
            ("x[5m]", 1),
            ("x{a=b}", 4),
            (r#"x{a="b""#, 7),
            (r#"x{a="b"#, 4),
            ("x.y", 1),
            ("5x", 0),
            ("bool", 0),
            (r#"x{a="b",a="c"}"#, 8),
            (r#"x{a="\q"}"#, 4),
            (r#"x{"a b"="c"} 1"#, 13),
        ] {
            assert_eq!(metric(text).map_err(|flaw| flaw.offset), Err(offset), "{text}");
        }
    }
}
