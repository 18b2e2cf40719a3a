//! No text brings the readers down: rule files and templates from random pieces.

use bellwether::model::{Labels, Timestamp};
use bellwether::rules;
use bellwether::template::{self, Scope};
use proptest::prelude::*;

fn pieces(choices: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => proptest::sample::select(choices).prop_map(str::to_owned),
        1 => "\\PC{0,3}",
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

const TEMPLATE: &[&str] = &[
    "{{",
    "}}",
    "{{- ",
    " -}}",
    " ",
    "\n",
    "if ",
    "else ",
    "else",
    "end",
    "range ",
    "with ",
    "$x",
    ":=",
    "=",
    ",",
    "|",
    "(",
    ")",
    ".",
    ".Labels",
    ".Value",
    "$value",
    "$labels",
    "$labels.a",
    "query ",
    "first ",
    "args ",
    "printf ",
    "\"%5.2f|%v|%q|%d\"",
    "\"a\"",
    "`b`",
    "'c'",
    "1",
    "-1.5e3",
    "0x1F",
    "nil",
    "true",
    "eq ",
    "index ",
    "slice ",
    "humanize ",
    "humanizeDuration ",
    "toTime ",
    "title ",
    "reReplaceAll ",
    "break",
    "continue",
    "/*",
    "*/",
    "é",
    "{{end}}",
    "{{else}}",
    "{{range 3}}",
];

const FILE: &[&str] = &[
    "groups:",
    "\n",
    "\n- ",
    "\n  ",
    "\n  - ",
    "\n    ",
    "name: g",
    "interval: 1m",
    "limit: 3",
    "rules:",
    "alert: A",
    "record: a",
    "expr: up",
    "expr: |",
    "for: 5m",
    "labels: {a: b}",
    "labels:",
    "annotations:",
    "x: '{{ $value }}'",
    "[",
    "]",
    "{",
    "}",
    ", ",
    ": ",
    "&a ",
    "*a",
    "<<: *a",
    "~",
    "'",
    "\"",
    "#",
    "up > 0",
    "é",
];

proptest! {
    #[test]
    fn a_template_never_brings_its_reader_down(text in pieces(TEMPLATE)) {
        if let Ok(template) = template::parse(&text) {
            let labels = Labels::from_pairs([("a", "b")]);
            let query = |_: &str| Ok(vec![(labels.clone(), 1.0)]);
            let filled = template::expand(&template, &Scope {
                labels: &labels,
                value: 1e9,
                external_labels: &labels,
                external_url: "http://h/p",
                at: Timestamp::from_millis(0),
                query: &query,
            });
            prop_assert!(filled.len() <= 64 * 1024 + 1024);
        }
    }

    #[test]
    fn a_rule_file_is_read_or_refused_with_reasons(text in pieces(FILE)) {
        if let Err(mistakes) = rules::parse("r.yml", &text) {
            prop_assert!(!mistakes.is_empty());
        }
    }
}
