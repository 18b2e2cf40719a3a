//! Which headers travel on.
//!
//! What belongs to one connection stays with it, keys stay on their side, and neither side learns what
//! only the other should know: a provider not who is behind us, a client not whose account pays.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::provider::translate::Direction;

/// Of one connection (RFC 9110, 7.6.1), or written anew.
const HOP: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What clients show who they are by.
const CREDENTIALS: [&str; 6] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "openai-organization",
    "openai-project",
];
/// Who is behind us, and on which way.
const PRIVATE: [&str; 5] = ["cookie", "forwarded", "via", "x-forwarded-for", "x-real-ip"];
/// Of answers: sessions with the provider, its address, and our account with it.
const OURS: [&str; 6] = [
    "alt-svc",
    "anthropic-organization-id",
    "openai-organization",
    "openai-project",
    "set-cookie",
    "strict-transport-security",
];
/// Between a client and us.
const OWN: &str = "x-bellwether-";

/// Whether what a client shows who it is by travels on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    Kept,
    Passed,
}

/// The headers of a request that travel on.
pub(super) fn request(headers: &HeaderMap, keys: Keys) -> HeaderMap {
    let named = named(headers);
    let mut passed = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let text = name.as_str();
        let stays = HOP.contains(&text)
            || PRIVATE.contains(&text)
            || text.starts_with(OWN)
            || text.starts_with("x-forwarded-")
            || (keys == Keys::Kept && CREDENTIALS.contains(&text))
            || named.contains(name);
        if !stays {
            passed.append(name, value.clone());
        }
    }
    if let Some(encodings) = readable(headers) {
        passed.insert(header::ACCEPT_ENCODING, encodings);
    }
    passed
}

/// The headers of a request that is told in other words: of one vendor they speak to the other, and
/// the answer must be readable.
pub(super) fn retold(headers: &mut HeaderMap, direction: Direction) {
    headers.remove("anthropic-beta");
    headers.remove("openai-beta");
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let version = HeaderName::from_static("anthropic-version");
    match direction {
        Direction::ChatToMessages => {
            headers.insert(version, HeaderValue::from_static("2023-06-01"));
        }
        Direction::MessagesToChat
        | Direction::ChatToGemini
        | Direction::MessagesToGemini
        | Direction::ChatToResponses
        | Direction::MessagesToResponses => {
            headers.remove(version);
        }
    }
}

/// The headers of an answer that travel on.
pub(super) fn response(headers: &mut HeaderMap) {
    let mut left = named(headers);
    // Few answers have any of them: to look at each header costs less than to look for each name. The
    // body goes on as it is, and so does its length.
    let stays = |name: &&HeaderName| {
        let text = name.as_str();
        **name != header::CONTENT_LENGTH && (HOP.contains(&text) || OURS.contains(&text))
    };
    left.extend(headers.keys().filter(stays).cloned());
    for name in left.iter().filter(|name| **name != header::CONTENT_LENGTH) {
        headers.remove(name);
    }
}

/// The headers that `connection` names.
fn named(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter();
    let words = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    words.filter_map(|word| HeaderName::from_bytes(word.trim().as_bytes()).ok()).collect()
}

/// Of the encodings that a client takes, those that the grading can read; `identity` is always one.
fn readable(headers: &HeaderMap) -> Option<HeaderValue> {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    if texts.is_empty() {
        return None;
    }
    let words = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    let known = words.filter(|word| {
        let name = word.split(';').next().unwrap_or_default().trim();
        ["gzip", "br", "identity"].iter().any(|known| name.eq_ignore_ascii_case(known))
    });
    let known: Vec<&str> = known.collect();
    let text = if known.is_empty() { "identity".to_owned() } else { known.join(", ") };
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut map = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    }

    #[test]
    fn keys_addresses_and_what_is_of_one_connection_stay_here() {
        let all = headers(&[
            ("authorization", "Bearer sk-client"),
            ("x-api-key", "sk-client"),
            ("cookie", "a=b"),
            ("host", "router:1"),
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-bellwether-arm", "candidate"),
            ("anthropic-version", "2023-06-01"),
            ("anthropic-beta", "one"),
            ("anthropic-beta", "two"),
            ("user-agent", "sdk"),
        ]);
        let passed = request(&all, Keys::Kept);
        let expected = headers(&[
            ("anthropic-version", "2023-06-01"),
            ("anthropic-beta", "one"),
            ("anthropic-beta", "two"),
            ("user-agent", "sdk"),
        ]);
        assert_eq!(passed, expected);
        let passed = request(&all, Keys::Passed);
        assert_eq!(passed["authorization"], "Bearer sk-client");
        assert!(!passed.contains_key("cookie"));
    }

    #[test]
    fn only_encodings_that_can_be_graded_are_asked_for() {
        for (asked, expected) in [
            ("gzip, deflate, br, zstd", Some("gzip, br")),
            ("GZIP;q=0.5", Some("GZIP;q=0.5")),
            ("zstd", Some("identity")),
            ("identity", Some("identity")),
        ] {
            let passed = request(&headers(&[("accept-encoding", asked)]), Keys::Kept);
            let got = passed.get("accept-encoding").map(|value| value.to_str().unwrap());
            assert_eq!(got, expected, "{asked}");
        }
        assert!(request(&HeaderMap::new(), Keys::Kept).is_empty());
    }

    #[test]
    fn an_answer_says_nothing_of_our_account() {
        let mut all = headers(&[
            ("openai-organization", "org-ours"),
            ("set-cookie", "s=1"),
            ("alt-svc", "h3"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("content-length", "2"),
            ("x-request-id", "req_1"),
            ("retry-after", "3"),
        ]);
        response(&mut all);
        let expected =
            headers(&[("x-request-id", "req_1"), ("retry-after", "3"), ("content-length", "2")]);
        assert_eq!(all, expected);
    }
}
