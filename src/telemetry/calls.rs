//! What became of calls from outside.

use super::recorder::Telemetry;

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallRefused {
    /// Nobody is known, or credentials are wrong.
    Unauthenticated,
    /// A token is right and not for this.
    NotAllowed,
    /// It can't be trusted, whoever it is: another origin, a proxy, a foreign host.
    Suspicious,
}

impl CallRefused {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Unauthenticated, Self::NotAllowed, Self::Suspicious];

    /// The value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::NotAllowed => "not_allowed",
            Self::Suspicious => "suspicious",
        }
    }
}

/// What became of a post from an Alertmanager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostResult {
    /// Its alerts were looked at.
    Accepted,
    /// It was not understood, or too large.
    Invalid,
    /// Nobody had time for it: Alertmanager says it again.
    Unavailable,
}

impl PostResult {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Invalid, Self::Unavailable];

    /// The value of the label `result`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Telemetry {
    /// A call was refused.
    pub fn call_refused(&self, refused: CallRefused) {
        self.process.http_refused.with_label_values(&[refused.as_str()]).inc();
    }

    /// A post from an Alertmanager was answered.
    pub fn hook_posted(&self, result: PostResult) {
        self.process.hook_posts.with_label_values(&[result.as_str()]).inc();
    }
}
