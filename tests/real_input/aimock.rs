//! aimock: every dialect as a test double sees it, and faults on demand.

use crate::peer::Peer;
use crate::probes::{
    Api, BROKEN, Delivery, MORE_WAYS, Probe, RESPONSES, TOKENS, TPOT, WAYS, check,
};

#[tokio::test]
async fn aimock_comes_out_as_it_is() {
    let peer = Peer::start("node", "aimock.mjs");
    let mut probes = Vec::new();
    for way in WAYS.into_iter().chain(MORE_WAYS) {
        let healthy = Probe::healthy(way, "mock-1");
        // In Messages it says that every answer took no tokens at all.
        let healthy = match way {
            (Api::Chat, Delivery::Streamed) => {
                healthy.counting(TOKENS, &[("type", "output")]).counting(TPOT, &[])
            }
            (Api::Chat, Delivery::Whole) => healthy.counting(TOKENS, &[("type", "output")]),
            (Api::Messages | Api::Responses | Api::Azure | Api::Gemini, _) => healthy,
        };
        probes.push(healthy.clone().resting());
        probes.push(healthy.over_a_kept_connection());
        probes.push(Probe::failing(way, "mock-1", "http_401 excluded").with_wrong_key());
        let absent = Probe::failing(way, "absent", "http_404 excluded");
        probes.push(absent.counting(RESPONSES, &[("code", "404")]));
        // Of a deployment of Azure's nobody knows the model, and in Gemini's words aimock says none.
        let comes_to = match way.0 {
            Api::Chat | Api::Messages | Api::Responses => "model_mismatch good",
            Api::Azure | Api::Gemini => "none good",
        };
        probes.push(Probe { comes_to, ..Probe::healthy(way, "mock-other") });
        let error = Probe::failing(way, "mock-error", "server_error bad");
        probes.push(error.counting(RESPONSES, &[("code", "503")]));
        let limited = Probe::failing(way, "mock-limited", "rate_limited excluded");
        probes.push(limited.counting(RESPONSES, &[("code", "429")]));
    }
    for (api, phase) in [(Api::Chat, "after_content"), (Api::Messages, "before_content")] {
        let way = (api, Delivery::Streamed);
        let cut = Probe::failing(way, "mock-truncated", "truncated_stream bad");
        probes.push(cut.counting(BROKEN, &[("phase", phase), ("error_type", "truncated_stream")]));
    }
    check("aimock", &peer, "nonce", &probes).await;
}
