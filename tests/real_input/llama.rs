//! llama.cpp: a real engine with real tokens.

use crate::peer::Peer;
use crate::probes::{Delivery, Probe, TOKENS, TPOT, WAYS, check};

/// The tiny model says random letters, so no nonce can be asked for.
const ANSWER: &str = "{regex: '[A-Za-z0-9]'}";

#[tokio::test]
async fn llama_comes_out_as_it_is() {
    let peer = Peer::start("python3", "llama.py");
    let mut probes = Vec::new();
    for way in WAYS {
        let healthy = Probe::healthy(way, "tiny")
            .counting(TOKENS, &[("type", "input")])
            .counting(TOKENS, &[("type", "output")]);
        // Its head promises to keep the connection for five seconds; after a stream it closes it
        // at once all the same.
        match way.1 {
            Delivery::Streamed => {
                probes.push(healthy.counting(TPOT, &[]).over_new_connections());
            }
            Delivery::Whole => {
                probes.push(healthy.clone().resting());
                probes.push(healthy.over_a_kept_connection());
            }
        }
        probes.push(Probe::failing(way, "tiny", "http_401 excluded").with_wrong_key());
        // It answers with the one model it has, whatever it was asked for. The user was served.
        let other = Probe { comes_to: "model_mismatch good", ..Probe::healthy(way, "absent") };
        probes.push(other);
    }
    check("llama", &peer, ANSWER, &probes).await;
}
