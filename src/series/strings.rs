//! One copy of each label name and value.
//!
//! A thousand series share a dozen names and a few hundred values; whoever scrapes brings fresh
//! copies each time.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::{Label, Labels};

/// The texts in use. Iterated only to sweep, so that the hash's own order shows nowhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Strings {
    texts: HashSet<Arc<str>>,
    size_bytes: usize,
}

impl Strings {
    /// The same labels, made of the shared texts: the very set where it is made of them already, as
    /// that of whoever shares texts too.
    pub(super) fn intern(&mut self, labels: &Labels) -> Labels {
        let mut is_shared = true;
        let shared: Vec<Label> = labels
            .iter()
            .map(|label| {
                let name = self.text(&label.name);
                let value = self.text(&label.value);
                is_shared &= Arc::ptr_eq(&name, &label.name) && Arc::ptr_eq(&value, &label.value);
                Label { name, value }
            })
            .collect();
        if is_shared { labels.clone() } else { shared.into_iter().collect() }
    }

    /// Lets go of texts that nobody else holds. What a copy of the store holds stays until the
    /// next time.
    pub(super) fn sweep(&mut self) {
        let size_bytes = &mut self.size_bytes;
        self.texts.retain(|text| {
            let used = Arc::strong_count(text) > 1;
            if !used {
                *size_bytes = size_bytes.saturating_sub(cost(text));
            }
            used
        });
    }

    /// About how many bytes the texts take.
    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    fn text(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some(shared) = self.texts.get(text) {
            return Arc::clone(shared);
        }
        self.texts.insert(Arc::clone(text));
        self.size_bytes += cost(text);
        Arc::clone(text)
    }
}

/// The text, its two reference counts and its place in the set.
fn cost(text: &str) -> usize {
    text.len() + 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_held_once_and_swept_when_unused() {
        let mut strings = Strings::default();
        let one = strings.intern(&Labels::from_pairs([("job", "a"), ("mode", "a")]));
        let other = strings.intern(&Labels::from_pairs([("job", "b")]));
        assert_eq!(one, Labels::from_pairs([("job", "a"), ("mode", "a")]));
        let job = |labels: &Labels| labels.iter().next().map(|label| Arc::as_ptr(&label.name));
        assert_eq!(job(&one), job(&other));
        // What is made of shared texts is the set itself.
        let again = strings.intern(&one);
        assert!(std::ptr::eq(again.iter().as_slice(), one.iter().as_slice()));
        drop(again);
        let full = strings.size_bytes();
        drop(one);
        strings.sweep();
        // `mode` and `a` are gone, `job` and `b` are still used.
        assert_eq!(full - strings.size_bytes(), 4 + 1 + 2 * 32);
        drop(other);
        strings.sweep();
        assert_eq!(strings.size_bytes(), 0);
    }
}
