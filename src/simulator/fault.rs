//! Everything that the simulator can do wrong, or oddly.
//!
//! The last six are oddities of healthy providers: a prober that calls them failures is wrong. What
//! speaks of streams has a nearest thing in a whole answer, named at each variant; where there is
//! none, the whole answer is healthy. So is a page under what only a model can do.

use std::time::Duration;

use super::Share;

/// One way for an answer to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An HTTP status from 400 to 599 with the dialect's error body.
    Http {
        /// The status.
        status: u16,
        /// The wait that a 429 or 503 hints at; a 429 without one hints at a second.
        retry_after: Option<Duration>,
    },
    /// The account is out of credit: waiting does not help.
    QuotaExhausted,
    /// An error frame inside a 200. Whole: an error body inside a 200.
    OverloadedMidStream,
    /// The body ends in good order, but without terminal evidence. Whole: fewer bytes than announced.
    Truncated,
    /// The connection is reset mid-answer.
    Reset,
    /// Content, and then silence.
    Stall,
    /// Keep-alives without end and never content. Whole: blank lines without end.
    PingsOnly,
    /// Headers, and then silence.
    NeverStarts,
    /// The connection stands, and nothing ever comes.
    NoHeaders,
    /// A web page, as a login wall or firewall sends it.
    Html200,
    /// A whole JSON answer where a stream was asked for. Whole: healthy.
    JsonOnStream,
    /// A frame that does not parse. Whole: a body that does not parse.
    MalformedJson,
    /// JSON in which a required field has the wrong type.
    SchemaMismatch,
    /// Complete, with nothing in it.
    EmptyContent,
    /// Fluent, and not what was asked for.
    WrongAnswer,
    /// The model declines. Gemini has no refusal of its own: its filter cuts the answer.
    Refusal,
    /// The provider's filter cuts the answer. Messages has no filter of its own: a refusal there.
    ContentFilter,
    /// The answer ends at the limit before it says what was asked for.
    MaxTokens,
    /// Another model answers.
    WrongModel,
    /// No usage although it was asked for.
    UsageMissing,
    /// An error inside a 200 stream, as plain JSON lines that are no frame. Whole: as
    /// `overloaded_mid_stream`.
    UnprefixedError,
    /// Oddity: the reason for the end is told early, and content follows it. Responses and whole
    /// answers: healthy.
    EarlyFinish,
    /// Oddity: no `[DONE]` after the finish reason. Only chat completions, Azure's too, have one:
    /// elsewhere healthy.
    NoDone,
    /// Oddity: the body stays open after the end was told. Whole: healthy.
    LingeringSocket,
    /// Oddity: frames whose lines end with carriage return and line feed. Whole: healthy.
    Crlf,
    /// Oddity: comments and keep-alives before the first content. Whole: healthy.
    Comments,
    /// Oddity: usage on a chunk that also has choices. Only chat completions, Azure's too, part
    /// them: elsewhere healthy.
    UsageWithChoices,
}

/// The faults that carry nothing, with their names in a script.
pub(super) const PLAIN: [(&str, Fault); 26] = [
    ("quota_exhausted", Fault::QuotaExhausted),
    ("overloaded_mid_stream", Fault::OverloadedMidStream),
    ("truncated", Fault::Truncated),
    ("reset", Fault::Reset),
    ("stall", Fault::Stall),
    ("pings_only", Fault::PingsOnly),
    ("never_starts", Fault::NeverStarts),
    ("no_headers", Fault::NoHeaders),
    ("html_200", Fault::Html200),
    ("json_on_stream", Fault::JsonOnStream),
    ("malformed_json", Fault::MalformedJson),
    ("schema_mismatch", Fault::SchemaMismatch),
    ("empty_content", Fault::EmptyContent),
    ("wrong_answer", Fault::WrongAnswer),
    ("refusal", Fault::Refusal),
    ("content_filter", Fault::ContentFilter),
    ("max_tokens", Fault::MaxTokens),
    ("wrong_model", Fault::WrongModel),
    ("usage_missing", Fault::UsageMissing),
    ("unprefixed_error", Fault::UnprefixedError),
    ("early_finish", Fault::EarlyFinish),
    ("no_done", Fault::NoDone),
    ("lingering_socket", Fault::LingeringSocket),
    ("crlf", Fault::Crlf),
    ("comments", Fault::Comments),
    ("usage_with_choices", Fault::UsageWithChoices),
];

impl Fault {
    /// The name in a script: `http` for every status.
    pub fn kind(self) -> &'static str {
        PLAIN.iter().find(|(_, fault)| *fault == self).map_or("http", |(name, _)| name)
    }

    /// The name in the counts: `http_503` for a status.
    pub fn counted_as(self) -> String {
        match self {
            Self::Http { status, .. } => format!("http_{status}"),
            other => other.kind().to_owned(),
        }
    }
}

/// A fault and how often it strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Injection {
    /// What goes wrong.
    pub fault: Fault,
    /// In what share of the answers.
    pub share: Share,
    /// After how many tokens, where the fault strikes mid-answer; half of them where nothing is
    /// said, and 0 strikes before any content.
    pub after_tokens: Option<u32>,
}
