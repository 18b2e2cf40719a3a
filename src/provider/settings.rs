//! A provider as the configuration describes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Terminal;
use crate::model::{HttpSettings, ProviderId, SecretSource, Timestamp};
use crate::price::{Price, PriceList};

/// Which wire format a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// `POST /v1/chat/completions`
    OpenaiChat,
    /// `POST /v1/responses`
    OpenaiResponses,
    /// `POST /v1/messages`
    AnthropicMessages,
    /// Chat completions as Azure serves them: `/openai/v1/…`, or `/openai/deployments/…` with a
    /// version.
    AzureOpenai,
    /// `POST /v1beta/models/…:generateContent` and `:streamGenerateContent?alt=sse`
    Gemini,
    /// No model: a page that is asked for by HTTP
    Http,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 6] = [
        Self::OpenaiChat,
        Self::OpenaiResponses,
        Self::AnthropicMessages,
        Self::AzureOpenai,
        Self::Gemini,
        Self::Http,
    ];
    /// Those in which a model is asked.
    pub const MODELS: [Self; 5] = [
        Self::OpenaiChat,
        Self::OpenaiResponses,
        Self::AnthropicMessages,
        Self::AzureOpenai,
        Self::Gemini,
    ];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
            Self::AnthropicMessages => "anthropic_messages",
            Self::AzureOpenai => "azure_openai",
            Self::Gemini => "gemini",
            Self::Http => "http",
        }
    }

    /// The value of the label `api`.
    pub fn api(self) -> &'static str {
        match self {
            Self::OpenaiChat | Self::AzureOpenai => "chat_completions",
            Self::OpenaiResponses => "responses",
            Self::AnthropicMessages => "messages",
            Self::Gemini => "generate_content",
            Self::Http => "http",
        }
    }

    /// The label `provider` where the configuration names none (OpenTelemetry's `gen_ai.provider.name`).
    pub fn system(self) -> &'static str {
        match self {
            Self::OpenaiChat | Self::OpenaiResponses => "openai",
            Self::AnthropicMessages => "anthropic",
            Self::AzureOpenai => "azure.ai.openai",
            Self::Gemini => "gcp.gemini",
            Self::Http => "http",
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
    /// `api-key: <key>`, Azure's
    AzureKey(SecretSource),
    /// `x-goog-api-key: <key>`, Google's; never in the address, where logs would show it
    GoogleKey(SecretSource),
    /// No key is sent.
    None,
}

impl Auth {
    /// The header that carries the key: its lower-case name, what stands before the key, and the
    /// key's source.
    pub fn header(&self) -> Option<(&'static str, &'static str, &SecretSource)> {
        match self {
            Self::Bearer(source) => Some(("authorization", "Bearer ", source)),
            Self::ApiKey(source) => Some(("x-api-key", "", source)),
            Self::AzureKey(source) => Some(("api-key", "", source)),
            Self::GoogleKey(source) => Some(("x-goog-api-key", "", source)),
            Self::None => None,
        }
    }
}

/// How a provider is spoken to where it differs from what its dialect documents. The default
/// differs in nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// Azure's dated interface; the one without a version where absent.
    pub api_version: Option<String>,
    /// The path in place of the dialect's; `{model}` in it is replaced. Gemini's ends before the
    /// colon.
    pub path: Option<String>,
    /// When a stream counts as complete.
    pub terminal: Terminal,
    /// Whether usage is asked for.
    pub usage: UsageWish,
    /// The field of chat completions that limits the answer; by version and host where absent.
    pub limit: Option<LimitField>,
    /// How often its list of models is asked for; never where absent.
    pub models_interval: Option<Duration>,
    /// Where that list is, in place of the dialect's.
    pub models_path: Option<String>,
}

/// Whether an answer's usage is asked for, and missed where it lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageWish {
    /// It is.
    #[default]
    Asked,
    /// It is not: some relays refuse the question, or never answer it.
    NotAsked,
}

/// What chat completions call the limit on the answer's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitField {
    /// The older name, which relays and engines know.
    MaxTokens,
    /// The newer name, which reasoning models insist on.
    MaxCompletionTokens,
}

impl LimitField {
    /// The field's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
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
    /// Scheme, host and path up to, not including, the dialect's own (`/v1/…`, `/openai/…`,
    /// `/v1beta/…`); without a final slash.
    pub base_url: String,
    /// How the key travels.
    pub auth: Auth,
    /// TLS, proxy and extra headers.
    pub http: HttpSettings,
    /// Where it differs from its dialect.
    pub wire: Wire,
    /// Public model names and what the provider calls them; a name that is missing maps to itself.
    pub models: BTreeMap<String, Model>,
}

impl Provider {
    /// What the provider calls a model.
    pub fn upstream_model<'a>(&'a self, model: &'a str) -> &'a str {
        self.models.get(model).and_then(|entry| entry.name.as_deref()).unwrap_or(model)
    }

    /// The name under which a model answers; empty where any will do. Azure's deployments answer
    /// under the name of the model behind them, which only the configuration can tell.
    pub fn answering_model<'a>(&'a self, model: &'a str) -> &'a str {
        match self.models.get(model).and_then(|entry| entry.answers_as.as_deref()) {
            Some("*") => "",
            Some(name) => name,
            None if matches!(self.dialect, Dialect::AzureOpenai | Dialect::Http) => "",
            None => self.upstream_model(model),
        }
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
    /// The name under which it answers, where that is not the one it is asked by; `*` is any.
    pub answers_as: Option<String>,
    /// Fields that each request for it carries beside the dialect's; they win over those.
    pub request: Map<String, Value>,
}

/// A provider that many targets share.
pub type SharedProvider = Arc<Provider>;
