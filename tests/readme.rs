//! README says what is true: the metrics table is the list of families, and every YAML block loads.

use std::fmt::Write as _;

use bellwether::telemetry::metrics::{ALL, Family, Scope, TARGET_LABELS};
use bellwether::{config, rules};

const README: &str = include_str!("../README.md");
const BEGIN: &str = "<!-- metrics: written by UPDATE=1 cargo test --test readme -->\n";
const END: &str = "<!-- metrics: end -->";

fn row(family: &Family) -> String {
    let scope = match family.scope {
        Scope::Target => "target, …",
        Scope::Process => "",
    };
    let own = family.labels.join("`, `");
    let labels = match (scope, own.as_str()) {
        (scope, "") => scope.to_owned(),
        ("", own) => format!("`{own}`"),
        (scope, own) => format!("{scope}, `{own}`"),
    };
    format!("| `{}` | {} | {labels} | {} |", family.name, family.kind.as_str(), family.help)
}

#[test]
fn the_metrics_table_is_the_list_of_families() {
    let mut table = "| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for family in ALL {
        writeln!(table, "{}", row(family)).unwrap();
    }
    let (before, rest) = README.split_once(BEGIN).expect("README has the table's begin");
    let (written, after) = rest.split_once(END).expect("README has the table's end");
    if std::env::var_os("UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(written == table, "README's metrics table is old: UPDATE=1 cargo test --test readme");
    assert_eq!(TARGET_LABELS.len(), 5, "README names the labels of a target");
}

/// The blocks of YAML in the README, in order.
fn blocks() -> Vec<&'static str> {
    let parts = README.split("```yaml\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn every_configuration_in_the_readme_is_valid() {
    let blocks = blocks();
    let (rule_files, mut configs): (Vec<_>, Vec<_>) =
        blocks.iter().partition(|block| block.starts_with("groups:"));
    assert_eq!((rule_files.len(), configs.len()), (1, 10));
    for block in rule_files {
        rules::parse("README.md", block).unwrap();
    }
    // The third and fourth are about dialects and pages, the fifth about prices. The next are about releases, routes and notices and lean on the targets of
    // the first two; another adds a rollback; the last says who may call.
    for block in &configs[..5] {
        config::parse("README.md", block).unwrap();
    }
    // Those of other dialects and of pages stand for themselves.
    configs.drain(2..4);
    let section = |block: &str, name: &str, next: &str| {
        let (_, rest) = block.split_once(name).unwrap();
        rest.split_once(next).map_or(rest, |(section, _)| section).to_owned()
    };
    let whole = format!(
        "providers:\n{}{}probes:\n{}{}{}{}{}{}{}",
        section(configs[0], "providers:\n", "probes:\n"),
        section(configs[1], "providers:\n", "probes:\n"),
        section(configs[0], "probes:\n", "rule_files:"),
        section(configs[1], "probes:\n", "\0"),
        configs[3],
        configs[4],
        configs[5],
        configs[6].trim_start_matches("rollbacks:\n"),
        configs[7]
    );
    config::parse("README.md", &whole).unwrap();
}
