//! `routes:`: which models clients may ask for, who serves them, and how their requests travel.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderName;

use super::amount::{duration, size};
use super::mirror::{Around, mirror};
use super::probes::{Probes, timeouts};
use super::providers::unique;
use super::reader::{Fields, Reader, entry_name, prefixed};
use super::rollbacks::arm;
use super::scalar::{boolean, choice, name, number, raw, refuse, text};
use crate::model::{Mistake, RouteId, TargetId, suggest};
use crate::provider::Dialect;
use crate::provider::translate::Strictness;
use crate::routing::{Credentials, KeySource, Pin, Retries, Route, TIMEOUTS, Tell};
use crate::yaml::Node;

const KEYS: [&str; 14] = [
    "name",
    "models",
    "stable",
    "key",
    "override",
    "pins",
    "retries",
    "max_in_flight",
    "timeouts",
    "max_body_bytes",
    "headers",
    "forward_client_key",
    "translation",
    "mirror",
];
const PAUSE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);
/// Long conversations with pictures are some ten megabytes; Anthropic takes 32.
const BODY_BYTES_MAX: u64 = 32 << 20;

/// Reads `routes:`; `clients` are the names of the keys that `router: auth:` lists.
pub(super) fn routes(
    reader: &mut Reader,
    root: &Fields<'_>,
    probes: &Probes,
    clients: &[String],
) -> Vec<Arc<Route>> {
    let (mut names, mut models) = (Vec::new(), Vec::new());
    // Releases are read later, since they name routes.
    let releases = root.get("releases").and_then(Node::items).unwrap_or_default();
    let released = releases.iter().filter_map(|release| release.get("route")?.text());
    let released: Vec<&str> = released.collect();
    let mut found = Vec::new();
    for (index, node) in reader.items(root, "routes").into_iter().enumerate() {
        let what = entry_name("route", index, node);
        let Some(fields) = reader.fields(node, what, &KEYS) else { continue };
        let route = route(reader, &fields, (probes, clients), &released, (&mut names, &mut models));
        found.extend(route.map(Arc::new));
    }
    found
}

fn route(
    reader: &mut Reader,
    fields: &Fields<'_>,
    (probes, clients): (&Probes, &[String]),
    released: &[&str],
    (names, offered): (&mut Vec<String>, &mut Vec<String>),
) -> Option<Route> {
    let id = reader.required(fields, "name", "write a name for the route", |node| {
        unique(node, name(node)?, names)
    });
    // What is asked for most often is the name itself.
    let models = if fields.has("models") {
        reader.filled(fields, "models", "write the names that clients ask for");
        let nodes = reader.items(fields, "models");
        let mut models = Vec::new();
        for node in nodes {
            let model = name(node).and_then(|name| unique(node, name, offered));
            models.extend(reader.judge(&fields.what, "models", model));
        }
        models
    } else {
        reader
            .optional(fields, "name", |node| unique(node, name(node)?, offered))
            .into_iter()
            .collect()
    };
    let stable = arm(reader, fields, "stable", &[], probes);
    refuse_pages(reader, fields, "stable", &stable, probes);
    let keys = keys(reader, fields);
    let testers = reader.list(fields, "override", |node| client(node, clients));
    let pins = pins(reader, fields, clients);
    let retries = retries(reader, fields);
    let timeouts = timeouts(reader, fields, TIMEOUTS);
    let in_flight_max =
        reader.optional(fields, "max_in_flight", |node| number(node, 1..=1_000_000));
    let body_bytes_max = reader.optional(fields, "max_body_bytes", size).unwrap_or(BODY_BYTES_MAX);
    let words = [("arm", Tell::Arm), ("request_id", Tell::RequestId), ("target", Tell::Target)];
    let tells: BTreeSet<Tell> = if fields.has("headers") {
        reader.list(fields, "headers", |node| choice(node, &words)).into_iter().collect()
    } else {
        [Tell::Arm, Tell::RequestId].into()
    };
    let credentials = match reader.optional(fields, "forward_client_key", boolean) {
        Some(true) => Credentials::Clients,
        Some(false) | None => Credentials::Ours,
    };
    if credentials == Credentials::Clients && !clients.is_empty() {
        let message = prefixed(&fields.what, "`forward_client_key` sends keys that are ours alone");
        let place = fields.get("forward_client_key").map_or(fields.place(), |node| &node.place);
        let remedy = "remove it, or let clients in without keys of ours (`router: auth: none`)";
        reader.report(Mistake::new(place.clone(), message).remedy(remedy));
    }
    let words = [("strict", Strictness::Strict), ("lenient", Strictness::Lenient)];
    let strictness = reader.optional(fields, "translation", |node| choice(node, &words));
    let is_released = id.as_deref().is_some_and(|id| released.contains(&id));
    let around = Around { stable: &stable, timeouts, is_released };
    let mirror = mirror(reader, fields, &around, probes);
    if let (Credentials::Clients, Some(node)) = (credentials, fields.get("mirror")) {
        let message = "copies would spend the client's own key, who never asked for them";
        let mistake = Mistake::new(node.place.clone(), prefixed(&fields.what, message));
        reader.report(mistake.remedy("remove `mirror`, or `forward_client_key`"));
    }
    (!stable.is_empty() && !models.is_empty()).then_some(())?;
    Some(Route {
        id: RouteId::new(&id?),
        models,
        stable,
        keys,
        testers: testers.into_iter().collect(),
        pins,
        retries,
        timeouts,
        in_flight_max,
        body_bytes_max,
        tells,
        credentials,
        strictness: strictness.unwrap_or_default(),
        mirror,
    })
}

/// A page answers no requests of clients, whichever arm it is in.
pub(super) fn refuse_pages(
    reader: &mut Reader,
    fields: &Fields<'_>,
    side: &str,
    arm: &[TargetId],
    probes: &Probes,
) {
    let pages = probes.right.iter().filter(|target| target.provider.dialect == Dialect::Http);
    for page in pages.filter(|page| arm.contains(&page.id)) {
        let message =
            format!("`{side}` has `{}`, which is a page and answers no requests", page.id);
        let place = fields.get(side).map_or(fields.place(), |node| &node.place);
        let mistake = Mistake::new(place.clone(), prefixed(&fields.what, &message));
        reader.report(mistake.remedy("name probes of a provider of another dialect"));
    }
}

/// What tells clients apart; what the interfaces have for it, where nothing is written.
fn keys(reader: &mut Reader, fields: &Fields<'_>) -> Vec<KeySource> {
    if !fields.has("key") {
        // No key: a service has one for all of its users, who would move all at once.
        return vec![KeySource::MetadataUserId, KeySource::User];
    }
    reader.filled(fields, "key", "write what tells clients apart, such as `[user, api_key]`");
    reader.list(fields, "key", |node| {
        let text = raw(node, "a source such as `header:x-user-id`")?;
        if let Some(name) = text.strip_prefix("header:") {
            return header(node, name.trim()).map(KeySource::Header);
        }
        let words = [
            ("user", KeySource::User),
            ("metadata.user_id", KeySource::MetadataUserId),
            ("api_key", KeySource::ApiKey),
            ("conversation", KeySource::Conversation),
        ];
        choice(node, &words).map_err(|mistake| match mistake.remedy {
            Some(_) => mistake,
            None => mistake.remedy("or `header:NAME`"),
        })
    })
}

fn header(node: &Node, name: &str) -> Result<String, Mistake> {
    let name = HeaderName::from_bytes(name.as_bytes());
    name.map(|name| name.as_str().to_owned())
        .map_err(|_| refuse(node, "which names no header").remedy("write `header:x-user-id`"))
}

fn client(node: &Node, clients: &[String]) -> Result<String, Mistake> {
    let name = name(node)?;
    if clients.contains(&name) {
        return Ok(name);
    }
    let remedy = suggest::remedy(&name, clients.iter().map(String::as_str));
    let remedy = remedy.unwrap_or_else(|| "list it there by its hash".to_owned());
    Err(refuse(node, "and `router: auth:` lists no key of that name").remedy(remedy))
}

fn pins(reader: &mut Reader, fields: &Fields<'_>, clients: &[String]) -> Vec<Pin> {
    let mut pins = Vec::new();
    for (index, node) in reader.items(fields, "pins").into_iter().enumerate() {
        let what = fields.part(&format!("pin {}", index + 1));
        let Some(pin) = reader.fields(node, what, &["client", "header", "value", "key"]) else {
            continue;
        };
        let kinds = ["client", "header", "key"].into_iter().filter(|kind| pin.has(kind)).count();
        if kinds != 1 {
            let message = prefixed(&pin.what, &format!("{kinds} things are pinned, not one"));
            let remedy = "write one of `client`, `header` and `key`";
            reader.report(Mistake::new(pin.place().clone(), message).remedy(remedy));
            continue;
        }
        if let (Some(value), false) = (pin.get("value"), pin.has("header")) {
            let message = prefixed(&pin.what, "`value` is that of a `header`, and none is named");
            reader.report(Mistake::new(value.place.clone(), message).remedy("remove it"));
        }
        let name = reader.optional(&pin, "client", |node| client(node, clients));
        pins.extend(name.map(Pin::Client));
        pins.extend(reader.optional(&pin, "key", text).map(Pin::Key));
        let value = reader.optional(&pin, "value", text);
        let name = reader.optional(&pin, "header", |node| header(node, raw(node, "a header")?));
        pins.extend(name.map(|name| Pin::Header { name, value }));
    }
    pins
}

fn retries(reader: &mut Reader, fields: &Fields<'_>) -> Retries {
    let default = Retries::default();
    let Some(node) = fields.get("retries") else { return default };
    let known = ["max", "pause", "max_pause", "budget_percent"];
    let Some(inner) = reader.fields(node, fields.part("retries"), &known) else { return default };
    let pause = reader.optional(&inner, "pause", |node| duration(node, PAUSE));
    let pause_max = reader.optional(&inner, "max_pause", |node| duration(node, PAUSE));
    let pause_max = pause_max.unwrap_or(default.pause_max.max(pause.unwrap_or_default()));
    let pause = pause.unwrap_or(default.pause.min(pause_max));
    if pause > pause_max {
        reader.optional(&inner, "pause", |node| -> Result<(), Mistake> {
            Err(refuse(node, "which is longer than `max_pause`").remedy("swap the two"))
        });
    }
    let percent = reader.optional(&inner, "budget_percent", |node| number(node, 0..=100));
    Retries {
        max: reader.optional(&inner, "max", |node| number(node, 0..=10)).unwrap_or(default.max),
        pause,
        pause_max,
        budget_percent: percent.unwrap_or(default.budget_percent),
    }
}
