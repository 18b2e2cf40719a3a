//! A provider as the configuration describes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{HttpSettings, ProviderId, SecretSource, Timestamp};
use crate::price::{Price, PriceList};

/// Which wire format a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// `POST /v1/chat/completions`
    OpenaiChat,
    /// `POST /v1/messages`
    AnthropicMessages,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 2] = [Self::OpenaiChat, Self::AnthropicMessages];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::AnthropicMessages => "anthropic_messages",
        }
    }

    /// The value of the label `api`.
    pub fn api(self) -> &'static str {
        match self {
            Self::OpenaiChat => "chat_completions",
            Self::AnthropicMessages => "messages",
        }
    }

    /// The label `provider` where the configuration names none (OpenTelemetry's `gen_ai.provider.name`).
    pub fn system(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai",
            Self::AnthropicMessages => "anthropic",
        }
    }
}

/// How the key travels. Never two ways at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer <key>`
    Bearer(SecretSource),
    /// `x-api-key: <key>`
    ApiKey(SecretSource),
    /// No key is sent.
    None,
}

/// A provider that can be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// Its name in the configuration.
    pub id: ProviderId,
    /// Its wire format.
    pub dialect: Dialect,
    /// The value of the label `provider`: which vendor's service this is.
    pub system: String,
    /// Scheme, host and path up to, not including, `/v1/…`; without a final slash.
    pub base_url: String,
    /// How the key travels.
    pub auth: Auth,
    /// TLS, proxy and extra headers.
    pub http: HttpSettings,
    /// Public model names and what the provider calls them; a name that is missing maps to itself.
    pub models: BTreeMap<String, Model>,
}

impl Provider {
    /// What the provider calls a model.
    pub fn upstream_model<'a>(&'a self, model: &'a str) -> &'a str {
        self.models.get(model).and_then(|entry| entry.name.as_deref()).unwrap_or(model)
    }

    /// What a model costs at a time, where the configuration says.
    pub fn price(&self, model: &str, now: Timestamp) -> Option<&Price> {
        self.models.get(model)?.price.as_ref()?.at(now)
    }
}

/// One model of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// What the provider calls it, where that differs from the public name.
    pub name: Option<String>,
    /// What it costs, and from when.
    pub price: Option<PriceList>,
}

/// A provider that many targets share.
pub type SharedProvider = Arc<Provider>;
