//! What was probably meant by a name that is not known.

/// The known name nearest to a misspelled one, if one is near enough: at most a third of its
/// letters off, or their beginning. A swap of neighbors counts as one slip; case, `-` and `_` do not
/// count at all.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LENGTH_MAX: usize = 64;
    const BEGINNING_MIN: usize = 3;
    let name = plain(name);
    if name.len() > LENGTH_MAX {
        return None;
    }
    let slips_max = (name.len() / 3).max(1);
    let known: Vec<&str> = known.into_iter().collect();
    let by_slips = known
        .iter()
        // Names are many and most differ in length already.
        .filter(|candidate| candidate.chars().count().abs_diff(name.len()) <= slips_max)
        .map(|candidate| (distance(&name, &plain(candidate)), *candidate))
        .filter(|(slips, _)| *slips <= slips_max && *slips < name.len())
        .min_by_key(|(slips, _)| *slips);
    // `openai` for `openai_chat`: the beginning of one known name and no other.
    let mut longer = known.iter().filter(|other| plain(other).starts_with(&name));
    let by_beginning = || match (longer.next(), longer.next()) {
        (Some(candidate), None) if name.len() >= BEGINNING_MIN => Some(*candidate),
        _ => None,
    };
    by_slips.map(|(_, candidate)| candidate).or_else(by_beginning)
}

/// A remedy that names the nearest known name, or else all of them.
pub fn remedy<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(candidate) = nearest(name, known.clone()) {
        return Some(format!("did you mean `{candidate}`?"));
    }
    let all: Vec<String> = known.into_iter().map(|candidate| format!("`{candidate}`")).collect();
    // More than a dozen would bury the message.
    match all.len() {
        0 => None,
        1..=12 => Some(format!("known here: {}", all.join(", "))),
        more => Some(format!("known here: {} and {} more", all[..10].join(", "), more - 10)),
    }
}

fn plain(name: &str) -> Vec<char> {
    name.chars()
        .map(|character| if character == '-' { '_' } else { character.to_ascii_lowercase() })
        .collect()
}

/// Optimal string alignment: insertions, deletions, substitutions, swaps of neighbors.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, from) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(from != to);
            let mut slips = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let swapped =
                row > 0 && column > 0 && *from == right[column - 1] && left[row - 1] == *to;
            if swapped {
                slips = slips.min(before[column - 1] + 1);
            }
            current.push(slips);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_name_finds_what_was_meant() {
        let known = ["interval", "max_in_flight", "timeouts", "stream", "name"];
        for (name, expected) in [
            ("intervall", Some("interval")),
            ("intreval", Some("interval")),
            ("Max-In-Flight", Some("max_in_flight")),
            ("timeout", Some("timeouts")),
            ("steam", Some("stream")),
            ("nam", Some("name")),
            ("time", Some("timeouts")),
            ("max", Some("max_in_flight")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }

    #[test]
    fn a_swap_of_neighbors_is_one_slip() {
        let slips = |left: &str, right: &str| distance(&plain(left), &plain(right));
        assert_eq!(slips("ab", "ba"), 1);
        assert_eq!(slips("kitten", "sitting"), 3);
        assert_eq!(slips("", "abc"), 3);
    }
}
