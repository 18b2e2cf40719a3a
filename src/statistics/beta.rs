//! The regularized incomplete Beta function, and the distributions that are made of it.

use std::f64::consts::PI;

use super::gamma::ln_beta;

/// The fraction converges within some multiple of the square root of its arguments.
const TERMS_MAX: u32 = 100_000;
/// Stands for zero where a step of Lentz's method would divide by it.
const TINY: f64 = 1e-300;

/// `I_x(a, b)` for positive `a` and `b`: the chance that a Beta variable is at most `x`.
///
/// The continued fraction DLMF 8.17.22, evaluated by Lentz's method on the side of the mean where it
/// converges fast.
pub(super) fn regularized_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - regularized_beta(1.0 - x, b, a);
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b)).exp() / a;
    front * fraction(x, a, b)
}

/// The fraction `1/(1 + d1/(1 + d2/(1 + …)))`.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let guarded = |number: f64| if number.abs() < TINY { TINY } else { number };
    let mut c = 1.0;
    let mut d = 1.0 / guarded(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for term in 1..TERMS_MAX {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for step in [even, odd] {
            d = 1.0 / guarded(1.0 + step * d);
            c = guarded(1.0 + step / c);
            change = c * d;
            value *= change;
        }
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    value
}

/// The number that a standard normal variable exceeds with the chance `alpha / 2`.
pub(super) fn normal_quantile(alpha: f64) -> f64 {
    // Beyond 40 the tail is below the smallest float.
    falling(0.0, 40.0, |z| two_sided_normal(z) > alpha)
}

/// The chance that a standard normal variable is further from 0 than `z`: the incomplete Gamma
/// function of one half, as series near 0 and as continued fraction beyond (DLMF 7.6.2, 7.9.1).
pub(super) fn two_sided_normal(z: f64) -> f64 {
    let z = z.abs();
    let density = (-z * z / 2.0).exp() / (2.0 * PI).sqrt();
    if z < 3.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..200_u32 {
            term *= z * z / f64::from(2 * n + 1);
            sum += term;
            if term < sum * f64::EPSILON {
                break;
            }
        }
        return 1.0 - 2.0 * density * sum;
    }
    let tail = (1..=120_u32).rev().fold(z, |tail, n| z + f64::from(n) / tail);
    2.0 * density / tail
}

/// The number that a variable of Student's distribution exceeds with the chance `alpha / 2`.
pub(super) fn student_quantile(alpha: f64, freedom: f64) -> f64 {
    let two_sided = |t: f64| regularized_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5);
    let mut far = 1.0;
    while two_sided(far) > alpha && far < 1e12 {
        far *= 2.0;
    }
    falling(0.0, far, |t| two_sided(t) > alpha)
}

/// Where, between two numbers, what holds at the first stops to hold.
pub(super) fn falling(from: f64, to: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut inside, mut outside) = (from, to);
    loop {
        let middle = inside.midpoint(outside);
        // Nothing lies between two neighbouring floats.
        if middle == inside || middle == outside {
            return middle;
        }
        if holds(middle) { inside = middle } else { outside = middle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(found: f64, expected: f64, what: &str) {
        let error = (found - expected).abs() / expected.abs().max(1e-300);
        assert!(error < 1e-9, "{what}: {found} is not {expected}");
    }

    // By scipy 1.17.1: `scipy.special.betainc(a, b, x)`.
    #[test]
    fn the_incomplete_beta_function_is_that_of_another_program() {
        for (x, a, b, expected) in [
            (0.3, 2.0, 3.0, 0.348_3),
            (0.01, 1.0, 500.0, 0.993_429_516_957_585_4),
            (0.5, 1000.0, 1000.0, 0.5),
            (0.99, 5000.0, 60.0, 0.893_866_839_323_826),
            (0.2, 0.5, 0.5, 0.295_167_235_300_866_5),
        ] {
            is_near(regularized_beta(x, a, b), expected, &format!("I({x}; {a}, {b})"));
        }
        assert_eq!(regularized_beta(0.0, 1.0, 1.0), 0.0);
        assert_eq!(regularized_beta(1.0, 1.0, 1.0), 1.0);
    }

    // By scipy 1.17.1: `2 * scipy.stats.norm.sf(z)` and `scipy.stats.norm.isf(alpha / 2)`.
    #[test]
    fn normal_tails_and_quantiles_are_those_of_another_program() {
        for (z, expected) in [
            (0.5, 0.617_075_077_451_973_8),
            (1.0, 0.317_310_507_862_914_15),
            (2.9, 0.003_731_626_600_768_075),
            (3.1, 0.001_935_206_426_436_712_6),
            (6.0, 1.973_175_290_075_389e-9),
            (10.0, 1.523_970_604_832_094e-23),
        ] {
            is_near(two_sided_normal(z), expected, &format!("beyond {z}"));
        }
        for (alpha, expected) in [
            (0.5, 0.674_489_750_196_081_7),
            (0.05, 1.959_963_984_540_054_5),
            (0.01, 2.575_829_303_548_901),
            (1e-6, 4.891_638_475_698_591),
            (1e-12, 7.130_506_848_171_324),
        ] {
            is_near(normal_quantile(alpha), expected, &format!("quantile at {alpha}"));
        }
    }

    // By scipy 1.17.1: `scipy.stats.t.isf(alpha / 2, freedom)`; the first is in every table.
    #[test]
    fn student_quantiles_are_those_of_another_program() {
        for (alpha, freedom, expected) in [
            (0.05, 1.0, 12.706_204_736_174_705),
            (0.05, 5.0, 2.570_581_835_636_315_5),
            (0.01, 30.0, 2.749_995_653_567_226),
            (0.05, 599.0, 1.963_932_248_945_278_8),
            (0.001, 3.0, 12.923_978_636_687_481),
        ] {
            is_near(student_quantile(alpha, freedom), expected, &format!("t({alpha}, {freedom})"));
        }
    }
}
