//! The script as it is written: strict YAML (or JSON, which YAML contains), every field optional.
//!
//! A phase keeps what it does not write from the phase before it, so that an outage is one line and
//! its end (`faults: []`) another. Unknown fields are refused, since a fault that silently does not
//! happen makes a test that proves nothing.
//!
//! ```yaml
//! key: sk-demo               # demanded as a bearer token or x-api-key; none where it is missing
//! models: [small, large]     # others do not exist; all exist where it is missing
//! phases:
//!   - after: 0s              # since the script began
//!     headers: 20ms          # times count from the question
//!     ttft: 150ms
//!     gap: 10ms              # from token to token
//!     tokens: 12
//!     jitter: 0.1            # each time ±10 %
//!     slow: {share: 0.03, ttft: 2s}
//!   - after: 20s
//!     faults:
//!       - {kind: http, status: 429, retry_after: 2s, share: 0.2}
//!       - {kind: stall, after_tokens: 3, share: 0.1}
//!   - after: 60s
//!     faults: []
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::fault::PLAIN;
use super::{Behavior, Fault, Injection, Phase, Script, Share, Slow};
use crate::model::{Mistake, Place};

/// Longer answers, lists and times are no use to anybody, and would only cost memory.
const TOKENS_MAX: u32 = 10_000;
const LIST_MAX: usize = 1000;
const TIME_MAX: Duration = Duration::from_hours(24 * 365);

/// Reads a script. The first mistake is reported, with its place.
pub fn parse_script(file: &str, text: &str) -> Result<Script, Mistake> {
    serde_yaml::from_str(text).map_err(|error| {
        let at = |pick: fn(&serde_yaml::Location) -> usize| {
            error.location().map_or(1, |at| u32::try_from(pick(&at)).unwrap_or(u32::MAX).max(1))
        };
        let place = Place {
            file: Arc::from(file),
            line: at(serde_yaml::Location::line),
            column: at(serde_yaml::Location::column),
        };
        let message = error.to_string();
        // The place is told apart from the message.
        let message = message.split(" at line ").next().unwrap_or(&message);
        Mistake::new(place, message)
    })
}

/// A script as written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenScript {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    models: Vec<String>,
    phases: Vec<WrittenPhase>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPhase {
    after: Human,
    headers: Option<Human>,
    ttft: Option<Human>,
    gap: Option<Human>,
    keepalive: Option<Human>,
    tokens: Option<u32>,
    jitter: Option<Share>,
    slow: Option<WrittenSlow>,
    faults: Option<Vec<Injection>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSlow {
    share: Share,
    ttft: Human,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInjection {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<Share>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<Human>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_tokens: Option<u32>,
}

/// Why a script that parses cannot be played.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Unplayable {
    #[error("phase {number} begins after `{after}`, which is not later than the phase before it")]
    Order { number: usize, after: String },
    #[error("the shares of the faults of phase {number} add up to `{sum}`, which is above 1")]
    Shares { number: usize, sum: f64 },
    #[error("tokens `{0}` is not from 1 to 10000")]
    Tokens(u32),
    #[error("keepalive `0s` leaves no time between two keep-alives")]
    Keepalive,
    #[error("{count} {what} are more than 1000")]
    Many { what: &'static str, count: usize },
    #[error("fault kind `{0}` is not known: it is `http` or one of {names}", names = names())]
    Kind(String),
    #[error("a fault of kind `http` needs a `status` from 400 to 599")]
    Status,
    #[error("`status` and `retry_after` belong to the kind `http`, not `{0}`")]
    NotHttp(String),
}

fn names() -> String {
    PLAIN.map(|(name, _)| format!("`{name}`")).join(", ")
}

impl TryFrom<WrittenScript> for Script {
    type Error = Unplayable;

    fn try_from(written: WrittenScript) -> Result<Self, Unplayable> {
        bounded("models", written.models.len())?;
        bounded("phases", written.phases.len())?;
        let mut phases: Vec<Phase> = Vec::with_capacity(written.phases.len());
        for (index, phase) in written.phases.into_iter().enumerate() {
            let number = index + 1;
            let before = phases.last();
            if before.is_some_and(|before| before.after >= phase.after.0) {
                return Err(Unplayable::Order { number, after: phase.after.to_string() });
            }
            let mut behavior = before.map_or_else(Behavior::default, |it| it.behavior.clone());
            let after = phase.after.0;
            phase.write_over(&mut behavior)?;
            let sum: f64 = behavior.faults.iter().map(|it| it.share.part()).sum();
            // Ten times 0.1 is a little more than 1 in binary.
            if sum > 1.0 + 1e-9 {
                return Err(Unplayable::Shares { number, sum });
            }
            phases.push(Phase { after, behavior });
        }
        Ok(Self { key: written.key, models: written.models, phases })
    }
}

impl WrittenPhase {
    fn write_over(self, behavior: &mut Behavior) -> Result<(), Unplayable> {
        let times = [
            (self.headers, &mut behavior.headers),
            (self.ttft, &mut behavior.ttft),
            (self.gap, &mut behavior.gap),
            (self.keepalive, &mut behavior.keepalive),
        ];
        for (written, kept) in times {
            *kept = written.map_or(*kept, |time| time.0);
        }
        behavior.tokens = self.tokens.unwrap_or(behavior.tokens);
        behavior.jitter = self.jitter.unwrap_or(behavior.jitter);
        if let Some(slow) = self.slow {
            behavior.slow = Slow { share: slow.share, ttft: slow.ttft.0 };
        }
        behavior.faults = self.faults.unwrap_or_else(|| std::mem::take(&mut behavior.faults));
        bounded("faults", behavior.faults.len())?;
        if !(1..=TOKENS_MAX).contains(&behavior.tokens) {
            return Err(Unplayable::Tokens(behavior.tokens));
        }
        if behavior.keepalive.is_zero() {
            return Err(Unplayable::Keepalive);
        }
        Ok(())
    }
}

fn bounded(what: &'static str, count: usize) -> Result<(), Unplayable> {
    if count > LIST_MAX { Err(Unplayable::Many { what, count }) } else { Ok(()) }
}

impl From<Script> for WrittenScript {
    fn from(script: Script) -> Self {
        let phases = script.phases.into_iter().map(|Phase { after, behavior }| WrittenPhase {
            after: Human(after),
            headers: Some(Human(behavior.headers)),
            ttft: Some(Human(behavior.ttft)),
            gap: Some(Human(behavior.gap)),
            keepalive: Some(Human(behavior.keepalive)),
            tokens: Some(behavior.tokens),
            jitter: Some(behavior.jitter),
            slow: Some(WrittenSlow { share: behavior.slow.share, ttft: Human(behavior.slow.ttft) }),
            faults: Some(behavior.faults),
        });
        Self { key: script.key, models: script.models, phases: phases.collect() }
    }
}

impl TryFrom<WrittenInjection> for Injection {
    type Error = Unplayable;

    fn try_from(written: WrittenInjection) -> Result<Self, Unplayable> {
        let retry_after = written.retry_after.map(|time| time.0);
        let fault = if written.kind == "http" {
            let status = written.status.filter(|status| (400..=599).contains(status));
            Fault::Http { status: status.ok_or(Unplayable::Status)?, retry_after }
        } else {
            let known = PLAIN.iter().find(|(name, _)| *name == written.kind);
            let Some((_, fault)) = known else { return Err(Unplayable::Kind(written.kind)) };
            if written.status.is_some() || retry_after.is_some() {
                return Err(Unplayable::NotHttp(written.kind));
            }
            *fault
        };
        let share = written.share.unwrap_or(Share::ALL);
        Ok(Self { fault, share, after_tokens: written.after_tokens })
    }
}

impl Serialize for Injection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (status, retry_after) = match self.fault {
            Fault::Http { status, retry_after } => (Some(status), retry_after.map(Human)),
            _ => (None, None),
        };
        let kind = self.fault.kind().to_owned();
        let share = Some(self.share);
        WrittenInjection { kind, share, status, retry_after, after_tokens: self.after_tokens }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Injection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        WrittenInjection::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

/// A duration as people write it: `300ms`, `1m 30s`.
#[derive(Clone, Copy, Debug)]
struct Human(Duration);

impl fmt::Display for Human {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(formatter)
    }
}

impl Serialize for Human {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Human {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl Visitor<'_> for Reading {
            type Value = Human;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a duration of at most a year, such as `300ms` or `2s`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Human, E> {
                let time = humantime::parse_duration(text).ok().filter(|time| *time <= TIME_MAX);
                time.map(Human)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Reading)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.part())
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl Visitor<'_> for Reading {
            type Value = Share;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a share from 0 to 1")
            }

            fn visit_f64<E: serde::de::Error>(self, part: f64) -> Result<Share, E> {
                Share::new(part).map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, part: u64) -> Result<Share, E> {
                self.visit_f64(part as f64)
            }

            fn visit_i64<E: serde::de::Error>(self, part: i64) -> Result<Share, E> {
                self.visit_f64(part as f64)
            }
        }
        deserializer.deserialize_f64(Reading)
    }
}
