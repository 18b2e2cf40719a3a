//! The tree: nodes, their places, and what can be asked of them.

use std::collections::{BTreeMap, BTreeSet};

use super::runs::Runs;
use crate::model::{Mistake, Place};

/// One piece of a YAML document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins; for a block scalar, where its first content line does. What an alias stands for keeps the place where it was written.
    pub place: Place,
    /// Just after its last character; for collections, where the parser noticed their end.
    pub end: Place,
    /// What it is.
    pub value: Yaml,
}

/// What a node is. Numbers and booleans are scalars still: whoever knows the field decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Yaml {
    /// Nothing, `~` or `null`, unquoted.
    Null,
    /// A text.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order written, duplicates included; merge keys are resolved, and what
    /// they bring comes last.
    Mapping(Vec<(Node, Node)>),
}

/// A text and how it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// The text, folded and unescaped.
    pub text: String,
    /// How it was written.
    pub style: Style,
    pub(super) runs: Runs,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single or double quotes, or tagged `!!str`.
    Quoted,
    /// After `|` or `>`.
    Block,
}

impl Scalar {
    /// Whether the text can be nothing but text: `"5"` and `|` blocks are, `5` is not.
    pub fn is_quoted(&self) -> bool {
        self.style != Style::Plain
    }
}

impl Node {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Scalar(scalar) => Some(&scalar.text),
            Yaml::Null | Yaml::Sequence(_) | Yaml::Mapping(_) => None,
        }
    }

    /// The items of a list.
    pub fn items(&self) -> Option<&[Self]> {
        match &self.value {
            Yaml::Sequence(items) => Some(items),
            Yaml::Null | Yaml::Scalar(_) | Yaml::Mapping(_) => None,
        }
    }

    /// The entries of a mapping.
    pub fn entries(&self) -> Option<&[(Self, Self)]> {
        match &self.value {
            Yaml::Mapping(entries) => Some(entries),
            Yaml::Null | Yaml::Scalar(_) | Yaml::Sequence(_) => None,
        }
    }

    /// The first value of a mapping under a key, or `None`, also where this is no mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries()?.iter().find_map(|(name, value)| (name.text() == Some(key)).then_some(value))
    }

    /// Whether nothing was written.
    pub fn is_null(&self) -> bool {
        self.value == Yaml::Null
    }

    /// What it is, for messages: `a list`.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Yaml::Null => "nothing",
            Yaml::Scalar(_) => "a single value",
            Yaml::Sequence(_) => "a list",
            Yaml::Mapping(_) => "a mapping",
        }
    }

    /// Where the character at a byte offset of a scalar's text stands in the file: the right line
    /// and column of quoted, folded and block scalars too. For other nodes, their own place.
    pub fn place_at(&self, offset: usize) -> Place {
        match &self.value {
            Yaml::Scalar(scalar) => scalar.runs.place_at(&self.place, &scalar.text, offset),
            Yaml::Null | Yaml::Sequence(_) | Yaml::Mapping(_) => self.place.clone(),
        }
    }

    /// The same for a line and a column of the text, both from 1, as parsers of the text tell them.
    pub fn place_within(&self, line: u32, column: u32) -> Place {
        let text = self.text().unwrap_or_default();
        let mut start = 0;
        for _ in 1..line {
            match text[start..].find('\n') {
                Some(at) => start += at + 1,
                None => break,
            }
        }
        let within = text[start..].char_indices().map(|(at, _)| at);
        let within = within.chain([text.len() - start]).nth(column.saturating_sub(1) as usize);
        self.place_at(within.map_or(text.len(), |within| start + within))
    }

    /// One mistake for every key of this tree that repeats an earlier one of its mapping.
    pub fn duplicates(&self) -> Vec<Mistake> {
        // A set, since a mapping that an alias repeats stands in the tree twice.
        let mut mistakes = BTreeSet::new();
        self.collect_duplicates(&mut mistakes);
        mistakes.into_iter().collect()
    }

    fn collect_duplicates(&self, mistakes: &mut BTreeSet<Mistake>) {
        match &self.value {
            Yaml::Null | Yaml::Scalar(_) => {}
            Yaml::Sequence(items) => {
                items.iter().for_each(|item| item.collect_duplicates(mistakes));
            }
            Yaml::Mapping(entries) => {
                let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
                for (key, value) in entries {
                    value.collect_duplicates(mistakes);
                    let Some(name) = key.text() else { continue };
                    if let Some(first) = seen.get(name) {
                        let message = format!("`{name}` is written twice");
                        mistakes.insert(Mistake::new(key.place.clone(), message).remedy(format!(
                            "the first is at line {}; keep one of them",
                            first.line
                        )));
                    } else {
                        seen.insert(name, &key.place);
                    }
                }
            }
        }
    }
}
