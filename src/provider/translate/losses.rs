//! What does not survive, in one list.
//!
//! The code that tells a document in other words names what it loses from this list, and the list says
//! what becomes of it; `bellwether convert --table` prints the same list. A test has a document for each
//! row, and another holds that no field of a document vanishes without being named.

use super::Direction;

/// One thing that the other interface has no words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Between which two, in each of these.
    pub directions: &'static [Direction],
    /// In what kind of document it stands.
    pub within: Within,
    /// Its name: that of the field or of the type of a part; a value of the label `param`.
    pub name: &'static str,
    /// What becomes of it.
    pub fate: Fate,
    /// Where it stands and what the loss comes to, for a person.
    pub note: &'static str,
}

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Within {
    /// What the client asks.
    Request,
    /// What the provider answers, whole or as a stream.
    Answer,
    /// Why the provider refused.
    Error,
}

/// What becomes of something that has no words on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The request is refused, however lenient: without it another question would be asked.
    Refused,
    /// Strictly, the request is refused; leniently, it is left out and named.
    Strictness,
    /// It is told by the nearest word that there is, and named.
    Changed,
    /// It is left out and named.
    LeftOut,
}

impl Within {
    /// A word for a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
            Self::Error => "error",
        }
    }
}

impl Fate {
    /// A few words for a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Strictness => "strict: refused; lenient: left out",
            Self::Changed => "changed",
            Self::LeftOut => "left out",
        }
    }
}

impl Loss {
    /// The names of what can be left out of a request, or changed in it, each once: the values of the
    /// label `param`.
    pub fn parameters(direction: Direction) -> impl Iterator<Item = &'static str> {
        let rows = LOSSES.iter().filter(move |loss| {
            let is_passed_over = loss.fate != Fate::Refused;
            loss.is_of(direction) && loss.within == Within::Request && is_passed_over
        });
        rows.map(|loss| loss.name)
    }

    /// The names of what may stand in an answer and has no row of its own, each once: the values of the
    /// label `kind`.
    pub fn unknowns(direction: Direction) -> impl Iterator<Item = &'static str> {
        let rows = LOSSES.iter().filter(move |loss| {
            loss.is_of(direction) && loss.within == Within::Answer && loss.is_unknown()
        });
        rows.map(|loss| loss.name)
    }

    /// Whether it is a row for all that has none of its own.
    pub fn is_unknown(&self) -> bool {
        self.name.starts_with(OTHER)
    }

    /// Whether it is lost between these two.
    pub fn is_of(&self, direction: Direction) -> bool {
        self.directions.contains(&direction)
    }

    /// The row of a name; that of everything else where it has none of its own.
    pub(super) fn find(
        direction: Direction,
        within: Within,
        name: &str,
        others: &str,
    ) -> &'static Self {
        let mut rows = LOSSES.iter().filter(|loss| {
            loss.is_of(direction) && loss.within == within && loss.fate != Fate::Refused
        });
        let row = rows.clone().find(|loss| loss.name == name);
        row.or_else(|| rows.find(|loss| loss.name == others))
            .expect("each kind of document has a row for everything else")
    }
}

/// For a parameter of a request that has no row.
pub(super) const OTHER: &str = "other";
/// For a field inside of something else that has no row.
pub(super) const OTHER_FIELDS: &str = "other_fields";

/// For a reason why an answer ended that is not known here.
pub(super) const OTHER_REASONS: &str = "other_reasons";

/// Between which two.
type Between = &'static [Direction];

const fn request(directions: Between, name: &'static str, fate: Fate, note: &'static str) -> Loss {
    Loss { directions, within: Within::Request, name, fate, note }
}

const fn answer(directions: Between, name: &'static str, fate: Fate, note: &'static str) -> Loss {
    Loss { directions, within: Within::Answer, name, fate, note }
}

const fn error(directions: Between, name: &'static str, fate: Fate, note: &'static str) -> Loss {
    Loss { directions, within: Within::Error, name, fate, note }
}

const FROM_CHAT: [Direction; 3] =
    [Direction::ChatToMessages, Direction::ChatToGemini, Direction::ChatToResponses];
const FROM_MESSAGES: [Direction; 3] =
    [Direction::MessagesToChat, Direction::MessagesToGemini, Direction::MessagesToResponses];
const TO_GEMINI: [Direction; 2] = [Direction::ChatToGemini, Direction::MessagesToGemini];
const TO_RESPONSES: [Direction; 2] = [Direction::ChatToResponses, Direction::MessagesToResponses];

/// Everything that does not survive. A direction says who the client and the provider are, so an answer
/// and an error go the other way than their request.
pub const LOSSES: [Loss; 110] = {
    use Direction::{
        ChatToGemini, ChatToMessages, ChatToResponses, MessagesToChat, MessagesToGemini,
        MessagesToResponses,
    };
    use Fate::{Changed, LeftOut, Refused, Strictness};
    [
        request(&FROM_CHAT, "audio", Strictness, "how an answer shall sound"),
        request(&[ChatToMessages, ChatToResponses], "frequency_penalty", Strictness, ""),
        request(&FROM_CHAT, "function_call", Strictness, "the old form of `tool_choice`"),
        request(&FROM_CHAT, "functions", Strictness, "the old form of `tools`"),
        request(&FROM_CHAT, "logit_bias", Strictness, ""),
        request(&FROM_CHAT, "logprobs", Strictness, ""),
        request(
            &[ChatToMessages, ChatToGemini],
            "metadata",
            Strictness,
            "notes that OpenAI keeps with the answer",
        ),
        request(&FROM_CHAT, "modalities", Strictness, "the answer is text"),
        request(
            &[ChatToMessages, ChatToResponses],
            "n",
            Strictness,
            "above 1; one answer is given",
        ),
        request(
            &[ChatToGemini],
            "parallel_tool_calls",
            Strictness,
            "`false`, where there are tools",
        ),
        request(&FROM_CHAT, "prediction", Strictness, ""),
        request(&[ChatToMessages, ChatToResponses], "presence_penalty", Strictness, ""),
        request(&[ChatToMessages, ChatToGemini], "prompt_cache_key", Strictness, ""),
        request(&[ChatToMessages], "reasoning_effort", Strictness, "`none` and `minimal`"),
        request(
            &[ChatToGemini],
            "reasoning_effort",
            Strictness,
            "one that Google has no budget for; from its third version on also `none`",
        ),
        request(&[ChatToMessages], "response_format", Strictness, "other than text and a schema"),
        request(&[ChatToGemini], "response_format", Strictness, "other than text and JSON"),
        request(&[ChatToMessages], "safety_identifier", Strictness, "beside `user`"),
        request(&[ChatToGemini], "safety_identifier", Strictness, ""),
        request(&[ChatToMessages, ChatToResponses], "seed", Strictness, ""),
        request(
            &[ChatToMessages, ChatToGemini],
            "service_tier",
            Strictness,
            "the tiers are others",
        ),
        request(&[ChatToResponses], "stop", Strictness, ""),
        request(&[ChatToMessages, ChatToGemini], "store", Strictness, "`true`"),
        request(&[ChatToMessages], "temperature", Strictness, "above 1; becomes 1"),
        request(&FROM_CHAT, "top_logprobs", Strictness, ""),
        request(&[ChatToMessages, ChatToGemini], "verbosity", Strictness, ""),
        request(&FROM_CHAT, "web_search_options", Strictness, ""),
        request(&FROM_CHAT, OTHER, Strictness, "any other parameter"),
        request(
            &[ChatToMessages],
            "max_tokens",
            Changed,
            "where no limit is given it becomes 4096: Anthropic wants one",
        ),
        request(
            &[ChatToMessages, ChatToGemini],
            "system",
            Changed,
            "between turns; moves to the top",
        ),
        request(&FROM_CHAT, "name", LeftOut, "`messages[].name`: who of several speaks"),
        request(
            &[ChatToMessages, ChatToGemini],
            "detail",
            LeftOut,
            "`image_url.detail`: how closely to look",
        ),
        request(&[ChatToMessages, ChatToGemini], "strict", LeftOut, "`tools[].function.strict`"),
        request(&FROM_CHAT, "reasoning_content", LeftOut, "what the model thought in former turns"),
        request(
            &[ChatToGemini],
            "user",
            LeftOut,
            "for whom the client asks; it has chosen the arm",
        ),
        request(&FROM_CHAT, OTHER_FIELDS, LeftOut, "any other field inside of one that is told"),
        request(&FROM_CHAT, "input_audio", Refused, "a part of a message"),
        request(&FROM_CHAT, "file", Refused, "a part of a message"),
        request(&FROM_CHAT, "audio", Refused, "an answer that was heard, in `messages[]`"),
        request(&FROM_CHAT, "function_call", Refused, "the old form of a call, in `messages[]`"),
        request(&FROM_CHAT, "function", Refused, "the old form of a result, a role"),
        request(&FROM_CHAT, "custom", Refused, "a tool, or the call of one, without a schema"),
        request(&FROM_MESSAGES, "container", Strictness, ""),
        request(&FROM_MESSAGES, "context_management", Strictness, ""),
        request(&[MessagesToGemini], "disable_parallel_tool_use", Strictness, "of `tool_choice`"),
        request(&FROM_MESSAGES, "mcp_servers", Strictness, ""),
        request(
            &[MessagesToChat, MessagesToResponses],
            "output_config",
            Strictness,
            "beside an effort and a schema for the answer",
        ),
        request(
            &[MessagesToGemini],
            "output_config",
            Strictness,
            "beside a schema for the answer, and an effort up to `high` without a budget of thinking",
        ),
        request(&FROM_MESSAGES, "service_tier", Strictness, "the tiers are others"),
        request(&[MessagesToResponses], "stop_sequences", Strictness, ""),
        request(
            &[MessagesToChat, MessagesToResponses],
            "thinking",
            Strictness,
            "unless it is `disabled`",
        ),
        request(
            &[MessagesToGemini],
            "thinking",
            Strictness,
            "unless it is `disabled`, or `enabled` with a budget",
        ),
        request(&[MessagesToChat, MessagesToResponses], "top_k", Strictness, ""),
        request(&FROM_MESSAGES, OTHER, Strictness, "any other parameter"),
        request(
            &FROM_MESSAGES,
            "cache_control",
            LeftOut,
            "anywhere; the answer is the same, dearer",
        ),
        request(&FROM_MESSAGES, "citations", LeftOut, "of texts"),
        request(&FROM_MESSAGES, "is_error", LeftOut, "of a tool's result; its text stays"),
        request(&FROM_MESSAGES, "strict", LeftOut, "of `tools[]`"),
        request(
            &FROM_MESSAGES,
            "thinking_blocks",
            LeftOut,
            "what the model thought in former turns: signed for Anthropic alone",
        ),
        request(
            &[MessagesToGemini],
            "user_id",
            LeftOut,
            "of `metadata`: for whom the client asks; it has chosen the arm",
        ),
        request(
            &FROM_MESSAGES,
            OTHER_FIELDS,
            LeftOut,
            "any other field inside of one that is told",
        ),
        request(&FROM_MESSAGES, "document", Refused, "a block of a message"),
        request(&FROM_MESSAGES, "search_result", Refused, "a block of a message"),
        request(&FROM_MESSAGES, "image", Refused, "inside of a tool's result"),
        request(
            &FROM_MESSAGES,
            "server_tool_use",
            Refused,
            "what Anthropic itself ran, and what came of it",
        ),
        request(
            &FROM_MESSAGES,
            "web_search_20250305",
            Refused,
            "and every other tool that Anthropic runs",
        ),
        answer(
            &[ChatToMessages],
            "stop_reason",
            Changed,
            "`stop_sequence` becomes `stop`, `pause_turn` and `model_context_window_exceeded` `length`",
        ),
        answer(
            &[ChatToMessages],
            OTHER_REASONS,
            Changed,
            "an unknown `stop_reason` becomes `stop`",
        ),
        answer(&[ChatToMessages], "stop_sequence", LeftOut, "which of them stopped it"),
        answer(&[ChatToMessages], "signature", LeftOut, "of thinking, so it cannot be continued"),
        answer(&[ChatToMessages], "redacted_thinking", LeftOut, ""),
        answer(&[ChatToMessages], "citations", LeftOut, "of texts"),
        answer(
            &[ChatToMessages],
            "other_blocks",
            LeftOut,
            "what Anthropic itself ran, and what came of it",
        ),
        answer(
            &[ChatToMessages],
            "cache_creation",
            LeftOut,
            "of `usage`: for how long caches were written",
        ),
        answer(&[ChatToMessages], "service_tier", LeftOut, "of `usage`"),
        answer(&[ChatToMessages], OTHER_FIELDS, LeftOut, "any other field"),
        answer(
            &[MessagesToChat],
            OTHER_REASONS,
            Changed,
            "an unknown `finish_reason` becomes `end_turn`",
        ),
        answer(&[MessagesToChat], "choices", LeftOut, "all but the first"),
        answer(&[MessagesToChat], "logprobs", LeftOut, ""),
        answer(&[MessagesToChat], "created", LeftOut, ""),
        answer(&[MessagesToChat], "system_fingerprint", LeftOut, ""),
        answer(&[MessagesToChat], "service_tier", LeftOut, ""),
        answer(&[MessagesToChat], "annotations", LeftOut, "of the message: what it cites"),
        answer(
            &[MessagesToChat],
            "completion_tokens_details",
            LeftOut,
            "of `usage`; the sum stays",
        ),
        answer(&[MessagesToChat], OTHER_FIELDS, LeftOut, "any other field"),
        answer(
            &TO_GEMINI,
            "finishReason",
            Changed,
            "one that broke off becomes `length`, one that blocked `content_filter`",
        ),
        answer(&TO_GEMINI, OTHER_REASONS, Changed, "an unknown `finishReason` becomes `stop`"),
        answer(&TO_GEMINI, "blockReason", Changed, "of `promptFeedback`: becomes `content_filter`"),
        answer(
            &TO_GEMINI,
            "thoughtSignature",
            LeftOut,
            "of texts; that of a call stays in `extra_content` of chat completions",
        ),
        answer(
            &TO_GEMINI,
            "other_parts",
            LeftOut,
            "pictures, and what Google itself ran and what came of it",
        ),
        answer(&TO_GEMINI, "citationMetadata", LeftOut, ""),
        answer(&TO_GEMINI, "groundingMetadata", LeftOut, ""),
        answer(&TO_GEMINI, "safetyRatings", LeftOut, ""),
        answer(&[MessagesToGemini], "candidates", LeftOut, "all but the first"),
        answer(
            &[MessagesToGemini],
            "thoughtsTokenCount",
            LeftOut,
            "of `usageMetadata`; the sum stays",
        ),
        answer(&TO_GEMINI, OTHER_FIELDS, LeftOut, "any other field"),
        answer(
            &TO_RESPONSES,
            OTHER_REASONS,
            Changed,
            "an unknown one in `incomplete_details` becomes `length`",
        ),
        answer(&TO_RESPONSES, "annotations", LeftOut, "of texts: what they cite"),
        answer(
            &TO_RESPONSES,
            "encrypted_content",
            LeftOut,
            "of reasoning, so it cannot be continued",
        ),
        answer(
            &TO_RESPONSES,
            "other_items",
            LeftOut,
            "what OpenAI itself ran, and what came of it",
        ),
        answer(&[MessagesToResponses], "created_at", LeftOut, ""),
        answer(&[MessagesToResponses], "service_tier", LeftOut, ""),
        answer(&[MessagesToResponses], "reasoning_tokens", LeftOut, "of `usage`; the sum stays"),
        answer(
            &TO_RESPONSES,
            OTHER_FIELDS,
            LeftOut,
            "any other field, but for what an answer repeats of its request",
        ),
        error(&[ChatToMessages], OTHER_FIELDS, LeftOut, "all but type and message"),
        error(
            &[MessagesToChat, MessagesToResponses],
            "type",
            Changed,
            "by status, code and type to Anthropic's types",
        ),
        error(&[MessagesToChat, MessagesToResponses], OTHER_FIELDS, LeftOut, "all but the message"),
        error(
            &TO_GEMINI,
            "status",
            Changed,
            "by it, the code and the details to the client's types",
        ),
        error(&[ChatToResponses], OTHER_FIELDS, LeftOut, "all but the error"),
        error(&TO_GEMINI, OTHER_FIELDS, LeftOut, "all but the message"),
    ]
};
