//! The whole file.

use std::sync::Arc;

use super::alertmanagers::alertmanagers;
use super::global::{global, storage};
use super::heartbeats::heartbeats;
use super::prices::currencies;
use super::probes::probes;
use super::providers::providers;
use super::reader::{Fields, Reader};
use super::receivers::receivers;
use super::releases::releases;
use super::rollbacks::rollbacks;
use super::route::route;
use super::router::router;
use super::routes::routes;
use super::scalar::text;
use super::settings::{Config, Pattern};
use super::slos::slos;
use super::time_intervals::time_intervals;
use super::web::tokens;
use crate::model::Mistake;
use crate::price::Table;
use crate::template::Library;
use crate::yaml::{self, Node};

const SECTIONS: [&str; 19] = [
    "global",
    "storage",
    "providers",
    "probes",
    "rule_files",
    "templates",
    "receivers",
    "route",
    "time_intervals",
    "alertmanagers",
    "alerting",
    "heartbeats",
    "rollbacks",
    "releases",
    "routes",
    "router",
    "slos",
    "web",
    "prices",
];

/// Reads a configuration; `file` is its name as the operator knows it, for messages and as the
/// place that relative paths start from. Every mistake is returned, in the order of the file.
pub fn parse(file: &str, text: &str) -> Result<Config, Vec<Mistake>> {
    parse_with(file, text, &Library::standard(), &Table::default())
}

/// The same with the templates that the files of `templates` define, and the prices in the files of
/// `prices`.
pub fn parse_with(
    file: &str,
    text: &str,
    library: &Library,
    prices: &Table,
) -> Result<Config, Vec<Mistake>> {
    let root = yaml::parse(file, text).map_err(|mistake| vec![mistake])?;
    if root.is_null() {
        let mistake = Mistake::new(root.place, "the file holds no configuration");
        return Err(vec![mistake.remedy("`bellwether init` writes a first one")]);
    }
    let mut reader = Reader::new(file);
    reader.library = library.clone();
    reader.prices = Arc::new(prices.clone());
    root.duplicates().into_iter().for_each(|mistake| reader.report(mistake));
    let config = reader.fields(&root, "", &SECTIONS).map(|fields| read(&mut reader, &fields));
    match (config, reader.finish()) {
        (Some(config), mistakes) if mistakes.is_empty() => Ok(config),
        (_, mistakes) => Err(mistakes),
    }
}

/// The rule files that a configuration names, whatever else is wrong with it: what is wrong with
/// them can then be reported in the same go.
pub fn rule_files(file: &str, text: &str) -> Vec<Pattern> {
    patterns(file, text, "rule_files")
}

/// The files of templates that it names, likewise: receivers are read with what these define.
pub fn template_files(file: &str, text: &str) -> Vec<Pattern> {
    patterns(file, text, "templates")
}

/// The files of prices that it names, likewise.
pub fn price_files(file: &str, text: &str) -> Vec<Pattern> {
    let Ok(root) = yaml::parse(file, text) else { return Vec::new() };
    let files = root.get("prices").and_then(|prices| prices.get("files")).and_then(Node::items);
    files.unwrap_or_default().iter().filter_map(|item| pattern(item).ok()).collect()
}

fn patterns(file: &str, text: &str, field: &str) -> Vec<Pattern> {
    let Ok(root) = yaml::parse(file, text) else { return Vec::new() };
    let items = root.get(field).and_then(Node::items).unwrap_or_default();
    items.iter().filter_map(|item| pattern(item).ok()).collect()
}

pub(super) fn pattern(node: &Node) -> Result<Pattern, Mistake> {
    Ok(Pattern { place: node.place.clone(), text: text(node)? })
}

fn read(reader: &mut Reader, root: &Fields<'_>) -> Config {
    let global = global(reader, root);
    let storage = storage(reader, root);
    let intervals = time_intervals(reader, root);
    let currencies = currencies(reader, root);
    let providers = providers(reader, root, &intervals, &currencies);
    let probes = probes(reader, root, &global, &providers);
    let rule_files = reader.list(root, "rule_files", pattern);
    // Whoever loads the files has read these already; only what is wrong with the list is found here.
    reader.list(root, "templates", pattern);
    let receivers = receivers(reader, root);
    let route = route(reader, root, &receivers, &intervals);
    let alertmanagers = alertmanagers(reader, root);
    let heartbeats = heartbeats(reader, root);
    let mut rollbacks = rollbacks(reader, root, &probes);
    let admission = router(reader, root);
    let clients: Vec<String> =
        admission.keys.iter().flatten().map(|key| key.name.clone()).collect();
    let routes = routes(reader, root, &probes, &clients);
    let releases = releases(reader, root, &probes, &intervals, (&routes, &mut rollbacks));
    let slos = slos(reader, root, &global, &probes);
    let tokens = tokens(reader, root);
    Config {
        global,
        storage,
        providers: providers.right,
        calendar: providers.calendar,
        targets: probes.right,
        rule_files,
        receivers: receivers.right,
        route,
        alertmanagers,
        heartbeats,
        rollbacks,
        releases,
        routes,
        admission,
        slos,
        tokens,
    }
}
