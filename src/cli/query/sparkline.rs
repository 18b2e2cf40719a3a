//! A series as one line of blocks.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LETTERS: [char; 8] = ['_', '.', '-', '~', '=', '+', '*', '#'];

/// Draws values on their own scale from the least to the largest, so many to a place that the line
/// has `width` places at most. Of several at one place the largest is drawn, since a peak is what is
/// looked for; a place without a number is blank. Infinities stand at the ends and are no part of
/// the scale; where all values are equal, they stand in the middle.
pub(super) fn sparkline(values: &[Option<f64>], width: usize, has_blocks: bool) -> String {
    let width = width.min(values.len());
    let signs = if has_blocks { BLOCKS } else { LETTERS };
    let numbers = values.iter().flatten().filter(|value| value.is_finite());
    let low = numbers.clone().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.copied().fold(f64::NEG_INFINITY, f64::max);
    let sign = |value: f64| {
        // Halved first: the span of two large numbers of unlike sign is no number.
        let share = (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
        let top = signs.len() - 1;
        let position = match value {
            f64::INFINITY => top,
            f64::NEG_INFINITY => 0,
            _ if high > low => (share * top as f64).round() as usize,
            _ => top / 2,
        };
        signs[position.min(top)]
    };
    (0..width)
        .map(|place| {
            let (from, to) = (place * values.len() / width, (place + 1) * values.len() / width);
            let here = values[from..to].iter().flatten().copied().filter(|value| !value.is_nan());
            here.reduce(f64::max).map_or(' ', sign)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Drawn by hand: eighths of the way from the least to the largest value.
    #[test]
    fn each_value_has_its_height() {
        let (gap, nan, inf) = (None, Some(f64::NAN), f64::INFINITY);
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        for (values, width, blocks, letters) in [
            (some(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), 80, "▁▂▃▄▅▆▇█", "_.-~=+*#"),
            (some(&[5.0, 5.0]), 80, "▄▄", "~~"),
            (some(&[-1.0, 1.0, inf, -inf]), 80, "▁██▁", "_##_"),
            (vec![Some(0.0), gap, nan, Some(1.0)], 80, "▁  █", "_  #"),
            (some(&[0.0, 7.0, 0.0, 0.0, 1.0, 0.0]), 3, "█▁▂", "#_."),
            (some(&[1.0, 2.0, 3.0]), 2, "▁█", "_#"),
            (some(&[-f64::MAX, 0.0, f64::MAX]), 80, "▁▅█", "_=#"),
            (some(&[inf, inf]), 80, "██", "##"),
            (vec![gap, gap, Some(1.0)], 1, "▄", "~"),
            (vec![], 80, "", ""),
            (some(&[1.0]), 0, "", ""),
        ] {
            assert_eq!(sparkline(&values, width, true), blocks, "{values:?}");
            assert_eq!(sparkline(&values, width, false), letters, "{values:?}");
        }
    }
}
