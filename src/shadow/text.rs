//! A report for a terminal, and in Markdown.

use std::fmt::Write as _;

use super::brief::brief;
use super::gate::Word;
use super::report::Report;
use super::section::{Section, Table, sections};

/// A report for a terminal: nothing but lines.
pub fn text(report: &Report) -> String {
    let mut text = format!(
        "{}: {} against {}\n{}\n",
        report.verdict.word.as_str(),
        report.arms.candidate.target,
        report.arms.stable.target,
        report.verdict.sentence
    );
    for sentence in brief(report) {
        push(&mut text, format_args!("{}\n", plain(&sentence)));
    }
    for section in sections(report) {
        push(&mut text, format_args!("\n{}\n", section.title));
        for sentence in &section.lead {
            push(&mut text, format_args!("  {}\n", sentence.replace('`', "")));
        }
        if let Some(table) = &section.table {
            columns(&mut text, table);
        }
    }
    for example in &report.examples {
        push(&mut text, format_args!("\nprompt {}\n", example.id));
        for (name, said) in [
            ("asked", &example.prompt),
            ("stable", &example.stable),
            ("candidate", &example.candidate),
        ] {
            push(
                &mut text,
                format_args!("  {name:<10}{}\n", plain(said).replace('\n', "\n            ")),
            );
        }
    }
    text
}

/// What a terminal would obey is left out.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
}

fn columns(text: &mut String, table: &Table) {
    let mut widths: Vec<usize> = table.heads.iter().map(|head| head.chars().count()).collect();
    for row in &table.rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    let mut line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = padded.collect::<Vec<_>>().join("  ");
        push(text, format_args!("  {}\n", plain(line.trim_end())));
    };
    if table.heads.iter().any(|head| !head.is_empty()) {
        line(table.heads.clone());
    }
    table.rows.iter().for_each(|row| line(row.iter().map(|cell| cell.text.as_str()).collect()));
}

/// A report in Markdown, with GitHub's tables.
pub fn markdown(report: &Report) -> String {
    let sign = match report.verdict.word {
        Word::Pass => "✅",
        Word::Insufficient => "❔",
        Word::Failed => "❌",
    };
    let mut text = format!(
        "# {sign} {}: `{}` against `{}`\n\n{}\n",
        report.verdict.word.as_str(),
        report.arms.candidate.target,
        report.arms.stable.target,
        escaped(&report.verdict.sentence)
    );
    for sentence in brief(report) {
        push(&mut text, format_args!("\n- {}", escaped(&sentence)));
    }
    text.push('\n');
    sections(report).iter().for_each(|section| part(&mut text, section));
    if !report.examples.is_empty() {
        text.push_str("\n## Pairs that differ\n");
    }
    for example in &report.examples {
        push(&mut text, format_args!("\n### {}\n", escaped(&example.id)));
        for (name, said) in [
            ("asked", &example.prompt),
            ("stable", &example.stable),
            ("candidate", &example.candidate),
        ] {
            // Indented, since a fence may stand in the text itself.
            push(
                &mut text,
                format_args!("\n{name}:\n\n    {}\n", plain(said).replace('\n', "\n    ")),
            );
        }
    }
    push(&mut text, format_args!("\nWritten {} by `bellwether shadow`.\n", report.written));
    text
}

fn part(text: &mut String, section: &Section) {
    push(text, format_args!("\n## {}\n", section.title));
    for sentence in &section.lead {
        push(text, format_args!("\n{}\n", escaped(sentence)));
    }
    let Some(table) = &section.table else { return };
    push(
        text,
        format_args!(
            "\n| {} |\n|{}\n",
            table.heads.join(" | "),
            " --- |".repeat(table.heads.len())
        ),
    );
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|cell| escaped(&cell.text)).collect();
        push(text, format_args!("| {} |\n", cells.join(" | ")));
    }
}

/// Names come from files and providers: none may become markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '|' | '<' | '[' | ']' | '*' | '`' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a text takes whatever is written to it");
}
