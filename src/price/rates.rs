//! The price of a model at one time.

use std::collections::BTreeMap;

use crate::model::Money;

/// Prices are for this many tokens.
const PRICED_TOKENS: u128 = 1_000_000;

/// Prices for a million tokens of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Input that was not cached.
    pub input: Money,
    /// Output that is no reasoning.
    pub output: Money,
    /// Input read from a cache.
    pub cache_read: Money,
    /// Input written to a cache for minutes.
    pub cache_write: Money,
    /// Input written to a cache for an hour or more.
    pub cache_write_hour: Money,
    /// Output that is reasoning.
    pub reasoning: Money,
}

impl Rates {
    /// Where nothing else is said, caches cost what input does and reasoning what output does.
    pub const fn plain(input: Money, output: Money) -> Self {
        Self {
            input,
            output,
            cache_read: input,
            cache_write: input,
            cache_write_hour: input,
            reasoning: output,
        }
    }
}

/// Rates of requests whose input is longer than so many tokens. They hold for all of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// More input than this.
    pub above: u64,
    /// What it costs then.
    pub rates: Rates,
}

/// How fast, and how surely, a request was served. The answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// What is served where nothing is asked for.
    #[default]
    Standard,
    /// Slower and cheaper.
    Flex,
    /// Faster and dearer.
    Priority,
    /// Some time, at half the price.
    Batch,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Flex, Self::Priority, Self::Batch];

    /// The word for it in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Batch => "batch",
        }
    }

    /// Reads a provider's word. One that nobody knows counts as standard.
    pub fn of(word: &str) -> Self {
        match word {
            "flex" => Self::Flex,
            "priority" | "fast" => Self::Priority,
            "batch" => Self::Batch,
            _ => Self::Standard,
        }
    }
}

/// Tokens that are billed apart; no token is in two of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// See [`Rates::input`].
    pub input: u64,
    /// See [`Rates::output`].
    pub output: u64,
    /// See [`Rates::cache_read`].
    pub cache_read: u64,
    /// See [`Rates::cache_write`].
    pub cache_write: u64,
    /// See [`Rates::cache_write_hour`].
    pub cache_write_hour: u64,
    /// See [`Rates::reasoning`].
    pub reasoning: u64,
}

/// What a model costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// For each request, however short.
    request: Money,
    base: Rates,
    /// By how much input a request has, ascending.
    tiers: Vec<Tier>,
    /// Of services that cost something else.
    services: BTreeMap<Service, (Rates, Vec<Tier>)>,
}

impl Price {
    /// One rate for all requests.
    pub fn flat(base: Rates) -> Self {
        Self { request: Money::ZERO, base, tiers: Vec::new(), services: BTreeMap::new() }
    }

    /// With an amount for each request.
    #[must_use]
    pub fn with_request(self, request: Money) -> Self {
        Self { request, ..self }
    }

    /// With rates of longer requests, in any order.
    #[must_use]
    pub fn with_tiers(self, mut tiers: Vec<Tier>) -> Self {
        tiers.sort_by_key(|tier| tier.above);
        Self { tiers, ..self }
    }

    /// With rates of another service.
    #[must_use]
    pub fn with_service(mut self, service: Service, base: Rates, mut tiers: Vec<Tier>) -> Self {
        tiers.sort_by_key(|tier| tier.above);
        self.services.insert(service, (base, tiers));
        self
    }

    /// For each request, however short.
    pub fn request(&self) -> Money {
        self.request
    }

    /// The rates of a short request of the standard service.
    pub fn base(&self) -> &Rates {
        &self.base
    }

    /// The rates of longer requests of the standard service, ascending.
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// The services that cost something else.
    pub fn services(&self) -> impl Iterator<Item = (Service, &Rates, &[Tier])> {
        self.services.iter().map(|(service, (base, tiers))| (*service, base, tiers.as_slice()))
    }

    /// The rates of a request with so much input, cached input included. A service without rates of
    /// its own costs what the standard one does.
    pub fn rates(&self, service: Service, input: u64) -> &Rates {
        let (base, tiers) = match self.services.get(&service) {
            Some((base, tiers)) => (base, tiers),
            None => (&self.base, &self.tiers),
        };
        tiers.iter().rev().find(|tier| input > tier.above).map_or(base, |tier| &tier.rates)
    }

    /// What a request cost. The sum is exact and rounded once, half up.
    pub fn cost(&self, service: Service, input: u64, kinds: &Kinds) -> Money {
        let rates = self.rates(service, input);
        let parts = [
            (kinds.input, rates.input),
            (kinds.output, rates.output),
            (kinds.cache_read, rates.cache_read),
            (kinds.cache_write, rates.cache_write),
            (kinds.cache_write_hour, rates.cache_write_hour),
            (kinds.reasoning, rates.reasoning),
        ];
        // One product always fits into a u128, the sum may not; saturation is beyond all money.
        let sum = parts.iter().fold(0_u128, |sum, (tokens, rate)| {
            sum.saturating_add(u128::from(*tokens).saturating_mul(u128::from(rate.nanos())))
        });
        let nanos = sum.saturating_add(PRICED_TOKENS / 2) / PRICED_TOKENS;
        self.request + Money::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn usd(nanos: u64) -> Money {
        Money::from_nanos(nanos)
    }

    // $3 and $15 a million tokens, $6 and $22.50 with more than 200,000 of input, half of it in a
    // batch, and a tenth of a cent a request.
    fn price() -> Price {
        let base = Rates::plain(usd(3_000_000_000), usd(15_000_000_000));
        let long = Rates::plain(usd(6_000_000_000), usd(22_500_000_000));
        let batch = Rates::plain(usd(1_500_000_000), usd(7_500_000_000));
        Price::flat(base)
            .with_request(usd(1_000_000))
            .with_tiers(vec![Tier { above: 200_000, rates: long }])
            .with_service(Service::Batch, batch, Vec::new())
    }

    // By hand, in nano-dollars: 1,000,000 for the request; 3,000 or 6,000 a token of input, 15,000
    // or 22,500 a token of output.
    #[test]
    fn a_long_request_costs_more_for_all_of_its_tokens() {
        let of = |input, output, service| {
            let kinds = Kinds { input, output, ..Kinds::default() };
            price().cost(service, input, &kinds).nanos()
        };
        assert_eq!(of(0, 0, Service::Standard), 1_000_000);
        assert_eq!(of(200_000, 10, Service::Standard), 601_150_000);
        assert_eq!(of(200_001, 10, Service::Standard), 1_201_231_000);
        assert_eq!(of(200_001, 10, Service::Flex), 1_201_231_000);
        assert_eq!(of(200_001, 10, Service::Batch), 301_076_500);
    }

    #[test]
    fn words_of_services_are_those_of_the_providers() {
        for (word, service) in [
            ("default", Service::Standard),
            ("standard", Service::Standard),
            ("scale", Service::Standard),
            ("flex", Service::Flex),
            ("priority", Service::Priority),
            ("batch", Service::Batch),
        ] {
            assert_eq!(Service::of(word), service, "{word}");
        }
        for service in Service::ALL {
            assert_eq!(Service::of(service.as_str()), service);
        }
    }
}
