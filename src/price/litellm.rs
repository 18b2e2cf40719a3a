//! LiteLLM's `model_prices_and_context_window.json`: one object, a model a key, dollars a token.
//!
//! Numbers are read from their text, so that `1.5e-07` is 0.15 dollars a million tokens and nothing
//! beside it. Entries that price no tokens (images, seconds, pages) are passed over; what this does
//! not know within an entry (audio, searches) is left out of the price.
//!
//! | field | becomes |
//! | --- | --- |
//! | `input_cost_per_token`, `output_cost_per_token` | the rates |
//! | `cache_read_input_token_cost`, `cache_creation_input_token_cost`, `…_above_1hr`, `output_cost_per_reasoning_token` | rates of their own; else those of input and output |
//! | `…_above_200k_tokens` | a tier of requests with more input |
//! | `…_flex`, `…_priority`, `…_batches` | the rates of that service |
//! | `tiered_pricing` | tiers by the lower end of their ranges |
//! | `input_cost_per_request` | an amount for each request |

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::amount::parse_scaled;
use super::rates::{Price, Rates, Service, Tier};
use crate::model::Money;

/// Dollars a token to nano-dollars a million tokens.
const TOKEN_POWER: i32 = 15;
/// Dollars to nano-dollars.
const DOLLAR_POWER: i32 = 9;
/// The entry that explains the others.
const EXAMPLE: &str = "sample_spec";

const SERVICES: [(Service, &str); 4] = [
    (Service::Standard, ""),
    (Service::Flex, "_flex"),
    (Service::Priority, "_priority"),
    (Service::Batch, "_batches"),
];

/// Why a table cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is not one JSON object of objects.
    #[error("it is no table of prices as LiteLLM publishes them")]
    Shape(#[source] serde_json::Error),
    /// A price is no amount.
    #[error("`{model}`: `{field}` is no amount of dollars")]
    Amount {
        /// Whose.
        model: String,
        /// Which.
        field: String,
    },
}

/// Prices by the keys of the file, such as `gpt-4o` or `azure/gpt-4o`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table(BTreeMap<String, Price>);

type Entry<'a> = BTreeMap<String, &'a RawValue>;

impl Table {
    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let entries: BTreeMap<String, Entry<'_>> =
            serde_json::from_str(text).map_err(TableError::Shape)?;
        let mut prices = BTreeMap::new();
        for (model, entry) in entries {
            if model == EXAMPLE {
                continue;
            }
            let reading = Reading { model: &model, entry: &entry };
            if let Some(price) = reading.price()? {
                prices.insert(model, price);
            }
        }
        Ok(Self(prices))
    }

    /// Takes in another table, whose prices win.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The price under a key.
    pub fn get(&self, key: &str) -> Option<&Price> {
        self.0.get(key)
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.keys().map(String::as_str)
    }

    /// How many prices there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The price of a model of a kind of provider (the value of the label `provider`, such as
    /// `azure.ai.openai`), and its key: LiteLLM puts its own name of most providers before a
    /// model's, and none before those that made a name for themselves.
    pub fn find(&self, system: &str, model: &str) -> Option<(String, &Price)> {
        let prefixed = prefix(system).map(|prefix| format!("{prefix}/{model}"));
        let keys = prefixed.into_iter().chain([format!("{system}/{model}"), model.to_owned()]);
        keys.into_iter().find_map(|key| self.0.get(&key).map(|price| (key, price)))
    }
}

/// LiteLLM's name for a kind of provider, where it differs.
fn prefix(system: &str) -> Option<&'static str> {
    Some(match system {
        "azure.ai.openai" => "azure",
        "azure.ai.inference" => "azure_ai",
        "gcp.gemini" | "gcp.gen_ai" => "gemini",
        "gcp.vertex_ai" => "vertex_ai",
        "aws.bedrock" => "bedrock",
        "x_ai" => "xai",
        "mistral_ai" => "mistral",
        "moonshot_ai" => "moonshot",
        _ => return None,
    })
}

struct Reading<'a> {
    model: &'a str,
    entry: &'a Entry<'a>,
}

impl Reading<'_> {
    fn price(&self) -> Result<Option<Price>, TableError> {
        let ranges = self.ranges()?;
        let Some(base) = self.rates("", "")?.or(ranges.first().map(|tier| tier.rates)) else {
            return Ok(None);
        };
        let mut tiers = self.tiers("", &base)?;
        tiers.extend(ranges.into_iter().filter(|tier| tier.above > 0));
        let request = self.amount("input_cost_per_request", DOLLAR_POWER)?;
        let mut price =
            Price::flat(base).with_request(request.unwrap_or_default()).with_tiers(tiers);
        for (service, suffix) in SERVICES.into_iter().skip(1) {
            if let Some(rates) = self.rates("", suffix)? {
                price = price.with_service(service, rates, self.tiers(suffix, &rates)?);
            }
        }
        Ok(Some(price))
    }

    /// The rates of a size (`_above_200k_tokens`) and a service; `None` where input or output has
    /// none.
    fn rates(&self, size: &str, service: &str) -> Result<Option<Rates>, TableError> {
        let read = |name: &str| self.amount(&format!("{name}{size}{service}"), TOKEN_POWER);
        let (input, output) = (read("input_cost_per_token")?, read("output_cost_per_token")?);
        let (Some(input), Some(output)) = (input, output) else { return Ok(None) };
        let plain = Rates::plain(input, output);
        let cache_write = read("cache_creation_input_token_cost")?.unwrap_or(input);
        let hour = read("cache_creation_input_token_cost_above_1hr")?;
        Ok(Some(Rates {
            cache_read: read("cache_read_input_token_cost")?.unwrap_or(input),
            cache_write,
            cache_write_hour: hour.unwrap_or(cache_write),
            reasoning: read("output_cost_per_reasoning_token")?.unwrap_or(output),
            ..plain
        }))
    }

    /// The sizes that some field of a service names, but for what the base costs too.
    fn tiers(&self, service: &str, base: &Rates) -> Result<Vec<Tier>, TableError> {
        let mut sizes = BTreeSet::new();
        for field in self.entry.keys() {
            let rest = field.strip_prefix("input_cost_per_token_above_");
            let size = rest.and_then(|rest| rest.strip_suffix(service)?.strip_suffix("k_tokens"));
            sizes.extend(size.and_then(|size| size.parse::<u64>().ok()));
        }
        let mut tiers = Vec::new();
        for thousands in sizes {
            let rates = self.rates(&format!("_above_{thousands}k_tokens"), service)?;
            let differing = rates.filter(|rates| rates != base);
            let above = thousands.saturating_mul(1000);
            tiers.extend(differing.map(|rates| Tier { above, rates }));
        }
        Ok(tiers)
    }

    fn ranges(&self) -> Result<Vec<Tier>, TableError> {
        let Some(raw) = self.entry.get("tiered_pricing") else { return Ok(Vec::new()) };
        let ranges: Vec<Entry<'_>> = serde_json::from_str(raw.get()).unwrap_or_default();
        let mut tiers = Vec::new();
        for entry in ranges {
            let bounds = entry.get("range").map_or("", |range| range.get());
            let bounds: Vec<&RawValue> = serde_json::from_str(bounds).unwrap_or_default();
            let above = bounds.first().and_then(|from| parse_scaled(from.get(), 0));
            let reading = Reading { model: self.model, entry: &entry };
            if let (Some(above), Some(rates)) = (above, reading.rates("", "")?) {
                tiers.push(Tier { above, rates });
            }
        }
        tiers.sort_by_key(|tier| tier.above);
        Ok(tiers)
    }

    /// A field's amount times ten to a power; nothing where there is none or it is null.
    fn amount(&self, field: &str, power: i32) -> Result<Option<Money>, TableError> {
        let Some(raw) = self.entry.get(field) else { return Ok(None) };
        let text = raw.get();
        if text == "null" {
            return Ok(None);
        }
        let text = text.trim_matches('"');
        let wrong = || TableError::Amount { model: self.model.to_owned(), field: field.to_owned() };
        parse_scaled(text, power).map(|nanos| Some(Money::from_nanos(nanos))).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kinds;
    use super::*;

    // Written by hand in the file's format; the prices are made up.
    const FILE: &str = r#"{
        "sample_spec": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
        "gpt-x": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
            "cache_read_input_token_cost": 1.25e-06, "litellm_provider": "openai",
            "input_cost_per_token_priority": 4.25e-06, "output_cost_per_token_priority": 1.7e-05,
            "input_cost_per_audio_token": 0.0001, "max_tokens": "many"},
        "azure/gpt-x": {"input_cost_per_token": "0.000003", "output_cost_per_token": 1.2e-05},
        "claude-x": {"input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
            "cache_creation_input_token_cost": 3.75e-06,
            "cache_creation_input_token_cost_above_1hr": 6e-06,
            "cache_read_input_token_cost": 3e-07,
            "input_cost_per_token_above_200k_tokens": 6e-06,
            "output_cost_per_token_above_200k_tokens": 2.25e-05,
            "input_cost_per_token_batches": 1.5e-06, "output_cost_per_token_batches": 7.5e-06,
            "input_cost_per_token_above_200k_tokens_batches": 3e-06,
            "output_cost_per_token_above_200k_tokens_batches": 1.125e-05},
        "dashscope/qwen-x": {"tiered_pricing": [
            {"range": [0, 256000.0], "input_cost_per_token": 5e-08, "output_cost_per_token": 4e-07},
            {"range": [256000.0, 1000000.0], "input_cost_per_token": 2.5e-07,
             "output_cost_per_token": 2e-06}]},
        "thinker": {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
            "output_cost_per_reasoning_token": 3e-06, "input_cost_per_request": 0.005,
            "cache_read_input_token_cost": null},
        "painter": {"output_cost_per_image": 0.04}
    }"#;

    fn million(nanos: u64) -> Money {
        Money::from_nanos(nanos)
    }

    #[test]
    fn a_table_is_read_to_the_last_digit() {
        let table = Table::parse(FILE).unwrap();
        let keys: Vec<_> = table.keys().collect();
        assert_eq!(
            keys,
            ["azure/gpt-x", "claude-x", "dashscope/qwen-x", "gpt-x", "thinker"],
            "no example, and nothing that has no tokens"
        );
        let gpt = table.get("gpt-x").unwrap();
        let plain = Rates::plain(million(2_500_000_000), million(10_000_000_000));
        assert_eq!(*gpt.base(), Rates { cache_read: million(1_250_000_000), ..plain });
        let priority = Rates::plain(million(4_250_000_000), million(17_000_000_000));
        assert_eq!(*gpt.rates(Service::Priority, 5), priority);
        assert_eq!(table.get("azure/gpt-x").unwrap().base().input, million(3_000_000_000));
        let claude = table.get("claude-x").unwrap();
        assert_eq!(claude.base().cache_write, million(3_750_000_000));
        assert_eq!(claude.base().cache_write_hour, million(6_000_000_000));
        assert_eq!(claude.rates(Service::Standard, 200_001).output, million(22_500_000_000));
        assert_eq!(claude.rates(Service::Batch, 200_000).output, million(7_500_000_000));
        assert_eq!(claude.rates(Service::Batch, 200_001).output, million(11_250_000_000));
        let qwen = table.get("dashscope/qwen-x").unwrap();
        assert_eq!(qwen.base().input, million(50_000_000));
        assert_eq!(qwen.rates(Service::Standard, 256_001).input, million(250_000_000));
        // 5,000,000 for the request, 10 × 1,000 of input, 1 × 2,000 of output, 2 × 3,000 of reasoning.
        let thinker = table.get("thinker").unwrap();
        let kinds = Kinds { input: 10, output: 1, reasoning: 2, ..Kinds::default() };
        assert_eq!(thinker.cost(Service::Standard, 10, &kinds), million(5_018_000));
    }

    #[test]
    fn a_model_is_found_under_the_name_of_its_provider_first() {
        let table = Table::parse(FILE).unwrap();
        let key = |system, model| table.find(system, model).map(|(key, _)| key);
        assert_eq!(key("openai", "gpt-x").as_deref(), Some("gpt-x"));
        assert_eq!(key("azure.ai.openai", "gpt-x").as_deref(), Some("azure/gpt-x"));
        assert_eq!(key("dashscope", "qwen-x").as_deref(), Some("dashscope/qwen-x"));
        assert_eq!(key("openai", "qwen-x"), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text| Table::parse(text).unwrap_err().to_string();
        assert!(error("[]").contains("no table of prices"));
        assert!(error("{\"a\": 1}").contains("no table of prices"));
        let wrong = "{\"a\": {\"input_cost_per_token\": -1, \"output_cost_per_token\": 1}}";
        assert_eq!(error(wrong), "`a`: `input_cost_per_token` is no amount of dollars");
    }
}
