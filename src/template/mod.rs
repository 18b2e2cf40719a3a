//! Go text templates: Prometheus's in labels and annotations of rules, Alertmanager's in the texts of
//! receivers.
//!
//! The whole of the language is here but for some methods of times and durations. Syntax, names of
//! functions, of variables and of templates are checked when a file is loaded. What goes wrong while
//! a template is expanded never silences an alert: the error takes the place of the text. Output and
//! work are bounded, so that a template can't stop rules.

mod dates;
mod execute;
mod functions;
mod humanize;
mod json;
mod layout;
mod library;
mod notices;
mod number;
mod parse;
mod printf;
mod texts;
mod token;
mod tree;
mod value;

pub use execute::{Scope, expand, fill};
pub use library::Library;
pub use parse::{Template, parse, parse_notice};
pub use token::TemplateError;
pub use value::{Record, Value};
