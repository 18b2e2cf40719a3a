//! Planned maintenance on the page and in the API.

use std::collections::BTreeMap;

use super::*;
use crate::engine::TargetStatus;
use crate::model::{HttpSettings, ProviderId};
use crate::probe::{Budget, Check, Connection, Delivery, Planned, Target, Thresholds, Timeouts};
use crate::provider::{Auth, Dialect, Provider, Wire};

fn status(name: &str, planned: Option<Planned>) -> TargetStatus {
    let provider = Provider {
        id: ProviderId::new("p"),
        dialect: Dialect::OpenaiChat,
        system: "openai".to_owned(),
        base_url: "http://127.0.0.1:1".to_owned(),
        auth: Auth::None,
        http: HttpSettings::default(),
        wire: Wire::default(),
        models: BTreeMap::new(),
    };
    let target = Target {
        id: TargetId::new(name),
        provider: Arc::new(provider),
        model: "m".to_owned(),
        delivery: Delivery::Streamed,
        interval: SECOND,
        in_flight_max: 2,
        timeouts: Timeouts { connect: SECOND, first_token: SECOND, idle: SECOND, total: SECOND },
        thresholds: Thresholds::default(),
        tokens_max: 8,
        prompt: None,
        check: Check::Any,
        page: None,
        connection: Connection::Warm,
        budget: Budget::Unlimited,
        classes: BTreeMap::new(),
    };
    TargetStatus { planned, ..TargetStatus::new(Arc::new(target)) }
}

#[tokio::test]
async fn the_page_and_the_api_say_until_when_maintenance_is_planned() {
    let house = House::start().await;
    let until = Some(Timestamp::from_millis(1_801_432_800_000));
    let mut state = Snapshot::clone(&house.snapshot.borrow());
    state.targets = vec![
        status("a", Some(Planned { until })),
        status("b", Some(Planned { until: None })),
        status("c", None),
    ];
    house.snapshot.send_replace(Arc::new(state));
    let page = house.get("/").await.1;
    let said = "a<br><small>planned maintenance until 2027-01-31T22:00:00.000Z</small>";
    assert!(page.contains(said), "{page}");
    assert!(page.contains("b<br><small>planned maintenance</small>"), "{page}");
    assert!(page.contains(">c</th>"), "{page}");
    let (_, body) = house.json("/api/v1/targets").await;
    let targets = body["data"]["activeTargets"].as_array().unwrap();
    let labels: Vec<&Value> = targets.iter().map(|target| &target["discoveredLabels"]).collect();
    let label = |until| json!({"__meta_bellwether_maintenance_until": until});
    assert_eq!(labels, [&label("2027-01-31T22:00:00.000Z"), &label("unknown"), &json!({})]);
}
