//! Windows whose middle nobody reads: a store that keeps digests answers as one that reads every
//! sample, and goes on to answer when the samples are gone.

use std::time::Duration;

use bellwether::model::{Labels, Matcher, Sample, Timestamp, stale_marker};
use bellwether::promql::{self, Options, Value};
use bellwether::series::{Overlay, Settings, Source, Store, Watch};
use proptest::prelude::*;

const STEP_MS: i64 = 15_000;
const DAY: Duration = Duration::from_secs(86_400);

/// What follows from a digest bit for bit, and what does within the rounding of its last places.
const EXACT: [&str; 11] = [
    "rate(x[W])",
    "increase(x[W])",
    "delta(x[W])",
    "count_over_time(x[W])",
    "present_over_time(x[W])",
    "first_over_time(x[W])",
    "last_over_time(x[W])",
    "min_over_time(x[W])",
    "max_over_time(x[W])",
    "changes(x[W])",
    "resets(x[W])",
];
const ROUNDED: [&str; 4] = [
    "sum_over_time(x[W])",
    "avg_over_time(x[W])",
    "stddev_over_time(x[W])",
    "stdvar_over_time(x[W])",
];

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn series(number: usize) -> Labels {
    Labels::from_pairs([("__name__", "x"), ("n", number.to_string().as_str())])
}

fn store(retention: Duration) -> Store {
    Store::new(Settings { retention, size_max_bytes: 1 << 30, series_max: 1000 })
}

fn watch(store: &mut Store, reach: Duration) {
    let matchers = vec![Matcher::parse("__name__=x").expect("a matcher")];
    store.watch(vec![Watch { matchers, reach }]);
}

/// The value of each series: none where the answer has no such series.
fn values(source: &dyn Source, expr: &str, now: i64) -> Vec<(String, f64)> {
    let expr = promql::parse(expr).expect("an expression");
    let answer = promql::instant(&expr, source, at(now), &Options::default()).expect("an answer");
    let Value::Vector(points) = answer.value else { panic!("a vector") };
    let shown = |labels: &Labels| labels.get("n").unwrap_or_default().to_owned();
    points.into_iter().map(|point| (shown(&point.labels), point.value)).collect()
}

fn agrees(left: f64, right: f64, tolerance: f64) -> bool {
    let scale = left.abs().max(right.abs()).max(1.0);
    left.to_bits() == right.to_bits()
        || left == right
        || left.is_nan() && right.is_nan()
        || (left - right).abs() <= tolerance * scale
}

fn compare(digested: &dyn Source, plain: &dyn Source, window: &str, now: i64) {
    let checks =
        EXACT.iter().map(|expr| (expr, 0.0)).chain(ROUNDED.iter().map(|expr| (expr, 1e-9)));
    for (expr, tolerance) in checks {
        let expr = expr.replace('W', window);
        let (found, expected) = (values(digested, &expr, now), values(plain, &expr, now));
        let is_same = found.len() == expected.len()
            && found.iter().zip(&expected).all(|((name, value), (other, expected))| {
                name == other && agrees(*value, *expected, tolerance)
            });
        assert!(is_same, "{expr} at {now}: {found:?}, and of all samples {expected:?}");
    }
}

/// How a series goes on: mostly a counter of whole numbers, now and then something else.
fn step() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        8 => (0_u8..3).prop_map(|grown| Some(f64::from(grown))),
        1 => Just(Some(f64::NEG_INFINITY)),
        1 => Just(None),
    ]
}

fn fill(stores: &mut [&mut Store], number: usize, steps: &[Option<f64>], repeat: usize) -> i64 {
    let (mut value, mut now) = (0.0_f64, 0);
    for step in steps.iter().flat_map(|step| std::iter::repeat_n(step, repeat)) {
        now += STEP_MS;
        let sample = match step {
            Some(grown) if grown.is_finite() => {
                value += grown;
                value
            }
            Some(_) => {
                value = 0.0;
                value
            }
            None => stale_marker(),
        };
        for store in stores.iter_mut() {
            let stored = store.append(&series(number), Sample { at: at(now), value: sample });
            assert_eq!(stored, Ok(()));
        }
    }
    now
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_window_of_digests_is_a_window_of_samples(
        first in prop::collection::vec(step(), 1..120),
        second in prop::collection::vec(step(), 1..120),
        late in any::<bool>(),
        cut_s in 0_i64..4000,
    ) {
        let (mut digested, mut plain) = (store(DAY), store(DAY));
        if !late {
            watch(&mut digested, DAY);
        }
        let mut now = 0;
        for (number, steps) in [first, second].iter().enumerate() {
            now = fill(&mut [&mut digested, &mut plain], number, steps, 17).max(now);
        }
        watch(&mut digested, DAY);
        for window in ["10m", "31m", "1h", "3h", "1d"] {
            for end in [now, now - cut_s * 1000, now + 7000] {
                compare(&digested, &plain, window, end);
            }
        }
        let (mut over_digested, mut over_plain) =
            (Overlay::new(&digested, at(now + 500)), Overlay::new(&plain, at(now + 500)));
        over_digested.put(&series(0), 3.0);
        over_plain.put(&series(0), 3.0);
        compare(&over_digested, &over_plain, "3h", now + 500);
        let same_time = (Overlay::new(&digested, at(now)), Overlay::new(&plain, at(now)));
        let (mut over_digested, mut over_plain) = same_time;
        over_digested.put(&series(0), 3.0);
        over_plain.put(&series(0), 3.0);
        compare(&over_digested, &over_plain, "3h", now);
    }
}

/// Samples are kept for six hours and asked about over ten days; an error happens once a day and the
/// counter of answers grows by two each step. A window may begin late by a thousandth of it (14 m) or
/// a chunk (30 m), so that of some 2 × 57,600 no more than 2 × 121 are missing.
#[test]
fn a_window_reaches_beyond_the_samples() {
    let reach = 11 * DAY;
    let mut digested = store(Duration::from_secs(6 * 3600));
    let mut plain = store(30 * DAY);
    watch(&mut digested, reach);
    let steps = 12 * 86_400_000 / STEP_MS;
    let mut now = 0;
    for step in 1..=steps {
        now = step * STEP_MS;
        for store in [&mut digested, &mut plain] {
            for (number, value) in [(0, 2 * step), (1, step / 5760), (2, 7)] {
                let sample = Sample { at: at(now), value: value as f64 };
                assert_eq!(store.append(&series(number), sample), Ok(()));
            }
        }
        if step % 4 == 0 {
            digested.expire(at(now));
        }
    }
    // No digest tells a median.
    let median = |source: &dyn Source| {
        values(source, "quantile_over_time(0.5, x[5h])", now - 43_200_000).len()
    };
    assert_eq!((median(&digested), median(&plain)), (0, 3), "samples of half a day ago");
    for (expr, missing_max) in [
        ("increase(x[10d])", [242.0, 0.0, 0.0]),
        ("increase(x[8d] offset 2d)", [484.0, 0.0, 0.0]),
        ("count_over_time(x[10d])", [121.0, 121.0, 0.0]),
        ("changes(x[10d])", [121.0, 0.0, 0.0]),
    ] {
        let (found, expected) = (values(&digested, expr, now), values(&plain, expr, now));
        for (((_, found), (_, expected)), max) in found.iter().zip(&expected).zip(missing_max) {
            let missing = expected - found;
            assert!((-1e-6..=max).contains(&missing), "{expr}: {found}, of all samples {expected}");
        }
        assert_eq!(found.len(), 3, "{expr}");
    }
    let stats = digested.stats();
    // The counter that always grows: 11 days by 15.8 minutes at least, each of 112 bytes and a
    // sixteenth for the levels above; the others are flat for a day at least.
    assert!(stats.bytes < 160_000, "{stats:?}");
}

#[test]
fn a_series_that_ended_is_still_in_long_windows() {
    let mut store = store(Duration::from_secs(3600));
    watch(&mut store, 10 * DAY);
    let now = fill(&mut [&mut store], 0, &[Some(1.0)], 1000);
    let sample = Sample { at: at(now + STEP_MS), value: stale_marker() };
    assert_eq!(store.append(&series(0), sample), Ok(()));
    let day = 86_400_000;
    for (days, expected) in [(1, true), (9, true), (10, false), (11, false)] {
        let later = now + days * day;
        store.expire(at(later));
        let found = values(&store, "increase(x[10d])", later);
        assert_eq!(found.first().is_some_and(|(_, grown)| *grown > 900.0), expected, "{days}");
    }
    assert_eq!(store.stats().bytes, 0);
}

#[test]
fn who_is_no_longer_watched_costs_nothing_more() {
    let mut watched = store(DAY);
    let mut plain = store(DAY);
    watch(&mut watched, DAY);
    fill(&mut [&mut watched, &mut plain], 0, &[Some(1.0)], 1000);
    assert!(watched.stats().bytes > plain.stats().bytes);
    watched.watch(Vec::new());
    assert_eq!(watched.stats(), plain.stats());
}
