//! Queries: the same series as a scrape, and the same answers over the same samples.
//!
//! Values of two programs that sample by their own clocks can only be near one another. So the
//! evaluators are compared over identical samples: bellwether's are exported, made into blocks by
//! promtool, and asked for by a Prometheus of their own. Then every point must be equal.
//!
//! Prometheus 2.42 has windows that are closed on the left. The steps are therefore laid at that
//! millisecond of the second which is farthest from any sample: no sample is on an edge.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::run::now;
use crate::stage::{Directory, Process};
use crate::timeline::{Labels, labels};
use crate::web;

/// Of every kind, over what a scrape brings.
const EXPRESSIONS: [&str; 40] = [
    "bellwether_probe_runs_total > 0",
    "rate(bellwether_probe_fired_total[20s])",
    "increase(bellwether_probe_runs_total{slo=\"bad\"}[10s])",
    "irate(bellwether_probe_fired_total[10s])",
    "delta(bellwether_probe_in_flight[10s])",
    "idelta(process_resident_memory_bytes[10s])",
    "deriv(bellwether_probe_fired_total[10s])",
    "predict_linear(bellwether_probe_fired_total[10s], 60)",
    "present_over_time(bellwether_probe_threshold_seconds[5s])",
    "sum by (target) (rate(bellwether_probe_runs_total{slo=\"bad\"}[10s])) / sum by (target) (rate(bellwether_probe_runs_total[10s]))",
    "histogram_quantile(0.5, rate(bellwether_probe_time_to_first_token_seconds_bucket[10s]))",
    "histogram_quantile(0.99, sum by (target, le) (rate(bellwether_probe_duration_seconds_bucket[20s])))",
    "histogram_quantile(0.9, sum by (le, phase) (rate(bellwether_probe_phase_seconds_bucket[20s])))",
    "absent(bellwether_probe_runs_total{target=\"nobody\", slo=~\"good|bad\"})",
    "absent(bellwether_probe_runs_total)",
    "absent_over_time(bellwether_probe_runs_total{target=\"nobody\"}[10s])",
    "sum without (error_type, slo) (bellwether_probe_runs_total)",
    "avg by (target, kind) (bellwether_probe_threshold_seconds)",
    "count by (__name__, job, instance) ({__name__=~\"bellwether_probe_.+\"})",
    "sum by (target, error_type) (bellwether_probe_runs_total) > 0",
    "bottomk(1, bellwether_probe_fired_total)",
    "quantile(0.5, bellwether_probe_phase_seconds_count)",
    "stddev by (target) (bellwether_probe_phase_seconds_sum)",
    "count_values by (target) (\"kind_value\", bellwether_probe_threshold_seconds)",
    "max_over_time(bellwether_probe_in_flight[10s]) - min_over_time(bellwether_probe_in_flight[10s])",
    "quantile_over_time(0.75, bellwether_probe_in_flight[15s])",
    "stdvar_over_time(process_resident_memory_bytes[15s])",
    "avg_over_time(up[10s]) * count_over_time(up[10s])",
    "changes(bellwether_probe_in_flight[20s]) + resets(bellwether_probe_in_flight[20s])",
    "last_over_time(bellwether_probe_last_run_timestamp_seconds[5s]) - timestamp(bellwether_probe_last_run_timestamp_seconds)",
    "time() - bellwether_probe_last_success_timestamp_seconds",
    "rate(bellwether_probe_fired_total[10s] offset 5s)",
    "max_over_time(sum by (target) (bellwether_probe_in_flight)[10s:1s])",
    "bellwether_probe_fired_total == bool bellwether_probe_due_total",
    "bellwether_probe_runs_total * on (target) group_left (kind) bellwether_probe_threshold_seconds{kind=\"ttft\"}",
    "bellwether_probe_fired_total and on (target) (sum by (target) (rate(bellwether_probe_runs_total{slo=\"bad\"}[10s])) > 0)",
    "bellwether_probe_fired_total unless on (target) bellwether_probe_runs_total{slo=\"bad\"} > 5 or up",
    "label_replace(bellwether_probe_fired_total, \"short\", \"$1\", \"target\", \"(.).*\")",
    "sort_desc(round(log2(bellwether_probe_fired_total + 1), 0.25))",
    "-bellwether_probe_fired_total ^ 2 % 7",
];

/// What a scrape adds by itself and bellwether does not have: how many series are new to Prometheus
/// is about Prometheus.
const SCRAPE_ONLY: &str = "scrape_series_added";

/// The points of each series: milliseconds and the value as it is written.
type Points = BTreeMap<Labels, Vec<(i64, String)>>;

/// Both hold exactly the same series, with `job` and `instance` as a scrape attaches them.
pub async fn have_the_same_series(bellwether: &Process, prometheus: &Process, at: f64) {
    let time = format!("{at:.3}");
    let selector = format!("{{job=\"bellwether\", __name__!~\"ALERTS.*|.*:.*|{SCRAPE_ONLY}\"}}");
    let series = async |process: &Process, query: &str| -> Points {
        let url = process.url("/api/v1/query");
        points(&web::ask(&url, &[("query", query), ("time", &time)]).await)
    };
    let names = async |process: &Process, query: &str| -> BTreeSet<Labels> {
        series(process, query).await.into_keys().collect()
    };
    for query in EXPRESSIONS.iter().copied().chain([selector.as_str()]) {
        // Which ones are the largest depends on the sample.
        if query.contains("topk") || query.contains("bottomk") {
            continue;
        }
        let (ours, theirs) = (names(bellwether, query).await, names(prometheus, query).await);
        let differences: Vec<_> = ours.symmetric_difference(&theirs).collect();
        assert!(differences.is_empty(), "{query}: only one of both has {differences:#?}");
    }
    assert!(names(bellwether, &selector).await.len() > 100);
}

/// Over the same samples, every point of every answer is the same.
pub async fn give_the_same_answers(bellwether: &Process, until: f64) {
    let directory = Directory::new();
    let exported = export(bellwether, until).await;
    let twin = twin(&directory, &exported).await;
    let ends = quiet_time(&exported, until);
    let (start, end) = (format!("{:.3}", ends - 40.0), format!("{ends:.3}"));
    let mut differences = Vec::new();
    for query in EXPRESSIONS {
        let parameters = [("query", query), ("start", &start), ("end", &end), ("step", "1")];
        let answer = async |process: &Process| {
            points(&web::ask(&process.url("/api/v1/query_range"), &parameters).await)
        };
        let (ours, theirs) = (answer(bellwether).await, answer(&twin).await);
        if query != "absent(bellwether_probe_runs_total)" && theirs.is_empty() {
            differences.push(format!("{query}: there is no answer, which proves nothing"));
        }
        differences.extend(different(query, &ours, &theirs));
    }
    assert!(differences.is_empty(), "ours first:\n{}", differences.join("\n"));
}

fn different(query: &str, ours: &Points, theirs: &Points) -> Vec<String> {
    let all: BTreeSet<&Labels> = ours.keys().chain(theirs.keys()).collect();
    let mut differences = Vec::new();
    for labels in all {
        let none = Vec::new();
        let [left, right] = [ours, theirs].map(|points| points.get(labels).unwrap_or(&none));
        let same = left.len() == right.len()
            && left
                .iter()
                .zip(right)
                .all(|(left, right)| left.0 == right.0 && is_near(&left.1, &right.1));
        if !same {
            let first = left
                .iter()
                .zip(right)
                .find(|(left, right)| left.0 != right.0 || !is_near(&left.1, &right.1));
            differences.push(format!(
                "{query} {labels:?}: {} and {} points, first difference {first:?}",
                left.len(),
                right.len()
            ));
        }
    }
    differences
}

/// Equal but for the last digits: sums over many series may be taken in another order.
fn is_near(left: &str, right: &str) -> bool {
    if left == right {
        return true;
    }
    let [left, right] = [left, right].map(|text| text.parse::<f64>().unwrap_or(f64::NAN));
    (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1.0)
}

/// All that was scraped, a line for each sample.
async fn export(bellwether: &Process, until: f64) -> Vec<(Labels, Vec<(i64, String)>)> {
    let query = "{job=\"bellwether\", __name__!~\"ALERTS.*|.*:.*\"}[2m]";
    let time = format!("{until:.3}");
    let url = bellwether.url("/api/v1/query");
    points(&web::ask(&url, &[("query", query), ("time", &time)]).await).into_iter().collect()
}

/// A Prometheus that holds these samples and nothing else.
async fn twin(directory: &Directory, exported: &[(Labels, Vec<(i64, String)>)]) -> Process {
    let mut text = String::new();
    for (labels, points) in exported {
        let (mut name, mut pairs) = ("", Vec::new());
        for (label, value) in labels {
            match label.as_str() {
                "__name__" => name = value,
                _ => pairs.push(format!("{label}={value:?}")),
            }
        }
        for (at, value) in points {
            let seconds = *at as f64 / 1000.0;
            writeln!(text, "{name}{{{}}} {value} {seconds:.3}", pairs.join(",")).unwrap();
        }
    }
    text.push_str("# EOF\n");
    let samples = directory.write("samples.txt", &text);
    let blocks = directory.path("blocks");
    crate::promtool::run(&[
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        samples.to_str().unwrap(),
        blocks.to_str().unwrap(),
    ]);
    let config = directory.write("twin.yml", "scrape_configs: []\n");
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", blocks.display()),
    ];
    Process::peer(directory, "prometheus", &arguments).await
}

/// The latest time before `until` whose millisecond of the second is farthest from any sample's.
fn quiet_time(exported: &[(Labels, Vec<(i64, String)>)], until: f64) -> f64 {
    let samples = exported.iter().flat_map(|(_, points)| points);
    let mut taken: Vec<i64> = samples.map(|(at, _)| at.rem_euclid(1000)).collect();
    taken.sort_unstable();
    taken.dedup();
    let first = taken.first().map(|first| first + 1000);
    let next = taken.iter().copied().skip(1).chain(first);
    let gaps = taken.iter().copied().zip(next);
    let (before, after) = gaps.max_by_key(|(before, after)| after - before).unwrap();
    assert!(after - before >= 4, "samples lie at every moment: {taken:?}");
    let quiet = i64::midpoint(before, after).rem_euclid(1000) as f64 / 1000.0;
    assert!(until <= now());
    until.floor() - 1.0 + quiet
}

/// The series of a vector or matrix.
fn points(data: &Value) -> Points {
    let read = |point: &Value| {
        let at = (point[0].as_f64().unwrap() * 1000.0).round() as i64;
        (at, point[1].as_str().unwrap().to_owned())
    };
    let series = data["result"].as_array().unwrap().iter().map(|series| {
        let points = match series["values"].as_array() {
            Some(values) => values.iter().map(read).collect(),
            None => vec![read(&series["value"])],
        };
        (labels(&series["metric"]), points)
    });
    series.collect()
}
