//! Which models a provider says it has.
//!
//! Asking costs nothing and proves little: a model on the list may fail, and Azure lists the models
//! behind deployments and not the deployments. So a list is no evidence of health; it is an early
//! word of models that go, and of names that were never there.
//!
//! A name with a version is there only as itself; one without is there under any of its versions,
//! since some vendors list those alone. It is deprecated where all that it stands for is: by a word,
//! or by a date within ninety days.

use std::time::Duration;

use serde_json::Value;

use super::grade::{is_same_model, split_version};
use super::request::{ANTHROPIC_VERSION, escaped};
use super::{Dialect, Method, Provider, Request};
use crate::model::Timestamp;

/// Vendors announce the end of a model months ahead; what ends later is no news yet.
const NOTICE: Duration = Duration::from_secs(90 * 86_400);

/// No vendor lists as many; the largest marketplaces have some hundreds.
const MODELS_MAX: usize = 10_000;

/// One model on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name there.
    pub id: String,
    /// Whether the list calls it deprecated.
    pub is_deprecated: bool,
    /// When it ends, where the list says.
    pub retires: Option<Timestamp>,
}

/// A part of a list, and how to ask for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// The models.
    pub models: Vec<Listed>,
    /// What the next question carries, where there is more.
    pub next: Option<String>,
}

/// What is no list of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is not JSON.
    #[error("the list of models is not JSON")]
    NotJson,
    /// It is JSON without a list.
    #[error("the answer holds no list of models")]
    NoList,
}

/// How a configured model stands in its provider's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    Listed,
    /// It is there and is going.
    Deprecated(Option<Timestamp>),
    /// It is not there.
    Missing,
    /// Nobody can tell: a deployment of which the configuration does not say what is behind it.
    Unknown,
}

/// The question which models there are; `None` where nobody knows how to ask: a page has none, and a
/// path of one's own says nothing of this one.
pub fn list_request(provider: &Provider, next: Option<&str>) -> Option<Request> {
    let wire = &provider.wire;
    let usual = match provider.dialect {
        _ if wire.models_path.is_some() => "",
        Dialect::Http => return None,
        _ if wire.path.is_some() => return None,
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::AnthropicMessages => "/v1/models",
        Dialect::AzureOpenai if wire.api_version.is_some() => "/openai/models",
        Dialect::AzureOpenai => "/openai/v1/models",
        Dialect::Gemini => "/v1beta/models",
    };
    let mut path = wire.models_path.as_deref().unwrap_or(usual).to_owned();
    let mut add = |name: &str, value: &str| {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str(name);
        path.push('=');
        path.push_str(&escaped(value));
    };
    let mut headers = vec![("accept", "application/json")];
    match provider.dialect {
        Dialect::AnthropicMessages => {
            headers.push(("anthropic-version", ANTHROPIC_VERSION));
            add("limit", "1000");
            next.iter().for_each(|next| add("after_id", next));
        }
        Dialect::Gemini => {
            add("pageSize", "1000");
            next.iter().for_each(|next| add("pageToken", next));
        }
        Dialect::AzureOpenai => {
            wire.api_version.iter().for_each(|version| add("api-version", version));
        }
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::Http => {}
    }
    Some(Request { method: Method::Get, path, headers, body: Vec::new() })
}

/// Reads a list in any vendor's form.
pub fn read_list(body: &str) -> Result<ListPage, ListError> {
    let root: Value = serde_json::from_str(body).map_err(|_| ListError::NotJson)?;
    let list = [&root["data"], &root["models"], &root].into_iter().find_map(Value::as_array);
    let models = list.ok_or(ListError::NoList)?.iter().filter_map(listed).take(MODELS_MAX);
    let after = root["has_more"].as_bool().and_then(|more| more.then(|| &root["last_id"]));
    let next = after.unwrap_or(&root["nextPageToken"]).as_str().filter(|next| !next.is_empty());
    Ok(ListPage { models: models.collect(), next: next.map(ToOwned::to_owned) })
}

fn listed(entry: &Value) -> Option<Listed> {
    let id = entry["id"].as_str().or(entry["name"].as_str())?;
    let says = |value: &Value| {
        value.as_str().is_some_and(|word| {
            let word = word.to_ascii_lowercase();
            word.starts_with("deprecat") || word == "retired" || word == "retiring"
        })
    };
    let is_deprecated = entry["deprecated"].as_bool() == Some(true)
        || says(&entry["status"])
        || says(&entry["lifecycle_status"]);
    let dates =
        [&entry["deprecation"]["inference"], &entry["deprecation"], &entry["expiration_date"]];
    Some(Listed {
        id: id.strip_prefix("models/").unwrap_or(id).to_owned(),
        is_deprecated,
        retires: dates.into_iter().find_map(date),
    })
}

/// Seconds since 1970, a moment, or a day.
fn date(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = value.as_i64() {
        return Some(Timestamp::from_millis(seconds.checked_mul(1000)?));
    }
    let text = value.as_str()?;
    let moment = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let day = text.get(..10)?.parse::<jiff::civil::Date>().ok()?;
        Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}

/// How a model of the configuration stands in the list.
pub fn standing(provider: &Provider, model: &str, list: &[Listed], now: Timestamp) -> Standing {
    let name = match provider.dialect {
        Dialect::AzureOpenai => provider.answering_model(model),
        Dialect::OpenaiChat
        | Dialect::OpenaiResponses
        | Dialect::AnthropicMessages
        | Dialect::Gemini
        | Dialect::Http => provider.upstream_model(model),
    };
    if name.is_empty() {
        return Standing::Unknown;
    }
    let name = name.strip_prefix("models/").unwrap_or(name);
    let has_version = !split_version(name).1.is_empty();
    let is_it = |listed: &&Listed| {
        listed.id.eq_ignore_ascii_case(name) || (!has_version && is_same_model(name, &listed.id))
    };
    let is_going = |listed: &Listed| {
        listed.is_deprecated || listed.retires.is_some_and(|end| end <= now + NOTICE)
    };
    let found: Vec<&Listed> = list.iter().filter(is_it).collect();
    if found.is_empty() {
        Standing::Missing
    } else if found.iter().all(|listed| is_going(listed)) {
        Standing::Deprecated(found.iter().filter_map(|listed| listed.retires).max())
    } else {
        Standing::Listed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{HttpSettings, ProviderId};
    use crate::provider::{Auth, Model, Wire};

    /// 2026-01-01T00:00:00Z.
    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn provider(dialect: Dialect) -> Provider {
        Provider {
            id: ProviderId::new("p"),
            dialect,
            system: dialect.system().to_owned(),
            base_url: "https://a.example".to_owned(),
            auth: Auth::None,
            http: HttpSettings::default(),
            wire: Wire::default(),
            models: BTreeMap::new(),
        }
    }

    #[test]
    fn each_vendor_is_asked_where_it_lists_its_models() {
        let path =
            |dialect, next| list_request(&provider(dialect), next).map(|request| request.path);
        let is = |path: &str| Some(path.to_owned());
        assert_eq!(path(Dialect::OpenaiChat, None), is("/v1/models"));
        assert_eq!(path(Dialect::AzureOpenai, None), is("/openai/v1/models"));
        let anthropic = "/v1/models?limit=1000&after_id=claude%20x";
        assert_eq!(path(Dialect::AnthropicMessages, Some("claude x")), is(anthropic));
        assert_eq!(
            path(Dialect::Gemini, Some("t")),
            is("/v1beta/models?pageSize=1000&pageToken=t")
        );
        assert_eq!(path(Dialect::Http, None), None);
        let mut relay = provider(Dialect::OpenaiChat);
        relay.wire.path = Some("/v4/chat".to_owned());
        assert_eq!(list_request(&relay, None), None);
        relay.wire.models_path = Some("/v4/models".to_owned());
        assert_eq!(list_request(&relay, None).map(|request| request.path), is("/v4/models"));
        let mut azure = provider(Dialect::AzureOpenai);
        azure.wire.api_version = Some("2024-10-21".to_owned());
        let dated = "/openai/models?api-version=2024-10-21";
        assert_eq!(list_request(&azure, None).map(|request| request.path), is(dated));
    }

    #[test]
    fn lists_of_every_vendor_are_read() {
        let names = |body: &str| {
            let page = read_list(body).unwrap();
            let names: Vec<String> = page.models.into_iter().map(|listed| listed.id).collect();
            (names.join(" "), page.next)
        };
        let openai = r#"{"object":"list","data":[{"id":"a","object":"model","created":1,"owned_by":"x"},{"id":"b"}]}"#;
        assert_eq!(names(openai), ("a b".to_owned(), None));
        let anthropic =
            r#"{"data":[{"id":"c","type":"model"}],"has_more":true,"first_id":"c","last_id":"c"}"#;
        assert_eq!(names(anthropic), ("c".to_owned(), Some("c".to_owned())));
        let last = r#"{"data":[{"id":"c"}],"has_more":false,"last_id":"c"}"#;
        assert_eq!(names(last).1, None);
        let gemini = r#"{"models":[{"name":"models/g"}],"nextPageToken":"t"}"#;
        assert_eq!(names(gemini), ("g".to_owned(), Some("t".to_owned())));
        assert_eq!(names(r#"[{"id":"t"}]"#), ("t".to_owned(), None));
        assert_eq!(read_list("<html>"), Err(ListError::NotJson));
        assert_eq!(read_list(r#"{"error":"no"}"#), Err(ListError::NoList));
    }

    #[test]
    fn what_goes_is_told_by_word_or_by_a_date_that_is_near() {
        let listed = |entry: &str| {
            let body = format!(r#"{{"data":[{entry}]}}"#);
            standing(&provider(Dialect::OpenaiChat), "m", &read_list(&body).unwrap().models, NOW)
        };
        assert_eq!(listed(r#"{"id":"m"}"#), Standing::Listed);
        assert_eq!(
            listed(r#"{"id":"m","deprecation":null,"status":"succeeded"}"#),
            Standing::Listed
        );
        for word in [
            r#""deprecated":true"#,
            r#""status":"deprecated""#,
            r#""lifecycle_status":"deprecating""#,
        ] {
            assert_eq!(listed(&format!(r#"{{"id":"m",{word}}}"#)), Standing::Deprecated(None));
        }
        // 2026-03-31 is within ninety days, 2026-04-02 is not.
        let near = Some(Timestamp::from_millis(1_774_915_200_000));
        for date in [
            r#""deprecation":{"fine_tune":1,"inference":1774915200}"#,
            r#""deprecation":"2026-03-31T00:00:00Z""#,
            r#""expiration_date":"2026-03-31""#,
        ] {
            assert_eq!(listed(&format!(r#"{{"id":"m",{date}}}"#)), Standing::Deprecated(near));
        }
        let later = r#"{"id":"m","deprecation":"2026-04-02T00:00:00Z"}"#;
        assert_eq!(listed(later), Standing::Listed);
    }

    #[test]
    fn a_name_is_there_under_its_versions_and_a_version_only_as_itself() {
        let stands = |dialect, asked: &str, ids: &[&str]| {
            let list: Vec<Listed> = ids
                .iter()
                .map(|id| Listed { id: (*id).to_owned(), is_deprecated: false, retires: None })
                .collect();
            standing(&provider(dialect), asked, &list, NOW)
        };
        use Dialect::{AnthropicMessages, AzureOpenai, Gemini, OpenaiChat};
        let sonnet = "claude-3-5-sonnet-20241022";
        assert_eq!(
            stands(AnthropicMessages, "claude-3-5-sonnet-latest", &[sonnet]),
            Standing::Listed
        );
        assert_eq!(stands(AnthropicMessages, sonnet, &["claude-3-5-sonnet"]), Standing::Missing);
        assert_eq!(stands(OpenaiChat, "gpt-4o", &["gpt-4o-mini", "GPT-4o"]), Standing::Listed);
        assert_eq!(stands(OpenaiChat, "gpt-4o", &["gpt-4o-mini"]), Standing::Missing);
        assert_eq!(stands(Gemini, "models/g", &["g"]), Standing::Listed);
        assert_eq!(stands(AzureOpenai, "my-deployment", &["gpt-4o"]), Standing::Unknown);
        let mut azure = provider(AzureOpenai);
        let model = Model { answers_as: Some("gpt-4o".to_owned()), ..Model::default() };
        azure.models.insert("my-deployment".to_owned(), model);
        let list = [Listed { id: "gpt-4o".to_owned(), is_deprecated: false, retires: None }];
        assert_eq!(standing(&azure, "my-deployment", &list, NOW), Standing::Listed);
    }
}
