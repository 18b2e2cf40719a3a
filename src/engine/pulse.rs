//! Heartbeats: somebody else is told at an interval that rules are judged here, and raises the alarm
//! once nobody tells.
//!
//! A beat follows an evaluation and nothing else, so that none goes out once evaluations stop, for
//! whatever reason. While one group is overdue by two of its intervals none goes out either, though
//! others are evaluated. Without rule groups nothing is judged, and nothing beats.

use std::sync::Arc;

use serde_json::json;

use super::groups::Scheduled;
use crate::model::Timestamp;
use crate::notice::{Delivery, Heartbeat, HookId, Sending};

/// When each heartbeat is due next.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse(Vec<Timestamp>);

impl Pulse {
    /// What goes out after an evaluation.
    pub(super) fn beat(
        &mut self,
        now: Timestamp,
        heartbeats: &[Heartbeat],
        groups: &[Scheduled],
    ) -> Vec<Delivery> {
        self.0.resize(heartbeats.len(), now);
        let is_overdue = |group: &Scheduled| group.due + 2 * group.group.interval() < now;
        if groups.iter().any(is_overdue) {
            return Vec::new();
        }
        let mut deliveries = Vec::new();
        for (position, (heartbeat, due)) in heartbeats.iter().zip(&mut self.0).enumerate() {
            // A reload may have made the interval shorter.
            *due = (*due).min(now + heartbeat.interval);
            if *due > now {
                continue;
            }
            // In step with the interval, however evaluations fall; what was missed stays missed.
            *due = *due + heartbeat.interval;
            if *due <= now {
                *due = now + heartbeat.interval;
            }
            deliveries.push(delivery(position, groups.len(), now));
        }
        deliveries
    }
}

fn delivery(position: usize, groups: usize, now: Timestamp) -> Delivery {
    let hook = HookId::heartbeat(position);
    let body = json!({"status": "alive", "at": now.rfc3339(), "ruleGroups": groups});
    Delivery {
        id: format!("beat_{position}_{}", now.millis()),
        order: hook.to_string(),
        hook,
        body: Arc::from(body.to_string()),
        decided_at: now,
        sending: Sending::Real,
    }
}
