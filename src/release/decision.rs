//! A decision about a rollback: what, about which incident, and why.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::stable::{Health, StableTarget};
use crate::model::Timestamp;
use crate::notice::{Alert, Delivery};

/// What was decided about one rollback and one incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The webhook is called.
    Fired,
    /// It would have been called, but only a rehearsal was asked for.
    DryRun,
    /// Stable is bad too. It fires as soon as stable is not.
    HeldBothBad,
    /// What was seen cannot be trusted. It fires as soon as it can be and the alert still fires.
    HeldInconclusive,
    /// A provider on either side is in planned maintenance. It fires after it, if the alert still
    /// does.
    HeldMaintenance {
        /// The first moment after it, where that is known.
        until: Option<Timestamp>,
    },
    /// Another rollback was not long ago.
    Cooldown {
        /// When the next may come.
        until: Timestamp,
    },
    /// There were as many as a day may have.
    Capped {
        /// When the next may come.
        until: Timestamp,
    },
}

impl Verdict {
    /// The word for it, in the journal, in metrics and on the page.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::DryRun => "dry_run",
            Self::HeldBothBad => "held_both_bad",
            Self::HeldInconclusive => "held_inconclusive",
            Self::HeldMaintenance { .. } => "held_maintenance",
            Self::Cooldown { .. } => "cooldown",
            Self::Capped { .. } => "capped",
        }
    }

    /// Until when it holds, where that is known.
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::HeldMaintenance { until } => until,
            Self::Cooldown { until } | Self::Capped { until } => Some(until),
            Self::Fired | Self::DryRun | Self::HeldBothBad | Self::HeldInconclusive => None,
        }
    }

    /// Reads what [`Verdict::as_str`] and [`Verdict::until`] wrote; `None` for anything else.
    pub fn parse(word: &str, until: Option<Timestamp>) -> Option<Self> {
        Some(match (word, until) {
            ("fired", _) => Self::Fired,
            ("dry_run", _) => Self::DryRun,
            ("held_both_bad", _) => Self::HeldBothBad,
            ("held_inconclusive", _) => Self::HeldInconclusive,
            ("held_maintenance", until) => Self::HeldMaintenance { until },
            ("cooldown", Some(until)) => Self::Cooldown { until },
            ("capped", Some(until)) => Self::Capped { until },
            _ => return None,
        })
    }
}

/// Why what was seen cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// Bellwether itself was stalled.
    CanaryRed,
    /// Everything fails from here at once.
    VantageSuspect,
}

impl Doubt {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CanaryRed => "canary_red",
            Self::VantageSuspect => "vantage_suspect",
        }
    }
}

/// What the decision rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One sentence for people.
    pub why: String,
    /// The stable side as a whole.
    pub stable: Health,
    /// Each of its targets.
    pub targets: Vec<StableTarget>,
    /// Why what was seen cannot be trusted, if so.
    pub doubt: Option<Doubt>,
    /// How many rollbacks there were in the 24 hours before.
    pub in_last_day: usize,
}

impl Report {
    /// The whole of it, for the journal and the page.
    pub fn to_json(&self) -> Value {
        let targets = self.targets.iter().map(|target| {
            json!({
                "target": target.target.as_str(),
                "health": target.health.as_str(),
                "is_alerting": target.is_alerting,
                "good": target.good,
                "bad": target.bad,
                "is_exhausted": target.is_exhausted,
                "last_at": target.last_at.map(Timestamp::rfc3339),
            })
        });
        json!({
            "why": self.why,
            "stable": self.stable.as_str(),
            "targets": targets.collect::<Vec<_>>(),
            "doubt": self.doubt.map(Doubt::as_str),
            "in_last_day": self.in_last_day,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.why)?;
        for (position, target) in self.targets.iter().enumerate() {
            write!(formatter, "{} {target}", if position == 0 { ";" } else { "," })?;
        }
        Ok(())
    }
}

/// A decision, on record before it is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The same for one rollback and one incident, over retries and restarts: the `webhook-id`.
    pub id: String,
    /// The rollback's name.
    pub rollback: String,
    /// The incident.
    pub incident: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub verdict: Verdict,
    /// The alert that asked for it.
    pub alert: Alert,
    /// Why.
    pub report: Report,
    /// What is to be sent, or rehearsed; nothing where it is held.
    pub delivery: Option<Delivery>,
}

/// A decision as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// See [`Decision::id`].
    pub id: String,
    /// The rollback's name.
    pub rollback: String,
    /// The incident.
    pub incident: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub verdict: Verdict,
    /// The report, as [`Report::to_json`] wrote it.
    pub report: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_as_it_was_written() {
        let until = Timestamp::from_millis(7);
        for verdict in [
            Verdict::Fired,
            Verdict::DryRun,
            Verdict::HeldBothBad,
            Verdict::HeldInconclusive,
            Verdict::HeldMaintenance { until: None },
            Verdict::HeldMaintenance { until: Some(until) },
            Verdict::Cooldown { until },
            Verdict::Capped { until },
        ] {
            assert_eq!(Verdict::parse(verdict.as_str(), verdict.until()), Some(verdict));
        }
        assert_eq!(Verdict::parse("cooldown", None), None);
        assert_eq!(Verdict::parse("", None), None);
    }
}
