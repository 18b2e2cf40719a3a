//! What the engine works by.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Labels;
use crate::notice::{Alertmanager, Heartbeat, Receiver, Route};
use crate::probe::{Calendar, Target};
use crate::release::{Release, Rollback};
use crate::rules::RuleFile;
use crate::slo::Slo;

/// The engine's part of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is probed.
    pub targets: Vec<Arc<Target>>,
    /// When providers are in planned maintenance.
    pub calendar: Calendar,
    /// Rule files in order.
    pub rules: Vec<RuleFile>,
    /// The interval of groups that name none.
    pub evaluation_interval: Duration,
    /// How far in the past groups read and write that name no offset.
    pub rule_query_offset: Duration,
    /// Labels of every alert that leaves.
    pub external_labels: Labels,
    /// Where people reach bellwether.
    pub external_url: String,
    /// Who can be told.
    pub receivers: Vec<Receiver>,
    /// Who is told what; nobody where absent.
    pub route: Option<Route>,
    /// Told everything.
    pub alertmanagers: Vec<Alertmanager>,
    /// Told that rules are judged.
    pub heartbeats: Vec<Heartbeat>,
    /// What may be rolled back.
    pub rollbacks: Vec<Rollback>,
    /// What moves stage by stage; each has a rollback of its name.
    pub releases: Vec<Release>,
    /// Objectives; their rules are among [`Self::rules`].
    pub slos: Vec<Arc<Slo>>,
    /// The sample store's limits; fixed at the start.
    pub store: crate::series::Settings,
    /// How many series there may be beside those that are there at a start and at a reload; where absent,
    /// the store's own bound holds for all of them.
    pub series_room: Option<usize>,
}
