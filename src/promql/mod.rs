//! PromQL over our own samples, with Prometheus 3's semantics.
//!
//! Text becomes tokens, tokens a typed tree with places, the tree a plan (all in [`parse`]), and the
//! plan an [`Answer`] at one instant or over a range. Everything that Prometheus calls stable, over
//! floats and classic histograms, gives Prometheus's answer; native histograms and experimental
//! syntax are refused while parsing, by name and place, never ignored. Input is bounded in length
//! and depth, results in samples.

mod annotation;
mod answer;
mod eval;
mod expr;
mod failure;
mod format;
mod function;
mod interrupt;
mod lexer;
mod parser;
mod part;
mod plan;
mod tree;
mod unquote;

pub use annotation::{Annotation, Severity};
pub use answer::{Answer, Options, Point, Series, Value};
pub use eval::{instant, range};
pub use expr::{Expr, Selector, parse};
pub use failure::{EvalError, ParseError};
pub use format::format_value;
pub use interrupt::Interrupt;
pub use part::{Part, PartKind};
pub use tree::ValueType;
pub use unquote::unquoted;
