//! `global:` and `storage:`.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::amount::{duration, size};
use super::probes::{limit, limited};
use super::reader::{Fields, Reader};
use super::scalar::{choice, label_name, name, number, raw, refuse, url};
use super::settings::{Global, Storage};
use crate::model::{Label, Labels, Mistake, Network};
use crate::probe::{Budget, Detail};
use crate::yaml::Node;

/// What a cadence may be: a day at most, so that a day's cost can be stated.
pub(super) const CADENCE: RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_secs(86_400);
/// How far in the past rules may read: longer, and an alert would come too late to be one.
const OFFSET: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
const RETENTION: RangeInclusive<Duration> =
    Duration::from_secs(600)..=Duration::from_secs(10 * 365 * 86_400);

const SIZE_LEAST: u64 = 1 << 20;

impl Default for Global {
    fn default() -> Self {
        Self {
            probe_interval: Duration::from_secs(60),
            detail: Detail::default(),
            probe_budget: Budget::Unlimited,
            evaluation_interval: Duration::from_secs(15),
            rule_query_offset: Duration::ZERO,
            sample_interval: Duration::from_secs(15),
            rollback_sample_interval: Duration::from_secs(1),
            external_labels: Labels::empty(),
            external_url: None,
            job: "bellwether".to_owned(),
            instance: None,
            reference_url: None,
            allowed_networks: Vec::new(),
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        let retention = Duration::from_secs(86_400);
        Self { retention, size_max: 1 << 30, series_max: None }
    }
}

fn network(node: &Node) -> Result<Network, Mistake> {
    let text = raw(node, "a network such as `10.0.0.0/8`")?;
    Network::parse(text).ok_or_else(|| {
        refuse(node, "which is no network").remedy("write an address and its bits: `10.0.0.0/8`")
    })
}

/// Reads `global:`.
pub(super) fn global(reader: &mut Reader, root: &Fields<'_>) -> Global {
    let default = Global::default();
    let known = [
        "probe_interval",
        "metrics",
        "probe_budget_daily",
        "probe_budget_monthly",
        "evaluation_interval",
        "rule_query_offset",
        "sample_interval",
        "rollback_sample_interval",
        "external_labels",
        "external_url",
        "job",
        "instance",
        "reference_url",
        "allowed_networks",
    ];
    let Some(node) = root.get("global") else { return default };
    let Some(fields) = reader.fields(node, "global", &known) else { return default };
    let cadence = |node: &Node| duration(node, CADENCE);
    let global = Global {
        probe_interval: reader
            .optional(&fields, "probe_interval", cadence)
            .unwrap_or(default.probe_interval),
        detail: reader
            .optional(&fields, "metrics", |node| {
                choice(node, &Detail::ALL.map(|detail| (detail.as_str(), detail)))
            })
            .unwrap_or_default(),
        probe_budget: budget_of_all(reader, &fields),
        evaluation_interval: reader
            .optional(&fields, "evaluation_interval", cadence)
            .unwrap_or(default.evaluation_interval),
        rule_query_offset: reader
            .optional(&fields, "rule_query_offset", |node| duration(node, OFFSET))
            .unwrap_or(default.rule_query_offset),
        sample_interval: reader
            .optional(&fields, "sample_interval", cadence)
            .unwrap_or(default.sample_interval),
        rollback_sample_interval: reader
            .optional(&fields, "rollback_sample_interval", cadence)
            .unwrap_or(default.rollback_sample_interval),
        external_labels: labels(reader, &fields),
        external_url: reader.optional(&fields, "external_url", url),
        job: reader.optional(&fields, "job", name).unwrap_or(default.job),
        instance: reader.optional(&fields, "instance", name),
        reference_url: reader.optional(&fields, "reference_url", url),
        allowed_networks: reader.list(&fields, "allowed_networks", network),
    };
    // What a rollback hangs on is looked at more often than the rest, not more seldom. Where only
    // the other of the two is written, this one follows.
    if global.rollback_sample_interval > global.sample_interval {
        if !fields.has("rollback_sample_interval") {
            return Global { rollback_sample_interval: global.sample_interval, ..global };
        }
        let longer: fn(&Node) -> Result<(), Mistake> = |node| {
            Err(refuse(node, "which is longer than `sample_interval`")
                .remedy("what a rollback hangs on is sampled more often than the rest"))
        };
        reader.optional(&fields, "rollback_sample_interval", longer);
    }
    global
}

fn budget_of_all(reader: &mut Reader, fields: &Fields<'_>) -> Budget {
    let mut read = |name| reader.optional(fields, name, |node| limit(node, None)).flatten();
    limited(read("probe_budget_daily"), read("probe_budget_monthly"))
}

fn labels(reader: &mut Reader, fields: &Fields<'_>) -> Labels {
    let Some(node) = fields.get("external_labels") else { return Labels::empty() };
    let Some(entries) = node.entries() else {
        let wrong = Mistake::new(node.place.clone(), format!("is {}", node.kind()));
        let wrong = wrong.remedy("write `name: value` below it");
        reader.judge::<()>(&fields.what, "external_labels", Err(wrong));
        return Labels::empty();
    };
    let what = fields.part("external_labels");
    let mut labels = Vec::new();
    for (key, value) in entries {
        let name = reader.judge(&fields.what, "external_labels", label_name(key));
        let shown = key.text().unwrap_or_default();
        let value = reader.judge(&what, shown, raw(value, "a label's value"));
        labels.extend(
            name.zip(value)
                .map(|(name, value)| Label { name: Arc::from(name), value: Arc::from(value) }),
        );
    }
    Labels::new(labels)
}

/// Reads `storage:`.
pub(super) fn storage(reader: &mut Reader, root: &Fields<'_>) -> Storage {
    let default = Storage::default();
    let known = ["retention", "size_max", "series_max"];
    let Some(node) = root.get("storage") else { return default };
    let Some(fields) = reader.fields(node, "storage", &known) else { return default };
    let size_max = |node: &Node| match size(node) {
        Ok(bytes) if bytes < SIZE_LEAST => Err(refuse(node, "where 1MB or more is due")),
        other => other,
    };
    Storage {
        retention: reader
            .optional(&fields, "retention", |node| duration(node, RETENTION))
            .unwrap_or(default.retention),
        size_max: reader.optional(&fields, "size_max", size_max).unwrap_or(default.size_max),
        series_max: reader.optional(&fields, "series_max", |node| number(node, 1..=10_000_000)),
    }
}
