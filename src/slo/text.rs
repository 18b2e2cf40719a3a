//! Texts inside of texts: names in PromQL, PromQL in YAML.

use std::fmt::Write as _;

/// A text in double quotes, with escapes that YAML, PromQL and Go's templates all read alike. What
/// could be taken for a line break or can't be seen is escaped, so that a name stays on its line.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            ' '..='~' => quoted.push(character),
            _ if character.is_alphanumeric() => quoted.push(character),
            _ => {
                let code = u32::from(character);
                let _infallible = if code > 0xffff {
                    write!(quoted, "\\U{code:08x}")
                } else {
                    write!(quoted, "\\u{code:04x}")
                };
            }
        }
    }
    quoted.push('"');
    quoted
}

/// A matcher of the label `target` for these names and no others.
pub(super) fn target_matcher<'a>(mut names: impl Iterator<Item = &'a str> + Clone) -> String {
    match (names.clone().count(), names.next()) {
        (1, Some(name)) => format!("target={}", quoted(name)),
        (_, first) => {
            let all: Vec<String> = first.into_iter().chain(names).map(literal).collect();
            format!("target=~{}", quoted(&all.join("|")))
        }
    }
}

/// A name as a regular expression that matches it alone: what Go's `QuoteMeta` escapes.
fn literal(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        if "\\.+*?()|[]{}^$".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
