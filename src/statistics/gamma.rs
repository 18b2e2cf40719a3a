//! The logarithm of the Gamma and Beta functions, for positive arguments.

use std::f64::consts::PI;

/// From here on the eight terms below are exact to the last digits of a float.
const LARGE: f64 = 12.0;
/// Stirling's series: `B(2i) / (2i·(2i − 1))` for the Bernoulli numbers `B`.
const SERIES: [f64; 8] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1_260.0,
    -1.0 / 1_680.0,
    1.0 / 1_188.0,
    -691.0 / 360_360.0,
    1.0 / 156.0,
    -3_617.0 / 122_400.0,
];

/// `ln B(a, b)` for positive arguments.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// `ln Γ(x)` for positive `x`.
fn ln_gamma(x: f64) -> f64 {
    // Γ(x + 1) = x·Γ(x) leads to where the series is exact.
    let (mut at, mut product) = (x, 1.0);
    while at < LARGE {
        product *= at;
        at += 1.0;
    }
    let square = at * at;
    let tail = SERIES.iter().rev().fold(0.0, |sum, term| sum / square + term) / at;
    (at - 0.5) * at.ln() - at + 0.5 * (2.0 * PI).ln() + tail - product.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python's `math.lgamma`.
    #[test]
    fn gamma_is_that_of_another_implementation() {
        for (x, expected) in [
            (0.5, 0.5723649429247004),
            (1.0, 0.0),
            (2.0, 0.0),
            (3.5, 1.2009736023470738),
            (11.999, 17.499865227646104),
            (12.0, 17.502307845873887),
            (100.5, 361.4355404677776),
            (9_600.5, 78428.29535776984),
            (1e9, 19723265827.503716),
        ] {
            let found = ln_gamma(x);
            let tolerance = 1e-14 * f64::max(1.0, expected);
            assert!((found - expected).abs() <= tolerance, "{x}: {found}, not {expected}");
        }
    }
}
