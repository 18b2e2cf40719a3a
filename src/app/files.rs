//! Files that the configuration names: finding them, reading them, and those of templates.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::Pattern;
use crate::model::{Mistake, Place};
use crate::template::Library;

// What the YAML reader takes at most, and one byte more, so that it can say so.
const BYTES_MAX: u64 = (4 << 20) + 1;
/// Tables of prices are larger than anything written by hand.
const PRICE_BYTES_MAX: u64 = 64 << 20;
/// More files than that are not read.
const FILES_MAX: usize = 1_000;

/// The files of a pattern in the field of a name; one without a wildcard is a file by itself.
pub(super) fn matching(
    field: &str,
    directory: &Path,
    pattern: &Pattern,
) -> Result<Vec<PathBuf>, Mistake> {
    let text = &pattern.text;
    if !text.contains(['*', '?', '[']) {
        return Ok(vec![directory.join(text)]);
    }
    // Only what the operator wrote is a pattern; the directory may well be called `[x]`.
    let directory = glob::Pattern::escape(&directory.display().to_string());
    let paths = glob::glob(&Path::new(&directory).join(text).display().to_string());
    let paths = paths.map_err(|error| {
        let message = format!("`{field}` names `{text}`, which is no pattern: {error}");
        Mistake::new(pattern.place.clone(), message)
    })?;
    let found = paths.take(FILES_MAX).map(|path| {
        path.map_err(|error| unreadable(field, error.path(), error.error(), &pattern.place))
    });
    found.collect()
}

/// A pattern that matches nothing is worth a word.
pub(super) fn no_match(field: &str, pattern: &Pattern) -> Mistake {
    let message = format!("`{field}` names `{}`, which matches no file", pattern.text);
    let warning = Mistake::new(pattern.place.clone(), message);
    warning.remedy("paths are relative to the configuration file")
}

/// A file that can't be read.
pub(super) fn unreadable(field: &str, path: &Path, error: &io::Error, place: &Place) -> Mistake {
    let path = path.display();
    let message = format!("`{field}` names `{path}`, which cannot be read: {error}");
    let remedy = "paths are relative to the configuration file";
    Mistake::new(place.clone(), message).remedy(remedy)
}

/// A file's text, as far as any is read.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// The text of a table of prices, as far as any is read.
pub(super) fn read_prices(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(PRICE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// The files of `templates`, each read once, a later one's definitions in place of an earlier one's.
pub(super) struct TemplateFiles {
    library: Library,
    seen: BTreeSet<PathBuf>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    last: Option<Place>,
}

impl Default for TemplateFiles {
    fn default() -> Self {
        let (seen, mistakes, warnings, last) = Default::default();
        Self { library: Library::standard(), seen, mistakes, warnings, last }
    }
}

impl TemplateFiles {
    pub(super) fn add(&mut self, directory: &Path, pattern: &Pattern) {
        match matching("templates", directory, pattern) {
            Ok(paths) if paths.is_empty() => self.warnings.push(no_match("templates", pattern)),
            Ok(paths) => paths.into_iter().for_each(|path| self.open(&path, pattern)),
            Err(mistake) => self.mistakes.push(mistake),
        }
    }

    fn open(&mut self, path: &Path, pattern: &Pattern) {
        if self.seen.len() >= FILES_MAX || !self.seen.insert(path.to_owned()) {
            return;
        }
        let text = match read(path) {
            Ok(text) => text,
            Err(error) => {
                self.mistakes.push(unreadable("templates", path, &error, &pattern.place));
                return;
            }
        };
        if let Err(error) = self.library.add(&text) {
            let file = path.display();
            let message =
                format!("`templates` names `{file}`, which is no file of templates: {error}");
            let remedy = "Alertmanager's functions are known here";
            self.mistakes.push(Mistake::new(pattern.place.clone(), message).remedy(remedy));
        }
        self.last = Some(pattern.place.clone());
    }

    /// What all of them define. Names that nobody defines are mistakes.
    pub(super) fn finish(
        self,
        mistakes: &mut Vec<Mistake>,
        warnings: &mut Vec<Mistake>,
    ) -> Library {
        mistakes.extend(self.mistakes);
        // Any of the files may have been meant to define it, so the last one's place stands for all.
        if let Some(place) = self.last {
            mistakes.extend(self.library.undefined().into_iter().map(|(caller, name)| {
                let message = format!(
                    "`templates`: the template `{caller}` calls `{name}`, which is not defined"
                );
                Mistake::new(place.clone(), message)
            }));
        }
        warnings.extend(self.warnings);
        self.library
    }
}
