//! What clients may call, and which providers can answer it.

use crate::provider::Dialect;
use crate::provider::translate::Direction;

/// An interface that clients call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Surface {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/messages`
    Messages,
    /// `POST /v1/messages/count_tokens`
    CountTokens,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/embeddings`
    Embeddings,
}

/// How a request of a surface reaches a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As it is.
    Through,
    /// In other words.
    Told(Direction),
    /// Not at all: the provider has nothing of the kind.
    Never,
}

impl Surface {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Chat, Self::Messages, Self::CountTokens, Self::Responses, Self::Embeddings];

    /// Where it is called, here and at providers.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
            Self::Responses => "/v1/responses",
            Self::Embeddings => "/v1/embeddings",
        }
    }

    /// The value of the label `api`.
    pub fn api(self) -> &'static str {
        match self {
            Self::Chat => "chat_completions",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
        }
    }

    /// The decoder of its answers; those of the others are graded by their status.
    pub fn decoder(self) -> Option<Dialect> {
        match self {
            Self::Chat => Some(Dialect::OpenaiChat),
            Self::Messages => Some(Dialect::AnthropicMessages),
            Self::CountTokens | Self::Responses | Self::Embeddings => None,
        }
    }

    /// Whether it is Anthropic's, which says errors in its own way.
    pub fn is_anthropic(self) -> bool {
        matches!(self, Self::Messages | Self::CountTokens)
    }
}

impl Way {
    /// Where a request of a surface arrives that goes this way.
    pub fn leads_to(self, surface: Surface) -> Surface {
        match self {
            Self::Through | Self::Never => surface,
            Self::Told(Direction::ToMessages) => Surface::Messages,
            Self::Told(Direction::ToChat) => Surface::Chat,
        }
    }
}

/// How requests of a surface reach providers of a dialect.
pub fn way(surface: Surface, dialect: Dialect) -> Way {
    match (surface, dialect) {
        (Surface::Chat | Surface::Responses | Surface::Embeddings, Dialect::OpenaiChat)
        | (Surface::Responses, Dialect::OpenaiResponses)
        | (Surface::Messages | Surface::CountTokens, Dialect::AnthropicMessages) => Way::Through,
        (Surface::Chat, Dialect::AnthropicMessages) => Way::Told(Direction::ToMessages),
        (Surface::Messages, Dialect::OpenaiChat) => Way::Told(Direction::ToChat),
        // Nothing on the other side does the same.
        (Surface::Responses | Surface::Embeddings, Dialect::AnthropicMessages)
        | (Surface::CountTokens, Dialect::OpenaiChat)
        | (
            Surface::Chat | Surface::Messages | Surface::CountTokens | Surface::Embeddings,
            Dialect::OpenaiResponses,
        ) => Way::Never,
        // Probed, and not yet carried: their paths are not those of any surface.
        (
            Surface::Chat
            | Surface::Messages
            | Surface::CountTokens
            | Surface::Responses
            | Surface::Embeddings,
            Dialect::AzureOpenai | Dialect::Gemini | Dialect::Http,
        ) => Way::Never,
    }
}
