//! What a configuration file says, as types.

use std::sync::Arc;
use std::time::Duration;

use super::releases::Release;
use crate::access::Token;
use crate::model::{Labels, Network, Place};
use crate::notice::{Alertmanager, Heartbeat, Receiver, Route};
use crate::probe::{Budget, Calendar, Detail, Target};
use crate::provider::SharedProvider;
use crate::release::Rollback;
use crate::routing;
use crate::slo::Slo;

/// A configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Config {
    /// `global:`
    pub global: Global,
    /// `storage:`
    pub storage: Storage,
    /// `providers:` in the order written.
    pub providers: Vec<SharedProvider>,
    /// `providers: maintenance:`
    pub calendar: Calendar,
    /// `probes:` in the order written.
    pub targets: Vec<Arc<Target>>,
    /// `rule_files:`, not yet expanded.
    pub rule_files: Vec<Pattern>,
    /// `receivers:`
    pub receivers: Vec<Receiver>,
    /// `route:`; always there where receivers are.
    pub route: Option<Route>,
    /// `alertmanagers:`, one for each target of their `static_configs`.
    pub alertmanagers: Vec<Alertmanager>,
    /// `heartbeats:`
    pub heartbeats: Vec<Heartbeat>,
    /// `rollbacks:`
    pub rollbacks: Vec<Rollback>,
    /// `releases:` in the order written.
    pub releases: Vec<Release>,
    /// `routes:` in the order written.
    pub routes: Vec<Arc<routing::Route>>,
    /// `router:`
    pub admission: routing::Admission,
    /// `slos:` in the order written.
    pub slos: Vec<Slo>,
    /// `web: tokens:`
    pub tokens: Vec<Token>,
}

/// `global:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// The cadence of probes that name none; 60 s by default.
    pub probe_interval: Duration,
    /// The cadence of rule groups that name none; 15 s by default.
    pub evaluation_interval: Duration,
    /// How far in the past rule groups read that say nothing of it; 0 by default.
    pub rule_query_offset: Duration,
    /// How much is told of each target in metrics; everything by default.
    pub detail: Detail,
    /// What all probes together may cost; without limit by default.
    pub probe_budget: Budget,
    /// How often the registry is sampled; 15 s by default.
    pub sample_interval: Duration,
    /// How often the series that a rollback hangs on are sampled; 1 s by default.
    pub rollback_sample_interval: Duration,
    /// Labels that every alert and every series sent elsewhere carries.
    pub external_labels: Labels,
    /// Under which URL people reach this process, for links in notices; without a final slash.
    pub external_url: Option<String>,
    /// The label `job` of the samples; `bellwether` by default.
    pub job: String,
    /// The label `instance` of the samples; the listen address where nothing is written.
    pub instance: Option<String>,
    /// What is asked, while a target cannot be reached, to tell a broken network of ours from broken
    /// providers.
    pub reference_url: Option<String>,
    /// Private networks that the names of receivers and rollbacks may lead to; none by default.
    pub allowed_networks: Vec<Network>,
}

/// `storage:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// How long samples are kept; 24 h by default.
    pub retention: Duration,
    /// How many bytes they may take on disk; 1 GB by default.
    pub size_max: u64,
    /// How many series there may be; where absent, as many as the configuration leads to and some more.
    pub series_max: Option<usize>,
}

/// An entry of `rule_files:`: a path, perhaps with `*`, `?` or `[…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Where it is written.
    pub place: Place,
    /// As it is written.
    pub text: String,
}
