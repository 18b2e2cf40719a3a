//! Reading the configuration and the rule files that it names.
//!
//! The files are read here and judged in `config` and `rules`. A rule file that is named without a
//! wildcard must exist; a pattern that matches nothing is worth a word and no more, as in
//! Prometheus. Nothing is kept: each reload reads everything again, and a mistake anywhere keeps
//! what was loaded before.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{TemplateFiles, matching, no_match, read, read_prices, unreadable};
use crate::config::{self, Config, Pattern};
use crate::model::{Mistake, Place};
use crate::price::Table;
use crate::rules::{self, RuleFile};
use crate::slo;

const RULE_FILES_MAX: usize = 1_000;
/// What the name of the rules of objectives ends with; the rest is the configuration's.
const OBJECTIVES: &str = " (slos)";

/// Everything that the files say.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The rule files, each once, in the order of their patterns; then the rules of the objectives.
    pub rules: Vec<RuleFile>,
    /// What is odd and no mistake.
    pub warnings: Vec<Mistake>,
    /// The configuration as it was written. It holds no secret: those are named, not written.
    pub text: String,
}

impl Loaded {
    /// What is built in and read from no file.
    pub fn built(config: Config, rules: Vec<RuleFile>, text: &str) -> Self {
        Self { config, rules, warnings: Vec::new(), text: text.to_owned() }
    }

    /// The rules with other files in place of those that the configuration names. Those of its
    /// objectives stay.
    pub fn rules_with(&self, mut files: Vec<RuleFile>) -> Vec<RuleFile> {
        files.extend(self.rules.iter().filter(|file| self.is_objectives(file)).cloned());
        files
    }

    /// The rule files without the rules of the objectives.
    pub(super) fn files(&self) -> impl Iterator<Item = &RuleFile> {
        self.rules.iter().filter(|file| !self.is_objectives(file))
    }

    fn is_objectives(&self, file: &RuleFile) -> bool {
        !self.config.slos.is_empty()
            && file.groups.iter().any(|group| group.file.ends_with(OBJECTIVES))
    }
}

/// Why nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The configuration file cannot be read.
    #[error("`{path}` cannot be read", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// What the files say is wrong; all of it, in the order of the files.
    #[error("{}", Listed("configuration", .0))]
    Mistakes(Vec<Mistake>),
    /// The same of the web configuration file.
    #[error("{}", Listed("web configuration", .0))]
    WebMistakes(Vec<Mistake>),
}

/// One mistake a line, and how many there are.
struct Listed<'a>(&'a str, &'a [Mistake]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what, mistakes) = self;
        let noun = if mistakes.len() == 1 { "mistake" } else { "mistakes" };
        write!(formatter, "the {what} has {} {noun}", mistakes.len())?;
        mistakes.iter().try_for_each(|mistake| write!(formatter, "\n{mistake}"))
    }
}

/// Reads the configuration at a path and the rule files that it names.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    let text =
        read(path).map_err(|error| LoadError::Unreadable { path: path.to_owned(), error })?;
    let file = path.display().to_string();
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut files = RuleFiles::default();
    // Asked for apart, so that mistakes in both are reported in one go.
    let patterns = config::rule_files(&file, &text);
    patterns.iter().for_each(|pattern| files.add(directory, pattern));
    let patterns = config::template_files(&file, &text);
    let mut templates = TemplateFiles::default();
    patterns.iter().for_each(|pattern| templates.add(directory, pattern));
    let library = templates.finish(&mut files.mistakes, &mut files.warnings);
    let prices = price_table(directory, &config::price_files(&file, &text), &mut files);
    match config::parse_with(&file, &text, &library, &prices) {
        Ok(config) if files.mistakes.is_empty() => {
            files.generated(&config, &file);
            if !files.mistakes.is_empty() {
                return Err(LoadError::Mistakes(files.mistakes));
            }
            Ok(Loaded { config, rules: files.found, warnings: files.warnings, text })
        }
        Ok(_) => Err(LoadError::Mistakes(files.mistakes)),
        Err(mut mistakes) => {
            mistakes.append(&mut files.mistakes);
            Err(LoadError::Mistakes(mistakes))
        }
    }
}

/// The files of `prices`, read in order; a later one's prices win.
fn price_table(directory: &Path, patterns: &[Pattern], files: &mut RuleFiles) -> Table {
    const FIELD: &str = "prices: files";
    let mut table = Table::default();
    for pattern in patterns {
        let paths = match matching(FIELD, directory, pattern) {
            Ok(paths) => paths,
            Err(mistake) => {
                files.mistakes.push(mistake);
                continue;
            }
        };
        if paths.is_empty() {
            files.warnings.push(no_match(FIELD, pattern));
        }
        for path in paths {
            match read_prices(&path).map(|text| Table::parse(&text)) {
                Ok(Ok(read)) => table.extend(read),
                Ok(Err(error)) => {
                    let message = format!("`{FIELD}` names `{}`: {error}", path.display());
                    files.mistakes.push(Mistake::new(pattern.place.clone(), message));
                }
                Err(error) => {
                    files.mistakes.push(unreadable(FIELD, &path, &error, &pattern.place));
                }
            }
        }
    }
    table
}

#[derive(Default)]
struct RuleFiles {
    seen: BTreeSet<PathBuf>,
    found: Vec<RuleFile>,
    warnings: Vec<Mistake>,
    mistakes: Vec<Mistake>,
}

impl RuleFiles {
    fn add(&mut self, directory: &Path, pattern: &Pattern) {
        match matching("rule_files", directory, pattern) {
            Ok(paths) if paths.is_empty() => self.warnings.push(no_match("rule_files", pattern)),
            Ok(paths) => paths.into_iter().for_each(|path| self.open(path, &pattern.place)),
            Err(mistake) => self.mistakes.push(mistake),
        }
    }

    /// The rules of the objectives, read as a file is: what the engine runs is what
    /// `bellwether slo generate` prints.
    fn generated(&mut self, config: &Config, file: &str) {
        if config.slos.is_empty() {
            return;
        }
        match rules::parse(&format!("{file}{OBJECTIVES}"), &slo::generate(&config.slos)) {
            Ok(file) => self.found.push(file),
            Err(mistakes) => self.mistakes.extend(mistakes),
        }
    }

    fn open(&mut self, path: PathBuf, place: &Place) {
        if self.found.len() >= RULE_FILES_MAX || !self.seen.insert(path.clone()) {
            return;
        }
        match read(&path) {
            Ok(text) => match rules::parse(&path.display().to_string(), &text) {
                Ok(file) => self.found.push(file),
                Err(mistakes) => self.mistakes.extend(mistakes),
            },
            Err(error) => self.mistakes.push(unreadable("rule_files", &path, &error, place)),
        }
    }
}
