//! Whether it is our own network that fails.
//!
//! When the last outcome of every target is a failure to reach it at all, and the targets live on at
//! least three distinct hosts, the common cause is nearer to us than to them: the vantage is
//! suspect. A reference endpoint that fails too stands in for the number of hosts. With fewer hosts
//! and no reference nothing is ever excused, since two providers can well be down together.
//!
//! "Last" has a limit: a target that has not been heard of for three intervals and one whole probe
//! (its budget is spent, or its probes hang) neither accuses nor excuses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::settings::{Target, Timeouts};
use crate::model::{TargetId, Timestamp};
use crate::provider::ErrorType;

/// Fewer distinct hosts prove nothing.
const HOSTS_MIN: usize = 3;

/// What was last heard of each target.
#[derive(Clone, Debug, Default)]
pub struct Vantage {
    last: BTreeMap<TargetId, Heard>,
    has_lost_reference: bool,
}

#[derive(Clone, Debug)]
struct Heard {
    host: String,
    is_unreached: bool,
    until: Timestamp,
}

impl Vantage {
    /// Takes in an outcome of a target on a host.
    pub fn hear(
        &mut self,
        finished: Timestamp,
        target: &Target,
        host: &str,
        error_type: ErrorType,
    ) {
        // Cancelled probes and our own faults tell nothing of the network.
        if matches!(error_type, ErrorType::Cancelled | ErrorType::Internal) {
            return;
        }
        let heard = Heard {
            host: host.to_owned(),
            is_unreached: is_unreached(error_type),
            until: finished + patience(target),
        };
        self.last.insert(target.id.clone(), heard);
    }

    /// Takes in whether the reference endpoint, where one is configured, failed too.
    pub fn hear_reference(&mut self, has_failed: bool) {
        self.has_lost_reference = has_failed;
    }

    /// Forgets a target.
    pub fn forget(&mut self, target: &TargetId) {
        self.last.remove(target);
    }

    /// Whether anybody could not be reached lately, so that the reference is worth asking.
    pub fn has_unreached(&self, now: Timestamp) -> bool {
        self.last.values().any(|heard| heard.until >= now && heard.is_unreached)
    }

    /// Whether the vantage is suspect.
    pub fn is_suspect(&self, now: Timestamp) -> bool {
        let recent = || self.last.values().filter(|heard| heard.until >= now);
        if !recent().all(|heard| heard.is_unreached) {
            return false;
        }
        let hosts: BTreeSet<&str> = recent().map(|heard| heard.host.as_str()).collect();
        hosts.len() >= HOSTS_MIN || (self.has_lost_reference && !hosts.is_empty())
    }
}

/// How long an outcome speaks for its target.
fn patience(target: &Target) -> Duration {
    let Timeouts { connect, total, .. } = target.timeouts;
    target.interval.saturating_mul(3).saturating_add(connect).saturating_add(total)
}

/// Whether an outcome says that the provider was not reached at all.
pub fn is_unreached(error_type: ErrorType) -> bool {
    matches!(error_type, ErrorType::Dns | ErrorType::Connect | ErrorType::ConnectTimeout)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{HttpSettings, ProviderId};
    use crate::probe::{Budget, Check, Connection, Delivery, Thresholds};
    use crate::provider::{Auth, Dialect, Provider, Wire};

    /// Speaks for 3 × 30 + 10 + 80 seconds.
    fn target(name: &str) -> Target {
        let provider = Provider {
            id: ProviderId::new("p"),
            dialect: Dialect::OpenaiChat,
            system: String::new(),
            base_url: String::new(),
            auth: Auth::None,
            http: HttpSettings::default(),
            wire: Wire::default(),
            models: BTreeMap::new(),
        };
        let seconds = Duration::from_secs;
        Target {
            id: TargetId::new(name),
            provider: Arc::new(provider),
            model: String::new(),
            delivery: Delivery::Whole,
            interval: seconds(30),
            in_flight_max: 1,
            timeouts: Timeouts {
                connect: seconds(10),
                first_token: seconds(20),
                idle: seconds(20),
                total: seconds(80),
            },
            thresholds: Thresholds::default(),
            tokens_max: 1,
            prompt: None,
            check: Check::Any,
            page: None,
            connection: Connection::Warm,
            budget: Budget::Unlimited,
            classes: BTreeMap::new(),
        }
    }

    fn vantage(heard: &[(&str, &str, ErrorType)]) -> Vantage {
        let mut vantage = Vantage::default();
        for (name, host, error_type) in heard {
            vantage.hear(Timestamp::from_millis(0), &target(name), host, *error_type);
        }
        vantage
    }

    fn check(heard: &[(&str, &str, ErrorType)], expected: bool) {
        let vantage = vantage(heard);
        assert_eq!(vantage.is_suspect(Timestamp::from_millis(1000)), expected, "{heard:?}");
    }

    #[test]
    fn three_hosts_that_cannot_be_reached_make_the_vantage_suspect() {
        use ErrorType::{Connect, ConnectTimeout, Dns, None, ServerError};
        check(&[("a", "x", Dns), ("b", "y", Connect), ("c", "z", ConnectTimeout)], true);
        // Three targets on two hosts.
        check(&[("a", "x", Dns), ("b", "y", Dns), ("c", "y", Dns)], false);
        // One that answers, however badly, proves the network.
        check(&[("a", "x", Dns), ("b", "y", Dns), ("c", "z", Dns), ("d", "w", ServerError)], false);
        check(&[("a", "x", Dns), ("b", "y", Dns), ("c", "z", None)], false);
        check(&[], false);
    }

    #[test]
    fn a_lost_reference_stands_in_for_hosts() {
        let mut vantage = vantage(&[("a", "x", ErrorType::Dns)]);
        vantage.hear_reference(true);
        assert!(vantage.is_suspect(Timestamp::from_millis(0)));
        assert!(vantage.has_unreached(Timestamp::from_millis(180_000)));
        assert!(!vantage.has_unreached(Timestamp::from_millis(180_001)), "long ago");
        vantage.hear_reference(false);
        assert!(!vantage.is_suspect(Timestamp::from_millis(0)));
    }

    #[test]
    fn who_is_no_longer_heard_neither_accuses_nor_excuses() {
        use ErrorType::{Connect, None};
        let down = [("a", "x", Connect), ("b", "y", Connect), ("c", "z", Connect)];
        let mut vantage = vantage(&down);
        vantage.hear(Timestamp::from_millis(-1000), &target("d"), "w", None);
        assert!(!vantage.is_suspect(Timestamp::from_millis(179_000)));
        assert!(vantage.is_suspect(Timestamp::from_millis(179_001)));
        assert!(vantage.is_suspect(Timestamp::from_millis(180_000)));
        assert!(!vantage.is_suspect(Timestamp::from_millis(180_001)));
        vantage.forget(&TargetId::new("a"));
        assert!(!vantage.is_suspect(Timestamp::from_millis(179_001)));
    }
}
