//! Decimal texts as whole numbers, without floating point in between.

/// Longer texts are no amounts.
const DIGITS_MAX: usize = 38;

/// A decimal text such as `0.15`, `1.5e-07` or `3` times ten to a power, rounded half up to a whole
/// number. `None` where it is no such number, is negative, or is too large.
pub fn parse_scaled(text: &str, power: i32) -> Option<u64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_decimal = [whole, decimals].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let has_digits = !whole.is_empty() || !decimals.is_empty();
    if !is_decimal || !has_digits || whole.len() + decimals.len() > DIGITS_MAX {
        return None;
    }
    let digits: u128 = format!("{whole}{decimals}").parse().ok()?;
    let decimals = i32::try_from(decimals.len()).ok()?;
    let shift = exponent.checked_add(power)?.checked_sub(decimals)?;
    if digits == 0 {
        return Some(0);
    }
    let number = if shift >= 0 {
        digits.checked_mul(10_u128.checked_pow(u32::try_from(shift).ok()?)?)?
    } else {
        match 10_u128.checked_pow(shift.unsigned_abs()) {
            Some(divisor) => digits / divisor + u128::from(digits % divisor >= divisor.div_ceil(2)),
            None => 0,
        }
    };
    u64::try_from(number).ok()
}

/// A whole number divided by ten to a power, as a decimal text with nothing cut off.
pub fn scaled(number: u64, power: usize) -> String {
    let digits = format!("{number:0>width$}", width = power + 1);
    let (whole, decimals) = digits.split_at(digits.len() - power);
    match decimals.trim_end_matches('0') {
        "" => whole.to_owned(),
        decimals => format!("{whole}.{decimals}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // By hand.
    #[test]
    fn decimal_texts_are_read_exactly() {
        for (text, power, expected) in [
            ("0.15", 9, Some(150_000_000)),
            ("1.5e-07", 15, Some(150_000_000)),
            ("2.5E-06", 15, Some(2_500_000_000)),
            ("0.0000025", 15, Some(2_500_000_000)),
            ("3", 9, Some(3_000_000_000)),
            ("1e2", 0, Some(100)),
            ("0.5", 0, Some(1)),
            ("0.49", 0, Some(0)),
            ("1e-40", 15, Some(0)),
            ("0e99", 0, Some(0)),
            (".5", 1, Some(5)),
            ("1e30", 0, None),
            ("-1", 0, None),
            ("+1", 0, None),
            ("", 0, None),
            (".", 0, None),
            ("1.2.3", 0, None),
            ("NaN", 0, None),
            ("1e", 0, None),
            ("1e2147483647", 2_147_483_647, None),
        ] {
            assert_eq!(parse_scaled(text, power), expected, "{text}");
        }
        for (number, power, expected) in
            [(150_000_000, 9, "0.15"), (3_000_000_000, 9, "3"), (1, 9, "0.000000001"), (0, 9, "0")]
        {
            assert_eq!(scaled(number, power), expected);
        }
    }
}
