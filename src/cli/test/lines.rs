//! Two lists of lines as one: what only the expected side has, what only the other has, what both.

const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const PLAIN: &str = "\u{1b}[0m";

/// Beyond this many pairs the sides are shown one after the other, as comparing takes their product.
const PAIRS_MAX: usize = 4_000_000;

/// `- ` is expected and does not come, `+ ` comes and is not expected.
pub(super) fn compared(expected: &[String], got: &[String], is_colored: bool) -> String {
    let mut out = String::new();
    let mut put = |mark: char, line: &str| {
        let (color, plain) = match mark {
            '-' if is_colored => (RED, PLAIN),
            '+' if is_colored => (GREEN, PLAIN),
            _ => ("", ""),
        };
        out.push_str(&format!("  {color}{mark} {line}{plain}\n"));
    };
    if expected.len().saturating_mul(got.len()) > PAIRS_MAX {
        expected.iter().for_each(|line| put('-', line));
        got.iter().for_each(|line| put('+', line));
        return out;
    }
    let common = common(expected, got);
    let (mut left, mut right) = (0, 0);
    while left < expected.len() || right < got.len() {
        if left < expected.len() && right < got.len() && expected[left] == got[right] {
            put(' ', &expected[left]);
            (left, right) = (left + 1, right + 1);
        } else if left < expected.len() && common[left + 1][right] >= common[left][right] {
            put('-', &expected[left]);
            left += 1;
        } else if right < got.len() {
            put('+', &got[right]);
            right += 1;
        } else {
            put('-', &expected[left]);
            left += 1;
        }
    }
    out
}

/// The length of the longest common subsequence of what is left from each pair of positions on.
fn common(left: &[String], right: &[String]) -> Vec<Vec<u32>> {
    let mut lengths = vec![vec![0; right.len() + 1]; left.len() + 1];
    for row in (0..left.len()).rev() {
        for column in (0..right.len()).rev() {
            lengths[row][column] = if left[row] == right[column] {
                lengths[row + 1][column + 1] + 1
            } else {
                lengths[row + 1][column].max(lengths[row][column + 1])
            };
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    // By hand: the fewest lines that turn one side into the other, what goes before what comes.
    #[test]
    fn lines_are_marked_by_the_side_that_has_them() {
        let check = |expected: &str, got: &str, marked: &str| {
            let list = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
            let shown = compared(&list(expected), &list(got), false);
            let words: String = shown.split_whitespace().collect();
            assert_eq!(words, marked, "{expected} {got}");
        };
        check("abc", "abc", "abc");
        check("abc", "axc", "a-b+xc");
        check("abc", "ac", "a-bc");
        check("ac", "abc", "a+bc");
        check("", "ab", "+a+b");
        check("ab", "", "-a-b");
    }
}
