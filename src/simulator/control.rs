//! Steering by HTTP: the script, a fault by hand, the counts.
//!
//! | call | what it does |
//! | --- | --- |
//! | `GET /-/script` | the script in YAML, every field written out |
//! | `PUT /-/script` | plays another from its beginning |
//! | `POST /-/fault` | one fault in place of the script's: `{"kind": "reset", "share": 0.3}` |
//! | `DELETE /-/fault` | the script's faults again |
//! | `GET /-/stats` | the counts in JSON |
//! | `GET /-/healthy`, `GET /-/ready` | 200; `bellwether healthcheck` asks the second |
//!
//! What changes something is taken from this machine only, and never from a web page: a page that
//! somebody has open in a browser could reach a loopback port, and names of its own can lead there.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, Response, StatusCode, Uri};

use super::exchange::plain;
use super::play::Body;
use super::server::Stage;
use super::{Injection, parse_script};

/// Answers a request under `/-/`.
pub(super) fn answer(
    stage: &Stage,
    peer: SocketAddr,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    if method != Method::GET && !is_from_here(peer, headers) {
        let why = "the simulator is steered from its own machine only, and not by web pages\n";
        return plain(StatusCode::FORBIDDEN, why);
    }
    match (method, path) {
        (&Method::GET, "/-/healthy" | "/-/ready") => plain(StatusCode::OK, "ok\n"),
        (&Method::GET, "/-/script") => {
            let script = stage.with(|state| state.script.clone());
            let yaml = serde_yaml::to_string(&script).expect("a script has only plain fields");
            typed("application/yaml", yaml)
        }
        (&Method::GET, "/-/stats") => {
            let json = serde_json::to_string(&stage.stats()).expect("counts have text keys");
            typed("application/json", json)
        }
        (&Method::PUT, "/-/script") => {
            let text = String::from_utf8_lossy(body);
            match parse_script("the request's body", &text) {
                Ok(script) => {
                    stage.set(script);
                    plain(StatusCode::OK, "the script plays from its beginning\n")
                }
                Err(mistake) => plain(StatusCode::BAD_REQUEST, format!("{mistake}\n")),
            }
        }
        (&Method::POST, "/-/fault") => match serde_yaml::from_slice::<Injection>(body) {
            Ok(injection) => {
                stage.with(|state| state.injected = Some(injection));
                plain(StatusCode::OK, "the fault strikes until it is deleted\n")
            }
            Err(error) => plain(StatusCode::BAD_REQUEST, format!("{error}\n")),
        },
        (&Method::DELETE, "/-/fault") => {
            stage.with(|state| state.injected = None);
            plain(StatusCode::OK, "the script's own faults strike again\n")
        }
        (_, "/-/healthy" | "/-/ready" | "/-/script" | "/-/stats" | "/-/fault") => {
            plain(StatusCode::METHOD_NOT_ALLOWED, "not with this method\n")
        }
        _ => plain(StatusCode::NOT_FOUND, "no such path\n"),
    }
}

fn typed(kind: &'static str, text: String) -> Response<Body> {
    let mut response = plain(StatusCode::OK, text);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn is_from_here(peer: SocketAddr, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| host.parse::<Uri>().ok());
    let is_here = host.as_ref().and_then(Uri::host).is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    peer.ip().to_canonical().is_loopback() && is_here && !headers.contains_key(ORIGIN)
}
