//! What the simulator plays: how fast it answers, and what goes wrong from when on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Injection;
use super::written::WrittenScript;

/// A part of all answers, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(f64);

/// A number that is no share.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("share `{0}` is not from 0 to 1")]
pub struct ShareError(f64);

impl Share {
    /// None of them.
    pub const NONE: Self = Self(0.0);
    /// All of them.
    pub const ALL: Self = Self(1.0);

    /// A share; not-a-number is none.
    pub fn new(part: f64) -> Result<Self, ShareError> {
        if (0.0..=1.0).contains(&part) { Ok(Self(part)) } else { Err(ShareError(part)) }
    }

    /// The part, from 0 to 1.
    pub fn part(self) -> f64 {
        self.0
    }
}

/// The whole play. The default is healthy, fast, and asks for no key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenScript", into = "WrittenScript")]
pub struct Script {
    /// The key that is demanded, where one is. It guards nothing, so it is no secret: the script is
    /// handed back with it.
    pub key: Option<String>,
    /// The models that exist; every model does where the list is empty.
    pub models: Vec<String>,
    /// What holds from when on, by ascending time. Before the first, the default behavior holds.
    pub phases: Vec<Phase>,
}

impl Script {
    /// A play of one act.
    pub fn always(behavior: Behavior) -> Self {
        Self { phases: vec![Phase { after: Duration::ZERO, behavior }], ..Self::default() }
    }

    /// What holds, this long after the script began.
    pub fn behavior(&self, elapsed: Duration) -> Behavior {
        let begun = self.phases.iter().rev().find(|phase| phase.after <= elapsed);
        begun.map_or_else(Behavior::default, |phase| phase.behavior.clone())
    }

    /// Whether a model exists.
    pub fn knows(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|known| known == model)
    }
}

/// A behavior and when it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// How long after the script began.
    pub after: Duration,
    /// What holds from then on.
    pub behavior: Behavior,
}

/// How questions are answered. Times count from the arrival of the question.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// When a stream's headers go out.
    pub headers: Duration,
    /// When the first token goes out; not before the headers.
    pub ttft: Duration,
    /// The time from one token to the next.
    pub gap: Duration,
    /// The time from one keep-alive to the next, where keep-alives are sent.
    pub keepalive: Duration,
    /// The answer's length, cut down to the limit in the question.
    pub tokens: u32,
    /// By what part of itself each time may be longer or shorter, evenly spread.
    pub jitter: Share,
    /// Answers that are slow but sound.
    pub slow: Slow,
    /// What goes wrong; the shares add up to at most 1.
    pub faults: Vec<Injection>,
}

impl Default for Behavior {
    fn default() -> Self {
        Self {
            headers: Duration::ZERO,
            ttft: Duration::ZERO,
            gap: Duration::ZERO,
            keepalive: Duration::from_secs(1),
            tokens: 8,
            jitter: Share::NONE,
            slow: Slow { share: Share::NONE, ttft: Duration::ZERO },
            faults: Vec::new(),
        }
    }
}

/// A tail of slow answers: what moves the 99th percentile and nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slow {
    /// How many of the answers are slow.
    pub share: Share,
    /// When their first token goes out.
    pub ttft: Duration,
}
