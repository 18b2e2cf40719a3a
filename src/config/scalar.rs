//! Single values: texts, numbers, booleans, choices, URLs.
//!
//! A message begins after the field's name, so that it reads "`interval` is …". Serde's YAML reader
//! decides what a number or a boolean is; it sees one scalar at a time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::sync::Arc;

use regex::Regex;
use serde::de::DeserializeOwned;

use crate::model::{Matcher, MatcherError, Mistake, suggest};
use crate::template::{self, Library, Template};
use crate::yaml::Node;

// Names become label values and file names; nobody needs a longer one.
const NAME_LENGTH_MAX: usize = 128;
// A text that is shown in a message is cut, so that a pasted file does not fill the screen.
const SHOWN_MAX: usize = 80;

/// A mistake about a value that is shown.
pub(super) fn refuse(node: &Node, why: impl Display) -> Mistake {
    let value = node.text().unwrap_or_default();
    let mut shown: String = value.chars().take(SHOWN_MAX).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    Mistake::new(node.place.clone(), format!("is `{}`, {why}", escaped(&shown)))
}

/// A text on one line of a terminal.
fn escaped(text: &str) -> String {
    let escape = |character: char| match character.is_control() {
        true => character.escape_debug().to_string(),
        false => character.to_string(),
    };
    text.chars().map(escape).collect()
}

/// `a`, `b` or `c`
pub(super) fn any_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.pop() {
        Some(last) if !quoted.is_empty() => format!("{} or {last}", quoted.join(", ")),
        last => last.unwrap_or_default(),
    }
}

/// A mistake about a value that is not shown, since it may be a secret.
pub(super) fn refuse_unseen(node: &Node, why: impl Into<String>) -> Mistake {
    Mistake::new(node.place.clone(), why)
}

/// A single value's text, of any kind of scalar; `due` says what should be there.
pub(super) fn raw<'n>(node: &'n Node, due: &str) -> Result<&'n str, Mistake> {
    let wrong = |is: &str| Mistake::new(node.place.clone(), format!("is {is}, where {due} is due"));
    match node.text() {
        Some("") => Err(wrong("empty")),
        Some(text) => Ok(text),
        None => Err(wrong(node.kind())),
    }
}

/// A text; whatever was written without quotes counts too.
pub(super) fn text(node: &Node) -> Result<String, Mistake> {
    raw(node, "a text").map(str::to_owned)
}

/// A text that is filled in with the alerts that it is sent with. The place of a mistake is that
/// within the text.
pub(super) fn filled(node: &Node, library: &Library) -> Result<Template, Mistake> {
    let text = raw(node, "a text")?;
    template::parse_notice(text, library).map_err(|error| {
        let place = node.place_within(error.line, error.column);
        let message = format!("is no template that can be filled in: {}", error.message);
        Mistake::new(place, message)
            .remedy("Alertmanager's functions and data are known here, and what `templates` define")
    })
}

/// A URL that may be a template; one without braces is checked.
pub(super) fn filled_url(node: &Node, library: &Library) -> Result<Template, Mistake> {
    if node.text().is_some_and(|text| text.contains("{{")) {
        return filled(node, library);
    }
    hook_url(node).map(|url| Template::plain(&url))
}

/// A name: one line, not too long.
pub(super) fn name(node: &Node) -> Result<String, Mistake> {
    let text = raw(node, "a name")?;
    if text.chars().any(char::is_control) || text.trim() != text {
        return Err(refuse(node, "which has white space at an end or control characters"));
    }
    if text.chars().count() > NAME_LENGTH_MAX {
        return Err(refuse(node, format!("which is longer than {NAME_LENGTH_MAX} characters")));
    }
    Ok(text.to_owned())
}

/// A whole number within a range.
pub(super) fn number<T>(node: &Node, range: RangeInclusive<T>) -> Result<T, Mistake>
where
    T: DeserializeOwned + PartialOrd + Display,
{
    let due = format!("a whole number from {} to {}", range.start(), range.end());
    raw(node, &due)?;
    match plain(node) {
        Some(number) if range.contains(&number) => Ok(number),
        _ => {
            let mistake = refuse(node, format!("where {due} is due"));
            Err(if is_text(node) { mistake.remedy("remove the quotes") } else { mistake })
        }
    }
}

/// `true` or `false`, and none of YAML 1.1's other words for them.
pub(super) fn boolean(node: &Node) -> Result<bool, Mistake> {
    let text = raw(node, "`true` or `false`")?;
    plain(node).ok_or_else(|| {
        let meant = match text.to_ascii_lowercase().as_str() {
            "true" | "false" => "remove the quotes",
            "yes" | "y" | "on" | "1" => "write `true`",
            "no" | "n" | "off" | "0" => "write `false`",
            _ => "write one of the two",
        };
        refuse(node, "where `true` or `false` is due").remedy(meant)
    })
}

/// One of a few words.
pub(super) fn choice<T: Clone>(node: &Node, words: &[(&str, T)]) -> Result<T, Mistake> {
    let known = || words.iter().map(|(word, _)| *word);
    let text = raw(node, &any_of(known()))?;
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone()).ok_or_else(|| {
        let mistake = refuse(node, format!("where {} is due", any_of(known())));
        match suggest::nearest(text, known()) {
            Some(word) => mistake.remedy(format!("did you mean `{word}`?")),
            None => mistake,
        }
    })
}

/// The regular expressions of a file. A thousand targets are checked alike more often than not, and a
/// compiled expression takes ten kilobytes.
#[derive(Default)]
pub(super) struct Patterns(RefCell<HashMap<String, Arc<Regex>>>);

impl Patterns {
    /// A regular expression, compiled once.
    pub(super) fn regex(&self, node: &Node) -> Result<Arc<Regex>, Mistake> {
        let text = raw(node, "a regular expression")?;
        if let Some(known) = self.0.borrow().get(text) {
            return Ok(Arc::clone(known));
        }
        let regex = Regex::new(text).map_err(|error| {
            let said = error.to_string();
            let reason = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            refuse(node, format!("which is not a regular expression: {reason}"))
        })?;
        let regex = Arc::new(regex);
        self.0.borrow_mut().insert(text.to_owned(), Arc::clone(&regex));
        Ok(regex)
    }
}

/// A matcher as Alertmanager writes it.
pub(super) fn matcher(node: &Node) -> Result<Matcher, Mistake> {
    let text = raw(node, "a matcher such as `severity=\"critical\"`")?;
    Matcher::parse(text).map_err(|error| match error {
        MatcherError::Malformed(_) => refuse(node, "which is not a matcher")
            .remedy("write `severity=\"critical\"` or `target=~\"a|b\"`"),
        error @ (MatcherError::Regex { .. } | MatcherError::Room(_)) => {
            refuse(node, format!("where {error}"))
        }
    })
}

/// The name of a label.
pub(super) fn label_name(node: &Node) -> Result<String, Mistake> {
    let text = raw(node, "a label's name")?;
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let goes_on = text.chars().all(|other| other.is_ascii_alphanumeric() || other == '_');
    if begins && goes_on {
        Ok(text.to_owned())
    } else {
        Err(refuse(node, "which is not a label's name")
            .remedy("letters, digits and `_`, no digit first"))
    }
}

/// A URL with `http://` or `https://`, without a final slash. Neither a user nor a query may be in
/// it, since both carry secrets; such a URL is not shown.
pub(super) fn url(node: &Node) -> Result<String, Mistake> {
    let text = checked_url(node, &["http", "https"])?;
    if text.contains('?') {
        return Err(refuse_unseen(node, "has a `?` and what follows, which may be a secret")
            .remedy("remove it; keys have fields of their own"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A URL that is called as it is: a query may be in it.
pub(super) fn hook_url(node: &Node) -> Result<String, Mistake> {
    checked_url(node, &["http", "https"]).map(str::to_owned)
}

/// A proxy's URL.
pub(super) fn proxy_url(node: &Node) -> Result<String, Mistake> {
    let url = checked_url(node, &["http", "https", "socks5", "socks5h"]).map(str::to_owned);
    url.map_err(|mistake| match mistake.message.starts_with("holds") {
        true => mistake.remedy("leave `proxy_url` out and set `HTTPS_PROXY` in the environment"),
        false => mistake,
    })
}

fn checked_url<'n>(node: &'n Node, schemes: &[&str]) -> Result<&'n str, Mistake> {
    let text = raw(node, "a URL")?;
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(refuse_unseen(node, "holds a user or password, which is a secret")
            .remedy("remove what stands before the `@`; passwords are read from files"));
    }
    // Only what stands before a query is shown.
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    let refuse = |why: &str| Mistake::new(node.place.clone(), format!("is `{shown}`, {why}"));
    if !schemes.contains(&scheme) {
        let begins: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
        let remedy = format!("begin with {}", any_of(begins.iter().map(String::as_str)));
        return Err(refuse("which is not a URL that can be called").remedy(remedy));
    }
    if text.contains('#') {
        return Err(refuse("followed by a `#`").remedy("remove the `#` and what follows"));
    }
    let parsed: Option<::http::Uri> = text.parse().ok();
    let authority_is_right = parsed.as_ref().and_then(::http::Uri::authority).is_some_and(|at| {
        let has_port = at.as_str().rsplit(']').next().is_some_and(|end| end.contains(':'));
        !at.host().is_empty() && (at.port_u16().is_some() || !has_port)
    });
    if !authority_is_right {
        return Err(refuse("which is not a URL").remedy("write `https://host/path`"));
    }
    Ok(text)
}

/// What serde makes of a scalar that is neither quoted nor longer than any number is.
pub(super) fn plain<T: DeserializeOwned>(node: &Node) -> Option<T> {
    const LENGTH_MAX: usize = 64;
    let text = node.text().filter(|text| text.len() <= LENGTH_MAX && !is_text(node))?;
    serde_yaml::from_str(text).ok()
}

/// Whether the value can only be text: quoted, or a block.
pub(super) fn is_text(node: &Node) -> bool {
    matches!(&node.value, crate::yaml::Yaml::Scalar(scalar) if scalar.is_quoted())
}
