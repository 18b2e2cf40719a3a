//! As much of Rust's syntax as the checks need: words and signs without comments and texts, the
//! paths that are named, and which part is tests.

/// A word or a sign, and its line.
#[derive(Clone, Debug)]
struct Token {
    text: String,
    line: usize,
}

/// A named path: `crate::model::Labels`; of a `use` with braces, each name in them is one.
#[derive(Debug)]
pub struct Path {
    pub line: usize,
    pub names: Vec<String>,
    /// How many `mod … { }` of the file it is inside of.
    pub nesting: usize,
}

/// Which part of a file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    All,
    WithoutTests,
}

/// A file's tokens.
pub struct Syntax {
    tokens: Vec<Token>,
    /// For each token, whether it belongs to an item under `#[cfg(test)]`.
    tests: Vec<bool>,
    lines: usize,
}

impl Syntax {
    pub fn read(source: &str) -> Self {
        let tokens = tokens(&blank(source));
        let tests = tests(&tokens);
        Self { tokens, tests, lines: source.lines().count() }
    }

    /// The lines before the first `#[cfg(test)]`.
    pub fn lines_before_tests(&self) -> usize {
        let first = self.tests.iter().position(|is_test| *is_test);
        first.map_or(self.lines, |first| self.tokens[first].line - 1)
    }

    /// The tokens that are words, with their lines.
    pub fn words(&self, part: Part) -> impl Iterator<Item = (usize, &str)> {
        let tokens = self.tokens.iter().zip(&self.tests);
        tokens
            .filter(move |(_, is_test)| part == Part::All || !**is_test)
            .map(|(token, _)| (token.line, token.text.as_str()))
            .filter(|(_, text)| is_word(text))
    }

    /// Every path, single words included.
    pub fn paths(&self, part: Part) -> Vec<Path> {
        let mut paths = Vec::new();
        // For each open brace, whether it is a module's.
        let mut open = Vec::new();
        let mut at = 0;
        while let Some(text) = self.text(at) {
            match text {
                "{" => {
                    open.push(at >= 2 && self.text(at - 2) == Some("mod"));
                    at += 1;
                }
                "}" => {
                    open.pop();
                    at += 1;
                }
                _ if is_word(text) => {
                    let nesting = open.iter().filter(|is_module| **is_module).count();
                    let start = at;
                    let mut found = Vec::new();
                    at = self.path(at, &[], &mut found);
                    if part == Part::All || !self.tests[start] {
                        let found = found.into_iter();
                        paths.extend(found.map(|(line, names)| Path { line, names, nesting }));
                    }
                }
                _ => at += 1,
            }
        }
        paths
    }

    /// The line of the first thing that is neither an attribute nor `mod x;` nor `use x;`.
    pub fn first_item_beside_mod_and_use(&self) -> Option<usize> {
        let mut at = 0;
        while at < self.tokens.len() {
            if self.text(at) == Some("#") {
                at = self.attribute_end(at);
                continue;
            }
            let start = at;
            if self.text(at) == Some("pub") {
                at += 1;
                if self.text(at) == Some("(") {
                    at = self.group_end(at);
                }
            }
            let is_use = self.text(at) == Some("use");
            let is_mod = self.text(at) == Some("mod") && self.text(at + 2) == Some(";");
            if !is_use && !is_mod {
                return Some(self.tokens[start].line);
            }
            while self.text(at).is_some_and(|text| text != ";") {
                at += 1;
            }
            at += 1;
        }
        None
    }

    /// The lines of `allow(…)` in attributes.
    pub fn allows(&self) -> impl Iterator<Item = usize> {
        let attributes = (0..self.tokens.len()).filter(|at| self.text(*at) == Some("#"));
        attributes.flat_map(|start| {
            let inside = start..self.attribute_end(start);
            inside
                .filter(|at| self.text(*at) == Some("allow") && self.text(at + 1) == Some("("))
                .map(|at| self.tokens[at].line)
        })
    }

    /// The lines of `todo!`.
    pub fn todos(&self) -> impl Iterator<Item = usize> {
        (0..self.tokens.len())
            .filter(|at| self.text(*at) == Some("todo") && self.text(at + 1) == Some("!"))
            .map(|at| self.tokens[at].line)
    }

    /// Reads the path at a word, all its branches, and returns where it ends.
    fn path(
        &self,
        mut at: usize,
        before: &[String],
        found: &mut Vec<(usize, Vec<String>)>,
    ) -> usize {
        let mut names = before.to_vec();
        let mut line = 0;
        while let Some(text) = self.text(at) {
            if is_word(text) || text == "*" {
                names.push(text.to_owned());
                line = self.tokens[at].line;
                at += 1;
                if self.text(at) != Some("::") {
                    break;
                }
                at += 1;
            } else if text == "{" {
                at += 1;
                while self.text(at).is_some_and(|text| text != "}") {
                    let starts = self.text(at).is_some_and(|text| is_word(text) || text == "*");
                    at = match self.text(at) {
                        // The other name is no path.
                        Some("as") => at + 2,
                        _ if starts => self.path(at, &names, found),
                        _ => at + 1,
                    };
                }
                return at + 1;
            } else {
                break;
            }
        }
        found.push((line, names));
        at
    }

    fn text(&self, at: usize) -> Option<&str> {
        self.tokens.get(at).map(|token| token.text.as_str())
    }

    fn attribute_end(&self, at: usize) -> usize {
        attribute_end(&self.tokens, at)
    }

    fn group_end(&self, at: usize) -> usize {
        group_end(&self.tokens, at)
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Marks the tokens of every item under `#[cfg(test)]`, its attributes included.
fn tests(tokens: &[Token]) -> Vec<bool> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let text = |at: usize| tokens.get(at).map(|token| token.text.as_str());
    let mut marks = vec![false; tokens.len()];
    let mut at = 0;
    while at < tokens.len() {
        if !MARK.iter().enumerate().all(|(offset, part)| text(at + offset) == Some(part)) {
            at += 1;
            continue;
        }
        let start = at;
        while text(at) == Some("#") {
            at = attribute_end(tokens, at);
        }
        // The item ends with its first brace, or at a semicolon where it has none.
        let is_use = text(at) == Some("use");
        while let Some(sign) = text(at) {
            match sign {
                ";" => {
                    at += 1;
                    break;
                }
                "{" if !is_use => {
                    at = group_end(tokens, at);
                    break;
                }
                "(" | "[" | "{" => at = group_end(tokens, at),
                _ => at += 1,
            }
        }
        let end = at.min(tokens.len());
        marks[start..end].fill(true);
    }
    marks
}

/// Where the attribute that starts at a `#` ends.
fn attribute_end(tokens: &[Token], at: usize) -> usize {
    let inner = tokens.get(at + 1).is_some_and(|token| token.text == "!");
    let bracket = at + 1 + usize::from(inner);
    match tokens.get(bracket) {
        Some(token) if token.text == "[" => group_end(tokens, bracket),
        _ => at + 1,
    }
}

/// Where the group that starts at a bracket ends.
fn group_end(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (position, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return position + 1;
        }
    }
    tokens.len()
}

fn tokens(blanked: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (line, text) in (1..).zip(blanked.lines()) {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let in_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = if in_word(first) {
                rest.find(|c| !in_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(Token { text: rest[..length].to_owned(), line });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// Replaces comments, texts and characters by blanks; the lines stay.
fn blank(source: &str) -> String {
    let characters: Vec<char> = source.chars().collect();
    let mut blanked = String::with_capacity(source.len());
    let mut at = 0;
    while at < characters.len() {
        let end = foreign_end(&characters, at);
        if end == at {
            // A word is taken whole: the `r` of `for"` starts no raw text.
            let is_in_word = |c: &&char| c.is_alphanumeric() || **c == '_';
            let word = characters[at..].iter().take_while(is_in_word).count().max(1);
            blanked.extend(&characters[at..at + word]);
            at += word;
        } else {
            let foreign = characters[at..end].iter();
            blanked.extend(foreign.map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    blanked
}

/// Where the comment, text or character that starts here ends; `at` where none starts here.
fn foreign_end(characters: &[char], at: usize) -> usize {
    let rest = &characters[at..];
    let starts = |text: &str| text.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c));
    let prefix = ["br", "cr", "r", "b", "c"].into_iter().find(|prefix| {
        let after = rest.get(prefix.len());
        starts(prefix)
            && matches!(after, Some('"' | '#' | '\''))
            && (*prefix == "b" || after != Some(&'\''))
    });
    let length = if starts("//") {
        rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
    } else if starts("/*") {
        block_comment(rest)
    } else if let Some(prefix) = prefix {
        let body = &rest[prefix.len()..];
        let length = if prefix.ends_with('r') { raw_text(body) } else { quoted(body) };
        if length == 0 { 0 } else { prefix.len() + length }
    } else {
        quoted(rest)
    };
    at + length
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth.saturating_sub(1), at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of `#"…"#`; 0 for `#word`, a raw name.
fn raw_text(rest: &[char]) -> usize {
    let hashes = rest.iter().take_while(|c| **c == '#').count();
    if rest.get(hashes) != Some(&'"') {
        return 0;
    }
    let mut at = hashes + 1;
    while at < rest.len() {
        let closing = rest[at + 1..].iter().take_while(|c| **c == '#').count();
        if rest[at] == '"' && closing >= hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    at
}

/// The length of `"…"` or `'x'`; 0 for anything else, a lifetime among it.
fn quoted(rest: &[char]) -> usize {
    let Some(quote @ ('"' | '\'')) = rest.first().copied() else { return 0 };
    if quote == '\'' && rest.get(1) != Some(&'\\') && rest.get(2) != Some(&'\'') {
        return 0;
    }
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}
