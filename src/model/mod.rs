//! The words that every other room uses: time, labels, samples, money, secrets, mistakes.
//!
//! Nothing here decides anything. Each type is parsed once, at the edge, and never checked again.

pub mod any_number;
mod duration;
mod http;
mod id;
mod interval;
mod labels;
mod matcher;
mod mistake;
mod money;
mod network;
mod sample;
mod secret;
mod state;
pub mod suggest;
mod time;

pub use duration::{DurationError, format_duration, parse_duration};
pub use http::{Authorization, BasicAuth, HeaderValue, HttpSettings, OAuth2, TlsSettings};
pub use id::{ProviderId, RouteId, TargetId};
pub use interval::{TimeInterval, TimeRule};
pub use labels::{Label, Labels};
pub use matcher::{MatchOp, Matcher, MatcherError, RegexRoom};
pub use mistake::{Mistake, Place};
pub use money::Money;
pub use network::Network;
pub use sample::{
    HISTOGRAM_BITS, STALE_BITS, Sample, histogram_marker, is_histogram, is_stale, stale_marker,
};
pub use secret::{Secret, SecretSource, UrlSource};
pub use state::{JournalStanding, StateRow, StateTable};
pub use time::Timestamp;
