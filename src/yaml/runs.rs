//! Where the characters of a scalar stand in the file.
//!
//! A scalar's text is not what the file holds: lines are folded, indentation is taken off, escapes
//! are resolved. The text is walked beside the source, and a run is noted wherever the two part.
//! White space is matched loosely, since folding makes and eats it; every other character is found
//! exactly.

use std::iter::Peekable;
use std::str::Chars;

use super::Style;
use crate::model::Place;

/// Stretches of text that stand on one line, one character after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Runs(Vec<Run>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    offset: usize,
    line: u32,
    column: u32,
}

impl Runs {
    /// Walks a scalar's text beside its source, which begins at the scalar's first character (a
    /// quote included, a block's `|` not) and may go on after its end.
    pub(super) fn align(text: &str, style: Style, source: &str, line: u32, column: u32) -> Self {
        let mut walk = Walk { source: source.chars().peekable(), line, column, quote: None };
        if let (Style::Quoted, Some(&quote @ ('"' | '\''))) = (style, walk.source.peek()) {
            walk.quote = Some(quote);
            walk.advance();
        }
        let mut runs: Vec<Run> = Vec::new();
        let mut expected = (0, 0);
        for (offset, character) in text.char_indices() {
            let Some((line, column)) = walk.find(character) else { break };
            if expected != (line, column) {
                runs.push(Run { offset, line, column });
            }
            expected = (line, column + 1);
        }
        Self(runs)
    }

    /// The place of the character at a byte offset; `start` where nothing better is known.
    pub(super) fn place_at(&self, start: &Place, text: &str, offset: usize) -> Place {
        let Some(run) = self.0.iter().rfind(|run| run.offset <= offset) else {
            return start.clone();
        };
        let within = text.get(run.offset..offset.min(text.len())).unwrap_or_default();
        let characters = u32::try_from(within.chars().count()).unwrap_or(u32::MAX);
        Place {
            file: start.file.clone(),
            line: run.line,
            column: run.column.saturating_add(characters),
        }
    }
}

struct Walk<'a> {
    source: Peekable<Chars<'a>>,
    line: u32,
    column: u32,
    quote: Option<char>,
}

impl Walk<'_> {
    /// Where the next character of the text stands; the source is left just after it.
    fn find(&mut self, character: char) -> Option<(u32, u32)> {
        if character.is_whitespace() {
            return Some(self.find_space(character));
        }
        while let Some(next) = self.source.peek().copied() {
            let place = (self.line, self.column);
            if self.quote == Some('"') && next == '\\' {
                if self.skip_escape() {
                    return Some(place);
                }
            } else if next == character {
                self.advance();
                if self.quote == Some('\'') && next == '\'' {
                    self.advance();
                }
                return Some(place);
            } else if next.is_whitespace() {
                self.advance();
            } else {
                return None;
            }
        }
        None
    }

    /// White space that folding made stands where the source is; other white space is consumed.
    fn find_space(&mut self, character: char) -> (u32, u32) {
        let place = (self.line, self.column);
        match self.source.peek() {
            Some(next) if *next == character => self.advance(),
            Some('\\') if self.quote == Some('"') => {
                self.skip_escape();
            }
            _ => {}
        }
        place
    }

    /// Consumes an escape of a double-quoted scalar; false where it only joins two lines.
    fn skip_escape(&mut self) -> bool {
        self.advance();
        let digits = match self.source.peek() {
            Some('\n' | '\r') | None => return false,
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some(_) => 0,
        };
        (0..=digits).for_each(|_| self.advance());
        true
    }

    fn advance(&mut self) {
        let Some(character) = self.source.next() else { return };
        let ends_line = character == '\n'
            || character == '\r' && self.source.peek().is_none_or(|next| *next != '\n');
        if ends_line {
            self.line = self.line.saturating_add(1);
            self.column = 1;
        } else {
            self.column = self.column.saturating_add(1);
        }
    }
}
