//! Provider's words made fit for a detail: bounded, on one line, without keys.
//!
//! Providers echo the key they refuse, whole or masked. A word is taken for key material when it
//! begins as keys begin, follows `Bearer`, or has a run of letters and digits too long for a word
//! or a model's name: 16 with a digit among them, or 24 of any kind. Names of errors, models and
//! headers pass. What stands in long quotes may be a part of the prompt and is left out too.

/// How keys of known vendors begin.
const KEY_STARTS: [&str; 10] =
    ["sk-", "sk_", "pk-", "rk-", "key-", "gsk_", "xai-", "aiza", "eyj", "ghp_"];

/// A quoted span longer than this may be a prompt; names and parameters are shorter.
const QUOTE_CHARS_MAX: usize = 64;

/// How much of a text is looked at: a few times what is kept.
const LOOK_BYTES_MAX: usize = 4096;

/// At most `chars_max` characters of a text, on one line, with keys replaced by `***`.
pub(super) fn redact(text: &str, chars_max: usize) -> String {
    let text = &text[..text.floor_char_boundary(LOOK_BYTES_MAX)];
    let mut clean = String::new();
    let mut is_secret_next = false;
    for (position, word) in without_long_quotes(text).split_whitespace().enumerate() {
        if position > 0 {
            clean.push(' ');
        }
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        if is_secret_next && !bare.is_empty() {
            clean.push_str("***");
        } else {
            push_word(&mut clean, word);
        }
        is_secret_next = bare.eq_ignore_ascii_case("bearer");
    }
    bound(&clean, chars_max)
}

/// At most `chars_max` characters, the last an ellipsis where something is missing.
pub(super) fn bound(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

fn without_long_quotes(text: &str) -> String {
    let mut kept = String::new();
    for (position, part) in text.split('"').enumerate() {
        if position > 0 {
            kept.push('"');
        }
        let is_quoted = position % 2 == 1;
        kept.push_str(if is_quoted && part.chars().count() > QUOTE_CHARS_MAX {
            "…"
        } else {
            part
        });
    }
    kept
}

/// Copies a word, with those of its parts that look like keys replaced.
fn push_word(clean: &mut String, word: &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '+');
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_part(c) != is_part(first)).unwrap_or(rest.len());
        let (part, tail) = rest.split_at(end);
        if is_part(first) && is_key(part) {
            clean.push_str("***");
        } else {
            clean.extend(part.chars().filter(|c| !c.is_control()));
        }
        rest = tail;
    }
}

fn is_key(part: &str) -> bool {
    let begins = |start: &&str| {
        part.len() > start.len() + 3
            && part.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
    };
    KEY_STARTS.iter().any(begins)
        || part.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| {
            run.len() >= 24 || (run.len() >= 16 && run.bytes().any(|b| b.is_ascii_digit()))
        })
}

/// How further keys begin that may stand in what people ask.
const FURTHER_STARTS: [&str; 6] = ["akia", "github_pat_", "glpat-", "hf_", "xoxb-", "xoxp-"];

/// A shorter word is none of today's keys.
const KEY_BYTES_MIN: usize = 16;

/// A text that people wrote, with what looks like a key in it replaced by `***`, and how many were.
///
/// What people write holds long words of all kinds, so only a word is taken for a key that begins as
/// keys do, is as long as they are, and has a digit.
pub fn without_keys(text: &str) -> (String, usize) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let (mut clean, mut found, mut rest) = (String::with_capacity(text.len()), 0, text);
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_part(c) != is_part(first)).unwrap_or(rest.len());
        let (part, tail) = rest.split_at(end);
        if is_part(first) && is_whole_key(part) {
            clean.push_str("***");
            found += 1;
        } else {
            clean.push_str(part);
        }
        rest = tail;
    }
    (clean, found)
}

fn is_whole_key(part: &str) -> bool {
    let begins =
        |start: &str| part.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    part.len() >= KEY_BYTES_MIN
        && part.bytes().any(|byte| byte.is_ascii_digit())
        && KEY_STARTS.into_iter().chain(FURTHER_STARTS).any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_replaced_and_names_are_kept() {
        for (text, expected) in [
            ("Overloaded", "Overloaded"),
            (
                "Incorrect API key provided: sk-abc12*****wxyz. See https://x.example/keys",
                "Incorrect API key provided: *** See https://x.example/keys",
            ),
            ("got Authorization: Bearer tops3cret, sorry", "got Authorization: Bearer *** sorry"),
            ("?key=AIzaSyD4x9Q2", "?key=***"),
            (
                "the model `claude-3-5-sonnet-20241022` is gone",
                "the model `claude-3-5-sonnet-20241022` is gone",
            ),
            ("enforced_spend_limit_reached", "enforced_spend_limit_reached"),
            ("token 0123456789abcdef0123 bad", "token *** bad"),
            ("abcdefghijklmnopqrstuvwx", "***"),
            ("two\nlines\tand \u{7}bell", "two lines and bell"),
            ("无可用渠道", "无可用渠道"),
        ] {
            assert_eq!(redact(text, 300), expected);
        }
    }

    #[test]
    fn keys_in_prompts_are_replaced_and_long_words_are_kept() {
        for (text, expected) in [
            ("use sk-proj-abc123def456ghi789, please", "use ***, please"),
            ("AKIAIOSFODNN7EXAMPLE and \"ghp_16C7e42F292c6912E7\"", "*** and \"***\""),
            ("a key-value-store-with-a-long-name", "a key-value-store-with-a-long-name"),
            ("Donaudampfschifffahrtsgesellschaft 0123456789abcdef0123456789", "="),
            ("sk-learn 1.4", "="),
        ] {
            let expected = if expected == "=" { text } else { expected };
            assert_eq!(without_keys(text).0, expected);
        }
        assert_eq!(without_keys("sk-proj-abc123def456ghi789 sk-proj-abc123def456ghi789").1, 2);
    }

    #[test]
    fn long_quotes_and_long_texts_are_cut() {
        let prompt = "say it ".repeat(20);
        assert_eq!(redact(&format!("refused \"{prompt}\" here"), 300), "refused \"…\" here");
        assert_eq!(redact(&"é ".repeat(9000), 5), "é é …");
        assert_eq!(bound("abc", 3), "abc");
        assert_eq!(bound("abcd", 3), "ab…");
    }
}
