//! What a probe costs, in whole nano-dollars.

use super::question::Question;
use super::settings::Target;
use crate::model::Money;
use crate::provider::{Price, Usage};

/// Prices are for this many tokens.
const PRICED_TOKENS: u128 = 1_000_000;

/// What an answer cost. The sum is exact and rounded once, half up. Input that came from or went
/// to a cache is billed at its own price and is part of `usage.input`.
pub fn cost(usage: &Usage, price: &Price) -> Money {
    let cached = usage.cache_read.saturating_add(usage.cache_write);
    let parts = [
        (usage.input.saturating_sub(cached), price.input),
        (usage.cache_read, price.cache_read),
        (usage.cache_write, price.cache_write),
        (usage.output, price.output),
    ];
    // One product always fits into a u128, the sum of four may not; saturation is beyond all money.
    let sum = parts.iter().fold(0_u128, |sum, (tokens, price)| {
        sum.saturating_add(u128::from(*tokens).saturating_mul(u128::from(price.nanos())))
    });
    let nanos = sum.saturating_add(PRICED_TOKENS / 2) / PRICED_TOKENS;
    Money::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The most that one probe of a target should cost; `None` where its price is unknown.
///
/// The prompt counts one token for two bytes, above what any tokenizer makes of English, plus the
/// frame that providers put around a message. The answer counts its whole limit.
pub fn estimate(target: &Target) -> Option<Money> {
    const FRAME_TOKENS: u64 = 16;
    let price = target.provider.price(&target.model)?;
    let prompt = Question::new(target.prompt.as_deref(), 0).prompt;
    let input = FRAME_TOKENS + prompt.len() as u64 / 2;
    let output = u64::from(target.tokens_max);
    Some(cost(&Usage { input, output, ..Usage::default() }, price))
}

#[cfg(test)]
mod tests {
    use super::*;

    // $2.50 in, $10 out, $1.25 cache read, $3.125 cache write for a million tokens.
    const PRICE: Price = Price {
        input: Money::from_nanos(2_500_000_000),
        output: Money::from_nanos(10_000_000_000),
        cache_read: Money::from_nanos(1_250_000_000),
        cache_write: Money::from_nanos(3_125_000_000),
    };

    #[test]
    fn tokens_are_billed_by_kind() {
        // Worked by hand: 9 × 2,500 + 1 × 10,000 nano-dollars.
        let plain = Usage { input: 9, output: 1, ..Usage::default() };
        assert_eq!(cost(&plain, &PRICE), Money::from_nanos(32_500));
        // 700 × 2,500 + 200 × 1,250 + 100 × 3,125 + 50 × 10,000; reasoning is part of the output.
        let cached =
            Usage { input: 1000, output: 50, cache_read: 200, cache_write: 100, reasoning: 40 };
        assert_eq!(cost(&cached, &PRICE), Money::from_nanos(2_812_500));
        assert_eq!(cost(&Usage::default(), &PRICE), Money::ZERO);
    }

    #[test]
    fn half_a_nano_dollar_is_rounded_up_once() {
        let price = |nanos| Price {
            input: Money::from_nanos(nanos),
            output: Money::from_nanos(nanos),
            cache_read: Money::ZERO,
            cache_write: Money::ZERO,
        };
        let usage = Usage { input: 1, output: 1, ..Usage::default() };
        // Twice 0.25 is 0.5 and rounds up; each alone would have been 0.
        assert_eq!(cost(&usage, &price(250_000)), Money::from_nanos(1));
        assert_eq!(cost(&usage, &price(249_999)), Money::ZERO);
    }

    #[test]
    fn senseless_usage_does_not_overflow() {
        let price = Price {
            input: Money::from_nanos(u64::MAX),
            output: Money::from_nanos(u64::MAX),
            cache_read: Money::from_nanos(u64::MAX),
            cache_write: Money::from_nanos(u64::MAX),
        };
        let usage = Usage {
            input: 1,
            output: u64::MAX,
            cache_read: u64::MAX,
            cache_write: u64::MAX,
            reasoning: 0,
        };
        assert_eq!(cost(&usage, &price), Money::from_nanos(u64::MAX));
    }
}
