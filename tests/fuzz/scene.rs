//! Data for an expression, chosen by bytes.
//!
//! Series are made for what the expression selects, so that any expression finds some. Every
//! sequence of bytes is a scene, also the empty one: where bytes run out they are zero, and zero
//! always stands for the ordinary choice. A mutation of one byte changes one thing.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwether::model::{Labels, MatchOp, Matcher, Sample, Timestamp, stale_marker};
use bellwether::promql::{Expr, Options, Selector};
use bellwether::series::{Settings, Store};

/// Selectors beyond these find only what was made for the others.
const SELECTORS_MAX: usize = 6;

/// Small enough that a single input takes milliseconds, and is reached.
const SAMPLES_MAX: [usize; 4] = [20_000, 1_000, 50, 1];

/// What an expression is evaluated over, and when.
pub struct Scene {
    pub store: Store,
    pub at: Timestamp,
    pub end: Timestamp,
    pub step: Duration,
    pub options: Options<'static>,
}

struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }
}

impl Scene {
    pub fn new(expr: &Expr, bytes: &[u8]) -> Self {
        let mut choices = Choices(bytes.iter());
        let lookback_ms = choices.of(&[300_000, 0, 1, 15_000, u64::MAX]);
        let subquery_step_ms = choices.of(&[60_000, 1, 0, 7_919, u64::MAX]);
        let flags = choices.byte();
        let options = Options {
            lookback: Duration::from_millis(lookback_ms),
            subquery_step: Duration::from_millis(subquery_step_ms),
            samples_max: choices.of(&SAMPLES_MAX),
            delayed_name_removal: flags & 1 > 0,
            type_and_unit_labels: flags & 2 > 0,
            ..Options::default()
        };
        let base: i64 = choices.of(&[
            1_700_000_000_000,
            0,
            -60_000,
            i64::MIN,
            i64::MAX,
            i64::MAX - 600_000,
            i64::MIN + 600_000,
            1 << 53,
        ]);
        let spacing: i64 = choices.of(&[15_000, 1, 999, 60_000, 86_400_000, 1 << 40, 1 << 61]);
        let steps: i64 = choices.of(&[5, 0, 1, 12, 40]);
        let step: i64 = choices.of(&[60_000, 15_000, 1, 7_919, 3_600_000, 1 << 55]);
        let shift: i64 = choices.of(&[6, 0, 1, 12, 30, -1]);
        let at = base.saturating_add(spacing.saturating_mul(shift));
        let end = at.saturating_add(step.saturating_mul(steps));
        let mut store = Store::new(Settings {
            retention: Duration::MAX,
            size_max_bytes: u64::MAX,
            series_max: 256,
        });
        for labels in series(expr, &mut choices) {
            fill(&mut store, &labels, base, spacing, &mut choices);
        }
        Self {
            store,
            at: Timestamp::from_millis(at),
            end: Timestamp::from_millis(end),
            step: Duration::from_millis(step.unsigned_abs()),
            options,
        }
    }
}

impl Scene {
    /// The steps of the range.
    pub fn times(&self) -> impl Iterator<Item = Timestamp> {
        let step = i64::try_from(self.step.as_millis()).unwrap_or(i64::MAX);
        let times = std::iter::successors(Some(self.at.millis()), move |at| at.checked_add(step));
        times.map(Timestamp::from_millis).take_while(|at| *at <= self.end)
    }
}

/// The label sets that there are data for, each once.
fn series(expr: &Expr, choices: &mut Choices<'_>) -> Vec<Labels> {
    let mut seen = BTreeSet::new();
    let mut made = Vec::new();
    let names: BTreeSet<String> = expr
        .selectors()
        .iter()
        .flat_map(|selector| &selector.matchers)
        .map(|matcher| matcher.name().to_owned())
        .filter(|name| name != Labels::NAME)
        .take(4)
        .collect();
    for selector in expr.selectors().iter().take(SELECTORS_MAX) {
        let common = common(selector);
        let is_histogram = common.metric().ends_with("_bucket");
        for number in 0..choices.of(&[3_u8, 1, 2, 6, 0, 8]) {
            let bounds = ["0.1", "1", "+Inf", "2.5", "Inf", "odd", "-1", "NaN", "", "1.0"];
            let values = ["1", "2", "3", "", "b", "x", "y", "\u{e9}"];
            let mut labels = common.clone();
            let mut put = |name: &str, value: &str| {
                let is_given = common.get(name).is_some();
                if !is_given {
                    labels = labels.with(name, value);
                }
            };
            let pick = choices.byte().wrapping_add(number);
            if is_histogram || pick & 0x80 > 0 {
                put("le", bounds[usize::from(pick & 0x7f) % bounds.len()]);
            } else {
                put("a", values[usize::from(pick) % values.len()]);
            }
            for name in &names {
                put(name, values[usize::from(choices.byte()) % values.len()]);
            }
            if seen.insert(labels.clone()) {
                made.push(labels);
            }
        }
    }
    made
}

/// The labels that a selector asks for, as far as they can be told.
fn common(selector: &Selector) -> Labels {
    let wanted = |matcher: &Matcher| -> Option<String> {
        match matcher.op() {
            MatchOp::Equal => Some(matcher.value().to_owned()),
            // The first thing that many regular expressions match.
            MatchOp::Regex => {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                let value = matcher.value();
                Some(value.split(|c| !is_plain(c)).find(|part| !part.is_empty())?.to_owned())
            }
            MatchOp::NotEqual | MatchOp::NotRegex => None,
        }
    };
    let mut labels = Labels::from_pairs([(Labels::NAME, "x")]);
    for matcher in &selector.matchers {
        if let Some(value) = wanted(matcher) {
            labels = labels.with(matcher.name(), &value);
        }
    }
    labels
}

/// Samples of one series. What the store refuses, such as an earlier time, it refuses.
fn fill(store: &mut Store, labels: &Labels, base: i64, spacing: i64, choices: &mut Choices<'_>) {
    let mut at = base;
    let mut value: f64 = choices.of(&[0.0, 1e15, -3.5, f64::NAN, 1e300, 5e-324, f64::INFINITY]);
    for _ in 0..choices.of(&[12_u8, 1, 2, 40, 0, 3]) {
        let kind = choices.byte();
        let gap = match kind >> 5 {
            0..=3 => spacing,
            4 => spacing / 2,
            5 => spacing.saturating_mul(7),
            6 => spacing.saturating_add(1),
            _ => 1,
        };
        value = match kind & 0x1f {
            0 => value + 1.0,
            1 => 0.0,
            2 => f64::NAN,
            3 => stale_marker(),
            4 => f64::INFINITY,
            5 => f64::NEG_INFINITY,
            6 => -0.0,
            7 => value * 1e200,
            8 => value / 1e200,
            9 => value,
            10 => -value,
            11 => f64::MAX,
            12 => f64::MIN_POSITIVE,
            13 => f64::from_bits(u64::from(kind)),
            14 => value + 0.1,
            15 => 1_700_000_000.0,
            small => f64::from(small) - 24.0,
        };
        let sample = Sample { at: Timestamp::from_millis(at), value };
        let _is_refused = store.append(labels, sample).is_err();
        at = at.saturating_add(gap);
    }
}
