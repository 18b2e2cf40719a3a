//! How much more closely the targets of a release are watched while it runs.
//!
//! Both arms are asked as often as the release says, and never less often than the target itself
//! does. Where that would use up a day's money before the day is over, they are asked as often as
//! the money lasts: evidence that comes slowly moves a release slowly, and evidence that ends at
//! noon holds it until midnight. What pays is the release's own budget where it has one, and that of
//! each target otherwise. Estimates are upper bounds, so a day's money is rarely spent to its end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cost::estimate;
use super::settings::{Budget, Target};
use crate::model::{Money, TargetId, Timestamp};

const DAY: Duration = Duration::from_secs(86_400);

/// How one target is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    /// The cadence in place of the target's own, which is not shorter.
    pub interval: Duration,
    /// Who pays in place of the target's own budget.
    pub fund: Option<Fund>,
}

/// The money that a release sets aside for its probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fund {
    /// The release.
    pub release: String,
    /// What they may cost in a day (UTC).
    pub daily: Money,
}

/// The targets that are watched more closely; all others are at their own cadence.
pub type Attentions = BTreeMap<TargetId, Attention>;

/// What a release wants of its targets, at the prices of a time.
pub fn attentions(
    targets: &[&Target],
    wished: Duration,
    fund: Option<&Fund>,
    now: Timestamp,
) -> Attentions {
    let asked = targets.iter().map(|target| Asked {
        id: &target.id,
        interval: target.interval,
        budget: target.budget,
        // Where no price is known, nothing is spent that a budget could count.
        cost_nanos: estimate(target, now).unwrap_or_default().nanos(),
    });
    paid(&asked.collect::<Vec<_>>(), wished, fund)
}

/// What money has to say about a target.
#[derive(Clone, Copy, Debug)]
struct Asked<'a> {
    id: &'a TargetId,
    interval: Duration,
    budget: Budget,
    /// Of one probe, at most.
    cost_nanos: u64,
}

fn paid(targets: &[Asked<'_>], wished: Duration, fund: Option<&Fund>) -> Attentions {
    let together = targets.iter().fold(0, |sum: u64, one| sum.saturating_add(one.cost_nanos));
    let each = targets.iter().map(|one| {
        let lasts = match fund {
            Some(fund) => lasting(together, Some(fund.daily)),
            None => lasting(one.cost_nanos, one.budget.of_a_day()),
        };
        let interval = wished.max(lasts).min(one.interval);
        (one.id.clone(), Attention { interval, fund: fund.cloned() })
    });
    each.collect()
}

/// Puts the wishes of several releases together: the shortest cadence counts, and who wants it pays.
pub fn merge(attentions: impl IntoIterator<Item = Attentions>) -> Attentions {
    let mut merged = Attentions::new();
    for (target, attention) in attentions.into_iter().flatten() {
        match merged.get(&target) {
            Some(known) if known.interval <= attention.interval => {}
            _ => {
                merged.insert(target, attention);
            }
        }
    }
    merged
}

/// The cadence at which a day's money lasts the day, whole milliseconds rounded up.
fn lasting(cost_nanos: u64, daily: Option<Money>) -> Duration {
    let Some(daily) = daily else { return Duration::ZERO };
    if cost_nanos == 0 {
        return Duration::ZERO;
    }
    let day_ms = DAY.as_millis();
    let interval_ms = (day_ms * u128::from(cost_nanos)).div_ceil(u128::from(daily.nanos().max(1)));
    Duration::from_millis(u64::try_from(interval_ms).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// What one probe costs here.
    const COST: u64 = 7_000;

    /// The cadence of a target that is at one of a minute by itself.
    fn interval(budget: Budget, fund: Option<&Fund>) -> Duration {
        let id = TargetId::new("a");
        let asked = Asked { id: &id, interval: 60 * SECOND, budget, cost_nanos: COST };
        paid(&[asked], 15 * SECOND, fund)[&id].interval
    }

    fn probes(count: u64) -> Option<Money> {
        Some(Money::from_nanos(count * COST))
    }

    #[test]
    fn a_days_money_is_spread_over_the_day_between_the_wish_and_the_targets_own_cadence() {
        assert_eq!(interval(Budget::Unlimited, None), 15 * SECOND);
        // A day has 86,400 seconds: (probes that are paid for, seconds between them)
        let cases =
            [(100_000, 15), (5_760, 15), (4_320, 20), (2_880, 30), (1_440, 60), (100, 60), (0, 60)];
        for (count, seconds) in cases {
            let daily = Budget::Limited { daily: probes(count), monthly: None };
            assert_eq!(interval(daily, None), seconds * SECOND, "{count} a day");
            let monthly = Budget::Limited { daily: None, monthly: probes(30 * count) };
            assert_eq!(interval(monthly, None), seconds * SECOND, "{count} over a month");
        }
        let both = Budget::Limited { daily: probes(4_320), monthly: probes(30 * 2_880) };
        assert_eq!(interval(both, None), 30 * SECOND, "the one that ends first");
    }

    #[test]
    fn a_fund_pays_for_all_arms_and_the_targets_own_budgets_do_not_count() {
        let (first, second) = (TargetId::new("a"), TargetId::new("b"));
        let none = Budget::Limited { daily: probes(0), monthly: None };
        let asked = |id, cost_nanos| Asked { id, interval: 60 * SECOND, budget: none, cost_nanos };
        // A round costs four probes, and 2,880 rounds are paid for: one in 30 seconds.
        let daily = Money::from_nanos(4 * 2_880 * COST);
        let fund = Fund { release: "r".to_owned(), daily };
        let targets = [asked(&first, COST), asked(&second, 3 * COST)];
        let watched = paid(&targets, 15 * SECOND, Some(&fund));
        let expected = Attention { interval: 30 * SECOND, fund: Some(fund) };
        assert_eq!(watched, Attentions::from([(first, expected.clone()), (second, expected)]));
    }

    #[test]
    fn a_target_that_is_asked_more_often_anyway_stays_so() {
        let id = TargetId::new("a");
        let budget = Budget::Limited { daily: probes(1), monthly: None };
        let quick = Asked { id: &id, interval: SECOND, budget, cost_nanos: COST };
        assert_eq!(paid(&[quick], 15 * SECOND, None)[&id].interval, SECOND);
    }

    #[test]
    fn of_two_releases_the_one_that_looks_more_often_counts() {
        let one = |seconds, release: &str| {
            let fund = Fund { release: release.to_owned(), daily: Money::from_nanos(1) };
            let attention = Attention { interval: seconds * SECOND, fund: Some(fund) };
            Attentions::from([(TargetId::new("a"), attention)])
        };
        let both = merge([one(15, "slow"), one(5, "quick"), one(9, "other")]);
        assert_eq!(both, one(5, "quick"));
    }
}
