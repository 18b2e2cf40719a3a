//! An alert as it leaves: with external labels, an end, and a link to its expression.

use std::fmt::Write as _;
use std::time::Duration;

use super::Settings;
use crate::model::{Labels, Timestamp};
use crate::notice;
use crate::rules::{self, AlertState};

/// Writes a rule's alert as receivers and rollbacks are told of it. `valid_for` is how long it counts
/// as firing unless it is said again.
pub(super) fn outward(
    alert: &rules::Alert,
    settings: &Settings,
    valid_for: Duration,
    now: Timestamp,
) -> notice::Alert {
    let is_firing = alert.state == AlertState::Firing;
    notice::Alert {
        labels: with_external(&alert.labels, &settings.external_labels),
        annotations: alert.annotations.clone(),
        is_firing,
        starts_at: alert.fired_at.unwrap_or(now),
        ends_at: if is_firing { Some(now + valid_for) } else { alert.resolved_at },
        value: alert.value,
        generator_url: generator_url(&settings.external_url, &alert.expr),
        incident: alert.incident.clone(),
    }
}

/// An alert's own labels win.
pub(super) fn with_external(own: &Labels, external: &Labels) -> Labels {
    if external.is_empty() {
        return own.clone();
    }
    external.iter().chain(own).cloned().collect()
}

/// Where an expression can be looked at: Prometheus's own form of the address.
pub(super) fn generator_url(external_url: &str, expr: &str) -> String {
    format!("{}{}&g0.tab=1", link_start(external_url), query_escape(expr))
}

/// Whether an alert's link is one that [`outward`] writes.
pub(super) fn is_linked_here(generator_url: &str, settings: &Settings) -> bool {
    generator_url.starts_with(&link_start(&settings.external_url))
}

fn link_start(external_url: &str) -> String {
    format!("{}/graph?g0.expr=", external_url.trim_end_matches('/'))
}

/// Go's `url.QueryEscape`, which Prometheus writes this with. A form's encoding differs in `~` and
/// `*`, and every regular expression of a selector has one of them.
fn query_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            other => {
                let _infallible = write!(escaped, "%{other:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    // By hand from the table of net/url: letters, digits and `-_.~` stay, a space becomes `+`.
    #[test]
    fn an_expression_is_linked_as_prometheus_links_it() {
        let expr = r#"rate(up{job=~"a.*"}[5m]) * 100 > 1 - é"#;
        assert_eq!(
            generator_url("http://b:9779/", expr),
            "http://b:9779/graph?g0.expr=rate%28up%7Bjob%3D~%22a.%2A%22%7D%5B5m%5D%29+%2A+100+%3E+1\
             +-+%C3%A9&g0.tab=1"
        );
    }

    #[test]
    fn external_labels_are_added_only_where_absent() {
        let own = Labels::from_pairs([("alertname", "A"), ("region", "eu")]);
        let external = Labels::from_pairs([("region", "us"), ("team", "x")]);
        let expected = Labels::from_pairs([("alertname", "A"), ("region", "eu"), ("team", "x")]);
        assert_eq!(with_external(&own, &external), expected);
    }
}
