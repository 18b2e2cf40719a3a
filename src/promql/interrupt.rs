//! How whoever asked for an evaluation ends it before it is done.

use std::fmt;

use super::EvalError;

/// A question that an evaluation asks now and then: may it go on? It is asked once for about every
/// 16,000 samples that are looked at or computed, whatever the time that takes, and never by an
/// evaluation that needs fewer. An error ends the evaluation with just that error.
///
/// What the answer rests on is up to whoever gives it. A server reads a flag that a client's
/// departure sets; a rule group counts how often it was asked, so that the same samples give the
/// same answer.
#[derive(Clone, Copy, Default)]
pub struct Interrupt<'a>(Option<&'a dyn Fn() -> Result<(), EvalError>>);

impl<'a> Interrupt<'a> {
    /// After about so many samples the question is asked again: rarely enough to cost nothing,
    /// often enough that a stop is heeded within a millisecond.
    pub const PERIOD: usize = 1 << 14;

    /// An evaluation that asks this.
    pub fn new(question: &'a dyn Fn() -> Result<(), EvalError>) -> Self {
        Self(Some(question))
    }

    pub(super) fn ask(self) -> Result<(), EvalError> {
        self.0.map_or(Ok(()), |question| question())
    }
}

impl fmt::Debug for Interrupt<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Interrupt(asks)" } else { "Interrupt(never)" })
    }
}
