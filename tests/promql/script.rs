//! Reads scripts: `load`, `clear` and `eval` commands, each with the lines that belong to it.

use bellwether::model::{Labels, histogram_marker, parse_duration, stale_marker};
use regex::Regex;

use crate::case::{Case, Expected, Times, Value, Wanted};
use crate::source::Store;

/// More steps than any series has.
const STEPS_MAX: i64 = 100;

/// All evaluations of a script, each with the samples loaded so far.
pub fn read(text: &str) -> Vec<Case> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim()))
        .map(|(at, line)| (at, if line.starts_with('#') { "" } else { line }))
        .peekable();
    let mut store = Store::default();
    let mut cases = Vec::new();
    while let Some((line, command)) = lines.next() {
        let mut body = Vec::new();
        let word = command.split_whitespace().next().unwrap_or_default();
        if word.starts_with("load") || word.starts_with("eval") {
            while let Some((_, line)) = lines.next_if(|(_, line)| !line.is_empty()) {
                body.push(line);
            }
        }
        match word {
            "" => {}
            "clear" => store = Store::default(),
            "load" | "load_with_nhcb" => load(command, &body, &mut store),
            _ if word.starts_with("eval") => {
                let (times, query) = evaluation(command, line);
                let expected = expected(word, &body);
                cases.push(Case { line, query, times, store: store.clone(), expected });
            }
            other => panic!("line {line}: unknown command `{other}`"),
        }
    }
    cases
}

fn load(command: &str, lines: &[&str], store: &mut Store) {
    let step = time(command.split_whitespace().nth(1).expect("load has an interval"));
    let converts = command.starts_with("load_with_nhcb");
    for line in lines {
        let (labels, rest) = series(line);
        if rest.starts_with("@st") {
            // Wherever they are: nothing of this series can be judged.
            (0..STEPS_MAX).for_each(|at| store.add_other(&labels, step * at, "start timestamps"));
            continue;
        }
        let values = values(rest);
        let converted = labels.metric().strip_suffix("_bucket").filter(|_| converts);
        let converted = converted.map(|metric| labels.without(&["le"]).with(Labels::NAME, metric));
        for (position, value) in values.into_iter().enumerate() {
            let at = step * position as i64;
            match value {
                Value::Absent => {}
                Value::Stale => store.add(&labels, at, stale_marker()),
                Value::Float(value) => store.add(&labels, at, value),
                Value::Histogram => store.add(&labels, at, histogram_marker()),
            }
            if let Some(converted) = &converted {
                store.add(converted, at, histogram_marker());
            }
        }
    }
}

/// A time or a duration, in milliseconds; bare numbers are seconds.
fn time(text: &str) -> i64 {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(seconds) => (seconds * 1000.0).round() as i64,
        Err(_) => {
            let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
            sign * parse_duration(text).expect("a duration").as_millis() as i64
        }
    }
}

fn evaluation(command: &str, line: usize) -> (Times, String) {
    let pattern = r"^eval\S*\s+(?:instant\s+at\s+(\S+)|range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+))\s+(.+)$";
    let captures = Regex::new(pattern).expect("it compiles").captures(command);
    let captures = captures.unwrap_or_else(|| panic!("line {line}: malformed `{command}`"));
    let part = |at: usize| captures.get(at).map(|part| part.as_str());
    let times = match part(1) {
        Some(at) => Times::At(time(at)),
        None => Times::Range {
            start: time(part(2).unwrap_or_default()),
            end: time(part(3).unwrap_or_default()),
            step: time(part(4).unwrap_or_default()),
        },
    };
    (times, part(5).unwrap_or_default().to_owned())
}

fn expected(word: &str, lines: &[&str]) -> Expected {
    let mut expected = Expected {
        fails: word == "eval_fail",
        is_ordered: word == "eval_ordered",
        ..Expected::default()
    };
    match word {
        "eval_warn" => expected.warns.push(Wanted::Any),
        "eval_info" => expected.infos.push(Wanted::Any),
        _ => {}
    }
    for line in lines {
        if let Some(rest) = line.strip_prefix("expect ") {
            expectation(rest.trim(), &mut expected);
        } else if let Ok(value) = number(line) {
            expected.scalar = Some(value);
        } else {
            let (labels, rest) = series(line);
            expected.series.push((labels, values(rest)));
        }
    }
    expected
}

fn expectation(text: &str, expected: &mut Expected) {
    if let Some(rest) = text.strip_prefix("range vector from ") {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [start, "to", end, "step", step] = words[..] else { panic!("malformed `{text}`") };
        expected.range = Some((time(start), time(end), time(step)));
        return;
    }
    if let Some(rest) = text.strip_prefix("string ") {
        expected.string = Some(rest.trim()[1..rest.trim().len() - 1].to_owned());
        return;
    }
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    let wanted = match rest.trim().split_once(':') {
        Some(("msg", message)) => Wanted::Exact(message.trim().to_owned()),
        Some(("regex", pattern)) => {
            Wanted::Like(Regex::new(pattern.trim()).expect("a regular expression"))
        }
        _ => Wanted::Any,
    };
    match kind {
        "fail" => {
            expected.fails = true;
            expected.fail_texts.push(wanted);
        }
        "warn" => expected.warns.push(wanted),
        "info" => expected.infos.push(wanted),
        "no_warn" => expected.no_warn = true,
        "no_info" => expected.no_info = true,
        "ordered" => expected.is_ordered = true,
        other => panic!("unknown expectation `{other}`"),
    }
}

/// A series' labels, and what stands after them.
fn series(line: &str) -> (Labels, &str) {
    let open = line.find(['{', '@', ' ', '\t']).unwrap_or(line.len());
    let metric = &line[..open];
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !metric.is_empty() {
        pairs.push((Labels::NAME.to_owned(), metric.to_owned()));
    }
    let mut rest = &line[open..];
    if let Some(inside) = rest.strip_prefix('{').filter(|inside| !inside.starts_with('{')) {
        rest = inside.trim_start();
        while !rest.starts_with('}') {
            let (name, after) = name(rest);
            rest = after.trim_start();
            match rest.strip_prefix('=') {
                Some(value) => {
                    let (value, after) = quoted(value.trim_start());
                    pairs.push((name, value));
                    rest = after;
                }
                None => pairs.push((Labels::NAME.to_owned(), name)),
            }
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        rest = &rest[1..];
    }
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    (Labels::from_pairs(pairs), rest.trim_start())
}

fn name(text: &str) -> (String, &str) {
    if text.starts_with('"') {
        return quoted(text);
    }
    let end = text.find(['=', ' ', ',', '}']).expect("a label ends");
    (text[..end].to_owned(), &text[end..])
}

fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    panic!("`{text}` is not closed")
}

fn number(text: &str) -> Result<f64, std::num::ParseFloatError> {
    text.trim().parse()
}

/// `1 2+3x4 _ _x2 stale {{…}}x3`
fn values(text: &str) -> Vec<Value> {
    let mut values = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let mut depth = 0;
        let end = rest.char_indices().find(|(_, character)| {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            depth == 0 && character.is_whitespace()
        });
        let (token, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        expand(token, &mut values);
        rest = after.trim_start();
    }
    values
}

fn expand(token: &str, values: &mut Vec<Value>) {
    let (body, times) = match token.rsplit_once('x') {
        Some((body, times)) => match times.parse::<usize>() {
            Ok(times) => (body, Some(times)),
            Err(_) => (token, None),
        },
        None => (token, None),
    };
    let repeat = |value: Value, count: usize| std::iter::repeat_n(value, count);
    if body == "_" {
        values.extend(repeat(Value::Absent, times.unwrap_or(1)));
    } else if body == "stale" {
        values.extend(repeat(Value::Stale, times.unwrap_or(0) + 1));
    } else if body.contains("{{") {
        values.extend(repeat(Value::Histogram, times.unwrap_or(0) + 1));
    } else if let Ok(value) = number(body) {
        values.extend(repeat(Value::Float(value), times.unwrap_or(0) + 1));
    } else {
        let bytes = body.as_bytes();
        let sign = (1..bytes.len())
            .find(|at| matches!(bytes[*at], b'+' | b'-') && !matches!(bytes[at - 1], b'e' | b'E'));
        let (first, delta) = body.split_at(sign.unwrap_or(0));
        let (Ok(mut value), Ok(delta)) = (number(first), number(delta)) else {
            panic!("`{token}` is no value");
        };
        for _ in 0..=times.unwrap_or(0) {
            values.push(Value::Float(value));
            value += delta;
        }
    }
}
