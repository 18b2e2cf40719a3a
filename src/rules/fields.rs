//! Reading mappings field by field as strictly as Prometheus does, and collecting what is wrong.
//!
//! A field that is written without a value counts as absent, as in Prometheus. A reading function
//! returns nothing only after it has said why, so that everything is told in one go.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Mistake, parse_duration, suggest};
use crate::yaml::Node;

/// What becomes of fields that are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// Each is a mistake.
    #[default]
    Refused,
    /// They are passed over: for files that carry somebody else's fields too.
    Ignored,
}

pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    unknown: Unknown,
    pub(super) mistakes: Vec<Mistake>,
}

/// The values of a mapping by key, nulls left out.
pub(super) type Fields<'a> = BTreeMap<&'a str, &'a Node>;

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str, unknown: Unknown, mistakes: Vec<Mistake>) -> Self {
        Self { file, unknown, mistakes }
    }

    /// What was read, or everything that is wrong with it, in the order of the file.
    pub(super) fn finish<T>(mut self, read: T) -> Result<T, Vec<Mistake>> {
        if self.mistakes.is_empty() {
            return Ok(read);
        }
        self.mistakes.sort();
        self.mistakes.dedup();
        Err(self.mistakes)
    }

    pub(super) fn wrong(
        &mut self,
        node: &Node,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let mistake = Mistake::new(node.place.clone(), message);
        self.mistakes.push(mistake.remedy(remedy));
    }

    pub(super) fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Fields<'n> {
        let mut fields = Fields::new();
        let Some(entries) = node.entries() else {
            let message = format!("{what} is {}", node.kind());
            self.wrong(node, message, format!("write a mapping with {}", listed(known)));
            return fields;
        };
        for (key, value) in entries {
            match key.text() {
                Some(name) if known.contains(&name) => {
                    if !value.is_null() {
                        fields.entry(name).or_insert(value);
                    }
                }
                _ if self.unknown == Unknown::Ignored => {}
                name => {
                    let nearest = suggest::nearest(name.unwrap_or_default(), known.iter().copied());
                    let remedy = match nearest {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!("its fields are {}", listed(known)),
                    };
                    let message = format!("{what} has no field `{}`", name.unwrap_or(key.kind()));
                    self.wrong(key, message, remedy);
                }
            }
        }
        fields
    }

    pub(super) fn list<'n>(&mut self, node: Option<&'n Node>, field: &str) -> &'n [Node] {
        let Some(node) = node else { return &[] };
        match node.items() {
            Some(items) => items,
            None => {
                self.wrong(node, format!("`{field}` is {}", node.kind()), "write a list");
                &[]
            }
        }
    }

    pub(super) fn text(&mut self, node: &Node, field: &str) -> Option<String> {
        match node.text() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong(node, format!("`{field}` is {}", node.kind()), "write a text");
                None
            }
        }
    }

    pub(super) fn duration(&mut self, fields: &Fields<'_>, field: &str) -> Option<Duration> {
        let node = fields.get(field)?;
        let text = self.text(node, field)?;
        match parse_duration(&text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                let message = format!("`{field}`: {error}");
                self.mistakes.push(Mistake::new(node.place.clone(), message));
                None
            }
        }
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
