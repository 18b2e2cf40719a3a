//! `probes:`: which model of which provider is asked, how often, and for how much.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::amount::{duration, money};
use super::check::check;
use super::global::CADENCE;
use super::page;
use super::providers::{Providers, unique};
use super::reader::{Fields, Reader, prefixed};
use super::scalar::{boolean, choice, name, number, refuse, text};
use super::settings::Global;
use crate::model::{Mistake, Money, TargetId, format_duration, suggest};
use crate::probe::{Budget, Check, Connection, Delivery, Target, Thresholds, Timeouts};
use crate::provider::{Dialect, ErrorType, Page, SharedProvider, SloClass};
use crate::yaml::Node;

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
const KEYS: [&str; 15] = [
    "name",
    "provider",
    "model",
    "stream",
    "interval",
    "max_in_flight",
    "timeouts",
    "thresholds",
    "max_tokens",
    "prompt",
    "check",
    "new_connection",
    "budget_daily",
    "budget_monthly",
    "slo_class",
];

/// The targets, and every name that was given to one.
pub(super) struct Probes {
    pub(super) right: Vec<Arc<Target>>,
    pub(super) names: Vec<String>,
}

/// Reads `probes:`.
pub(super) fn probes(
    reader: &mut Reader,
    root: &Fields<'_>,
    global: &Global,
    providers: &Providers,
) -> Probes {
    if !root.has("probes") {
        reader.missing(root, "probes", "write what to ask; `probes: []` asks nothing");
    }
    let mut found = Probes { right: Vec::new(), names: Vec::new() };
    for (index, node) in reader.items(root, "probes").into_iter().enumerate() {
        let target = probe(reader, node, index, global, providers, &mut found.names);
        found.right.extend(target.map(Arc::new));
    }
    found
}

fn probe(
    reader: &mut Reader,
    node: &Node,
    index: usize,
    global: &Global,
    providers: &Providers,
    names: &mut Vec<String>,
) -> Option<Target> {
    let part = |key| node.get(key).and_then(Node::text).filter(|text| !text.is_empty());
    let of_model = part("model").map(|model| format!("/{model}"));
    let rest = of_model.or_else(|| part("path").map(str::to_owned));
    let default_name =
        part("provider").zip(rest).map(|(provider, rest)| format!("{provider}{rest}"));
    let what = match part("name").or(default_name.as_deref()) {
        Some(name) => format!("probe `{name}`"),
        None => format!("probe {}", index + 1),
    };
    let known: Vec<&str> = KEYS.into_iter().chain(page::KEYS).collect();
    let fields = reader.fields(node, what, &known)?;
    let id = id(reader, &fields, default_name, names);
    let remedy = "write the name of an entry of `providers`";
    let provider = reader
        .required(&fields, "provider", remedy, |node| {
            let name = name(node)?;
            known_name(node, &name, &providers.names, "provider")?;
            Ok(name)
        })
        .and_then(|name| providers.find(&name));
    let asked = asked(reader, &fields, provider);
    let delivery = asked.delivery;
    let timeouts = timeouts(reader, &fields, TIMEOUTS);
    let thresholds = thresholds(reader, &fields, delivery, timeouts);
    let (prompt, check) = question(reader, &fields, asked.page.as_ref());
    let budget = match asked.page {
        Some(_) => Some(Budget::Unlimited),
        None => budget(reader, &fields, provider, asked.model.as_deref()),
    };
    let cadence = |node: &Node| duration(node, CADENCE);
    let interval = reader.optional(&fields, "interval", cadence).unwrap_or(global.probe_interval);
    let in_flight_max = reader.optional(&fields, "max_in_flight", |node| number(node, 1..=100));
    let tokens_max = reader.optional(&fields, "max_tokens", |node| number(node, 1..=100_000));
    let connection = match reader.optional(&fields, "new_connection", boolean) {
        Some(true) => Connection::New,
        Some(false) | None => Connection::Warm,
    };
    let classes = classes(reader, &fields);
    Some(Target {
        id: TargetId::new(&id?),
        provider: provider?.clone(),
        model: asked.model?,
        delivery,
        interval,
        in_flight_max: in_flight_max.unwrap_or(2),
        timeouts,
        thresholds,
        tokens_max: tokens_max.unwrap_or(32),
        prompt,
        check: check?,
        page: asked.page,
        connection,
        budget: budget?,
        classes,
    })
}

/// Whom or what a probe asks for.
struct Asked {
    /// The model, or the path of a page.
    model: Option<String>,
    delivery: Delivery,
    page: Option<Page>,
}

fn asked(reader: &mut Reader, fields: &Fields<'_>, provider: Option<&SharedProvider>) -> Asked {
    if provider.is_some_and(|provider| provider.dialect == Dialect::Http) {
        page::refuse_keys(reader, fields, &page::OF_MODELS, "`http` asks no model");
        let page = page::page(reader, fields);
        let model = Some(page.path.clone());
        return Asked { model, delivery: Delivery::Whole, page: Some(page) };
    }
    // Of a provider with a mistake in it nobody knows which keys are right.
    if provider.is_some() {
        page::refuse_keys(reader, fields, &page::KEYS, "its provider is asked for a model");
    }
    let remedy = "write the model's name";
    let is_page = provider.is_none() && page::KEYS.iter().any(|key| fields.has(key));
    let model = match is_page {
        true => None,
        false => reader.required(fields, "model", remedy, |node| model(node, provider)),
    };
    let delivery = match reader.optional(fields, "stream", boolean) {
        Some(false) => Delivery::Whole,
        Some(true) | None => Delivery::Streamed,
    };
    Asked { model, delivery, page: None }
}

fn id(
    reader: &mut Reader,
    fields: &Fields<'_>,
    default: Option<String>,
    names: &mut Vec<String>,
) -> Option<String> {
    if fields.get("name").is_some() {
        return reader.optional(fields, "name", |node| unique(node, name(node)?, names));
    }
    let default = default?;
    if names.contains(&default) {
        let message = prefixed(&fields.what, "an earlier probe has this name already");
        let mistake = Mistake::new(fields.place().clone(), message);
        reader.report(mistake.remedy("give one of the two a `name`"));
        return None;
    }
    names.push(default.clone());
    Some(default)
}

/// Refuses a name that no entry has.
pub(super) fn known_name(
    node: &Node,
    name: &str,
    names: &[String],
    kind: &str,
) -> Result<(), Mistake> {
    if names.iter().any(|other| other == name) {
        return Ok(());
    }
    let mistake = refuse(node, format!("and no {kind} has that name"));
    let remedy = suggest::remedy(name, names.iter().map(String::as_str));
    Err(mistake.remedy(
        remedy.unwrap_or_else(|| format!("list a {kind} under `{}s`", kind.replace(' ', "_"))),
    ))
}

fn model(node: &Node, provider: Option<&SharedProvider>) -> Result<String, Mistake> {
    let name = name(node)?;
    let Some(provider) = provider.filter(|provider| !provider.models.is_empty()) else {
        return Ok(name);
    };
    if provider.models.contains_key(&name) {
        return Ok(name);
    }
    let mistake = refuse(node, format!("which provider `{}` does not list", provider.id));
    let remedy = suggest::remedy(&name, provider.models.keys().map(String::as_str));
    Err(mistake.remedy(remedy.unwrap_or_else(|| "list it under `models`".to_owned())))
}

/// When a probe gives up, where nothing else is written.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_token: Duration::from_secs(30),
    idle: Duration::from_secs(15),
    total: Duration::from_secs(60),
};

/// Each default gives way to a shorter limit that is written around it.
pub(super) fn timeouts(reader: &mut Reader, fields: &Fields<'_>, default: Timeouts) -> Timeouts {
    const NAMES: [&str; 4] = ["connect", "first_token", "idle", "total"];
    let Some(node) = fields.get("timeouts") else { return default };
    let Some(inner) = reader.fields(node, fields.part("timeouts"), &NAMES) else { return default };
    let mut read = |name| reader.optional(&inner, name, |node| duration(node, TIMEOUT));
    let [connect, first_token, idle, total] = NAMES.map(&mut read);
    let longest = [connect, first_token, idle].into_iter().flatten().max();
    let total_default = default.total.max(longest.unwrap_or_default());
    let total = total.unwrap_or(total_default);
    let first_token_default = default.first_token.max(connect.unwrap_or_default()).min(total);
    let first_token = first_token.unwrap_or(first_token_default);
    let timeouts = Timeouts {
        connect: connect.unwrap_or(default.connect.min(first_token)),
        first_token,
        idle: idle.unwrap_or(default.idle.min(total)),
        total,
    };
    let Timeouts { connect, first_token, idle, total } = timeouts;
    for (name, shorter, limit_name, limit) in [
        ("connect", connect, "first_token", first_token),
        ("first_token", first_token, "total", total),
        ("idle", idle, "total", total),
    ] {
        not_longer(reader, &inner, (name, shorter), (limit_name, limit));
    }
    timeouts
}

fn not_longer(
    reader: &mut Reader,
    fields: &Fields<'_>,
    (name, shorter): (&str, Duration),
    (limit_name, limit): (&str, Duration),
) {
    if shorter > limit {
        let limit = format_duration(limit);
        let why = format!("which is longer than `{limit_name}` ({limit})");
        reader.optional(fields, name, |node| -> Result<(), Mistake> {
            Err(refuse(node, why).remedy(format!("it must not exceed {limit}")))
        });
    }
}

fn thresholds(
    reader: &mut Reader,
    fields: &Fields<'_>,
    delivery: Delivery,
    timeouts: Timeouts,
) -> Thresholds {
    let Some(node) = fields.get("thresholds") else { return Thresholds::default() };
    let Some(inner) = reader.fields(node, fields.part("thresholds"), &["ttft", "total"]) else {
        return Thresholds::default();
    };
    let mut read = |name| reader.optional(&inner, name, |node| duration(node, TIMEOUT));
    let thresholds = Thresholds { ttft: read("ttft"), total: read("total") };
    if delivery == Delivery::Whole && thresholds.ttft.is_some() {
        reader.optional(&inner, "ttft", |node| -> Result<(), Mistake> {
            Err(refuse(node, "but without `stream` there is no first token").remedy("remove it"))
        });
    } else if let Some(ttft) = thresholds.ttft {
        let limit = ("timeouts: first_token", timeouts.first_token);
        not_longer(reader, &inner, ("ttft", ttft), limit);
    }
    if let Some(total) = thresholds.total {
        let limit = ("timeouts: total", timeouts.total);
        not_longer(reader, &inner, ("total", total), limit);
    }
    thresholds
}

/// The default check looks for the nonce, so a prompt of one's own must ask for it. A page is asked
/// for nothing but to be there.
fn question(
    reader: &mut Reader,
    fields: &Fields<'_>,
    page: Option<&Page>,
) -> (Option<String>, Option<Check>) {
    let prompt = match page {
        Some(_) => None,
        None => reader.optional(fields, "prompt", text),
    };
    let check = match (fields.get("check"), page) {
        (Some(node), _) => check(reader, node, &fields.part("check"), &fields.what),
        (None, Some(_)) => Some(Check::Any),
        (None, None) => Some(Check::Nonce),
    };
    let wants_nonce = match &check {
        Some(Check::Nonce) => true,
        Some(Check::Contains(text)) => text.contains("{nonce}"),
        Some(Check::Regex(_) | Check::Json(_) | Check::Any) | None => false,
    };
    if let (true, Some(page)) = (wants_nonce, page) {
        if !page.body.as_ref().is_some_and(|body| body.contains("{nonce}")) {
            reader.optional(fields, "check", |node| -> Result<(), Mistake> {
                let why = "looks for a nonce, but none is sent";
                Err(Mistake::new(node.place.clone(), why).remedy("write `{nonce}` into `body`"))
            });
        }
    } else if wants_nonce && prompt.as_ref().is_some_and(|prompt| !prompt.contains("{nonce}")) {
        reader.optional(fields, "prompt", |node| -> Result<(), Mistake> {
            let why = "has no `{nonce}`, but the check looks for it in the answer";
            Err(Mistake::new(node.place.clone(), why)
                .remedy("ask for `{nonce}`, or write a `check` such as `check: any`"))
        });
    }
    (prompt, check)
}

/// One of the two must be written: a day is what most people can state.
fn budget(
    reader: &mut Reader,
    fields: &Fields<'_>,
    provider: Option<&SharedProvider>,
    model: Option<&str>,
) -> Option<Budget> {
    let model = provider.zip(model);
    let monthly = reader.optional(fields, "budget_monthly", |node| limit(node, model));
    if fields.has("budget_monthly") && !fields.has("budget_daily") {
        return monthly.map(|monthly| limited(None, monthly));
    }
    let remedy = "write dollars a day such as `budget_daily: 1.00`, or `budget_daily: unlimited`";
    let daily = reader.required(fields, "budget_daily", remedy, |node| limit(node, model))?;
    if fields.has("budget_monthly") {
        return monthly.map(|monthly| limited(daily, monthly));
    }
    Some(limited(daily, None))
}

pub(super) fn limited(daily: Option<Money>, monthly: Option<Money>) -> Budget {
    match (daily, monthly) {
        (None, None) => Budget::Unlimited,
        (daily, monthly) => Budget::Limited { daily, monthly },
    }
}

/// Dollars, or no limit.
pub(super) fn limit(
    node: &Node,
    model: Option<(&SharedProvider, &str)>,
) -> Result<Option<Money>, Mistake> {
    if node.text() == Some("unlimited") {
        return Ok(None);
    }
    let budget = money(node).map_err(|mistake| match mistake.remedy {
        Some(_) => mistake,
        None => mistake.remedy("write dollars, or `unlimited`"),
    })?;
    if budget == Money::ZERO {
        return Err(refuse(node, "which allows no probe at all").remedy("remove the probe"));
    }
    // An amount is a promise, and without a price there is nothing to count.
    let Some((provider, model)) = model else { return Ok(Some(budget)) };
    let is_priced = provider.models.get(model).is_some_and(|model| model.price.is_some());
    if !is_priced {
        let why = format!("but provider `{}` names no price for `{model}`", provider.id);
        return Err(refuse(node, why).remedy(format!(
            "write `models: {{{model}: {{price: {{input: …, output: …}}}}}}` there, list it under \
             `models` for a price from `prices: files`, or write `unlimited`"
        )));
    }
    Ok(Some(budget))
}

fn classes(reader: &mut Reader, fields: &Fields<'_>) -> BTreeMap<ErrorType, SloClass> {
    // A success is good by definition.
    let types: Vec<(&str, ErrorType)> = ErrorType::ALL
        .iter()
        .filter(|error_type| **error_type != ErrorType::None)
        .map(|error_type| (error_type.as_str(), *error_type))
        .collect();
    let words = SloClass::ALL.map(|class| (class.as_str(), class));
    let known: Vec<&str> = types.iter().map(|(name, _)| *name).collect();
    let Some(node) = fields.get("slo_class") else { return BTreeMap::new() };
    let Some(inner) = reader.fields(node, fields.part("slo_class"), &known) else {
        return BTreeMap::new();
    };
    types
        .iter()
        .filter_map(|(name, error_type)| {
            Some((*error_type, reader.optional(&inner, name, |node| choice(node, &words))?))
        })
        .collect()
}
