//! What clients may call, and which providers can answer it.

use crate::provider::Dialect;

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

/// How requests of a surface reach providers of a dialect.
pub fn way(surface: Surface, dialect: Dialect) -> Way {
    let own = match surface {
        Surface::Chat | Surface::Responses | Surface::Embeddings => Dialect::OpenaiChat,
        Surface::Messages | Surface::CountTokens => Dialect::AnthropicMessages,
    };
    if own == dialect { Way::Through } else { Way::Never }
}
