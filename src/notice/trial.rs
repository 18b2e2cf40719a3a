//! Notices that only try whether a receiver can be told, and say so.

use std::time::Duration;

use super::{Alert, Dispatcher, Notice, Receiver, Route};
use crate::model::{Labels, Timestamp};

/// What a trial alert is called.
pub const TRIAL: &str = "BellwetherTest";
/// Between the beginning and the end: a later flush of the same group.
const LENGTH: Duration = Duration::from_secs(1);

/// The notices of a test alert that begins and ends at once, as a route to the receiver would send
/// them: first the beginning to each of its integrations, then the end to those that want it.
pub fn trial(receiver: &Receiver, external_url: &str, now: Timestamp) -> Vec<Notice> {
    let route = Route {
        receiver: receiver.name.clone(),
        matchers: Vec::new(),
        goes_on: false,
        group_by: vec!["alertname".to_owned()],
        group_wait: Duration::ZERO,
        group_interval: LENGTH,
        repeat_interval: Duration::MAX,
        mute_time_intervals: Vec::new(),
        active_time_intervals: Vec::new(),
        routes: Vec::new(),
    };
    let mut dispatcher = Dispatcher::new(Some(route), std::slice::from_ref(receiver), external_url);
    let (summary, description) = (
        "This is a test of bellwether's notices: nothing is wrong",
        "Somebody ran `bellwether notify test`; no action is needed. It resolves at once.",
    );
    let fires = Alert {
        labels: Labels::from_pairs([("alertname", TRIAL), ("severity", "info")]),
        annotations: Labels::from_pairs([("summary", summary), ("description", description)]),
        is_firing: true,
        starts_at: now,
        ends_at: None,
        value: 1.0,
        generator_url: String::new(),
        // Another one each time: an end must not close what an earlier test opened.
        incident: format!("test/{}", now.millis()),
    };
    let ended = now + LENGTH;
    let over = Alert { is_firing: false, ends_at: Some(ended), ..fires.clone() };
    let mut notices = dispatcher.step(now, &[fires]).notices;
    notices.extend(dispatcher.step(ended, &[over]).notices);
    notices
}

#[cfg(test)]
mod tests {
    use super::super::{Integration, Webhook};
    use super::*;
    use crate::model::{HttpSettings, UrlSource};

    #[test]
    fn a_trial_is_told_from_its_beginning_to_its_end_and_says_what_it_is() {
        let webhook = |send_resolved| {
            Integration::Webhook(Webhook {
                url: UrlSource::Plain("http://127.0.0.1/".to_owned()),
                send_resolved,
                alerts_max: 0,
                body: None,
                timeout: LENGTH,
                signing_secrets: Vec::new(),
                http: HttpSettings::default(),
            })
        };
        let integrations = vec![webhook(true), webhook(false)];
        let receiver = Receiver { name: "all".to_owned(), integrations };
        let notices = trial(&receiver, "http://b", Timestamp::from_millis(1_000_000));
        let told: Vec<(&str, usize, usize)> = notices
            .iter()
            .map(|notice| {
                (notice.delivery.hook.as_str(), notice.firing.len(), notice.resolved.len())
            })
            .collect();
        let first = "receiver/all/0";
        assert_eq!(told, [(first, 1, 0), ("receiver/all/1", 1, 0), (first, 0, 1)]);
        for notice in &notices {
            assert!(notice.delivery.body.contains("This is a test"), "{}", notice.delivery.body);
        }
    }
}
