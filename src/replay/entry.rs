//! One line of the timeline, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::model::{Labels, Timestamp, format_duration};

/// Something that would have happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What would have happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An alert's condition holds from now on, and its `for` begins.
    Pending {
        /// The alert.
        labels: Labels,
        /// The expression's value.
        value: f64,
    },
    /// An alert fires.
    Firing {
        /// The alert.
        labels: Labels,
        /// The expression's value.
        value: f64,
        /// How long it was pending.
        pending: Duration,
    },
    /// An alert fires no longer.
    Resolved {
        /// The alert.
        labels: Labels,
        /// How long it fired.
        fired: Duration,
    },
    /// The condition of a pending alert vanished: nobody hears of it.
    Cleared {
        /// The alert.
        labels: Labels,
        /// How long it was pending.
        pending: Duration,
    },
    /// An alert was active when the time that was asked for began.
    Already {
        /// The alert.
        labels: Labels,
        /// Whether it fired.
        is_firing: bool,
        /// Since when.
        since: Timestamp,
        /// Whether it was so at the first evaluation already, and so may have been for longer.
        or_earlier: bool,
    },
    /// A receiver would have been told.
    Notice {
        /// Its webhook.
        hook: String,
        /// Its name.
        receiver: String,
        /// Why then.
        reason: &'static str,
        /// What fires.
        firing: Vec<Labels>,
        /// What is over.
        resolved: Vec<Labels>,
    },
    /// Nobody would have been told of a group for the sake of time intervals.
    Muted {
        /// Who.
        receiver: String,
        /// The group's key.
        group: String,
        /// The intervals.
        intervals: Vec<String>,
    },
    /// An alert came and went before anybody was due to be told.
    Unheard {
        /// The alert.
        labels: Labels,
    },
    /// A rollback would have been decided on.
    Rollback {
        /// Its name.
        rollback: String,
        /// The verdict's word: `fired`, `dry_run`, or why it was held.
        verdict: &'static str,
        /// The alert that asked for it.
        labels: Labels,
        /// What the decision rests on.
        why: String,
    },
    /// Bellwether itself turned ill or well.
    Health {
        /// Whether its own timers were on time.
        is_green: bool,
        /// Whether its own network was suspect.
        is_vantage_suspect: bool,
    },
    /// A rule failed for the first time, or for another reason than before.
    Failed {
        /// Its group.
        group: String,
        /// The rule.
        rule: String,
        /// Why.
        error: String,
    },
}

impl What {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Firing { .. } => "firing",
            Self::Resolved { .. } => "resolved",
            Self::Cleared { .. } => "cleared",
            Self::Already { .. } => "already",
            Self::Notice { .. } => "notice",
            Self::Muted { .. } => "muted",
            Self::Unheard { .. } => "unheard",
            Self::Rollback { .. } => "rollback",
            Self::Health { .. } => "health",
            Self::Failed { .. } => "failed",
        }
    }

    fn fields(&self) -> Value {
        match self {
            Self::Pending { labels, value } => {
                json!({"labels": object(labels), "value": value.to_string()})
            }
            Self::Firing { labels, value, pending } => json!({
                "labels": object(labels), "value": value.to_string(),
                "pending_seconds": pending.as_secs_f64(),
            }),
            Self::Resolved { labels, fired } => {
                json!({"labels": object(labels), "firing_seconds": fired.as_secs_f64()})
            }
            Self::Cleared { labels, pending } => {
                json!({"labels": object(labels), "pending_seconds": pending.as_secs_f64()})
            }
            Self::Already { labels, is_firing, since, or_earlier } => json!({
                "labels": object(labels), "state": state(*is_firing), "since": since.rfc3339(),
                "or_earlier": or_earlier,
            }),
            Self::Notice { hook, receiver, reason, firing, resolved } => json!({
                "hook": hook, "receiver": receiver, "reason": reason,
                "firing": firing.iter().map(object).collect::<Vec<_>>(),
                "resolved": resolved.iter().map(object).collect::<Vec<_>>(),
            }),
            Self::Muted { receiver, group, intervals } => {
                json!({"receiver": receiver, "group": group, "intervals": intervals})
            }
            Self::Unheard { labels } => json!({"labels": object(labels)}),
            Self::Rollback { rollback, verdict, labels, why } => json!({
                "rollback": rollback, "verdict": verdict, "labels": object(labels), "why": why,
            }),
            Self::Health { is_green, is_vantage_suspect } => {
                json!({"is_green": is_green, "is_vantage_suspect": is_vantage_suspect})
            }
            Self::Failed { group, rule, error } => {
                json!({"group": group, "rule": rule, "error": error})
            }
        }
    }
}

impl Entry {
    /// One object: `at`, `kind`, and what belongs to the kind.
    pub fn to_json(&self) -> Value {
        let mut entry = Map::new();
        entry.insert("at".to_owned(), json!(self.at.rfc3339()));
        entry.insert("kind".to_owned(), json!(self.what.word()));
        if let Value::Object(fields) = self.what.fields() {
            entry.extend(fields);
        }
        Value::Object(entry)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}  {:<8}  ", self.at, self.what.word())?;
        match &self.what {
            What::Pending { labels, value } => {
                write!(formatter, "{}  value {value}", alert(labels))
            }
            What::Firing { labels, value, pending } => {
                write!(formatter, "{}  value {value}", alert(labels))?;
                match pending.is_zero() {
                    true => Ok(()),
                    false => write!(formatter, ", pending for {}", format_duration(*pending)),
                }
            }
            What::Resolved { labels, fired } => {
                write!(formatter, "{}  fired for {}", alert(labels), format_duration(*fired))
            }
            What::Cleared { labels, pending } => {
                write!(formatter, "{}  pending for {}", alert(labels), format_duration(*pending))
            }
            What::Already { labels, is_firing, since, or_earlier } => {
                write!(formatter, "{}  {} since {since}", alert(labels), state(*is_firing))?;
                formatter.write_str(if *or_earlier { " or earlier" } else { "" })
            }
            What::Notice { hook, reason, firing, resolved, .. } => {
                write!(formatter, "{hook}  {reason}")?;
                for (word, alerts) in [("firing", firing), ("resolved", resolved)] {
                    if !alerts.is_empty() {
                        let alerts: Vec<String> = alerts.iter().map(alert).collect();
                        write!(formatter, "; {word}: {}", alerts.join(", "))?;
                    }
                }
                Ok(())
            }
            What::Muted { receiver, group, intervals } => {
                write!(formatter, "{receiver}  muted by {}: {group}", intervals.join(", "))
            }
            What::Unheard { labels } => {
                write!(formatter, "{}  came and went before a notice was due", alert(labels))
            }
            What::Rollback { rollback, verdict, why, .. } => {
                write!(formatter, "{rollback}  {verdict}: {why}")
            }
            What::Health { is_green, is_vantage_suspect } => {
                formatter.write_str(match (is_green, is_vantage_suspect) {
                    (true, false) => "bellwether itself is well",
                    (true, true) => {
                        "everything fails from here at once: the own network is suspect"
                    }
                    (false, _) => "bellwether itself is stalled",
                })
            }
            What::Failed { group, rule, error } => write!(formatter, "{group}/{rule}  {error}"),
        }
    }
}

fn state(is_firing: bool) -> &'static str {
    if is_firing { "firing" } else { "pending" }
}

/// An alert as people write it: its name, then its labels.
pub(super) fn alert(labels: &Labels) -> String {
    let name = labels.get("alertname").unwrap_or_default();
    let rest = labels.without(&["alertname"]);
    if rest.is_empty() { name.to_owned() } else { format!("{name}{rest}") }
}

/// Labels as a JSON object.
pub(super) fn object(labels: &Labels) -> Value {
    labels
        .iter()
        .map(|label| (label.name.to_string(), json!(*label.value)))
        .collect::<Map<_, _>>()
        .into()
}
