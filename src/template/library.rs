//! Templates that others may name: Alertmanager's own, and those of the operator's files.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::parse::definitions;
use super::token::TemplateError;
use super::tree::Node;

/// What Alertmanager's default templates make, under its names.
const STANDARD: &str = r#"
{{ define "__alertmanager" }}Alertmanager{{ end }}
{{ define "__alertmanagerURL" }}{{ printf "%s/#/alerts?receiver=%s" .ExternalURL (urlquery .Receiver) }}{{ end }}
{{ define "__subject" -}}
  [{{ if .Alerts.Firing }}FIRING:{{ len .Alerts.Firing }}{{ else }}RESOLVED{{ end }}]
  {{- printf " %s " (join " " .GroupLabels.Values) }}
  {{- with (.CommonLabels.Remove .GroupLabels.Names).Values }}({{ join " " . }}){{ end }}
{{- end }}
{{ define "__pairs" }}{{ range .SortedPairs }}{{ printf " - %s = %s\n" .Name .Value }}{{ end }}{{ end }}
{{ define "__text_alert_list" }}
  {{- range . }}
    {{- "Labels:\n" }}{{ template "__pairs" .Labels }}
    {{- "Annotations:\n" }}{{ template "__pairs" .Annotations }}
    {{- printf "Source: %s\n" .GeneratorURL }}
  {{- end }}
{{- end }}
{{ define "slack.default.fallback" }}{{ template "__subject" . }} | {{ template "__alertmanagerURL" . }}{{ end }}
"#;

/// Names of Alertmanager's for one of those above.
const SAME: [(&str, &str); 7] = [
    ("slack.default.title", "__subject"),
    ("slack.default.titlelink", "__alertmanagerURL"),
    ("slack.default.username", "__alertmanager"),
    ("pagerduty.default.description", "__subject"),
    ("pagerduty.default.client", "__alertmanager"),
    ("pagerduty.default.clientURL", "__alertmanagerURL"),
    ("pagerduty.default.instances", "__text_alert_list"),
];

/// Names of Alertmanager's that make nothing until somebody defines them.
const EMPTY: [&str; 7] = [
    "__description",
    "slack.default.callbackid",
    "slack.default.footer",
    "slack.default.iconemoji",
    "slack.default.iconurl",
    "slack.default.pretext",
    "slack.default.text",
];

/// Named templates. Cloning is one reference count.
#[derive(Clone, Default)]
pub struct Library(Arc<BTreeMap<String, Vec<Node>>>);

impl Library {
    /// Alertmanager's own.
    pub fn standard() -> Self {
        let same = SAME.map(|(name, other)| {
            format!("{{{{ define \"{name}\" }}}}{{{{ template \"{other}\" . }}}}{{{{ end }}}}")
        });
        let empty = EMPTY.map(|name| format!("{{{{ define \"{name}\" }}}}{{{{ end }}}}"));
        let mut library = Self::default();
        let text = format!("{STANDARD}{}{}", same.concat(), empty.concat());
        library.add(&text).expect("the built-in templates are good");
        library
    }

    /// Adds what a file defines. A name that is known already means the new one from now on.
    pub fn add(&mut self, text: &str) -> Result<(), TemplateError> {
        let defined = definitions(text)?;
        Arc::make_mut(&mut self.0).extend(defined);
        Ok(())
    }

    /// Names that its templates call and nobody defines, each after the name of the one that calls.
    pub fn undefined(&self) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        for (caller, nodes) in &*self.0 {
            let called = called(nodes).into_iter();
            let unknown = called.filter(|name| self.named(name).is_none());
            found.extend(unknown.map(|name| (caller.as_str(), name)));
        }
        found
    }

    pub(super) fn named(&self, name: &str) -> Option<&[Node]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// The names of the templates that nodes call.
pub(super) fn called(nodes: &[Node]) -> Vec<&str> {
    let mut names = Vec::new();
    for node in nodes {
        match node {
            Node::Text(_) | Node::Action(_) | Node::Break | Node::Continue => {}
            Node::If { arms, otherwise } | Node::With { arms, otherwise } => {
                arms.iter().for_each(|(_, body)| names.extend(called(body)));
                names.extend(called(otherwise));
            }
            Node::Range { body, otherwise, .. } => {
                names.extend(called(body));
                names.extend(called(otherwise));
            }
            Node::Named { name, .. } => names.push(name),
        }
    }
    names
}
