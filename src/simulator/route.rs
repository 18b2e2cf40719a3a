//! Which question a path asks.

use crate::provider::Dialect;

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// An answer.
    Ask(Asked),
    /// The list of models. Chat completions and Messages share a path.
    Models(Dialect),
}

/// A question so far as its address tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub dialect: Dialect,
    /// The model, where the path names it.
    pub model: Option<String>,
    /// Whether a stream is asked for, where the path says.
    pub is_streamed: Option<bool>,
    /// Whether the address lacks the version that it must have.
    pub lacks_version: bool,
}

impl Asked {
    /// A question of which everything stands in the body.
    pub fn of(dialect: Dialect) -> Self {
        Self { dialect, model: None, is_streamed: None, lacks_version: false }
    }
}

/// The route of an address; `None` where nothing is.
pub(super) fn route(path: &str, query: &str) -> Option<Route> {
    let has_version = query.split('&').any(|pair| pair.starts_with("api-version="));
    let ask = |dialect| Some(Route::Ask(Asked::of(dialect)));
    match path {
        "/v1/chat/completions" => return ask(Dialect::OpenaiChat),
        "/v1/responses" => return ask(Dialect::OpenaiResponses),
        "/v1/messages" => return ask(Dialect::AnthropicMessages),
        "/openai/v1/chat/completions" => return ask(Dialect::AzureOpenai),
        "/v1/models" => return Some(Route::Models(Dialect::OpenaiChat)),
        "/openai/v1/models" => return Some(Route::Models(Dialect::AzureOpenai)),
        "/openai/models" if has_version => return Some(Route::Models(Dialect::AzureOpenai)),
        "/page" => return ask(Dialect::Http),
        "/v1beta/models" => return Some(Route::Models(Dialect::Gemini)),
        _ => {}
    }
    if let Some(rest) = path.strip_prefix("/openai/deployments/") {
        let model = rest.strip_suffix("/chat/completions")?;
        return Some(Route::Ask(Asked {
            model: Some(unescaped(model)),
            lacks_version: !has_version,
            ..Asked::of(Dialect::AzureOpenai)
        }));
    }
    let (named, action) = path.strip_prefix("/v1beta/")?.rsplit_once(':')?;
    // Tuned models have a collection of their own, which is part of their name.
    let model = match named.split_once('/')? {
        ("models", model) => model,
        _ => named,
    };
    let is_sse = query.split('&').any(|pair| pair == "alt=sse");
    let is_streamed = match action {
        "generateContent" => false,
        // Without it Google writes one growing array, which nobody here asks for.
        "streamGenerateContent" if is_sse => true,
        _ => return None,
    };
    Some(Route::Ask(Asked {
        model: Some(unescaped(model)),
        is_streamed: Some(is_streamed),
        ..Asked::of(Dialect::Gemini)
    }))
}

/// A part of a path as it was meant; what is no escape stays.
fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 3).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                plain.push(byte);
                at += 3;
            }
            _ => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_names_model_and_manner_where_the_body_does_not() {
        let asked = |path, query| match route(path, query) {
            Some(Route::Ask(asked)) => Some((asked.model, asked.is_streamed, asked.lacks_version)),
            Some(Route::Models(_)) | None => None,
        };
        let m = |name: &str| Some(name.to_owned());
        let gemini = "/v1beta/models/g%201:streamGenerateContent";
        assert_eq!(asked(gemini, "alt=sse"), Some((m("g 1"), Some(true), false)));
        assert_eq!(asked(gemini, ""), None);
        let whole = "/v1beta/models/g:generateContent";
        assert_eq!(asked(whole, ""), Some((m("g"), Some(false), false)));
        let tuned = "/v1beta/tunedModels/t-1:generateContent";
        assert_eq!(asked(tuned, ""), Some((m("tunedModels/t-1"), Some(false), false)));
        let azure = "/openai/deployments/d/chat/completions";
        assert_eq!(asked(azure, "api-version=2024-10-21"), Some((m("d"), None, false)));
        assert_eq!(asked(azure, ""), Some((m("d"), None, true)));
        assert_eq!(asked("/v1/responses", ""), Some((None, None, false)));
        assert_eq!(route("/openai/deployments/d/embeddings", ""), None);
    }
}
