//! The same alerts that a real Alertmanager 0.25 was given, and what it then told its receivers
//! (`captured.jsonl`, one webhook body a line): four routes, odd characters, a first notice for
//! each group, then resolves.

use std::time::Duration;

use serde_json::Value;

use super::alert::tests::{firing, resolved};
use super::route::tests::route;
use super::{Alert, Dispatcher, Integration, Receiver, Route, Webhook};
use crate::model::{HttpSettings, Labels, Timestamp, UrlSource};

const CAPTURED: &str = include_str!("captured.jsonl");
const SECOND: Duration = Duration::from_secs(1);

fn alerts(now: Timestamp) -> Vec<Alert> {
    let errors = ("alertname", "ErrorRatio");
    let (openai, critical) = (("provider", "openai"), ("severity", "critical"));
    let alert = |labels: &[(&str, &str)], annotations: &[(&str, &str)]| Alert {
        annotations: Labels::from_pairs(annotations.iter().copied()),
        starts_at: now,
        generator_url: "http://b/graph?g0.expr=1".to_owned(),
        ..firing(labels, 0)
    };
    vec![
        alert(&[errors, ("model", "gpt-x"), openai, critical], &[("summary", "s"), ("d", "1")]),
        alert(&[errors, ("model", "gpt-y"), openai, critical], &[("summary", "s"), ("d", "2")]),
        alert(&[errors, openai, critical, ("zone", "1")], &[("summary", "s")]),
        alert(&[errors, ("amodel", "1"), openai, critical], &[("summary", "s")]),
        alert(&[errors, openai, ("job", "b"), ("instance", "2")], &[]),
        alert(&[errors, openai, ("job", "b"), ("instance", "1"), ("x", "y")], &[]),
        alert(
            &[("alertname", "We\"ird\\ né\nline"), ("provider", ""), ("severity", "warning")],
            &[("summary", "a<b>&c")],
        ),
    ]
}

fn dispatcher() -> Dispatcher {
    let timed = |receiver, matchers: &[&str], group_by: &[&str], routes| Route {
        group_by: group_by.iter().map(|name| (*name).to_owned()).collect(),
        group_wait: SECOND,
        group_interval: 3 * SECOND,
        repeat_interval: 3600 * SECOND,
        ..route(receiver, matchers, routes)
    };
    let usual = ["alertname", "provider"];
    let audit =
        timed("audit", &[r#"severity=~".+""#, r#"alertname!="q\"""#], &["severity"], vec![]);
    let routes = vec![
        Route { goes_on: true, ..audit },
        timed("pages", &["severity=critical"], &usual, vec![]),
        timed("every", &["severity=warning"], &["..."], vec![]),
    ];
    let receiver = |name: &str, alerts_max| Receiver {
        name: name.to_owned(),
        integrations: vec![Integration::Webhook(Webhook {
            url: UrlSource::Plain("http://127.0.0.1/".to_owned()),
            send_resolved: true,
            alerts_max,
            body: None,
            timeout: SECOND,
            signing_secrets: Vec::new(),
            http: HttpSettings::default(),
        })],
    };
    let receivers =
        [receiver("all", 0), receiver("audit", 2), receiver("pages", 0), receiver("every", 0)];
    Dispatcher::new(Some(timed("all", &[], &usual, routes)), &receivers, "http://am.example")
}

/// Bodies in an order of their own.
fn sorted<'a>(bodies: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    let mut bodies: Vec<Value> =
        bodies.into_iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    bodies.sort_by_key(Value::to_string);
    bodies
}

#[test]
fn receivers_are_told_what_alertmanager_told_them() {
    let now = Timestamp::from_millis(1_795_353_086_123);
    let mut dispatcher = dispatcher();
    let alerts = alerts(now);
    dispatcher.step(now, &alerts);
    let mut notices = dispatcher.step(now + SECOND, &[]).notices;
    let end = now + 2 * SECOND;
    let ended: Vec<Alert> = [0, 2, 5, 6]
        .into_iter()
        .map(|position| Alert { ends_at: Some(end), ..resolved(&alerts[position], 0) })
        .collect();
    dispatcher.step(end, &ended);
    notices.extend(dispatcher.step(now + 4 * SECOND, &[]).notices);
    assert!(dispatcher.step(now + 7 * SECOND, &[]).notices.is_empty());
    let told = sorted(notices.iter().map(|notice| &*notice.delivery.body));
    let expected = sorted(CAPTURED.lines());
    assert_eq!(told.len(), expected.len());
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!(told, expected);
    }
}
