//! Calls of functions.

use super::super::function::{self, Function, Routine};
use super::super::lexer::Token;
use super::super::tree::{Id, Kind, Span, ValueType};
use super::super::{ParseError, unquote};
use super::Parser;

impl Parser<'_> {
    /// A call; the next token is the function's name.
    pub(super) fn call(&mut self, name: &str) -> Result<Id, ParseError> {
        let span = self.here();
        let Some(function) = function::find(name) else {
            let message =
                function::refusal(name).unwrap_or_else(|| format!("unknown function `{name}`"));
            return Err(self.error(span, message));
        };
        self.advance();
        let arguments = self.arguments(Some(function))?;
        self.check_arguments(function, &arguments, span)?;
        let kind = Kind::Call { function, arguments };
        Ok(self.push(kind, span.start, function.returns))
    }

    /// Expressions between parentheses.
    pub(super) fn arguments(&mut self, function: Option<&Function>) -> Result<Vec<Id>, ParseError> {
        self.expect(&Token::OpenParen, "`(` is due")?;
        let mut arguments = Vec::new();
        if self.take(&Token::CloseParen) {
            return Ok(arguments);
        }
        loop {
            self.refuse_bytes_as_label(function)?;
            arguments.push(self.expression(0)?);
            if self.take(&Token::CloseParen) {
                return Ok(arguments);
            }
            self.expect(&Token::Comma, "`,` or `)` is due")?;
            if self.peek() == &Token::CloseParen {
                return Err(self.unexpected("an argument is due"));
            }
        }
    }

    /// Where a string names a label, say so.
    fn refuse_bytes_as_label(&self, function: Option<&Function>) -> Result<(), ParseError> {
        let Token::Bytes(bytes) = self.peek() else { return Ok(()) };
        let quoted = unquote::quote_bytes(bytes);
        let names_label = function.is_none_or(|function| {
            matches!(function.routine, Routine::LabelReplace | Routine::LabelJoin)
        });
        if names_label {
            return Err(self.error(self.here(), format!("invalid label name {quoted}")));
        }
        Ok(())
    }

    fn check_arguments(
        &self,
        function: &Function,
        arguments: &[Id],
        span: Span,
    ) -> Result<(), ParseError> {
        let count = arguments.len();
        if count < function.count_min || count > function.count_max {
            let due = match (function.count_min, function.count_max) {
                (min, max) if min == max => format!("{min}"),
                (min, usize::MAX) => format!("at least {min}"),
                (min, max) => format!("{min} to {max}"),
            };
            let noun = if due == "1" { "argument" } else { "arguments" };
            let message = format!("`{}` takes {due} {noun}, not {count}", function.name);
            return Err(self.error(span, message));
        }
        for (at, argument) in arguments.iter().enumerate() {
            let due = function.arguments.get(at).or(function.arguments.last());
            self.check_type(*argument, due.copied(), function.name)?;
        }
        Ok(())
    }

    pub(super) fn check_type(
        &self,
        argument: Id,
        due: Option<ValueType>,
        name: &str,
    ) -> Result<(), ParseError> {
        let found = self.value_type(argument);
        match due {
            Some(due) if due != found => {
                let message =
                    format!("`{name}` takes {} here, not {}", article(due), article(found));
                Err(self.error(self.span(argument), message))
            }
            _ => Ok(()),
        }
    }
}

fn article(value_type: ValueType) -> String {
    let article = if value_type == ValueType::Vector { "an" } else { "a" };
    format!("{article} {value_type}")
}
