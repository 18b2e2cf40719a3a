//! Tokens into a typed tree, by binding power.
//!
//! Chains of operators are a loop; only nesting recurses, and is bounded. Types are checked when a
//! node is made, so that a mistake is reported at its own place.

mod aggregate;
mod binary;
mod call;
mod selector;

use std::sync::Arc;

use super::function;
use super::lexer::{Token, error, tokens};
use super::tree::{Aggregator, Id, Kind, Node, Operator, Span, Tree, ValueType};
use super::{ParseError, unquote};

/// How deep an expression may nest. Written ones stay below 20; a thread's stack holds far more.
const DEPTH_MAX: usize = 128;

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Result<Tree, ParseError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens, next: 0, tree: Tree::default(), depth: 0 };
    if parser.peek() == &Token::End {
        return Err(parser.unexpected("an expression is due"));
    }
    let root = parser.expression(0)?;
    if parser.peek() != &Token::End {
        return Err(parser.unexpected("the expression is over before it"));
    }
    debug_assert_eq!(root, parser.tree.root(), "a node is made after its children");
    Ok(parser.tree)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, Span)>,
    next: usize,
    tree: Tree,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.peek_after(0)
    }

    fn peek_after(&self, count: usize) -> &Token {
        // The last token is the end, and stays so.
        let at = (self.next + count).min(self.tokens.len() - 1);
        &self.tokens[at].0
    }

    /// The place of the next token.
    fn here(&self) -> Span {
        self.tokens[self.next.min(self.tokens.len() - 1)].1
    }

    /// The end of the last token taken.
    fn end(&self) -> u32 {
        self.tokens[self.next.saturating_sub(1)].1.end
    }

    fn advance(&mut self) {
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    fn take(&mut self, token: &Token) -> bool {
        let is_next = self.peek() == token;
        if is_next {
            self.advance();
        }
        is_next
    }

    fn expect(&mut self, token: &Token, due: &str) -> Result<(), ParseError> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected(due)) }
    }

    fn slice(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }

    /// The next token as a lower-case keyword; empty where it is no word.
    fn word(&self) -> String {
        self.word_after(0)
    }

    fn word_after(&self, count: usize) -> String {
        match self.peek_after(count) {
            Token::Word => self.slice(self.tokens[self.next + count].1).to_ascii_lowercase(),
            _ => String::new(),
        }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        error(self.text, span.start as usize, message)
    }

    fn unexpected(&self, due: &str) -> ParseError {
        let span = self.here();
        let found = match self.peek() {
            Token::End => "unexpected end of the expression".to_owned(),
            _ => format!("unexpected `{}`", self.slice(span)),
        };
        self.error(span, format!("{found}, {due}"))
    }

    fn push(&mut self, kind: Kind, start: u32, value_type: ValueType) -> Id {
        let span = Span { start, end: self.end() };
        self.tree.nodes.push(Node { kind, span, value_type });
        self.tree.root()
    }

    fn span(&self, id: Id) -> Span {
        self.tree.node(id).span
    }

    fn value_type(&self, id: Id) -> ValueType {
        self.tree.node(id).value_type
    }

    /// Parses operators that bind at least as tightly as `power`.
    fn expression(&mut self, power: u8) -> Result<Id, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("the expression nests deeper than {DEPTH_MAX} levels");
            return Err(self.error(self.here(), message));
        }
        let mut left = self.operand()?;
        while let Some(operator) = self.infix()? {
            if operator.power() < power {
                break;
            }
            left = self.binary(operator, left)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn infix(&self) -> Result<Option<Operator>, ParseError> {
        Ok(match self.peek() {
            Token::Operator(operator) => Some(*operator),
            Token::Trim => {
                let message = "`</` and `>/` trim native histograms, which is not supported";
                return Err(self.error(self.here(), message));
            }
            Token::Word => match self.word().as_str() {
                "or" => Some(Operator::Or),
                "and" => Some(Operator::And),
                "unless" => Some(Operator::Unless),
                "atan2" => Some(Operator::Atan2),
                _ => None,
            },
            _ => None,
        })
    }

    /// An operand with its signs and its modifiers.
    fn operand(&mut self) -> Result<Id, ParseError> {
        let start = self.here().start;
        match self.peek() {
            Token::Operator(sign @ (Operator::Add | Operator::Subtract)) => {
                let is_negation = *sign == Operator::Subtract;
                self.advance();
                self.unary(is_negation, start)
            }
            _ => {
                let primary = self.primary()?;
                self.modifiers(primary)
            }
        }
    }

    /// A sign binds as `*` does: `-2^2` is -4.
    fn unary(&mut self, is_negation: bool, start: u32) -> Result<Id, ParseError> {
        let operand = self.expression(Operator::Power.power())?;
        let value_type = self.value_type(operand);
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            let message = format!(
                "a sign stands before a scalar or an instant vector, not before a {value_type}"
            );
            return Err(self.error(Span { start, end: start }, message));
        }
        let end = self.end();
        let node = &mut self.tree.nodes[operand.0 as usize];
        if let Kind::Number { value, .. } = &mut node.kind {
            *value = if is_negation { -*value } else { *value };
            node.span = Span { start, end };
            return Ok(operand);
        }
        Ok(self.push(Kind::Unary { is_negation, operand }, start, value_type))
    }

    fn primary(&mut self) -> Result<Id, ParseError> {
        let span = self.here();
        match self.peek().clone() {
            Token::Number(value) => {
                self.advance();
                let kind = Kind::Number { value, as_duration: false };
                Ok(self.push(kind, span.start, ValueType::Scalar))
            }
            Token::Duration(millis) => {
                self.advance();
                let kind = Kind::Number { value: millis as f64 / 1000.0, as_duration: true };
                Ok(self.push(kind, span.start, ValueType::Scalar))
            }
            Token::Text(text) => {
                self.advance();
                Ok(self.push(Kind::Text(Arc::from(text)), span.start, ValueType::String))
            }
            Token::Bytes(bytes) => {
                let quoted = unquote::quote_bytes(&bytes);
                Err(self.error(span, format!("the string {quoted} is not UTF-8")))
            }
            Token::OpenParen => {
                self.advance();
                let inner = self.expression(0)?;
                self.expect(&Token::CloseParen, "`)` is due")?;
                let value_type = self.value_type(inner);
                Ok(self.push(Kind::Paren(inner), span.start, value_type))
            }
            Token::OpenBrace => self.selector(None),
            Token::Word => self.name(),
            _ => Err(self.unexpected("an expression is due")),
        }
    }

    /// A number, a call, an aggregation or a metric: they all start with a word.
    fn name(&mut self) -> Result<Id, ParseError> {
        let span = self.here();
        let written = self.slice(span).to_owned();
        let word = self.word();
        if let Some(value) = match word.as_str() {
            "inf" => Some(f64::INFINITY),
            "nan" => Some(f64::NAN),
            _ => None,
        } {
            self.advance();
            let kind = Kind::Number { value, as_duration: false };
            return Ok(self.push(kind, span.start, ValueType::Scalar));
        }
        let is_called = self.peek_after(1) == &Token::OpenParen;
        let is_grouped = matches!(self.word_after(1).as_str(), "by" | "without");
        if is_called || is_grouped {
            if let Some(operator) = Aggregator::parse(&word) {
                return self.aggregate(operator);
            }
            if matches!(word.as_str(), "limitk" | "limit_ratio") {
                let message = function::refusal(&word).unwrap_or_default();
                return Err(self.error(span, message));
            }
        }
        if is_called {
            return self.call(&written);
        }
        if matches!(
            word.as_str(),
            "atan2" | "bool" | "group_left" | "group_right" | "ignoring" | "on"
        ) {
            return Err(self.unexpected("an expression is due"));
        }
        self.advance();
        self.selector(Some((written, span)))
    }
}
