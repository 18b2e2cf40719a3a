//! The series that an objective's rules record: `level:metric:operations`, as Prometheus advises.
//!
//! The level is `slo_target` where each target has a budget of its own, and `slo` where all share
//! one; targets have `provider` and `model` beside their name, as in the shipped rules.

use std::time::Duration;

use super::settings::{Scope, Slo};
use super::windows::{all, window_name};

/// What is recorded over a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Probes that count.
    Events,
    /// Those that were not good.
    Failures,
    /// These among those, from 0 to 1.
    ErrorRatio,
    /// How much of the budget is left: 1 is all of it, below 0 it is overspent.
    BudgetRemaining,
}

impl Slo {
    /// The name of the series.
    pub fn series(&self, quantity: Quantity, window: Duration) -> String {
        let (level, window) = (self.level(), window_name(window));
        match quantity {
            Quantity::Events => format!("{level}:bellwether_slo_events:increase{window}"),
            Quantity::Failures => format!("{level}:bellwether_slo_failures:increase{window}"),
            Quantity::ErrorRatio => format!("{level}:bellwether_slo_errors:ratio_increase{window}"),
            Quantity::BudgetRemaining => {
                format!("{level}:bellwether_slo_error_budget_remaining:ratio_increase{window}")
            }
        }
    }

    /// The name of the series of how many probes a second are planned.
    pub(super) fn planned_series(&self) -> String {
        format!("{}:bellwether_slo_planned_events:rate", self.level())
    }

    fn level(&self) -> &'static str {
        match self.scope {
            Scope::Each => "slo_target",
            Scope::Together => "slo",
        }
    }

    /// How many budgets there are.
    pub fn budget_count(&self) -> usize {
        match self.scope {
            Scope::Each => self.subjects.len(),
            Scope::Together => 1,
        }
    }
}

/// How many series its rules record at most, those of alerts left out.
pub fn recorded_count(slo: &Slo) -> usize {
    // Three for each window; what is planned and what is left of the budget. And the objective.
    slo.budget_count() * (3 * all(slo.window).len() + 2) + 1
}
