//! The functions that templates may call: Prometheus's, and those of Go itself.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;
use regex::{Regex, RegexBuilder};

use super::execute::Scope;
use super::notices::{self, OF_RULES};
use super::tree::Dialect;
use super::value::Value;
use super::{humanize, printf};
use crate::model::{Timestamp, parse_duration};

/// A query that finds more series is refused.
const SAMPLES_MAX: usize = 10_000;
/// A regular expression that compiles to more is refused.
const REGEX_SIZE_MAX: usize = 1 << 20;
/// The longest text that a function makes before its result is checked.
const TEXT_MAX: usize = 128 * 1024;

/// A function by its name.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) arity: Arity,
    /// What a call counts for against the limit on work.
    pub(super) weight: usize,
    pub(super) run: fn(&Scope<'_>, &[Value]) -> Result<Value, String>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Arity {
    Exactly(usize),
    AtLeast(usize),
    /// `and`, `or`: arguments are looked at one by one.
    Lazy,
}

/// Finds a function of a dialect.
pub(super) fn find(dialect: Dialect, name: &str) -> Option<&'static Function> {
    match dialect {
        Dialect::Rules => {}
        Dialect::Notices if notices::find(name).is_some() => return notices::find(name),
        Dialect::Notices if OF_RULES.contains(&name) => return None,
        Dialect::Notices => {}
    }
    FUNCTIONS.iter().find(|function| function.name == name)
}

type Run = fn(&Scope<'_>, &[Value]) -> Result<Value, String>;

pub(super) const fn exactly(name: &'static str, count: usize, run: Run) -> Function {
    Function { name, arity: Arity::Exactly(count), weight: 1, run }
}

pub(super) const fn at_least(name: &'static str, count: usize, run: Run) -> Function {
    Function { name, arity: Arity::AtLeast(count), weight: 2, run }
}

const fn heavy(name: &'static str, count: usize, weight: usize, run: Run) -> Function {
    Function { name, arity: Arity::Exactly(count), weight, run }
}

const fn lazy(name: &'static str) -> Function {
    Function { name, arity: Arity::Lazy, weight: 1, run: |_, _| Ok(Value::Absent) }
}

static FUNCTIONS: [Function; 48] = [
    // Series.
    heavy("query", 1, 1000, |scope, arguments| {
        let samples = (scope.query)(text(&arguments[0])?)?;
        if samples.len() > SAMPLES_MAX {
            return Err(format!("it finds more than {SAMPLES_MAX} series"));
        }
        Ok(Value::List(Arc::from(samples)))
    }),
    exactly("first", 1, |_, arguments| match list(&arguments[0])?.first() {
        Some((labels, value)) => Ok(Value::Sample(labels.clone(), *value)),
        None => Err("the vector has no elements".to_owned()),
    }),
    exactly("label", 2, |_, arguments| {
        let name = text(&arguments[0])?;
        Ok(Value::text(sample(&arguments[1])?.0.get(name).unwrap_or_default()))
    }),
    exactly("value", 1, |_, arguments| Ok(Value::Float(sample(&arguments[0])?.1))),
    exactly("strvalue", 1, |_, arguments| {
        Ok(Value::text(sample(&arguments[0])?.0.get("__value__").unwrap_or_default()))
    }),
    heavy("sortByLabel", 2, 10, |_, arguments| {
        let name = text(&arguments[0])?;
        let mut samples = list(&arguments[1])?.to_vec();
        samples.sort_by(|left, right| left.0.get(name).cmp(&right.0.get(name)));
        Ok(Value::List(Arc::from(samples)))
    }),
    // Numbers.
    exactly("humanize", 1, |_, arguments| {
        Ok(Value::text(humanize::humanize(number(&arguments[0])?)))
    }),
    exactly("humanize1024", 1, |_, arguments| {
        Ok(Value::text(humanize::humanize1024(number(&arguments[0])?)))
    }),
    exactly("humanizeDuration", 1, |_, arguments| {
        Ok(Value::text(humanize::humanize_duration(number(&arguments[0])?)))
    }),
    exactly("humanizePercentage", 1, |_, arguments| {
        Ok(Value::text(humanize::humanize_percentage(number(&arguments[0])?)))
    }),
    exactly("humanizeTimestamp", 1, |_, arguments| {
        let seconds = number(&arguments[0])?;
        if !seconds.is_finite() {
            return Ok(Value::text(humanize::humanize(seconds)));
        }
        Ok(Value::text(Value::Time(time(seconds)?, TimeZone::UTC).shown()))
    }),
    exactly("toTime", 1, |_, arguments| {
        Ok(Value::Time(time(number(&arguments[0])?)?, TimeZone::UTC))
    }),
    exactly("toDuration", 1, |_, arguments| {
        let nanos = number(&arguments[0])? * 1e9;
        if nanos.is_nan() || nanos.abs() > i64::MAX as f64 {
            return Err(format!("{nanos} nanoseconds are no duration"));
        }
        Ok(Value::Span(nanos as i64))
    }),
    exactly("now", 0, |scope, _| Ok(Value::Float(scope.at.seconds()))),
    exactly("parseDuration", 1, |_, arguments| {
        let duration = parse_duration(text(&arguments[0])?).map_err(|error| error.to_string())?;
        Ok(Value::Float(duration.as_secs_f64()))
    }),
    // Text.
    exactly("title", 1, |_, arguments| Ok(Value::text(title(text(&arguments[0])?)))),
    exactly("toUpper", 1, |_, arguments| Ok(Value::text(text(&arguments[0])?.to_uppercase()))),
    exactly("toLower", 1, |_, arguments| Ok(Value::text(text(&arguments[0])?.to_lowercase()))),
    heavy("match", 2, 200, |_, arguments| {
        Ok(Value::Bool(regex(text(&arguments[0])?)?.is_match(text(&arguments[1])?)))
    }),
    heavy("reReplaceAll", 3, 200, |_, arguments| {
        let regex = regex(text(&arguments[0])?)?;
        replace(&regex, text(&arguments[1])?, text(&arguments[2])?).map(Value::text)
    }),
    exactly("stripPort", 1, |_, arguments| {
        let address = text(&arguments[0])?;
        Ok(Value::text(split_port(address).map_or(address, |(host, _)| host)))
    }),
    exactly("stripDomain", 1, |_, arguments| Ok(Value::text(strip_domain(text(&arguments[0])?)))),
    exactly("urlQueryEscape", 1, |_, arguments| {
        Ok(Value::text(query_escape(text(&arguments[0])?)))
    }),
    exactly("graphLink", 1, |_, arguments| {
        Ok(Value::text(format!("/graph?g0.expr={}&g0.tab=0", query_escape(text(&arguments[0])?))))
    }),
    exactly("tableLink", 1, |_, arguments| {
        Ok(Value::text(format!("/graph?g0.expr={}&g0.tab=1", query_escape(text(&arguments[0])?))))
    }),
    at_least("args", 0, |_, arguments| {
        if arguments.iter().any(|argument| matches!(argument, Value::Map(_))) {
            return Err("arguments within arguments are not supported".to_owned());
        }
        let entries = arguments.iter().cloned().enumerate();
        let entries = entries.map(|(at, value)| (format!("arg{at}"), value)).collect();
        Ok(Value::Map(Arc::new(entries)))
    }),
    exactly("safeHtml", 1, |_, arguments| Ok(Value::text(text(&arguments[0])?))),
    exactly("externalURL", 0, |scope, _| Ok(Value::text(scope.external_url))),
    exactly("pathPrefix", 0, |scope, _| Ok(Value::text(path(scope.external_url)))),
    // Go's own.
    at_least("printf", 1, |_, arguments| {
        Ok(Value::text(printf::printf(text(&arguments[0])?, &arguments[1..])))
    }),
    at_least("print", 0, |_, arguments| Ok(Value::text(printf::print(arguments)))),
    at_least("println", 0, |_, arguments| Ok(Value::text(printf::println(arguments)))),
    exactly("len", 1, |_, arguments| length(&arguments[0])),
    at_least("index", 1, |_, arguments| index(arguments)),
    at_least("eq", 2, |_, arguments| {
        for other in &arguments[1..] {
            if equal(&arguments[0], other)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
    exactly("ne", 2, |_, arguments| Ok(Value::Bool(!equal(&arguments[0], &arguments[1])?))),
    exactly("lt", 2, |_, arguments| compared(arguments, Ordering::is_lt)),
    exactly("le", 2, |_, arguments| compared(arguments, Ordering::is_le)),
    exactly("gt", 2, |_, arguments| compared(arguments, Ordering::is_gt)),
    exactly("ge", 2, |_, arguments| compared(arguments, Ordering::is_ge)),
    lazy("and"),
    lazy("or"),
    exactly("not", 1, |_, arguments| Ok(Value::Bool(!arguments[0].is_true()))),
    at_least("html", 0, |_, arguments| Ok(Value::text(html_escape(&joined(arguments))))),
    at_least("js", 0, |_, arguments| Ok(Value::text(js_escape(&joined(arguments))))),
    at_least("urlquery", 0, |_, arguments| Ok(Value::text(query_escape(&joined(arguments))))),
    at_least("call", 1, |_, _| Err("is not supported".to_owned())),
    at_least("slice", 1, |_, arguments| slice(arguments)),
];

pub(super) fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(format!("it needs a text, not a {}", other.kind())),
    }
}

fn list(value: &Value) -> Result<&[(crate::model::Labels, f64)], String> {
    match value {
        Value::List(samples) => Ok(samples),
        other => Err(format!("it needs the result of a query, not a {}", other.kind())),
    }
}

fn sample(value: &Value) -> Result<(&crate::model::Labels, f64), String> {
    match value {
        Value::Sample(labels, value) => Ok((labels, *value)),
        other => Err(format!("it needs a sample, not a {}", other.kind())),
    }
}

fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::Span(nanos) => Ok(*nanos as f64 / 1e9),
        Value::Text(text) => text.parse().map_err(|_| format!("`{text:.100}` is not a number")),
        other => Err(format!("a {} is not a number", other.kind())),
    }
}

fn integer(value: &Value) -> Result<usize, String> {
    match value {
        Value::Int(number) => usize::try_from(*number).map_err(|_| out_of_range(*number)),
        other => Err(format!("a {} is no index", other.kind())),
    }
}

fn out_of_range(number: impl std::fmt::Display) -> String {
    format!("{number} is out of range")
}

fn time(seconds: f64) -> Result<Timestamp, String> {
    // Go holds nanoseconds in an int64.
    let nanos = seconds * 1e9;
    if nanos.is_nan() || nanos.abs() > i64::MAX as f64 {
        return Err(format!("{seconds} seconds are no time"));
    }
    Ok(Timestamp::from_millis((nanos as i64).div_euclid(1_000_000)))
}

fn regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE_MAX)
        .build()
        .map_err(|_| format!("`{pattern:.100}` is not a regular expression"))
}

fn replace(regex: &Regex, replacement: &str, text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut end = 0;
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[end..whole.start()]);
        captures.expand(replacement, &mut out);
        end = whole.end();
        if out.len() > TEXT_MAX {
            return Err(format!("it makes more than {TEXT_MAX} bytes"));
        }
    }
    out.push_str(&text[end..]);
    Ok(out)
}

/// Upper case for the first letter of each word, as Go's `strings.Title` cuts words: letters,
/// digits and underscores go on, and other ASCII and white space ends a word.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for character in text.chars() {
        if begins {
            out.extend(character.to_uppercase());
        } else {
            out.push(character);
        }
        begins = if character.is_ascii() {
            !(character.is_ascii_alphanumeric() || character == '_')
        } else {
            character.is_whitespace()
        };
    }
    out
}

/// Splits `host:port` and `[host]:port`.
fn split_port(address: &str) -> Option<(&str, &str)> {
    let (host, port) = address.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').map(|host| (host, port)),
        None => (!host.contains([':', '[', ']'])).then_some((host, port)),
    }
}

fn strip_domain(address: &str) -> String {
    let (host, port) = split_port(address).unwrap_or((address, ""));
    if host.parse::<IpAddr>().is_ok() {
        return address.to_owned();
    }
    let first = host.split('.').next().unwrap_or_default();
    match (port, first.contains(':')) {
        ("", _) => first.to_owned(),
        (port, false) => format!("{first}:{port}"),
        (port, true) => format!("[{first}]:{port}"),
    }
}

fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn html_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push(char::REPLACEMENT_CHARACTER),
            plain => out.push(plain),
        }
    }
    out
}

/// As Go's `JSEscape`: what could end a script's text or its tag is written as an escape.
fn js_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '\'' | '"' => out.extend(['\\', character]),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(character))),
            control if control.is_control() => {
                out.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            plain => out.push(plain),
        }
    }
    out
}

/// The path of a URL without scheme, host, query and fragment.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let from_path = rest.find('/').map_or("", |at| &rest[at..]);
    from_path.split(['?', '#']).next().unwrap_or_default()
}

fn joined(arguments: &[Value]) -> String {
    match arguments {
        [Value::Text(text)] => text.to_string(),
        arguments => printf::print(arguments),
    }
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(samples) => samples.len(),
        Value::Labels(labels) => labels.len(),
        Value::Map(entries) => entries.len(),
        Value::Array(items) => items.len(),
        other => return Err(format!("a {} has no length", other.kind())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(arguments: &[Value]) -> Result<Value, String> {
    let mut value = arguments[0].clone();
    for key in &arguments[1..] {
        value = match &value {
            Value::Labels(labels) => Value::text(labels.get(text(key)?).unwrap_or_default()),
            Value::Map(entries) => entries.get(text(key)?).cloned().unwrap_or(Value::Absent),
            Value::List(samples) => {
                let at = integer(key)?;
                let (labels, value) = samples.get(at).ok_or_else(|| out_of_range(at))?;
                Value::Sample(labels.clone(), *value)
            }
            Value::Array(items) => {
                let at = integer(key)?;
                items.get(at).cloned().ok_or_else(|| out_of_range(at))?
            }
            Value::Text(text) => {
                let at = integer(key)?;
                let byte = text.as_bytes().get(at).ok_or_else(|| out_of_range(at))?;
                Value::Int(i64::from(*byte))
            }
            other => return Err(format!("a {} can't be indexed", other.kind())),
        };
    }
    Ok(value)
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    if let Value::Array(items) = &arguments[0] {
        let from = arguments.get(1).map_or(Ok(0), integer)?;
        let to = arguments.get(2).map_or(Ok(items.len()), integer)?;
        let part = items.get(from..to).ok_or_else(|| out_of_range(format!("{from}:{to}")))?;
        return Ok(Value::Array(Arc::from(part)));
    }
    let Value::Text(whole) = &arguments[0] else {
        return Err(format!("a {} can't be cut", arguments[0].kind()));
    };
    let from = arguments.get(1).map_or(Ok(0), integer)?;
    let to = arguments.get(2).map_or(Ok(whole.len()), integer)?;
    whole.get(from..to).map(Value::text).ok_or_else(|| out_of_range(format!("{from}:{to}")))
}

/// Go's comparison: both of one kind, and no float against an integer.
fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, String> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(Some(left.cmp(right))),
        (Value::Float(left), Value::Float(right)) => Ok(left.partial_cmp(right)),
        (Value::Text(left), Value::Text(right)) => Ok(Some(left.cmp(right))),
        (Value::Span(left), Value::Span(right)) => Ok(Some(left.cmp(right))),
        (left, right) => Err(format!(
            "it can't compare a {} with a {} (write `1.0` where a float is meant)",
            left.kind(),
            right.kind()
        )),
    }
}

fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Absent, right) => Ok(matches!(right, Value::Absent)),
        (_, Value::Absent) => Ok(false),
        (left, right) => Ok(order(left, right)?.is_some_and(Ordering::is_eq)),
    }
}

fn compared(arguments: &[Value], holds: fn(Ordering) -> bool) -> Result<Value, String> {
    Ok(Value::Bool(order(&arguments[0], &arguments[1])?.is_some_and(holds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_port_and_domain_as_in_prometheus() {
        // Cases of Prometheus's template tests.
        for (address, without_port, without_domain) in [
            ("localhost:9090", "localhost", "localhost:9090"),
            ("localhost", "localhost", "localhost"),
            ("foo.bar.com:9090", "foo.bar.com", "foo:9090"),
            ("foo.bar.com", "foo.bar.com", "foo"),
            ("1.2.3.4:80", "1.2.3.4", "1.2.3.4:80"),
            ("[::1]:9090", "::1", "[::1]:9090"),
            ("::1", "::1", "::1"),
        ] {
            assert_eq!(split_port(address).map_or(address, |(host, _)| host), without_port);
            assert_eq!(strip_domain(address), without_domain);
        }
    }

    #[test]
    fn words_begin_with_an_upper_case_letter() {
        for (text, expected) in
            [("aa bb CC", "Aa Bb CC"), ("a-b_c d2e", "A-B_c D2e"), ("élan", "Élan"), ("", "")]
        {
            assert_eq!(title(text), expected);
        }
    }

    #[test]
    fn every_function_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> =
            FUNCTIONS.iter().map(|function| function.name).collect();
        assert_eq!(names.len(), FUNCTIONS.len());
    }

    #[test]
    fn times_outside_of_go_are_refused() {
        assert!(time(1e12).is_err());
        assert!(time(f64::NAN).is_err());
        assert_eq!(time(1.5).unwrap().millis(), 1500);
        assert_eq!(path("http://h:1/a/b?x#y"), "/a/b");
        assert_eq!(path("http://h:1"), "");
    }
}
