//! Whether an answer is what was asked for.
//!
//! The check is forgiving about form and strict about substance: a nonce counts in any case and
//! with words around it, and JSON may stand in a fenced block, because models like to do both.

use super::schema::{self, SchemaError};
use super::settings::Check;

/// What an answer lacks. It never quotes the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shortfall {
    /// The nonce.
    #[error("the answer lacks the nonce")]
    Nonce,
    /// The configured text.
    #[error("the answer lacks the text that `contains` asks for")]
    Text,
    /// A match.
    #[error("the answer does not match `regex`")]
    Match,
    /// It is no JSON.
    #[error("the answer is not JSON")]
    Json,
    /// It is JSON that breaks the schema.
    #[error("the answer breaks the schema: {0}")]
    Schema(SchemaError),
}

/// Checks a complete answer to the question that carried `nonce`.
pub fn verify(check: &Check, nonce: &str, answer: &str) -> Result<(), Shortfall> {
    let holds = |held: bool, shortfall| if held { Ok(()) } else { Err(shortfall) };
    match check {
        Check::Nonce => {
            let held = answer.to_ascii_lowercase().contains(&nonce.to_ascii_lowercase());
            holds(held, Shortfall::Nonce)
        }
        Check::Contains(text) => {
            holds(answer.contains(&text.replace("{nonce}", nonce)), Shortfall::Text)
        }
        Check::Regex(regex) => holds(regex.is_match(answer), Shortfall::Match),
        Check::Json(schema) => {
            let value = serde_json::from_str(unfenced(answer)).map_err(|_| Shortfall::Json)?;
            schema::conform(schema, &value).map_err(Shortfall::Schema)
        }
        Check::Any => Ok(()),
    }
}

/// The inside of a Markdown code block, if the answer is one.
fn unfenced(answer: &str) -> &str {
    let trimmed = answer.trim();
    let inside = trimmed.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    match inside {
        // What follows the opening fence on its line names the language.
        Some(inside) => inside.split_once('\n').map_or(inside, |(_, body)| body).trim(),
        None => trimmed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(check: &Check, cases: &[(&str, Result<(), Shortfall>)]) {
        for (answer, expected) in cases {
            assert_eq!(&verify(check, "bw7f3a9c21", answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn a_nonce_counts_in_any_case_and_place() {
        check(
            &Check::Nonce,
            &[
                ("bw7f3a9c21", Ok(())),
                ("Sure! **BW7F3A9C21**.", Ok(())),
                ("bw7f3a9c22", Err(Shortfall::Nonce)),
                ("", Err(Shortfall::Nonce)),
            ],
        );
    }

    #[test]
    fn contains_is_literal_and_knows_the_nonce() {
        let contains = Check::Contains("<{nonce}>".to_owned());
        check(&contains, &[("x <bw7f3a9c21> y", Ok(())), ("bw7f3a9c21", Err(Shortfall::Text))]);
    }

    #[test]
    fn a_regex_matches_anywhere() {
        let regex = Check::Regex(regex::Regex::new("(?i)^pong").unwrap().into());
        check(&regex, &[("Pong!", Ok(())), ("ping", Err(Shortfall::Match))]);
    }

    #[test]
    fn json_is_read_bare_or_fenced() {
        let json = Check::Json(json!({"type": "object", "required": ["ok"]}));
        check(
            &json,
            &[
                ("{\"ok\": 1}", Ok(())),
                ("```json\n{\"ok\": 1}\n```", Ok(())),
                ("```\n{\"ok\": 1}\n```\n", Ok(())),
                ("Here: {\"ok\": 1}", Err(Shortfall::Json)),
                ("``````", Err(Shortfall::Json)),
            ],
        );
        assert!(matches!(verify(&json, "n", "{}"), Err(Shortfall::Schema(_))));
    }

    #[test]
    fn a_shortfall_quotes_no_answer() {
        let schema = json!({"properties": {"ok": {"const": true}}});
        let shortfall = verify(&Check::Json(schema), "n", "{\"ok\": \"canary\"}").unwrap_err();
        assert!(!shortfall.to_string().contains("canary"), "{shortfall}");
    }
}
