//! What a template is made of.

use super::functions::Function;
use super::value::Value;

/// Whose templates these are: each has functions and data of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Prometheus's, in labels and annotations of rules.
    Rules,
    /// Alertmanager's, in the texts of receivers.
    Notices,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipeline),
    If {
        arms: Vec<(Pipeline, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
    With {
        arms: Vec<(Pipeline, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
    Range {
        pipeline: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `template`: another one's text, filled in with a value of its own.
    Named {
        name: String,
        data: Option<Pipeline>,
    },
    Break,
    Continue,
}

#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) binding: Option<Binding>,
    pub(super) commands: Vec<Command>,
}

/// `$name :=` or `$name =`; a range may bind two.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) names: Vec<String>,
    pub(super) declares: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) first: Operand,
    pub(super) arguments: Vec<Operand>,
}

#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) term: Term,
    /// `.a.b` after it.
    pub(super) fields: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Term {
    Dot,
    Variable(String),
    Function(&'static Function),
    Literal(Value),
    Pipeline(Box<Pipeline>),
}
