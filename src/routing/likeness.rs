//! How like two answers to one question are: the one that a user got, and that of the copy.
//!
//! No word of either is kept. What is compared is what programs behind a model rely on: whether it
//! answered, why it stopped, and whether what it said has the same form. Two models never say the same,
//! so text is not compared; JSON that has other fields or other types is.
//!
//! Lengths and times are ratios of the copy's to stable's, of answers that both are good. Awkward cases:
//! a user who went away says nothing of stable, so nothing is compared. Answers of which only the
//! beginning is known, and those that are no JSON on both sides, have no form to compare. Stable's time
//! contains whatever its client took to read; the copy's does not.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::provider::{ErrorType, SloClass};

/// As much of a text as is known of a longer one.
const TEXT_BYTES_KNOWN: usize = 60 << 10;
/// Places in an answer that are compared; no schema has so many.
const PLACES_MAX: usize = 2_000;

/// What is known of one answer.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// What came of it.
    pub error_type: ErrorType,
    /// What that counts as.
    pub class: SloClass,
    /// From send to the first content; streams only.
    pub ttft: Option<Duration>,
    /// From send to the end.
    pub total: Duration,
    /// Tokens of the answer, where the provider said.
    pub tokens: Option<u64>,
    /// What it said, or the beginning of it; empty where that is not known.
    pub text: &'a str,
    /// Why it stopped, in its dialect's word.
    pub finish: Option<&'a str>,
}

/// Who answered well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Both.
    Both,
    /// Stable alone.
    StableOnly,
    /// The target of the copy alone.
    MirrorOnly,
    /// Neither.
    Neither,
    /// It cannot be told: the client went away, or one of the two is nobody's fault.
    Unknown,
}

impl Pairing {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Both, Self::StableOnly, Self::MirrorOnly, Self::Neither, Self::Unknown];

    /// The value of the label `good`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::StableOnly => "stable_only",
            Self::MirrorOnly => "mirror_only",
            Self::Neither => "neither",
            Self::Unknown => "unknown",
        }
    }
}

/// What is compared of two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// What came of them.
    ErrorType,
    /// Why they stopped: of itself, at a limit, for a tool.
    Finish,
    /// The form of what they said: JSON with the same fields and types.
    Schema,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ErrorType, Self::Finish, Self::Schema];

    /// The value of the label `check`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ErrorType => "error_type",
            Self::Finish => "finish",
            Self::Schema => "schema",
        }
    }
}

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are alike.
    Match,
    /// They are not.
    Mismatch,
    /// There is nothing to compare.
    Inconclusive,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Match, Self::Mismatch, Self::Inconclusive];

    /// The value of the label `verdict`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch => "mismatch",
            Self::Inconclusive => "inconclusive",
        }
    }

    fn of(is_alike: bool) -> Self {
        if is_alike { Self::Match } else { Self::Mismatch }
    }
}

/// What a ratio is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The time to the first token.
    Ttft,
    /// The time to the end.
    Total,
    /// Tokens of the answer, or characters where these are not known of both.
    Length,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ttft, Self::Total, Self::Length];

    /// The value of the label `measure`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ttft => "ttft",
            Self::Total => "total",
            Self::Length => "length",
        }
    }
}

/// How like two answers are.
#[derive(Clone, Debug, PartialEq)]
pub struct Likeness {
    /// Who answered well.
    pub good: Pairing,
    /// What each check says, in the order of [`Check::ALL`].
    pub checks: [Verdict; 3],
    /// What the copy took, in parts of what stable took.
    pub ratios: Vec<(Measure, f64)>,
}

/// Holds the copy's answer against stable's.
pub fn likeness(stable: &Reply<'_>, copy: &Reply<'_>) -> Likeness {
    let is_unknown = |reply: &Reply<'_>| reply.class == SloClass::Excluded;
    let is_good = |reply: &Reply<'_>| reply.class == SloClass::Good;
    // A user who went away took the answer along.
    let is_lost = [stable, copy].iter().any(|reply| reply.error_type == ErrorType::Cancelled);
    let good = match (is_good(stable), is_good(copy)) {
        _ if is_unknown(stable) || is_unknown(copy) => Pairing::Unknown,
        (true, true) => Pairing::Both,
        (true, false) => Pairing::StableOnly,
        (false, true) => Pairing::MirrorOnly,
        (false, false) => Pairing::Neither,
    };
    let error_type = match is_lost {
        true => Verdict::Inconclusive,
        false => Verdict::of(stable.error_type == copy.error_type),
    };
    if good != Pairing::Both {
        let rest = Verdict::Inconclusive;
        return Likeness { good, checks: [error_type, rest, rest], ratios: Vec::new() };
    }
    let finish = match (stable.finish.map(Stop::of), copy.finish.map(Stop::of)) {
        (Some(one), Some(other)) => Verdict::of(one == other),
        (None, _) | (_, None) => Verdict::Inconclusive,
    };
    let mut ratios = vec![(Measure::Total, stable.total.as_secs_f64(), copy.total.as_secs_f64())];
    if let (Some(one), Some(other)) = (stable.ttft, copy.ttft) {
        ratios.push((Measure::Ttft, one.as_secs_f64(), other.as_secs_f64()));
    }
    if let Some((one, other)) = lengths(stable, copy) {
        ratios.push((Measure::Length, one, other));
    }
    let ratios = ratios.into_iter().filter(|(_, stable, _)| *stable > 0.0);
    Likeness {
        good,
        checks: [error_type, finish, schema(stable.text, copy.text)],
        ratios: ratios.map(|(measure, stable, copy)| (measure, copy / stable)).collect(),
    }
}

/// Both in tokens, or both in characters.
fn lengths(stable: &Reply<'_>, copy: &Reply<'_>) -> Option<(f64, f64)> {
    if let (Some(one), Some(other)) = (stable.tokens, copy.tokens) {
        return Some((one as f64, other as f64));
    }
    let is_known = |text: &str| !text.is_empty() && text.len() < TEXT_BYTES_KNOWN;
    let count = |text: &str| text.chars().count() as f64;
    (is_known(stable.text) && is_known(copy.text)).then(|| (count(stable.text), count(copy.text)))
}

/// Why an answer stopped, whatever its dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Done,
    Limit,
    Tool,
    Filter,
    Other,
}

impl Stop {
    fn of(word: &str) -> Self {
        match word {
            "stop" | "end_turn" | "stop_sequence" | "completed" | "STOP" => Self::Done,
            "length" | "max_tokens" | "max_output_tokens" | "MAX_TOKENS" => Self::Limit,
            "model_context_window_exceeded" => Self::Limit,
            "tool_calls" | "function_call" | "tool_use" => Self::Tool,
            "content_filter" | "refusal" | "SAFETY" => Self::Filter,
            _ => Self::Other,
        }
    }
}

fn schema(stable: &str, copy: &str) -> Verdict {
    if stable.len().max(copy.len()) >= TEXT_BYTES_KNOWN {
        return Verdict::Inconclusive;
    }
    match (form(stable), form(copy)) {
        // Prose on both sides, or tools alone.
        (None, None) => Verdict::Inconclusive,
        (Some(one), Some(other)) => Verdict::of(one == other),
        (Some(_), None) | (None, Some(_)) => Verdict::Mismatch,
    }
}

/// The places of a JSON object or list, and what stands at each; `None` for anything else. Elements of
/// a list share one place.
fn form(text: &str) -> Option<BTreeSet<String>> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let mut places = BTreeSet::new();
    note(&value, "", &mut places);
    Some(places)
}

fn note(value: &Value, place: &str, places: &mut BTreeSet<String>) {
    if places.len() >= PLACES_MAX {
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    places.insert(format!("{place}:{kind}"));
    match value {
        Value::Array(items) => {
            items.iter().for_each(|item| note(item, &format!("{place}[]"), places));
        }
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            note(value, &format!("{place}.{name}"), places);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn good(text: &str) -> Reply<'_> {
        Reply {
            error_type: ErrorType::None,
            class: SloClass::Good,
            ttft: Some(200 * MS),
            total: 1_000 * MS,
            tokens: Some(40),
            text,
            finish: Some("stop"),
        }
    }

    fn failed(error_type: ErrorType, class: SloClass) -> Reply<'static> {
        Reply { error_type, class, tokens: None, finish: None, ttft: None, ..good("") }
    }

    #[test]
    fn who_answered_well_is_told_of_every_pair() {
        let bad = failed(ErrorType::ServerError, SloClass::Bad);
        let late = failed(ErrorType::TotalTimeout, SloClass::Bad);
        let gone = failed(ErrorType::Cancelled, SloClass::Excluded);
        let refused = failed(ErrorType::Refusal, SloClass::Excluded);
        use Verdict::*;
        for (stable, copy, pairing, same) in [
            (good("a"), good("b"), Pairing::Both, Match),
            (good("a"), bad, Pairing::StableOnly, Mismatch),
            (bad, good("a"), Pairing::MirrorOnly, Mismatch),
            (bad, bad, Pairing::Neither, Match),
            (bad, late, Pairing::Neither, Mismatch),
            (gone, good("a"), Pairing::Unknown, Inconclusive),
            (refused, refused, Pairing::Unknown, Match),
            (good("a"), refused, Pairing::Unknown, Mismatch),
        ] {
            let found = likeness(&stable, &copy);
            assert_eq!((found.good, found.checks[0]), (pairing, same), "{stable:?} {copy:?}");
            assert_eq!(found.ratios.is_empty(), pairing != Pairing::Both);
        }
    }

    #[test]
    fn ratios_are_of_the_copy_in_parts_of_stable() {
        let slower = Reply { ttft: Some(400 * MS), total: 500 * MS, tokens: Some(20), ..good("b") };
        let found = likeness(&good("a"), &slower).ratios;
        // By hand: 500 of 1,000 ms, 400 of 200 ms, 20 of 40 tokens.
        assert_eq!(found, [(Measure::Total, 0.5), (Measure::Ttft, 2.0), (Measure::Length, 0.5)]);
        // Whole answers have no first token; characters count where tokens are not told of both.
        let whole = |text| Reply { ttft: None, tokens: None, ..good(text) };
        let found = likeness(&whole("äöüß"), &whole("ab")).ratios;
        assert_eq!(found, [(Measure::Total, 1.0), (Measure::Length, 0.5)]);
        let instant = Reply { total: Duration::ZERO, ..whole("") };
        assert_eq!(likeness(&instant, &instant).ratios, []);
    }

    #[test]
    fn json_of_another_form_is_told_and_prose_is_not_compared() {
        use Verdict::*;
        for (stable, copy, expected) in [
            (r#"{"a":1,"b":["x"]}"#, r#" {"b":["y","z"],"a":2.5} "#, Match),
            (r#"{"a":1}"#, r#"{"a":"1"}"#, Mismatch),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#, Mismatch),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"c":1}}"#, Mismatch),
            (r#"{"a":1}"#, "```json\n{\"a\":1}\n```", Mismatch),
            (r#"{"a":1"#, r#"{"a":1}"#, Mismatch),
            ("Yes.", "No, it is not.", Inconclusive),
            ("Yes.", "", Inconclusive),
            ("7", "8", Inconclusive),
        ] {
            assert_eq!(likeness(&good(stable), &good(copy)).checks[2], expected, "{stable} {copy}");
        }
        let long = format!("[{}1]", "1,".repeat(40_000));
        assert_eq!(likeness(&good(&long), &good("[1]")).checks[2], Inconclusive);
        // What nests deeper than a parser goes is no JSON on either side.
        let deep = "[".repeat(20_000);
        assert_eq!(likeness(&good(&deep), &good(&deep)).checks[2], Inconclusive);
    }

    #[test]
    fn an_end_is_the_same_in_every_dialect() {
        for (stable, copy, expected) in [
            ("stop", "end_turn", Verdict::Match),
            ("tool_calls", "tool_use", Verdict::Match),
            ("length", "max_tokens", Verdict::Match),
            ("stop", "max_tokens", Verdict::Mismatch),
            ("tool_use", "stop", Verdict::Mismatch),
        ] {
            let (stable, copy) = (Some(stable), Some(copy));
            let stable = Reply { finish: stable, ..good("a") };
            let copy = Reply { finish: copy, ..good("a") };
            assert_eq!(likeness(&stable, &copy).checks[1], expected, "{stable:?} {copy:?}");
        }
    }
}
