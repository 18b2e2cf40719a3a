//! LiteLLM's proxy: every interface that it speaks, by its own mocks and by way of aimock, with its own
//! faults and aimock's.
//!
//! What it makes of a fault differs by interface, and not always as its documentation has it: its mocks
//! of Messages are never streamed, those of Responses cannot be, and a broken connection behind it comes
//! out as an error inside a 200. Each line below was seen on the wire first.

use std::time::Duration;

use crate::peer::Peer;
use crate::probes::{Api, Delivery, Key, MORE_WAYS, Probe, RESPONSES, TOKENS, WAYS, check};
use Api::{Azure, Chat, Gemini, Messages, Responses};
use Delivery::{Streamed, Whole};

/// It takes a tenth of a second of a core for each answer. The first is cold, and no latency. While it
/// reads its own modules it hears nobody, and closes kept connections under questions that wait.
fn healthy(way: (Api, Delivery), model: &'static str) -> Probe {
    let probe = Probe::healthy(way, model);
    Probe { interval: Duration::from_secs(12), runs_min: 2, is_alone: true, ..probe }
}

fn failing(way: (Api, Delivery), model: &'static str, comes_to: &'static str) -> Probe {
    let probe = Probe::failing(way, model, comes_to);
    Probe { interval: Duration::from_secs(24), runs_min: 1, is_alone: true, ..probe }
}

fn every_way() -> impl Iterator<Item = (Api, Delivery)> {
    WAYS.into_iter().chain(MORE_WAYS)
}

#[tokio::test]
async fn litellm_comes_out_as_it_is() {
    let upstream = Peer::start("node", "aimock.mjs");
    let peer = Peer::start_with("python3", "litellm.py", &[&upstream.url]);
    check("litellm-echo", &peer, "nonce", &by_way_of_aimock()).await;
    check("litellm-mock", &peer, "{contains: bellwether}", &mocks()).await;
}

fn by_way_of_aimock() -> Vec<Probe> {
    let mut probes = Vec::new();
    for way in every_way() {
        let good = healthy(way, "echo");
        probes.push(match way {
            // Its count comes in a chunk with a choice, after the one with the finish reason.
            (Chat | Azure, _) => good.counting(TOKENS, &[("type", "output")]),
            // Here it tells the name of the model that it asked itself.
            (Responses, Streamed) => Probe { comes_to: "model_mismatch good", ..good },
            (Messages | Responses | Gemini, _) => good,
        });
        let limited = failing(way, "echo-limited", "rate_limited excluded");
        probes.push(limited.counting(RESPONSES, &[("code", "429")]));
        let error = failing(way, "echo-error", "server_error bad");
        probes.push(error.counting(RESPONSES, &[("code", "503")]));
        // Without a database it knows one key, and calls any other a bad request.
        probes.push(Probe { key: Key::Wrong, ..failing(way, "echo", "http_400 excluded") });
        probes.push(failing(way, "absent", "http_400 excluded"));
    }
    for way in WAYS {
        probes.push(healthy(way, "echo-claude"));
    }
    for api in [Chat, Messages, Responses] {
        // Before content or after it: what had passed by then is up to its own buffers.
        probes.push(failing((api, Streamed), "echo-cut", "server_error bad"));
    }
    probes
}

fn mocks() -> Vec<Probe> {
    let mut probes = Vec::new();
    for way in every_way() {
        probes.push(match way {
            (Messages, Streamed) => failing(way, "mock-1", "wrong_content_type bad"),
            (Responses, Streamed) => {
                failing(way, "mock-1", "server_error bad").counting(RESPONSES, &[("code", "500")])
            }
            (Chat | Azure, _) => healthy(way, "mock-1").counting(TOKENS, &[("type", "output")]),
            (Messages | Responses | Gemini, _) => healthy(way, "mock-1"),
        });
    }
    // Elsewhere its mocks answer with the fault's name.
    for way in WAYS.into_iter().chain([(Azure, Streamed), (Azure, Whole), (Gemini, Streamed)]) {
        for (model, comes_to, code) in [
            ("mock-limited", "rate_limited excluded", "429"),
            ("mock-context", "http_400 excluded", "400"),
            ("mock-error", "server_error bad", "500"),
        ] {
            probes.push(failing(way, model, comes_to).counting(RESPONSES, &[("code", code)]));
        }
    }
    for way in [(Chat, Streamed), (Chat, Whole)] {
        let late = failing(way, "mock-timeout", "_OTHER bad");
        probes.push(late.counting(RESPONSES, &[("code", "408")]));
    }
    probes
}
