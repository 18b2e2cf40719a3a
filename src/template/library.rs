//! Templates that others may name: Alertmanager's own, and those of the operator's files.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::parse::definitions;
use super::token::TemplateError;
use super::tree::Node;

/// Alertmanager's default templates, as far as they are for texts that are sent from here.
const STANDARD: &str = include_str!("alertmanager.tmpl");

/// Named templates. Cloning is one reference count.
#[derive(Clone, Default)]
pub struct Library(Arc<BTreeMap<String, Vec<Node>>>);

impl Library {
    /// Alertmanager's own.
    pub fn standard() -> Self {
        let mut library = Self::default();
        library.add(STANDARD).expect("the built-in templates are good");
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
