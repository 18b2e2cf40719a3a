//! What a dashboard may ask for: series that exist, by labels that they have.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bellwether::model::MatchOp;
use bellwether::promql::{self, Selector};
use bellwether::telemetry::metrics::{self, Family, Kind, Scope, TARGET_LABELS};
use regex::Regex;

use crate::model::{Dashboard, Query, filled, list, text};

/// Labels that every scraped series has.
const SCRAPED: [&str; 2] = ["job", "instance"];
/// Labels of ALERTS: its own, and those that the shipped rules' alerts carry on.
const OF_ALERTS: [&str; 5] = ["alertname", "alertstate", "severity", "target", "provider"];

static WINDOW: LazyLock<Regex> = LazyLock::new(|| pattern(r"\[([^\]]*)\]"));
static GROUPING: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:by|without|on|ignoring) \(([^)]*)\)"));
static KEPT: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bby \(([^)]*)\)"));
static LABEL: LazyLock<Regex> = LazyLock::new(|| pattern(r"\{\{\s*(\w+)\s*\}\}"));
static VALUES: LazyLock<Regex> = LazyLock::new(|| pattern(r"^label_values\((.+), (\w+)\)$"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns are constants and right")
}

/// What variables stand on here. Not the `.+` of All: compiled a thousand times, it takes half a
/// minute.
const VALUE: &str = "chosen";

/// Everything that is wrong with the queries of panels, annotations and variables.
pub fn complaints(dashboard: &Dashboard) -> Vec<String> {
    let mut found = Vec::new();
    for query in dashboard.queries() {
        found.extend(of_query(&query).iter().map(|fault| format!("{}: {fault}", query.at)));
    }
    for variable in list(&dashboard.json["templating"]["list"]) {
        if text(variable, "type") == "query" {
            let fault = of_variable(text(variable, "definition"), text(variable, "name"));
            found.extend(fault.map(|fault| format!("variable `{}`: {fault}", variable["name"])));
        }
    }
    found
}

/// The families that a dashboard's queries read.
pub fn families(dashboard: &Dashboard) -> BTreeSet<&'static str> {
    let queries = dashboard.queries();
    let texts = queries.iter().map(|query| filled(&query.expr, "1m", "1h", VALUE));
    let selectors =
        texts.filter_map(|text| promql::parse(&text).ok()).flat_map(|it| it.selectors());
    selectors.filter_map(|it| family(name(&it)?)).map(|(family, _)| family.name).collect()
}

fn of_query(query: &Query) -> Vec<String> {
    // The two windows differ so that they can be told apart in what was parsed.
    let expr = match promql::parse(&filled(&query.expr, "1m", "1h", VALUE)) {
        Ok(expr) => expr,
        Err(error) => return vec![format!("`{}` does not parse: {error}", query.expr)],
    };
    let mut found = windows(query);
    let mut known: BTreeSet<&str> = SCRAPED.into();
    for selector in expr.selectors() {
        let Some(name) = name(&selector) else {
            found.push("a selector has no name".to_owned());
            continue;
        };
        if name == "ALERTS" {
            known.extend(OF_ALERTS);
            found.extend(unknown_matchers(&selector, &OF_ALERTS.into()));
            continue;
        }
        let Some((family, is_bucket)) = family(name) else {
            found.push(format!("`{name}` is no series of bellwether's"));
            continue;
        };
        let labels = labels(family, is_bucket);
        found.extend(unknown_matchers(&selector, &labels));
        found.extend(unselected(&selector, family));
        if selector.range.is_some() == (family.kind == Kind::Gauge) {
            found
                .push(format!("`{name}` is a {} and read as if it were not", family.kind.as_str()));
        }
        known.extend(labels);
    }
    found.extend(grouping(&query.expr, &known));
    found.extend(legends(query, &known));
    found
}

/// Windows follow the zoom: `$__rate_interval` where there is a point for each pixel, `$__range`
/// where there is one for all of what is shown.
fn windows(query: &Query) -> Vec<String> {
    let due = if query.is_instant { "$__range" } else { "$__rate_interval" };
    let wrong = WINDOW.captures_iter(&query.expr).filter(|window| &window[1] != due);
    wrong.map(|window| format!("the window `{}` is not `{due}`", &window[1])).collect()
}

fn unknown_matchers(selector: &Selector, labels: &BTreeSet<&str>) -> Vec<String> {
    let names = selector.matchers.iter().map(|matcher| matcher.name());
    names
        .filter(|name| *name != "__name__" && !labels.contains(name))
        .map(|name| format!("the series has no label `{name}`"))
        .collect()
}

/// A panel that leaves out a variable shows other targets than its neighbors.
fn unselected(selector: &Selector, family: &Family) -> Vec<String> {
    let mut due = SCRAPED.to_vec();
    if family.scope == Scope::Target {
        due.extend(["provider", "model", "target"]);
    }
    let is_selected = |label: &&str| {
        let mut matchers = selector.matchers.iter();
        matchers.any(|it| it.name() == *label && it.op() == MatchOp::Regex && it.value() == VALUE)
    };
    let missing = due.into_iter().filter(|label| !is_selected(label));
    missing.map(|label| format!("`{}` is not selected by `${label}`", family.name)).collect()
}

fn grouping(expr: &str, known: &BTreeSet<&str>) -> Vec<String> {
    let clauses: Vec<_> = GROUPING.captures_iter(expr).collect();
    let labels =
        clauses.iter().flat_map(|clause| clause.get(1).map_or("", |it| it.as_str()).split(", "));
    labels
        .filter(|label| !known.contains(label))
        .map(|label| format!("it groups by `{label}`, which no series of it has"))
        .collect()
}

/// A legend names each series by labels that are left to it.
fn legends(query: &Query, known: &BTreeSet<&str>) -> Vec<String> {
    let kept: Vec<_> = KEPT.captures_iter(&query.expr).collect();
    let is_left = |label: &str| {
        known.contains(label)
            && kept.iter().all(|clause| clause[1].split(", ").any(|left| left == label))
    };
    let legends = query.legends.iter().flat_map(|legend| LABEL.captures_iter(legend));
    let mut found: Vec<String> = legends
        .filter(|label| !is_left(&label[1]))
        .map(|label| format!("the legend's `{}` is no label of the result", &label[1]))
        .collect();
    let is_named =
        query.is_instant || query.legends.iter().all(|it| !it.is_empty() && it != "__auto");
    if !is_named {
        let what = if query.is_annotation { "mark" } else { "line" };
        found.push(format!("nothing says what a {what} is about"));
    }
    found
}

fn of_variable(definition: &str, name: &str) -> Option<String> {
    let Some(parts) = VALUES.captures(definition) else {
        return Some(format!("`{definition}` is not `label_values(series, label)`"));
    };
    let expr = match promql::parse(&filled(&parts[1], "1m", "1h", VALUE)) {
        Ok(expr) => expr,
        Err(error) => return Some(error.to_string()),
    };
    let selectors = expr.selectors();
    let [selector] = selectors.as_slice() else { return Some("it reads no one series".to_owned()) };
    let Some((family, _)) = self::name(selector).and_then(family) else {
        return Some(format!("`{}` is no series of bellwether's", &parts[1]));
    };
    let labels = labels(family, false);
    let unknown = unknown_matchers(selector, &labels).pop();
    unknown.or_else(|| {
        let is_right = parts[2] == *name && labels.contains(name);
        (!is_right).then(|| format!("it offers values of `{}`", &parts[2]))
    })
}

fn name(selector: &Selector) -> Option<&str> {
    let mut matchers = selector.matchers.iter();
    matchers.find(|it| it.name() == "__name__" && it.op() == MatchOp::Equal).map(|it| it.value())
}

/// The family of a series by its name, and whether the series is a bucket.
fn family(series: &str) -> Option<(&'static Family, bool)> {
    metrics::ALL.iter().find_map(|family| {
        let suffix = series.strip_prefix(family.name)?;
        let is_its = match family.kind {
            Kind::Counter | Kind::Gauge => suffix.is_empty(),
            Kind::Histogram => ["_bucket", "_sum", "_count"].contains(&suffix),
        };
        is_its.then_some((family, suffix == "_bucket"))
    })
}

fn labels(family: &'static Family, is_bucket: bool) -> BTreeSet<&'static str> {
    let mut labels: BTreeSet<&str> = SCRAPED.into();
    labels.extend(family.labels);
    if family.scope == Scope::Target {
        labels.extend(TARGET_LABELS);
    }
    if is_bucket {
        labels.insert("le");
    }
    labels
}
