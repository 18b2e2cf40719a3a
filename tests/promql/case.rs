//! One evaluation of a script and what is expected of it.

use bellwether::model::Labels;
use regex::Regex;

use crate::source::Store;

pub struct Case {
    pub line: usize,
    pub query: String,
    pub times: Times,
    pub store: Store,
    pub expected: Expected,
}

#[derive(Clone, Copy)]
pub enum Times {
    At(i64),
    Range { start: i64, end: i64, step: i64 },
}

#[derive(Default)]
pub struct Expected {
    pub fails: bool,
    pub fail_texts: Vec<Wanted>,
    pub warns: Vec<Wanted>,
    pub infos: Vec<Wanted>,
    pub no_warn: bool,
    pub no_info: bool,
    pub is_ordered: bool,
    pub string: Option<String>,
    pub scalar: Option<f64>,
    /// The times of a range vector.
    pub range: Option<(i64, i64, i64)>,
    pub series: Vec<(Labels, Vec<Value>)>,
}

/// What a message has to be.
pub enum Wanted {
    Any,
    Exact(String),
    Like(Regex),
}

impl Wanted {
    pub fn accepts(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => text == message,
            Self::Like(regex) => regex.is_match(message),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Absent,
    Stale,
    Float(f64),
    Histogram,
}
