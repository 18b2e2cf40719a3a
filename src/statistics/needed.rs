//! How many bad outcomes of a number decide.

use super::grid::Grid;
use super::proportion::Proportion;

/// The least number of bad outcomes of `finished` whose evidence for trouble suffices at `alpha`;
/// `None` where not even all of them do.
pub fn failures_min(allowed: Proportion, alpha: Proportion, finished: u64) -> Option<u64> {
    let grid = Grid::bad(allowed);
    let suffices = |bad: u64| grid.ln_evidence(bad, finished - bad) >= alpha.threshold_ln();
    if !suffices(finished) {
        return None;
    }
    // More bad outcomes of as many are more evidence.
    let (mut enough, mut few) = (finished, 0);
    if suffices(few) {
        return Some(few);
    }
    while few + 1 < enough {
        let middle = few.midpoint(enough);
        if suffices(middle) { enough = middle } else { few = middle }
    }
    Some(enough)
}

/// The largest number of bad outcomes of `finished` with which health is still proved at `alpha`;
/// `None` where not even none of them proves it.
pub fn failures_max(allowed: Proportion, alpha: Proportion, finished: u64) -> Option<u64> {
    let grid = Grid::good(allowed);
    let suffices = |bad: u64| grid.ln_evidence(bad, finished - bad) >= alpha.threshold_ln();
    if !suffices(0) {
        return None;
    }
    let (mut few, mut many) = (0, finished.saturating_add(1));
    while few + 1 < many {
        let middle = few.midpoint(many);
        if suffices(middle) { few = middle } else { many = middle }
    }
    Some(few)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proportion(number: f64) -> Proportion {
        Proportion::new(number).unwrap()
    }

    #[test]
    fn the_least_failures_that_roll_back_are_those_of_the_reference() {
        for (finished, expected) in [
            (10, 3),
            (20, 4),
            (50, 5),
            (100, 6),
            (200, 9),
            (300, 11),
            (500, 14),
            (960, 22),
            (2_000, 38),
            (5_000, 79),
            (9_600, 136),
        ] {
            let found = failures_min(proportion(0.01), proportion(0.01), finished);
            assert_eq!(found, Some(expected), "{finished}");
        }
        assert_eq!(failures_min(proportion(0.01), proportion(0.01), 0), None);
        assert_eq!(failures_min(proportion(0.01), proportion(0.01), 1), None);
    }

    #[test]
    fn the_most_failures_that_still_advance_are_those_of_the_reference() {
        for (finished, expected) in [
            (0, None),
            (420, None),
            (421, Some(0)),
            (500, Some(0)),
            (700, Some(1)),
            (960, Some(2)),
            (1_500, Some(6)),
            (2_000, Some(9)),
            (5_000, Some(31)),
            (9_600, Some(67)),
        ] {
            let found = failures_max(proportion(0.01), proportion(0.05), finished);
            assert_eq!(found, expected, "{finished}");
        }
    }
}
