//! Why an expression is refused, and why an evaluation has no result.

use std::fmt;

use super::ValueType;
use crate::model::Labels;

/// Why a text is not an expression, and where. Displays as `line:column: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line of the token at fault, from 1.
    pub line: u32,
    /// Its column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Why an evaluation has no result. Where Prometheus says the same, its words are kept, so that
/// what is known about them can be looked up.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// Two series became one, mostly because they differed in their names only.
    #[error("vector cannot contain metrics with the same labelset")]
    SameLabelset,
    /// The side that must be unique has two series for one set of matching labels.
    #[error(
        "found duplicate series for the match group {group} on the {side} hand-side of the \
         operation: [{first}, {second}];many-to-many matching not allowed: matching labels must \
         be unique on one side"
    )]
    ManyToMany {
        /// The matching labels.
        group: String,
        /// `left` or `right`.
        side: &'static str,
        /// One of the two.
        first: String,
        /// The other.
        second: String,
    },
    /// Several series on the left match one on the right.
    #[error(
        "multiple matches for labels: many-to-one matching must be explicit \
         (group_left/group_right)"
    )]
    ManyToOne,
    /// Results of a grouped match have the same labels.
    #[error("multiple matches for labels: grouping labels must ensure unique matches")]
    GroupNotUnique,
    /// `topk` and `bottomk` need a number.
    #[error("Parameter value is NaN")]
    ParameterNan,
    /// `topk` and `bottomk` need a number of series.
    #[error("Scalar value {0} overflows int64")]
    ParameterTooLarge(f64),
    /// A result's label would have no name.
    #[error("invalid label name {0:?}")]
    LabelName(String),
    /// A replaced label would have no name.
    #[error("invalid destination label name in {function}(): {name}")]
    DestinationLabel {
        /// The function.
        function: &'static str,
        /// What was asked for.
        name: String,
    },
    /// `label_replace` got something that is no regular expression.
    #[error("invalid regular expression in label_replace(): {0}")]
    Regex(String),
    /// It took longer than whoever asked wanted to wait.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// Whoever asked is no longer there.
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// Its work would keep others waiting for too long.
    #[error(
        "the query looks at more than {0} samples in all; shorten its ranges, lengthen the steps of \
         its subqueries or select fewer series"
    )]
    TooMuchWork(u64),
    /// The samples are no numbers, and what they hold is not kept.
    #[error("native histograms are not supported, and {0} has samples that are")]
    NativeHistogram(Labels),
    /// The query would hold more samples than it may.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// Only scalars and instant vectors have a value at each step.
    #[error("invalid expression type \"{0}\" for range query, must be scalar or instant vector")]
    RangeType(ValueType),
    /// A range without a step has no points.
    #[error("the step of a range query is zero")]
    ZeroStep,
    /// A range that ends before it starts has no points.
    #[error("the range query ends before it starts")]
    EndBeforeStart,
}
