//! `slos:`: which targets must be good for how much of which time, and who is told when they are
//! not.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::amount::duration;
use super::probes::{Probes, known_name};
use super::providers::unique;
use super::reader::{Fields, Reader, entry_name, prefixed};
use super::scalar::{boolean, choice, label_name, matcher, name, number, raw, refuse};
use super::settings::Global;
use crate::model::{Labels, Mistake, Place, format_duration};
use crate::probe::{Delivery, Detail, Target};
use crate::provider::{ErrorType, SloClass};
use crate::slo::{self, Alerting, Indicator, Objective, ObjectiveError, Scope, Slo, Subject};
use crate::template;
use crate::yaml::Node;

const KEYS: [&str; 13] = [
    "name",
    "indicator",
    "objective",
    "window",
    "targets",
    "matchers",
    "threshold",
    "combine",
    "events_min",
    "failures_min",
    "alerting",
    "labels",
    "annotations",
];
const DAY: u64 = 86_400;
/// The embedded store serves windows of 30 days at most.
const WINDOW: RangeInclusive<Duration> = Duration::from_secs(DAY)..=Duration::from_secs(30 * DAY);
const MONTH: Duration = Duration::from_secs(30 * DAY);
const THRESHOLD: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
const PENDING: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(DAY);
/// What the alerts' own rules write.
const OWN_LABELS: [&str; 8] =
    ["__name__", "alertname", "slo", "target", "provider", "model", "long_window", "short_window"];

/// A target that was chosen, and where.
type Chosen<'p> = Vec<(&'p Target, Place)>;

/// Reads `slos:`.
pub(super) fn slos(
    reader: &mut Reader,
    root: &Fields<'_>,
    global: &Global,
    probes: &Probes,
) -> Vec<Slo> {
    let mut names = Vec::new();
    let mut found: Vec<Slo> = Vec::new();
    for (index, node) in reader.items(root, "slos").into_iter().enumerate() {
        let what = entry_name("slo", index, node);
        found.extend(slo(reader, node, &what, global, probes, &mut names));
    }
    found
}

fn slo(
    reader: &mut Reader,
    node: &Node,
    what: &str,
    global: &Global,
    probes: &Probes,
    names: &mut Vec<String>,
) -> Option<Slo> {
    let fields = reader.fields(node, what, &KEYS)?;
    let name = reader.required(&fields, "name", "write a name for the objective", |node| {
        unique(node, slo_name(node)?, names)
    });
    let remedy = "write `availability`, `latency`, `ttft` or `truncation`";
    let words = Indicator::ALL.map(|indicator| (indicator.as_str(), indicator));
    let indicator = reader.required(&fields, "indicator", remedy, |node| {
        let indicator = choice(node, &words)?;
        if indicator == Indicator::Truncation && global.detail == Detail::Minimal {
            return Err(refuse(node, "which `metrics: minimal` does not tell from other failures")
                .remedy("write `metrics: lean` in `global`, or another indicator"));
        }
        Ok(indicator)
    });
    let remedy = "write a percentage such as `99.5`";
    let objective = reader.required(&fields, "objective", remedy, objective);
    let window = window(reader, &fields, global);
    let chosen = chosen(reader, &fields, probes);
    if let Some(indicator) = indicator {
        measurable(reader, &fields, indicator, &chosen);
    }
    let scope = match reader.optional(&fields, "combine", boolean) {
        Some(true) => Scope::Together,
        Some(false) | None => Scope::Each,
    };
    let events_min =
        reader.optional(&fields, "events_min", |node| number(node, 1..=1_000_000)).unwrap_or(10);
    // One failure is a coincidence.
    let failures_min =
        reader.optional(&fields, "failures_min", |node| number(node, 2..=1_000)).unwrap_or(2);
    let (page, ticket) = alerting(reader, &fields);
    let subjects = chosen
        .iter()
        .map(|(target, _)| Subject { target: target.id.clone(), interval: target.interval });
    Some(Slo {
        name: name?,
        indicator: indicator?,
        objective: objective?,
        window: window?,
        subjects: subjects.collect(),
        scope,
        events_min,
        failures_min,
        page,
        ticket,
        labels: texts(reader, &fields, "labels"),
        annotations: texts(reader, &fields, "annotations"),
    })
}

/// A name that can stand in a label, in a selector and in the name of a rule group.
fn slo_name(node: &Node) -> Result<String, Mistake> {
    let name = name(node)?;
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c)) {
        Ok(name)
    } else {
        Err(refuse(node, "which is more than letters, digits and `_-./`")
            .remedy("leave the rest out"))
    }
}

pub(super) fn objective(node: &Node) -> Result<Objective, Mistake> {
    let text = raw(node, "a percentage such as `99.5`")?;
    let objective = Objective::parse(text).map_err(|error| {
        let mistake = refuse(node, error);
        match (error, text.strip_suffix('%')) {
            (ObjectiveError::Malformed, Some(number)) if Objective::parse(number).is_ok() => {
                mistake.remedy(format!("write `{number}`: objectives are percentages"))
            }
            (ObjectiveError::OutOfRange, _) if text.starts_with("100") => {
                mistake.remedy("100% leaves no error budget; write less, such as `99.9`")
            }
            (ObjectiveError::TooFine, _) => mistake.remedy("no number of probes tells them apart"),
            _ => mistake.remedy("write a percentage such as `99.5`"),
        }
    })?;
    if objective.ratio() < 0.01 {
        let percent = Objective::parse(&shifted(text)).map_or("99.5".to_owned(), |o| o.to_string());
        let why = "which is less than one percent";
        let remedy =
            format!("objectives are percentages: write `{}`", percent.trim_end_matches('%'));
        return Err(refuse(node, why).remedy(remedy));
    }
    Ok(objective)
}

/// A share such as `0.999` in percent.
fn shifted(text: &str) -> String {
    let decimals = text.strip_prefix("0.").unwrap_or_default();
    match decimals.len() {
        0 | 1 => format!("{decimals:0<2}"),
        _ => decimals.split_at_checked(2).map_or(String::new(), |(whole, rest)| {
            if rest.is_empty() { whole.to_owned() } else { format!("{whole}.{rest}") }
        }),
    }
}

/// Whole days, and long enough for its shortest window to hold some samples.
fn window(reader: &mut Reader, fields: &Fields<'_>, global: &Global) -> Option<Duration> {
    let window = match fields.get("window") {
        None => MONTH,
        Some(_) => reader.optional(fields, "window", |node| {
            let window = duration(node, WINDOW)?;
            if window.as_millis() % u128::from(DAY * 1000) > 0 {
                return Err(refuse(node, "which is not a whole number of days")
                    .remedy("write `30d`, `28d` or `7d`"));
            }
            Ok(window)
        })?,
    };
    let shortest = slo::shortest(window);
    if shortest < global.sample_interval * slo::SAMPLES_LEAST {
        let place = fields.get("window").map_or_else(|| fields.place(), |node| &node.place);
        let message = format!(
            "`window` is `{}`, whose shortest alert looks at {}: fewer than {} samples at \
             `sample_interval: {}`",
            format_duration(window),
            format_duration(shortest),
            slo::SAMPLES_LEAST,
            format_duration(global.sample_interval)
        );
        let mistake = Mistake::new(place.clone(), prefixed(&fields.what, &message));
        reader.report(mistake.remedy("write a longer one, or sample more often"));
        return None;
    }
    Some(window)
}

/// The targets that are named or matched. One with mistakes in it is reported where it stands.
fn chosen<'p>(reader: &mut Reader, fields: &Fields<'_>, probes: &'p Probes) -> Chosen<'p> {
    let (named, matched) = (fields.has("targets"), fields.has("matchers"));
    if !named && !matched {
        let remedy =
            "write which, such as `targets: [NAME]` or `matchers: ['provider=\"openai\"']`";
        reader.missing(fields, "targets", remedy);
        return Vec::new();
    }
    if named && matched {
        let message = prefixed(&fields.what, "both `targets` and `matchers` are written");
        reader.report(Mistake::new(fields.place().clone(), message).remedy("keep one of the two"));
        return Vec::new();
    }
    if matched { by_matchers(reader, fields, probes) } else { by_name(reader, fields, probes) }
}

fn by_name<'p>(reader: &mut Reader, fields: &Fields<'_>, probes: &'p Probes) -> Chosen<'p> {
    reader.filled(fields, "targets", "write a list of names of probes");
    let mut seen: Vec<String> = Vec::new();
    let mut chosen = Vec::new();
    for item in reader.items(fields, "targets") {
        let known = name(item).and_then(|name| {
            known_name(item, &name, &probes.names, "probe")?;
            unique(item, name, &mut seen)
        });
        let Some(name) = reader.judge(&fields.what, "targets", known) else { continue };
        let target = probes.right.iter().find(|target| target.id.as_str() == name);
        chosen.extend(target.map(|target| (target.as_ref(), item.place.clone())));
    }
    chosen
}

fn by_matchers<'p>(reader: &mut Reader, fields: &Fields<'_>, probes: &'p Probes) -> Chosen<'p> {
    reader.filled(fields, "matchers", "write which, such as `matchers: ['provider=\"openai\"']`");
    let matchers = reader.list(fields, "matchers", |node| {
        let matcher = matcher(node)?;
        let known = ["target", "provider", "model", "api", "stream"];
        if known.contains(&matcher.name()) {
            return Ok(matcher);
        }
        let why = format!("and `{}` is no label of a target", matcher.name());
        Err(refuse(node, why).remedy("known here: `target`, `provider`, `model`, `api`, `stream`"))
    });
    let Some(node) = fields.get("matchers").filter(|_| !matchers.is_empty()) else {
        return Vec::new();
    };
    let is_chosen = |target: &&Target| {
        let labels = labels_of(target);
        matchers.iter().all(|matcher| matcher.matches_labels(&labels))
    };
    let targets = probes.right.iter().map(AsRef::as_ref).filter(is_chosen);
    let chosen: Chosen<'_> = targets.map(|target| (target, node.place.clone())).collect();
    let all_are_right = probes.right.len() == probes.names.len();
    let count = node.items().map_or(0, <[Node]>::len);
    if chosen.is_empty() && all_are_right && matchers.len() == count {
        let message = prefixed(&fields.what, "`matchers` match no probe");
        let remedy = "all of them must hold for the probe's labels";
        reader.report(Mistake::new(node.place.clone(), message).remedy(remedy));
    }
    chosen
}

/// A target's labels, as its series have them.
fn labels_of(target: &Target) -> Labels {
    let stream = match target.delivery {
        Delivery::Streamed => "true",
        Delivery::Whole => "false",
    };
    Labels::from_pairs([
        ("target", target.id.as_str()),
        ("provider", &target.provider.system),
        ("model", &target.model),
        ("api", target.provider.dialect.api()),
        ("stream", stream),
    ])
}

/// Whether the indicator can be read off each target. Latency is counted against the target's own
/// threshold, exactly; any other would have to be guessed from buckets.
fn measurable(reader: &mut Reader, fields: &Fields<'_>, indicator: Indicator, chosen: &Chosen<'_>) {
    let Some(kind) = indicator.threshold_kind() else {
        let word = indicator.as_str();
        reader.optional(fields, "threshold", |node| -> Result<(), Mistake> {
            Err(refuse(node, format!("but `{word}` has no threshold")).remedy("remove it"))
        });
        for (target, place) in chosen {
            let is_bad = target.class(ErrorType::TruncatedStream) == SloClass::Bad;
            if indicator == Indicator::Truncation && !is_bad {
                let message =
                    format!("probe `{}` does not count `truncated_stream` as bad", target.id);
                let mistake = Mistake::new(place.clone(), prefixed(&fields.what, &message));
                reader.report(mistake.remedy("remove it from its `slo_class`"));
            }
        }
        return;
    };
    let wanted = reader.optional(fields, "threshold", |node| duration(node, THRESHOLD));
    for (target, place) in chosen {
        let threshold = match kind {
            "ttft" => target.thresholds.ttft,
            _ => target.thresholds.total,
        };
        let wrong = match (threshold, wanted) {
            (None, _) => format!("probe `{}` has no threshold `{kind}`", target.id),
            (Some(own), Some(wanted)) if own != wanted => {
                let [own, wanted] = [own, wanted].map(format_duration);
                format!("`threshold` is `{wanted}`, but that of probe `{}` is {own}", target.id)
            }
            (Some(_), _) => continue,
        };
        let due = wanted.map_or("…".to_owned(), format_duration);
        let mistake = Mistake::new(place.clone(), prefixed(&fields.what, &wrong));
        reader
            .report(mistake.remedy(format!("write `thresholds: {{{kind}: {due}}}` at the probe")));
    }
}

/// `alerting:` who is told; both severities unless one is switched off.
fn alerting(reader: &mut Reader, fields: &Fields<'_>) -> (Option<Alerting>, Option<Alerting>) {
    let default = || (Some(Alerting::default()), Some(Alerting::default()));
    let Some(node) = fields.get("alerting") else { return default() };
    let Some(inner) = reader.fields(node, fields.part("alerting"), &["page", "ticket"]) else {
        return default();
    };
    let mut read = |name: &str| {
        let Some(node) = inner.get(name) else { return Some(Alerting::default()) };
        let known = ["for", "labels", "annotations", "disable"];
        let one = reader.fields(node, inner.part(name), &known)?;
        let pending = reader.optional(&one, "for", |node| duration(node, PENDING));
        let alerting = Alerting {
            pending: pending.unwrap_or_default(),
            labels: texts(reader, &one, "labels"),
            annotations: texts(reader, &one, "annotations"),
        };
        let is_off = reader.optional(&one, "disable", boolean).unwrap_or(false);
        (!is_off).then_some(alerting)
    };
    (read("page"), read("ticket"))
}

/// Labels or annotations; both may be templates, as in rule files.
fn texts(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> BTreeMap<String, String> {
    let Some(node) = fields.get(key) else { return BTreeMap::new() };
    let Some(entries) = node.entries() else {
        let wrong = Mistake::new(node.place.clone(), format!("is {}", node.kind()));
        reader.judge::<()>(&fields.what, key, Err(wrong.remedy("write `name: value` below it")));
        return BTreeMap::new();
    };
    let is_label = key == "labels";
    let what = fields.part(key);
    let mut texts = BTreeMap::new();
    for (name_node, value) in entries {
        let name = label_name(name_node).and_then(|name| {
            if is_label && OWN_LABELS.contains(&name.as_str()) {
                return Err(refuse(name_node, "which the rules set themselves")
                    .remedy("choose another name"));
            }
            Ok(name)
        });
        let name = reader.judge(&fields.what, key, name);
        let shown = name_node.text().unwrap_or_default();
        let text = reader.judge(&what, shown, template_text(value, is_label));
        texts.extend(name.zip(text));
    }
    texts
}

fn template_text(node: &Node, is_label: bool) -> Result<String, Mistake> {
    let text = raw(node, "a text")?;
    let template = template::parse(text)
        .map_err(|error| refuse(node, format!("which is no template: {}", error.message)))?;
    if is_label && template.prints_value() {
        return Err(refuse(node, "which holds the sample's value")
            .remedy("move it to an annotation: with each value it would be another alert"));
    }
    Ok(text.to_owned())
}
