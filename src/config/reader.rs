//! Reading mappings field by field, and collecting what is wrong with them.
//!
//! A reading function returns `None` only after it has reported why, so that the caller goes on
//! with the next field and the next entry, and everything is reported in one go.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::scalar::Patterns;
use crate::model::{Mistake, Place, suggest};
use crate::price::Table;
use crate::template::Library;
use crate::yaml::{Node, Yaml};

// Names are compared each with each, so that a near one can be suggested.
const ITEMS_MAX: usize = 1_000;

/// Collects mistakes, and knows where the file lies.
pub(super) struct Reader {
    /// What templates may name.
    pub(super) library: Library,
    /// The prices in files.
    pub(super) prices: Arc<Table>,
    /// The regular expressions that were read so far.
    pub(super) patterns: Rc<Patterns>,
    directory: PathBuf,
    mistakes: Vec<Mistake>,
}

/// A mapping whose keys are all known and hold something.
pub(super) struct Fields<'n> {
    /// What it describes, for messages: "probe `fast`".
    pub(super) what: String,
    node: &'n Node,
    // What the unknown keys were probably meant to be, so that none is reported as missing too.
    misspelled: Vec<String>,
}

impl<'n> Fields<'n> {
    /// A field's value, unless it is missing or nothing.
    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        self.node.get(name).filter(|value| !value.is_null())
    }

    /// Whether a field is written, if only with nothing in it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.node.get(name).is_some()
    }

    /// Where the mapping begins.
    pub(super) fn place(&self) -> &Place {
        &self.node.place
    }

    /// What a part of it is called in messages.
    pub(super) fn part(&self, name: &str) -> String {
        if self.what.is_empty() { name.to_owned() } else { format!("{}, {name}", self.what) }
    }
}

impl Reader {
    /// A reader of a file, which need not exist.
    pub(super) fn new(file: &str) -> Self {
        let directory = Path::new(file).parent().map(Path::to_owned).unwrap_or_default();
        let (library, prices) = (Library::standard(), Arc::default());
        Self { library, prices, patterns: Rc::default(), directory, mistakes: Vec::new() }
    }

    /// All that was reported, in the order of the file.
    pub(super) fn finish(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by(|left, right| left.place.cmp(&right.place));
        self.mistakes.dedup();
        self.mistakes
    }

    /// Reports a mistake.
    pub(super) fn report(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// A path that the file names, relative to the file's directory.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.directory.join(text)
    }

    /// Opens a mapping. Keys that are not known and values that are nothing are reported.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: impl Into<String>,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        let what = what.into();
        let mut misspelled = Vec::new();
        let Yaml::Mapping(entries) = &node.value else {
            let message = format!("{} is due here, not {}", keys_of(&what), node.kind());
            self.report(Mistake::new(node.place.clone(), message).remedy(known_keys(known)));
            return None;
        };
        for (key, value) in entries {
            match key.text() {
                Some(name) if known.contains(&name) => {
                    if value.is_null() {
                        let message = prefixed(&what, &format!("`{name}` has no value"));
                        let mistake = Mistake::new(key.place.clone(), message);
                        self.report(mistake.remedy("write one, or remove the key"));
                    }
                }
                Some(name) => {
                    let meant = suggest::nearest(name, known.iter().copied());
                    misspelled.extend(meant.map(str::to_owned));
                    self.report(unknown_key(&what, name, &key.place, known));
                }
                None => {
                    let message = prefixed(&what, &format!("a key is {}", key.kind()));
                    self.report(Mistake::new(key.place.clone(), message).remedy(known_keys(known)));
                }
            }
        }
        Some(Fields { what, node, misspelled })
    }

    /// Reads a field that may be missing.
    pub(super) fn optional<'n, T>(
        &mut self,
        fields: &Fields<'n>,
        name: &str,
        read: impl FnOnce(&'n Node) -> Result<T, Mistake>,
    ) -> Option<T> {
        let node = fields.get(name)?;
        self.judge(&fields.what, name, read(node))
    }

    /// Reads a field that must be there; `remedy` says what to write where it is not.
    pub(super) fn required<'n, T>(
        &mut self,
        fields: &Fields<'n>,
        name: &str,
        remedy: &str,
        read: impl FnOnce(&'n Node) -> Result<T, Mistake>,
    ) -> Option<T> {
        if !fields.has(name) {
            self.missing(fields, name, remedy);
        }
        self.optional(fields, name, read)
    }

    /// Reports that a field is missing, unless its misspelled name was.
    pub(super) fn missing(&mut self, fields: &Fields<'_>, name: &str, remedy: &str) {
        if fields.misspelled.iter().any(|meant| meant == name) {
            return;
        }
        let message = prefixed(&fields.what, &format!("`{name}` is missing"));
        self.report(Mistake::new(fields.place().clone(), message).remedy(remedy));
    }

    /// Reports a list that is missing or empty where something must be in it.
    pub(super) fn filled(&mut self, fields: &Fields<'_>, name: &str, remedy: &str) {
        if !fields.has(name) {
            self.missing(fields, name, remedy);
        }
        if let Some(node) =
            fields.get(name).filter(|node| node.items().is_some_and(<[_]>::is_empty))
        {
            let message = prefixed(&fields.what, &format!("`{name}` is empty"));
            self.report(Mistake::new(node.place.clone(), message).remedy(remedy));
        }
    }

    /// The items of a list that are something; none where it is missing.
    pub(super) fn items<'n>(&mut self, fields: &Fields<'n>, name: &str) -> Vec<&'n Node> {
        let Some(node) = fields.get(name) else { return Vec::new() };
        if let Some(items) = node.items() {
            let (empty, full): (Vec<&Node>, Vec<&Node>) =
                items.iter().partition(|item| item.is_null());
            for item in empty {
                let message = prefixed(&fields.what, &format!("an item of `{name}` is empty"));
                self.report(Mistake::new(item.place.clone(), message).remedy("remove the `-`"));
            }
            if full.len() > ITEMS_MAX {
                let message = format!("`{name}` has {} items", full.len());
                let mistake = Mistake::new(node.place.clone(), prefixed(&fields.what, &message));
                self.report(mistake.remedy(format!("at most {ITEMS_MAX} are read")));
                return Vec::new();
            }
            return full;
        }
        let message = format!("`{name}` is {}, where a list is due", node.kind());
        let mistake = Mistake::new(node.place.clone(), prefixed(&fields.what, &message));
        self.report(mistake.remedy("begin each item with `- `"));
        Vec::new()
    }

    /// Reads every item of a list, and returns those that are right.
    pub(super) fn list<'n, T>(
        &mut self,
        fields: &Fields<'n>,
        name: &str,
        read: impl Fn(&'n Node) -> Result<T, Mistake>,
    ) -> Vec<T> {
        let items = self.items(fields, name);
        items.into_iter().filter_map(|item| self.judge(&fields.what, name, read(item))).collect()
    }

    /// Reports what a reading function refused, with the field's name before its message.
    pub(super) fn judge<T>(
        &mut self,
        what: &str,
        name: &str,
        result: Result<T, Mistake>,
    ) -> Option<T> {
        result
            .map_err(|mut mistake| {
                mistake.message = prefixed(what, &format!("`{name}` {}", mistake.message));
                self.report(mistake);
            })
            .ok()
    }
}

/// The name of an entry of a list, for messages: by its `name` where it has one.
pub(super) fn entry_name(kind: &str, index: usize, node: &Node) -> String {
    match node.get("name").and_then(Node::text) {
        Some(name) if !name.is_empty() => format!("{kind} `{name}`"),
        _ => format!("{kind} {}", index + 1),
    }
}

/// A message with what it is about before it.
pub(super) fn prefixed(what: &str, message: &str) -> String {
    if what.is_empty() { message.to_owned() } else { format!("{what}: {message}") }
}

fn keys_of(what: &str) -> String {
    prefixed(what, "a mapping")
}

fn known_keys(known: &[&str]) -> String {
    let keys: Vec<String> = known.iter().take(8).map(|key| format!("`{key}`")).collect();
    format!("its keys are {}{}", keys.join(", "), if known.len() > 8 { ", …" } else { "" })
}

fn unknown_key(what: &str, name: &str, place: &Place, known: &[&str]) -> Mistake {
    let mistake =
        Mistake::new(place.clone(), prefixed(what, &format!("`{name}` is not a key here")));
    match suggest::remedy(name, known.iter().copied()) {
        Some(remedy) => mistake.remedy(remedy),
        None => mistake,
    }
}
