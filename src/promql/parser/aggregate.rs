//! Aggregations: the grouping stands before or after the arguments.

use std::sync::Arc;

use super::super::ParseError;
use super::super::lexer::Token;
use super::super::tree::{Aggregator, Grouping, Id, Kind, ValueType};
use super::Parser;

impl Parser<'_> {
    /// An aggregation; the next token is its operator.
    pub(super) fn aggregate(&mut self, operator: Aggregator) -> Result<Id, ParseError> {
        let span = self.here();
        self.advance();
        let before = self.grouping()?;
        let arguments = self.arguments(None)?;
        let grouping = match before {
            Some(grouping) => grouping,
            None => self.grouping()?.unwrap_or_default(),
        };
        let count = 1 + usize::from(operator.parameter().is_some());
        let name = operator.as_str();
        let (Some(&operand), true) = (arguments.last(), arguments.len() == count) else {
            let noun = if count == 1 { "argument" } else { "arguments" };
            let message = format!("`{name}` takes {count} {noun}, not {}", arguments.len());
            return Err(self.error(span, message));
        };
        let parameter = arguments.first().copied().filter(|_| count == 2);
        if let Some(parameter) = parameter {
            self.check_type(parameter, operator.parameter(), name)?;
        }
        self.check_type(operand, Some(ValueType::Vector), name)?;
        let kind = Kind::Aggregate { operator, grouping, parameter, operand };
        Ok(self.push(kind, span.start, ValueType::Vector))
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        let is_without = match self.word().as_str() {
            "by" => false,
            "without" => true,
            _ => return Ok(None),
        };
        self.advance();
        let labels = self.labels()?;
        Ok(Some(Grouping { is_without, labels }))
    }

    /// Names of labels between parentheses; a comma may stand after the last.
    pub(super) fn labels(&mut self) -> Result<Vec<Arc<str>>, ParseError> {
        self.expect(&Token::OpenParen, "`(` is due")?;
        let mut labels = Vec::new();
        while !self.take(&Token::CloseParen) {
            let span = self.here();
            let name = match self.peek() {
                Token::Word => self.slice(span).to_owned(),
                Token::Text(text) => text.clone(),
                _ => return Err(self.unexpected("the name of a label is due")),
            };
            if name.is_empty() {
                return Err(self.error(span, "a label's name is empty"));
            }
            self.advance();
            labels.push(Arc::from(name));
            if self.peek() != &Token::CloseParen {
                self.expect(&Token::Comma, "`,` or `)` is due")?;
            }
        }
        Ok(labels)
    }
}
