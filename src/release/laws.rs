//! What holds for rollbacks whatever happens, over random days.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::rollbacks::tests::{alert, rollback};
use super::{Doubt, Evidence, Mode, Recent, Record, Rollback, Rollbacks, Verdict};
use crate::model::{TargetId, Timestamp};
use crate::provider::SloClass;

/// Something that happens after some seconds.
#[derive(Clone, Debug)]
enum Event {
    /// An incident's alert is evaluated.
    Asked { incident: u8, is_stable_bad: bool, is_doubtful: bool },
    /// An incident ends.
    Resolved(u8),
    /// The configuration is read again, perhaps with another mode.
    Reload(bool),
    /// The process dies and starts with what the journal holds.
    Restart,
}

fn event() -> impl Strategy<Value = (u32, Event)> {
    let asked = (0..6_u8, any::<bool>(), any::<bool>()).prop_map(|(incident, bad, doubt)| {
        Event::Asked { incident, is_stable_bad: bad, is_doubtful: doubt }
    });
    let event = prop_oneof![
        12 => asked,
        1 => (0..6_u8).prop_map(Event::Resolved),
        1 => any::<bool>().prop_map(Event::Reload),
        1 => Just(Event::Restart),
    ];
    (0..4000_u32, event)
}

fn settings(mode: Mode) -> Rollback {
    Rollback { mode, ..rollback() }
}

proptest! {
    #[test]
    fn limits_hold_through_reloads_and_restarts(
        events in prop::collection::vec(event(), 1..200),
    ) {
        let stable = TargetId::new("stable");
        let mut mode = Mode::Live;
        let mut rollbacks = Rollbacks::new(vec![settings(mode)]);
        let mut journal: Vec<Record> = Vec::new();
        let mut fired: Vec<Timestamp> = Vec::new();
        let mut ids: BTreeMap<String, String> = BTreeMap::new();
        let mut now = Timestamp::from_millis(1_795_000_000_000);
        for (seconds, event) in events {
            now = now + Duration::from_secs(u64::from(seconds));
            let (incident, is_stable_bad, is_doubtful) = match event {
                Event::Asked { incident, is_stable_bad, is_doubtful } => {
                    (incident, is_stable_bad, is_doubtful)
                }
                Event::Resolved(incident) => {
                    rollbacks.resolved(&incident.to_string());
                    continue;
                }
                Event::Reload(is_live) => {
                    mode = if is_live { Mode::Live } else { Mode::DryRun };
                    let old = std::mem::replace(&mut rollbacks, Rollbacks::new(vec![settings(mode)]));
                    rollbacks.adopt(old);
                    continue;
                }
                Event::Restart => {
                    rollbacks = Rollbacks::new(vec![settings(mode)]);
                    rollbacks.restore(now, &journal);
                    continue;
                }
            };
            let mut recent = Recent::new([(stable.clone(), Duration::from_secs(60))]);
            let class = if is_stable_bad { SloClass::Bad } else { SloClass::Good };
            for _ in 0..3 {
                recent.observe(now, &stable, class, true);
            }
            let doubt = is_doubtful.then_some(Doubt::VantageSuspect);
            let planned = BTreeMap::new();
            let evidence = Evidence {
                recent: &recent,
                firing: &[],
                planned: &planned,
                doubt,
                said_by: None,
            };
            let alert = alert(&incident.to_string());
            for decision in rollbacks.consider(now, &alert, &evidence) {
                journal.push(Record {
                    id: decision.id.clone(),
                    rollback: decision.rollback,
                    incident: decision.incident.clone(),
                    at: decision.at,
                    verdict: decision.verdict,
                    report: String::new(),
                });
                prop_assert_eq!(
                    decision.delivery.is_some(),
                    matches!(decision.verdict, Verdict::Fired | Verdict::DryRun)
                );
                if decision.verdict != Verdict::Fired {
                    continue;
                }
                prop_assert!(mode == Mode::Live && !is_doubtful && !is_stable_bad);
                let again = ids.insert(decision.incident.clone(), decision.id);
                prop_assert_eq!(again, None, "an incident fires once");
                if let Some(last) = fired.last() {
                    prop_assert!(now.since(*last) >= settings(mode).cooldown);
                }
                fired.push(now);
                let day = Duration::from_secs(24 * 3600);
                let in_day = fired.iter().filter(|at| now.since(**at) < day).count();
                prop_assert!(in_day <= 3, "{} in a day", in_day);
            }
        }
    }
}
