//! Alerts that were judged elsewhere, for as long as they count.
//!
//! What is held about one is asked again as it is for our own alerts, until it is resolved; but no
//! longer than a quarter of an hour after it was last said, since an Alertmanager without
//! `send_resolved` never says that it is over, and traffic must not move for something long past.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Timestamp;
use crate::notice::Alert;
use crate::release::{INCIDENTS_MAX, Verdict};

/// Three of Alertmanager's default `group_interval`.
const FRESH: Duration = Duration::from_secs(15 * 60);

/// What somebody says.
#[derive(Clone, Debug)]
pub struct Post {
    /// The alerts.
    pub alerts: Vec<Alert>,
    /// Who says so, and why: for the record.
    pub said_by: String,
}

/// What is decided about one of these alerts.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// The alert.
    pub alert: Alert,
    /// Why no rollback was asked, where that is so.
    pub passed_over: Option<&'static str>,
    /// What each rollback that it asks for says of its incident.
    pub rollbacks: Vec<RollbackRuling>,
}

/// What one rollback says of an incident.
#[derive(Clone, Debug)]
pub struct RollbackRuling {
    /// The rollback.
    pub rollback: String,
    /// The verdict that stands; none where there was nothing to say.
    pub verdict: Option<Verdict>,
    /// The decision's key and reason, while it is remembered.
    pub decision: Option<(String, String)>,
    /// Whether it was decided now and not at an earlier post.
    pub is_new: bool,
}

/// The alerts that count, by incident.
#[derive(Debug, Default)]
pub(super) struct Outside {
    told: BTreeMap<String, Told>,
    due: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Told {
    at: Timestamp,
    alert: Alert,
    said_by: String,
}

impl Outside {
    /// Notes that an alert fires. Where there is no room the one that was said longest ago goes.
    pub(super) fn fires(&mut self, now: Timestamp, alert: Alert, said_by: &str) {
        if self.told.len() >= INCIDENTS_MAX && !self.told.contains_key(&alert.incident) {
            let oldest = self.told.iter().min_by_key(|(_, told)| told.at);
            if let Some(incident) = oldest.map(|(incident, _)| incident.clone()) {
                self.told.remove(&incident);
            }
        }
        let incident = alert.incident.clone();
        self.told.insert(incident, Told { at: now, alert, said_by: said_by.to_owned() });
    }

    /// Notes that an incident is over.
    pub(super) fn ends(&mut self, incident: &str) {
        self.told.remove(incident);
    }

    /// Everything that counts, with who said so.
    pub(super) fn firing(&mut self, now: Timestamp) -> Vec<(Alert, String)> {
        self.told.retain(|_, told| now.since(told.at) < FRESH);
        self.told.values().map(|told| (told.alert.clone(), told.said_by.clone())).collect()
    }

    /// Whether it is time to ask again, which then is done for another interval.
    pub(super) fn take_turn(&mut self, now: Timestamp, interval: Duration) -> bool {
        let is_due = !self.told.is_empty() && self.due.is_none_or(|due| due <= now);
        if is_due {
            self.due = Some(now + interval);
        }
        is_due
    }
}

/// Why no rollback is asked about an alert, if so.
pub(super) fn passed_over(alert: &Alert, is_echo: bool, is_asked: bool) -> Option<&'static str> {
    match (alert.is_firing, is_echo, is_asked) {
        (false, _, _) => Some("it is resolved: its incident is over"),
        (true, true, _) => {
            Some("it is an alert of bellwether's own, which was decided about when it fired")
        }
        (true, false, false) => {
            Some("it satisfies the matchers of no rollback, or is about a stable target")
        }
        (true, false, true) => None,
    }
}
