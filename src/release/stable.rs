//! Whether the side that traffic would go back to is well.
//!
//! A stable target is bad if the same alert fires for it, or if its last three outcomes that
//! counted are all bad. It is good if one of them was good. Nothing is known of it when none came
//! within three of its intervals, or too few have come at all. Outcomes that leave the denominator,
//! and those from while bellwether itself was unwell, say nothing. A target whose last answer says
//! that no request is left within its limit is bad as well: all that went back to it would be refused.
//!
//! The stable side as a whole is bad only if every target of it is: while one may be well, moving
//! back is better than staying.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{TargetId, Timestamp};
use crate::notice::Alert;
use crate::provider::SloClass;

/// One good of three is a blip, three bad in a row are not.
const OUTCOMES: usize = 3;
/// After so many silent intervals what was known no longer holds.
const INTERVALS: u32 = 3;

/// What is known of a target or of the whole stable side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It serves.
    Good,
    /// It does not.
    Bad,
    /// Nobody knows.
    Unknown,
}

impl Health {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }

    /// The health of a side: good if any target is, bad only if all are.
    pub fn of_side(targets: &[StableTarget]) -> Self {
        let healths = || targets.iter().map(|target| target.health);
        if healths().any(|health| health == Self::Good) {
            Self::Good
        } else if !targets.is_empty() && healths().all(|health| health == Self::Bad) {
            Self::Bad
        } else {
            Self::Unknown
        }
    }
}

/// What is known of one stable target, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StableTarget {
    /// Which.
    pub target: TargetId,
    /// The verdict.
    pub health: Health,
    /// Whether the same alert fires for it.
    pub is_alerting: bool,
    /// How many of its last three outcomes that counted were good.
    pub good: usize,
    /// How many were bad.
    pub bad: usize,
    /// Whether its last answer says that its rate limit is used up.
    pub is_exhausted: bool,
    /// When the last of them came.
    pub last_at: Option<Timestamp>,
}

/// One line: `openai-stable: good (3 good, 0 bad)`.
impl fmt::Display for StableTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (target, health) = (&self.target, self.health.as_str());
        write!(formatter, "{target}: {health} ({} good, {} bad", self.good, self.bad)?;
        if self.is_exhausted {
            formatter.write_str(", its rate limit is used up")?;
        }
        formatter.write_str(if self.is_alerting { ", the same alert fires)" } else { ")" })
    }
}

/// The last outcomes of every target.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    targets: BTreeMap<TargetId, Last>,
}

#[derive(Clone, Debug, Default)]
struct Last {
    interval: Duration,
    /// Whether each was good, oldest first.
    outcomes: VecDeque<bool>,
    at: Option<Timestamp>,
    /// When it last said that its rate limit was used up, unless it has said otherwise since.
    exhausted_at: Option<Timestamp>,
}

impl Recent {
    /// Nothing is known yet; targets come with their intervals.
    pub fn new(targets: impl IntoIterator<Item = (TargetId, Duration)>) -> Self {
        let last = |interval| Last { interval, ..Last::default() };
        Self { targets: targets.into_iter().map(|(id, interval)| (id, last(interval))).collect() }
    }

    /// Takes over from before a reload what is known of targets that are still there.
    pub fn adopt(&mut self, old: Self) {
        for (id, known) in old.targets {
            if let Some(last) = self.targets.get_mut(&id) {
                *last = Last { interval: last.interval, ..known };
            }
        }
    }

    /// Notes an outcome.
    pub fn observe(
        &mut self,
        at: Timestamp,
        target: &TargetId,
        class: SloClass,
        is_conclusive: bool,
    ) {
        let is_good = match class {
            SloClass::Good => true,
            SloClass::Bad => false,
            SloClass::Excluded => return,
        };
        let Some(last) = self.targets.get_mut(target).filter(|_| is_conclusive) else { return };
        if last.outcomes.len() == OUTCOMES {
            last.outcomes.pop_front();
        }
        last.outcomes.push_back(is_good);
        last.at = Some(last.at.map_or(at, |earlier| earlier.max(at)));
    }

    /// Notes what an answer says of the rate limit, whatever it counts as.
    pub fn note_limit(&mut self, at: Timestamp, target: &TargetId, is_exhausted: bool) {
        if let Some(last) = self.targets.get_mut(target) {
            last.exhausted_at = is_exhausted.then_some(at);
        }
    }

    /// What is known of each target, given everything that fires and the alert in question.
    pub fn health(
        &self,
        now: Timestamp,
        targets: &[TargetId],
        alert: &Alert,
        firing: &[Alert],
    ) -> Vec<StableTarget> {
        let alerting: Vec<&str> = firing
            .iter()
            .filter(|other| !other.is_resolved(now) && other.name() == alert.name())
            .filter_map(|other| other.labels.get("target"))
            .collect();
        let one = |target: &TargetId| self.one(now, target, alerting.contains(&target.as_str()));
        targets.iter().map(one).collect()
    }

    /// What is known of each target by its outcomes alone.
    pub fn by_outcomes(&self, now: Timestamp, targets: &[TargetId]) -> Vec<StableTarget> {
        targets.iter().map(|target| self.one(now, target, false)).collect()
    }

    fn one(&self, now: Timestamp, target: &TargetId, is_alerting: bool) -> StableTarget {
        let last = self.targets.get(target);
        let outcomes = last.into_iter().flat_map(|last| last.outcomes.iter());
        let good = outcomes.clone().filter(|is_good| **is_good).count();
        let bad = outcomes.count() - good;
        let is_young = |at: Option<Timestamp>| {
            let interval = last.map_or(Duration::ZERO, |last| last.interval);
            at.is_some_and(|at| now.since(at) <= interval.saturating_mul(INTERVALS))
        };
        let is_fresh = is_young(last.and_then(|last| last.at));
        let is_exhausted = is_young(last.and_then(|last| last.exhausted_at));
        let health = match (is_alerting || is_exhausted, is_fresh) {
            (true, _) => Health::Bad,
            (false, false) => Health::Unknown,
            (false, true) if good > 0 => Health::Good,
            (false, true) if bad == OUTCOMES => Health::Bad,
            (false, true) => Health::Unknown,
        };
        let last_at = last.and_then(|last| last.at);
        StableTarget {
            target: target.clone(),
            health,
            is_alerting,
            good,
            bad,
            is_exhausted,
            last_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    fn alert(name: &str, target: &str) -> Alert {
        Alert {
            labels: Labels::from_pairs([("alertname", name), ("target", target)]),
            annotations: Labels::empty(),
            is_firing: true,
            starts_at: at(0),
            ends_at: None,
            value: 1.0,
            generator_url: String::new(),
            incident: format!("{name} {target}"),
        }
    }

    /// Outcomes one a second from 1 on: `g`ood, `b`ad, e`x`cluded, `?` good but inconclusive.
    fn check(outcomes: &str, now: i64, firing: &[Alert], expected: Health) {
        let stable = TargetId::new("stable");
        let mut recent = Recent::new([(stable.clone(), Duration::from_secs(10))]);
        for (second, outcome) in (1..).zip(outcomes.chars()) {
            let class = match outcome {
                'b' => SloClass::Bad,
                'x' => SloClass::Excluded,
                _ => SloClass::Good,
            };
            recent.observe(at(second), &stable, class, outcome != '?');
        }
        let found = recent.health(at(now), &[stable], &alert("A", "candidate"), firing);
        assert_eq!(found[0].health, expected, "{outcomes} at {now}: {}", found[0]);
    }

    #[test]
    fn a_stable_target_is_bad_after_three_bad_outcomes_or_under_the_same_alert() {
        check("ggg", 4, &[], Health::Good);
        check("gbb", 4, &[], Health::Good);
        check("bbb", 4, &[], Health::Bad);
        check("gggbbb", 7, &[], Health::Bad);
        check("gbxbxb", 7, &[], Health::Bad);
        check("bbb?", 5, &[], Health::Bad);
        check("bbbg", 5, &[], Health::Good);
        check("ggg", 4, &[alert("A", "stable")], Health::Bad);
        check("ggg", 4, &[alert("B", "stable"), alert("A", "other")], Health::Good);
    }

    #[test]
    fn a_stable_target_that_was_silent_for_three_intervals_is_unknown() {
        check("", 4, &[], Health::Unknown);
        check("bb", 4, &[], Health::Unknown);
        check("x??", 4, &[], Health::Unknown);
        check("ggg", 33, &[], Health::Good);
        check("ggg", 34, &[], Health::Unknown);
        check("bbb", 34, &[], Health::Unknown);
        check("", 4, &[alert("A", "stable")], Health::Bad);
    }

    #[test]
    fn a_stable_target_without_a_request_left_is_bad_until_it_says_otherwise() {
        let stable = TargetId::new("stable");
        let mut recent = Recent::new([(stable.clone(), Duration::from_secs(10))]);
        let health = |recent: &Recent, now| {
            recent.by_outcomes(at(now), std::slice::from_ref(&stable)).remove(0)
        };
        recent.observe(at(1), &stable, SloClass::Good, true);
        recent.note_limit(at(1), &stable, true);
        let found = health(&recent, 2);
        assert_eq!(found.health, Health::Bad);
        assert!(found.to_string().contains("its rate limit is used up"), "{found}");
        recent.note_limit(at(3), &stable, false);
        assert_eq!(health(&recent, 4).health, Health::Good);
        // What was said long ago says nothing.
        recent.note_limit(at(5), &stable, true);
        recent.observe(at(60), &stable, SloClass::Good, true);
        assert_eq!(health(&recent, 61).health, Health::Good);
    }

    #[test]
    fn a_side_is_bad_only_if_all_of_it_is() {
        let side = |healths: &[Health]| {
            let targets: Vec<StableTarget> = healths
                .iter()
                .map(|health| StableTarget {
                    target: TargetId::new("t"),
                    health: *health,
                    is_alerting: false,
                    good: 0,
                    bad: 0,
                    is_exhausted: false,
                    last_at: None,
                })
                .collect();
            Health::of_side(&targets)
        };
        use Health::{Bad, Good, Unknown};
        for (healths, expected) in [
            (&[][..], Unknown),
            (&[Bad, Bad], Bad),
            (&[Bad, Good], Good),
            (&[Bad, Unknown], Unknown),
            (&[Good, Unknown], Good),
        ] {
            assert_eq!(side(healths), expected, "{healths:?}");
        }
    }

    #[test]
    fn a_reload_keeps_what_is_known_of_targets_that_stay() {
        let (kept, gone) = (TargetId::new("kept"), TargetId::new("gone"));
        let second = Duration::from_secs(1);
        let mut old = Recent::new([(kept.clone(), second), (gone.clone(), second)]);
        old.observe(at(1), &kept, SloClass::Good, true);
        old.observe(at(1), &gone, SloClass::Good, true);
        let mut new = Recent::new([(kept.clone(), 10 * second)]);
        new.adopt(old);
        let found = new.health(at(20), &[kept, gone], &alert("A", "x"), &[]);
        assert_eq!([found[0].health, found[1].health], [Health::Good, Health::Unknown]);
    }
}
