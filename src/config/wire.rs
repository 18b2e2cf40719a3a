//! How a provider is spoken to: its base URL, its key's header, and where it differs from what its
//! dialect documents.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::amount::duration;
use super::check::json;
use super::reader::{Fields, Reader, prefixed};
use super::scalar::{boolean, choice, refuse, text, url};
use super::secret::{at_most_one, secret};
use crate::model::Mistake;
use crate::provider::{Auth, Dialect, LimitField, Terminal, UsageWish, Wire};
use crate::yaml::Node;

/// The keys that [`wire`] reads.
pub(super) const KEYS: [&str; 7] = [
    "api_version",
    "path",
    "stream_end",
    "ask_usage",
    "tokens_field",
    "model_list",
    "model_list_path",
];

/// How often a list of models may be asked for: it changes once in weeks.
const LIST_CADENCE: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(7 * 86_400);

const WAYS: [(&str, Way); 5] = [
    ("bearer", Way::Bearer),
    ("x-api-key", Way::ApiKey),
    ("api-key", Way::AzureKey),
    ("x-goog-api-key", Way::GoogleKey),
    ("none", Way::None),
];

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Bearer,
    ApiKey,
    AzureKey,
    GoogleKey,
    None,
}

/// Where a provider differs from its dialect.
pub(super) fn wire(reader: &mut Reader, fields: &Fields<'_>, dialect: Option<Dialect>) -> Wire {
    let ends = [("lenient", Terminal::Lenient), ("strict", Terminal::Strict)];
    let limits = [
        ("max_tokens", LimitField::MaxTokens),
        ("max_completion_tokens", LimitField::MaxCompletionTokens),
    ];
    let api_version = reader.optional(fields, "api_version", |node| {
        if dialect.is_some_and(|dialect| dialect != Dialect::AzureOpenai) {
            return Err(refuse(node, "but only `azure_openai` has versions").remedy("remove it"));
        }
        version(node)
    });
    let limit = reader.optional(fields, "tokens_field", |node| {
        let is_chat = match dialect {
            Some(Dialect::OpenaiChat | Dialect::AzureOpenai) | None => true,
            Some(
                Dialect::OpenaiResponses
                | Dialect::AnthropicMessages
                | Dialect::Gemini
                | Dialect::Http,
            ) => false,
        };
        if !is_chat {
            let why = "but this dialect has one name for it";
            return Err(refuse(node, why).remedy("remove it"));
        }
        choice(node, &limits)
    });
    let models_path = reader.optional(fields, "model_list_path", path);
    let models_interval = reader.optional(fields, "model_list", |node| {
        if node.text() == Some("off") {
            return Ok(None);
        }
        if fields.has("path") && !fields.has("model_list_path") {
            let why = "but with a `path` of its own nobody knows where the list is";
            return Err(refuse(node, why).remedy("write `model_list_path`"));
        }
        duration(node, LIST_CADENCE).map(Some)
    });
    let ask_usage = reader.optional(fields, "ask_usage", boolean);
    Wire {
        api_version,
        path: reader.optional(fields, "path", path),
        terminal: reader
            .optional(fields, "stream_end", |node| choice(node, &ends))
            .unwrap_or_default(),
        usage: match ask_usage {
            Some(false) => UsageWish::NotAsked,
            Some(true) | None => UsageWish::Asked,
        },
        limit,
        models_interval: models_interval.flatten(),
        models_path,
    }
}

fn version(node: &Node) -> Result<String, Mistake> {
    let text = text(node)?;
    let (date, rest) = text.split_at_checked(10).unwrap_or((&text, ""));
    let is_date = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if date.len() == 10 && is_date && matches!(rest, "" | "-preview") {
        return Ok(text);
    }
    Err(refuse(node, "which is no version of Azure's")
        .remedy("write a date such as `2024-10-21`, or remove the key for the `/openai/v1` path"))
}

fn path(node: &Node) -> Result<String, Mistake> {
    let text = text(node)?;
    let is_visible = text.chars().all(|c| c.is_ascii_graphic());
    if text.starts_with('/') && is_visible && !text.contains('#') {
        return Ok(text);
    }
    Err(refuse(node, "where a path is due").remedy(
        "write what follows `base_url`, such as `/v4/chat/completions`; `{model}` is replaced",
    ))
}

/// The base URL. Vendors' pages give it with a part of the path; the dialects bring theirs along,
/// and a `path` of one's own takes it as it is.
pub(super) fn base_url(
    node: &Node,
    dialect: Option<Dialect>,
    wire: &Wire,
) -> Result<String, Mistake> {
    let text = url(node)?;
    if wire.path.is_some() || dialect == Some(Dialect::Http) {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    let full = ["/chat/completions", "/messages", "/responses", "generateContent"];
    let starts: &[&str] = match dialect {
        Some(Dialect::AzureOpenai) => &["/openai/v1", "/openai"],
        Some(Dialect::Gemini) => &["/v1beta/models", "/v1beta"],
        Some(
            Dialect::OpenaiChat
            | Dialect::OpenaiResponses
            | Dialect::AnthropicMessages
            | Dialect::Http,
        )
        | None => &["/v1"],
    };
    for path in full {
        if text.to_ascii_lowercase().ends_with(&path.to_ascii_lowercase()) {
            let remedy = format!(
                "write the part before `{}`; the dialect knows the rest",
                starts.last().unwrap_or(&"/v1")
            );
            return Err(refuse(node, format!("which ends in `{path}`")).remedy(remedy));
        }
    }
    let text = text.trim_end_matches('/');
    let bare = starts.iter().find_map(|start| text.strip_suffix(start)).unwrap_or(text);
    Ok(bare.trim_end_matches('/').to_owned())
}

/// How the key travels.
pub(super) fn auth(
    reader: &mut Reader,
    fields: &Fields<'_>,
    dialect: Option<Dialect>,
) -> Option<Auth> {
    let written = reader.optional(fields, "auth", |node| choice(node, &WAYS));
    let has_key = fields.has("api_key") || fields.has("api_key_file");
    let way = match (written, dialect) {
        (Some(way), _) => way,
        (None, Some(Dialect::OpenaiChat | Dialect::OpenaiResponses)) => Way::Bearer,
        (None, Some(Dialect::AnthropicMessages)) => Way::ApiKey,
        (None, Some(Dialect::AzureOpenai)) => Way::AzureKey,
        (None, Some(Dialect::Gemini)) => Way::GoogleKey,
        // Most pages are open to everybody.
        (None, Some(Dialect::Http)) if !has_key => Way::None,
        (None, Some(Dialect::Http)) => Way::Bearer,
        // The dialect is reported; a key is still looked at, since it may be written inline.
        (None, None) if has_key => Way::Bearer,
        (None, None) => return None,
    };
    let key = secret(reader, fields, "api_key");
    // A token is sent in place of a key.
    if fields.has("oauth2") {
        for name in ["api_key", "api_key_file"] {
            at_most_one(reader, fields, name, "oauth2");
        }
        if written.is_some_and(|way| way != Way::None) {
            at_most_one(reader, fields, "auth", "oauth2");
        }
        return Some(Auth::None);
    }
    if way == Way::None {
        if let Some(node) = fields.get("api_key").or_else(|| fields.get("api_key_file")) {
            let message = prefixed(&fields.what, "a key is written, but `auth` is `none`");
            let mistake = Mistake::new(node.place.clone(), message);
            reader.report(mistake.remedy("remove one of them"));
        }
        return Some(Auth::None);
    }
    if !has_key {
        let remedy = "write `api_key: env:NAME` or `api_key_file: PATH`, or `auth: none` where none is asked for";
        reader.missing(fields, "api_key", remedy);
    }
    Some(match way {
        Way::Bearer => Auth::Bearer(key?),
        Way::ApiKey => Auth::ApiKey(key?),
        Way::AzureKey => Auth::AzureKey(key?),
        Way::GoogleKey => Auth::GoogleKey(key?),
        Way::None => Auth::None,
    })
}

/// Whether a header of this name carries a key.
pub(super) fn carries_key(name: &str) -> bool {
    ["authorization", "x-api-key", "api-key", "x-goog-api-key"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// The fields that requests carry beside the dialect's.
pub(super) fn request(
    reader: &mut Reader,
    fields: &Fields<'_>,
) -> serde_json::Map<String, serde_json::Value> {
    reader
        .optional(fields, "request", |node| match json(node)? {
            serde_json::Value::Object(object) => Ok(object),
            _ => Err(Mistake::new(node.place.clone(), format!("is {}", node.kind()))
                .remedy("write fields of the request: `{reasoning_effort: minimal}`")),
        })
        .unwrap_or_default()
}
