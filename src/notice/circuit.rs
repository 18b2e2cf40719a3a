//! Whether a receiver is asked by everything that waits for it, or probed by one delivery at a time.
//!
//! Five failures in a row, whichever deliveries met them, open the circuit: then one delivery probes
//! the receiver, the rest waits, and the pause between two probes doubles up to the policy's bound.
//! The first answer that is no failure closes it again. A refusal closes it too: who refuses one
//! message is there. While it is open, attempts are the receiver's fault and bring no message nearer
//! to being given up; only the policy's window does.

use super::Attempt;
use super::retry::{ATTEMPTS_MAX, is_failure};

/// Failures in a row after which a receiver is only probed. As many as may be in flight fail
/// together where a connection breaks, and that shall be no reason.
const FAILURES_MAX: u32 = 5;

/// A receiver's recent failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circuit {
    failures: u32,
}

impl Circuit {
    /// Takes in what came of an attempt.
    pub fn note(&mut self, attempt: Attempt) {
        self.failures = if is_failure(attempt) { self.failures.saturating_add(1) } else { 0 };
    }

    /// Whether the receiver is only probed.
    pub fn is_open(self) -> bool {
        self.failures >= FAILURES_MAX
    }

    /// The number that [`super::next_attempt`] shall go by for a delivery that has made so many
    /// attempts while the circuit was closed.
    pub fn attempt(self, counted: u32) -> u32 {
        if !self.is_open() {
            return counted;
        }
        let probes = self.failures - FAILURES_MAX + 1;
        probes.max(counted).min(ATTEMPTS_MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Attempt {
        Attempt::Status { code, retry_after: None }
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_any_other_answer_closes_it() {
        let mut circuit = Circuit::default();
        for attempt in [Attempt::Transport, status(503), status(429), status(408)] {
            circuit.note(attempt);
            assert!(!circuit.is_open());
        }
        circuit.note(status(500));
        assert!(circuit.is_open());
        for closing in [status(200), status(404), status(302)] {
            let mut closed = circuit;
            closed.note(closing);
            assert!(!closed.is_open(), "{closing:?}");
            closed.note(Attempt::Transport);
            assert!(!closed.is_open(), "it counts from nothing");
        }
    }

    #[test]
    fn an_open_circuit_brings_no_message_to_its_end() {
        let mut circuit = Circuit::default();
        assert_eq!(circuit.attempt(30), 30);
        for _ in 0..5 {
            circuit.note(Attempt::Transport);
        }
        // The first probe's pause follows from the message's own attempts, later ones grow.
        assert_eq!((circuit.attempt(5), circuit.attempt(1), circuit.attempt(30)), (5, 1, 29));
        for _ in 0..1000 {
            circuit.note(Attempt::Transport);
        }
        assert_eq!(circuit.attempt(1), 29);
    }
}
