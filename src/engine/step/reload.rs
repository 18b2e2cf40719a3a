//! A new configuration: what is the same goes on, what is gone ends, what is new begins.

use std::sync::Arc;

use super::super::releases::Releases;
use super::super::snapshot::TargetStatus;
use super::super::{Action, Settings, groups, memory};
use super::{Engine, RESEND_DELAY, context, dispatcher, make_room, read_slos, recent};
use crate::model::Timestamp;
use crate::notice::Resend;
use crate::release::Rollbacks;
use crate::rules;

impl Engine {
    pub(super) fn reload(&mut self, settings: Settings, now: Timestamp) -> Vec<Action> {
        let old = std::mem::take(&mut self.groups);
        let (groups, removed) = groups::schedule(
            &settings.rules,
            &groups::defaults(&settings),
            &settings.rollbacks,
            old,
            now,
        );
        for mut scheduled in removed {
            scheduled.group.end(now, &mut self.store);
            self.rows.extend(memory::end(&scheduled));
        }
        self.groups = groups;
        self.reloads += 1;
        let is_as_before = settings.store == self.settings.store
            && settings.series_room == self.settings.series_room
            && settings.targets == self.settings.targets;
        if !is_as_before {
            self.store.limit(settings.store.clone());
            make_room(&mut self.store, &settings);
        }
        self.store.watch(rules::watches(&settings.rules));
        let mut rollbacks = Rollbacks::new(settings.rollbacks.clone());
        rollbacks.adopt(std::mem::replace(&mut self.rollbacks, Rollbacks::new(Vec::new())));
        self.rollbacks = rollbacks;
        let mut new_dispatcher = dispatcher(&settings);
        std::mem::swap(&mut new_dispatcher, &mut self.dispatcher);
        self.dispatcher.adopt(now, new_dispatcher);
        let mut resend = Resend::new(RESEND_DELAY, settings.external_labels.clone());
        std::mem::swap(&mut resend, &mut self.resend);
        self.resend.adopt(resend);
        let old_recent = std::mem::replace(&mut self.recent, recent(&settings));
        self.recent.adopt(old_recent);
        let mut before = std::mem::take(&mut self.targets);
        for target in &settings.targets {
            let mut status = TargetStatus::new(Arc::clone(target));
            if let Some(old) = before.remove(&target.id) {
                status = TargetStatus { target: status.target, ..old };
            }
            self.targets.insert(target.id.clone(), status);
        }
        let mut releases = Releases::new(&settings.releases);
        releases.adopt(std::mem::take(&mut self.releases));
        self.releases = releases;
        self.slos = read_slos(&settings, &self.store, now);
        self.context = context(&settings);
        self.settings = settings;
        self.unseen = None;
        self.sampled_before.push(std::mem::take(&mut self.sampled));
        Vec::new()
    }
}
