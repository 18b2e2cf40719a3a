//! What clients may call, and which providers can answer it.

use crate::provider::translate::Direction;
use crate::provider::{self, Dialect, Provider};

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

    /// Whether it is Anthropic's, which says errors in its own way.
    pub fn is_anthropic(self) -> bool {
        matches!(self, Self::Messages | Self::CountTokens)
    }
}

/// How requests of a surface reach providers of a dialect.
pub fn way(surface: Surface, dialect: Dialect) -> Way {
    match (surface, dialect) {
        (
            Surface::Chat | Surface::Responses | Surface::Embeddings,
            // Azure has OpenAI's interfaces at other addresses.
            Dialect::OpenaiChat | Dialect::AzureOpenai,
        )
        | (Surface::Responses, Dialect::OpenaiResponses)
        | (Surface::Messages | Surface::CountTokens, Dialect::AnthropicMessages) => Way::Through,
        (Surface::Chat, Dialect::AnthropicMessages) => Way::Told(Direction::ChatToMessages),
        (Surface::Chat, Dialect::Gemini) => Way::Told(Direction::ChatToGemini),
        (Surface::Chat, Dialect::OpenaiResponses) => Way::Told(Direction::ChatToResponses),
        (Surface::Messages, Dialect::OpenaiChat | Dialect::AzureOpenai) => {
            Way::Told(Direction::MessagesToChat)
        }
        (Surface::Messages, Dialect::Gemini) => Way::Told(Direction::MessagesToGemini),
        (Surface::Messages, Dialect::OpenaiResponses) => Way::Told(Direction::MessagesToResponses),
        // Nothing on the other side does the same.
        (
            Surface::Responses | Surface::Embeddings,
            Dialect::AnthropicMessages | Dialect::Gemini,
        )
        | (
            Surface::CountTokens,
            Dialect::OpenaiChat
            | Dialect::AzureOpenai
            | Dialect::Gemini
            | Dialect::OpenaiResponses,
        )
        | (Surface::Embeddings, Dialect::OpenaiResponses)
        // A page answers nobody's questions.
        | (
            Surface::Chat
            | Surface::Messages
            | Surface::CountTokens
            | Surface::Responses
            | Surface::Embeddings,
            Dialect::Http,
        ) => Way::Never,
    }
}

/// Where a provider is asked for a request of a surface, below its base URL; may end with a query.
pub fn path(surface: Surface, provider: &Provider, model: &str, is_streamed: bool) -> String {
    let is_home = match way(surface, provider.dialect) {
        Way::Told(_) => true,
        Way::Through | Way::Never => matches!(
            (surface, provider.dialect),
            (Surface::Chat, Dialect::OpenaiChat | Dialect::AzureOpenai)
                | (Surface::Messages, Dialect::AnthropicMessages)
                | (Surface::Responses, Dialect::OpenaiResponses)
        ),
    };
    if is_home {
        return provider::path(provider, model, is_streamed);
    }
    if provider.dialect != Dialect::AzureOpenai {
        return surface.path().to_owned();
    }
    // What stands beside the deployment's own path; of the dated ones, responses name it in the body.
    let name = surface.path().trim_start_matches("/v1/");
    let Some(version) = &provider.wire.api_version else { return format!("/openai/v1/{name}") };
    match surface {
        Surface::Embeddings => {
            format!("/openai/deployments/{model}/{name}?api-version={version}")
        }
        _ => format!("/openai/{name}?api-version={version}"),
    }
}

/// The decoder of what comes back; what has none is graded by its status.
pub fn decoder(surface: Surface, dialect: Dialect) -> Option<Dialect> {
    match (way(surface, dialect), surface) {
        (Way::Told(_), _) => Some(dialect),
        (Way::Through, Surface::Chat | Surface::Messages) => Some(dialect),
        (Way::Through, Surface::Responses) => Some(Dialect::OpenaiResponses),
        (Way::Through, Surface::CountTokens | Surface::Embeddings) | (Way::Never, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{HttpSettings, ProviderId};
    use crate::provider::{Auth, Wire};

    // The addresses are those of the vendors' references.
    #[test]
    fn each_interface_is_asked_at_its_own_address() {
        use Dialect::{AnthropicMessages, AzureOpenai, Gemini, OpenaiChat, OpenaiResponses};
        let check = |surface, dialect, wire: Wire, is_streamed, expected: &str| {
            let provider = Provider {
                id: ProviderId::new("p"),
                dialect,
                system: "p".to_owned(),
                base_url: "https://p.example".to_owned(),
                auth: Auth::None,
                http: HttpSettings::default(),
                models: BTreeMap::new(),
                wire,
            };
            assert_eq!(path(surface, &provider, "m", is_streamed), expected);
        };
        let plain = Wire::default;
        let dated = || Wire { api_version: Some("2024-10-21".to_owned()), ..Wire::default() };
        let own = || Wire { path: Some("/v4/{model}/chat".to_owned()), ..Wire::default() };
        check(Surface::Chat, OpenaiChat, plain(), true, "/v1/chat/completions");
        check(Surface::Chat, OpenaiChat, own(), true, "/v4/m/chat");
        check(Surface::Messages, OpenaiChat, own(), true, "/v4/m/chat");
        check(Surface::Embeddings, OpenaiChat, own(), false, "/v1/embeddings");
        check(Surface::CountTokens, AnthropicMessages, plain(), false, "/v1/messages/count_tokens");
        check(Surface::Chat, OpenaiResponses, plain(), true, "/v1/responses");
        let gemini = "/v1beta/models/m:streamGenerateContent?alt=sse";
        check(Surface::Messages, Gemini, plain(), true, gemini);
        check(Surface::Chat, Gemini, plain(), false, "/v1beta/models/m:generateContent");
        check(Surface::Chat, AzureOpenai, plain(), true, "/openai/v1/chat/completions");
        check(Surface::Responses, AzureOpenai, plain(), true, "/openai/v1/responses");
        for (surface, expected) in [
            (Surface::Chat, "/openai/deployments/m/chat/completions?api-version=2024-10-21"),
            (Surface::Messages, "/openai/deployments/m/chat/completions?api-version=2024-10-21"),
            (Surface::Embeddings, "/openai/deployments/m/embeddings?api-version=2024-10-21"),
            (Surface::Responses, "/openai/responses?api-version=2024-10-21"),
        ] {
            check(surface, AzureOpenai, dated(), false, expected);
        }
    }
}
