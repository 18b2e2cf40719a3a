//! `bellwether prices`: what the configured models cost, and prices taken from LiteLLM's file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::arguments::{ConfigFile, loaded};
use crate::clock::Clock;
use crate::model::{Money, Timestamp};
use crate::price::{Price, Rates, Table, Tier, scaled};

/// What to do with prices.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print what each model of the configuration costs now, and what it will.
    List(ConfigFile),
    /// Print prices of LiteLLM's `model_prices_and_context_window.json` as `models:` of a provider.
    Import(Import),
}

/// Flags of `prices import`.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file, as LiteLLM publishes it.
    file: PathBuf,
    /// Which models, by their keys in the file such as `gpt-4o` or `azure/gpt-4o`; all of them where
    /// none is named.
    models: Vec<String>,
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(file) => list(file),
        Command::Import(arguments) => import(arguments),
    }
}

fn list(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let Some(loaded) = loaded(&file.path)? else { return Ok(ExitCode::FAILURE) };
    let now = Clock::start().now();
    for provider in &loaded.config.providers {
        for (model, entry) in &provider.models {
            let name = format!("{} {model}", provider.id);
            let Some(prices) = &entry.price else {
                println!("{name}: no price");
                continue;
            };
            let current = prices.at(now);
            let coming = prices.entries().iter().filter(|(from, _)| *from > now);
            match current {
                Some(price) => println!("{name}: {}", flow(price)),
                None => println!("{name}: no price yet"),
            }
            for (from, price) in coming {
                println!("{name}: {} from {}", flow(price), day(*from));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn day(at: Timestamp) -> String {
    let text = at.rfc3339();
    text.strip_suffix("T00:00:00Z").unwrap_or(&text).to_owned()
}

fn import(arguments: &Import) -> anyhow::Result<ExitCode> {
    let path = arguments.file.display();
    let text = std::fs::read_to_string(&arguments.file)
        .with_context(|| format!("`{path}` cannot be read"))?;
    let table = Table::parse(&text).with_context(|| format!("`{path}` cannot be taken"))?;
    let missing: Vec<&str> = arguments
        .models
        .iter()
        .map(String::as_str)
        .filter(|model| table.get(model).is_none())
        .collect();
    for model in &missing {
        let near = crate::model::suggest::remedy(model, table.keys());
        let near = near.map(|near| format!(" ({near})")).unwrap_or_default();
        eprintln!("bellwether: `{path}` has no price for `{model}`{near}");
    }
    if !missing.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    print!("{}", models(&table, &arguments.models));
    Ok(ExitCode::SUCCESS)
}

/// The models as the configuration writes them, each under the last part of its key, or under all of
/// it where others end alike.
fn models(table: &Table, chosen: &[String]) -> String {
    let mut text = "models:\n".to_owned();
    let all = chosen.is_empty();
    let is_chosen = |key: &&str| all || chosen.iter().any(|chosen| chosen == key);
    let end = |key: &'_ str| key.rsplit('/').next().unwrap_or_default().to_owned();
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    table.keys().filter(is_chosen).for_each(|key| *ends.entry(end(key)).or_default() += 1);
    for key in table.keys().filter(is_chosen) {
        let Some(price) = table.get(key) else { continue };
        let is_alone = ends.get(&end(key)).is_some_and(|count| *count == 1);
        let name = serde_json::to_string(&if is_alone { end(key) } else { key.to_owned() });
        let name = name.expect("a text always serializes");
        let _infallible = writeln!(text, "  {name}: {{price: {}}}", flow(price));
    }
    text
}

/// A price as one mapping of YAML, without what follows from the rest.
fn flow(price: &Price) -> String {
    let mut parts = parts(price.base());
    if price.request() != Money::ZERO {
        parts.push(format!("request: {}", amount(price.request())));
    }
    parts.extend(tiers(price.tiers()));
    for (service, base, of_service) in price.services() {
        let mut inner = self::parts(base);
        inner.extend(tiers(of_service));
        parts.push(format!("{}: {{{}}}", service.as_str(), inner.join(", ")));
    }
    format!("{{{}}}", parts.join(", "))
}

fn parts(rates: &Rates) -> Vec<String> {
    let mut parts = vec![
        format!("input: {}", amount(rates.input)),
        format!("output: {}", amount(rates.output)),
    ];
    for (name, rate, default) in [
        ("cache_read", rates.cache_read, rates.input),
        ("cache_write", rates.cache_write, rates.input),
        ("cache_write_1h", rates.cache_write_hour, rates.cache_write),
        ("reasoning", rates.reasoning, rates.output),
    ] {
        if rate != default {
            parts.push(format!("{name}: {}", amount(rate)));
        }
    }
    parts
}

fn tiers(tiers: &[Tier]) -> Option<String> {
    let tiers: Vec<String> = tiers
        .iter()
        .map(|tier| format!("{{above: {}, {}}}", tier.above, parts(&tier.rates).join(", ")))
        .collect();
    (!tiers.is_empty()).then(|| format!("tiers: [{}]", tiers.join(", ")))
}

fn amount(money: Money) -> String {
    scaled(money.nanos(), 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Written by hand in LiteLLM's format.
    const FILE: &str = r#"{
        "azure/gpt-x": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
            "cache_read_input_token_cost": 1.25e-06, "input_cost_per_request": 0.005,
            "input_cost_per_token_above_200k_tokens": 5e-06,
            "output_cost_per_token_above_200k_tokens": 2e-05,
            "input_cost_per_token_flex": 1.25e-06, "output_cost_per_token_flex": 5e-06},
        "tiny": {"input_cost_per_token": 1.5e-10, "output_cost_per_token": 0}
    }"#;

    #[test]
    fn what_is_printed_is_read_as_what_it_was() {
        let table = Table::parse(FILE).unwrap();
        let text = models(&table, &[]);
        assert_eq!(
            text,
            "models:\n  \"gpt-x\": {price: {input: 2.5, output: 10, cache_read: 1.25, \
             request: 0.005, tiers: [{above: 200000, input: 5, output: 20}], \
             flex: {input: 1.25, output: 5}}}\n  \
             \"tiny\": {price: {input: 0.00015, output: 0}}\n"
        );
        let config = format!(
            "providers:\n- name: p\n  dialect: openai_chat\n  base_url: http://h\n  auth: none\n  \
             {}probes: []\n",
            text.replace('\n', "\n  ").trim_end_matches(' ')
        );
        let config = crate::config::parse("c.yml", &config).unwrap();
        for (key, model) in [("azure/gpt-x", "gpt-x"), ("tiny", "tiny")] {
            let price = config.providers[0].price(model, Timestamp::from_millis(0));
            assert_eq!(price, table.get(key), "{model}");
        }
        assert!(!models(&table, &["tiny".to_owned()]).contains("gpt-x"));
    }
}
