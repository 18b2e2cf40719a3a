//! What is said, cut into tokens.

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// Everything was said.
    Stop,
    /// At the limit.
    Length,
    /// Cut by a filter.
    Filtered,
    /// Declined.
    Refused,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A text, token by token.
    Text(Vec<String>),
    /// A refusal in words.
    Refusal(String),
    /// Nothing.
    Nothing,
}

impl Content {
    /// The true answer of this many tokens. The nonce is spread over them, so that whoever looks for
    /// it must join them; when it is used up, filler follows.
    pub fn echo(nonce: &str, tokens: u32) -> Self {
        let letters: Vec<char> = nonce.chars().collect();
        let tokens = tokens.max(1) as usize;
        let parts = tokens.min(letters.len()).max(1);
        let cut = |part: usize| part * letters.len() / parts;
        let mut pieces: Vec<String> =
            (0..parts).map(|part| letters[cut(part)..cut(part + 1)].iter().collect()).collect();
        pieces.resize(tokens, " ok".to_owned());
        Self::Text(pieces)
    }

    /// An answer of this many tokens that lacks the nonce.
    pub fn wrong(tokens: u32) -> Self {
        Self::Text(vec!["baa ".to_owned(); tokens.max(1) as usize])
    }

    /// The first half, which lacks a part of the nonce. Of a single token there is no half: filler.
    pub fn cut_short(self) -> Self {
        match self {
            Self::Text(mut pieces) if pieces.len() > 1 => {
                // Half of the nonce's own tokens is less than half of all where filler follows.
                let spoken = pieces.iter().filter(|piece| *piece != " ok").count();
                pieces.truncate((spoken / 2).max(1));
                if spoken == 1 { Self::wrong(1) } else { Self::Text(pieces) }
            }
            Self::Text(_) => Self::wrong(1),
            other => other,
        }
    }

    /// The whole text; empty for a refusal.
    pub fn text(&self) -> String {
        match self {
            Self::Text(pieces) => pieces.concat(),
            Self::Refusal(_) | Self::Nothing => String::new(),
        }
    }

    /// How many tokens were said.
    pub fn tokens(&self) -> u32 {
        match self {
            Self::Text(pieces) => u32::try_from(pieces.len()).unwrap_or(u32::MAX),
            Self::Refusal(_) => 1,
            Self::Nothing => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nonce_is_spread_over_the_tokens_and_filler_follows() {
        for (nonce, tokens, expected) in [
            ("abcdef", 3, vec!["ab", "cd", "ef"]),
            ("abcde", 2, vec!["ab", "cde"]),
            ("abc", 1, vec!["abc"]),
            ("ab", 4, vec!["a", "b", " ok", " ok"]),
            ("žluť", 4, vec!["ž", "l", "u", "ť"]),
        ] {
            let expected = Content::Text(expected.into_iter().map(str::to_owned).collect());
            assert_eq!(Content::echo(nonce, tokens), expected, "{nonce} in {tokens}");
        }
    }
}
