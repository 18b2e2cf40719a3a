//! The whole of a report in a few sentences.

use super::figure;
use super::gate::Metric;
use super::report::Report;
use crate::statistics::Bounded;

/// What is shown to differ, by how much at least and at most, and what is not.
pub(super) fn brief(report: &Report) -> Vec<String> {
    let mut said = Vec::new();
    let failures = &report.failures;
    if failures.pairs > 0 {
        let [stable, candidate] =
            [failures.stable.share, failures.candidate.share].map(figure::percent);
        said.push(if failures.difference.contains(0.0) {
            format!(
                "No difference in failures is shown: the candidate {candidate}, stable {stable}."
            )
        } else {
            let difference = figure::bounded(Some(failures.difference), figure::points);
            format!(
                "The candidate fails in {candidate} of requests, stable in {stable}: {difference}."
            )
        });
    }
    for (metric, what) in [(Metric::Ttft, "first token"), (Metric::Total, "whole answer")] {
        let times = report.times.iter().find(|times| times.metric == metric);
        let Some(ratio) = times.and_then(|times| times.paired_ratio) else { continue };
        said.push(if ratio.contains(1.0) {
            format!("Its {what} is as fast, as far as can be told: {}.", changes(&ratio))
        } else {
            let word = if ratio.value > 1.0 { "later" } else { "sooner" };
            format!("Its {what} comes {word}: {}.", changes(&ratio))
        });
    }
    if let Some(cost) = &report.cost {
        said.push(match &cost.monthly {
            Some(monthly) => {
                let verb = if monthly.saved_usd.value < 0.0 { "more" } else { "less" };
                let amount = figure::dollars(monthly.saved_usd.value.abs());
                let requests = figure::thousands(monthly.requests);
                let change = changes(&cost.ratio);
                format!("It costs {amount} {verb} a month at {requests} requests: {change}.")
            }
            None => format!("A request costs {}.", changes(&cost.ratio)),
        });
    }
    said
}

/// A factor with its bounds as changes in percent.
fn changes(ratio: &Bounded) -> String {
    figure::bounded(Some(*ratio), |ratio| {
        let percent = (ratio - 1.0) * 100.0;
        if percent.abs() < 0.5 { "±0 %".to_owned() } else { format!("{percent:+.0} %") }
    })
}
