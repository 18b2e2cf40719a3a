//! What gates have of expressions that were evaluated for them.
//!
//! A counter is read at the end of each block, and what it grew by is the block's. Before the first
//! reading, and after one that is missing or lower than the one before (whoever counts was started
//! anew), nobody knows what belongs to the block: it is lost, and decides nothing.

use std::collections::BTreeMap;

use super::block::{Arms, Reading};
use super::settings::{Gate, Subject};
use crate::statistics::Totals;

/// What an expression gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// One value.
    Value(f64),
    /// None, or several.
    Nothing,
    /// It could not be evaluated.
    Lost,
}

/// The counters as they were read last, by gate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counting(BTreeMap<String, Vec<f64>>);

impl Counting {
    /// The readings of the gates that ask, given the answers to all of their questions in order.
    pub fn read(&mut self, gates: &[Gate], answers: &[Answer]) -> Vec<(String, Reading)> {
        let mut answers = answers.iter().copied();
        let mut readings = Vec::new();
        for gate in gates {
            let asked = gate.questions().len();
            if asked == 0 {
                continue;
            }
            let own: Vec<Answer> = answers.by_ref().take(asked).collect();
            let reading = match &gate.subject {
                Subject::Expression { .. } => match own.first() {
                    Some(Answer::Value(value)) => Reading::Value(Some(*value)),
                    Some(Answer::Nothing) => Reading::Value(None),
                    Some(Answer::Lost) | None => Reading::Lost,
                },
                _ => self.grown(&gate.name, &own, asked),
            };
            readings.push((gate.name.clone(), reading));
        }
        readings
    }

    fn grown(&mut self, gate: &str, answers: &[Answer], asked: usize) -> Reading {
        let before = self.0.remove(gate);
        let values: Vec<f64> = answers
            .iter()
            .filter_map(|answer| match answer {
                Answer::Value(value) => Some(*value).filter(|value| value.is_finite()),
                // What was never counted is no series yet.
                Answer::Nothing => Some(0.0),
                Answer::Lost => None,
            })
            .collect();
        if values.len() < asked {
            return Reading::Lost;
        }
        let grown: Option<Vec<u64>> = before.and_then(|before| {
            let each = before.iter().zip(&values);
            each.map(|(before, now)| whole(now - before)).collect()
        });
        self.0.insert(gate.to_owned(), values);
        let totals = |at: usize, grown: &[u64]| Totals {
            bad: grown.get(at).copied().unwrap_or(0),
            finished: grown.get(at + 1).copied().unwrap_or(0),
        };
        grown.map_or(Reading::Lost, |grown| {
            Reading::Counts(Arms { candidate: totals(0, &grown), stable: totals(2, &grown) })
        })
    }
}

/// A growth in whole outcomes; `None` where it is none.
fn whole(grown: f64) -> Option<u64> {
    // 2^53: beyond it floats count no single outcomes.
    const MAX: f64 = 9_007_199_254_740_992.0;
    let rounded = grown.round();
    (0.0..=MAX).contains(&rounded).then_some(rounded as u64)
}

#[cfg(test)]
mod tests {
    use super::super::settings::{Bound, Counter, Counters};
    use super::*;

    fn counter(arm: &str) -> Counter {
        Counter { bad: format!("bad_{arm}"), finished: format!("all_{arm}") }
    }

    fn gates() -> Vec<Gate> {
        let allowed = serde_json::from_str("0.01").unwrap();
        let counters = Counters { candidate: counter("new"), stable: Some(counter("old")) };
        let queue = Subject::Expression {
            expr: "queue".to_owned(),
            pass: Bound::parse("< 1").unwrap(),
            fail: Bound::parse("> 1").unwrap(),
            failures_in_a_row: 1,
        };
        let named = |name: &str, subject, counters| Gate {
            name: name.to_owned(),
            weight: 1,
            subject,
            counters,
        };
        vec![
            named("probed", Subject::AgainstStable, None),
            named("errors", Subject::Errors { allowed }, Some(counters)),
            named("queue", queue, None),
        ]
    }

    #[test]
    fn every_gate_gets_the_answers_to_its_own_questions() {
        let gates = gates();
        let asked: Vec<&str> = gates.iter().flat_map(Gate::questions).collect();
        assert_eq!(asked, ["bad_new", "all_new", "bad_old", "all_old", "queue"]);
        let mut counted = Counting::default();
        let read = |counted: &mut Counting, answers: [f64; 5]| {
            counted.read(&gates, &answers.map(Answer::Value))
        };
        // The first reading is where counting begins.
        let first = read(&mut counted, [5.0, 100.0, 1.0, 900.0, 3.0]);
        assert_eq!(first[0], ("errors".to_owned(), Reading::Lost));
        assert_eq!(first[1], ("queue".to_owned(), Reading::Value(Some(3.0))));
        let second = read(&mut counted, [7.0, 150.0, 1.0, 1_000.0, 3.0]);
        let arms = Arms {
            candidate: Totals { bad: 2, finished: 50 },
            stable: Totals { bad: 0, finished: 100 },
        };
        assert_eq!(second[0].1, Reading::Counts(arms));
        // Whoever counts was started anew: lost once, and counted from there.
        assert_eq!(read(&mut counted, [0.0, 3.0, 1.0, 1_100.0, 3.0])[0].1, Reading::Lost);
        let arms = Arms {
            candidate: Totals { bad: 1, finished: 7 },
            stable: Totals { bad: 0, finished: 0 },
        };
        assert_eq!(read(&mut counted, [1.0, 10.0, 1.0, 1_100.0, 3.0])[0].1, Reading::Counts(arms));
    }

    #[test]
    fn an_answer_that_is_missing_loses_its_block_and_the_next() {
        let gates = gates();
        let mut counted = Counting::default();
        let good = [1.0, 10.0, 1.0, 10.0, 0.0].map(Answer::Value);
        counted.read(&gates, &good);
        let mut lost = good;
        lost[1] = Answer::Lost;
        assert_eq!(counted.read(&gates, &lost)[0].1, Reading::Lost);
        assert_eq!(counted.read(&gates, &good)[0].1, Reading::Lost);
        let none = Arms::default();
        assert_eq!(counted.read(&gates, &good)[0].1, Reading::Counts(none));
        for odd in [f64::NAN, f64::INFINITY] {
            let mut odd_one = good;
            odd_one[0] = Answer::Value(odd);
            assert_eq!(counted.read(&gates, &odd_one)[0].1, Reading::Lost);
        }
        // Errors that never happened are no series.
        let mut nothing = good;
        nothing[0] = Answer::Nothing;
        counted.read(&gates, &nothing);
        let grown = Arms { candidate: Totals { bad: 1, finished: 0 }, stable: Totals::default() };
        assert_eq!(counted.read(&gates, &good)[0].1, Reading::Counts(grown));
        assert!(counted.read(&gates, &[]).iter().all(|(_, reading)| *reading == Reading::Lost));
    }
}
