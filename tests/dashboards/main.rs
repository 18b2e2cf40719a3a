//! Dashboards without a Grafana: their structure, and that they ask for what there is.
//!
//! Each check is itself tested with seeded faults: a check that can't fail proves nothing. Whether
//! the queries find something is asked of a real Prometheus in `tests/dashboards_live.rs`.

#![expect(clippy::unwrap_used, reason = "a file that can't be read is a failed test")]

mod model;
mod queries;
mod schema;
mod structure;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use bellwether::telemetry::metrics;
use model::{Dashboard, list, text};
use regex::Regex;
use serde_json::{Value, json};

/// Grafana's schema of dashboards and its list of units: where `GRAFANA_FACTS` says, or beside the
/// checkout where they are.
fn grafana(file: &str) -> Option<Value> {
    let folder = std::env::var_os("GRAFANA_FACTS")
        .map_or_else(|| root().join("../shared/grafana"), PathBuf::from);
    let text = fs::read_to_string(folder.join(file)).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn units() -> Option<BTreeSet<String>> {
    grafana("units.json").map(|units| serde_json::from_value(units).unwrap())
}

fn complaints(dashboard: &Dashboard) -> Vec<String> {
    let mut found = structure::complaints(dashboard, units().as_ref());
    found.extend(queries::complaints(dashboard));
    let schema = grafana("dashboard.jsonschema.json");
    found.extend(schema.into_iter().flat_map(|it| schema::complaints(&it, &dashboard.json)));
    found
}

/// The rules' alerts by name: their expressions and annotations.
fn alerts() -> BTreeMap<String, Value> {
    let mut alerts = BTreeMap::new();
    for file in ["alerts.yml", "rollback.yml"] {
        let text = fs::read_to_string(root().join("rules").join(file)).unwrap();
        let rules: Value = serde_yaml::from_str(&text).unwrap();
        for rule in list(&rules["groups"]).iter().flat_map(|group| list(&group["rules"])) {
            if let Some(name) = rule["alert"].as_str() {
                alerts.insert(name.to_owned(), rule.clone());
            }
        }
    }
    alerts
}

#[test]
fn every_dashboard_is_whole_and_asks_for_what_there_is() {
    let dashboards = model::all();
    assert!(!dashboards.is_empty());
    let mut uids = BTreeSet::new();
    for dashboard in &dashboards {
        let found = complaints(dashboard);
        assert!(found.is_empty(), "{}:\n{}", dashboard.file, found.join("\n"));
        assert!(uids.insert(text(&dashboard.json, "uid")), "{}: its uid is taken", dashboard.file);
    }
}

#[test]
fn every_metric_is_on_a_dashboard_or_there_is_a_reason() {
    let shown: BTreeSet<_> = model::all().iter().flat_map(queries::families).collect();
    let reasons = fs::read_to_string(root().join("tests/dashboards/not-shown.yml")).unwrap();
    let reasons: BTreeMap<String, String> = serde_yaml::from_str(&reasons).unwrap();
    let all: BTreeSet<&str> = metrics::ALL.iter().map(|family| family.name).collect();
    let unshown: BTreeSet<&str> = all.difference(&shown).copied().collect();
    let excused: BTreeSet<&str> = reasons.keys().map(String::as_str).collect();
    assert_eq!(unshown, excused, "left: on no dashboard; right: those with a reason");
    assert!(reasons.values().all(|reason| reason.len() > 10));
}

#[test]
fn alerts_and_dashboards_speak_of_each_other_truly() {
    let dashboards = model::all();
    let alerts = alerts();
    for (name, alert) in &alerts {
        let uid = text(&alert["annotations"], "dashboard");
        let names_one = dashboards.iter().any(|it| text(&it.json, "uid") == uid);
        assert!(names_one, "{name} points to the dashboard `{uid}`");
    }
    let mentioned = Regex::new(r"\bBellwether[A-Z]\w+").unwrap();
    let mut lines = 0;
    for panel in dashboards.iter().flat_map(Dashboard::panels) {
        let title = text(panel, "title");
        let names = mentioned.find_iter(text(panel, "description"));
        let exprs: Vec<&str> = names
            .map(|name| {
                let alert = alerts.get(name.as_str());
                text(alert.unwrap_or_else(|| panic!("{title}: no {}", name.as_str())), "expr")
            })
            .collect();
        let defaults = &panel["fieldConfig"]["defaults"];
        if defaults["custom"]["thresholdsStyle"]["mode"] == "dashed" {
            for line in list(&defaults["thresholds"]["steps"]).iter().skip(1) {
                let bound = format!("> {}", line["value"]);
                assert!(
                    exprs.iter().any(|expr| expr.contains(&bound)),
                    "{title}: whose is {bound}?"
                );
                lines += 1;
            }
        }
    }
    assert!(lines > 0, "no objective is drawn");
}

#[test]
fn each_fault_of_structure_is_found() {
    for (place, value, expected) in [
        ("/uid", json!("overview"), "the uid is not"),
        ("/editable", json!(true), "editable"),
        ("/schemaVersion", json!(16), "schemaVersion"),
        ("/id", json!(12), "`id`"),
        ("/panels/2/id", json!(2), "no id of its own"),
        ("/panels/2/gridPos/x", json!(1), "lie on each other"),
        ("/panels/2/gridPos/x", json!(22), "within the grid"),
        ("/panels/2/type", json!("singlestat"), "a type that Grafana lacks"),
        ("/panels/2/description", json!("p95"), "does not describe"),
        ("/panels/2/datasource/uid", json!("prometheus"), "data source of its own"),
        ("/panels/2/fieldConfig/defaults/noValue", json!(""), "having no data"),
        ("/panels/3/fieldConfig/defaults/unit", json!("ms"), "in the unit `ms`"),
        ("/panels/2/fieldConfig/defaults/unit", json!("percent"), "in the unit `percent`"),
        ("/panels/2/targets", json!([]), "asks for nothing"),
        ("/templating/list/0/name", json!("ds"), "not the data source"),
        ("/templating/list/1/allValue", json!(".*"), "variable `job` is not a query"),
        ("/templating/list/1/label", json!(""), "variable `job` has no label"),
        ("/templating/list/1/name", json!("cluster"), "the variable `job` is missing"),
        ("/templating/list/1/name", json!("cluster"), "the variable `cluster` selects nothing"),
        ("/annotations/list/1/datasource/uid", json!("x"), "annotation `\"Firing alerts\"`"),
    ] {
        let found = structure::complaints(&seeded(place, value), None).join("\n");
        assert!(found.contains(expected), "{place}: `{expected}` is not among:\n{found}");
    }
}

#[test]
fn each_fault_of_queries_is_found() {
    let check = |place: &str, value: Value, expected: &str| {
        let found = queries::complaints(&seeded(place, value.clone())).join("\n");
        assert!(found.contains(expected), "{place} {value}: `{expected}` is not among:\n{found}");
    };
    for (place, value, expected) in [
        ("/templating/list/1/definition", "label_values(job)", "is not `label_values("),
        ("/templating/list/1/definition", "label_values(up, job)", "`up` is no series"),
        ("/panels/8/targets/0/legendFormat", "__auto", "what a line is about"),
        ("/annotations/list/1/titleFormat", "", "what a mark is about"),
    ] {
        check(place, json!(value), expected);
    }
    let selected = r#"job=~"$job",instance=~"$instance",provider=~"$provider",model=~"$model",target=~"$target""#;
    for (expr, expected) in [
        ("sum(rate(", "does not parse"),
        ("sum by (target) (rate(bellwether_probe_fired_total{SEL}[5m]))", "the window `5m`"),
        ("sum by (target) (rate(bellwether_probe_fired_total{SEL}[$__range]))", "the window `$__r"),
        ("sum by (target) (bellwether_probe_fired_total{SEL})", "is a counter and read as if"),
        ("sum by (target) (rate(bellwether_probe_in_flight{SEL}[$__rate_interval]))", "is a gauge"),
        ("sum by (target) (rate(bellwether_probes_total{SEL}[$__rate_interval]))", "is no series"),
        (
            "sum by (target) (rate(bellwether_probe_duration_seconds{SEL}[$__rate_interval]))",
            "is no series",
        ),
        (
            "sum by (target) (rate(bellwether_probe_fired_total{SEL,reason=\"x\"}[$__rate_interval]))",
            "has no label `reason`",
        ),
        ("sum by (target) (rate(bellwether_probe_fired_total[$__rate_interval]))", "by `$model`"),
        (
            "sum by (hook, target) (rate(bellwether_probe_fired_total{SEL}[$__rate_interval]))",
            "groups by `hook`",
        ),
        ("sum by (model) (rate(bellwether_probe_fired_total{SEL}[$__rate_interval]))", "legend's"),
    ] {
        check("/panels/8/targets/0/expr", json!(expr.replace("SEL", selected)), expected);
    }
}

/// The overview with one value replaced or added.
fn seeded(place: &str, value: Value) -> Dashboard {
    let mut dashboards = model::all();
    let mut overview = dashboards
        .swap_remove(dashboards.iter().position(|it| it.file == "overview.json").unwrap());
    match overview.json.pointer_mut(place) {
        Some(old) => *old = value,
        None => overview.json[place.trim_start_matches('/')] = value,
    }
    overview
}

#[test]
fn a_departure_from_a_schema_is_found() {
    let schema = json!({
        "$ref": "#/definitions/Panel",
        "definitions": {
            "Panel": {
                "type": "object",
                "required": ["type"],
                "additionalProperties": false,
                "properties": {
                    "type": {"type": "string", "minLength": 1},
                    "w": {"type": "integer", "exclusiveMinimum": 0, "maximum": 24},
                    "hide": {"enum": [0, 1, 2]},
                    "any": true,
                    "value": {"anyOf": [{"type": "null"}, {"type": "number"}]},
                    "list": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    });
    for (document, is_right) in [
        (json!({"type": "stat"}), true),
        (json!({"type": "stat", "w": 24, "hide": 2, "any": [1], "value": null}), true),
        (json!({"type": "stat", "list": ["a"], "value": 0.5}), true),
        (json!({}), false),
        (json!([]), false),
        (json!({"type": ""}), false),
        (json!({"type": 1}), false),
        (json!({"type": "stat", "w": 0}), false),
        (json!({"type": "stat", "w": 25}), false),
        (json!({"type": "stat", "w": 1.5}), false),
        (json!({"type": "stat", "hide": 3}), false),
        (json!({"type": "stat", "value": "1"}), false),
        (json!({"type": "stat", "list": ["a", 1]}), false),
        (json!({"type": "stat", "wide": true}), false),
    ] {
        let found = schema::complaints(&schema, &document);
        assert_eq!(found.is_empty(), is_right, "{document}: {found:?}");
    }
    let unknown = json!({"patternProperties": {}});
    assert!(!schema::complaints(&unknown, &json!({})).is_empty());
}
