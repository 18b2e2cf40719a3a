//! `price:` of a model, and `prices:`: files of prices, and what other currencies are worth.
//!
//! A price is one mapping, or a list of them, each with the time `from` which it holds. Amounts in
//! another currency become dollars here, by the rate that the file names, so that everything behind
//! this counts in one currency and a sum means something.

use super::amount::money;
use super::document::pattern;
use super::maintenance::time;
use super::reader::{Fields, Reader, prefixed};
use super::scalar::{any_of, number, raw, refuse, text};
use crate::model::{Mistake, Money, Timestamp};
use crate::price::{Currencies, Price, PriceList, Rates, Service, Tier};
use crate::yaml::Node;

/// The keys of rates.
const RATES: [&str; 6] =
    ["input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning"];
const SERVICES: [Service; 3] = [Service::Flex, Service::Priority, Service::Batch];
const REMEDY: &str = "write US dollars for a million tokens";

/// Reads `prices:`. Its files were read by whoever loads the configuration.
pub(super) fn currencies(reader: &mut Reader, root: &Fields<'_>) -> Currencies {
    let Some(node) = root.get("prices") else { return Currencies::default() };
    let Some(fields) = reader.fields(node, "prices", &["files", "currencies"]) else {
        return Currencies::default();
    };
    reader.list(&fields, "files", pattern);
    let Some(node) = fields.get("currencies") else { return Currencies::default() };
    let Some(entries) = node.entries() else {
        let mistake = Mistake::new(node.place.clone(), format!("is {}", node.kind()));
        let mistake = mistake.remedy("write what one unit is worth in dollars: `EUR: 1.08`");
        reader.judge::<()>(&fields.what, "currencies", Err(mistake));
        return Currencies::default();
    };
    let mut found = Vec::new();
    for (key, value) in entries {
        let code = reader.judge(&fields.what, "currencies", code(key));
        let worth = reader.judge(&fields.what, "currencies", worth(value));
        found.extend(code.zip(worth));
    }
    Currencies::new(found)
}

fn code(node: &Node) -> Result<String, Mistake> {
    let code = raw(node, "a currency's code")?;
    if code == "USD" {
        return Err(refuse(node, "which is worth one dollar").remedy("remove it"));
    }
    match code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true => Ok(code.to_owned()),
        false => Err(refuse(node, "where a code of ISO 4217 such as `EUR` is due")),
    }
}

fn worth(node: &Node) -> Result<Money, Mistake> {
    match money(node)? {
        Money::ZERO => Err(refuse(node, "which is worth nothing")),
        worth => Ok(worth),
    }
}

/// What the price of a model is read with.
pub(super) struct Pricing<'a> {
    pub(super) currencies: &'a Currencies,
    /// The value of the label `provider`.
    pub(super) system: &'a str,
    /// The provider's name for the model.
    pub(super) upstream: &'a str,
}

/// Reads the price of a model: its own, or that of the files of `prices`.
pub(super) fn price(
    reader: &mut Reader,
    model: &Fields<'_>,
    pricing: &Pricing<'_>,
) -> Option<PriceList> {
    if let Some(node) = model.get("price") {
        if let Some(key) = model.get("price_as") {
            let message = prefixed(&model.what, "`price_as` stands beside `price`");
            reader.report(Mistake::new(key.place.clone(), message).remedy("remove one of them"));
        }
        return written(reader, node, model, pricing.currencies);
    }
    if model.has("price_as") {
        let table = reader.prices.clone();
        return reader.optional(model, "price_as", |node| {
            let key = text(node)?;
            let price = table.get(&key).cloned().map(PriceList::always);
            price.ok_or_else(|| {
                refuse(node, "which no file of `prices: files` has a price for")
                    .remedy("write a key of such a file, such as `azure/gpt-4o`")
            })
        });
    }
    let found = reader.prices.find(pricing.system, pricing.upstream);
    found.map(|(_, price)| PriceList::always(price.clone()))
}

fn written(
    reader: &mut Reader,
    node: &Node,
    model: &Fields<'_>,
    currencies: &Currencies,
) -> Option<PriceList> {
    let Some(items) = node.items() else {
        let (_, price) = one(reader, node, model.part("price"), currencies)?;
        return Some(PriceList::always(price));
    };
    if items.is_empty() {
        reader.filled(model, "price", "write a price, or remove the key");
        return None;
    }
    let mut found: Vec<(Timestamp, Price)> = Vec::new();
    let mut is_right = true;
    for (index, item) in items.iter().enumerate() {
        let what = model.part(&format!("price {}", index + 1));
        let Some((from, price)) = one(reader, item, what.clone(), currencies) else {
            is_right = false;
            continue;
        };
        if found.iter().any(|(other, _)| *other == from) {
            let message = prefixed(&what, "an earlier price holds from the same time");
            let remedy = "write `from` with the time that each price holds from";
            reader.report(Mistake::new(item.place.clone(), message).remedy(remedy));
        }
        found.push((from, price));
    }
    is_right.then(|| PriceList::from(found))
}

/// One price, and from when it holds.
fn one(
    reader: &mut Reader,
    node: &Node,
    what: String,
    currencies: &Currencies,
) -> Option<(Timestamp, Price)> {
    let services = SERVICES.map(Service::as_str);
    let known: Vec<&str> =
        RATES.into_iter().chain(["request", "tiers", "currency", "from"]).chain(services).collect();
    let fields = reader.fields(node, what, &known)?;
    let from = match fields.has("from") {
        true => reader.optional(&fields, "from", day)?,
        false => Timestamp::MIN,
    };
    let currency = match fields.has("currency") {
        true => reader.optional(&fields, "currency", |node| currency(node, currencies))?,
        false => "USD".to_owned(),
    };
    let exchange = |amount| currencies.dollars(&currency, amount).unwrap_or(amount);
    let amount = |node: &Node| money(node).map(exchange);
    let rates = rates(reader, &fields, &amount);
    let tiers = tiers(reader, &fields, &amount);
    let request = reader.optional(&fields, "request", amount);
    let mut price =
        Price::flat(rates?).with_request(request.unwrap_or_default()).with_tiers(tiers?);
    let mut is_right = true;
    for service in SERVICES {
        let Some(node) = fields.get(service.as_str()) else { continue };
        let known: Vec<&str> = RATES.into_iter().chain(["tiers"]).collect();
        let inner = reader.fields(node, fields.part(service.as_str()), &known);
        let own = inner.and_then(|inner| {
            let base = self::rates(reader, &inner, &amount);
            base.zip(self::tiers(reader, &inner, &amount))
        });
        match own {
            Some((base, tiers)) => price = price.with_service(service, base, tiers),
            None => is_right = false,
        }
    }
    is_right.then_some((from, price))
}

/// A time of RFC 3339, or a day, which begins at midnight UTC.
fn day(node: &Node) -> Result<Timestamp, Mistake> {
    let day = node.text().and_then(|text| text.parse::<jiff::civil::Date>().ok());
    let is_day = node.text().is_some_and(|text| text.len() == 10);
    match day.filter(|_| is_day).and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok()) {
        Some(day) => Ok(Timestamp::from_millis(day.timestamp().as_millisecond())),
        None => time(node),
    }
}

fn currency(node: &Node, currencies: &Currencies) -> Result<String, Mistake> {
    let code = raw(node, "a currency's code")?;
    if currencies.dollars(code, Money::ZERO).is_some() {
        return Ok(code.to_owned());
    }
    let known = any_of(currencies.codes().chain(["USD"]));
    Err(refuse(node, format!("where {known} is due"))
        .remedy(format!("write what it is worth: `prices: {{currencies: {{{code}: …}}}}`")))
}

fn rates(
    reader: &mut Reader,
    fields: &Fields<'_>,
    amount: &impl Fn(&Node) -> Result<Money, Mistake>,
) -> Option<Rates> {
    let input = reader.required(fields, "input", REMEDY, amount);
    let output = reader.required(fields, "output", REMEDY, amount);
    let cache_read = reader.optional(fields, "cache_read", amount);
    let cache_write = reader.optional(fields, "cache_write", amount);
    let hour = reader.optional(fields, "cache_write_1h", amount);
    let reasoning = reader.optional(fields, "reasoning", amount);
    let plain = Rates::plain(input?, output?);
    let cache_write = cache_write.unwrap_or(plain.input);
    Some(Rates {
        cache_read: cache_read.unwrap_or(plain.input),
        cache_write,
        cache_write_hour: hour.unwrap_or(cache_write),
        reasoning: reasoning.unwrap_or(plain.output),
        ..plain
    })
}

fn tiers(
    reader: &mut Reader,
    fields: &Fields<'_>,
    amount: &impl Fn(&Node) -> Result<Money, Mistake>,
) -> Option<Vec<Tier>> {
    let mut tiers: Vec<Tier> = Vec::new();
    let mut is_right = true;
    let known: Vec<&str> = ["above"].into_iter().chain(RATES).collect();
    for (index, node) in reader.items(fields, "tiers").into_iter().enumerate() {
        let what = fields.part(&format!("tier {}", index + 1));
        let Some(inner) = reader.fields(node, what, &known) else {
            is_right = false;
            continue;
        };
        let remedy = "write how many tokens of input a request must exceed, such as `200000`";
        let above = reader.required(&inner, "above", remedy, |node| {
            let above = number(node, 1..=u64::from(u32::MAX))?;
            match tiers.iter().any(|tier| tier.above == above) {
                true => Err(refuse(node, "which an earlier tier has already")),
                false => Ok(above),
            }
        });
        match above.zip(rates(reader, &inner, amount)) {
            Some((above, rates)) => tiers.push(Tier { above, rates }),
            None => is_right = false,
        }
    }
    is_right.then_some(tiers)
}
