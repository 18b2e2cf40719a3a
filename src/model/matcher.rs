//! Label matchers, as PromQL and Alertmanager know them.

use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::Labels;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// Why a matcher is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// The regular expression does not compile.
    #[error("`{pattern}` is not a regular expression: {reason}")]
    Regex {
        /// What was written.
        pattern: String,
        /// What the expression's own parser said, on one line.
        reason: String,
    },
    /// It compiles, but the expressions before it have taken the room.
    #[error(
        "`{0}` takes more than what is left of the 64 MiB that compiled regular expressions may take \
         together; use fewer of them, or repeat less"
    )]
    Room(String),
    /// Not `name`, an operator and a value.
    #[error("`{0}` is not a matcher such as `severity=\"critical\"` or `target=~\"a|b\"`")]
    Malformed(String),
}

/// A condition on one label. Regular expressions are anchored at both ends and `.` matches line
/// breaks, as in Prometheus; an absent label counts as the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: Arc<str>,
    op: MatchOp,
    value: Arc<str>,
    regex: Option<Regex>,
}

/// Room for compiled regular expressions that come in one text. A few bytes such as `\w{200}` become
/// megabytes, and a text may hold thousands of them.
#[derive(Debug)]
pub struct RegexRoom {
    left_bytes: usize,
}

impl Default for RegexRoom {
    fn default() -> Self {
        Self { left_bytes: 64 << 20 }
    }
}

impl RegexRoom {
    /// As the `regex` crate limits each by itself.
    const ONE_MAX_BYTES: usize = 10 << 20;
    /// What a usual one takes.
    const ONE_MIN_BYTES: usize = 4 << 10;

    /// Compiles a regular expression, anchored at both ends and with `.` for line breaks too.
    pub fn compile(&mut self, pattern: &str) -> Result<Regex, MatcherError> {
        // The crate tells no sizes, so each is tried with little room and then with more.
        let mut limit = Self::ONE_MIN_BYTES;
        loop {
            if limit > self.left_bytes {
                return Err(MatcherError::Room(pattern.to_owned()));
            }
            match anchored(pattern, limit) {
                Err(regex::Error::CompiledTooBig(_)) if limit < Self::ONE_MAX_BYTES => {
                    limit = limit.saturating_mul(4).min(Self::ONE_MAX_BYTES);
                }
                Err(error) => return Err(refusal(pattern, &error)),
                Ok(regex) => {
                    self.left_bytes -= limit;
                    return Ok(regex);
                }
            }
        }
    }
}

impl Matcher {
    /// Builds a matcher, compiling its regular expression.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        Self::within(name, op, value, &mut RegexRoom::default())
    }

    /// Builds a matcher, one of many that share the room for their regular expressions.
    pub fn within(
        name: &str,
        op: MatchOp,
        value: &str,
        room: &mut RegexRoom,
    ) -> Result<Self, MatcherError> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(room.compile(value)?),
        };
        Ok(Self { name: Arc::from(name), op, value: Arc::from(value), regex })
    }

    /// Reads a matcher as Alertmanager writes it: `name="value"`, `name=~"a|b"`, quotes optional.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        let malformed = || MatcherError::Malformed(text.to_owned());
        let at = text.find(['=', '!']).ok_or_else(malformed)?;
        let (name, rest) = text.split_at(at);
        let (op, value) = [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual, MatchOp::Equal]
            .into_iter()
            .find_map(|op| rest.strip_prefix(op.as_str()).map(|value| (op, value.trim())))
            .ok_or_else(malformed)?;
        let name = unquote(name.trim()).ok_or_else(malformed)?;
        let value = unquote(value).ok_or_else(malformed)?;
        if name.is_empty() {
            return Err(malformed());
        }
        Self::new(&name, op, &value)
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// What it compares with.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label's value satisfies it; pass the empty text for an absent label.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::NotEqual, _) => *self.value != *value,
            (MatchOp::Regex, Some(regex)) => regex.is_match(value),
            (MatchOp::NotRegex, Some(regex)) => !regex.is_match(value),
            (MatchOp::Equal | MatchOp::Regex | MatchOp::NotRegex, _) => *self.value == *value,
        }
    }

    /// Whether a label set satisfies it.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or_default())
    }
}

fn anchored(pattern: &str, limit_bytes: usize) -> Result<Regex, regex::Error> {
    let compile = |pattern: &str| RegexBuilder::new(pattern).size_limit(limit_bytes).build();
    // Compiled alone first: `a)(b` would balance inside the anchoring group.
    compile(pattern)?;
    compile(&format!("^(?s:{pattern})$"))
}

fn refusal(pattern: &str, error: &regex::Error) -> MatcherError {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    MatcherError::Regex { pattern: pattern.to_owned(), reason }
}

/// Takes off double quotes and their escapes; text without quotes stays as it is.
fn unquote(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"') else {
        return (!text.contains('"')).then(|| text.to_owned());
    };
    let mut value = String::new();
    let mut characters = inner.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(value),
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                other => {
                    value.push('\\');
                    value.push(other);
                }
            },
            other => value.push(other),
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_of_one_text_share_their_room() {
        let mut room = RegexRoom::default();
        // Usual ones are small: at 4 KiB each, thousands fit.
        for number in 0..100 {
            let pattern = format!("a{number}.*|b[0-9]+");
            assert!(room.compile(&pattern).is_ok(), "{number}");
        }
        assert!(room.left_bytes >= (64 << 20) - 100 * (16 << 10), "{}", room.left_bytes);
        // Of those that repeat all letters of all scripts a few.
        let mut room = RegexRoom::default();
        let fits = (0..2_000).take_while(|_| room.compile("\\w{40}").is_ok()).count();
        assert!((4..400).contains(&fits), "{fits}");
        assert_eq!(room.compile("\\w{40}").err(), Some(MatcherError::Room("\\w{40}".to_owned())));
        // One alone has its own limit, whatever the room.
        let error = RegexRoom::default().compile("\\w{999}").expect_err("too large").to_string();
        assert_eq!(
            error,
            "`\\w{999}` is not a regular expression: Compiled regex exceeds size limit of 10485760 \
             bytes."
        );
    }

    #[test]
    fn matchers_read_as_alertmanager_writes_them() {
        let labels = Labels::from_pairs([("severity", "critical"), ("team", "a b")]);
        for (text, matches) in [
            (r#"severity="critical""#, true),
            ("severity=critical", true),
            (r#"severity =~ "warn|crit.*""#, true),
            (r#"severity=~"crit""#, false),
            (r#"severity!="critical""#, false),
            (r#"absent="""#, true),
            (r#"absent!~"x""#, true),
            (r#"team="a b""#, true),
        ] {
            assert_eq!(Matcher::parse(text).unwrap().matches_labels(&labels), matches, "{text}");
        }
        for text in ["", "severity", r#"a="b"#, "=x", r#"a=~"(""#, r#"a=~"x)(y""#] {
            assert!(Matcher::parse(text).is_err(), "{text}");
        }
    }
}
