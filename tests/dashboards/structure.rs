//! What a dashboard must be before it asks for anything: whole, stable, legible.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::{Dashboard, list, text};

/// Panels that every Grafana draws by itself.
const PANELS: [&str; 9] = [
    "stat",
    "timeseries",
    "gauge",
    "bargauge",
    "table",
    "heatmap",
    "state-timeline",
    "status-history",
    "text",
];

/// Everything that is wrong with it; `units` are the ids that Grafana knows, where they are at hand.
pub fn complaints(dashboard: &Dashboard, units: Option<&BTreeSet<String>>) -> Vec<String> {
    let mut found = head(&dashboard.json);
    found.extend(variables(dashboard));
    found.extend(annotations(&dashboard.json));
    let mut ids = BTreeSet::new();
    for panel in dashboard.panels() {
        let what = |fault: &str| format!("panel `{}` {fault}", text(panel, "title"));
        match panel["id"].as_u64() {
            Some(id) if ids.insert(id) => {}
            _ => found.push(what("has no id of its own")),
        }
        if panel["type"] != "row" {
            found.extend(contents(panel, units).iter().map(|fault| what(fault)));
        }
    }
    found.extend(layout(list(&dashboard.json["panels"])));
    found
}

fn head(json: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut demand = |holds: bool, fault: &str| {
        if !holds {
            found.push(fault.to_owned());
        }
    };
    demand(text(json, "uid").starts_with("bellwether-"), "the uid is not `bellwether-…`");
    demand(text(json, "title").starts_with("Bellwether / "), "the title is not `Bellwether / …`");
    demand(list(&json["tags"]).contains(&"bellwether".into()), "the tag `bellwether` is missing");
    demand(json["editable"] == false, "it is editable, though it comes from a file");
    let schema_version = json["schemaVersion"].as_u64().unwrap_or_default();
    demand((39..=42).contains(&schema_version), "the schemaVersion is not from 39 to 42");
    // An id belongs to one Grafana; inputs are never asked for when a file is provisioned.
    for foreign in ["id", "__inputs", "__requires"] {
        demand(json.get(foreign).is_none(), &format!("it has `{foreign}`, as an export has"));
    }
    found
}

fn variables(dashboard: &Dashboard) -> Vec<String> {
    let mut found = Vec::new();
    let variables = list(&dashboard.json["templating"]["list"]);
    let [first, queried @ ..] = variables else { return vec!["it has no variables".to_owned()] };
    let is_source = text(first, "name") == "datasource"
        && text(first, "type") == "datasource"
        && text(first, "query") == "prometheus";
    if !is_source {
        found.push("the first variable is not the data source".to_owned());
    }
    let names: Vec<&str> = queried.iter().map(|variable| text(variable, "name")).collect();
    for due in ["job", "instance"] {
        if !names.contains(&due) {
            found.push(format!("the variable `{due}` is missing"));
        }
    }
    for variable in queried {
        let name = text(variable, "name");
        let is_usual = text(variable, "type") == "query"
            && variable["refresh"] == 2
            && variable["multi"] == true
            && variable["includeAll"] == true
            && text(variable, "allValue") == ".+"
            && is_ours(&variable["datasource"]);
        if !is_usual {
            found.push(format!("the variable `{name}` is not a query for several values or all"));
        }
        if text(variable, "label").is_empty() {
            found.push(format!("the variable `{name}` has no label"));
        }
        let matcher = format!("=~\"${name}\"");
        if !dashboard.queries().iter().any(|query| query.expr.contains(&matcher)) {
            found.push(format!("the variable `{name}` selects nothing"));
        }
    }
    found
}

fn annotations(json: &Value) -> Vec<String> {
    let entries = list(&json["annotations"]["list"]).iter();
    let foreign = entries
        .filter(|entry| entry["builtIn"] != 1 && !is_ours(&entry["datasource"]))
        .map(|entry| format!("the annotation `{}` has a data source of its own", entry["name"]));
    foreign.collect()
}

fn contents(panel: &Value, units: Option<&BTreeSet<String>>) -> Vec<String> {
    let mut found = Vec::new();
    let mut demand = |holds: bool, fault: &str| {
        if !holds {
            found.push(fault.to_owned());
        }
    };
    demand(PANELS.contains(&text(panel, "type")), "is of a type that Grafana lacks or has left");
    demand(!text(panel, "title").is_empty(), "has no title");
    demand(text(panel, "description").len() > 40, "does not describe what it shows");
    demand(is_ours(&panel["datasource"]), "has a data source of its own");
    let defaults = &panel["fieldConfig"]["defaults"];
    let unit = text(defaults, "unit");
    demand(units.is_none_or(|units| units.contains(unit)) && !unit.is_empty(), "has no known unit");
    demand(!text(defaults, "noValue").is_empty(), "does not say what having no data means");
    let targets = list(&panel["targets"]);
    let references: BTreeSet<&str> = targets.iter().map(|target| text(target, "refId")).collect();
    demand(!targets.is_empty(), "asks for nothing");
    demand(references.len() == targets.len(), "has two targets of one name");
    for target in targets {
        demand(is_ours(&target["datasource"]), "has a target with a data source of its own");
        let fits = fits(unit, text(target, "expr"));
        demand(fits, &format!("shows `{}` in the unit `{unit}`", text(target, "expr")));
        let is_heatmap = target["format"] == "heatmap";
        demand(is_heatmap == (panel["type"] == "heatmap"), "draws a heatmap of what is none");
    }
    found
}

/// Whether a unit is one that the expression can have. This is what no run finds out: milliseconds
/// on seconds draw a fine graph.
fn fits(unit: &str, expr: &str) -> bool {
    // A family that is a ratio says so by its name.
    let is_ratio = [" / ", "_ratio{", "_ratio_bucket{"].iter().any(|mark| expr.contains(mark));
    let is_rate = expr.contains("rate(") && !expr.contains("histogram_quantile(") && !is_ratio;
    match unit {
        "s" => expr.contains("_seconds") && !is_ratio,
        "percentunit" => is_ratio,
        "reqps" | "ops" => is_rate,
        "currencyUSD" => expr.contains("_usd_total"),
        "short" | "none" => !expr.contains("histogram_quantile(") && !is_ratio,
        _ => false,
    }
}

fn is_ours(datasource: &Value) -> bool {
    datasource["type"] == "prometheus" && datasource["uid"] == "${datasource}"
}

/// Panels lie within the grid's 24 columns, and none on another.
fn layout(panels: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let mut taken: Vec<(&str, [u64; 4])> = Vec::new();
    for panel in panels {
        let title = text(panel, "title");
        let [x, y, w, h] =
            ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap_or(u64::MAX));
        if w == 0 || h == 0 || x.saturating_add(w) > 24 || y == u64::MAX || h == u64::MAX {
            found.push(format!("panel `{title}` does not lie within the grid"));
            continue;
        }
        for (other, [ox, oy, ow, oh]) in &taken {
            if x < ox + ow && *ox < x + w && y < oy + oh && *oy < y + h {
                found.push(format!("panels `{title}` and `{other}` lie on each other"));
            }
        }
        taken.push((title, [x, y, w, h]));
    }
    found
}
