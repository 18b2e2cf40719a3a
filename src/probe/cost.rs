//! What a request costs, in whole nano-dollars.

use super::question::Question;
use super::settings::Target;
use crate::model::{Money, Timestamp};
use crate::price::{Kinds, Price};
use crate::provider::{Provider, Usage};

/// What an answer cost. The sum is exact and rounded once, half up. Input that came from or went to
/// a cache is billed at its own price and is part of `usage.input`; reasoning is part of
/// `usage.output`.
pub fn cost(usage: &Usage, price: &Price) -> Money {
    let cached = usage.cache_read.saturating_add(usage.cache_write);
    let kinds = Kinds {
        input: usage.input.saturating_sub(cached),
        output: usage.output.saturating_sub(usage.reasoning),
        cache_read: usage.cache_read,
        cache_write: usage.cache_write.saturating_sub(usage.cache_write_hour),
        cache_write_hour: usage.cache_write_hour,
        reasoning: usage.reasoning,
    };
    price.cost(usage.service, usage.input, &kinds)
}

/// The most that one probe of a target should cost; `None` where its price is unknown.
///
/// The prompt counts one token for two bytes, above what any tokenizer makes of English, plus the
/// frame that providers put around a message. The answer counts its whole limit, as reasoning where
/// that is dearer.
pub fn estimate(target: &Target, now: Timestamp) -> Option<Money> {
    if target.page.is_some() {
        return Some(Money::ZERO);
    }
    let prompt = Question::new(target.prompt.as_deref(), 0).prompt;
    estimate_of(&target.provider, &target.model, prompt.len() as u64, target.tokens_max, now)
}

/// The same for any text that is sent to a model.
pub fn estimate_of(
    provider: &Provider,
    model: &str,
    prompt_bytes: u64,
    tokens_max: u32,
    now: Timestamp,
) -> Option<Money> {
    const FRAME_TOKENS: u64 = 16;
    let price = provider.price(model, now)?;
    let input = FRAME_TOKENS + prompt_bytes / 2;
    let output = u64::from(tokens_max);
    let usage = Usage { input, output, ..Usage::default() };
    let thought = Usage { reasoning: output, ..usage };
    Some(cost(&usage, price).max(cost(&thought, price)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::{Rates, Service, Tier};
    use crate::provider::{Dialect, Exam, Expectation, Head, Terminal};

    const fn usd(nanos: u64) -> Money {
        Money::from_nanos(nanos)
    }

    // $2.50 in, $10 out, $1.25 cache read, $3.125 cache write, $5 for an hour, $12 reasoning for a
    // million tokens.
    const RATES: Rates = Rates {
        input: usd(2_500_000_000),
        output: usd(10_000_000_000),
        cache_read: usd(1_250_000_000),
        cache_write: usd(3_125_000_000),
        cache_write_hour: usd(5_000_000_000),
        reasoning: usd(12_000_000_000),
    };

    #[test]
    fn tokens_are_billed_by_kind() {
        let price = Price::flat(RATES);
        for (usage, nanos) in [
            // Worked by hand: 9 × 2,500 + 1 × 10,000 nano-dollars.
            (Usage { input: 9, output: 1, ..Usage::default() }, 32_500),
            // 700 × 2,500 + 200 × 1,250 + 100 × 3,125 + 10 × 10,000 + 40 × 12,000.
            (
                Usage {
                    input: 1000,
                    output: 50,
                    cache_read: 200,
                    cache_write: 100,
                    reasoning: 40,
                    ..Usage::default()
                },
                2_892_500,
            ),
            // 900 × 2,500 + 30 × 3,125 + 70 × 5,000.
            (
                Usage { input: 1000, cache_write: 100, cache_write_hour: 70, ..Usage::default() },
                2_693_750,
            ),
            (Usage::default(), 0),
        ] {
            assert_eq!(cost(&usage, &price), usd(nanos), "{usage:?}");
        }
    }

    #[test]
    fn half_a_nano_dollar_is_rounded_up_once() {
        let price = |nanos| Price::flat(Rates::plain(usd(nanos), usd(nanos)));
        let usage = Usage { input: 1, output: 1, ..Usage::default() };
        // Twice 0.25 is 0.5 and rounds up; each alone would have been 0.
        assert_eq!(cost(&usage, &price(250_000)), usd(1));
        assert_eq!(cost(&usage, &price(249_999)), Money::ZERO);
    }

    #[test]
    fn senseless_usage_does_not_overflow() {
        let most = usd(u64::MAX);
        let price = Price::flat(Rates::plain(most, most)).with_request(most);
        let all = u64::MAX;
        for reasoning in [0, all] {
            let usage = Usage {
                input: 1,
                output: all - 1,
                cache_read: all,
                cache_write: all,
                cache_write_hour: all,
                reasoning,
                service: Service::Flex,
            };
            assert_eq!(cost(&usage, &price), most);
        }
    }

    /// The table at the head of the file of cases.
    fn price_of_cases() -> Price {
        let rates = |tokens: [u64; 6]| {
            let [input, output, cache_read, cache_write, cache_write_hour, reasoning] =
                tokens.map(|nanos| usd(nanos * 1_000_000));
            Rates { input, output, cache_read, cache_write, cache_write_hour, reasoning }
        };
        let above = rates([5000, 20_000, 2500, 6250, 10_000, 24_000]);
        let priority = rates([4250, 17_000, 2125, 4250, 4250, 17_000]);
        let batch = rates([1250, 5000, 1250, 1250, 1250, 5000]);
        Price::flat(rates([2500, 10_000, 1250, 3125, 5000, 12_000]))
            .with_request(usd(7))
            .with_tiers(vec![Tier { above: 1000, rates: above }])
            .with_service(Service::Priority, priority, Vec::new())
            .with_service(Service::Batch, batch, Vec::new())
    }

    #[test]
    fn every_shape_of_usage_costs_what_was_worked_by_hand() {
        let file = include_str!("../../tests/money/usage.txt");
        let cases = file.split_once("\nname: ").unwrap().1;
        let mut count = 0;
        for case in cases.split("===\n").filter(|case| !case.is_empty()) {
            let (header, body) = case.split_once("---\n").unwrap();
            let get = |name: &str| {
                header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            let dialects = [Dialect::OpenaiChat, Dialect::AnthropicMessages];
            let dialect = dialects.into_iter().find(|one| Some(one.as_str()) == get("dialect"));
            let is_streamed = get("asked") == Some("stream");
            let expectation = Expectation {
                is_streamed,
                model: "m".to_owned(),
                terminal: Terminal::Lenient,
                wants_usage: true,
            };
            let mut exam = Exam::new(dialect.unwrap(), expectation);
            let kind = if is_streamed { "text/event-stream" } else { "application/json" };
            let headers = |name: &str| (name == "content-type").then(|| kind.to_owned());
            exam.head(&Head { status: 200, headers: &headers, now: Timestamp::from_millis(0) });
            exam.bytes(body.as_bytes());
            exam.end();
            let usage = exam.finish().usage.unwrap();
            let expected: u64 = get("cost").unwrap().parse().unwrap();
            assert_eq!(cost(&usage, &price_of_cases()).nanos(), expected, "{header}");
            count += 1;
        }
        assert!(count >= 13, "{count} cases");
    }
}
