//! The prober against the simulated provider and against raw sockets.

mod answers;
mod catalog;
mod connections;
mod pages;
mod rounds;
mod timeouts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::probe_once;
use crate::clock::Clock;
use crate::model::{HttpSettings, Money, ProviderId, TargetId};
use crate::price::{Price, PriceList, Rates};
use crate::probe::{Budget, Check, Connection, Delivery, Outcome, Target, Thresholds, Timeouts};
use crate::provider::{Auth, Dialect, Model, Provider, Wire};
use crate::simulator::{Behavior, Fault, Injection, Script, Share, Simulator};

const MS: Duration = Duration::from_millis(1);

/// A dollar and two for a million tokens.
const RATES: Rates =
    Rates::plain(Money::from_nanos(1_000_000_000), Money::from_nanos(2_000_000_000));

/// A streamed target that is patient.
fn target(base_url: &str) -> Target {
    let price = PriceList::always(Price::flat(RATES));
    let model = Model { price: Some(price), answers_as: Some("m".to_owned()), ..Model::default() };
    let provider = Provider {
        id: ProviderId::new("p"),
        dialect: Dialect::OpenaiChat,
        system: "openai".to_owned(),
        base_url: base_url.to_owned(),
        auth: Auth::None,
        http: HttpSettings::default(),
        wire: Wire::default(),
        models: BTreeMap::from([("m".to_owned(), model)]),
    };
    Target {
        id: TargetId::new("t"),
        provider: Arc::new(provider),
        model: "m".to_owned(),
        delivery: Delivery::Streamed,
        interval: 1000 * MS,
        in_flight_max: 2,
        timeouts: Timeouts {
            connect: 5000 * MS,
            first_token: 5000 * MS,
            idle: 5000 * MS,
            total: 10_000 * MS,
        },
        thresholds: Thresholds::default(),
        tokens_max: 32,
        prompt: None,
        check: Check::Nonce,
        page: None,
        connection: Connection::Warm,
        budget: Budget::Unlimited,
        classes: BTreeMap::new(),
    }
}

fn speaking(target: &Target, dialect: Dialect) -> Target {
    let provider = Provider { dialect, ..Provider::clone(&target.provider) };
    Target { provider: Arc::new(provider), ..target.clone() }
}

async fn simulator(behavior: Behavior) -> Simulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::spawn(listener, Script::always(behavior), 7).await
}

fn failing(fault: Fault) -> Behavior {
    let injection = Injection { fault, share: Share::ALL, after_tokens: None };
    Behavior { faults: vec![injection], keepalive: 10 * MS, ..Behavior::default() }
}

async fn probe(target: &Target) -> Outcome {
    probe_once(target, &Clock::start()).await.0
}
