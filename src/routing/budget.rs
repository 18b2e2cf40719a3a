//! How many retries there may be: a share of the requests, so that retries cannot multiply an outage.
//!
//! Each request pays a part of a retry in, each retry takes a whole one out. A few are there at the
//! start, and no more than these are ever saved up: a quiet night buys no storm in the morning.

/// Whole retries that are there at the start, and at most.
const SAVED_MAX: u64 = 10;
/// What one retry costs, in hundredths.
const COST: u64 = 100;

/// A route's retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    hundredths: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { hundredths: SAVED_MAX * COST }
    }
}

impl Budget {
    /// A request came in; `percent` retries are due to a hundred of them.
    pub fn pay_in(&mut self, percent: u32) {
        self.hundredths = self.hundredths.saturating_add(percent.into()).min(SAVED_MAX * COST);
    }

    /// Takes out a retry, if there is one.
    pub fn take(&mut self) -> bool {
        match self.hundredths.checked_sub(COST) {
            Some(left) => {
                self.hundredths = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_multiplied_by_the_share_and_no_more() {
        let mut budget = Budget::default();
        let retries = (0..1_000)
            .filter(|_| {
                budget.pay_in(20);
                budget.take()
            })
            .count();
        // A fifth of 1,000, and the ten of the start; what the full purse let pass is not paid in.
        assert!((200..=210).contains(&retries), "{retries}");
    }

    #[test]
    fn a_quiet_night_buys_no_storm() {
        let mut budget = Budget::default();
        (0..100_000).for_each(|_| budget.pay_in(20));
        assert_eq!((0..1_000).filter(|_| budget.take()).count(), 10);
    }

    #[test]
    fn without_a_share_the_start_is_all_there_is() {
        let mut budget = Budget::default();
        let taken = (0..100).filter(|_| {
            budget.pay_in(0);
            budget.take()
        });
        assert_eq!(taken.count(), 10);
    }
}
