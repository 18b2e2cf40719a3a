//! Drawn series: what real ones do, and what they should not do.
//!
//! Counters that restart, gauges, histograms sound and broken, series that pause, end with a stale
//! marker or without, NaN, infinities and negative zero, timestamps on the grid and off it. Series of
//! different metrics share labels, so that operators find partners.

use std::collections::BTreeMap;

use bellwether::model::{Labels, Sample, Timestamp, stale_marker};

use crate::draw::Draw;

/// When the data begin: 2023-11-14 22:00:00 UTC, a multiple of every range and step that is drawn.
pub const START_MS: i64 = 1_699_999_200_000;
/// For how long they go on. Prometheus keeps so much in its head, where series come in order of
/// their creation; sums over blocks would add in another order.
pub const LENGTH_MS: i64 = 70 * 60_000;

/// Series in order of their first sample, which is the order in which both engines read them.
pub type Data = Vec<(Labels, Vec<Sample>)>;

/// Where samples and the edges of windows may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    /// Often on one another.
    Met,
    /// Never on one another: Prometheus 2 counts a sample at the left edge, Prometheus 3 does not.
    Avoided,
}

pub const JOBS: [&str; 3] = ["api", "db", "web"];
pub const INSTANCES: [&str; 3] = ["a:1", "b:1", "c:2"];
pub const CODES: [&str; 3] = ["200", "404", "500"];
pub const ZONES: [&str; 2] = ["eu", "us"];
const BOUNDS: [&str; 6] = ["0.1", "0.5", "1", "2.5", "10", "+Inf"];

/// How a series is sampled.
#[derive(Clone, Copy)]
enum Rhythm {
    Grid(i64),
    Jitter,
    Irregular,
    Sparse,
    Burst,
}

pub fn draw(draw: &mut Draw, edges: Edges, has_utf8_names: bool) -> Data {
    let mut making = Making { draw, edges, data: Vec::new() };
    for job in JOBS {
        for (position, instance) in INSTANCES.into_iter().enumerate() {
            let times = making.times();
            let target = [("job", job), ("instance", instance)];
            let zone = ZONES[position % 2];
            making.target(&target, zone, &times);
        }
    }
    making.oddities();
    if has_utf8_names {
        for place in ["x y", "\u{e9}t\u{e9}"] {
            let times = making.times();
            making.gauge(&[("__name__", "http.wait"), ("job", "api"), ("a.b", place)], &times);
        }
    }
    let mut data = making.data;
    data.retain(|(_, samples)| !samples.is_empty());
    data.sort_by_key(|(_, samples)| samples.first().map(|sample| sample.at));
    data
}

struct Making<'a> {
    draw: &'a mut Draw,
    edges: Edges,
    data: Data,
}

impl Making<'_> {
    fn target(&mut self, target: &[(&str, &str)], zone: &str, times: &[i64]) {
        fn named<'a>(target: &[(&'a str, &'a str)], name: &'a str) -> Vec<(&'a str, &'a str)> {
            [("__name__", name)].into_iter().chain(target.iter().copied()).collect()
        }
        for code in CODES {
            if self.draw.chance(90) {
                let mut labels = named(target, "requests_total");
                labels.extend([("code", code), ("zone", zone)]);
                self.counter(&labels, times);
            }
        }
        if self.draw.chance(80) {
            self.counter(&named(target, "errors_total"), times);
        }
        if self.draw.chance(80) {
            let mut labels = named(target, "temperature");
            labels.push(("zone", zone));
            self.gauge(&labels, times);
        }
        if self.draw.chance(80) {
            let own = self.times();
            self.gauge(&named(target, "queue_length"), &own);
        }
        let version = self.draw.one(&["1.0", "1.1", "2.0-rc"]);
        let mut labels = named(target, "build_info");
        labels.push(("version", version));
        self.push(&labels, times, |_, _| 1.0);
        self.push(&named(target, "up"), times, |draw, _| if draw.chance(90) { 1.0 } else { 0.0 });
        if target[1].1 != INSTANCES[2] {
            self.histogram(target, times);
        }
    }

    fn oddities(&mut self) {
        // None is too small for a normal number: Go's logarithms are wrong by 15 there. Zero stands
        // here with one sign: in which order a quantile sorts the two is left open.
        let extremes = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            1.0,
            -1.5,
            1e-300,
            1e300,
            -1e300,
            4_294_967_296.5,
        ];
        for kind in ["nan", "inf", "zero", "mixed", "mixed2", "mixed3"] {
            let times = self.times();
            let choices: &[f64] = match kind {
                "nan" => &extremes[..1],
                "inf" => &extremes[1..3],
                "zero" => &extremes[3..4],
                _ => &extremes,
            };
            self.push(&[("__name__", "weird"), ("kind", kind)], &times, |draw, _| {
                draw.one(choices)
            });
        }
        for value in ["with \"quotes\"", "back\\slash", "two\nlines", "\u{1f980}", "$1"] {
            let times = self.times();
            self.gauge(&[("__name__", "texts"), ("text", value), ("job", "api")], &times);
        }
        // Histograms that are none: no last bucket, counts that fall, a bound twice, one that is no
        // number.
        for (job, bounds) in [
            ("api", &["1", "2", "5"] as &[&str]),
            ("db", &["+Inf"]),
            ("web", &["1", "1.0", "2", "word", "+Inf"]),
            ("late", &["-5", "-1", "0", "3", "+Inf"]),
        ] {
            let times = self.times();
            for bound in bounds {
                self.counter(&[("__name__", "broken_bucket"), ("job", job), ("le", bound)], &times);
            }
        }
    }

    fn counter(&mut self, labels: &[(&str, &str)], times: &[i64]) {
        let growth = self.draw.one(&[0, 1, 7, 100]);
        let restart_percent = self.draw.one(&[0, 1, 5]);
        let mut count = if self.draw.chance(50) { 0 } else { self.draw.between(0, 5000) };
        self.push(labels, times, |draw, _| {
            if draw.chance(restart_percent) {
                count = draw.between(0, 3);
            }
            count += draw.between(0, growth);
            count as f64
        });
    }

    fn gauge(&mut self, labels: &[(&str, &str)], times: &[i64]) {
        let unit = self.draw.one(&[0.1, 0.25, 1.0, 1e-3, 1e9]);
        let mut level = self.draw.between(-500, 500);
        let holds_percent = self.draw.one(&[0, 50, 95]);
        self.push(labels, times, |draw, _| {
            if !draw.chance(holds_percent) {
                level += draw.between(-20, 20);
            }
            level as f64 * unit
        });
    }

    fn histogram(&mut self, target: &[(&str, &str)], times: &[i64]) {
        let mut counts: Vec<Vec<i64>> = Vec::new();
        let mut buckets = vec![0; BOUNDS.len()];
        for _ in times {
            if self.draw.chance(1) {
                buckets.fill(0);
            }
            for bucket in &mut buckets {
                *bucket += self.draw.between(0, 4);
            }
            let sums = buckets.iter().scan(0, |sum, count| {
                *sum += count;
                Some(*sum)
            });
            counts.push(sums.collect());
        }
        let all = BOUNDS.len() - 1;
        let mut parts: Vec<(&str, &str, usize)> = BOUNDS
            .iter()
            .enumerate()
            .map(|(position, bound)| ("latency_seconds_bucket", *bound, position))
            .collect();
        parts.extend([("latency_seconds_count", "", all), ("latency_seconds_sum", "", all)]);
        for (name, bound, position) in parts {
            let mut labels = vec![("__name__", name), ("le", bound)];
            labels.extend_from_slice(target);
            let unit = if name.ends_with("_sum") { 0.3 } else { 1.0 };
            self.push(&labels, times, |_, step| counts[step][position] as f64 * unit);
        }
    }

    /// Adds a series with gaps: some end with a stale marker.
    fn push(
        &mut self,
        labels: &[(&str, &str)],
        times: &[i64],
        mut value: impl FnMut(&mut Draw, usize) -> f64,
    ) {
        let gap_per_mille = self.draw.one(&[0, 0, 10, 30]);
        let mut samples = Vec::new();
        let mut missing = 0;
        for (step, at) in times.iter().enumerate() {
            let value = value(self.draw, step);
            let at = Timestamp::from_millis(*at);
            if missing > 0 {
                missing -= 1;
            } else if self.draw.below(1000) < gap_per_mille {
                missing = self.draw.between(1, 40);
                if self.draw.chance(60) {
                    samples.push(Sample { at, value: stale_marker() });
                }
            } else {
                samples.push(Sample { at, value });
            }
        }
        self.data.push((Labels::from_pairs(labels.iter().copied()), samples));
    }

    fn times(&mut self) -> Vec<i64> {
        let rhythm = match self.draw.below(10) {
            0..5 => Rhythm::Grid(self.draw.one(&[10_000, 15_000, 30_000, 60_000])),
            5..7 => Rhythm::Jitter,
            7 => Rhythm::Irregular,
            8 => Rhythm::Sparse,
            _ => Rhythm::Burst,
        };
        let mut from = 0;
        let mut until = LENGTH_MS;
        if self.draw.chance(25) {
            from = self.draw.between(0, LENGTH_MS / 2) / 1000 * 1000;
        }
        if self.draw.chance(25) {
            until -= self.draw.between(0, LENGTH_MS / 2);
        }
        let mut times = Vec::new();
        let mut at = from;
        while at < until {
            times.push(START_MS + at);
            at += match rhythm {
                Rhythm::Grid(step) => step,
                Rhythm::Jitter => 15_000 + self.draw.between(-400, 400),
                Rhythm::Irregular => self.draw.between(1, 60) * 1000,
                Rhythm::Sparse => self.draw.between(2, 7) * 60_000,
                Rhythm::Burst if self.draw.chance(80) => self.draw.between(1, 1500),
                Rhythm::Burst => 240_000,
            };
        }
        match self.edges {
            Edges::Met => times,
            // Evaluations lie at whole and half seconds and windows are longer by a quarter, so no
            // multiple of 250 ms may hold a sample.
            Edges::Avoided => {
                let mut times: Vec<i64> =
                    times.into_iter().map(|at| if at % 250 == 0 { at + 1 } else { at }).collect();
                times.dedup();
                times
            }
        }
    }
}

/// The samples of all series in requests of ten minutes each: a head takes none that are much older
/// than the newest.
pub fn slices(data: &Data) -> Vec<Data> {
    let mut slices: BTreeMap<i64, Data> = BTreeMap::new();
    for (labels, samples) in data {
        for part in samples.chunk_by(|left, right| slice(left) == slice(right)) {
            slices.entry(slice(&part[0])).or_default().push((labels.clone(), part.to_vec()));
        }
    }
    slices.into_values().collect()
}

fn slice(sample: &Sample) -> i64 {
    sample.at.millis() / 600_000
}
