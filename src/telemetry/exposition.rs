//! Prometheus's text format 0.0.4.
//!
//! Our own writer and not the crate's for one reason: bounds are written as floats with a dot
//! (`le="1.0"`), which is what Prometheus 3 makes of them, so that old and new servers store the
//! same series.

use std::fmt::Write as _;

use prometheus::proto::{Metric, MetricFamily, MetricType};

/// The content type of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes a family.
pub(super) fn write(text: &mut String, family: &MetricFamily) {
    let (name, kind) = (family.name(), kind(family));
    let help = family.help().replace('\\', "\\\\").replace('\n', "\\n");
    write_all(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    for metric in family.get_metric() {
        for_each_sample(family.get_field_type(), metric, &mut |suffix, bound, value| {
            write_series(text, name, suffix, metric, bound);
            write_all(text, format_args!(" {}\n", number(value)));
        });
    }
}

/// A family's kind in the format's words.
pub(super) fn kind(family: &MetricFamily) -> &'static str {
    match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY => "summary",
        MetricType::UNTYPED => "untyped",
    }
}

/// Visits a metric's samples: the suffix of the name, the value of `le`, the value.
pub(super) fn for_each_sample(
    kind: MetricType,
    metric: &Metric,
    visit: &mut dyn FnMut(&'static str, Option<f64>, f64),
) {
    match kind {
        MetricType::COUNTER => visit("", None, metric.get_counter().get_value()),
        MetricType::GAUGE => visit("", None, metric.get_gauge().get_value()),
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            let count = histogram.get_sample_count() as f64;
            for bucket in histogram.get_bucket() {
                let bound = bucket.upper_bound();
                if bound.is_finite() {
                    visit("_bucket", Some(bound), bucket.cumulative_count() as f64);
                }
            }
            visit("_bucket", Some(f64::INFINITY), count);
            visit("_sum", None, histogram.get_sample_sum());
            visit("_count", None, count);
        }
        // None of ours is of these kinds.
        MetricType::SUMMARY | MetricType::UNTYPED => {}
    }
}

/// A bound as Prometheus 3 normalises it: `0.25`, `1.0`, `+Inf`.
pub(super) fn bound_label(bound: f64) -> String {
    if bound == f64::INFINITY {
        "+Inf".to_owned()
    } else if bound.fract() == 0.0 {
        format!("{bound:.1}")
    } else {
        bound.to_string()
    }
}

fn write_series(text: &mut String, name: &str, suffix: &str, metric: &Metric, bound: Option<f64>) {
    text.push_str(name);
    text.push_str(suffix);
    let mut separator = '{';
    for pair in metric.get_label() {
        write_all(text, format_args!("{separator}{}=\"", pair.name()));
        escape(text, pair.value());
        text.push('"');
        separator = ',';
    }
    if let Some(bound) = bound {
        write_all(text, format_args!("{separator}le=\"{}\"", bound_label(bound)));
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
}

fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

fn write_all(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{HistogramOpts, HistogramVec, Registry};

    #[test]
    fn a_histogram_reads_as_prometheus_expects_it() {
        let registry = Registry::new();
        let options =
            HistogramOpts::new("x_seconds", "Help \\ with\nbreak").buckets(vec![0.5, 1.0]);
        let histogram = HistogramVec::new(options, &["who"]).unwrap();
        registry.register(Box::new(histogram.clone())).unwrap();
        histogram.with_label_values(&["a\"b\\c\nd"]).observe(0.75);
        let who = r#"who="a\"b\\c\nd""#;
        let mut text = String::new();
        registry.gather().iter().for_each(|family| write(&mut text, family));
        assert_eq!(
            text,
            format!(
                "# HELP x_seconds Help \\\\ with\\nbreak\n# TYPE x_seconds histogram\n\
                 x_seconds_bucket{{{who},le=\"0.5\"}} 0\nx_seconds_bucket{{{who},le=\"1.0\"}} 1\n\
                 x_seconds_bucket{{{who},le=\"+Inf\"}} 1\nx_seconds_sum{{{who}}} 0.75\n\
                 x_seconds_count{{{who}}} 1\n"
            )
        );
    }
}
