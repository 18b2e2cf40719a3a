//! Reads rule files as strictly as Prometheus does, and says everything that is wrong at once.
//!
//! A field that is written without a value counts as absent, as in Prometheus. Beyond Prometheus,
//! two things are refused that can never work: an expression that yields neither a vector nor a
//! scalar, and a label that prints the sample's value, since the alert would be another one at each
//! evaluation and its `for` would never be met.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{Fields, Reader, Unknown};
use super::no_data::{NO_DATA, NoData};
use super::spec::{AlertingSpec, GroupSpec, RecordingSpec, RuleFile, RuleSpec};
use super::state::Holds;
use crate::model::{Labels, Mistake, Place};
use crate::promql::{self, Expr, ValueType};
use crate::template::{self, Template};
use crate::yaml::{self, Node};

const FILE_FIELDS: [&str; 1] = ["groups"];
const GROUP_FIELDS: [&str; 6] = ["name", "interval", "limit", "query_offset", "labels", "rules"];
const RULE_FIELDS: [&str; 7] =
    ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];

/// Where a rule was written, for whoever has something to say of it.
#[derive(Clone, Debug)]
pub(super) struct RuleSource {
    /// Its expression, whose places go down to a character.
    pub(super) expr: Node,
    /// The value of `record` or `alert`.
    pub(super) name: Place,
}

/// A rule file with the places of its rules, by group and in order.
#[derive(Clone, Debug)]
pub struct Sourced {
    /// What was read.
    pub file: RuleFile,
    pub(super) sources: Vec<Vec<RuleSource>>,
}

/// Reads a rule file. An empty one has no groups.
pub fn parse(file: &str, text: &str) -> Result<RuleFile, Vec<Mistake>> {
    parse_sourced(file, text, Unknown::Refused).map(|sourced| sourced.file)
}

/// Reads a rule file and keeps where its rules stand, for [`super::lint`].
pub fn parse_sourced(file: &str, text: &str, unknown: Unknown) -> Result<Sourced, Vec<Mistake>> {
    let root = yaml::parse(file, text).map_err(|mistake| vec![mistake])?;
    let mut reader = Reader::new(file, unknown, root.duplicates());
    let sourced = reader.file(&root);
    reader.finish(sourced)
}

impl Reader<'_> {
    fn file(&mut self, root: &Node) -> Sourced {
        let mut sourced = Sourced { file: RuleFile::default(), sources: Vec::new() };
        if root.is_null() {
            return sourced;
        }
        let fields = self.fields(root, "a rule file", &FILE_FIELDS);
        let mut names = BTreeSet::new();
        for node in self.list(fields.get("groups").copied(), "groups") {
            let Some((group, sources)) = self.group(node) else { continue };
            if !names.insert(group.name.clone()) {
                let place = node.get("name").unwrap_or(node);
                let message = format!("the group `{}` is already in this file", group.name);
                self.wrong(place, message, "give each group of a file a name of its own");
            }
            sourced.file.groups.push(group);
            sourced.sources.push(sources);
        }
        sourced
    }

    fn group(&mut self, node: &Node) -> Option<(GroupSpec, Vec<RuleSource>)> {
        let fields = self.fields(node, "a group", &GROUP_FIELDS);
        node.entries()?;
        let name = fields.get("name").and_then(|name| self.text(name, "name"));
        let name = name.filter(|name| !name.is_empty()).unwrap_or_default();
        if name.is_empty() {
            self.wrong(node, "a group has no name", "write `name: …`");
        }
        let interval = self.duration(&fields, "interval").filter(|interval| !interval.is_zero());
        let limit = match fields.get("limit") {
            Some(limit) => self.limit(limit),
            None => 0,
        };
        let query_offset = self.duration(&fields, "query_offset");
        let labels = self.labels(fields.get("labels").copied(), "labels");
        let rules = self.list(fields.get("rules").copied(), "rules");
        let rules = rules.iter().filter_map(|rule| {
            let spec = self.rule(rule, &labels)?;
            let name = rule.get("record").or_else(|| rule.get("alert")).unwrap_or(rule);
            let expr = rule.get("expr").unwrap_or(rule);
            Some((spec, RuleSource { expr: expr.clone(), name: name.place.clone() }))
        });
        let (rules, sources) = rules.unzip();
        let labels = labels.into_iter().map(|(name, (text, _))| (name, text)).collect();
        let file = self.file.to_owned();
        Some((GroupSpec { file, name, interval, limit, query_offset, labels, rules }, sources))
    }

    fn rule(&mut self, node: &Node, group_labels: &Pairs<'_>) -> Option<RuleSpec> {
        let fields = self.fields(node, "a rule", &RULE_FIELDS);
        node.entries()?;
        let record = fields.get("record").and_then(|record| self.text(record, "record"));
        let record = record.filter(|record| !record.is_empty());
        let alert = fields.get("alert").and_then(|alert| self.text(alert, "alert"));
        let alert = alert.filter(|alert| !alert.is_empty());
        let expr = match fields.get("expr") {
            Some(expr) => self.expr(expr),
            None => {
                self.wrong(node, "a rule has no expression", "write `expr: …`");
                None
            }
        };
        let mut labels = group_labels.clone();
        labels.extend(self.labels(fields.get("labels").copied(), "labels"));
        let annotations = self.labels(fields.get("annotations").copied(), "annotations");
        let holds = Holds {
            pending: self.duration(&fields, "for").unwrap_or_default(),
            firing: self.duration(&fields, "keep_firing_for").unwrap_or_default(),
        };
        match (record, alert) {
            (Some(record), None) => {
                self.recording(&fields, &record, annotations.is_empty());
                let labels = labels.into_iter().map(|(name, (text, _))| (name, text)).collect();
                Some(RuleSpec::Recording(RecordingSpec { record, expr: expr?, labels }))
            }
            (None, Some(alert)) => {
                let no_data = self.no_data(&annotations);
                let labels = self.templates(labels, Role::Label);
                let annotations = self.templates(annotations, Role::Annotation);
                Some(RuleSpec::Alerting(AlertingSpec {
                    alert,
                    expr: expr?,
                    holds,
                    no_data,
                    labels,
                    annotations,
                }))
            }
            (Some(record), Some(alert)) => {
                let message = format!("a rule has both `record: {record}` and `alert: {alert}`");
                self.wrong(node, message, "make two rules of it");
                None
            }
            (None, None) => {
                self.wrong(node, "a rule has neither `record` nor `alert`", "write one of them");
                None
            }
        }
    }

    /// Reads the annotation that says what having no data means. One that is nearly called so is
    /// refused, as it would be obeyed by nobody and missed by no one.
    fn no_data(&mut self, annotations: &Pairs<'_>) -> NoData {
        let mut policy = NoData::default();
        for (name, (text, node)) in annotations {
            let known = NoData::WORDS.iter().find(|(word, _)| word == text);
            match known {
                _ if name != NO_DATA => {
                    if is_nearly(name) {
                        let message = format!("bellwether knows no annotation `{name}`");
                        self.wrong(node, message, format!("did you mean `{NO_DATA}`?"));
                    }
                }
                Some((_, found)) => policy = *found,
                None => {
                    let message = format!("`{NO_DATA}` is `{text}`");
                    self.wrong(node, message, "write `ok`, `keep` or `firing`");
                }
            }
        }
        policy
    }

    fn recording(&mut self, fields: &Fields<'_>, record: &str, has_no_annotations: bool) {
        if let Some(node) = fields.get("record")
            && record.contains(['{', '}'])
        {
            let message = format!("`{record}` is not the name of a series");
            self.wrong(node, message, "write only the name here, and labels under `labels`");
        }
        for field in ["for", "keep_firing_for", "annotations"] {
            let Some(node) = fields.get(field) else { continue };
            if field == "annotations" && has_no_annotations {
                continue;
            }
            let message = format!("a recording rule can't have `{field}`");
            self.wrong(node, message, "leave it out, or write `alert` in place of `record`");
        }
    }

    fn expr(&mut self, node: &Node) -> Option<Expr> {
        let text = self.text(node, "expr")?;
        if text.trim().is_empty() {
            self.wrong(node, "an expression is empty", "write a PromQL expression");
            return None;
        }
        let expr = match promql::parse(&text) {
            Ok(expr) => expr,
            Err(error) => {
                let place = node.place_within(error.line, error.column);
                let message = format!("this is not PromQL: {}", error.message);
                self.mistakes.push(Mistake::new(place, message));
                return None;
            }
        };
        match expr.value_type() {
            ValueType::Scalar | ValueType::Vector => Some(expr),
            other @ (ValueType::Matrix | ValueType::String) => {
                let message = format!("the expression of a rule yields a {other}");
                self.wrong(node, message, "a rule needs an instant vector or a scalar");
                None
            }
        }
    }

    fn templates(&mut self, texts: Pairs<'_>, role: Role) -> BTreeMap<String, Template> {
        let mut templates = BTreeMap::new();
        for (name, (text, node)) in texts {
            match template::parse(&text) {
                Ok(template) => {
                    if role == Role::Label && template.prints_value() {
                        let message = format!("the label `{name}` holds the sample's value");
                        let remedy = "move it to an annotation: with each value it would be \
                                      another alert";
                        self.wrong(node, message, remedy);
                    }
                    templates.insert(name, template);
                }
                Err(error) => {
                    let place = node.place_within(error.line, error.column);
                    let message = format!("the template of `{name}`: {}", error.message);
                    self.mistakes.push(Mistake::new(place, message));
                }
            }
        }
        templates
    }

    /// Reads `labels` or `annotations`.
    fn labels<'n>(&mut self, node: Option<&'n Node>, field: &str) -> Pairs<'n> {
        let Some(node) = node else { return Pairs::new() };
        let Some(entries) = node.entries() else {
            let message = format!("`{field}` is {}", node.kind());
            self.wrong(node, message, "write a mapping of names to texts");
            return Pairs::new();
        };
        let mut pairs = Pairs::new();
        for (key, value) in entries {
            let name = key.text().unwrap_or_default();
            if name.is_empty() || (field == "labels" && name == Labels::NAME) {
                let message = format!("`{name}` is not the name of one of the {field}");
                self.wrong(key, message, "use letters, digits and underscores");
                continue;
            }
            let text = if value.is_null() { Some(String::new()) } else { self.text(value, name) };
            if let Some(text) = text {
                pairs.insert(name.to_owned(), (text, value));
            }
        }
        pairs
    }

    fn limit(&mut self, node: &Node) -> usize {
        let Some(text) = self.text(node, "limit") else { return 0 };
        match text.parse::<i64>() {
            // Below zero is no limit either, as in Prometheus.
            Ok(limit) => usize::try_from(limit).unwrap_or(0),
            Err(_) => {
                let message = format!("`limit` is `{text}`");
                self.wrong(node, message, "write a whole number; 0 is no limit");
                0
            }
        }
    }
}

/// Whether a name differs from that of the annotation in case and in what separates its words.
fn is_nearly(name: &str) -> bool {
    let letters = |name: &str| name.replace(['_', '-', '.'], "").to_ascii_lowercase();
    letters(name) == letters(NO_DATA)
}

/// Texts by name, with where they stand.
type Pairs<'n> = BTreeMap<String, (String, &'n Node)>;

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Label,
    Annotation,
}
