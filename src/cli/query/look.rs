//! What a stream can show: colours, blocks, and how wide it is.

use std::io::IsTerminal;

/// Where nobody tells the width.
const WIDTH: usize = 100;

/// How text for people is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Columns of the terminal; `None` where nobody looks at once, and lines may be long.
    pub width: Option<usize>,
    /// Whether blocks can be shown, or letters only.
    pub has_blocks: bool,
    /// Whether there are colours.
    pub has_colours: bool,
}

impl Look {
    pub(super) fn of_output() -> Self {
        Self::of(&std::io::stdout())
    }

    pub(super) fn of_errors() -> Self {
        Self::of(&std::io::stderr())
    }

    fn of(stream: &impl IsTerminal) -> Self {
        let variable = |name| std::env::var(name).unwrap_or_default();
        let is_smart = stream.is_terminal() && variable("TERM") != "dumb";
        // The first that is set decides, as in every program that follows the locale.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(variable);
        let locale = locale.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
        let locale = locale.to_lowercase();
        let columns = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self {
            width: is_smart.then(|| columns().unwrap_or(WIDTH)),
            has_blocks: is_smart && (locale.contains("utf-8") || locale.contains("utf8")),
            // https://no-color.org: set to anything at all.
            has_colours: is_smart && variable("NO_COLOR").is_empty(),
        }
    }

    /// Text that stands back.
    pub(super) fn faint(&self, text: &str) -> String {
        self.painted("2", text)
    }

    /// Text that says what is wrong.
    pub(super) fn alarming(&self, text: &str) -> String {
        self.painted("1;31", text)
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.has_colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
