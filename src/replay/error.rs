//! Why nothing is played.

use reqwest::StatusCode;

use crate::archive::ArchiveError;
use crate::model::Timestamp;
use crate::upstream::ClientError;

/// Why history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A data directory is no use.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The files have no sample in them.
    #[error("the files hold no samples yet")]
    Empty,
    /// The time is the wrong way round.
    #[error("there is nothing between {from} and {to}: `--from` must be before `--to`")]
    Backward {
        /// Where it was to begin.
        from: Timestamp,
        /// Where it was to end.
        to: Timestamp,
    },
    /// The rules read no series, so that there is nothing to play.
    #[error("no rule reads a series: there is nothing to play")]
    NothingRead,
    /// There can be no client.
    #[error("`{server}` cannot be asked")]
    Client {
        /// Who.
        server: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// The server gave no answer, however often it was asked.
    #[error("`{server}` does not answer: {reason}")]
    Silent {
        /// Who.
        server: String,
        /// The innermost cause.
        reason: String,
    },
    /// The server said no.
    #[error("`{server}` answers {status}: {reason}")]
    Refused {
        /// Who.
        server: String,
        /// How.
        status: StatusCode,
        /// In its own words.
        reason: String,
    },
    /// The answer is none of Prometheus's API.
    #[error("`{0}` does not answer as a Prometheus does: name the address before `/api/v1`")]
    NotPrometheus(String),
}
