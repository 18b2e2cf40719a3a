//! What was spent, as the page shows it.

use super::page::{escape, push};
use crate::telemetry::Spent;

/// Writes what was spent since the start, and what it would have cost elsewhere; nothing where
/// nothing is known to have been spent.
pub(super) fn section(html: &mut String, spent: &Spent) {
    if spent.models.is_empty() {
        return;
    }
    html.push_str(
        "<section><h2>Cost since the start</h2><div class=\"scroll\" tabindex=\"0\"><table><thead>\
         <tr><th scope=\"col\">model</th><th scope=\"col\">for</th><th scope=\"col\">dollars</th>\
         <th scope=\"col\">requests of unknown cost</th></tr></thead><tbody>",
    );
    for one in &spent.models {
        push(
            html,
            format_args!(
                "<tr><th scope=\"row\">{} · {}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&one.provider),
                escape(&one.model),
                one.purpose.as_str(),
                dollars(one.usd),
                one.unpriced
            ),
        );
    }
    html.push_str("</tbody></table></div>");
    if !spent.comparisons.is_empty() {
        html.push_str("<ul>");
        for compared in &spent.comparisons {
            push(
                html,
                format_args!(
                    "<li><strong>{}</strong>: the {} traffic of stable cost {} and would have cost \
                     {} at the prices of the candidate, token for token{}</li>",
                    escape(&compared.comparison),
                    compared.purpose.as_str(),
                    dollars(compared.stable_usd),
                    dollars(compared.candidate_usd),
                    difference(compared.stable_usd, compared.candidate_usd)
                ),
            );
        }
        html.push_str("</ul>");
    }
    html.push_str("</section>");
}

/// Cents, or as many decimals as a small amount needs to be seen.
fn dollars(usd: f64) -> String {
    match usd {
        usd if usd == 0.0 || usd >= 1.0 => format!("${usd:.2}"),
        usd if usd >= 0.01 => format!("${usd:.4}"),
        usd => format!("${usd:.9}").trim_end_matches('0').to_owned(),
    }
}

fn difference(stable: f64, candidate: f64) -> String {
    if stable <= 0.0 {
        return String::new();
    }
    let percent = (candidate / stable - 1.0) * 100.0;
    match percent {
        percent if percent < 0.0 => format!(": {:.1} % less", -percent),
        percent => format!(": {percent:.1} % more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Compared, Purpose, SpentOn};

    #[test]
    fn what_was_spent_is_told_with_what_it_would_have_cost() {
        let mut html = String::new();
        section(&mut html, &Spent::default());
        assert_eq!(html, "");
        let one = SpentOn {
            provider: "openai".to_owned(),
            model: "<m>".to_owned(),
            purpose: Purpose::Probe,
            usd: 0.0000325,
            unpriced: 2,
        };
        let compared = Compared {
            comparison: "r".to_owned(),
            purpose: Purpose::Live,
            stable_usd: 2.0,
            candidate_usd: 0.5,
        };
        let spent = Spent { models: vec![one], comparisons: vec![compared] };
        section(&mut html, &spent);
        for part in [
            "openai · &lt;m&gt;</th><td>probe</td><td>$0.0000325</td><td>2</td>",
            "the live traffic of stable cost $2.00 and would have cost $0.5000",
            "token for token: 75.0 % less",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
        assert_eq!([0.0, 0.05, 12.0].map(dollars), ["$0.00", "$0.0500", "$12.00"]);
        assert_eq!(difference(1.0, 1.5), ": 50.0 % more");
        assert_eq!(difference(0.0, 1.0), "");
    }
}
