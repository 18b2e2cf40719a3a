//! Arbitrary text and arbitrary expressions: nothing panics, everything ends, what is printed reads
//! back as the same.

use std::time::Duration;

use bellwether::model::{Labels, Timestamp};
use bellwether::promql::{self, Options};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::outcome::is_close;
use crate::source::Store;

fn words() -> impl Strategy<Value = String> {
    const WORDS: [&str; 66] = [
        "x",
        "y",
        "sum",
        "by",
        "(",
        ")",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "[5m]",
        "[5m:1m]",
        "[9s:]",
        "a",
        "=",
        "\"b\"",
        "!=",
        "=~",
        "!~",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "==",
        ">",
        "<=",
        "bool",
        "and",
        "or",
        "unless",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "offset",
        "@",
        "5m",
        "1",
        "0x1f",
        "1e3",
        "NaN",
        "Inf",
        "rate",
        "topk",
        "abs",
        "time()",
        "'c'",
        "`d`",
        "\"\\x41\"",
        "#z\n",
        "start()",
        "end()",
        "histogram_quantile",
        "label_replace",
        "quantile_over_time",
        "absent",
        "vector",
        "scalar",
        "é",
        ":",
        "atan2",
    ];
    let word = prop::sample::select(WORDS.to_vec());
    prop::collection::vec(word, 0..24).prop_map(|words| words.join(" "))
}

fn expressions() -> impl Strategy<Value = String> {
    let scalars = prop::sample::select(vec![
        "1",
        "-2.5",
        "NaN",
        "Inf",
        "time()",
        "scalar(x)",
        "1e300",
        "0",
        "5m",
        "scalar(y) % 7",
    ]);
    let leaves = prop::sample::select(vec![
        "x",
        "y{a=\"1\"}",
        "{__name__=~\".+\"}",
        "x offset -1m",
        "y @ 120",
        "x @ end()",
        "z_bucket",
        "vector(1)",
        "rate(x[2m])",
        "irate(y[5m] offset 1m)",
        "quantile_over_time(0.5, x[3m] @ 240)",
        "absent(none{a=\"b\"})",
        "minute()",
    ]);
    let windows = prop::sample::select(vec![
        "rate",
        "increase",
        "delta",
        "idelta",
        "deriv",
        "changes",
        "resets",
        "avg_over_time",
        "stddev_over_time",
        "last_over_time",
        "absent_over_time",
        "max_over_time",
    ]);
    let maps = prop::sample::select(vec![
        "abs",
        "-",
        "ln",
        "sqrt",
        "sgn",
        "round",
        "sort",
        "timestamp",
        "year",
        "absent",
        "+",
    ]);
    let operators = prop::sample::select(vec![
        "+",
        "- on (a)",
        "*",
        "/ ignoring (a)",
        "%",
        "^",
        "atan2",
        "==",
        "> bool",
        "<= on (a)",
        "and",
        "or on (a)",
        "unless",
        "* on (a) group_left (le)",
        "< on (a) group_right ()",
    ]);
    let aggregators = prop::sample::select(vec![
        "sum by (a)",
        "avg",
        "min without (a)",
        "count by (__name__)",
        "stdvar",
        "group by (le)",
    ]);
    let expression = leaves.prop_map(str::to_owned).prop_recursive(5, 24, 3, move |inner| {
        let inner = inner.boxed();
        prop_oneof![
            (operators.clone(), inner.clone(), inner.clone())
                .prop_map(|(operator, left, right)| format!("({left} {operator} {right})")),
            (scalars.clone(), inner.clone(), any::<bool>()).prop_map(|(scalar, vector, first)| {
                if first {
                    format!("({scalar} >= {vector})")
                } else {
                    format!("({vector} * {scalar})")
                }
            }),
            (maps.clone(), inner.clone()).prop_map(|(map, vector)| format!("{map}({vector})")),
            (windows.clone(), inner.clone())
                .prop_map(|(window, vector)| format!("{window}(({vector})[3m:30s])")),
            (aggregators.clone(), inner.clone())
                .prop_map(|(aggregator, vector)| format!("{aggregator} ({vector})")),
            (scalars.clone(), inner.clone()).prop_map(|(k, vector)| format!("topk({k}, {vector})")),
            (scalars.clone(), inner.clone())
                .prop_map(|(q, vector)| format!("histogram_quantile({q}, {vector})")),
            inner.clone().prop_map(|vector| format!(
                "label_replace({vector}, \"a\", \"$1\", \"__name__\", \"(.)\")"
            )),
            inner.prop_map(|vector| format!("count_values(\"v\", {vector})")),
        ]
    });
    expression.boxed()
}

fn store() -> Store {
    let mut store = Store::default();
    for (name, label, slope) in
        [("x", "1", 3.0), ("x", "2", -1.5), ("y", "1", 0.25), ("y", "3", 1e300)]
    {
        let labels = Labels::from_pairs([("__name__", name), ("a", label)]);
        for at in 0..40 {
            let value = if at % 11 == 10 { f64::NAN } else { slope * f64::from(at % 17) };
            let value = if at == 23 { bellwether::model::stale_marker() } else { value };
            store.add(&labels, i64::from(at) * 15_000, value);
        }
    }
    for (bound, count) in [("0.5", 1.0), ("1", 3.0), ("+Inf", 4.0), ("odd", 9.0)] {
        let labels = Labels::from_pairs([("__name__", "z_bucket"), ("le", bound)]);
        store.add(&labels, 0, count);
        store.add(&labels, 240_000, count * 2.0);
    }
    store
}

fn evaluate(text: &str, store: &Store) {
    let Ok(expression) = promql::parse(text) else { return };
    let written = expression.to_string();
    let again = promql::parse(&written).map(|again| again.to_string());
    assert_eq!(again, Ok(written), "`{text}` does not read back");
    for delayed_name_removal in [false, true] {
        let options = Options { delayed_name_removal, ..Options::default() };
        let at = Timestamp::from_millis(300_000);
        let one = promql::instant(&expression, store, at, &options);
        let minute = Duration::from_secs(60);
        let range = promql::range(&expression, store, at, at, minute, &options);
        if let (Ok(one), Ok(range)) = (&one, &range) {
            let count = match (&one.value, &range.value) {
                (promql::Value::Vector(points), promql::Value::Matrix(series)) => {
                    Some((points.len(), series.len()))
                }
                _ => None,
            };
            assert!(count.is_none_or(|(points, series)| points == series), "`{text}`");
        }
        let from = Timestamp::from_millis(-60_000);
        let to = Timestamp::from_millis(600_000);
        let range = promql::range(&expression, store, from, to, minute, &options);
        // With delayed removal a series joined over steps loses its name at all of them, here as in
        // Prometheus.
        let reads_bounds = text.contains("start()") || text.contains("end()");
        if let (Ok(range), false) = (range, reads_bounds || delayed_name_removal) {
            check_steps(text, &range.value, |at| {
                promql::instant(&expression, store, at, &options).map(|answer| answer.value)
            });
        }
    }
}

/// Every step of a range is what an instant query gives there.
fn check_steps(
    text: &str,
    range: &promql::Value,
    instant: impl Fn(Timestamp) -> Result<promql::Value, promql::EvalError>,
) {
    let promql::Value::Matrix(range) = range else { return };
    for minute in -1..=10 {
        let at = Timestamp::from_millis(minute * 60_000);
        let value = instant(at).unwrap_or_else(|error| panic!("`{text}` fails at {at}: {error}"));
        let promql::Value::Vector(mut points) = value else { return };
        points.sort_by(|left, right| left.labels.cmp(&right.labels));
        let of_range: Vec<(&Labels, f64)> = range
            .iter()
            .filter_map(|series| {
                let sample = series.samples.iter().find(|sample| sample.at == at)?;
                Some((&series.labels, sample.value))
            })
            .collect();
        let of_instant: Vec<(&Labels, f64)> =
            points.iter().map(|point| (&point.labels, point.value)).collect();
        let is_same = of_range.len() == of_instant.len()
            && of_range
                .iter()
                .zip(&of_instant)
                .all(|(range, instant)| range.0 == instant.0 && is_close(range.1, instant.1));
        assert!(is_same, "`{text}` at {at}: {of_range:?} is not {of_instant:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: RngSeed::Fixed(2026), ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        evaluate(&text, &store());
    }

    #[test]
    fn any_words_are_read_or_refused(text in words()) {
        evaluate(&text, &store());
    }

    #[test]
    fn any_expression_is_evaluated(text in expressions()) {
        assert!(promql::parse(&text).is_ok(), "{text}: {:?}", promql::parse(&text).err());
        evaluate(&text, &store());
    }
}

#[test]
fn the_deepest_expressions_are_evaluated() {
    let store = store();
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}x{}", open.repeat(depth), close.repeat(depth))
    };
    for text in [
        nested("abs(", ")", 127),
        nested("sum(", ")", 127),
        nested("-", "", 127),
        nested("(1+", ")", 63),
        nested("x^", "", 127),
        nested("max_over_time(", "[1m:1m])", 100),
        vec!["x"; 5_000].join(" + "),
    ] {
        assert!(promql::parse(&text).is_ok(), "{text}");
        evaluate(&text, &store);
    }
}

#[test]
fn bounds_are_errors() {
    let store = store();
    let expression = promql::parse("x").expect("a name");
    let (early, late) = (Timestamp::from_millis(0), Timestamp::MAX);
    let options = Options::default();
    let range = |from, to, step| {
        let step = Duration::from_millis(step);
        promql::range(&expression, &store, from, to, step, &options).map(|answer| answer.value)
    };
    assert_eq!(range(early, late, 1), Err(promql::EvalError::TooManySamples));
    assert_eq!(range(early, late, 0), Err(promql::EvalError::ZeroStep));
    assert_eq!(range(late, early, 1), Err(promql::EvalError::EndBeforeStart));
    assert!(range(Timestamp::MIN, late, u64::MAX / 2).is_ok());
    let few = Options { samples_max: 1, ..Options::default() };
    let at = Timestamp::from_millis(60_000);
    let answer = promql::instant(&expression, &store, at, &few);
    assert_eq!(answer.map(|answer| answer.value), Err(promql::EvalError::TooManySamples));
}
