//! The early evaluation: what would fire right now.

use crate::model::{Labels, Timestamp};
use crate::rules::{Alert, Context};
use crate::series::{Overlay, Store};

use super::groups::Scheduled;

/// Evaluates the groups that can cause a rollback over the store with live values laid over it.
/// Nothing is stored and no state changes; each alert comes with the position of its group. A group
/// whose slot has come is left to its interval evaluation: that one looks at an earlier moment, and
/// would take back what was found here. So is one that is evaluated aside.
pub(super) fn look(
    groups: &[Scheduled],
    store: &Store,
    live: &[(Labels, f64)],
    context: &Context,
    now: Timestamp,
) -> Vec<(usize, Alert)> {
    let mut overlay = Overlay::new(store, now);
    for (labels, value) in live {
        overlay.put(labels, *value);
    }
    let groups = groups.iter().enumerate();
    let critical = groups.filter(|(_, scheduled)| is_open(scheduled, now));
    critical
        .flat_map(|(position, scheduled)| {
            let alerts = scheduled.group.peek(now, &mut overlay, context);
            alerts.into_iter().map(move |alert| (position, alert))
        })
        .collect()
}

fn is_open(scheduled: &Scheduled, now: Timestamp) -> bool {
    scheduled.is_critical && !scheduled.is_away && scheduled.due > now
}
