//! Who may change something.
//!
//! Until there is authentication: only a caller on loopback, naming a loopback host, and not from a
//! web page of another origin. The last two stop a page in the operator's browser, directly or by a
//! name that resolves to 127.0.0.1.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses everybody but a local caller.
pub(super) async fn local_only(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let reason = if !peer.ip().to_canonical().is_loopback() {
        Some("calls that change something answer on loopback only")
    } else {
        refusal(request.headers())
    };
    match reason {
        None => next.run(request).await,
        Some(reason) => {
            tracing::warn!(peer = %peer.ip(), path = request.uri().path(), reason, "call refused");
            (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response()
        }
    }
}

fn refusal(headers: &HeaderMap) -> Option<&'static str> {
    let text = |name| headers.get(name).map(|value: &header::HeaderValue| value.to_str());
    match text(header::HOST) {
        Some(Ok(host)) if is_local(host) => {}
        Some(_) => return Some("the Host header names no loopback host"),
        None => return Some("there is no Host header"),
    }
    if FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        return Some("the call was forwarded for somebody else");
    }
    let host = text(header::HOST).and_then(Result::ok).unwrap_or_default();
    let origin = text(header::ORIGIN).map(|origin| origin.unwrap_or_default());
    match origin.map(|origin| origin.split_once("://").map(|(_, host)| host)) {
        None => None,
        // Another port is another program on this machine, and its pages are not ours.
        Some(Some(from)) if from.eq_ignore_ascii_case(host) => None,
        Some(_) => Some("the Origin header names another site"),
    }
}

/// What proxies add: behind one, every caller seems to be on loopback.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// Whether `host[:port]` is this machine by a name that nobody else can take.
fn is_local(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or_default(),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |port: &str| port.strip_prefix(':').is_some_and(|p| p.parse::<u16>().is_ok());
    if !port.is_empty() && !is_port(port) {
        return false;
    }
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_local_host_and_origin_pass() {
        let check = |host: Option<&str>, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(header::HOST, host.parse().unwrap());
            }
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            refusal(&headers).is_none()
        };
        assert!(check(Some("127.0.0.1:9779"), None));
        assert!(check(Some("localhost:9779"), Some("http://localhost:9779")));
        assert!(check(Some("[::1]:9779"), Some("http://[::1]:9779")));
        assert!(!check(None, None));
        assert!(!check(Some("rebound.example:9779"), None));
        assert!(!check(Some("127.0.0.1.example:9779"), None));
        assert!(!check(Some("127.0.0.1:9779"), Some("https://example.com")));
        assert!(!check(Some("127.0.0.1:9779"), Some("null")));
        assert!(!check(Some("localhost:9779"), Some("http://localhost:3000")));
        assert!(!check(Some("localhost:9779@example.com"), None));
        assert!(!check(Some("[::1].example:9779"), None));
        assert!(check(Some("LOCALHOST"), Some("http://localhost")));
        let mut forwarded = HeaderMap::new();
        forwarded.insert(header::HOST, "127.0.0.1:9779".parse().unwrap());
        forwarded.insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
        assert!(refusal(&forwarded).is_some());
    }
}
