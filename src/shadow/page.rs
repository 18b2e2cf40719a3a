//! A report as one page that needs nothing else: no script, no font, no picture from anywhere.
//!
//! It may be sent around, so it protects its reader: its policy allows the one style sheet that is in
//! it, by its hash, and nothing besides.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::brief::brief;
use super::figure;
use super::gate::{Metric, Word};
use super::plot;
use super::report::{Report, Shares, Times};
use super::section::{Cell, Section, Table, Topic, sections};
use crate::statistics::Bounded;

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(report: &Report) -> String {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        STANDARD.encode(Sha256::digest(STYLE.as_bytes()))
    );
    let title = format!(
        "{}: {} against {}",
        report.verdict.word.as_str(),
        report.arms.candidate.target,
        report.arms.stable.target
    );
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"referrer\" content=\"no-referrer\"><title>{} · bellwether shadow</title>\
         <style>{STYLE}</style></head><body>",
        escape(&title)
    );
    head(&mut html, report);
    html += "<main>";
    tiles(&mut html, report);
    sections(report).iter().for_each(|section| part(&mut html, section, report));
    examples(&mut html, report);
    push(
        &mut html,
        format_args!(
            "</main><footer><p>Written {} by <code>bellwether shadow</code>. Intervals outside of the limits hold at \
         {} each. This page holds {}.</p></footer></body></html>\n",
            escape(&report.written),
            figure::percent(report.confidence),
            if report.examples.is_empty() {
                "no prompt and no answer"
            } else {
                "prompts and answers of some pairs"
            },
        ),
    );
    html
}

fn class(word: Word) -> &'static str {
    match word {
        Word::Pass => "good",
        Word::Insufficient => "warning",
        Word::Failed => "bad",
    }
}

fn head(html: &mut String, report: &Report) {
    let verdict = &report.verdict;
    let (stable, candidate) = (&report.arms.stable, &report.arms.candidate);
    push(
        html,
        format_args!(
            "<header class=\"{0}\"><p class=\"name\">bellwether shadow</p>\
         <h1><span class=\"word sign {0}\">{1}</span> {2}</h1>\
         <p class=\"arms\"><span class=\"key candidate\">candidate</span> <b>{3}</b> {4} of {5} \
         <span class=\"against\">against</span> <span class=\"key stable\">stable</span> <b>{6}</b> {7} of {8}</p>",
            class(verdict.word),
            verdict.word.as_str(),
            escape(&verdict.sentence),
            escape(&candidate.target),
            escape(&candidate.model),
            escape(&candidate.provider),
            escape(&stable.target),
            escape(&stable.model),
            escape(&stable.provider),
        ),
    );
    push(html, format_args!("<p class=\"brief\">{}</p>", escape(&brief(report).join(" "))));
    if report.run.ended != "complete" {
        push(
            html,
            format_args!(
                "<p class=\"early\">It ended early: {}.</p>",
                escape(&report.run.ended_because)
            ),
        );
    }
    *html += "</header>";
}

/// One number with its name and what stands below it.
struct Tile(&'static str, String, String);

/// The few numbers that most readers want.
fn tiles(html: &mut String, report: &Report) {
    let times = [(Metric::Ttft, "first token"), (Metric::Total, "total time")];
    let tiles = [failed_tile(report)]
        .into_iter()
        .chain(times.map(|(metric, name)| time_tile(report, metric, name)))
        .chain([cost_tile(report), right_tile(report), agreement_tile(report)]);
    *html += "<ul class=\"tiles\">";
    for Tile(name, number, more) in tiles.flatten() {
        let [number, more] = [number, more].map(|text| escape(&text));
        push(
            html,
            format_args!(
                "<li><span>{name}</span><strong>{number}</strong><small>{more}</small></li>"
            ),
        );
    }
    *html += "</ul>";
}

fn failed_tile(report: &Report) -> Option<Tile> {
    let Shares { pairs, stable, candidate, .. } = &report.failures;
    let below = format!("stable {}", figure::percent(stable.share));
    (*pairs > 0).then(|| Tile("failed", figure::percent(candidate.share), below))
}

fn time_tile(report: &Report, metric: Metric, name: &'static str) -> Option<Tile> {
    let times = report.times.iter().find(|times| times.metric == metric)?;
    let change = change(times.paired_ratio?.value, "slower", "faster");
    let median = |at: Option<Bounded>| at.map(|at| figure::seconds(at.value)).unwrap_or_default();
    let [stable, candidate] = [times.stable_seconds.p50, times.candidate_seconds.p50].map(median);
    Some(Tile(name, change, format!("median {candidate}, stable {stable}")))
}

fn cost_tile(report: &Report) -> Option<Tile> {
    let cost = report.cost.as_ref()?;
    let below = match &cost.monthly {
        Some(monthly) => {
            let saved = monthly.saved_usd.value;
            let verb = if saved < 0.0 { "more" } else { "less" };
            format!("{} {verb} a month", figure::dollars(saved.abs()))
        }
        None => format!("{} a request", figure::dollars(cost.candidate_usd.value)),
    };
    Some(Tile("cost", change(cost.ratio.value, "dearer", "cheaper"), below))
}

fn right_tile(report: &Report) -> Option<Tile> {
    let Shares { pairs, stable, candidate, .. } = &report.wrong;
    let right = |share: f64| figure::percent(1.0 - share);
    let below = format!("stable {}", right(stable.share));
    (*pairs > 0).then(|| Tile("right answers", right(candidate.share), below))
}

fn agreement_tile(report: &Report) -> Option<Tile> {
    let (name, share) = match &report.agreement.judged_same {
        Some(same) => ("agree, says the judge", same),
        None => ("same words", &report.agreement.exact),
    };
    let below = format!("of {} pairs", figure::thousands(share.of));
    (share.of > 0).then(|| Tile(name, figure::percent(share.share), below))
}

/// A factor as a change in percent.
fn change(ratio: f64, more: &'static str, less: &'static str) -> String {
    let percent = (ratio - 1.0) * 100.0;
    match percent {
        p if p.abs() < 0.5 => "no change".to_owned(),
        p if p >= 100.0 => format!("{ratio:.1}× {more}"),
        p if p > 0.0 => format!("{p:.0} % {more}"),
        p => format!("{:.0} % {less}", -p),
    }
}

fn part(html: &mut String, section: &Section, report: &Report) {
    push(html, format_args!("<section><h2>{}</h2>", escape(section.title)));
    for sentence in &section.lead {
        push(html, format_args!("<p>{}</p>", escape(&sentence.replace('`', ""))));
    }
    plots(html, section.topic, report);
    if section.topic == Topic::Limits {
        *html += "<p class=\"legend\"><span class=\"even\">no difference</span> \
                  <span class=\"limit\">limit</span> worse is to the right</p>";
    }
    if let Some(table) = &section.table {
        let strips: Vec<Option<String>> = match section.topic {
            Topic::Limits => report.verdict.gates.iter().map(plot::strip).collect(),
            _ => Vec::new(),
        };
        let of_topic = match section.topic {
            Topic::Run => "facts",
            Topic::Limits => "limits",
            _ => "",
        };
        tabulate(html, table, &strips, of_topic);
    }
    *html += "</section>";
}

fn plots(html: &mut String, topic: Topic, report: &Report) {
    let plots = match topic {
        Topic::Outcomes => share_plots(report),
        Topic::Times => time_plots(report),
        Topic::Cost => cost_plot(report).into_iter().collect(),
        _ => return,
    };
    if plots.is_empty() {
        return;
    }
    *html += "<div class=\"plots\">";
    for (caption, plot) in plots {
        let caption = escape(&caption);
        push(html, format_args!("<figure><figcaption>{caption}</figcaption>{plot}</figure>"));
    }
    *html += "</div>";
    if topic == Topic::Times {
        *html += "<p class=\"legend\"><span class=\"key stable\">stable</span> \
                  <span class=\"key candidate\">candidate</span> scales are logarithmic</p>";
    }
}

/// Plots with their captions.
type Plots = Vec<(String, String)>;

fn share_plots(report: &Report) -> Plots {
    let both = [("failed", &report.failures), ("refused", &report.refusals)];
    let is_shown = |(name, shares): &(&str, &Shares)| {
        let is_any = shares.stable.count + shares.candidate.count > 0;
        shares.pairs > 0 && (*name == "failed" || is_any)
    };
    let plot = |(name, shares): (&str, &Shares)| {
        let title = format!("Share of requests that {name}");
        (name.to_owned(), plot::shares(&title, &shares.stable, &shares.candidate))
    };
    both.into_iter().filter(is_shown).map(plot).collect()
}

fn time_plots(report: &Report) -> Plots {
    let curve = |times: &Times| {
        Some((format!("answers by {}", times.metric.title()), plot::curves(times)?))
    };
    let mut plots: Plots = report.times.iter().filter_map(curve).collect();
    let of = |metric| report.times.iter().find(|times| times.metric == metric);
    if let Some(times) = of(Metric::Ttft).or_else(|| of(Metric::Total)) {
        let title = format!("{}, a dot for each pair", times.metric.title());
        plots.extend(plot::pairs(times).map(|plot| (title, plot)));
    }
    plots
}

fn cost_plot(report: &Report) -> Option<(String, String)> {
    let cost = report.cost.as_ref()?;
    let (name, stable, candidate) = match &cost.monthly {
        Some(monthly) => ("a month", monthly.stable_usd, monthly.candidate_usd),
        None => ("a request", cost.stable_usd, cost.candidate_usd),
    };
    Some((name.to_owned(), plot::amounts(&format!("Cost of {name}"), &stable, &candidate)))
}

/// A table; `strips`, one for each row, stand in a last column of their own.
fn tabulate(html: &mut String, table: &Table, strips: &[Option<String>], of_topic: &str) {
    push(html, format_args!("<div class=\"scroll\"><table class=\"{of_topic}\">"));
    if table.heads.iter().any(|head| !head.is_empty()) {
        *html += "<thead><tr>";
        for head in &table.heads {
            push(html, format_args!("<th scope=\"col\">{}</th>", escape(head)));
        }
        if !strips.is_empty() {
            *html += "<td></td>";
        }
        *html += "</tr></thead>";
    }
    *html += "<tbody>";
    for (index, row) in table.rows.iter().enumerate() {
        *html += "<tr>";
        for (column, cell) in row.iter().enumerate() {
            cell_of(html, cell, column, table.heads.get(column).copied().unwrap_or_default());
        }
        if let Some(strip) = strips.get(index) {
            push(
                html,
                format_args!("<td class=\"drawn\">{}</td>", strip.as_deref().unwrap_or_default()),
            );
        }
        *html += "</tr>";
    }
    *html += "</tbody></table></div>";
}

fn cell_of(html: &mut String, cell: &Cell, column: usize, head: &str) {
    let text = escape(&cell.text);
    match (column, cell.sign) {
        (0, _) => push(html, format_args!("<th scope=\"row\">{text}</th>")),
        (_, Some(word)) => push(
            html,
            format_args!(
                "<td data-of=\"{}\"><span class=\"sign {}\">{text}</span></td>",
                escape(head),
                class(word)
            ),
        ),
        (_, None) => push(html, format_args!("<td data-of=\"{}\">{text}</td>", escape(head))),
    }
}

fn examples(html: &mut String, report: &Report) {
    if report.examples.is_empty() {
        return;
    }
    *html += "<section><h2>Pairs that differ</h2>";
    for example in &report.examples {
        push(html, format_args!("<details><summary>{}</summary><dl>", escape(&example.id)));
        for (name, said) in [
            ("asked", &example.prompt),
            ("stable", &example.stable),
            ("candidate", &example.candidate),
        ] {
            push(html, format_args!("<dt>{name}</dt><dd><pre>{}</pre></dd>", escape(said)));
        }
        *html += "</dl></details>";
    }
    *html += "</section>";
}

/// A text as it can stand in HTML, in an attribute too.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn push(html: &mut String, what: std::fmt::Arguments<'_>) {
    html.write_fmt(what).expect("a text takes whatever is written to it");
}
