//! An expression's parts, for whoever reads expressions without evaluating them.
//!
//! They come as a list in which what a part is made of stands before it, so that an expression of
//! any depth is walked by a loop, upward from the front and downward from the back.

use std::time::Duration;

use super::ValueType;
use super::expr::Expr;
use super::tree::{Id, Kind};
use crate::model::Matcher;

/// One part of an expression.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// Where it begins in the expression's text, in bytes.
    pub offset: usize,
    /// What it yields.
    pub value_type: ValueType,
    /// What it is.
    pub kind: PartKind<'a>,
}

/// What a part is. Other parts are named by their position in [`Expr::parts`].
#[derive(Clone, Debug)]
pub enum PartKind<'a> {
    /// A number, a text, or a call without arguments.
    Constant,
    /// A selector.
    Selection {
        /// Its conditions, that on the name among them.
        matchers: &'a [Matcher],
        /// The window of a range selector.
        range: Option<Duration>,
        /// Its own `offset`.
        offset_millis: i64,
        /// Whether `@` binds it to a moment.
        is_pinned: bool,
    },
    /// Several evaluations of an inner expression.
    Subquery {
        /// What is evaluated.
        inner: usize,
        /// Over how long.
        range: Duration,
        /// Its own `offset`.
        offset_millis: i64,
    },
    /// Parentheses or a sign.
    Around(usize),
    /// A function's call.
    Call {
        /// The function.
        function: &'static str,
        /// At least one.
        arguments: Vec<usize>,
    },
    /// An aggregation.
    Aggregate {
        /// Its operator.
        operator: &'static str,
        /// What is aggregated.
        operand: usize,
        /// What stands before it.
        parameter: Option<usize>,
    },
    /// An operation on two sides.
    Binary {
        /// Its operator.
        operator: &'static str,
        /// The left side.
        left: usize,
        /// The right side.
        right: usize,
    },
}

impl Expr {
    /// Every part; the last one is the whole expression.
    pub fn parts(&self) -> Vec<Part<'_>> {
        let nodes = self.tree().nodes.iter();
        nodes
            .map(|node| Part {
                offset: node.span.start as usize,
                value_type: node.value_type,
                kind: kind(&node.kind),
            })
            .collect()
    }
}

fn kind(kind: &Kind) -> PartKind<'_> {
    let position = |id: &Id| id.0 as usize;
    let window = |millis: i64| Duration::from_millis(millis.unsigned_abs());
    match kind {
        Kind::Number { .. } | Kind::Text(_) => PartKind::Constant,
        Kind::Selection(selection) => PartKind::Selection {
            matchers: &selection.matchers,
            range: selection.range_ms.map(window),
            offset_millis: selection.shift.offset_ms.unwrap_or_default(),
            is_pinned: selection.shift.at.is_some(),
        },
        Kind::Subquery { inner, range_ms, shift, .. } => PartKind::Subquery {
            inner: position(inner),
            range: window(*range_ms),
            offset_millis: shift.offset_ms.unwrap_or_default(),
        },
        Kind::Paren(inner) | Kind::Unary { operand: inner, .. } => {
            PartKind::Around(position(inner))
        }
        Kind::Call { arguments, .. } if arguments.is_empty() => PartKind::Constant,
        Kind::Call { function, arguments } => PartKind::Call {
            function: function.name,
            arguments: arguments.iter().map(position).collect(),
        },
        Kind::Aggregate { operator, parameter, operand, .. } => PartKind::Aggregate {
            operator: operator.as_str(),
            operand: position(operand),
            parameter: parameter.as_ref().map(position),
        },
        Kind::Binary { operator, left, right, .. } => PartKind::Binary {
            operator: operator.as_str(),
            left: position(left),
            right: position(right),
        },
    }
}
