//! Reads a file of unit tests, and says everything that is wrong with it at once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::difference::Told;
use super::notation::{self, Flaw};
use super::script::{AlertCase, ExprCase, Pattern, Script, Series, Test};
use crate::model::{Labels, Mistake, Timestamp};
use crate::promql::{self, Expr};
use crate::rules::fields::{Fields, Reader, Unknown};
use crate::yaml::{self, Node, Yaml};

/// More evaluations than two years of minutes are refused, so that every file ends.
const EVALUATIONS_MAX: u128 = 1_100_000;
/// Prometheus's own default.
const INTERVAL: Duration = Duration::from_secs(60);

const SCRIPT: [&str; 5] =
    ["rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"];
const TEST: [&str; 8] = [
    "name",
    "interval",
    "start_timestamp",
    "external_labels",
    "external_url",
    "input_series",
    "alert_rule_test",
    "promql_expr_test",
];

/// Reads a file of unit tests. An empty one has no tests.
pub fn parse(file: &str, text: &str, unknown: Unknown) -> Result<Script, Vec<Mistake>> {
    let root = yaml::parse(file, text).map_err(|mistake| vec![mistake])?;
    let mut reader = Reader::new(file, unknown, root.duplicates());
    let script = reader.script(&root);
    reader.finish(script)
}

impl Reader<'_> {
    fn script(&mut self, root: &Node) -> Script {
        let fields = match root.is_null() {
            true => Fields::new(),
            false => self.fields(root, "a file of unit tests", &SCRIPT),
        };
        let mut rule_files = Vec::new();
        for node in self.list(fields.get("rule_files").copied(), "rule_files") {
            let text = self.text(node, "rule_files");
            rule_files.extend(text.map(|text| Pattern { place: node.place.clone(), text }));
        }
        let mut order = BTreeMap::new();
        let names = self.list(fields.get("group_eval_order").copied(), "group_eval_order");
        for (position, node) in names.iter().enumerate() {
            let Some(name) = self.text(node, "group_eval_order") else { continue };
            if order.insert(name.clone(), position).is_some() {
                let message = format!("`group_eval_order` names `{name}` twice");
                self.wrong(node, message, "name each group once");
            }
        }
        let interval = self.duration(&fields, "evaluation_interval");
        let interval = interval.filter(|interval| !interval.is_zero()).unwrap_or(INTERVAL);
        let is_fuzzy = fields.get("fuzzy_compare").is_some_and(|node| self.boolean(node));
        let tests = self.list(fields.get("tests").copied(), "tests").iter();
        let tests = tests.filter_map(|node| self.test(node, interval)).collect();
        Script { rule_files, interval, order, is_fuzzy, tests }
    }

    fn test(&mut self, node: &Node, interval: Duration) -> Option<Test> {
        let fields = self.fields(node, "a test", &TEST);
        node.entries()?;
        let name = fields.get("name").and_then(|name| self.text(name, "name")).unwrap_or_default();
        let spacing = self.duration(&fields, "interval").filter(|spacing| !spacing.is_zero());
        let start = fields.get("start_timestamp").and_then(|node| self.moment(node));
        let external_url =
            fields.get("external_url").and_then(|url| self.text(url, "external_url"));
        let external = self.texts(fields.get("external_labels").copied(), "external_labels");
        let pairs = external.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let external_labels = Labels::from_pairs(pairs);
        let input = self.list(fields.get("input_series").copied(), "input_series").iter();
        let input = input.filter_map(|node| self.series(node)).collect();
        let cases = self.list(fields.get("alert_rule_test").copied(), "alert_rule_test").iter();
        let alerts = cases.filter_map(|node| self.alert_case(node)).collect();
        let cases = self.list(fields.get("promql_expr_test").copied(), "promql_expr_test").iter();
        let exprs = cases.filter_map(|node| self.expr_case(node)).collect();
        let test = Test {
            place: node.place.clone(),
            name,
            start: start.unwrap_or(Timestamp::from_millis(0)),
            spacing: spacing.unwrap_or(interval),
            external_labels,
            external_url: external_url.unwrap_or_default(),
            input,
            alerts,
            exprs,
        };
        let evaluations = test.end().as_millis() / interval.as_millis().max(1);
        if evaluations > EVALUATIONS_MAX {
            let message = format!("the test takes {evaluations} evaluations");
            let remedy = format!("at most {EVALUATIONS_MAX}: a longer `evaluation_interval`");
            self.wrong(node, message, remedy);
        }
        Some(test)
    }

    fn series(&mut self, node: &Node) -> Option<Series> {
        let fields = self.fields(node, "an input series", &["series", "values"]);
        node.entries()?;
        let labels = match fields.get("series") {
            Some(series) => self.metric(series, "series"),
            None => Some(Labels::empty()),
        };
        let values = match fields.get("values") {
            Some(values) => {
                let text = self.text(values, "values")?;
                self.judge(values, notation::values(&text))?
            }
            None => Vec::new(),
        };
        let labels = labels?;
        if labels.is_empty() {
            let place = fields.get("series").copied().unwrap_or(node);
            self.wrong(place, "an input series has no name and no labels", "write `series: …`");
            return None;
        }
        Some(Series { labels, values })
    }

    fn alert_case(&mut self, node: &Node) -> Option<AlertCase> {
        let known = ["eval_time", "alertname", "exp_alerts"];
        let fields = self.fields(node, "an item of `alert_rule_test`", &known);
        node.entries()?;
        let at = self.duration(&fields, "eval_time").unwrap_or_default();
        let name = fields.get("alertname").and_then(|name| self.text(name, "alertname"));
        let alertname = name.unwrap_or_default();
        if alertname.is_empty() {
            let message = "an item of `alert_rule_test` has no `alertname`";
            self.wrong(node, message, "write the alert's name");
        }
        let mut expected = Vec::new();
        for node in self.list(fields.get("exp_alerts").copied(), "exp_alerts") {
            let known = ["exp_labels", "exp_annotations"];
            let fields = match node.is_null() {
                true => Fields::new(),
                false => self.fields(node, "an expected alert", &known),
            };
            let mut labels = self.texts(fields.get("exp_labels").copied(), "exp_labels");
            labels.insert("alertname".to_owned(), alertname.clone());
            let annotations = fields.get("exp_annotations").copied();
            let annotations = self.texts(annotations, "exp_annotations");
            expected.push(Told { labels, annotations });
        }
        expected.sort();
        Some(AlertCase { place: node.place.clone(), at, alertname, expected })
    }

    fn expr_case(&mut self, node: &Node) -> Option<ExprCase> {
        let known = ["expr", "eval_time", "exp_samples"];
        let fields = self.fields(node, "an item of `promql_expr_test`", &known);
        node.entries()?;
        let at = self.duration(&fields, "eval_time").unwrap_or_default();
        let mut expected = Vec::new();
        for node in self.list(fields.get("exp_samples").copied(), "exp_samples") {
            let known = ["labels", "value", "histogram"];
            let fields = self.fields(node, "an expected sample", &known);
            if let Some(histogram) = fields.get("histogram").filter(|node| node.text() != Some(""))
            {
                self.wrong(histogram, "native histograms are not supported", "compare its parts");
            }
            let labels = match fields.get("labels") {
                Some(labels) => self.metric(labels, "labels"),
                None => Some(Labels::empty()),
            };
            let value = fields.get("value").map_or(Some(0.0), |value| self.number(value));
            expected.extend(labels.zip(value));
        }
        expected.sort_by(|left, right| left.0.cmp(&right.0));
        let expr = match fields.get("expr") {
            Some(expr) => self.promql(expr)?,
            None => {
                let message = "an item of `promql_expr_test` has no expression";
                self.wrong(node, message, "write `expr: …`");
                return None;
            }
        };
        Some(ExprCase { place: node.place.clone(), at, expr, expected })
    }

    fn promql(&mut self, node: &Node) -> Option<Expr> {
        let text = self.text(node, "expr")?;
        match promql::parse(&text) {
            Ok(expr) => Some(expr),
            Err(error) => {
                let place = node.place_within(error.line, error.column);
                let message = format!("this is not PromQL: {}", error.message);
                self.mistakes.push(Mistake::new(place, message));
                None
            }
        }
    }

    fn metric(&mut self, node: &Node, field: &str) -> Option<Labels> {
        let text = self.text(node, field)?;
        self.judge(node, notation::metric(&text))
    }

    /// Reports a flaw where it stands.
    fn judge<T>(&mut self, node: &Node, result: Result<T, Flaw>) -> Option<T> {
        result
            .map_err(|flaw| {
                self.mistakes.push(Mistake::new(node.place_at(flaw.offset), flaw.message));
            })
            .ok()
    }

    fn texts(&mut self, node: Option<&Node>, field: &str) -> BTreeMap<String, String> {
        let Some(node) = node else { return BTreeMap::new() };
        let Some(entries) = node.entries() else {
            let message = format!("`{field}` is {}", node.kind());
            self.wrong(node, message, "write a mapping of names to texts");
            return BTreeMap::new();
        };
        let mut texts = BTreeMap::new();
        for (key, value) in entries {
            let name = self.text(key, field);
            let text = if value.is_null() { Some(String::new()) } else { self.text(value, field) };
            texts.extend(name.zip(text));
        }
        texts
    }

    fn boolean(&mut self, node: &Node) -> bool {
        match node.text().filter(|_| !is_quoted(node)) {
            Some("true" | "yes" | "on" | "y") => true,
            Some("false" | "no" | "off" | "n") => false,
            _ => {
                let shown = node.text().unwrap_or(node.kind());
                self.wrong(node, format!("`{shown}` is no truth value"), "write `true` or `false`");
                false
            }
        }
    }

    /// A number as YAML writes them, which is not as PromQL does: `.nan`, `.inf`, `0x1F`, `1_000`.
    fn number(&mut self, node: &Node) -> Option<f64> {
        let number = node.text().filter(|_| !is_quoted(node)).and_then(yaml_number);
        if number.is_none() {
            let shown = node.text().unwrap_or(node.kind());
            let remedy = match shown.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str() {
                "nan" => "YAML writes `.nan`; but no value equals it: test `expr != expr`",
                "inf" | "+inf" => "YAML writes `.inf`",
                _ => "write a number without quotes",
            };
            self.wrong(node, format!("`value` is `{shown}`, not a number"), remedy);
        }
        number
    }

    /// Unix seconds or RFC 3339.
    fn moment(&mut self, node: &Node) -> Option<Timestamp> {
        let text = self.text(node, "start_timestamp")?;
        let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.abs() < 1e12);
        let at = match seconds {
            Some(seconds) => Some((seconds * 1000.0).round() as i64),
            None => text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond()),
        };
        if at.is_none() {
            let message = format!("`start_timestamp` is `{text}`");
            self.wrong(node, message, "write Unix seconds, or a time such as 2026-01-02T15:04:05Z");
        }
        at.map(Timestamp::from_millis)
    }
}

fn is_quoted(node: &Node) -> bool {
    matches!(&node.value, Yaml::Scalar(scalar) if scalar.is_quoted())
}

fn yaml_number(text: &str) -> Option<f64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    match digits {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let plain = digits.replace('_', "");
    let radix = |prefix: &str, radix: u32| {
        plain.strip_prefix(prefix).and_then(|rest| i64::from_str_radix(rest, radix).ok())
    };
    if let Some(whole) = radix("0x", 16).or_else(|| radix("0b", 2)).or_else(|| radix("0o", 8)) {
        return Some(sign * whole as f64);
    }
    let is_decimal = plain.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    plain.parse::<f64>().ok().filter(|_| is_decimal).map(|number| sign * number)
}
