//! What one document lost on its way, by name and place.

use std::fmt;

use serde_json::{Map, Value};

use super::losses::{Fate, Loss, OTHER, OTHER_FIELDS, Within};
use super::words::{Direction, Strictness, Untranslatable};

/// Names that a client chose are shown so far.
const NAME_MAX: usize = 64;

/// Something that was left out or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The row of the list that it is.
    pub loss: &'static Loss,
    /// Where it stood first, such as `messages[2].content[0].cache_control`.
    pub at: String,
    /// How often it was met; what has no row of its own is told apart by its name.
    pub times: usize,
}

/// A place in a document: a list from the inside out, written down only where somebody is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum At<'a> {
    Top,
    Field(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    pub fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |name: &str| name.chars().take(NAME_MAX).collect::<String>();
        match self {
            Self::Top => Ok(()),
            Self::Field(At::Top, name) => write!(formatter, "{}", short(name)),
            Self::Field(outer, name) => write!(formatter, "{outer}.{}", short(name)),
            Self::Item(outer, index) => write!(formatter, "{outer}[{index}]"),
        }
    }
}

/// Keeps the account of one document.
#[derive(Debug)]
pub(super) struct Ledger {
    direction: Direction,
    within: Within,
    strictness: Strictness,
    lost: Vec<Lost>,
}

impl Ledger {
    pub fn of_request(direction: Direction, strictness: Strictness) -> Self {
        Self { direction, within: Within::Request, strictness, lost: Vec::new() }
    }

    /// Of an answer or an error, which nobody can refuse any more.
    pub fn of_reply(direction: Direction, within: Within) -> Self {
        Self { direction, within, strictness: Strictness::Lenient, lost: Vec::new() }
    }

    /// Who speaks what.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// A parameter of a request has no counterpart: refused or left out, as its row says.
    pub fn parameter(&mut self, name: &str) -> Result<(), Untranslatable> {
        self.parameter_at(name, &At::Top.field(name))
    }

    /// The same for one that stands inside of another.
    pub fn parameter_at(&mut self, name: &str, at: &At<'_>) -> Result<(), Untranslatable> {
        let row = Loss::find(self.direction, self.within, name, OTHER);
        if row.fate == Fate::Strictness && self.strictness == Strictness::Strict {
            return Err(Untranslatable::Parameter(at.to_string()));
        }
        self.note(row, at);
        Ok(())
    }

    /// Something is left out or changed, however strict.
    pub fn lose(&mut self, name: &str, at: &At<'_>) {
        let row = Loss::find(self.direction, self.within, name, OTHER_FIELDS);
        self.note(row, at);
    }

    /// Names what an object holds beside the fields that are told. What is empty says nothing.
    pub fn unread(&mut self, object: &Value, told: &[&str], at: &At<'_>) {
        for (name, value) in object.as_object().into_iter().flatten() {
            if !told.contains(&name.as_str()) && says_something(value) {
                self.lose(name, &at.field(name));
            }
        }
    }

    /// The same for the parameters of a request.
    pub fn unread_parameters(
        &mut self,
        body: &Map<String, Value>,
        told: &[&str],
    ) -> Result<(), Untranslatable> {
        for (name, value) in body {
            if !told.contains(&name.as_str()) && !value.is_null() {
                self.parameter(name)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, loss: &'static Loss, at: &At<'_>) {
        let is_named = loss.name != OTHER && loss.name != OTHER_FIELDS;
        let known = self.lost.iter().position(|lost| {
            std::ptr::eq(lost.loss, loss) && (is_named || ends_alike(&lost.at, at))
        });
        match known {
            Some(index) => self.lost[index].times += 1,
            None if self.lost.len() < LOST_MAX => {
                self.lost.push(Lost { loss, at: at.to_string(), times: 1 });
            }
            None => {}
        }
    }

    /// What was lost so far.
    pub fn lost(&self) -> &[Lost] {
        &self.lost
    }

    pub fn finish(self) -> Vec<Lost> {
        self.lost
    }
}

/// So many different losses are kept of one document: its own names can be as many as it likes.
const LOST_MAX: usize = 256;

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}

/// Whether two places are of one field, at whatever index.
fn ends_alike(text: &str, at: &At<'_>) -> bool {
    let At::Field(_, name) = at else { return false };
    let last = text.rsplit('.').next().unwrap_or_default();
    last.chars().eq(name.chars().take(NAME_MAX))
}
