//! `bellwether cost`: what was spent, and what the candidate would have cost for the same traffic.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::arguments::{LISTEN, runtime};
use super::http::{Connecting, HttpFile};
use super::query::{Header, Server};
use crate::model::{format_duration, parse_duration};

/// Flags of `cost`.
#[derive(Debug, Args)]
#[command(
    after_help = "What the candidate would have cost reprices each request of stable by the candidate's prices, token for token. Another model may cut the same text into more tokens, or answer at another length.\n\nExit codes: 0 answered, 1 refused or not answered, 2 wrong usage."
)]
pub(super) struct Arguments {
    /// Over so long a time up to now.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = range)]
    range: String,
    /// Which bellwether, or Prometheus that scrapes one, is asked; `http://NAME:PASSWORD@HOST` signs
    /// in.
    #[arg(long, default_value_t = Server::at(LISTEN))]
    url: Server,
    /// A further header of the request, `NAME: VALUE`; may be repeated.
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<Header>,
    #[command(flatten)]
    http: HttpFile,
    /// Tables for people or JSON for programs.
    #[arg(long, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Written anew, so that nothing but a duration gets into an expression.
fn range(text: &str) -> Result<String, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        return Err("write how long a time, such as `24h` or `30d`".to_owned());
    }
    Ok(format_duration(duration))
}

/// What was asked for: labels and a value each.
type Rows = Vec<(Vec<String>, f64)>;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let http = arguments.http.read()?;
    match runtime()?.block_on(asked(arguments, &http)) {
        Ok(cost) if arguments.output == Output::Json => println!("{}", cost.json(arguments)),
        Ok(cost) => print!("{}", cost.text(&arguments.range)),
        Err(reason) => {
            eprintln!("bellwether: {reason}");
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn asked(arguments: &Arguments, http: &Connecting) -> Result<Cost, String> {
    let over = |metric: &str, labels: &str| {
        format!("sum by ({labels}) (increase({metric}[{}]))", arguments.range)
    };
    let mut answers = Vec::new();
    for (expr, labels) in [
        (over("bellwether_cost_usd_total", MODEL), MODEL),
        (over("bellwether_cost_unpriced_total", MODEL), MODEL),
        (over("bellwether_comparison_cost_usd_total", COMPARISON), COMPARISON),
        (format!("max by ({BUDGET}) (bellwether_probe_budget_spent_usd)"), BUDGET),
        (format!("max by ({BUDGET}) (bellwether_probe_budget_usd)"), BUDGET),
    ] {
        let parameters = [("query", expr)];
        let body = arguments.url.ask("/api/v1/query", &parameters, &arguments.headers, http);
        answers.push(rows(&body.await?.answer, labels)?);
    }
    let mut answers = answers.into_iter();
    let mut next = || answers.next().unwrap_or_default();
    let (spent, unpriced, compared) = (next(), next(), next());
    Ok(Cost { spent, unpriced, compared, budget_spent: next(), budgets: next() })
}

const MODEL: &str = "provider, model, purpose";
const COMPARISON: &str = "comparison, purpose, prices";
const BUDGET: &str = "target, period";

fn rows(answer: &Value, labels: &str) -> Result<Rows, String> {
    if answer["status"] != "success" {
        return Err(answer["error"].as_str().unwrap_or("the query failed").to_owned());
    }
    let series = answer["data"]["result"].as_array();
    let mut rows: Rows = series
        .into_iter()
        .flatten()
        .filter_map(|series| {
            let of = |name: &str| series["metric"][name].as_str().unwrap_or_default().to_owned();
            let value = series["value"][1].as_str()?.parse().ok()?;
            Some((labels.split(", ").map(of).collect(), value))
        })
        .collect();
    rows.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(rows)
}

#[derive(Debug, Default)]
struct Cost {
    spent: Rows,
    unpriced: Rows,
    compared: Rows,
    budget_spent: Rows,
    budgets: Rows,
}

/// What stable's traffic of one purpose cost, and what it would have cost.
struct Comparison<'a> {
    name: &'a str,
    purpose: &'a str,
    stable: f64,
    candidate: f64,
}

fn value_of(rows: &Rows, labels: &[String]) -> f64 {
    rows.iter().find(|(known, _)| known == labels).map_or(0.0, |(_, value)| *value)
}

impl Cost {
    /// Only those with traffic: the others are all at zero.
    fn comparisons(&self) -> Vec<Comparison<'_>> {
        let stable = self.compared.iter().filter(|(labels, _)| labels[2] == "stable");
        stable
            .map(|(labels, stable)| {
                let others = [labels[0].clone(), labels[1].clone(), "candidate".to_owned()];
                let (name, purpose) = (labels[0].as_str(), labels[1].as_str());
                let candidate = value_of(&self.compared, &others);
                Comparison { name, purpose, stable: *stable, candidate }
            })
            .filter(|one| one.stable > 0.0 || one.candidate > 0.0)
            .collect()
    }

    fn text(&self, range: &str) -> String {
        let mut tables = Vec::new();
        let spent = self.spent.iter().map(|(labels, usd)| {
            let unpriced = value_of(&self.unpriced, labels).round();
            [labels.clone(), vec![dollars(*usd), format!("{unpriced}")]].concat()
        });
        let heads = ["provider", "model", "for", "dollars", "requests of unknown cost"];
        tables.push((format!("spent over {range}"), table(&heads, spent.collect())));
        let compared = self.comparisons().into_iter().map(|one| {
            vec![
                one.name.to_owned(),
                one.purpose.to_owned(),
                dollars(one.stable),
                dollars(one.candidate),
                saved(one.stable, one.candidate),
            ]
        });
        let heads = ["comparison", "for", "stable", "candidate", "saved"];
        tables.push((
            format!("the traffic of stable over {range}, at the prices of either side"),
            table(&heads, compared.collect()),
        ));
        let budgets = self.budgets.iter().map(|(labels, limit)| {
            let spent = value_of(&self.budget_spent, labels);
            [labels.clone(), vec![dollars(spent), dollars(*limit)]].concat()
        });
        let heads = ["target", "in this", "spent", "of"];
        tables.push(("budgets of probes".to_owned(), table(&heads, budgets.collect())));
        let shown = tables.into_iter().filter(|(_, lines)| !lines.is_empty());
        let shown: Vec<String> = shown.map(|(title, lines)| format!("{title}\n{lines}")).collect();
        if shown.is_empty() {
            return "nothing was asked in that time\n".to_owned();
        }
        shown.join("\n")
    }

    fn json(&self, arguments: &Arguments) -> Value {
        let spent = self.spent.iter().map(|(labels, usd)| {
            json!({
                "provider": labels[0],
                "model": labels[1],
                "purpose": labels[2],
                "usd": usd,
                "unpriced": value_of(&self.unpriced, labels),
            })
        });
        let compared = self.comparisons().into_iter().map(|one| {
            json!({
                "comparison": one.name,
                "purpose": one.purpose,
                "stable_usd": one.stable,
                "candidate_usd": one.candidate,
            })
        });
        let budgets = self.budgets.iter().map(|(labels, limit)| {
            json!({
                "target": labels[0],
                "period": labels[1],
                "spent_usd": value_of(&self.budget_spent, labels),
                "limit_usd": limit,
            })
        });
        json!({
            "range": arguments.range,
            "spent": spent.collect::<Vec<_>>(),
            "comparisons": compared.collect::<Vec<_>>(),
            "budgets": budgets.collect::<Vec<_>>(),
        })
    }
}

/// Columns as wide as they need to be, amounts to the right; nothing without rows.
fn table<const N: usize>(heads: &[&str; N], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| {
            let is_amount = lines[1..].iter().any(|line| line.contains(cell) && is_number(cell));
            if is_amount { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str("  ");
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn is_number(cell: &str) -> bool {
    cell.starts_with(['$', '-']) || cell.starts_with(|first: char| first.is_ascii_digit())
}

/// Cents, or as many decimals as a small amount needs to be seen.
fn dollars(usd: f64) -> String {
    match usd {
        usd if usd == 0.0 || usd >= 1.0 => format!("${usd:.2}"),
        usd if usd >= 0.01 => format!("${usd:.4}"),
        usd => format!("${usd:.6}"),
    }
}

fn saved(stable: f64, candidate: f64) -> String {
    if stable <= 0.0 {
        return String::new();
    }
    format!("{:.1} %", (1.0 - candidate / stable) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(labels: &[&str], value: f64) -> (Vec<String>, f64) {
        (labels.iter().map(|label| (*label).to_owned()).collect(), value)
    }

    #[test]
    fn what_was_spent_reads_as_tables() {
        let cost = Cost {
            spent: vec![
                row(&["anthropic", "sonnet", "probe"], 0.25),
                row(&["openai", "mini", "live"], 12.0),
            ],
            unpriced: vec![row(&["openai", "mini", "live"], 2.9999)],
            compared: vec![
                row(&["move", "live", "candidate"], 6.0),
                row(&["move", "live", "stable"], 12.0),
                row(&["move", "probe", "candidate"], 0.0),
                row(&["move", "probe", "stable"], 0.0),
            ],
            budgets: vec![row(&["mini", "month"], 20.0)],
            budget_spent: vec![row(&["mini", "month"], 0.0001)],
        };
        let expected = "\
spent over 1d
  provider   model   for    dollars  requests of unknown cost
  anthropic  sonnet  probe  $0.2500                         0
  openai     mini    live    $12.00                         3

the traffic of stable over 1d, at the prices of either side
  comparison  for   stable  candidate  saved
  move        live  $12.00      $6.00  50.0 %

budgets of probes
  target  in this  spent      of
  mini    month    $0.000100  $20.00
";
        assert_eq!(cost.text("1d"), expected);
        assert_eq!(Cost::default().text("1d"), "nothing was asked in that time\n");
    }

    #[test]
    fn a_range_is_a_duration_and_nothing_else() {
        assert_eq!(range("24h").as_deref(), Ok("1d"));
        for text in ["0s", "1h])", "", "soon"] {
            assert!(range(text).is_err(), "{text}");
        }
    }
}
