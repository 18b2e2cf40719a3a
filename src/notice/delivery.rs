//! What is handed to the notifier: a message and where it goes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Alertmanager, BeatMethod, Guard, Heartbeat, Integration, PagerDuty, Policy, Receiver, Slack,
    Webhook,
};
use crate::model::{HttpSettings, SecretSource, Timestamp, UrlSource};

/// The name of a place that messages go to, as the label `hook`: their number is bounded by the
/// configuration, and none holds a URL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HookId(Arc<str>);

impl HookId {
    /// A receiver's webhook, by its position from 0.
    pub fn webhook(receiver: &str, position: usize) -> Self {
        Self::of_receiver("receiver", receiver, position)
    }

    /// One of a receiver's integrations, by its kind and its position from 0 among these.
    pub(super) fn of_receiver(kind: &str, receiver: &str, position: usize) -> Self {
        Self(Arc::from(format!("{kind}/{receiver}/{position}")))
    }

    /// A rollback's webhook.
    pub fn rollback(name: &str) -> Self {
        Self(Arc::from(format!("rollback/{name}")))
    }

    /// A heartbeat, by its position from 0.
    pub fn heartbeat(position: usize) -> Self {
        Self(Arc::from(format!("heartbeat/{position}")))
    }

    /// An Alertmanager, by its position from 0.
    pub fn alertmanager(position: usize) -> Self {
        Self(Arc::from(format!("alertmanager/{position}")))
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// Whether rollbacks go there.
    pub fn is_rollback(&self) -> bool {
        self.0.starts_with("rollback/")
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HookId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for HookId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.0)
    }
}

/// A place that messages go to; each has a queue of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name.
    pub hook: HookId,
    /// Where it is.
    pub url: UrlSource,
    /// For one attempt; zero leaves it to the notifier.
    pub timeout: Duration,
    /// What is added to a message on its way, and how answers are read.
    pub protocol: Protocol,
    /// Authorization, TLS, proxy.
    pub http: HttpSettings,
    /// How hard it is tried.
    pub policy: Policy,
    /// Which addresses it may have; `None` is any.
    pub guard: Option<Guard>,
}

/// What is added to a message on its way, and how answers are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Standard Webhooks' headers, with a signature by each secret there is.
    Webhook {
        /// What signs.
        signing_secrets: Vec<SecretSource>,
    },
    /// PagerDuty's Events API v2: the key belongs to the body.
    PagerDuty {
        /// The key.
        routing_key: SecretSource,
    },
    /// An incoming webhook of Slack, which says `ok` or what is wrong.
    Slack,
    /// Alertmanager's API v2, which knows alerts by their labels and needs no more.
    Alertmanager,
    /// A `GET` without a body: that it comes is all it says.
    Ping,
}

impl Endpoint {
    fn of_integration(hook: HookId, integration: &Integration) -> Self {
        match integration {
            Integration::Webhook(webhook) => Self::of_webhook(hook, webhook, Policy::Notice),
            Integration::PagerDuty(pagerduty) => Self::of_pagerduty(hook, pagerduty),
            Integration::Slack(slack) => Self::of_slack(hook, slack),
        }
    }

    fn of_pagerduty(hook: HookId, pagerduty: &PagerDuty) -> Self {
        Self {
            hook,
            url: pagerduty.url.clone(),
            timeout: pagerduty.timeout,
            protocol: Protocol::PagerDuty { routing_key: pagerduty.routing_key.clone() },
            http: pagerduty.http.clone(),
            policy: Policy::Notice,
            guard: None,
        }
    }

    fn of_slack(hook: HookId, slack: &Slack) -> Self {
        Self {
            hook,
            url: slack.url.clone(),
            timeout: slack.timeout,
            protocol: Protocol::Slack,
            http: slack.http.clone(),
            policy: Policy::Notice,
            guard: None,
        }
    }

    /// A webhook's.
    pub fn of_webhook(hook: HookId, webhook: &Webhook, policy: Policy) -> Self {
        Self {
            hook,
            url: webhook.url.clone(),
            timeout: webhook.timeout,
            protocol: Protocol::Webhook { signing_secrets: webhook.signing_secrets.clone() },
            http: webhook.http.clone(),
            policy,
            guard: None,
        }
    }

    /// A heartbeat's, by its position from 0. A late beat would lie, so each is tried once.
    fn of_heartbeat(position: usize, heartbeat: &Heartbeat) -> Self {
        Self {
            hook: HookId::heartbeat(position),
            url: heartbeat.url.clone(),
            timeout: heartbeat.timeout,
            protocol: match heartbeat.method {
                BeatMethod::Post => Protocol::Webhook { signing_secrets: Vec::new() },
                BeatMethod::Get => Protocol::Ping,
            },
            http: heartbeat.http.clone(),
            policy: Policy::Once,
            guard: None,
        }
    }

    /// An Alertmanager's, by its position from 0.
    pub fn of_alertmanager(position: usize, alertmanager: &Alertmanager) -> Self {
        Self {
            hook: HookId::alertmanager(position),
            url: UrlSource::Plain(format!("{}/api/v2/alerts", alertmanager.url)),
            timeout: alertmanager.timeout,
            protocol: Protocol::Alertmanager,
            http: alertmanager.http.clone(),
            policy: Policy::Once,
            guard: None,
        }
    }
}

/// Every place that a configuration names, for the notifier. Alertmanagers are reached wherever they
/// are: they live beside us, and what they are sent is no secret to them.
pub fn endpoints<'a>(
    receivers: &[Receiver],
    alertmanagers: &[Alertmanager],
    heartbeats: &[Heartbeat],
    rollbacks: impl IntoIterator<Item = (&'a str, &'a Webhook)>,
    guard: &Guard,
) -> Vec<Endpoint> {
    let hooks = receivers.iter().flat_map(Receiver::hooks);
    let told = hooks.map(|(hook, integration)| Endpoint::of_integration(hook, &integration));
    let rollbacks = rollbacks.into_iter().map(|(name, webhook)| {
        Endpoint::of_webhook(HookId::rollback(name), webhook, Policy::Rollback)
    });
    let alertmanagers = alertmanagers
        .iter()
        .enumerate()
        .map(|(position, alertmanager)| Endpoint::of_alertmanager(position, alertmanager));
    let heartbeats = heartbeats.iter().enumerate();
    let heartbeats = heartbeats.map(|(position, beat)| Endpoint::of_heartbeat(position, beat));
    let guarded = told
        .chain(rollbacks)
        .chain(heartbeats)
        .map(|endpoint| Endpoint { guard: Some(guard.clone()), ..endpoint });
    guarded.chain(alertmanagers).collect()
}

/// A message on its way: everything that is needed to send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where it goes.
    pub hook: HookId,
    /// The idempotency key, the same in every attempt: without dots.
    pub id: String,
    /// Messages of one order are delivered one after the other, so that no resolve overtakes what
    /// it resolves.
    pub order: String,
    /// JSON, without secrets.
    pub body: Arc<str>,
    /// When it was decided; how long it is worth trying counts from here.
    pub decided_at: Timestamp,
    /// Whether it really goes out.
    pub sending: Sending,
}

/// Whether a message really goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// It is sent.
    Real,
    /// It is prepared and signed, and what would have been sent is reported.
    Rehearsal,
}
