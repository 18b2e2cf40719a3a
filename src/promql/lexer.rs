//! Text into tokens.
//!
//! Keywords are words here: most of them may also name a metric or a label, so only the parser knows
//! what they are. Inside braces and brackets a name has no colon, as in Prometheus.

use super::ParseError;
use super::tree::{Operator, Span};
use super::unquote::{Unquoted, unquote};
use crate::model::parse_duration;

/// How long an expression may be. Generated ones reach some thousand bytes.
const BYTES_MAX: usize = 256 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or a keyword.
    Word,
    Number(f64),
    /// In milliseconds.
    Duration(i64),
    Text(String),
    /// A string whose escapes spell no UTF-8.
    Bytes(Vec<u8>),
    Operator(Operator),
    /// `=`
    Assign,
    /// `=~`
    Like,
    /// `!~`
    Unlike,
    /// `</` or `>/`, which cut native histograms.
    Trim,
    OpenParen,
    CloseParen,
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    Comma,
    Colon,
    At,
    End,
}

/// The place of a byte: line, and column in characters, both from 1.
pub(super) fn place(text: &str, byte: usize) -> (u32, u32) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

pub(super) fn error(text: &str, byte: usize, message: impl Into<String>) -> ParseError {
    let (line, column) = place(text, byte);
    ParseError { line, column, message: message.into() }
}

/// Splits a text into tokens; the last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, ParseError> {
    if text.len() > BYTES_MAX {
        let message = format!(
            "the expression is longer than {} KiB; record parts of it by rules of their own, or \
             select by a regular expression instead of a chain",
            BYTES_MAX / 1024
        );
        return Err(error(text, 0, message));
    }
    let mut lexer = Lexer { text, at: 0, has_colons: false };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank();
        let start = lexer.at;
        let token = lexer.next()?;
        let is_end = token == Token::End;
        // Lengths are far below 4 GiB, see `BYTES_MAX`.
        tokens.push((token, Span { start: start as u32, end: lexer.at as u32 }));
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Inside brackets and braces a colon is a token, outside it is part of a name.
    has_colons: bool,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest().trim_start_matches([' ', '\t', '\n', '\r']);
            self.at = self.text.len() - rest.len();
            if !rest.starts_with('#') {
                return;
            }
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    fn next(&mut self) -> Result<Token, ParseError> {
        let bytes = self.rest().as_bytes();
        let second = bytes.get(1).copied();
        let (token, length) = match bytes.first() {
            None => return Ok(Token::End),
            Some(b'(') => (Token::OpenParen, 1),
            Some(b')') => (Token::CloseParen, 1),
            Some(b'{') => {
                self.has_colons = true;
                (Token::OpenBrace, 1)
            }
            Some(b'}') => {
                self.has_colons = false;
                (Token::CloseBrace, 1)
            }
            Some(b'[') => {
                self.has_colons = true;
                (Token::OpenBracket, 1)
            }
            Some(b']') => {
                self.has_colons = false;
                (Token::CloseBracket, 1)
            }
            Some(b',') => (Token::Comma, 1),
            Some(b'@') => (Token::At, 1),
            Some(b':') if self.has_colons || !second.is_some_and(is_name_byte) => (Token::Colon, 1),
            Some(b'+') => (Token::Operator(Operator::Add), 1),
            Some(b'-') => (Token::Operator(Operator::Subtract), 1),
            Some(b'*') => (Token::Operator(Operator::Multiply), 1),
            Some(b'/') => (Token::Operator(Operator::Divide), 1),
            Some(b'%') => (Token::Operator(Operator::Modulo), 1),
            Some(b'^') => (Token::Operator(Operator::Power), 1),
            Some(b'=') => match second {
                Some(b'=') => (Token::Operator(Operator::Equal), 2),
                Some(b'~') => (Token::Like, 2),
                _ => (Token::Assign, 1),
            },
            Some(b'!') => match second {
                Some(b'=') => (Token::Operator(Operator::NotEqual), 2),
                Some(b'~') => (Token::Unlike, 2),
                _ => return Err(self.error("`!` is no operator; `!=` and `!~` are")),
            },
            Some(b'<') => match second {
                Some(b'=') => (Token::Operator(Operator::LessEqual), 2),
                Some(b'/') => (Token::Trim, 2),
                _ => (Token::Operator(Operator::Less), 1),
            },
            Some(b'>') => match second {
                Some(b'=') => (Token::Operator(Operator::GreaterEqual), 2),
                Some(b'/') => (Token::Trim, 2),
                _ => (Token::Operator(Operator::Greater), 1),
            },
            Some(b'"' | b'\'' | b'`') => return self.string(),
            Some(b'0'..=b'9') => return self.number(),
            Some(b'.') if second.is_some_and(|byte| byte.is_ascii_digit()) => return self.number(),
            Some(byte) if is_name_byte(*byte) => {
                let stops = |byte: u8| !is_name_byte(byte) || byte == b':' && self.has_colons;
                (Token::Word, bytes.iter().take_while(|byte| !stops(**byte)).count())
            }
            Some(_) => {
                let character = self.rest().chars().next().unwrap_or_default();
                return Err(self.error(format!("unexpected character {character:?}")));
            }
        };
        self.at += length;
        Ok(token)
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        error(self.text, self.at, message)
    }

    fn string(&mut self) -> Result<Token, ParseError> {
        let rest = self.rest();
        let quote = rest.as_bytes()[0];
        let mut is_escaped = false;
        let end = rest.bytes().enumerate().skip(1).find_map(|(at, byte)| {
            if quote != b'`' && byte == b'\n' {
                return Some(Err(()));
            }
            let closes = byte == quote && !is_escaped;
            is_escaped = quote != b'`' && byte == b'\\' && !is_escaped;
            closes.then_some(Ok(at + 1))
        });
        let Some(Ok(end)) = end else { return Err(self.error("the string is not closed")) };
        let token = match unquote(&rest[..end]) {
            Ok(Unquoted::Text(text)) => Token::Text(text),
            Ok(Unquoted::NotUtf8(bytes)) => Token::Bytes(bytes),
            Err(flaw) => return Err(error(self.text, self.at + flaw.offset, flaw.message)),
        };
        self.at += end;
        Ok(token)
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let is_hex = bytes[0] == b'0' && matches!(bytes.get(1), Some(b'x' | b'X'));
        let mut length = if is_hex { 2 } else { 0 };
        while let Some(byte) = bytes.get(length) {
            let is_sign = matches!(byte, b'+' | b'-')
                && !is_hex
                && length > 0
                && matches!(bytes[length - 1], b'e' | b'E');
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || is_sign) {
                break;
            }
            length += 1;
        }
        let literal = &rest[..length];
        let token = if let Some(value) = number(literal) {
            Token::Number(value)
        } else if let Some(millis) = duration(literal) {
            Token::Duration(millis)
        } else {
            return Err(self.error(format!("`{literal}` is neither a number nor a duration")));
        };
        self.at += length;
        Ok(token)
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}

fn duration(literal: &str) -> Option<i64> {
    // A bare `0` is a number.
    let duration = parse_duration(literal).ok()?;
    i64::try_from(duration.as_millis()).ok()
}

/// A number as Go reads it: decimal, hexadecimal, or octal with a leading zero; underscores stand
/// between digits.
fn number(literal: &str) -> Option<f64> {
    let bytes = literal.as_bytes();
    let digits = literal.strip_prefix("0x").or_else(|| literal.strip_prefix("0X"));
    let is_digit = |byte: Option<&u8>| {
        byte.is_some_and(|byte| {
            byte.is_ascii_digit() || digits.is_some() && byte.is_ascii_hexdigit()
        })
    };
    for at in (0..bytes.len()).filter(|at| bytes[*at] == b'_') {
        let after_prefix = digits.is_some() && at == 2;
        let follows = at > 0 && (is_digit(bytes.get(at - 1)) || after_prefix);
        if !follows || !is_digit(bytes.get(at + 1)) {
            return None;
        }
    }
    let plain: String = literal.chars().filter(|character| *character != '_').collect();
    if digits.is_some() {
        return i64::from_str_radix(&plain[2..], 16).ok().map(|value| value as f64);
    }
    let octal = plain.strip_prefix('0').filter(|rest| !rest.is_empty());
    if let Some(value) = octal.and_then(|rest| i64::from_str_radix(rest, 8).ok()) {
        return Some(value as f64);
    }
    let starts_well =
        plain.starts_with(|character: char| character.is_ascii_digit() || character == '.');
    if !starts_well || plain.contains("inf") || plain.contains("nan") {
        return None;
    }
    plain.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_go_reads_them() {
        for (literal, value) in [
            ("1", 1.0),
            ("2.", 2.0),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("1E-3", 0.001),
            ("0x1f", 31.0),
            ("0X_ff", 255.0),
            ("1_000", 1000.0),
            ("010", 8.0),
            ("08", 8.0),
        ] {
            assert_eq!(number(literal), Some(value), "{literal}");
        }
        for literal in ["1__0", "_1", "1_", "0xg", "1e", "1.2.3", "5m", "1inf"] {
            assert_eq!(number(literal), None, "{literal}");
        }
    }

    #[test]
    fn places_count_lines_and_characters() {
        assert_eq!(place("abc", 2), (1, 3));
        assert_eq!(place("a\n\u{e4}bc", 5), (2, 3));
    }

    #[test]
    fn a_colon_ends_a_range_but_is_part_of_a_name() {
        let kinds = |text: &str| -> Vec<Token> {
            tokens(text).unwrap().into_iter().map(|(token, _)| token).collect()
        };
        assert_eq!(kinds("a:b"), [Token::Word, Token::End]);
        assert_eq!(kinds(":a"), [Token::Word, Token::End]);
        assert_eq!(
            kinds("[5m:1m]"),
            [
                Token::OpenBracket,
                Token::Duration(300_000),
                Token::Colon,
                Token::Duration(60_000),
                Token::CloseBracket,
                Token::End
            ]
        );
    }
}
