//! The first sentence of the page, and its title: the one thing that matters most, and whether it is
//! good news.
//!
//! In this order: nobody knows who has the traffic; traffic is going back; it ought to and is held;
//! bellwether cannot be trusted; alerts fire; a release waits for a person, or was rolled back. Only
//! then is anything well. Of what fires while a release goes back, the page's tables speak.

use std::time::Duration;

use crate::engine::{ReleaseStatus, Snapshot, TargetStatus};
use crate::model::Timestamp;
use crate::provider::SloClass;
use crate::release::gate::Verdict;
use crate::release::machine::{Notice, PausedBy, State};
use crate::rules::Alert;

/// A sentence, and the class of its colour and sign.
pub(super) type Headline = (String, &'static str);

/// That a release was rolled back is news for so long.
const ROLLED_BACK: Duration = Duration::from_secs(24 * 3600);

pub(super) fn headline(snapshot: &Snapshot, firing: &[&Alert], now: Timestamp) -> Headline {
    let releases = &snapshot.releases;
    if let Some(sentence) = of_releases(releases, &GRAVE, now) {
        return (sentence, "bad");
    }
    if !snapshot.health.is_green {
        return ("Bellwether itself is not well: its evidence is inconclusive".into(), "warning");
    }
    if snapshot.health.is_vantage_suspect {
        return ("Every target fails together: our own network is suspect".into(), "warning");
    }
    let mut names: Vec<&str> =
        firing.iter().filter_map(|alert| alert.labels.get("target")).collect();
    names.dedup();
    match (firing, names.as_slice()) {
        ([], _) => match of_releases(releases, &WAITING, now) {
            Some(sentence) => (sentence, "warning"),
            None => calm(snapshot),
        },
        ([alert], [name]) => (format!("{} fires for {name}", name_of(alert)), "bad"),
        ([alert], _) => (format!("{} fires", name_of(alert)), "bad"),
        (many, [name]) => (format!("{} alerts fire for {name}", many.len()), "bad"),
        (many, _) => (format!("{} alerts fire", many.len()), "bad"),
    }
}

/// What a release may be in that is worth the first sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matter {
    Unverified,
    RollingBack,
    CommonCause,
    Doubtful,
    Capped,
    NotMoved,
    NoData,
    Deadline,
    Drill,
    Approval,
    RolledBack,
    Paused,
}

/// Gravest first.
const GRAVE: [Matter; 5] = [
    Matter::Unverified,
    Matter::RollingBack,
    Matter::CommonCause,
    Matter::Doubtful,
    Matter::Capped,
];
const WAITING: [Matter; 7] = [
    Matter::NotMoved,
    Matter::NoData,
    Matter::Deadline,
    Matter::Drill,
    Matter::Approval,
    Matter::RolledBack,
    Matter::Paused,
];

fn of_releases(releases: &[ReleaseStatus], matters: &[Matter], now: Timestamp) -> Option<String> {
    matters.iter().find_map(|matter| {
        let mut concerned = releases.iter().filter(|status| is_in(status, *matter, now));
        let name = &concerned.next()?.settings.plan.name;
        let sentence = sentence(*matter, name);
        Some(match concerned.count() {
            0 => sentence,
            more => format!("{sentence}; the same holds for {more} more"),
        })
    })
}

fn is_in(status: &ReleaseStatus, matter: Matter, now: Timestamp) -> bool {
    let state = &status.state;
    let is_told = |notice| state.told().any(|(told, _)| told == notice);
    match matter {
        Matter::Unverified => matches!(state, State::RollbackUnverified { .. }),
        Matter::RollingBack => matches!(state, State::RollingBack { .. }),
        Matter::CommonCause => is_told(Notice::CommonCause),
        // It is told of a stage that cannot be judged, too.
        Matter::Doubtful => is_told(Notice::Doubtful) && has_failed(state),
        Matter::Capped => is_told(Notice::Capped),
        Matter::NotMoved => is_told(Notice::NotMoved),
        Matter::NoData => is_told(Notice::NoData),
        Matter::Drill => is_told(Notice::Drill),
        Matter::Approval => is_told(Notice::Approval),
        Matter::Deadline => matches!(state, State::Paused { by: PausedBy::Deadline, .. }),
        Matter::Paused => matches!(state, State::Paused { by: PausedBy::Operator, .. }),
        Matter::RolledBack => match state {
            State::RolledBack { since, .. } => now.since(*since) < ROLLED_BACK,
            State::Idle
            | State::Running(_)
            | State::Paused { .. }
            | State::Completed { .. }
            | State::RollingBack { .. }
            | State::RollbackUnverified { .. } => false,
        },
    }
}

/// Whether a gate says that it ought to go back.
fn has_failed(state: &State) -> bool {
    let standings = state.run().into_iter().flat_map(|run| {
        let whole = run.whole_standings();
        run.standings().into_iter().chain(whole)
    });
    standings.into_iter().any(|standing| standing.verdict == Verdict::Fail)
}

fn sentence(matter: Matter, name: &str) -> String {
    let what = match matter {
        Matter::Unverified => "went back, and nobody knows whether stable answers",
        Matter::RollingBack => "goes back to stable",
        Matter::CommonCause => "ought to go back and is held, since stable is bad too",
        Matter::Doubtful => "ought to go back and is held, since what was seen cannot be trusted",
        Matter::Capped => "ought to go back and is held, since the day has had its rollbacks",
        Matter::NotMoved => "waits, since its traffic did not move",
        Matter::NoData => "is held, since nothing is heard of its candidate",
        Matter::Deadline => "is paused, since a stage did not pass by its deadline",
        Matter::Drill => "waits for a drill of its rollback",
        Matter::Approval => "waits for somebody's approval",
        Matter::RolledBack => "was rolled back",
        Matter::Paused => "is paused",
    };
    format!("Release {name} {what}")
}

/// What is said while nothing fires: no alert is no proof that all is well.
fn calm(snapshot: &Snapshot) -> Headline {
    let last = |status: &TargetStatus| status.last.as_ref().map(|outcome| outcome.class);
    let failing: Vec<&TargetStatus> =
        snapshot.targets.iter().filter(|status| last(status) == Some(SloClass::Bad)).collect();
    let under_way = under_way(&snapshot.releases);
    match (snapshot.targets.as_slice(), failing.as_slice()) {
        ([], _) => ("Nothing is probed".into(), "warning"),
        (all, []) if all.iter().all(|status| last(status).is_none()) => {
            ("No target was asked yet".into(), "warning")
        }
        ([_], []) => (format!("The target is well{under_way}"), "good"),
        (all, []) => (format!("All {} targets are well{under_way}", all.len()), "good"),
        (_, [one]) => (format!("The last probe of {} failed; no alert fires", one.id()), "warning"),
        (_, many) => {
            (format!("The last probes of {} targets failed; no alert fires", many.len()), "warning")
        }
    }
}

/// Which releases are on their way, where that is good news too.
fn under_way(releases: &[ReleaseStatus]) -> String {
    let running = releases.iter().filter(|status| matches!(status.state, State::Running(_)));
    match running.collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        [one] => format!("; release {} is at {} %", one.settings.plan.name, one.state.share()),
        many => format!("; {} releases are under way", many.len()),
    }
}

pub(super) fn name_of(alert: &Alert) -> &str {
    alert.labels.get("alertname").unwrap_or("an alert")
}
