//! A template's text as tokens.
//!
//! White space inside an action is a token, since `.a .b` is two operands and `.a.b` is one.

/// Why a template is refused, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct TemplateError {
    /// The line within the template, from 1.
    pub line: u32,
    /// The column within the line, in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl TemplateError {
    /// An error at a byte of the template.
    pub(super) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            line: count(before.matches('\n').count() + 1),
            column: count(before[line_start..].chars().count() + 1),
            message: message.into(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Text outside of actions, already trimmed.
    Text(String),
    Open,
    Close,
    Space,
    Pipe,
    LeftParen,
    RightParen,
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    Dot,
    /// `.name`
    Field(String),
    /// `$name`; `$` alone is the empty name.
    Variable(String),
    Word(String),
    Str(String),
    Int(i64),
    Float(f64),
}

#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    /// Where it begins, in bytes of the template.
    pub(super) at: usize,
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a template into tokens. Every `Open` has its `Close`.
pub(super) fn lex(text: &str) -> Result<Vec<Lexeme>, TemplateError> {
    let mut lexer = Lexer { text, at: 0, lexemes: Vec::new() };
    let mut is_trimmed = false;
    loop {
        let rest = lexer.rest();
        let open = rest.find("{{");
        let plain = &rest[..open.unwrap_or(rest.len())];
        let plain = if is_trimmed { plain.trim_start_matches(SPACE) } else { plain };
        let Some(open) = open else {
            lexer.text(plain);
            return Ok(lexer.lexemes);
        };
        let inner = &rest[open + 2..];
        let trims_before = inner.starts_with('-') && inner[1..].starts_with(SPACE);
        lexer.text(if trims_before { plain.trim_end_matches(SPACE) } else { plain });
        let start = lexer.at + open;
        lexer.at = start + if trims_before { 3 } else { 2 };
        is_trimmed = match lexer.comment(start)? {
            Some(is_trimmed) => is_trimmed,
            None => lexer.action(start)?,
        };
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    lexemes: Vec<Lexeme>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, token: Token, at: usize) {
        self.lexemes.push(Lexeme { token, at });
    }

    fn text(&mut self, plain: &str) {
        if !plain.is_empty() {
            self.push(Token::Text(plain.to_owned()), self.at);
        }
    }

    fn error<T>(&self, at: usize, message: impl Into<String>) -> Result<T, TemplateError> {
        Err(TemplateError::at(self.text, at, message))
    }

    /// Skips `/* … */` and its closing; says whether the text after it is trimmed.
    fn comment(&mut self, start: usize) -> Result<Option<bool>, TemplateError> {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches(SPACE);
        // Go allows white space before `/*` only as part of the trim marker.
        if !trimmed.starts_with("/*") || (trimmed.len() < rest.len() && self.at == start + 2) {
            return Ok(None);
        }
        let Some(end) = trimmed.find("*/") else {
            return self.error(start, "a comment is not closed by `*/`");
        };
        let after = &trimmed[end + 2..];
        let (length, trims) = match after.trim_start_matches(SPACE).strip_prefix("-}}") {
            Some(tail) if after.starts_with(SPACE) => (after.len() - tail.len(), true),
            _ if after.starts_with("}}") => (2, false),
            _ => return self.error(start, "a comment is not followed by `}}`"),
        };
        self.at += (rest.len() - trimmed.len()) + end + 2 + length;
        Ok(Some(trims))
    }

    /// Reads up to and with `}}`; says whether the text after it is trimmed.
    fn action(&mut self, start: usize) -> Result<bool, TemplateError> {
        self.push(Token::Open, start);
        loop {
            let rest = self.rest();
            let spaces = rest.len() - rest.trim_start_matches(SPACE).len();
            let at = self.at;
            let after = &rest[spaces..];
            if (spaces > 0 || self.at == start + 3) && after.starts_with("-}}") {
                self.push(Token::Close, at + spaces);
                self.at += spaces + 3;
                return Ok(true);
            }
            if spaces > 0 {
                self.push(Token::Space, at);
                self.at += spaces;
                continue;
            }
            if rest.starts_with("}}") {
                self.push(Token::Close, at);
                self.at += 2;
                return Ok(false);
            }
            let Some(first) = rest.chars().next() else {
                return self.error(start, "an action is not closed by `}}`");
            };
            let (token, length) = self.token(first, rest)?;
            self.push(token, at);
            self.at += length;
        }
    }

    fn token(&self, first: char, rest: &str) -> Result<(Token, usize), TemplateError> {
        let single = |token| Ok((token, 1));
        match first {
            '|' => single(Token::Pipe),
            '(' => single(Token::LeftParen),
            ')' => single(Token::RightParen),
            ',' => single(Token::Comma),
            '=' => single(Token::Assign),
            ':' if rest.starts_with(":=") => Ok((Token::Declare, 2)),
            '"' => self.quoted(rest),
            '\'' => self.character(rest),
            '`' => match rest[1..].find('`') {
                Some(end) => Ok((Token::Str(rest[1..=end].to_owned()), end + 2)),
                None => self.error(self.at, "a raw text is not closed by a backtick"),
            },
            '$' => {
                let name = word(&rest[1..]);
                Ok((Token::Variable(name.to_owned()), 1 + name.len()))
            }
            '.' if !rest[1..].starts_with(|next: char| next.is_ascii_digit()) => {
                let name = word(&rest[1..]);
                if name.is_empty() {
                    return single(Token::Dot);
                }
                Ok((Token::Field(name.to_owned()), 1 + name.len()))
            }
            _ if first.is_ascii_digit() || matches!(first, '.' | '+' | '-') => self.number(rest),
            _ if first.is_alphabetic() || first == '_' => {
                let name = word(rest);
                Ok((Token::Word(name.to_owned()), name.len()))
            }
            _ => self.error(self.at, format!("`{first}` does not belong in an action")),
        }
    }

    fn number(&self, rest: &str) -> Result<(Token, usize), TemplateError> {
        let mut length = 0;
        let mut previous = '\0';
        for next in rest.chars() {
            let is_exponent_sign = matches!(next, '+' | '-')
                && (length == 0 || (matches!(previous, 'e' | 'E') && !rest.contains("0x")));
            if !(next.is_ascii_alphanumeric() || matches!(next, '.' | '_') || is_exponent_sign) {
                break;
            }
            length += next.len_utf8();
            previous = next;
        }
        let written = &rest[..length];
        let plain = written.replace('_', "");
        let (sign, digits) = match plain.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
        };
        let radix = match digits.get(..2) {
            Some("0x" | "0X") => 16,
            Some("0b" | "0B") => 2,
            Some("0o" | "0O") => 8,
            _ => 10,
        };
        let integer = if radix == 10 { digits } else { &digits[2..] };
        if integer.starts_with(|first: char| first.is_ascii_alphanumeric())
            && let Ok(number) = i64::from_str_radix(integer, radix)
        {
            return Ok((Token::Int(sign * number), length));
        }
        let is_decimal = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
        match plain.parse::<f64>() {
            Ok(number) if is_decimal => Ok((Token::Float(number), length)),
            _ => self.error(self.at, format!("`{written}` is not a number")),
        }
    }

    fn quoted(&self, rest: &str) -> Result<(Token, usize), TemplateError> {
        let mut value = String::new();
        let mut at = 1;
        loop {
            match rest[at..].chars().next() {
                Some('"') => return Ok((Token::Str(value), at + 1)),
                Some('\\') => {
                    let Some((character, length)) = escape(&rest[at + 1..], '"') else {
                        return self.error(self.at + at, "this escape is not known in a text");
                    };
                    value.push(character);
                    at += 1 + length;
                }
                Some('\n') | None => return self.error(self.at, "a text is not closed by `\"`"),
                Some(plain) => {
                    value.push(plain);
                    at += plain.len_utf8();
                }
            }
        }
    }

    fn character(&self, rest: &str) -> Result<(Token, usize), TemplateError> {
        let read = match rest[1..].chars().next() {
            Some('\\') => escape(&rest[2..], '\'').map(|(read, length)| (read, length + 1)),
            Some(plain) if plain != '\'' => Some((plain, plain.len_utf8())),
            _ => None,
        };
        match read {
            Some((character, length)) if rest[1 + length..].starts_with('\'') => {
                Ok((Token::Int(i64::from(u32::from(character))), length + 2))
            }
            _ => self.error(self.at, "a character is not written as `'x'`"),
        }
    }
}

/// The letters, digits and underscores that a text begins with.
fn word(text: &str) -> &str {
    let end = text.find(|next: char| !(next.is_alphanumeric() || next == '_'));
    &text[..end.unwrap_or(text.len())]
}

/// Reads what follows a backslash; returns the character and how many bytes were read.
fn escape(text: &str, quote: char) -> Option<(char, usize)> {
    let first = text.chars().next()?;
    let simple = match first {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        _ if first == quote => quote,
        'x' | 'u' | 'U' => {
            let digits = match first {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let code = u32::from_str_radix(text.get(1..=digits)?, 16).ok()?;
            return Some((char::from_u32(code)?, 1 + digits));
        }
        '0'..='7' => {
            let code = u32::from_str_radix(text.get(..3)?, 8).ok()?;
            return Some((char::from_u32(code)?, 3));
        }
        _ => return None,
    };
    Some((simple, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(template: &str) -> String {
        let lexemes = lex(template).unwrap();
        let texts = lexemes.into_iter().filter_map(|lexeme| match lexeme.token {
            Token::Text(text) => Some(text),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn trim_markers_eat_the_white_space_beside_them() {
        for (template, expected) in [
            ("a {{- 1 -}} b", "a|b"),
            ("a {{ 1 }} b", "a | b"),
            ("a \n{{- 1 }} b", "a| b"),
            ("a {{/* c */}} b", "a | b"),
            ("a {{- /* c */ -}} b", "a|b"),
            ("a {{-1}} b", "a | b"),
        ] {
            assert_eq!(texts(template), expected, "{template}");
        }
    }

    #[test]
    fn literals_read_as_go_reads_them() {
        for (template, token) in [
            (r#"{{"a\n\u00e9\x41\101"}}"#, Token::Str("a\né\u{41}A".to_owned())),
            ("{{`a\\n`}}", Token::Str("a\\n".to_owned())),
            ("{{'x'}}", Token::Int(120)),
            ("{{'\\n'}}", Token::Int(10)),
            ("{{0x1F}}", Token::Int(31)),
            ("{{-12}}", Token::Int(-12)),
            ("{{1_000}}", Token::Int(1000)),
            ("{{1.5e-3}}", Token::Float(0.0015)),
            ("{{.5}}", Token::Float(0.5)),
            ("{{$x1}}", Token::Variable("x1".to_owned())),
        ] {
            assert_eq!(lex(template).unwrap()[1].token, token, "{template}");
        }
    }

    #[test]
    fn bad_tokens_are_refused_with_their_place() {
        for (template, line, column) in [
            ("{{ \"a }}", 1, 4),
            ("a\n {{ `x }}", 2, 5),
            ("{{ 1", 1, 1),
            ("é {{ # }}", 1, 6),
            ("{{ 12abc }}", 1, 4),
            ("{{/* x }}", 1, 1),
            ("{{ '' }}", 1, 4),
            ("{{ \"\\q\" }}", 1, 5),
        ] {
            let error = lex(template).unwrap_err();
            assert_eq!((error.line, error.column), (line, column), "{template}: {error}");
        }
    }
}
