//! What each gate makes of the outcomes of a block.
//!
//! An outcome counts once, in the block in which it finished or reached its deadline. One that leaves
//! the denominator, and one from while bellwether itself was unwell, counts for nothing. What is bad
//! is late too: a timeout would otherwise be missing among the latencies. The first probe of a target
//! pays for the connection and is left out of latencies, as everywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use super::block::{Arms, Reading};
use super::settings::{Gate, Latency, Subject};
use crate::model::Money;
use crate::probe::Outcome;
use crate::provider::{ErrorType, SloClass};

/// Whose outcome it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// The one that traffic comes from.
    Stable,
    /// The one that it goes to.
    Candidate,
}

/// What a gate may look at of an outcome, whoever asked: the prober, or a client of the router.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// What it is.
    pub error_type: ErrorType,
    /// What it counts as.
    pub class: SloClass,
    /// From send to the first content; streams only.
    pub ttft: Option<Duration>,
    /// From send to the end.
    pub total: Duration,
    /// From one token to the next, on average; streams only.
    pub per_token: Option<Duration>,
    /// What it cost, where that is known.
    pub cost: Option<Money>,
    /// Whether it paid for a connection that others find open.
    pub is_cold: bool,
    /// Whether bellwether was well while it came.
    pub is_conclusive: bool,
}

impl From<&Outcome> for Seen {
    fn from(outcome: &Outcome) -> Self {
        Self {
            error_type: outcome.error_type,
            class: outcome.class,
            ttft: outcome.ttft,
            total: outcome.total,
            per_token: outcome.time_per_output_token,
            cost: outcome.cost,
            is_cold: outcome.is_cold,
            is_conclusive: outcome.is_conclusive,
        }
    }
}

/// What came of a block so far, as each gate counts it; it costs the same however much that is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    readings: BTreeMap<String, Reading>,
}

impl Tally {
    /// Counts an outcome. Expressions are evaluated elsewhere and have no reading here.
    pub fn observe(&mut self, gates: &[Gate], arm: Arm, outcome: &Seen) {
        for gate in gates {
            let is_bad = match &gate.subject {
                Subject::Errors { .. } | Subject::AgainstStable => is_bad(outcome),
                Subject::Slow { latency, threshold, .. } => is_late(outcome, *latency, *threshold),
                Subject::Content { .. } => is_wrong(outcome),
                Subject::Cost { .. } => {
                    self.spend(&gate.name, arm, outcome);
                    continue;
                }
                Subject::Expression { .. } => continue,
            };
            if let Some(is_bad) = is_bad {
                self.count(&gate.name, arm, is_bad);
            }
        }
    }

    fn count(&mut self, gate: &str, arm: Arm, is_bad: bool) {
        let nothing = || Reading::Counts(Arms::default());
        let reading = self.readings.entry(gate.to_owned()).or_insert_with(nothing);
        if let Reading::Counts(arms) = reading {
            let totals = match arm {
                Arm::Stable => &mut arms.stable,
                Arm::Candidate => &mut arms.candidate,
            };
            totals.finished += 1;
            totals.bad += u64::from(is_bad);
        }
    }

    /// Only what has a known price; a request without one says nothing of the mean.
    fn spend(&mut self, gate: &str, arm: Arm, outcome: &Seen) {
        let nothing = || Reading::Cost { spent: Money::ZERO, finished: 0 };
        let reading = self.readings.entry(gate.to_owned()).or_insert_with(nothing);
        if let (Reading::Cost { spent, finished }, Arm::Candidate, Some(cost)) =
            (reading, arm, outcome.cost)
        {
            *spent += cost;
            *finished += 1;
        }
    }

    /// The readings of the block that is over, one for each gate that counts; the next begins.
    pub fn take(&mut self, gates: &[Gate]) -> BTreeMap<String, Reading> {
        let mut readings = std::mem::take(&mut self.readings);
        for gate in gates {
            let nothing = match &gate.subject {
                Subject::Errors { .. }
                | Subject::AgainstStable
                | Subject::Slow { .. }
                | Subject::Content { .. } => Reading::Counts(Arms::default()),
                Subject::Cost { .. } => Reading::Cost { spent: Money::ZERO, finished: 0 },
                Subject::Expression { .. } => continue,
            };
            readings.entry(gate.name.clone()).or_insert(nothing);
        }
        readings
    }
}

fn is_bad(outcome: &Seen) -> Option<bool> {
    match outcome.class {
        _ if !outcome.is_conclusive => None,
        SloClass::Good => Some(false),
        SloClass::Bad => Some(true),
        SloClass::Excluded => None,
    }
}

/// Whether it came too late; `None` where it has no such moment, as a whole answer has no first token.
fn is_late(outcome: &Seen, latency: Latency, threshold: Duration) -> Option<bool> {
    if outcome.is_cold {
        return None;
    }
    if is_bad(outcome)? {
        return Some(true);
    }
    let took = match latency {
        Latency::Ttft => outcome.ttft?,
        Latency::Total => outcome.total,
        Latency::PerToken => outcome.per_token?,
    };
    Some(took > threshold)
}

/// Whether an answer that came is not what was asked for; `None` where none came.
fn is_wrong(outcome: &Seen) -> Option<bool> {
    let is_wrong =
        matches!(outcome.error_type, ErrorType::ContentCheckFailed | ErrorType::SchemaMismatch);
    match is_bad(outcome)? {
        true => is_wrong.then_some(true),
        false => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TargetId, Timestamp};
    use crate::probe::Phases;
    use crate::provider::RateLimits;
    use crate::release::gate::Bound;
    use crate::statistics::{Proportion, Totals};

    const MS: Duration = Duration::from_millis(1);

    fn good() -> Outcome {
        Outcome {
            target: TargetId::new("new"),
            sequence: 0,
            due: Timestamp::from_millis(0),
            finished: Timestamp::from_millis(900),
            lateness: Duration::ZERO,
            error_type: ErrorType::None,
            class: SloClass::Good,
            detail: String::new(),
            broke: None,
            phases: Phases::default(),
            ttft: Some(200 * MS),
            ttfo: None,
            time_per_output_token: None,
            gaps: Vec::new(),
            total: 900 * MS,
            status: Some(200),
            usage: None,
            cost: Some(Money::from_nanos(1_000)),
            anomalies: Vec::new(),
            rate_limits: RateLimits::default(),
            certificate_expires: None,
            request_id: None,
            is_cold: false,
            is_conclusive: true,
            is_planned: false,
        }
    }

    fn failed(error_type: ErrorType, class: SloClass) -> Outcome {
        Outcome { error_type, class, cost: None, ..good() }
    }

    /// What each gate counts of one outcome, as (bad, finished), then what it cost.
    fn check(outcome: &Outcome, expected: [(u64, u64); 5], cost: (u64, u64)) {
        let allowed = Proportion::new(0.01).unwrap();
        let slow = |latency| Subject::Slow { latency, threshold: 500 * MS, allowed };
        let (pass, fail) = (Bound::parse("< 1").unwrap(), Bound::parse("> 1").unwrap());
        let subjects = [
            Subject::Errors { allowed },
            slow(Latency::Ttft),
            slow(Latency::Total),
            Subject::Content { allowed },
            Subject::AgainstStable,
            Subject::Cost { mean_max: Money::from_nanos(1), ceiling: Money::from_nanos(2) },
            Subject::Expression { expr: "x".to_owned(), pass, fail, failures_in_a_row: 1 },
        ];
        let named = |(number, subject): (usize, Subject)| Gate {
            name: number.to_string(),
            weight: 1,
            counters: None,
            subject,
        };
        let gates: Vec<Gate> = subjects.into_iter().enumerate().map(named).collect();
        let mut tally = Tally::default();
        tally.observe(&gates, Arm::Candidate, &Seen::from(outcome));
        let read = tally.take(&gates);
        assert_eq!(read.len(), 6, "an expression has no reading here");
        for (number, (bad, finished)) in expected.into_iter().enumerate() {
            let candidate = Totals { bad, finished };
            let arms = Arms { candidate, stable: Totals::default() };
            assert_eq!(read[&number.to_string()], Reading::Counts(arms), "gate {number}");
        }
        let spent = Money::from_nanos(cost.0);
        assert_eq!(read["5"], Reading::Cost { spent, finished: cost.1 });
    }

    #[test]
    fn a_good_outcome_is_good_and_may_be_late() {
        check(&good(), [(0, 1), (0, 1), (1, 1), (0, 1), (0, 1)], (1_000, 1));
    }

    #[test]
    fn a_timeout_is_bad_and_late_and_no_answer_to_judge() {
        let timeout = failed(ErrorType::TtftTimeout, SloClass::Bad);
        let timeout = Outcome { ttft: None, ..timeout };
        check(&timeout, [(1, 1), (1, 1), (1, 1), (0, 0), (1, 1)], (0, 0));
    }

    #[test]
    fn a_wrong_answer_is_bad_and_fails_the_check_of_content() {
        let wrong = failed(ErrorType::ContentCheckFailed, SloClass::Bad);
        check(&wrong, [(1, 1), (1, 1), (1, 1), (1, 1), (1, 1)], (0, 0));
    }

    #[test]
    fn our_own_quota_counts_neither_way() {
        let limited = failed(ErrorType::RateLimited, SloClass::Excluded);
        check(&limited, [(0, 0); 5], (0, 0));
    }

    #[test]
    fn what_was_seen_while_unwell_counts_for_nothing_but_its_cost() {
        check(&Outcome { is_conclusive: false, ..good() }, [(0, 0); 5], (1_000, 1));
    }

    #[test]
    fn a_cold_probe_is_left_out_of_latencies() {
        let cold = Outcome { is_cold: true, ..good() };
        check(&cold, [(0, 1), (0, 0), (0, 0), (0, 1), (0, 1)], (1_000, 1));
    }

    #[test]
    fn tokens_that_come_slowly_are_late_and_a_whole_answer_has_none() {
        let allowed = Proportion::new(0.01).unwrap();
        let subject = Subject::Slow { latency: Latency::PerToken, threshold: 50 * MS, allowed };
        let gates = [Gate { name: "pace".to_owned(), weight: 1, subject, counters: None }];
        let mut tally = Tally::default();
        for per_token in [Some(49 * MS), Some(50 * MS), Some(51 * MS), None] {
            let outcome = Outcome { time_per_output_token: per_token, ..good() };
            tally.observe(&gates, Arm::Candidate, &Seen::from(&outcome));
        }
        let candidate = Totals { bad: 1, finished: 3 };
        let arms = Arms { candidate, stable: Totals::default() };
        assert_eq!(tally.take(&gates)["pace"], Reading::Counts(arms));
    }

    #[test]
    fn a_whole_answer_has_no_first_token() {
        let whole = Outcome { ttft: None, ..good() };
        check(&whole, [(0, 1), (0, 0), (1, 1), (0, 1), (0, 1)], (1_000, 1));
    }
}
