//! An expression: parsed once, evaluated as often as wanted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::plan::Plan;
use super::tree::{Kind, Shift, Tree};
use super::{ParseError, ValueType, format, parser};
use crate::model::Matcher;

/// A checked expression. Cloning is one reference count. Displays in Prometheus's own formatting.
#[derive(Clone)]
pub struct Expr(Arc<Parsed>);

struct Parsed {
    text: String,
    tree: Tree,
    plan: Plan,
}

/// What one selector of an expression reads.
#[derive(Clone, Debug)]
pub struct Selector {
    /// Its conditions, that on the name among them.
    pub matchers: Vec<Matcher>,
    /// The window of a range selector.
    pub range: Option<Duration>,
    /// Its own `offset`; one of a subquery around it is not counted.
    pub offset_millis: i64,
}

/// Reads and checks an expression. Everything that can be known without samples is known here:
/// syntax, types, functions and their arguments, regular expressions of matchers, and that nothing
/// unsupported is asked for.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let tree = parser::parse(text)?;
    let plan = Plan::lower(&tree);
    Ok(Expr(Arc::new(Parsed { text: text.to_owned(), tree, plan })))
}

impl Expr {
    /// What the expression yields.
    pub fn value_type(&self) -> ValueType {
        self.0.tree.node(self.0.tree.root()).value_type
    }

    /// Every selector of the expression, in the order written.
    pub fn selectors(&self) -> Vec<Selector> {
        let nodes = self.0.tree.nodes.iter();
        nodes
            .filter_map(|node| match &node.kind {
                Kind::Selection(selection) => Some(Selector {
                    matchers: selection.matchers.clone(),
                    range: selection
                        .range_ms
                        .map(|millis| Duration::from_millis(millis.unsigned_abs())),
                    offset_millis: selection.shift.offset_ms.unwrap_or_default(),
                }),
                _ => None,
            })
            .collect()
    }

    /// The conditions, where the whole expression is one selector and nothing else: no window, no
    /// `offset`, no `@`, no parentheses.
    pub fn as_selector(&self) -> Option<&[Matcher]> {
        let tree = &self.0.tree;
        match &tree.node(tree.root()).kind {
            Kind::Selection(selection)
                if selection.range_ms.is_none() && selection.shift == Shift::default() =>
            {
                Some(&selection.matchers)
            }
            _ => None,
        }
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.0.tree
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.0.plan
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        format::expression(&self.0.tree, formatter)
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.0.text)
    }
}

/// Equal when written alike.
impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Expr {}
