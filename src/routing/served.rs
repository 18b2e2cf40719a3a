//! What came of a request, as evidence for releases.
//!
//! Classes are those of probes, with three differences, since here users were served. A limit, a
//! quota, a key or a model that the provider refuses is bad: our key and our configuration are not the
//! user's business. A refusal or a filter is excluded: what a user asks for may deserve it. And a
//! client that goes away says nothing of the arm.
//!
//! A request that failed on the candidate and was saved by stable is evidence against the candidate,
//! and none for stable: it would not have come there by chance.

use std::time::Duration;

use super::Arm;
use crate::model::{Money, RouteId, TargetId, Timestamp};
use crate::probe::Target;
use crate::provider::{ErrorType, SloClass, StreamPhase, Usage};

/// What came of one request on one arm.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// The route.
    pub route: RouteId,
    /// The arm.
    pub arm: Arm,
    /// The target that answered last on this arm.
    pub target: TargetId,
    /// When its result stood.
    pub finished: Timestamp,
    /// What came of it.
    pub error_type: ErrorType,
    /// What it counts as.
    pub class: SloClass,
    /// Where a stream broke, for failures inside one.
    pub broke: Option<StreamPhase>,
    /// The status that the provider answered with.
    pub status: Option<u16>,
    /// From send to the first content; streams only.
    pub ttft: Option<Duration>,
    /// From send to the end.
    pub total: Duration,
    /// Tokens, where the provider said.
    pub usage: Option<Usage>,
    /// What it cost, where usage and price are known.
    pub cost: Option<Money>,
    /// Attempts on this arm.
    pub attempts: u32,
    /// Whether the request was meant for the other arm and came here because that failed; then it is
    /// no evidence.
    pub is_fail_over: bool,
}

/// What an outcome counts as where a user was served.
pub fn class(target: &Target, error_type: ErrorType) -> SloClass {
    if let Some(class) = target.classes.get(&error_type) {
        return *class;
    }
    match error_type {
        ErrorType::RateLimited
        | ErrorType::QuotaExhausted
        | ErrorType::Http401
        | ErrorType::Http403
        | ErrorType::Http404 => SloClass::Bad,
        ErrorType::Refusal | ErrorType::ContentFiltered => SloClass::Excluded,
        other => other.class(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::model::{HttpSettings, ProviderId};
    use crate::probe::{
        Budget, Check, Connection, Delivery, Thresholds, Timeouts as ProbeTimeouts,
    };
    use crate::provider::{Auth, Dialect, Provider};

    pub(in super::super) fn target() -> Target {
        let second = Duration::from_secs(1);
        Target {
            id: TargetId::new("new"),
            provider: Arc::new(Provider {
                id: ProviderId::new("p"),
                dialect: Dialect::OpenaiChat,
                system: "openai".to_owned(),
                base_url: "http://127.0.0.1:1".to_owned(),
                auth: Auth::None,
                http: HttpSettings::default(),
                models: BTreeMap::new(),
                wire: crate::provider::Wire::default(),
            }),
            model: "m".to_owned(),
            delivery: Delivery::Streamed,
            interval: second,
            in_flight_max: 1,
            timeouts: ProbeTimeouts {
                connect: second,
                first_token: second,
                idle: second,
                total: second,
            },
            thresholds: Thresholds::default(),
            tokens_max: 8,
            prompt: None,
            check: Check::Any,
            connection: Connection::Warm,
            budget: Budget::Unlimited,
            classes: BTreeMap::new(),
            page: None,
        }
    }

    #[test]
    fn a_failure_that_a_user_saw_is_bad_whosever_key_it_was() {
        use ErrorType::*;
        let target = target();
        for (error_type, expected) in [
            (None, SloClass::Good),
            (RateLimited, SloClass::Bad),
            (QuotaExhausted, SloClass::Bad),
            (Http401, SloClass::Bad),
            (Http404, SloClass::Bad),
            (Overloaded, SloClass::Bad),
            (TruncatedStream, SloClass::Bad),
            (Http400, SloClass::Excluded),
            (Http413, SloClass::Excluded),
            (Cancelled, SloClass::Excluded),
            (Refusal, SloClass::Excluded),
            (MaxTokensReached, SloClass::Excluded),
            (ModelMismatch, SloClass::Good),
        ] {
            assert_eq!(class(&target, error_type), expected, "{error_type:?}");
        }
    }

    #[test]
    fn the_configuration_has_the_last_word() {
        let classes = [(ErrorType::RateLimited, SloClass::Excluded)].into();
        let target = Target { classes, ..target() };
        assert_eq!(class(&target, ErrorType::RateLimited), SloClass::Excluded);
        assert_eq!(class(&target, ErrorType::QuotaExhausted), SloClass::Bad);
    }
}
