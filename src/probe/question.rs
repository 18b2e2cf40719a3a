//! What a probe asks.
//!
//! Each question carries a nonce of its own: an answer from a cache cannot hold it, and a model
//! that repeats it was alive. The built-in question is a few tokens long, far below the length at
//! which providers start to cache, and ends with the nonce.

/// A question and the nonce in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The word that the answer must hold.
    pub nonce: String,
    /// What is sent.
    pub prompt: String,
}

impl Question {
    /// Builds the question of one probe from a drawn number; `{nonce}` in an own prompt is replaced.
    pub fn new(prompt: Option<&str>, draw: u32) -> Self {
        // Letters in front keep a model from reading it as a number.
        let nonce = format!("bw{draw:08x}");
        let prompt = match prompt {
            Some(prompt) => prompt.replace("{nonce}", &nonce),
            None => format!("Reply with exactly this word and nothing else: {nonce}"),
        };
        Self { nonce, prompt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_ends_with_its_nonce() {
        let question = Question::new(None, 0x7f3a_9c21);
        assert_eq!(question.nonce, "bw7f3a9c21");
        assert_eq!(question.prompt, "Reply with exactly this word and nothing else: bw7f3a9c21");
    }

    #[test]
    fn an_own_prompt_carries_the_nonce_where_it_says() {
        let question = Question::new(Some("Say {nonce} twice: {nonce}"), 1);
        assert_eq!(question.prompt, "Say bw00000001 twice: bw00000001");
        assert_eq!(Question::new(Some("Say hello"), 1).prompt, "Say hello");
    }
}
