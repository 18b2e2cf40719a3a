//! OpenAI's chat completions and Anthropic's messages, told in each other's words.
//!
//! For routes whose client speaks one and whose provider the other. What the other side has no words
//! for is refused or left out by name, never in silence. Nothing is supplied that was not said: a
//! finish reason that is missing stays missing, a stream that ends without its end ends so on this
//! side, and an error inside a stream is told as one.

mod asking;

mod answer;
mod refusal;
mod stream;
mod to_chat;
mod to_messages;
mod words;

#[cfg(test)]
mod tests;

pub use answer::answer;
pub use asking::request;
pub use refusal::{refusal, status};
pub use stream::Stream;
pub use words::{Direction, Strictness, Translated, Untranslatable, Untranslated};
