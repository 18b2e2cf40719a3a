//! aimock: both dialects as a test double sees them, and faults on demand.

use crate::peer::Peer;
use crate::probes::{Api, BROKEN, Delivery, Probe, RESPONSES, TOKENS, TPOT, WAYS, check};

#[tokio::test]
async fn aimock_comes_out_as_it_is() {
    let peer = Peer::start("node", "aimock.mjs");
    let mut probes = Vec::new();
    for way in WAYS {
        let healthy = Probe::healthy(way, "mock-1");
        // In Messages it says that every answer took no tokens at all.
        let healthy = match way {
            (Api::Chat, Delivery::Streamed) => {
                healthy.counting(TOKENS, &[("type", "output")]).counting(TPOT, &[])
            }
            (Api::Chat, Delivery::Whole) => healthy.counting(TOKENS, &[("type", "output")]),
            (Api::Messages, _) => healthy,
        };
        probes.push(healthy.clone().resting());
        probes.push(healthy.over_a_kept_connection());
        probes.push(Probe::failing(way, "mock-1", "http_401 excluded").with_wrong_key());
        let absent = Probe::failing(way, "absent", "http_404 excluded");
        probes.push(absent.counting(RESPONSES, &[("code", "404")]));
        let other = Probe { comes_to: "model_mismatch good", ..Probe::healthy(way, "mock-other") };
        probes.push(other);
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
