//! Groups that are evaluated aside: out as a job, back as an event.

use std::time::Duration;

use super::super::Action;
use super::super::aside::{Done, Job, Ticket};
use super::Engine;
use crate::model::Timestamp;

impl Engine {
    /// Takes the evaluation of a group that is due out of here. Whoever takes it brings it back as
    /// [`super::super::Event::Evaluated`].
    pub fn set_aside(&mut self, position: usize, now: Timestamp) -> Option<Job> {
        let reloads = self.reloads;
        let scheduled = self.groups.get_mut(position).filter(|scheduled| !scheduled.is_away)?;
        scheduled.is_away = true;
        let ticket = Ticket { position, slot: scheduled.take_slot(now), reloads };
        let (group, store) = (scheduled.group.clone(), self.store.clone());
        Some(Job { ticket, group, store, context: self.context.clone() })
    }

    /// How long a group's last evaluation took, as the caller measured it.
    pub fn last_took(&self, position: usize) -> Duration {
        self.groups.get(position).map(|scheduled| scheduled.took).unwrap_or_default()
    }

    /// Heartbeats follow an evaluation, wherever it was.
    pub(super) fn and_beats(&mut self, mut actions: Vec<Action>, now: Timestamp) -> Vec<Action> {
        let beats = self.pulse.beat(now, &self.settings.heartbeats, &self.groups);
        actions.extend(beats.into_iter().map(Action::Deliver));
        actions
    }

    /// Whether what comes back belongs to a group that is here still: none does after a reload.
    pub fn awaits(&self, done: &Done) -> bool {
        done.ticket.reloads == self.reloads
    }

    pub(super) fn evaluated_aside(&mut self, done: Done, now: Timestamp) -> Vec<Action> {
        let is_awaited = self.awaits(&done);
        let Done { ticket: Ticket { position, slot, .. }, group, evaluation, written, refused } =
            done;
        let Some(scheduled) = self.groups.get_mut(position).filter(|_| is_awaited) else {
            return Vec::new();
        };
        scheduled.is_away = false;
        scheduled.group = group;
        self.refused += refused;
        for one in written {
            // A refusal is counted.
            let _counted = self.store.append(&one.labels, one.sample);
        }
        self.judge(position, slot, evaluation, now)
    }
}
