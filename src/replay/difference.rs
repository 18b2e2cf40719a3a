//! Where two sets of rules differ over the same samples.
//!
//! Alerts are the same if their labels are. Of one alert, two times of firing belong together if
//! they overlap; what belongs to none fired with one set only.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::course::{Course, Decided, Incident};
use super::entry::{alert, object};
use crate::model::{Labels, Timestamp, format_duration};

/// One alert or rollback that is not the same with both sets.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// An alert fires with the first set only.
    Gone(Firing),
    /// An alert fires with the second set only.
    New(Firing),
    /// An alert fires with both, but not at the same times.
    Moved {
        /// With the first.
        before: Firing,
        /// With the second.
        after: Firing,
    },
    /// A rollback is carried out with the first set only.
    RollbackGone(Fired),
    /// A rollback is carried out with the second set only.
    RollbackNew(Fired),
}

/// One time of firing.
#[derive(Clone, Debug, PartialEq)]
pub struct Firing {
    /// The alert.
    pub labels: Labels,
    /// Since when.
    pub since: Timestamp,
    /// Until when; nothing where it fires on.
    pub until: Option<Timestamp>,
}

/// A rollback that is carried out, or rehearsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Fired {
    /// When.
    pub at: Timestamp,
    /// Its name.
    pub rollback: String,
    /// The alert that asked for it.
    pub labels: Labels,
}

/// Compares two courses from a time on, in the order of alerts and times.
pub(super) fn compare(before: &Course, after: &Course, from: Timestamp) -> Vec<Difference> {
    let mut labels: Vec<&Labels> = before.alerts.keys().chain(after.alerts.keys()).collect();
    labels.sort_unstable();
    labels.dedup();
    let mut differences = Vec::new();
    for labels in labels {
        let firings = |course: &Course| {
            let incidents = course.alerts.get(labels).into_iter().flatten();
            incidents.filter_map(|incident| firing(labels, incident, from)).collect()
        };
        differences.extend(moves(firings(before), firings(after)));
    }
    let fired = |course: &Course| -> Vec<Fired> {
        let done = course.decisions.iter().filter(|d| matches!(d.verdict, "fired" | "dry_run"));
        done.map(Fired::of).collect()
    };
    let (before, after) = (fired(before), fired(after));
    let gone = before.iter().filter(|fired| !after.contains(fired)).cloned();
    differences.extend(gone.map(Difference::RollbackGone));
    let new = after.iter().filter(|fired| !before.contains(fired)).cloned();
    differences.extend(new.map(Difference::RollbackNew));
    differences
}

fn firing(labels: &Labels, incident: &Incident, from: Timestamp) -> Option<Firing> {
    let since = incident.fired?.max(from);
    Some(Firing { labels: labels.clone(), since, until: incident.ended })
}

/// Both in the order of time.
fn moves(before: Vec<Firing>, after: Vec<Firing>) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut after = after.into_iter().peekable();
    for firing in before {
        while let Some(new) = after.next_if(|other| other.is_over_before(&firing)) {
            differences.push(Difference::New(new));
        }
        match after.next_if(|other| !firing.is_over_before(other)) {
            Some(same) if same == firing => {}
            Some(other) => differences.push(Difference::Moved { before: firing, after: other }),
            None => differences.push(Difference::Gone(firing)),
        }
    }
    differences.extend(after.map(Difference::New));
    differences
}

impl Firing {
    fn is_over_before(&self, other: &Self) -> bool {
        self.until.is_some_and(|until| until <= other.since)
    }

    fn to_json(&self) -> Value {
        json!({
            "labels": object(&self.labels),
            "since": self.since.rfc3339(),
            "until": self.until.map(Timestamp::rfc3339),
        })
    }

    fn times(&self) -> String {
        match self.until {
            Some(until) => format!("{} to {until}", self.since),
            None => format!("{} to the end", self.since),
        }
    }
}

impl Fired {
    fn of(decided: &Decided) -> Self {
        let Decided { at, rollback, labels, .. } = decided.clone();
        Self { at, rollback, labels }
    }

    fn to_json(&self) -> Value {
        let at = self.at.rfc3339();
        json!({"at": at, "rollback": self.rollback, "labels": object(&self.labels)})
    }
}

impl Difference {
    /// One object with the kind `difference`.
    pub fn to_json(&self) -> Value {
        let (what, before, after) = match self {
            Self::Gone(firing) => ("only_before", Some(firing.to_json()), None),
            Self::New(firing) => ("only_after", None, Some(firing.to_json())),
            Self::Moved { before, after } => {
                ("moved", Some(before.to_json()), Some(after.to_json()))
            }
            Self::RollbackGone(fired) => ("rollback_only_before", Some(fired.to_json()), None),
            Self::RollbackNew(fired) => ("rollback_only_after", None, Some(fired.to_json())),
        };
        json!({"kind": "difference", "what": what, "before": before, "after": after})
    }
}

/// A line as of `diff`: `-` and `+` for what only one set does, `~` for what moved.
impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(firing) => {
                write!(formatter, "- {}  fires no more: {}", alert(&firing.labels), firing.times())
            }
            Self::New(firing) => {
                write!(formatter, "+ {}  fires anew: {}", alert(&firing.labels), firing.times())
            }
            Self::Moved { before, after } => {
                let began = shift("begins", Some(before.since), Some(after.since));
                let ended = shift("ends", before.until, after.until);
                let how: Vec<String> = [began, ended].into_iter().flatten().collect();
                write!(
                    formatter,
                    "~ {}  {}: {}, was {}",
                    alert(&before.labels),
                    how.join(", "),
                    after.times(),
                    before.times()
                )
            }
            Self::RollbackGone(fired) => write!(
                formatter,
                "- rollback {}  no more: {} for {}",
                fired.rollback,
                fired.at,
                alert(&fired.labels)
            ),
            Self::RollbackNew(fired) => write!(
                formatter,
                "+ rollback {}  anew: {} for {}",
                fired.rollback,
                fired.at,
                alert(&fired.labels)
            ),
        }
    }
}

fn shift(verb: &str, before: Option<Timestamp>, after: Option<Timestamp>) -> Option<String> {
    let by = |from: Timestamp, to: Timestamp| format_duration(to.since(from));
    match (before, after) {
        (Some(before), Some(after)) if after < before => {
            Some(format!("{verb} {} earlier", by(after, before)))
        }
        (Some(before), Some(after)) if after.since(before) > Duration::ZERO => {
            Some(format!("{verb} {} later", by(before, after)))
        }
        (None, Some(_)) => Some(format!("{verb} now")),
        (Some(_), None) => Some(format!("{verb} no more")),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// Times of firing as `since-until`, the second open where it is 0.
    fn firings(times: &[(i64, i64)]) -> Vec<Firing> {
        let labels = Labels::from_pairs([("alertname", "A")]);
        let one = |(since, until): &(i64, i64)| Firing {
            labels: labels.clone(),
            since: at(*since),
            until: (*until > 0).then(|| at(*until)),
        };
        times.iter().map(one).collect()
    }

    fn said(before: &[(i64, i64)], after: &[(i64, i64)]) -> Vec<String> {
        let differences = moves(firings(before), firings(after));
        let first = |difference: Difference| {
            let text = difference.to_string();
            text.split(": ").next().unwrap_or_default().to_owned()
        };
        differences.into_iter().map(first).collect()
    }

    #[test]
    fn times_of_firing_belong_together_where_they_overlap() {
        assert_eq!(said(&[(10, 20)], &[(10, 20)]), [""; 0]);
        assert_eq!(said(&[(10, 20)], &[]), ["- A  fires no more"]);
        assert_eq!(said(&[], &[(10, 20)]), ["+ A  fires anew"]);
        assert_eq!(said(&[(10, 20)], &[(5, 26)]), ["~ A  begins 5s earlier, ends 6s later"]);
        assert_eq!(said(&[(10, 0)], &[(15, 26)]), ["~ A  begins 5s later, ends now"]);
        assert_eq!(
            said(&[(10, 20), (40, 50)], &[(20, 30), (40, 50), (60, 0)]),
            ["- A  fires no more", "+ A  fires anew", "+ A  fires anew"]
        );
        // What fired once now fires twice: the first is the same, shorter.
        assert_eq!(
            said(&[(10, 50)], &[(10, 20), (30, 50)]),
            ["~ A  ends 30s earlier", "+ A  fires anew"]
        );
    }
}
