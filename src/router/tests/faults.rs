//! Each fault of a provider: what the client sees, and what is told of it.

use super::*;
use crate::provider::SloClass;

/// What the client sees: the status, and whether the body ends as it should.
type Seen = (u16, bool);

async fn check(fault: Fault, is_streamed: bool, seen: Seen, error_type: ErrorType) {
    for dialect in [Dialect::OpenaiChat, Dialect::AnthropicMessages] {
        let mut route = route();
        route.timeouts = Timeouts {
            connect: 5000 * MS,
            first_token: 400 * MS,
            idle: 200 * MS,
            total: 1500 * MS,
        };
        let behavior = failing(fault);
        let mut stage = Stage::new(behavior, Behavior::default(), route, dialect).await;
        let heard = stage.ask(dialect, is_streamed).await;
        assert_eq!((heard.status, heard.is_whole), seen, "{fault:?} {dialect:?}: {heard:?}");
        let told = stage.told().await;
        assert_eq!(told.error_type, error_type, "{fault:?} {dialect:?} {is_streamed}");
        let error = format!("error_type=\"{}\"", error_type.as_str());
        let labels = ["arm=\"stable\"", &error, &format!("slo=\"{}\"", told.class.as_str())];
        assert_eq!(stage.value("bellwether_router_requests_total", &labels), 1.0, "{fault:?}");
        assert_eq!(stage.value("bellwether_router_attempts_total", &labels[..2]), 1.0);
        broke(&stage, &told);
        let expected = match error_type {
            ErrorType::None | ErrorType::ModelMismatch => SloClass::Good,
            ErrorType::Http400
            | ErrorType::Refusal
            | ErrorType::ContentFiltered
            | ErrorType::MaxTokensReached => SloClass::Excluded,
            _ => SloClass::Bad,
        };
        assert_eq!(told.class, expected, "{fault:?}");
    }
}

/// A stream that broke is counted by when it did.
pub(super) fn broke(stage: &Stage, told: &Served) {
    for phase in crate::provider::StreamPhase::ALL {
        let labels = ["arm=\"stable\"", &format!("phase=\"{}\"", phase.as_str())];
        let counted = stage.value("bellwether_router_stream_failures_total", &labels);
        assert_eq!(counted > 0.0, told.broke == Some(phase), "{told:?} {phase:?}");
    }
}

#[tokio::test]
async fn statuses_pass_as_they_are() {
    use ErrorType as E;
    let http = |status| Fault::Http { status, retry_after: None };
    for (fault, status, error_type) in [
        (http(400), 400, E::Http400),
        (http(401), 401, E::Http401),
        (http(403), 403, E::Http403),
        (http(404), 404, E::Http404),
        (http(429), 429, E::RateLimited),
        (http(500), 500, E::ServerError),
        (http(529), 529, E::Overloaded),
    ] {
        check(fault, true, (status, true), error_type).await;
        check(fault, false, (status, true), error_type).await;
    }
}

#[tokio::test]
async fn an_empty_purse_is_told_from_a_limit() {
    for (dialect, status) in [(Dialect::OpenaiChat, 429), (Dialect::AnthropicMessages, 402)] {
        let mut stage = Stage::stable(failing(Fault::QuotaExhausted), dialect).await;
        assert_eq!(stage.ask(dialect, true).await.status, status);
        assert_eq!(stage.told().await.error_type, ErrorType::QuotaExhausted);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_seen_to_break() {
    use ErrorType as E;
    for (fault, seen, error_type) in [
        // It ends in good order and without its end: nobody shall take it for complete.
        (Fault::Truncated, (200, false), E::TruncatedStream),
        (Fault::Reset, (200, false), E::ConnectionReset),
        (Fault::Stall, (200, false), E::StalledStream),
        (Fault::PingsOnly, (200, false), E::StalledStream),
        (Fault::NeverStarts, (504, true), E::TtftTimeout),
        (Fault::NoHeaders, (504, true), E::TtftTimeout),
    ] {
        check(fault, true, seen, error_type).await;
    }
}

#[tokio::test]
async fn a_whole_answer_that_breaks_is_seen_to_break() {
    use ErrorType as E;
    for (fault, seen, error_type) in [
        (Fault::Truncated, (200, false), E::TruncatedStream),
        (Fault::Reset, (200, false), E::ConnectionReset),
        (Fault::NoHeaders, (504, true), E::TotalTimeout),
    ] {
        check(fault, false, seen, error_type).await;
    }
}

#[tokio::test]
async fn what_a_stream_says_of_its_failure_passes_and_is_understood() {
    use ErrorType as E;
    for (fault, error_type) in [
        (Fault::OverloadedMidStream, E::Overloaded),
        (Fault::Html200, E::WrongContentType),
        (Fault::JsonOnStream, E::WrongContentType),
        (Fault::MalformedJson, E::MalformedJson),
        (Fault::SchemaMismatch, E::SchemaMismatch),
        (Fault::EmptyContent, E::EmptyContent),
        (Fault::Refusal, E::Refusal),
        (Fault::WrongModel, E::ModelMismatch),
    ] {
        check(fault, true, (200, true), error_type).await;
    }
}

/// Anthropic has one word for both.
#[tokio::test]
async fn a_filter_is_told_from_a_refusal_where_the_provider_tells_them_apart() {
    for (dialect, error_type) in [
        (Dialect::OpenaiChat, ErrorType::ContentFiltered),
        (Dialect::AnthropicMessages, ErrorType::Refusal),
    ] {
        let mut stage = Stage::stable(failing(Fault::ContentFilter), dialect).await;
        let heard = stage.ask(dialect, true).await;
        assert_eq!((heard.status, heard.is_whole), (200, true), "{heard:?}");
        let told = stage.told().await;
        assert_eq!((told.error_type, told.class), (error_type, SloClass::Excluded));
    }
}

#[tokio::test]
async fn oddities_of_healthy_providers_are_no_failures() {
    for fault in [
        Fault::EarlyFinish,
        Fault::NoDone,
        Fault::LingeringSocket,
        Fault::Crlf,
        Fault::Comments,
        Fault::UsageMissing,
        Fault::UsageWithChoices,
        // The user may have asked for anything, and for as little.
        Fault::WrongAnswer,
        Fault::MaxTokens,
    ] {
        check(fault, true, (200, true), ErrorType::None).await;
    }
}

#[tokio::test]
async fn nobody_there_is_a_bad_gateway() {
    let mut stage = Stage::stable(Behavior::default(), Dialect::OpenaiChat).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let target = target("old", &format!("http://{gone}"), Dialect::OpenaiChat);
    stage.settings.targets.insert(target.id.clone(), target.into());
    stage.router.reload(stage.settings.clone());
    let heard = stage.ask(Dialect::OpenaiChat, true).await;
    assert_eq!(heard.status, 502, "{heard:?}");
    assert!(heard.body.contains("the provider gave no answer: connect"), "{}", heard.body);
    assert_eq!(stage.told().await.error_type, ErrorType::Connect);
}

#[tokio::test]
async fn a_failure_before_the_first_byte_is_tried_again_and_one_after_it_never() {
    let share = crate::simulator::Share::new(0.5).unwrap();
    let flaky = |fault| Behavior {
        faults: vec![Injection { fault, share, after_tokens: None }],
        ..Behavior::default()
    };
    let mut route = route();
    route.retries = Retries { max: 6, pause: MS, pause_max: 5 * MS, budget_percent: 100 };
    let http = Fault::Http { status: 500, retry_after: None };
    let mut stage =
        Stage::new(flaky(http), Behavior::default(), route.clone(), Dialect::OpenaiChat).await;
    for _ in 0..10 {
        let heard = stage.ask(Dialect::OpenaiChat, true).await;
        assert_eq!((heard.status, heard.is_whole), (200, true), "{heard:?}");
        assert_eq!(stage.told().await.error_type, ErrorType::None);
    }
    let asked = stage.old.stats().requests as f64;
    let retried = stage.value("bellwether_router_retries_total", &["reason=\"server_error\""]);
    assert!(retried > 0.0 && asked == 10.0 + retried, "{asked} {retried}");

    let stage =
        Stage::new(flaky(Fault::Reset), Behavior::default(), route, Dialect::OpenaiChat).await;
    let mut cut = 0;
    for _ in 0..10 {
        cut += u32::from(!stage.ask(Dialect::OpenaiChat, true).await.is_whole);
    }
    assert!(cut > 0);
    assert_eq!(stage.old.stats().requests, 10, "bytes had gone out");
}

#[tokio::test]
async fn nobody_comes_back_earlier_than_told() {
    let asked = Duration::from_secs(1);
    let fault = Fault::Http { status: 429, retry_after: Some(asked) };
    let mut route = route();
    route.retries = Retries { max: 1, ..Retries::default() };
    let mut stage =
        Stage::new(failing(fault), Behavior::default(), route, Dialect::OpenaiChat).await;
    let began = tokio::time::Instant::now();
    let heard = stage.ask(Dialect::OpenaiChat, true).await;
    assert!(began.elapsed() >= asked);
    assert_eq!((heard.status, heard.header("retry-after")), (429, "1"));
    assert_eq!(stage.told().await.attempts, 2);
    assert_eq!(stage.old.stats().requests, 2);
    let at_target = "bellwether_router_target_attempts_total";
    assert_eq!(stage.value(at_target, &["target=\"old\"", "slo=\"bad\""]), 2.0);
    assert_eq!(stage.value(at_target, &["target=\"new\"", "slo=\"good\""]), 0.0);
    let waits = "bellwether_router_retry_wait_seconds_sum";
    assert!(stage.value(waits, &["source=\"retry_after\""]) >= 1.0);
}
