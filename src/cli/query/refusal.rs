//! Why a query was refused, with a mark under the place.

use super::look::Look;

/// The reason, and where it names a place in the expression, that line and a mark below it.
pub(super) fn shown(reason: &str, expr: &str, look: &Look) -> String {
    let mut text = format!("{} {reason}\n", look.alarming("bellwether:"));
    let Some((line, column)) = place(reason) else { return text };
    let Some(shown) = expr.lines().nth(line - 1).or_else(|| expr.is_empty().then_some("")) else {
        return text;
    };
    // A tab before the place is a tab before the mark.
    let before = shown.chars().chain(std::iter::repeat(' ')).take(column - 1);
    let blank: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    text.push_str(&format!("  {shown}\n  {blank}{}\n", look.alarming("^")));
    text
}

/// A remark on an answer; its place stands in it.
pub(super) fn remark(text: &str, look: &Look) -> String {
    look.faint(&format!("bellwether: {text}"))
}

/// The first `LINE:COLUMN:` of a message, both from 1.
fn place(reason: &str) -> Option<(usize, usize)> {
    let mut words = reason.split_whitespace();
    words.find_map(|word| {
        let (line, column) = word.strip_suffix(':')?.split_once(':')?;
        let (line, column) = (line.parse().ok()?, column.parse().ok()?);
        // No place is so far right that a terminal could show it.
        (line > 0 && (1..=4096).contains(&column)).then_some((line, column))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { width: None, has_blocks: false, has_colours: false };

    // The messages are Prometheus's and our own; the marks were set by eye.
    #[test]
    fn the_mark_stands_under_the_place() {
        for (reason, expr, expected) in [
            (
                "invalid parameter \"query\": 1:8: parse error: unexpected identifier \"x\"",
                "up{job=x}",
                "  up{job=x}\n         ^\n",
            ),
            ("1:4: parse error: unexpected end", "up{", "  up{\n     ^\n"),
            ("2:3: x", "sum(\n\ta b)", "  \ta b)\n  \t ^\n"),
            ("1:1: nothing", "", "  \n  ^\n"),
            ("3:1: x", "one\ntwo", ""),
            ("0:1: x", "up", ""),
            ("many-to-many matching not allowed: matching labels", "a * b", ""),
            ("unknown position: parse error: no expression found in input", "", ""),
        ] {
            let expected = format!("bellwether: {reason}\n{expected}");
            assert_eq!(shown(reason, expr, &PLAIN), expected);
        }
    }
}
