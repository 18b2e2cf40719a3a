//! What comes of a page.

use super::*;
use crate::provider::{ErrorType, HeaderRule, Method, Page, SloClass};

fn page(base_url: &str, page: Page) -> Target {
    let target = speaking(&target(base_url), Dialect::Http);
    let path = if page.path.is_empty() { "/page".to_owned() } else { page.path.clone() };
    Target {
        model: path.clone(),
        delivery: Delivery::Whole,
        check: Check::Any,
        page: Some(Page { path, ..page }),
        ..target
    }
}

#[tokio::test]
async fn a_page_that_is_there_is_good_and_costs_nothing() {
    let simulator = simulator(Behavior { ttft: 20 * MS, ..Behavior::default() }).await;
    let target = page(&simulator.base_url(), Page::default());
    let (outcome, trace) = probe_once(&target, &Clock::start()).await;
    assert_eq!((outcome.error_type, outcome.class), (ErrorType::None, SloClass::Good));
    assert_eq!((outcome.status, outcome.cost), (Some(200), Some(Money::ZERO)));
    assert_eq!((outcome.ttft, outcome.usage), (None, None));
    assert!(outcome.total >= 20 * MS);
    assert_eq!(trace.method, "GET");
    // Nothing is sent, so nothing says what it is.
    assert!(trace.request_headers.iter().all(|(name, _)| name != "content-type"));
    simulator.stop().await;
}

#[tokio::test]
async fn a_page_says_back_the_nonce_it_is_sent() {
    let simulator = simulator(Behavior::default()).await;
    let body = Some(r#"{"say":"{nonce}"}"#.to_owned());
    let asked = Page { method: Method::Post, body, ..Page::default() };
    let target = Target { check: Check::Nonce, ..page(&simulator.base_url(), asked) };
    let (outcome, trace) = probe_once(&target, &Clock::start()).await;
    assert_eq!(outcome.error_type, ErrorType::None, "{outcome:?}");
    assert_eq!(trace.method, "POST");
    let kind = ("content-type".to_owned(), "application/json".to_owned());
    assert!(trace.request_headers.contains(&kind), "{trace:?}");
    simulator.stop().await;
}

#[tokio::test]
async fn each_fault_of_a_page_has_its_type() {
    use ErrorType as E;
    let http = |status| Fault::Http { status, retry_after: None };
    let check =
        Check::Regex(Arc::new(regex::Regex::new(r#""said":"ok ok.*"status":"ok"}$"#).unwrap()));
    for (fault, expected) in [
        (http(401), E::Http401),
        (http(404), E::Http404),
        (http(429), E::RateLimited),
        (http(503), E::ServerError),
        (Fault::Truncated, E::TruncatedStream),
        (Fault::Reset, E::ConnectionReset),
        (Fault::WrongAnswer, E::ContentCheckFailed),
        (Fault::EmptyContent, E::ContentCheckFailed),
        (Fault::Html200, E::ContentCheckFailed),
        (Fault::MalformedJson, E::ContentCheckFailed),
        (Fault::JsonOnStream, E::None),
        (Fault::WrongModel, E::None),
        (Fault::UsageMissing, E::None),
        (Fault::LingeringSocket, E::None),
    ] {
        let simulator = simulator(failing(fault)).await;
        let target =
            Target { check: check.clone(), ..page(&simulator.base_url(), Page::default()) };
        let outcome = probe(&target).await;
        assert_eq!(outcome.error_type, expected, "{fault:?} {outcome:?}");
        assert_eq!(outcome.class, expected.class());
        simulator.stop().await;
    }
}

#[tokio::test]
async fn a_page_is_held_against_its_own_statuses_and_headers() {
    let simulator = simulator(failing(Fault::Http { status: 503, retry_after: None })).await;
    let due = |statuses: &[(u16, u16)], headers: &[(&str, HeaderRule)]| Page {
        statuses: statuses.to_vec(),
        headers: headers.iter().map(|(name, rule)| ((*name).to_owned(), rule.clone())).collect(),
        ..Page::default()
    };
    let json = || HeaderRule::Matches(Arc::new(regex::Regex::new("^application/json").unwrap()));
    for (asked, expected) in [
        (due(&[(503, 503)], &[("content-type", json())]), ErrorType::None),
        (due(&[(500, 599)], &[("x-absent", HeaderRule::Absent)]), ErrorType::None),
        (due(&[(503, 503)], &[("x-absent", HeaderRule::Present)]), ErrorType::ContentCheckFailed),
        (due(&[(200, 299), (503, 503)], &[]), ErrorType::None),
        (due(&[(200, 299)], &[]), ErrorType::ServerError),
    ] {
        let outcome = probe(&page(&simulator.base_url(), asked)).await;
        assert_eq!(outcome.error_type, expected, "{outcome:?}");
    }
    simulator.stop().await;
}
