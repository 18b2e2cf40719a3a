//! Dashboards as they lie in `dashboards/`.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

static VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\{?\w+\}?").expect("the pattern is right"));

/// One file.
pub struct Dashboard {
    /// Its name.
    pub file: String,
    /// What it says.
    pub json: Value,
}

/// Something that Grafana asks Prometheus for.
pub struct Query {
    /// Panel and target, or annotation, for messages.
    pub at: String,
    /// The expression, variables and all.
    pub expr: String,
    /// Whether it is asked at one instant and not over a range.
    pub is_instant: bool,
    /// What names each series: legend, title and text templates.
    pub legends: Vec<String>,
    /// Whether it only marks events, and so may well find none.
    pub is_annotation: bool,
}

/// Every dashboard, by file name.
pub fn all() -> Vec<Dashboard> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let entries = fs::read_dir(folder).expect("dashboards/ stands beside Cargo.toml");
    let mut found: Vec<Dashboard> = entries
        .map(|entry| entry.expect("an entry of dashboards/ can be read").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a dashboard can be read");
            let json = serde_json::from_str(&text);
            let json = json.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Dashboard { file, json }
        })
        .collect();
    found.sort_by(|one, other| one.file.cmp(&other.file));
    found
}

/// The text of a field, empty where there is none.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// The entries of a list, none where there is no list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Fills in what Grafana fills in while every variable stands on one value.
pub fn filled(expr: &str, rate_interval: &str, range: &str, value: &str) -> String {
    let windows = [("$__rate_interval", rate_interval), ("$__range", range)];
    let expr = windows.iter().fold(expr.to_owned(), |text, (name, to)| text.replace(name, to));
    VARIABLE.replace_all(&expr, value).into_owned()
}

impl Dashboard {
    /// Every panel, those inside of rows and the rows themselves among them.
    pub fn panels(&self) -> Vec<&Value> {
        let panels = list(&self.json["panels"]).iter();
        panels.flat_map(|panel| std::iter::once(panel).chain(list(&panel["panels"]))).collect()
    }

    /// Every query of panels and annotations.
    pub fn queries(&self) -> Vec<Query> {
        let of_panels = self.panels().into_iter().flat_map(|panel| {
            list(&panel["targets"]).iter().map(|target| Query {
                at: format!("{}: {}, {}", self.file, text(panel, "title"), text(target, "refId")),
                expr: text(target, "expr").to_owned(),
                is_instant: target["instant"] == true,
                legends: vec![text(target, "legendFormat").to_owned()],
                is_annotation: false,
            })
        });
        let annotations = list(&self.json["annotations"]["list"]).iter();
        let of_annotations = annotations.filter(|entry| entry["builtIn"] != 1).map(|entry| Query {
            at: format!("{}: annotation {}", self.file, text(entry, "name")),
            expr: text(entry, "expr").to_owned(),
            is_instant: false,
            legends: ["titleFormat", "textFormat"].map(|it| text(entry, it).to_owned()).into(),
            is_annotation: true,
        });
        of_panels.chain(of_annotations).collect()
    }
}
