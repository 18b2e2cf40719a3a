//! What can go wrong: one closed list, shared by probes, router, metrics and rules.
//!
//! One outcome has exactly one error type, and the sum over types is the attempts. When several
//! apply: transport before HTTP status before error frame before truncation before schema before
//! emptiness before content before the warnings. An error's inner type beats the HTTP status.
//! A 429 of our own key is neither good nor bad: it says that our key hit a limit, so it leaves the
//! denominator, and a rule of its own watches how much was left out.

/// What came of an attempt, as the label `error_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorType {
    /// It succeeded.
    None,
    /// The name did not resolve.
    Dns,
    /// Refused or unreachable.
    Connect,
    /// No connection in time.
    ConnectTimeout,
    /// Handshake or certificate.
    Tls,
    /// The connection broke after it stood.
    ConnectionReset,
    /// No first content in time.
    TtftTimeout,
    /// The whole deadline passed.
    TotalTimeout,
    /// Content began and then stopped coming, or only keep-alives came.
    StalledStream,
    /// The stream ended without terminal evidence.
    TruncatedStream,
    /// An error frame inside a 200, of no finer type.
    StreamError,
    /// 400 or 422: our request is wrong.
    Http400,
    /// 401: our key is wrong.
    Http401,
    /// 403: our key may not.
    Http403,
    /// 404: no such model or path.
    Http404,
    /// 413: our request is too large.
    Http413,
    /// A 429 of our own key.
    RateLimited,
    /// Quota, credit or spend cap: waiting does not help.
    QuotaExhausted,
    /// The provider has no capacity: 529, 503 overloaded, a capacity 429.
    Overloaded,
    /// Another 5xx.
    ServerError,
    /// HTML, or JSON where a stream was asked for.
    WrongContentType,
    /// A frame or body that does not parse.
    MalformedJson,
    /// It parses, but a required field is missing or of the wrong type.
    SchemaMismatch,
    /// Complete, with nothing in it.
    EmptyContent,
    /// The answer lacks what was asked for.
    ContentCheckFailed,
    /// The provider's filter cut a harmless prompt.
    ContentFiltered,
    /// The model refused a harmless prompt.
    Refusal,
    /// The answer ended at our own limit before it could be checked.
    MaxTokensReached,
    /// Another model answered.
    ModelMismatch,
    /// Usage was asked for and none came.
    UsageMissing,
    /// Shutdown or reload ended the attempt.
    Cancelled,
    /// Bellwether's own fault.
    Internal,
    /// Any other status.
    Other,
}

/// Whose fault an error type is, until something better is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribution {
    /// Nobody's: it succeeded.
    Nobody,
    /// The provider's.
    Provider,
    /// Our own: key, quota, configuration, prober.
    Own,
    /// The network between; ours until shown otherwise.
    Ambiguous,
}

/// What an outcome counts as for an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SloClass {
    /// Counts for.
    Good,
    /// Counts against.
    Bad,
    /// Leaves the denominator.
    Excluded,
}

impl SloClass {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Good, Self::Bad, Self::Excluded];

    /// The value of the label `slo`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Excluded => "excluded",
        }
    }
}

/// Whether a stream broke before or after its first content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamPhase {
    /// Nothing of the answer had come.
    BeforeContent,
    /// Part of the answer had come.
    AfterContent,
}

impl StreamPhase {
    /// Both.
    pub const ALL: [Self; 2] = [Self::BeforeContent, Self::AfterContent];

    /// The value of the label `phase`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeContent => "before_content",
            Self::AfterContent => "after_content",
        }
    }
}

impl ErrorType {
    /// Every type, in the order of the documentation.
    pub const ALL: [Self; 33] = [
        Self::None,
        Self::Dns,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Tls,
        Self::ConnectionReset,
        Self::TtftTimeout,
        Self::TotalTimeout,
        Self::StalledStream,
        Self::TruncatedStream,
        Self::StreamError,
        Self::Http400,
        Self::Http401,
        Self::Http403,
        Self::Http404,
        Self::Http413,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::Overloaded,
        Self::ServerError,
        Self::WrongContentType,
        Self::MalformedJson,
        Self::SchemaMismatch,
        Self::EmptyContent,
        Self::ContentCheckFailed,
        Self::ContentFiltered,
        Self::Refusal,
        Self::MaxTokensReached,
        Self::ModelMismatch,
        Self::UsageMissing,
        Self::Cancelled,
        Self::Internal,
        Self::Other,
    ];

    /// The value of the label `error_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::ConnectionReset => "connection_reset",
            Self::TtftTimeout => "ttft_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::StalledStream => "stalled_stream",
            Self::TruncatedStream => "truncated_stream",
            Self::StreamError => "stream_error",
            Self::Http400 => "http_400",
            Self::Http401 => "http_401",
            Self::Http403 => "http_403",
            Self::Http404 => "http_404",
            Self::Http413 => "http_413",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Overloaded => "overloaded",
            Self::ServerError => "server_error",
            Self::WrongContentType => "wrong_content_type",
            Self::MalformedJson => "malformed_json",
            Self::SchemaMismatch => "schema_mismatch",
            Self::EmptyContent => "empty_content",
            Self::ContentCheckFailed => "content_check_failed",
            Self::ContentFiltered => "content_filtered",
            Self::Refusal => "refusal",
            Self::MaxTokensReached => "max_tokens_reached",
            Self::ModelMismatch => "model_mismatch",
            Self::UsageMissing => "usage_missing",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
            Self::Other => "_OTHER",
        }
    }

    /// Whose fault it is.
    pub fn attribution(self) -> Attribution {
        match self {
            Self::None => Attribution::Nobody,
            Self::Dns | Self::Connect | Self::ConnectTimeout => Attribution::Ambiguous,
            Self::Http400
            | Self::Http401
            | Self::Http403
            | Self::Http404
            | Self::Http413
            | Self::RateLimited
            | Self::QuotaExhausted
            | Self::MaxTokensReached
            | Self::Cancelled
            | Self::Internal => Attribution::Own,
            Self::Tls
            | Self::ConnectionReset
            | Self::TtftTimeout
            | Self::TotalTimeout
            | Self::StalledStream
            | Self::TruncatedStream
            | Self::StreamError
            | Self::Overloaded
            | Self::ServerError
            | Self::WrongContentType
            | Self::MalformedJson
            | Self::SchemaMismatch
            | Self::EmptyContent
            | Self::ContentCheckFailed
            | Self::ContentFiltered
            | Self::Refusal
            | Self::ModelMismatch
            | Self::UsageMissing
            | Self::Other => Attribution::Provider,
        }
    }

    /// What it counts as, unless the configuration says otherwise. The warnings (`model_mismatch`,
    /// `usage_missing`) are good: the user was served, and rules of their own watch them.
    pub fn class(self) -> SloClass {
        match (self, self.attribution()) {
            (Self::ModelMismatch | Self::UsageMissing, _) | (_, Attribution::Nobody) => {
                SloClass::Good
            }
            (_, Attribution::Provider | Attribution::Ambiguous) => SloClass::Bad,
            (_, Attribution::Own) => SloClass::Excluded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_type_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> =
            ErrorType::ALL.iter().map(|error| error.as_str()).collect();
        assert_eq!(names.len(), ErrorType::ALL.len());
    }

    #[test]
    fn a_rate_limited_key_is_neither_good_nor_bad() {
        assert_eq!(ErrorType::RateLimited.class(), SloClass::Excluded);
        assert_eq!(ErrorType::Overloaded.class(), SloClass::Bad);
        assert_eq!(ErrorType::UsageMissing.class(), SloClass::Good);
    }
}
