//! Stable and candidate side by side on the same questions: what to ask in which order, and what the
//! answers say.
//!
//! Pure: prompts, a seed and answers in, a report out. The prober asks. Whoever reads a report decides
//! about money and users by it, so each number comes with what is not known about it, and a verdict is
//! given where the numbers carry one.

mod asking;
mod capture;
mod prompt;

mod backoff;
mod purse;
mod schedule;

mod outcome;

mod compare;
mod gate;
mod report;
mod tally;

mod brief;
mod figure;
mod page;
mod plot;
mod section;
mod text;

pub use asking::{Asking, asking, price};
pub use backoff::{Ruling, ruling, wait};
pub use capture::{Capture, parse as parse_capture};
pub use gate::{Gate, Limits, Metric, RatioLimit, Verdict, Word};
pub use outcome::{Answer, Judgement, Standing, judgement, question, standing};
pub use page::page;
pub use prompt::{PROMPTS_MAX, Prompt, Said, built_in, nonce, parse as parse_prompts};
pub use purse::Purse;
pub use report::{ArmFacts, Both, Report, RunFacts, Shares};
pub use schedule::{Arm, Turn, schedule};
pub use tally::{Frame, Pair, Tally, Texts};
pub use text::{markdown, text};

#[cfg(test)]
mod tests;
