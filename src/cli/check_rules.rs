//! `bellwether check rules`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::rule_files;
use crate::model::Mistake;
use crate::rules::lint::{self, Check, Kind, Known, Remark};
use crate::rules::{self, Sourced, Unknown};
use crate::telemetry::metrics;

/// promtool's, for remarks that were asked to be fatal.
const LINT_FATAL: u8 = 3;

/// Flags of `check rules`, named as promtool names them.
#[derive(Debug, Args)]
pub(super) struct RulesArguments {
    /// Rule files, looked at together; standard input where none is named.
    #[arg(value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// What is remarked: all, none, or some of duplicate-rules, counter-functions, missing-for,
    /// minimum-samples, unknown-metrics, recording-order.
    #[arg(long, default_value = "all", value_delimiter = ',', value_parser = wanted)]
    lint: Vec<Wanted>,
    /// Exit with 3 where something is remarked.
    #[arg(long)]
    lint_fatal: bool,
    /// Pass over fields that are not known.
    #[arg(long)]
    ignore_unknown_fields: bool,
    /// Lines for people or JSON for programs.
    #[arg(long, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    All,
    None,
    One(Check),
}

fn wanted(text: &str) -> Result<Wanted, String> {
    match text {
        "all" => Ok(Wanted::All),
        "none" => Ok(Wanted::None),
        _ => match Check::ALL.into_iter().find(|check| check.as_str() == text) {
            Some(check) => Ok(Wanted::One(check)),
            None => {
                let names: Vec<&str> = Check::ALL.into_iter().map(Check::as_str).collect();
                Err(format!("write `all`, `none`, or some of {}", names.join(", ")))
            }
        },
    }
}

/// What one file came to.
struct Checked {
    name: String,
    /// How many groups and rules; nothing where there are mistakes.
    count: Option<(usize, usize)>,
    mistakes: Vec<Mistake>,
    unreadable: Option<String>,
}

pub(super) fn rules(arguments: &RulesArguments) -> ExitCode {
    let stdin = [PathBuf::from("-")];
    let paths = if arguments.paths.is_empty() { &stdin[..] } else { &arguments.paths };
    let unknown = match arguments.ignore_unknown_fields {
        true => Unknown::Ignored,
        false => Unknown::Refused,
    };
    let mut files = Vec::new();
    let checked: Vec<Checked> = paths.iter().map(|path| check(path, unknown, &mut files)).collect();
    let is_good = checked.iter().all(|file| file.count.is_some());
    // A file with mistakes is left out, and what it records would be missed in the others.
    let remarks = match is_good {
        true => lint::lint(&files, &known(), &checks(&arguments.lint)),
        false => Vec::new(),
    };
    match arguments.output {
        Output::Text => print(&checked, &remarks),
        Output::Json => println!("{}", document(&checked, &remarks)),
    }
    match (is_good, arguments.lint_fatal && !remarks.is_empty()) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(LINT_FATAL),
        (true, false) => ExitCode::SUCCESS,
    }
}

fn check(path: &Path, unknown: Unknown, files: &mut Vec<Sourced>) -> Checked {
    let name = match path == Path::new("-") {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    };
    let mut checked = Checked { name, count: None, mistakes: Vec::new(), unreadable: None };
    match rule_files::read(path) {
        Err(error) => checked.unreadable = Some(error),
        Ok(text) => match rules::parse_sourced(&checked.name, &text, unknown) {
            Err(mistakes) => checked.mistakes = mistakes,
            Ok(sourced) => {
                let groups = &sourced.file.groups;
                let rules = groups.iter().map(|group| group.rules.len()).sum();
                checked.count = Some((groups.len(), rules));
                files.push(sourced);
            }
        },
    }
    checked
}

fn checks(wanted: &[Wanted]) -> Vec<Check> {
    let each = wanted.iter().flat_map(|wanted| match wanted {
        Wanted::All => Check::ALL.to_vec(),
        Wanted::None => Vec::new(),
        Wanted::One(check) => vec![*check],
    });
    each.collect()
}

fn known() -> Known {
    let families = metrics::ALL.iter().map(|family| {
        let kind = match family.kind {
            metrics::Kind::Counter => Kind::Counter,
            metrics::Kind::Gauge => Kind::Gauge,
            metrics::Kind::Histogram => Kind::Histogram,
        };
        (family.name, kind)
    });
    families.collect()
}

fn print(checked: &[Checked], remarks: &[Remark]) {
    for file in checked {
        file.mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
        if let Some(error) = &file.unreadable {
            eprintln!("{error}");
        }
        if let Some((_, rules)) = file.count {
            let noun = if rules == 1 { "rule" } else { "rules" };
            println!("{}: {rules} {noun} found", file.name);
        }
    }
    remarks.iter().for_each(|remark| eprintln!("warning: {remark}"));
}

fn document(checked: &[Checked], remarks: &[Remark]) -> Value {
    let files = checked.iter().map(|file| {
        json!({
            "file": file.name,
            "valid": file.count.is_some(),
            "groups": file.count.map(|(groups, _)| groups),
            "rules": file.count.map(|(_, rules)| rules),
            "error": file.unreadable,
            "mistakes": file.mistakes.iter().map(mistake).collect::<Vec<_>>(),
        })
    });
    let remarks = remarks.iter().map(|remark| {
        let mut value = mistake(&remark.mistake);
        value["check"] = json!(remark.check.as_str());
        value
    });
    json!({ "files": files.collect::<Vec<_>>(), "warnings": remarks.collect::<Vec<_>>() })
}

fn mistake(mistake: &Mistake) -> Value {
    json!({
        "file": &*mistake.place.file,
        "line": mistake.place.line,
        "column": mistake.place.column,
        "message": mistake.message,
        "remedy": mistake.remedy,
    })
}
