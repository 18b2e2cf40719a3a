//! A parsed expression: typed nodes with places, in one list.
//!
//! Nodes stand in a list instead of boxes so that a chain of ten thousand operators is built,
//! checked, lowered and dropped by loops. A node's children always stand before it.

use std::fmt;
use std::sync::Arc;

use super::function::Function;
use crate::model::Matcher;

/// What an expression yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A number.
    Scalar,
    /// One value for each series.
    Vector,
    /// A window of samples for each series.
    Matrix,
    /// A text.
    String,
}

impl fmt::Display for ValueType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        })
    }
}

/// Bytes of the text, from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

/// A node's place in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(pub u32);

#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
}

impl Tree {
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The last node: the whole expression.
    pub fn root(&self) -> Id {
        Id(u32::try_from(self.nodes.len().saturating_sub(1)).unwrap_or(u32::MAX))
    }

    /// The node inside all parentheses.
    pub fn bare(&self, mut id: Id) -> Id {
        while let Kind::Paren(inner) = self.node(id).kind {
            id = inner;
        }
        id
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub kind: Kind,
    pub span: Span,
    pub value_type: ValueType,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// `as_duration`: it was written `5m` and is printed so.
    Number {
        value: f64,
        as_duration: bool,
    },
    Text(Arc<str>),
    Selection(Selection),
    Subquery {
        inner: Id,
        range_ms: i64,
        step_ms: Option<i64>,
        shift: Shift,
    },
    Paren(Id),
    Unary {
        is_negation: bool,
        operand: Id,
    },
    Call {
        function: &'static Function,
        arguments: Vec<Id>,
    },
    Aggregate {
        operator: Aggregator,
        grouping: Grouping,
        parameter: Option<Id>,
        operand: Id,
    },
    Binary {
        operator: Operator,
        is_bool: bool,
        matching: Option<Matching>,
        left: Id,
        right: Id,
    },
}

/// A selector of an instant vector, or of a range vector where `range_ms` is set.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// The name before the braces; among the matchers, too.
    pub name: Option<Arc<str>>,
    pub matchers: Vec<Matcher>,
    pub range_ms: Option<i64>,
    pub shift: Shift,
}

/// Where in time a selector or a subquery looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift {
    pub offset_ms: Option<i64>,
    pub at: Option<At>,
}

/// The `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Millis(i64),
    Start,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregator {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
}

impl Aggregator {
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "count" => Self::Count,
            "min" => Self::Min,
            "max" => Self::Max,
            "group" => Self::Group,
            "stddev" => Self::Stddev,
            "stdvar" => Self::Stdvar,
            "topk" => Self::Topk,
            "bottomk" => Self::Bottomk,
            "count_values" => Self::CountValues,
            "quantile" => Self::Quantile,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::CountValues => "count_values",
            Self::Quantile => "quantile",
        }
    }

    /// The type of the parameter before the vector, where there is one.
    pub fn parameter(self) -> Option<ValueType> {
        match self {
            Self::Topk | Self::Bottomk | Self::Quantile => Some(ValueType::Scalar),
            Self::CountValues => Some(ValueType::String),
            Self::Sum
            | Self::Avg
            | Self::Count
            | Self::Min
            | Self::Max
            | Self::Group
            | Self::Stddev
            | Self::Stdvar => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Grouping {
    pub is_without: bool,
    pub labels: Vec<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Atan2,
    Power,
}

impl Operator {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Unless => "unless",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Atan2 => "atan2",
            Self::Power => "^",
        }
    }

    /// How tightly it binds; all but `^` group from the left.
    pub fn power(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessEqual
            | Self::Greater
            | Self::GreaterEqual => 3,
            Self::Add | Self::Subtract => 4,
            Self::Multiply | Self::Divide | Self::Modulo | Self::Atan2 => 5,
            Self::Power => 6,
        }
    }

    pub fn is_set(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Unless)
    }

    pub fn is_comparison(self) -> bool {
        self.power() == 3
    }
}

/// `on`/`ignoring` with `group_left`/`group_right`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Matching {
    pub is_on: bool,
    pub labels: Vec<Arc<str>>,
    pub group: Option<Group>,
}

/// The side that may have many, and the labels that it takes from the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub many_is_left: bool,
    pub include: Vec<Arc<str>>,
}
