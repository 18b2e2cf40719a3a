//! The interfaces of the vendors, told in each other's words.
//!
//! For routes whose client speaks one and whose provider another, and for `bellwether convert`. Clients
//! speak OpenAI's chat completions or Anthropic's messages; providers these two, Google's Gemini or
//! OpenAI's responses. The last two are told from and to chat completions, and messages by way of
//! these, so that each is known in one place.
//! [`request`], [`answer`] and [`refusal`] tell whole documents, [`Stream`] tells an answer event by
//! event. What the other side has no words for is in the list [`LOSSES`], and each document says which
//! of them it lost and where ([`Lost`]): nothing vanishes in silence, but for details of an error that
//! comes inside a stream. Nothing is supplied that was not
//! said, but for the limit that Anthropic insists on: a finish reason that is missing stays missing, a
//! stream that ends without its end ends so on this side, and an error inside a stream is told as one.

mod losses;

mod asked;
mod asking;

mod answer;
mod of_gemini;
mod of_responses;
mod refusal;
mod stream;
mod to_chat;
mod to_gemini;
mod to_messages;
mod to_responses;

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
