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
use crate::model::RegexRoom;

/// How deep an expression may nest. Written ones stay below 20; a thread's stack holds far more.
const DEPTH_MAX: usize = 128;

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Result<Tree, ParseError> {
    let tokens = tokens(text)?;
    let regexes = RegexRoom::default();
    let mut parser = Parser { text, tokens, next: 0, tree: Tree::default(), depth: 0, regexes };
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
    /// Shared by all matchers.
    regexes: RegexRoom,
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
            let message = format!(
                "the expression nests deeper than {DEPTH_MAX} levels; record inner parts by rules of \
                 their own"
            );
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

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn a_mistake_is_reported_at_its_token() {
        for (text, message) in [
            ("", "1:1: unexpected end of the expression, an expression is due"),
            ("sum(", "1:5: unexpected end of the expression, an expression is due"),
            ("sum(x))", "1:7: unexpected `)`, the expression is over before it"),
            ("rate(x)", "1:6: `rate` takes a range vector here, not an instant vector"),
            ("x\n + rates(x[5m])", "2:4: unknown function `rates`"),
            ("rate(x[5m], 1)", "1:1: `rate` takes 1 argument, not 2"),
            ("clamp(x)", "1:1: `clamp` takes 3 arguments, not 1"),
            ("round()", "1:1: `round` takes 1 to 2 arguments, not 0"),
            ("topk(x)", "1:1: `topk` takes 2 arguments, not 1"),
            ("topk(\"3\", x)", "1:6: `topk` takes a scalar here, not a string"),
            ("sum(1)", "1:5: `sum` takes an instant vector here, not a scalar"),
            ("1 and x", "1:3: `and` takes no scalar"),
            ("1 > 2", "1:3: a comparison between scalars needs the `bool` modifier"),
            ("x + bool y", "1:5: the `bool` modifier stands at comparisons only"),
            ("x + on(a) 1", "1:5: `on` and `ignoring` match instant vectors only"),
            ("x and on(a) group_left() y", "1:7: `and` takes no grouping"),
            ("x + on(a) group_left(a) y", "1:11: label `a` stands in `on` and in the grouping"),
            ("x[5m] + y", "1:1: `+` takes scalars and instant vectors, not a range vector"),
            (
                "-x[5m]",
                "1:1: a sign stands before a scalar or an instant vector, not before a range vector",
            ),
            ("x offset 5m offset 1m", "1:13: `offset` is set twice"),
            ("x @ 1 @ 2", "1:7: `@` is set twice"),
            ("(x) offset 5m", "1:5: `offset` stands after a selector or a subquery only"),
            ("x offset 5m [5m]", "1:13: a range stands before `offset` and `@`"),
            ("sum(x)[5m]", "1:7: a range stands after a selector only"),
            (
                "x[5m][5m:]",
                "1:1: a subquery stands after an instant vector, not after a range vector",
            ),
            ("x[0]", "1:3: a range or a step is greater than 0"),
            ("x[-5m]", "1:3: a range or a step is greater than 0"),
            ("x[5]m", "1:5: unexpected `m`, the expression is over before it"),
            ("x[5m", "1:5: unexpected end of the expression, `]` is due"),
            ("x[999999999y]", "1:3: `999999999y` is neither a number nor a duration"),
            ("1.5h", "1:1: `1.5h` is neither a number nor a duration"),
            ("x @ Inf", "1:5: `Inf` is out of range"),
            ("{}", "1:1: a selector needs at least one matcher that does not match the empty text"),
            (
                "{a=~\".*\"}",
                "1:1: a selector needs at least one matcher that does not match the empty text",
            ),
            ("x{a=b}", "1:5: unexpected `b`, a string is due"),
            ("x{a}", "1:4: unexpected `}`, `=`, `!=`, `=~` or `!~` is due"),
            ("x{a=\"b\" c=\"d\"}", "1:9: unexpected `c`, `,` or `}` is due"),
            ("x{\"y\"}", "1:3: the metric's name is set twice"),
            ("1 + x{__name__=~\"y\"}", "1:5: the metric's name is set twice"),
            ("x{a=\"b}", "1:5: the string is not closed"),
            ("x{a=\"\\q\"}", "1:6: unknown escape sequence"),
            ("a !b", "1:3: `!` is no operator; `!=` and `!~` are"),
            ("a $ b", "1:3: unexpected character '$'"),
            ("\u{e4}", "1:1: unexpected character '\u{e4}'"),
            ("sum by (\"\") (x)", "1:9: a label's name is empty"),
            ("sum by (a b) (x)", "1:11: unexpected `b`, `,` or `)` is due"),
            ("f(x,)", "1:1: unknown function `f`"),
            ("abs(x,)", "1:7: unexpected `)`, an argument is due"),
            ("x y", "1:3: unexpected `y`, the expression is over before it"),
            ("on", "1:1: unexpected `on`, an expression is due"),
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("`{text}` is no expression"));
            assert_eq!(error.to_string(), message, "`{text}`");
        }
    }

    #[test]
    fn a_bad_regular_expression_is_refused_at_its_place() {
        let error = parse("up + x{a=~\"(\"}").expect_err("the group is not closed");
        assert_eq!((error.line, error.column), (1, 11));
        assert!(error.message.starts_with("`(` is not a regular expression: "), "{error}");
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        for (text, message) in [
            (
                "1 + histogram_count(x)",
                "1:5: `histogram_count` reads native histograms, which is not supported",
            ),
            ("limitk(2, x)", "1:1: `limitk` is experimental in Prometheus and is not supported"),
            (
                "limit_ratio by (a) (2, x)",
                "1:1: `limit_ratio` is experimental in Prometheus and is not supported",
            ),
            ("info(x)", "1:1: `info` is experimental in Prometheus and is not supported"),
            ("step()", "1:1: `step` is experimental in Prometheus and is not supported"),
            ("x anchored", "1:3: `anchored` is experimental in Prometheus and is not supported"),
            (
                "rate(x[5m] smoothed)",
                "1:12: `smoothed` is experimental in Prometheus and is not supported",
            ),
            ("x + fill(0) y", "1:5: `fill` is experimental in Prometheus and is not supported"),
            (
                "x[5m+1m]",
                "1:5: arithmetic on durations is experimental in Prometheus and is not supported",
            ),
            (
                "x[step()]",
                "1:3: arithmetic on durations is experimental in Prometheus and is not supported",
            ),
            ("x >/ 1", "1:3: `</` and `>/` trim native histograms, which is not supported"),
            ("x{a=\"b\" or c=\"d\"}", "1:9: `or` between matchers is not supported"),
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("`{text}` is not built"));
            assert_eq!(error.to_string(), message, "`{text}`");
        }
    }

    #[test]
    fn keywords_name_metrics_and_labels_where_they_can() {
        for text in [
            "sum",
            "by{by=\"x\"}",
            "offset offset 5m",
            "and and and",
            "start + end",
            "rate + 1",
            "sum by (by, on, offset) (without)",
            "NaN + iNf",
            "x{le=\"0.5\",}",
            "sum(x) by (a,)",
            "step",
            "fill",
            "x + on () group_left y",
            "limitk",
            "bool:x",
            ":x",
        ] {
            assert!(parse(text).is_ok(), "`{text}`: {:?}", parse(text).err());
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        for text in [
            "(".repeat(100_000),
            format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000)),
            "-".repeat(100_000),
            "abs(".repeat(50_000),
            "1^".repeat(50_000),
        ] {
            let message = parse(&text).expect_err("no expression").message;
            assert_eq!(
                message,
                "the expression nests deeper than 128 levels; record inner parts by rules of their own"
            );
        }
        let message = parse(&"1+".repeat(200_000)).expect_err("too long").message;
        assert_eq!(
            message,
            "the expression is longer than 256 KiB; record parts of it by rules of their own, or \
             select by a regular expression instead of a chain"
        );
    }

    #[test]
    fn a_long_chain_is_no_deep_nesting() {
        let text = vec!["x{a=\"b\"}"; 20_000].join(" or ");
        let expression = parse(&text).expect("a chain");
        assert_eq!(expression.selectors().len(), 20_000);
        assert_eq!(expression.to_string(), text);
        // Only that these end: the time of a chain grows with its length, not with its square.
        for part in ["x offset 5m", "x @ 1", "sum by (a) (x)", "-x", "(x)"] {
            assert!(parse(&vec![part; 10_000].join(" - ")).is_ok(), "{part}");
        }
    }
}
