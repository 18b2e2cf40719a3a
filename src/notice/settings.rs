//! Receivers and the routing tree, with Alertmanager's own field names and defaults.

use std::time::Duration;

use crate::model::{HttpSettings, Matcher, SecretSource, UrlSource};

/// A named receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// `webhook_configs:`
    pub webhooks: Vec<Webhook>,
}

/// One entry of `webhook_configs`, or a rollback's webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where to.
    pub url: UrlSource,
    /// Whether resolved alerts are sent; true by default.
    pub send_resolved: bool,
    /// At most this many alerts in one message; 0 is no limit.
    pub alerts_max: usize,
    /// For one attempt.
    pub timeout: Duration,
    /// The Standard Webhooks secret (`whsec_…`) that signs it.
    pub signing_secret: Option<SecretSource>,
    /// Authorization, TLS, proxy.
    pub http: HttpSettings,
}

/// A node of the routing tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who is told.
    pub receiver: String,
    /// Which alerts it takes; none is all.
    pub matchers: Vec<Matcher>,
    /// Whether later siblings are asked too.
    pub goes_on: bool,
    /// Labels that make a group; `...` alone is every label.
    pub group_by: Vec<String>,
    /// Before the first notice of a group; 30 s by default.
    pub group_wait: Duration,
    /// Between notices of a group that changed; 5 m by default.
    pub group_interval: Duration,
    /// Between notices of a group that did not; 4 h by default.
    pub repeat_interval: Duration,
    /// Children, asked in order; their unset fields are the parent's.
    pub routes: Vec<Route>,
}

/// One Alertmanager that is sent every alert by its API v2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alertmanager {
    /// Scheme, host and path prefix, without a final slash.
    pub url: String,
    /// For one attempt; 10 s by default.
    pub timeout: Duration,
    /// Authorization, TLS, proxy.
    pub http: HttpSettings,
}
