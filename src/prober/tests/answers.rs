//! What comes of an answer.

use super::*;
use crate::model::{SecretSource, Timestamp};
use crate::probe::Anomaly;
use crate::provider::{ErrorType, SloClass, StreamPhase};

#[tokio::test]
async fn a_healthy_stream_is_measured_from_send_to_its_end() {
    let behavior = Behavior {
        headers: 20 * MS,
        ttft: 60 * MS,
        gap: 10 * MS,
        tokens: 6,
        ..Behavior::default()
    };
    let simulator = simulator(behavior).await;
    for dialect in Dialect::MODELS {
        let target = speaking(&target(&simulator.base_url()), dialect);
        let outcome = probe(&target).await;
        assert_eq!(outcome.error_type, ErrorType::None, "{outcome:?}");
        assert_eq!(outcome.class, SloClass::Good);
        assert_eq!(outcome.status, Some(200));
        let phases = outcome.phases;
        assert!(phases.connect.is_some() && phases.tls.is_none(), "{phases:?}");
        let (ttft, total) = (outcome.ttft.unwrap(), outcome.total);
        // The script's times are lower bounds; a busy machine only adds to them.
        assert!(phases.headers.unwrap() >= 20 * MS, "{phases:?}");
        assert!(ttft >= 60 * MS && total >= 110 * MS, "{outcome:?}");
        let parts = phases.headers.unwrap() + phases.first_content.unwrap();
        assert_eq!(parts, ttft);
        assert_eq!(parts + phases.stream.unwrap(), total);
        assert_eq!(outcome.ttfo, outcome.ttft);
        let usage = outcome.usage.unwrap();
        let spread: Duration = outcome.gaps.iter().sum();
        let tokens = u32::try_from(usage.output).unwrap();
        assert_eq!(outcome.time_per_output_token, Some(spread / (tokens - 1)));
        let nanos = usage.input * 1000 + usage.output * 2000;
        assert_eq!(outcome.cost, Some(Money::from_nanos(nanos)));
        assert!(outcome.is_cold && outcome.is_conclusive);
        assert!(outcome.finished >= outcome.due && outcome.due > Timestamp::from_millis(0));
    }
    simulator.stop().await;
}

#[tokio::test]
async fn a_whole_answer_has_no_first_token() {
    let simulator = simulator(Behavior { ttft: 30 * MS, ..Behavior::default() }).await;
    for dialect in Dialect::MODELS {
        let streamed = speaking(&target(&simulator.base_url()), dialect);
        let target = Target { delivery: Delivery::Whole, ..streamed };
        let outcome = probe(&target).await;
        assert_eq!(outcome.error_type, ErrorType::None, "{outcome:?}");
        assert_eq!((outcome.ttft, outcome.ttfo, outcome.time_per_output_token), (None, None, None));
        assert!(outcome.gaps.is_empty() && outcome.phases.first_content.is_none());
        let phases = outcome.phases;
        assert_eq!(phases.headers.unwrap() + phases.stream.unwrap(), outcome.total);
        assert!(outcome.total >= 30 * MS);
    }
    simulator.stop().await;
}

#[tokio::test]
async fn each_fault_has_its_type() {
    use ErrorType as E;
    let http = |status| Fault::Http { status, retry_after: None };
    let cases = [
        (http(401), E::Http401, E::Http401),
        (http(404), E::Http404, E::Http404),
        (http(429), E::RateLimited, E::RateLimited),
        (http(500), E::ServerError, E::ServerError),
        (http(529), E::Overloaded, E::Overloaded),
        (Fault::QuotaExhausted, E::QuotaExhausted, E::QuotaExhausted),
        (Fault::OverloadedMidStream, E::Overloaded, E::Overloaded),
        (Fault::Truncated, E::TruncatedStream, E::TruncatedStream),
        (Fault::Reset, E::ConnectionReset, E::ConnectionReset),
        (Fault::Html200, E::WrongContentType, E::WrongContentType),
        (Fault::JsonOnStream, E::WrongContentType, E::None),
        (Fault::MalformedJson, E::MalformedJson, E::MalformedJson),
        (Fault::SchemaMismatch, E::SchemaMismatch, E::SchemaMismatch),
        (Fault::EmptyContent, E::EmptyContent, E::EmptyContent),
        (Fault::WrongAnswer, E::ContentCheckFailed, E::ContentCheckFailed),
        (Fault::Refusal, E::Refusal, E::Refusal),
        (Fault::MaxTokens, E::MaxTokensReached, E::MaxTokensReached),
        (Fault::WrongModel, E::ModelMismatch, E::ModelMismatch),
        (Fault::UsageMissing, E::UsageMissing, E::UsageMissing),
        (Fault::EarlyFinish, E::None, E::None),
        (Fault::NoDone, E::None, E::None),
        (Fault::LingeringSocket, E::None, E::None),
        (Fault::Crlf, E::None, E::None),
        (Fault::Comments, E::None, E::None),
    ];
    for (fault, streamed, whole) in cases {
        let simulator = simulator(failing(fault)).await;
        for dialect in Dialect::MODELS {
            // Google has no refusal of its own: its filter cuts what it declines.
            let (streamed, whole) = match (dialect, fault) {
                (Dialect::Gemini, Fault::Refusal) => (E::ContentFiltered, E::ContentFiltered),
                _ => (streamed, whole),
            };
            let target = speaking(&target(&simulator.base_url()), dialect);
            let outcome = probe(&target).await;
            assert_eq!(outcome.error_type, streamed, "{dialect:?} {fault:?} {outcome:?}");
            assert_eq!(outcome.class, streamed.class());
            let target = Target { delivery: Delivery::Whole, ..target };
            let outcome = probe(&target).await;
            assert_eq!(outcome.error_type, whole, "whole {dialect:?} {fault:?} {outcome:?}");
        }
        simulator.stop().await;
    }
}

#[tokio::test]
async fn azures_dated_interface_is_asked_by_deployment_and_version() {
    let simulator = simulator(Behavior::default()).await;
    let target = speaking(&target(&simulator.base_url()), Dialect::AzureOpenai);
    let wire = Wire { api_version: Some("2024-10-21".to_owned()), ..Wire::default() };
    let provider = Provider { wire, ..Provider::clone(&target.provider) };
    let target = Target { provider: Arc::new(provider), ..target };
    let (outcome, trace) = probe_once(&target, &Clock::start()).await;
    assert_eq!(outcome.error_type, ErrorType::None, "{outcome:?}");
    let url = format!("{}/openai/deployments/m/chat/completions", simulator.base_url());
    assert_eq!(trace.url, Some(url));
    simulator.stop().await;
}

#[tokio::test]
async fn each_way_of_sending_a_key_is_taken_where_one_is_demanded() {
    // `PATH` stands for a key: a variable that is set wherever a test runs.
    let key = || SecretSource::Env("PATH".to_owned());
    let script = Script { key: std::env::var("PATH").ok(), ..Script::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = Simulator::spawn(listener, script, 7).await;
    for (dialect, auth) in [
        (Dialect::OpenaiResponses, Auth::Bearer(key())),
        (Dialect::AzureOpenai, Auth::AzureKey(key())),
        (Dialect::AzureOpenai, Auth::Bearer(key())),
        (Dialect::Gemini, Auth::GoogleKey(key())),
    ] {
        let target = speaking(&target(&simulator.base_url()), dialect);
        let provider = Provider { auth, ..Provider::clone(&target.provider) };
        let (outcome, trace) =
            probe_once(&Target { provider: Arc::new(provider), ..target }, &Clock::start()).await;
        assert_eq!(outcome.error_type, ErrorType::None, "{outcome:?}");
        assert!(!format!("{trace:?}").contains(&std::env::var("PATH").unwrap()));
    }
    simulator.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_says_where() {
    for (after, phase) in [(0, StreamPhase::BeforeContent), (3, StreamPhase::AfterContent)] {
        let mut behavior = failing(Fault::Truncated);
        behavior.faults[0].after_tokens = Some(after);
        let simulator = simulator(behavior).await;
        let outcome = probe(&target(&simulator.base_url())).await;
        assert_eq!(outcome.error_type, ErrorType::TruncatedStream);
        assert_eq!(outcome.broke, Some(phase));
        assert_eq!(outcome.ttft.is_some(), phase == StreamPhase::AfterContent);
        simulator.stop().await;
    }
}

#[tokio::test]
async fn oddities_are_counted_and_end_no_later_than_they_must() {
    for (fault, anomaly) in
        [(Fault::NoDone, Anomaly::NoDone), (Fault::LingeringSocket, Anomaly::LingeringSocket)]
    {
        let simulator = simulator(failing(fault)).await;
        let outcome = probe(&target(&simulator.base_url())).await;
        assert_eq!(outcome.error_type, ErrorType::None);
        assert!(outcome.anomalies.contains(&anomaly), "{outcome:?}");
        // The end is the evidence and not the wait for what follows it.
        assert!(outcome.total < 250 * MS, "{fault:?} {:?}", outcome.total);
        simulator.stop().await;
    }
}

#[tokio::test]
async fn nobody_at_the_port_is_a_failure_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let outcome = probe(&target(&url)).await;
    assert_eq!(outcome.error_type, ErrorType::Connect);
    assert_eq!((outcome.status, outcome.ttft, outcome.cost), (None, None, None));
}

#[tokio::test]
async fn a_missing_key_is_our_own_fault_and_is_named() {
    let target = target("http://127.0.0.1:9");
    let key = SecretSource::Env("BELLWETHER_TEST_NO_SUCH_VARIABLE".to_owned());
    let provider = Provider { auth: Auth::Bearer(key), ..Provider::clone(&target.provider) };
    let outcome = probe(&Target { provider: Arc::new(provider), ..target }).await;
    assert_eq!(outcome.error_type, ErrorType::Internal);
    assert_eq!(outcome.class, SloClass::Excluded);
    assert!(outcome.detail.contains("BELLWETHER_TEST_NO_SUCH_VARIABLE"), "{}", outcome.detail);
}

#[tokio::test]
async fn a_trace_tells_the_steps_in_order_and_no_secret() {
    let simulator = simulator(Behavior::default()).await;
    let target = target(&simulator.base_url());
    // `PATH` stands for a key: a variable that is set wherever a test runs.
    let key = SecretSource::Env("PATH".to_owned());
    let provider = Provider { auth: Auth::ApiKey(key), ..Provider::clone(&target.provider) };
    let target = Target { provider: Arc::new(provider), ..target };
    let (outcome, trace) = probe_once(&target, &Clock::start()).await;
    assert_eq!(outcome.error_type, ErrorType::None);
    let whats: Vec<_> = trace.steps.iter().map(|step| step.what).collect();
    assert_eq!(
        whats,
        [
            "connection started",
            "connection ready",
            "request sent",
            "headers came",
            "first content came",
            "first output came",
            "ended"
        ]
    );
    assert!(trace.steps.is_sorted_by_key(|step| step.at), "{trace:?}");
    assert_eq!(trace.is_new_connection, Some(true));
    assert!(!format!("{trace:?}").contains(&std::env::var("PATH").unwrap()));
    assert!(trace.request_headers.contains(&("x-api-key".to_owned(), "***".to_owned())));
    simulator.stop().await;
}
