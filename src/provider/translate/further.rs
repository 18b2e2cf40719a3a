//! What does not survive on the way to providers that no client speaks: Google's Gemini and OpenAI's
//! responses, which the router alone asks.
//!
//! Parameters and fields of requests are named, as everywhere. Of their answers the end, texts,
//! thoughts, calls and usage are told, and what else is there has no client who would know it.

use super::Direction;
use super::losses::{Fate, Loss, OTHER, OTHER_FIELDS, Within};

const fn request(direction: Direction, name: &'static str) -> Loss {
    Loss { direction, within: Within::Request, name, fate: Fate::Strictness, note: "" }
}

const fn field(direction: Direction, within: Within, name: &'static str) -> Loss {
    Loss { direction, within, name, fate: Fate::LeftOut, note: "" }
}

/// Rows like those of [`super::LOSSES`].
pub(super) const FURTHER: [Loss; 74] = {
    use Direction::{ChatToGemini, ChatToResponses, MessagesToGemini, MessagesToResponses};
    use Within::{Answer, Error, Request};
    [
        request(ChatToGemini, "audio"),
        request(ChatToGemini, "function_call"),
        request(ChatToGemini, "functions"),
        request(ChatToGemini, "logit_bias"),
        request(ChatToGemini, "logprobs"),
        request(ChatToGemini, "metadata"),
        request(ChatToGemini, "modalities"),
        request(ChatToGemini, "parallel_tool_calls"),
        request(ChatToGemini, "prediction"),
        request(ChatToGemini, "prompt_cache_key"),
        request(ChatToGemini, "reasoning_effort"),
        request(ChatToGemini, "response_format"),
        request(ChatToGemini, "safety_identifier"),
        request(ChatToGemini, "service_tier"),
        request(ChatToGemini, "store"),
        request(ChatToGemini, "top_logprobs"),
        request(ChatToGemini, "verbosity"),
        request(ChatToGemini, "web_search_options"),
        request(ChatToGemini, OTHER),
        field(ChatToGemini, Request, "detail"),
        field(ChatToGemini, Request, OTHER_FIELDS),
        field(ChatToGemini, Answer, OTHER_FIELDS),
        field(ChatToGemini, Error, OTHER_FIELDS),
        request(MessagesToGemini, "container"),
        request(MessagesToGemini, "context_management"),
        request(MessagesToGemini, "mcp_servers"),
        request(MessagesToGemini, "output_config"),
        request(MessagesToGemini, "parallel_tool_calls"),
        request(MessagesToGemini, "service_tier"),
        request(MessagesToGemini, "thinking"),
        request(MessagesToGemini, OTHER),
        field(MessagesToGemini, Request, "cache_control"),
        field(MessagesToGemini, Request, "citations"),
        field(MessagesToGemini, Request, "is_error"),
        field(MessagesToGemini, Request, "strict"),
        field(MessagesToGemini, Request, "thinking_blocks"),
        field(MessagesToGemini, Request, OTHER_FIELDS),
        field(MessagesToGemini, Answer, OTHER_FIELDS),
        field(MessagesToGemini, Error, OTHER_FIELDS),
        request(ChatToResponses, "audio"),
        request(ChatToResponses, "frequency_penalty"),
        request(ChatToResponses, "function_call"),
        request(ChatToResponses, "functions"),
        request(ChatToResponses, "logit_bias"),
        request(ChatToResponses, "logprobs"),
        request(ChatToResponses, "modalities"),
        request(ChatToResponses, "n"),
        request(ChatToResponses, "prediction"),
        request(ChatToResponses, "presence_penalty"),
        request(ChatToResponses, "seed"),
        request(ChatToResponses, "stop"),
        request(ChatToResponses, "top_logprobs"),
        request(ChatToResponses, "web_search_options"),
        request(ChatToResponses, OTHER),
        field(ChatToResponses, Request, OTHER_FIELDS),
        field(ChatToResponses, Answer, OTHER_FIELDS),
        field(ChatToResponses, Error, OTHER_FIELDS),
        request(MessagesToResponses, "container"),
        request(MessagesToResponses, "context_management"),
        request(MessagesToResponses, "mcp_servers"),
        request(MessagesToResponses, "output_config"),
        request(MessagesToResponses, "service_tier"),
        request(MessagesToResponses, "stop"),
        request(MessagesToResponses, "thinking"),
        request(MessagesToResponses, "top_k"),
        request(MessagesToResponses, OTHER),
        field(MessagesToResponses, Request, "cache_control"),
        field(MessagesToResponses, Request, "citations"),
        field(MessagesToResponses, Request, "is_error"),
        field(MessagesToResponses, Request, "strict"),
        field(MessagesToResponses, Request, "thinking_blocks"),
        field(MessagesToResponses, Request, OTHER_FIELDS),
        field(MessagesToResponses, Answer, OTHER_FIELDS),
        field(MessagesToResponses, Error, OTHER_FIELDS),
    ]
};
