//! Binary operators, their modifiers, and which operands they take.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::ParseError;
use super::super::lexer::Token;
use super::super::tree::{Group, Id, Kind, Matching, Operator, Span, ValueType};
use super::Parser;

impl Parser<'_> {
    /// An operator and its right operand; the next token is the operator.
    pub(super) fn binary(&mut self, operator: Operator, left: Id) -> Result<Id, ParseError> {
        let span = self.here();
        self.advance();
        let is_bool = self.boolean(operator)?;
        let matching_span = self.here();
        let matching = self.matching()?;
        // Only `^` groups from the right.
        let power = operator.power();
        let right = self.expression(if operator == Operator::Power { power } else { power + 1 })?;
        self.check_operands(operator, left, right, span)?;
        let is_scalar = |id: Id| self.value_type(id) == ValueType::Scalar;
        if operator.is_comparison() && !is_bool && is_scalar(left) && is_scalar(right) {
            let message = "a comparison between scalars needs the `bool` modifier";
            return Err(self.error(span, message));
        }
        let of_vectors = !is_scalar(left) && !is_scalar(right);
        let matching = match matching {
            Some(matching) if !of_vectors && !matching.labels.is_empty() => {
                let message = "`on` and `ignoring` match instant vectors only";
                return Err(self.error(matching_span, message));
            }
            Some(matching) if operator.is_set() && matching.group.is_some() => {
                let message = format!("`{}` takes no grouping", operator.as_str());
                return Err(self.error(matching_span, message));
            }
            matching => matching.filter(|_| of_vectors),
        };
        let is_vector = !is_scalar(left) || !is_scalar(right);
        let value_type = if is_vector { ValueType::Vector } else { ValueType::Scalar };
        let start = self.span(left).start;
        let kind = Kind::Binary { operator, is_bool, matching, left, right };
        Ok(self.push(kind, start, value_type))
    }

    fn boolean(&mut self, operator: Operator) -> Result<bool, ParseError> {
        // `bool` may not name a metric, so this is the modifier.
        if self.word() != "bool" {
            return Ok(false);
        }
        if !operator.is_comparison() {
            let message = "the `bool` modifier stands at comparisons only";
            return Err(self.error(self.here(), message));
        }
        self.advance();
        Ok(true)
    }

    fn matching(&mut self) -> Result<Option<Matching>, ParseError> {
        let is_on = match self.word().as_str() {
            "on" => true,
            "ignoring" => false,
            _ => {
                self.refuse_fill()?;
                return Ok(None);
            }
        };
        self.advance();
        let labels = self.labels()?;
        let many_is_left = match self.word().as_str() {
            "group_left" => true,
            "group_right" => false,
            _ => {
                self.refuse_fill()?;
                return Ok(Some(Matching { is_on, labels, group: None }));
            }
        };
        let span = self.here();
        self.advance();
        let include = if self.peek() == &Token::OpenParen { self.labels()? } else { Vec::new() };
        // A set, since both lists may be as long as the text allows.
        let matched: BTreeSet<&Arc<str>> = labels.iter().filter(|_| is_on).collect();
        if let Some(label) = include.iter().find(|label| matched.contains(label)) {
            let message = format!("label `{label}` stands in `on` and in the grouping");
            return Err(self.error(span, message));
        }
        self.refuse_fill()?;
        Ok(Some(Matching { is_on, labels, group: Some(Group { many_is_left, include }) }))
    }

    fn refuse_fill(&self) -> Result<(), ParseError> {
        let word = self.word();
        let is_fill = matches!(word.as_str(), "fill" | "fill_left" | "fill_right");
        if is_fill && self.peek_after(1) == &Token::OpenParen {
            let message = format!("`{word}` is experimental in Prometheus and is not supported");
            return Err(self.error(self.here(), message));
        }
        Ok(())
    }

    fn check_operands(
        &self,
        operator: Operator,
        left: Id,
        right: Id,
        span: Span,
    ) -> Result<(), ParseError> {
        for id in [left, right] {
            let found = self.value_type(id);
            if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                let message = format!(
                    "`{}` takes scalars and instant vectors, not a {found}",
                    operator.as_str()
                );
                return Err(self.error(self.span(id), message));
            }
            if operator.is_set() && found == ValueType::Scalar {
                let message = format!("`{}` takes no scalar", operator.as_str());
                return Err(self.error(span, message));
            }
        }
        Ok(())
    }
}
