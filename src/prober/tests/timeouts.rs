//! Each wait has its own deadline.

use super::*;
use crate::provider::ErrorType;

fn patience(connect: u32, first_token: u32, idle: u32, total: u32) -> Timeouts {
    Timeouts {
        connect: connect * MS,
        first_token: first_token * MS,
        idle: idle * MS,
        total: total * MS,
    }
}

#[tokio::test]
async fn each_silence_has_its_own_timeout() {
    use ErrorType::{StalledStream, TotalTimeout, TtftTimeout};
    let cases = [
        (Fault::NoHeaders, patience(5000, 60, 5000, 9000), TtftTimeout, 60),
        (Fault::NeverStarts, patience(5000, 60, 5000, 9000), TtftTimeout, 60),
        // Long enough for a ping (below: for content) to come first, on a busy machine too.
        (Fault::PingsOnly, patience(5000, 500, 5000, 9000), StalledStream, 500),
        (Fault::Stall, patience(5000, 5000, 60, 9000), StalledStream, 60),
        (Fault::NoHeaders, patience(5000, 5000, 5000, 60), TotalTimeout, 60),
        (Fault::Stall, patience(5000, 5000, 5000, 800), TotalTimeout, 800),
    ];
    for (fault, timeouts, expected, least) in cases {
        let simulator = simulator(failing(fault)).await;
        for dialect in Dialect::MODELS {
            let target = Target { timeouts, ..speaking(&target(&simulator.base_url()), dialect) };
            let outcome = probe(&target).await;
            assert_eq!(outcome.error_type, expected, "{fault:?} {outcome:?}");
            assert!(outcome.total >= least * MS && outcome.total < 4000 * MS, "{outcome:?}");
            assert_eq!(outcome.ttft.is_some(), fault == Fault::Stall);
        }
        simulator.stop().await;
    }
}

#[tokio::test]
async fn pings_between_content_do_not_keep_a_stream_alive() {
    let mut behavior = failing(Fault::PingsOnly);
    behavior.keepalive = 5 * MS;
    let simulator = simulator(behavior).await;
    let timeouts = patience(5000, 500, 5000, 9000);
    let outcome = probe(&Target { timeouts, ..target(&simulator.base_url()) }).await;
    assert_eq!(outcome.error_type, ErrorType::StalledStream);
    assert_eq!(outcome.detail, "nothing but keep-alives within 500ms");
    simulator.stop().await;
}

#[tokio::test]
async fn a_whole_answer_knows_the_total_alone() {
    let simulator = simulator(Behavior { ttft: 120 * MS, ..Behavior::default() }).await;
    let whole = Target { delivery: Delivery::Whole, ..target(&simulator.base_url()) };
    let timeouts = patience(5000, 20, 20, 5000);
    let outcome = probe(&Target { timeouts, ..whole.clone() }).await;
    assert_eq!(outcome.error_type, ErrorType::None, "{outcome:?}");
    let timeouts = patience(5000, 20, 20, 60);
    let outcome = probe(&Target { timeouts, ..whole }).await;
    assert_eq!(outcome.error_type, ErrorType::TotalTimeout);
    simulator.stop().await;
}

// A port that takes connections and never speaks TLS stands for a network that swallows packets.
#[tokio::test]
async fn a_connection_that_never_stands_is_a_connect_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let timeouts = patience(60, 5000, 5000, 9000);
    let outcome = probe(&Target { timeouts, ..target(&url) }).await;
    assert_eq!(outcome.error_type, ErrorType::ConnectTimeout, "{outcome:?}");
    assert!(outcome.total >= 60 * MS && outcome.total < 4000 * MS);
}
