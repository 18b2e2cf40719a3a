//! What others say fires: taken in, offered to the rollbacks, and answered.

use std::sync::Arc;

use super::super::Action;
use super::super::outside::{self, Post, RollbackRuling, Ruling};
use super::super::outward::is_linked_here;
use super::{Asking, Engine};
use crate::model::Timestamp;
use crate::notice;
use crate::release::{Decision, Rollbacks};

impl Engine {
    /// What is decided about alerts from outside, now that they were handled.
    pub fn rulings(&self, alerts: &[notice::Alert], now: Timestamp) -> Vec<Ruling> {
        let firing = self.firing(now);
        alerts.iter().map(|alert| self.ruling(alert, &firing, now)).collect()
    }

    fn ruling(&self, alert: &notice::Alert, own: &[notice::Alert], now: Timestamp) -> Ruling {
        let said = self.rollbacks.said(alert);
        let passed_over = outside::passed_over(alert, self.is_echo(alert, own), !said.is_empty());
        let said = said.into_iter().filter(|_| passed_over.is_none());
        let rollbacks = said.map(|(rollback, verdict)| {
            let is_its = |decision: &&Arc<Decision>| {
                decision.rollback == rollback && decision.incident == alert.incident
            };
            let decision = self.decisions.iter().find(is_its);
            RollbackRuling {
                rollback: rollback.to_owned(),
                verdict,
                is_new: decision.is_some_and(|decision| decision.at == now),
                decision: decision.map(|one| (one.id.clone(), one.report.why.clone())),
            }
        });
        let rollbacks = rollbacks.collect();
        Ruling { alert: alert.clone(), passed_over, rollbacks }
    }

    /// Whether an alert is one of ours that comes back by way of an Alertmanager.
    fn is_echo(&self, alert: &notice::Alert, own: &[notice::Alert]) -> bool {
        is_linked_here(&alert.generator_url, &self.settings)
            || own.iter().any(|own| own.labels == alert.labels)
    }

    pub(super) fn told(&mut self, post: Post, now: Timestamp) -> Vec<Action> {
        let own = self.firing(now);
        for alert in post.alerts {
            if !alert.is_firing {
                self.outside.ends(&alert.incident);
                self.rollbacks.resolved(&alert.incident);
            } else if !self.is_echo(&alert, &own) {
                self.outside.fires(now, alert, &post.said_by);
            }
        }
        self.ask_for_outside(now)
    }

    /// Offers what others say fires to the rollbacks. For a stable target it speaks against it.
    pub(super) fn ask_for_outside(&mut self, now: Timestamp) -> Vec<Action> {
        let told = self.outside.firing(now);
        let beside: Vec<notice::Alert> = told.iter().map(|(alert, _)| alert.clone()).collect();
        let each = told.iter();
        each.flat_map(|(alert, said_by)| {
            let said_by = Some(said_by.as_str());
            let asking = Asking { consider: Rollbacks::consider, breach: now, said_by };
            self.offer(asking, alert, &beside, now)
        })
        .collect()
    }
}
