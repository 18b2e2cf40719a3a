//! Receivers and the routing tree, with Alertmanager's own field names and defaults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::HookId;
use crate::model::{HttpSettings, Matcher, SecretSource, TimeInterval, UrlSource};
use crate::template::Template;

/// A named receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// Everything that it is told by.
    pub integrations: Vec<Integration>,
}

impl Receiver {
    /// Its integrations under the names of their hooks, which are their positions among those of
    /// their kind: one of another kind that comes or goes changes none.
    pub fn hooks(&self) -> Vec<(HookId, Integration)> {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let named = self.integrations.iter().map(|integration| {
            let kind = integration.kind();
            let position = seen.entry(kind).or_default();
            *position += 1;
            (HookId::of_receiver(kind, &self.name, *position - 1), integration.clone())
        });
        named.collect()
    }
}

/// One way in which a receiver is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integration {
    /// An entry of `webhook_configs`.
    Webhook(Webhook),
    /// An entry of `pagerduty_configs`.
    PagerDuty(PagerDuty),
    /// An entry of `slack_configs`.
    Slack(Slack),
}

impl Integration {
    /// The first part of its hook's name.
    fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "receiver",
            Self::PagerDuty(_) => "pagerduty",
            Self::Slack(_) => "slack",
        }
    }

    /// Whether resolved alerts are sent.
    pub fn send_resolved(&self) -> bool {
        match self {
            Self::Webhook(webhook) => webhook.send_resolved,
            Self::PagerDuty(pagerduty) => pagerduty.send_resolved,
            Self::Slack(slack) => slack.send_resolved,
        }
    }

    /// At most this many alerts in one message; `None` is no limit of the configuration's.
    pub(super) fn alerts_max(&self) -> Option<usize> {
        match self {
            Self::Webhook(webhook) => Some(webhook.alerts_max).filter(|max| *max > 0),
            Self::PagerDuty(_) | Self::Slack(_) => None,
        }
    }
}

/// One entry of `pagerduty_configs`: PagerDuty's Events API v2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagerDuty {
    /// The integration's key; added to an event when it is sent, and on no disk.
    pub routing_key: SecretSource,
    /// Where to.
    pub url: UrlSource,
    /// Whether the end is told; true by default.
    pub send_resolved: bool,
    /// For one attempt.
    pub timeout: Duration,
    /// Authorization, TLS, proxy.
    pub http: HttpSettings,
    /// What an event says where it does not follow from its alerts.
    pub texts: PagerDutyTexts,
}

/// The fields of an event that the configuration may set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PagerDutyTexts {
    /// In place of the most severe alert's: a word that is mapped to one of PagerDuty's.
    pub severity: Option<Template>,
    /// In place of a line about the alerts.
    pub description: Option<Template>,
    /// In place of the label `target`, `provider` or `instance`.
    pub source: Option<Template>,
    /// In place of the label `model`.
    pub component: Option<Template>,
    /// In place of the label `provider`.
    pub group: Option<Template>,
    /// In place of the alert's name.
    pub class: Option<Template>,
    /// Beside what is told of the alerts.
    pub details: BTreeMap<String, Template>,
    /// Links beside those of the alerts.
    pub links: Vec<LinkTexts>,
    /// Images.
    pub images: Vec<ImageTexts>,
    /// `bellwether` by default.
    pub client: Option<Template>,
    /// `global.external_url` by default.
    pub client_url: Option<Template>,
}

/// One entry of `slack_configs`: an incoming webhook of Slack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slack {
    /// Where to; a secret, since it is all that is needed to post.
    pub url: UrlSource,
    /// Whether the end is told; false by default.
    pub send_resolved: bool,
    /// For one attempt.
    pub timeout: Duration,
    /// Authorization, TLS, proxy.
    pub http: HttpSettings,
    /// What a message says where it does not follow from its alerts.
    pub texts: SlackTexts,
}

/// The parts of a message that the configuration may set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlackTexts {
    /// In place of the webhook's own, where Slack still allows it.
    pub channel: Option<Template>,
    /// In place of the webhook's own name.
    pub username: Option<Template>,
    /// In place of the webhook's own icon, such as `:bell:`.
    pub icon_emoji: Option<Template>,
    /// The same, as an image.
    pub icon_url: Option<Template>,
    /// In place of that of the worst alert.
    pub color: Option<Template>,
    /// In place of a line about the alerts.
    pub title: Option<Template>,
    /// In place of `global.external_url`.
    pub title_link: Option<Template>,
    /// Before the alerts.
    pub text: Option<Template>,
    /// Titles and values before the labels that all alerts share.
    pub fields: Vec<(Template, Template)>,
}

/// A link with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkTexts {
    /// Where it leads.
    pub href: Template,
    /// What it says; the address where nothing is written.
    pub text: Option<Template>,
}

/// An image, perhaps with a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageTexts {
    /// Where it is.
    pub src: Template,
    /// Where it leads.
    pub href: Option<Template>,
    /// What it shows, in words.
    pub alt: Option<Template>,
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
    /// The body in place of Alertmanager's message: a template that has to make JSON.
    pub body: Option<Template>,
    /// For one attempt.
    pub timeout: Duration,
    /// The Standard Webhooks secrets (`whsec_…`) that sign it: several while one replaces another.
    pub signing_secrets: Vec<SecretSource>,
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
    /// Nobody is told while one of these holds. Not the children's, as in Alertmanager.
    pub mute_time_intervals: Vec<Arc<TimeInterval>>,
    /// Nobody is told while none of these holds, if there are any. Not the children's.
    pub active_time_intervals: Vec<Arc<TimeInterval>>,
    /// Children, asked in order; their unset fields are the parent's.
    pub routes: Vec<Route>,
}

/// Somebody who raises the alarm once nobody tells that rules are judged here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Where to.
    pub url: UrlSource,
    /// Between two beats; 1 m by default.
    pub interval: Duration,
    /// For one attempt; 10 s by default.
    pub timeout: Duration,
    /// How it is told; by a post unless the configuration says otherwise.
    pub method: BeatMethod,
    /// Authorization, TLS, proxy.
    pub http: HttpSettings,
}

/// How a heartbeat is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BeatMethod {
    /// A `POST` with a few words about what is alive.
    #[default]
    Post,
    /// A `GET` with nothing, for services that take no post.
    Get,
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
