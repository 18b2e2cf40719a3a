//! Which series there are: `series`, `labels`, `label/NAME/values`, and `/federate`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::parameters::{ApiError, Parameters, selector};
use super::query::Queries;
use super::shape::{Encoded, Metric, list};
use crate::model::{Labels, MatchOp, Matcher, Sample, Timestamp, is_stale};
use crate::promql::{Interrupt, format_value};
use crate::series::{Source as _, Store};

/// How old a sample may be and still be federated: PromQL's lookback.
const LOOKBACK: Duration = Duration::from_secs(300);

pub(super) fn routes(queries: Queries) -> Router {
    Router::new()
        .route("/api/v1/series", get(series).post(series))
        .route("/api/v1/labels", get(label_names).post(label_names))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/federate", get(federate))
        .with_state(queries)
}

/// `match[]`, and the window from `start` to `end`, which is everything where they are absent.
struct Selection {
    sets: Vec<Vec<Matcher>>,
    after: Timestamp,
    until: Timestamp,
}

impl Selection {
    fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        let after = parameters.time("start")?.unwrap_or(Timestamp::MIN);
        let until = parameters.time("end")?.unwrap_or(Timestamp::MAX);
        let sets = parameters.all("match[]").map(selector).collect::<Result<_, _>>();
        let sets = sets.map_err(|reason| ApiError::invalid("match[]", reason))?;
        Ok(Self { sets, after: after - Duration::from_millis(1), until })
    }

    /// The selected series, each once, sorted.
    fn series(&self, store: &Store) -> Vec<Labels> {
        let mut found: Vec<Labels> = match self.sets.as_slice() {
            [] => store.matching(&[], self.after, self.until),
            sets => {
                sets.iter().flat_map(|set| store.matching(set, self.after, self.until)).collect()
            }
        };
        found.sort();
        found.dedup();
        found
    }

    /// What `look` finds for each set of matchers, or for all series where there is none.
    fn union(&self, look: impl Fn(&[Matcher]) -> BTreeSet<String>) -> Vec<String> {
        let found: BTreeSet<String> = match self.sets.as_slice() {
            [] => look(&[]),
            sets => sets.iter().flat_map(|set| look(set)).collect(),
        };
        found.into_iter().collect()
    }
}

async fn series(
    State(queries): State<Queries>,
    parameters: Parameters,
) -> Result<Encoded, ApiError> {
    if parameters.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = parameters.limit()?;
    let selection = Selection::read(&parameters)?;
    let work = move |store: &Store, _: Interrupt<'_>| {
        let found = selection.series(store);
        Ok(list(found.into_iter().map(Metric).collect(), limit).encode())
    };
    queries.run(&parameters, work).await
}

async fn label_names(
    State(queries): State<Queries>,
    parameters: Parameters,
) -> Result<Encoded, ApiError> {
    let limit = parameters.limit()?;
    let selection = Selection::read(&parameters)?;
    let work = move |store: &Store, _: Interrupt<'_>| {
        let (after, until) = (selection.after, selection.until);
        let names = selection.union(|set| store.label_names(set, after, until));
        Ok(list(names, limit).encode())
    };
    queries.run(&parameters, work).await
}

async fn label_values(
    State(queries): State<Queries>,
    name: Result<Path<String>, PathRejection>,
    parameters: Parameters,
) -> Result<Encoded, ApiError> {
    let name = name.map_err(|_| ApiError::bad_data("invalid label name: it is not UTF-8"))?;
    let name = unescape(&name).unwrap_or_else(|| name.0.clone());
    if name.is_empty() {
        return Err(ApiError::bad_data("invalid label name: \"\""));
    }
    let limit = parameters.limit()?;
    let selection = Selection::read(&parameters)?;
    let work = move |store: &Store, _: Interrupt<'_>| {
        let (after, until) = (selection.after, selection.until);
        let values = selection.union(|set| {
            let present = Matcher::new(&name, MatchOp::NotEqual, "").expect("no expression");
            let set: Vec<Matcher> = set.iter().cloned().chain([present]).collect();
            store.label_values(&name, &set, after, until)
        });
        Ok(list(values, limit).encode())
    };
    queries.run(&parameters, work).await
}

/// A name as clients write it that keep to the old alphabet: `U__` before it, `_2e_` for a dot,
/// `__` for an underscore. `None` where the text is not such a name; it then stands for itself.
fn unescape(text: &str) -> Option<String> {
    let mut rest = text.strip_prefix("U__")?;
    let mut name = String::new();
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        let (code, after) = rest[at + 1..].split_once('_')?;
        if code.is_empty() {
            name.push('_');
        } else if code.len() <= 6 && code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            name.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        } else {
            return None;
        }
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

async fn federate(
    State(queries): State<Queries>,
    parameters: Parameters,
) -> Result<Response, Response> {
    let sets = parameters.all("match[]").map(selector).collect::<Result<Vec<_>, _>>();
    let sets = sets.map_err(|reason| (StatusCode::BAD_REQUEST, reason + "\n").into_response())?;
    let now = queries.now();
    let work = move |store: &Store, _: Interrupt<'_>| {
        let mut latest = BTreeMap::new();
        for set in &sets {
            store.select(set, now - LOOKBACK, now, &mut |labels, samples| {
                if let Some(last) = samples.last().filter(|last| !is_stale(last.value)) {
                    latest.insert((labels.metric().to_owned(), labels.clone()), *last);
                }
            });
        }
        Ok(exposition(&latest))
    };
    let text = queries.run(&parameters, work).await.map_err(IntoResponse::into_response)?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// Prometheus's text format: each sample with its own time, and `instance` empty where it is absent,
/// so that whoever scrapes this does not put in ours.
fn exposition(latest: &BTreeMap<(String, Labels), Sample>) -> String {
    let mut text = String::new();
    let mut last = None;
    for ((metric, labels), sample) in latest {
        let metric = plain(metric);
        if last.as_ref() != Some(&metric) {
            let _infallible = writeln!(text, "# TYPE {metric} untyped");
        }
        let mut pairs: Vec<String> = labels
            .iter()
            .filter(|label| &*label.name != Labels::NAME)
            .map(|label| format!("{}=\"{}\"", plain(&label.name), escaped(&label.value)))
            .collect();
        if labels.get("instance").is_none() {
            pairs.push("instance=\"\"".to_owned());
        }
        let (value, at) = (format_value(sample.value), sample.at.millis());
        let _infallible = writeln!(text, "{metric}{{{}}} {value} {at}", pairs.join(","));
        last = Some(metric);
    }
    text
}

/// A name in the old alphabet; other characters become underscores, as in Prometheus where the
/// scraper does not ask for more.
fn plain(name: &str) -> String {
    let is_plain = |at: usize, c: char| {
        c.is_ascii_alphabetic() || c == '_' || c == ':' || at > 0 && c.is_ascii_digit()
    };
    name.chars().enumerate().map(|(at, c)| if is_plain(at, c) { c } else { '_' }).collect()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    // By hand from the description of the escaping in Prometheus's proposal for UTF-8 names.
    #[test]
    fn names_are_read_as_clients_escape_them() {
        for (text, name) in [
            ("U__job", Some("job")),
            ("U__a_2e_b", Some("a.b")),
            ("U__a_2E_b", Some("a.b")),
            ("U__a__b", Some("a_b")),
            ("U______name____", Some("__name__")),
            ("U___1f600_", Some("\u{1f600}")),
            ("U__", Some("")),
            ("job", None),
            ("U__a_zz_b", None),
            ("U__a_d800_b", None),
            ("U__a_0000041_b", None),
            ("U__a_", None),
            ("U__a_41", None),
        ] {
            assert_eq!(unescape(text).as_deref(), name, "{text}");
        }
    }

    // By hand from the description of the text format.
    #[test]
    fn what_is_federated_carries_its_own_time() {
        let series = [
            (vec![("__name__", "b"), ("job", "x\"\\\n")], 1.5),
            (vec![("__name__", "b"), ("instance", "i"), ("a.b", "1")], f64::INFINITY),
            (vec![("__name__", "a:sum")], 3.0),
        ];
        let latest = series.map(|(pairs, value)| {
            let labels = Labels::from_pairs(pairs);
            let at = Timestamp::from_millis(1500);
            ((labels.metric().to_owned(), labels), Sample { at, value })
        });
        assert_eq!(
            exposition(&BTreeMap::from(latest)),
            "# TYPE a:sum untyped\n\
             a:sum{instance=\"\"} 3 1500\n\
             # TYPE b untyped\n\
             b{a_b=\"1\",instance=\"i\"} +Inf 1500\n\
             b{job=\"x\\\"\\\\\\n\",instance=\"\"} 1.5 1500\n"
        );
    }
}
