//! `providers:`: who can be asked, in which dialect, with which key, for how much.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::http;
use super::maintenance::maintenance;
use super::page;
use super::prices::{Pricing, price};
use super::reader::{Fields, Reader, entry_name, prefixed};
use super::scalar::{any_of, choice, name, refuse, text};
use super::time_intervals::TimeIntervals;
use super::wire;
use crate::model::{HttpSettings, Mistake, ProviderId};
use crate::price::Currencies;
use crate::probe::Calendar;
use crate::provider::{Auth, Dialect, Model, Provider, SharedProvider};
use crate::yaml::Node;

const KEYS: [&str; 10] = [
    "name",
    "dialect",
    "base_url",
    "system",
    "auth",
    "api_key",
    "api_key_file",
    "oauth2",
    "models",
    "maintenance",
];

const MODEL_KEYS: [&str; 5] = ["name", "price", "price_as", "answers_as", "request"];

/// The providers, and every name that was given to one: a probe that names a provider with a
/// mistake in it is not to blame.
pub(super) struct Providers {
    pub(super) right: Vec<SharedProvider>,
    pub(super) names: Vec<String>,
    pub(super) calendar: Calendar,
}

impl Providers {
    /// The provider of a name, if it is without mistakes.
    pub(super) fn find(&self, name: &str) -> Option<&SharedProvider> {
        self.right.iter().find(|provider| provider.id.as_str() == name)
    }
}

/// Reads `providers:`.
pub(super) fn providers(
    reader: &mut Reader,
    root: &Fields<'_>,
    intervals: &TimeIntervals,
    currencies: &Currencies,
) -> Providers {
    if !root.has("providers") {
        reader.missing(
            root,
            "providers",
            "write whom to ask; `bellwether init` writes a first one",
        );
    }
    let mut found =
        Providers { right: Vec::new(), names: Vec::new(), calendar: Calendar::default() };
    for (index, node) in reader.items(root, "providers").into_iter().enumerate() {
        let what = entry_name("provider", index, node);
        let known = (intervals, currencies);
        let provider = provider(reader, node, &what, known, &mut found);
        found.right.extend(provider.map(Arc::new));
    }
    found
}

fn provider(
    reader: &mut Reader,
    node: &Node,
    what: &str,
    (intervals, currencies): (&TimeIntervals, &Currencies),
    found: &mut Providers,
) -> Option<Provider> {
    let known: Vec<&str> = KEYS.into_iter().chain(wire::KEYS).chain(http::TRANSPORT).collect();
    let fields = reader.fields(node, what, &known)?;
    let name = reader.required(&fields, "name", "write a name for the provider", |node| {
        unique(node, name(node)?, &mut found.names)
    });
    let dialects = Dialect::ALL.map(|dialect| (dialect.as_str(), dialect));
    let remedy = format!("write {}", any_of(dialects.iter().map(|(name, _)| *name)));
    let dialect = reader.required(&fields, "dialect", &remedy, |node| {
        choice(node, &dialects).map_err(|mistake| match mistake.remedy {
            Some(_) => mistake,
            None => mistake.remedy("most relays and engines speak `openai_chat`"),
        })
    });
    let wire = wire::wire(reader, &fields, dialect);
    let base_url = reader.required(&fields, "base_url", "write `https://…`", |node| {
        wire::base_url(node, dialect, &wire)
    });
    let system = reader.optional(&fields, "system", super::scalar::name);
    let auth = wire::auth(reader, &fields, dialect);
    if dialect == Some(Dialect::Http) {
        let keys = ["models", "path", "stream_end", "ask_usage", "model_list", "model_list_path"];
        page::refuse_keys(reader, &fields, &keys, "`http` asks no model");
    }
    let default = dialect.map_or("", Dialect::system);
    let models = models(reader, &fields, system.as_deref().unwrap_or(default), currencies);
    let http =
        HttpSettings { oauth2: http::oauth2(reader, &fields), ..http::transport(reader, &fields) };
    let planned = maintenance(reader, &fields, intervals);
    if let (Some(name), Some(planned)) = (&name, planned) {
        found.calendar.providers.insert(ProviderId::new(name), planned);
    }
    let has_key = auth.as_ref().is_some_and(|auth| *auth != Auth::None);
    if (has_key || http.oauth2.is_some())
        && let Some((name, _)) = http.headers.iter().find(|(name, _)| wire::carries_key(name))
        && let Some(node) = fields.get("http_headers")
    {
        let message = format!("`http_headers` has `{name}`, so that two keys would be sent");
        let mistake = Mistake::new(node.place.clone(), prefixed(what, &message));
        let remedy = match has_key {
            true => "remove it, or write `auth: none`",
            false => "remove it",
        };
        reader.report(mistake.remedy(remedy));
    }
    let dialect = dialect?;
    Some(Provider {
        id: ProviderId::new(&name?),
        dialect,
        system: system.unwrap_or_else(|| dialect.system().to_owned()),
        base_url: base_url?,
        auth: auth?,
        http,
        wire,
        models,
    })
}

/// Takes a name, unless an earlier entry has it.
pub(super) fn unique(
    node: &Node,
    name: String,
    names: &mut Vec<String>,
) -> Result<String, Mistake> {
    if names.contains(&name) {
        return Err(
            refuse(node, "which an earlier entry has already").remedy("choose another name")
        );
    }
    names.push(name.clone());
    Ok(name)
}

fn models(
    reader: &mut Reader,
    fields: &Fields<'_>,
    system: &str,
    currencies: &Currencies,
) -> BTreeMap<String, Model> {
    let Some(node) = fields.get("models") else { return BTreeMap::new() };
    let Some(entries) = node.entries() else {
        let wrong = Mistake::new(node.place.clone(), format!("is {}", node.kind()));
        let wrong = wrong.remedy("write each model as a key: `gpt-x: {price: {…}}`");
        reader.judge::<()>(&fields.what, "models", Err(wrong));
        return BTreeMap::new();
    };
    let mut models = BTreeMap::new();
    for (key, value) in entries {
        let Some(public) = reader.judge(&fields.what, "models", name(key)) else { continue };
        let what = fields.part(&format!("model `{public}`"));
        let Some(inner) = reader.fields(value, what, &MODEL_KEYS) else { continue };
        let name = reader.optional(&inner, "name", text);
        let upstream = name.as_deref().unwrap_or(&public);
        let price = price(reader, &inner, &Pricing { currencies, system, upstream });
        let model = Model {
            name,
            price,
            answers_as: reader.optional(&inner, "answers_as", text),
            request: wire::request(reader, &inner),
        };
        models.insert(public, model);
    }
    models
}
