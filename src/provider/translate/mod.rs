//! OpenAI's chat completions and Anthropic's messages, told in each other's words.
//!
//! For routes whose client speaks one and whose provider the other, and for `bellwether convert`.
//! [`request`], [`answer`] and [`refusal`] tell whole documents, [`Stream`] tells an answer event by
//! event. What the other side has no words for is in the list [`LOSSES`], and each document says which
//! of them it lost and where ([`Lost`]): nothing vanishes in silence. Nothing is supplied that was not
//! said, but for the limit that Anthropic insists on: a finish reason that is missing stays missing, a
//! stream that ends without its end ends so on this side, and an error inside a stream is told as one.

mod losses;

mod asking;

mod answer;
mod refusal;
mod stream;
mod to_chat;
mod to_messages;

mod ledger;
mod words;

#[cfg(test)]
mod tests;

pub use answer::answer;
pub use asking::{Names, request};
pub use ledger::Lost;
pub use losses::{Fate, LOSSES, Loss, Within};
pub use refusal::{refusal, status};
pub use stream::Stream;
pub use words::{Direction, Strictness, Translated, Untranslatable};
