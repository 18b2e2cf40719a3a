//! Selectors with their matchers, ranges, subqueries, `offset` and `@`.

use std::sync::Arc;

use super::super::ParseError;
use super::super::lexer::{Token, error};
use super::super::tree::{At, Id, Kind, Operator, Selection, Shift, Span, ValueType};
use super::Parser;
use crate::model::{Labels, MatchOp, Matcher};

impl Parser<'_> {
    /// Matchers after a metric's name, if any; or by themselves.
    pub(super) fn selector(&mut self, name: Option<(String, Span)>) -> Result<Id, ParseError> {
        let span = name.as_ref().map_or(self.here(), |(_, span)| *span);
        let mut selection = Selection {
            name: name.map(|(name, _)| Arc::from(name)),
            matchers: Vec::new(),
            range_ms: None,
            shift: Shift::default(),
        };
        // By a text alone, which stands for the name.
        let mut is_named = false;
        if self.take(&Token::OpenBrace) {
            while !self.take(&Token::CloseBrace) {
                is_named |= self.matcher(&mut selection)?;
                if self.word() == "or" {
                    let message = "`or` between matchers is not supported";
                    return Err(self.error(self.here(), message));
                }
                if self.peek() != &Token::CloseBrace {
                    self.expect(&Token::Comma, "`,` or `}` is due")?;
                }
            }
        }
        let mut names = selection.matchers.iter().filter(|matcher| matcher.name() == Labels::NAME);
        match (selection.name.clone(), names.next(), names.next()) {
            // Inside the braces, as many conditions on the name may stand as on any label.
            (Some(_), Some(_), _) => {
                return Err(self.error(span, "the metric's name is set twice"));
            }
            (Some(name), None, _) => {
                let matcher = self.build(Labels::NAME, MatchOp::Equal, &name, span)?;
                selection.matchers.push(matcher);
            }
            (None, Some(one), None) if one.op() == MatchOp::Equal && is_named => {
                selection.name = Some(Arc::from(one.value()));
            }
            (None, _, _) => {}
        }
        if selection.matchers.iter().all(|matcher| matcher.matches("")) {
            let message =
                "a selector needs at least one matcher that does not match the empty text";
            return Err(self.error(span, message));
        }
        Ok(self.push(Kind::Selection(selection), span.start, ValueType::Vector))
    }

    /// One condition; whether it is the name in quotes.
    fn matcher(&mut self, selection: &mut Selection) -> Result<bool, ParseError> {
        let span = self.here();
        let (label, is_quoted) = match self.peek() {
            Token::Word => (self.slice(span).to_owned(), false),
            Token::Text(text) => (text.clone(), true),
            _ => return Err(self.unexpected("a matcher is due")),
        };
        self.advance();
        let op = match self.peek() {
            Token::Assign => MatchOp::Equal,
            Token::Operator(Operator::NotEqual) => MatchOp::NotEqual,
            Token::Like => MatchOp::Regex,
            Token::Unlike => MatchOp::NotRegex,
            Token::Comma | Token::CloseBrace if is_quoted => {
                return self.named(selection, &label, span).map(|()| true);
            }
            _ => return Err(self.unexpected("`=`, `!=`, `=~` or `!~` is due")),
        };
        // A quoted name may be empty, as in Prometheus: no series has such a label.
        self.advance();
        let value = match self.peek() {
            Token::Text(text) => text.clone(),
            _ => return Err(self.unexpected("a string is due")),
        };
        let value_span = self.here();
        let matcher = self.build(&label, op, &value, value_span)?;
        self.advance();
        selection.matchers.push(matcher);
        Ok(false)
    }

    fn named(
        &mut self,
        selection: &mut Selection,
        name: &str,
        span: Span,
    ) -> Result<(), ParseError> {
        if name.is_empty() {
            return Err(self.error(span, "a metric's name is empty"));
        }
        if selection.name.is_some() {
            return Err(self.error(span, "the metric's name is set twice"));
        }
        let matcher = self.build(Labels::NAME, MatchOp::Equal, name, span)?;
        selection.matchers.push(matcher);
        Ok(())
    }

    fn build(
        &mut self,
        label: &str,
        op: MatchOp,
        value: &str,
        span: Span,
    ) -> Result<Matcher, ParseError> {
        Matcher::within(label, op, value, &mut self.regexes)
            .map_err(|why| self.error(span, why.to_string()))
    }

    /// What may follow an operand: a range, a subquery, `offset`, `@`.
    pub(super) fn modifiers(&mut self, mut id: Id) -> Result<Id, ParseError> {
        loop {
            match self.peek() {
                Token::OpenBracket => id = self.bracket(id)?,
                Token::At => self.at(id)?,
                Token::Word => match self.word().as_str() {
                    "offset" => self.offset(id)?,
                    word @ ("anchored" | "smoothed") => {
                        let message =
                            format!("`{word}` is experimental in Prometheus and is not supported");
                        return Err(self.error(self.here(), message));
                    }
                    _ => return Ok(id),
                },
                _ => return Ok(id),
            }
        }
    }

    fn bracket(&mut self, id: Id) -> Result<Id, ParseError> {
        let span = self.here();
        self.advance();
        let range_ms = self.positive_duration("]")?;
        if !self.take(&Token::Colon) {
            self.expect(&Token::CloseBracket, "`]` or `:` is due")?;
            return self.ranged(id, range_ms, span);
        }
        let step_ms = match self.peek() {
            Token::CloseBracket => None,
            _ => Some(self.positive_duration("]")?),
        };
        self.expect(&Token::CloseBracket, "`]` is due")?;
        let found = self.value_type(id);
        if found != ValueType::Vector {
            let message = format!("a subquery stands after an instant vector, not after a {found}");
            return Err(self.error(self.span(id), message));
        }
        let start = self.span(id).start;
        let kind = Kind::Subquery { inner: id, range_ms, step_ms, shift: Shift::default() };
        Ok(self.push(kind, start, ValueType::Matrix))
    }

    fn ranged(&mut self, id: Id, range_ms: i64, span: Span) -> Result<Id, ParseError> {
        let end = self.end();
        let text = self.text;
        let refuse = |message: &str| error(text, span.start as usize, message);
        let node = &mut self.tree.nodes[id.0 as usize];
        let Kind::Selection(selection) = &mut node.kind else {
            return Err(refuse("a range stands after a selector only"));
        };
        if selection.range_ms.is_some() {
            return Err(refuse("the selector has a range already"));
        }
        if selection.shift.offset_ms.is_some() || selection.shift.at.is_some() {
            return Err(refuse("a range stands before `offset` and `@`"));
        }
        selection.range_ms = Some(range_ms);
        node.value_type = ValueType::Matrix;
        node.span.end = end;
        Ok(id)
    }

    /// The time shift of what `offset` or `@` is written after.
    fn shift(&mut self, id: Id, modifier: Span) -> Result<&mut Shift, ParseError> {
        let (text, end) = (self.text, self.end());
        let node = &mut self.tree.nodes[id.0 as usize];
        match &mut node.kind {
            Kind::Selection(Selection { shift, .. }) | Kind::Subquery { shift, .. } => {
                node.span.end = end;
                Ok(shift)
            }
            _ => {
                let range = modifier.start as usize..modifier.end as usize;
                let written = text[range].to_ascii_lowercase();
                let message = format!("`{written}` stands after a selector or a subquery only");
                Err(error(text, modifier.start as usize, message))
            }
        }
    }

    fn offset(&mut self, id: Id) -> Result<(), ParseError> {
        let span = self.here();
        self.advance();
        let offset_ms = self.signed_duration()?;
        let shift = self.shift(id, span)?;
        if shift.offset_ms.replace(offset_ms).is_some() {
            return Err(self.error(span, "`offset` is set twice"));
        }
        Ok(())
    }

    fn at(&mut self, id: Id) -> Result<(), ParseError> {
        let span = self.here();
        self.advance();
        let at = match self.word().as_str() {
            word @ ("start" | "end") if self.peek_after(1) == &Token::OpenParen => {
                let at = if word == "start" { At::Start } else { At::End };
                self.advance();
                self.advance();
                self.expect(&Token::CloseParen, "`)` is due")?;
                at
            }
            _ => At::Millis(self.signed_duration()?),
        };
        let shift = self.shift(id, span)?;
        if shift.at.replace(at).is_some() {
            return Err(self.error(span, "`@` is set twice"));
        }
        Ok(())
    }

    fn positive_duration(&mut self, closing: &str) -> Result<i64, ParseError> {
        let span = self.here();
        let millis = self.signed_duration()?;
        match self.peek() {
            Token::Operator(_) => return Err(self.refuse_arithmetic()),
            Token::CloseBracket | Token::Colon => {}
            _ => return Err(self.unexpected(&format!("`{closing}` is due"))),
        }
        if millis <= 0 {
            return Err(self.error(span, "a range or a step is greater than 0"));
        }
        Ok(millis)
    }

    fn signed_duration(&mut self) -> Result<i64, ParseError> {
        let is_negative = match self.peek() {
            Token::Operator(Operator::Subtract) => true,
            Token::Operator(Operator::Add) => false,
            _ => return self.duration(),
        };
        self.advance();
        let millis = self.duration()?;
        Ok(if is_negative { -millis } else { millis })
    }

    /// A duration, or a number of seconds.
    fn duration(&mut self) -> Result<i64, ParseError> {
        let span = self.here();
        let word = self.word();
        let millis = match self.peek() {
            Token::Duration(millis) => *millis as f64,
            Token::Number(seconds) => (seconds * 1000.0).round(),
            Token::Word if word == "inf" || word == "nan" => f64::INFINITY,
            Token::OpenParen => return Err(self.refuse_arithmetic()),
            Token::Word
                if matches!(
                    word.as_str(),
                    "step" | "range" | "min" | "max" | "min_of" | "max_of"
                ) && self.peek_after(1) == &Token::OpenParen =>
            {
                return Err(self.refuse_arithmetic());
            }
            _ => return Err(self.unexpected("a duration is due")),
        };
        // Go's durations, 292 years, bound Prometheus's.
        if millis.abs() > 9.2e12 {
            let written = self.slice(span).to_owned();
            return Err(self.error(span, format!("`{written}` is out of range")));
        }
        self.advance();
        Ok(millis as i64)
    }

    fn refuse_arithmetic(&self) -> ParseError {
        let message = "arithmetic on durations is experimental in Prometheus and is not supported";
        self.error(self.here(), message)
    }
}
