//! Go text templates, as far as Prometheus rules use them in labels and annotations.
//!
//! The whole of the language is here but for some methods of times and durations. Syntax, names of functions and names of variables are checked when a rule
//! file is loaded. What goes wrong while a template is expanded never silences an alert: the error
//! takes the place of the text. Output and work are bounded, so that a template can't stop rules.

mod execute;
mod functions;
mod humanize;
mod number;
mod parse;
mod printf;
mod texts;
mod token;
mod tree;
mod value;

pub use execute::{Scope, expand};
pub use parse::{Template, parse};
pub use token::TemplateError;
