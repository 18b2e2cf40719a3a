//! Parser events to a tree, with a bound on everything.
//!
//! Anchors and aliases work as in Prometheus's files, merge keys (`<<`) too: what is written beside
//! a merge key wins over what it brings, and of several merged mappings the first wins. What an
//! alias stands for is copied, so copies are counted: a file of a few hundred bytes that would grow
//! to gigabytes is refused. Tags other than YAML's own are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::runs::Runs;
use super::{Node, Scalar, Style, Yaml};
use crate::model::{Mistake, Place};

// Far above any real file, far below what hurts: a node takes about 150 bytes.
const NODES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 128;
const TEXT_MAX: usize = 4 << 20;
// Scalars of the whole tree, copies included.
const COPIED_MAX: usize = 16 << 20;

/// Reads a file that holds one document. An empty file is a null node.
pub fn parse(file: &str, text: &str) -> Result<Node, Mistake> {
    let file: Arc<str> = Arc::from(file);
    let start = Place { file: file.clone(), line: 1, column: 1 };
    if text.len() > TEXT_MAX {
        let message = format!("the file has {} bytes", text.len());
        return Err(Mistake::new(start, message).remedy(format!("at most {TEXT_MAX} are read")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(at) = text.find('\0') {
        let line = text[..at].matches('\n').count() + 1;
        let place = Place { line: count(line), ..start };
        return Err(Mistake::new(place, "a NUL byte is not text"));
    }
    let mut builder = Builder {
        source: Source { file, text, bytes: 0, characters: 0 },
        open: Vec::new(),
        anchors: BTreeMap::new(),
        nodes: 0,
        copied: 0,
        root: None,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            Mistake::new(builder.source.place(*error.marker()), not_yaml(error.info()))
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.root.unwrap_or(Node { place: start.clone(), end: start, value: Yaml::Null }))
}

fn not_yaml(info: &str) -> String {
    format!("this is not YAML: {info}")
}

fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

struct Builder<'a> {
    source: Source<'a>,
    open: Vec<Frame>,
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    copied: usize,
    root: Option<Node>,
}

struct Frame {
    place: Place,
    anchor: usize,
    value: Open,
}

enum Open {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<(Node, Node)>, key: Option<Node> },
}

struct Anchored {
    node: Node,
    size: Size,
}

#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Mistake> {
        let place = self.source.place(span.start);
        let end = self.source.place(span.end);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Mistake::new(place, "a second document begins here")
                    .remedy("one file holds one document; remove the `---`"))
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                let tag = core_tag(tag.as_deref(), &place)?;
                let value = self.scalar(&text, style, tag, span, &place);
                self.close(Node { place, end, value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                core_tag(tag.as_deref(), &place)?;
                self.enter(Frame { place, anchor, value: Open::Sequence(Vec::new()) })
            }
            Event::MappingStart(anchor, tag) => {
                core_tag(tag.as_deref(), &place)?;
                let value = Open::Mapping { entries: Vec::new(), key: None };
                self.enter(Frame { place, anchor, value })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(frame) => {
                    let value = match frame.value {
                        Open::Sequence(items) => Yaml::Sequence(items),
                        Open::Mapping { entries, .. } => Yaml::Mapping(self.merge(entries)?),
                    };
                    self.close(Node { place: frame.place, end, value }, frame.anchor)
                }
                None => Err(Mistake::new(place, not_yaml("an end without a beginning"))),
            },
            Event::Alias(anchor) => self.alias(anchor, place),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&str>,
        span: Span,
        place: &Place,
    ) -> Yaml {
        let style = match style {
            ScalarStyle::Plain if tag == Some("str") => Style::Quoted,
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        if style == Style::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            return Yaml::Null;
        }
        let source = self.source.from(span.start);
        let runs = Runs::align(text, style, source, place.line, place.column);
        Yaml::Scalar(Scalar { text: text.to_owned(), style, runs })
    }

    fn enter(&mut self, frame: Frame) -> Result<(), Mistake> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(frame.place));
        }
        self.open.push(frame);
        Ok(())
    }

    /// A node is complete: it becomes the anchor's, and a part of what encloses it.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Mistake> {
        self.nodes += 1;
        self.spend(Size { nodes: 0, bytes: own_bytes(&node), depth: 0 }, &node.place)?;
        // Zero is the parser's word for "no anchor".
        if anchor != 0 {
            let size = size(&node);
            self.spend(size, &node.place)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), size });
        }
        self.add(node);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Mistake> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(Mistake::new(place, "this alias stands for something that contains it"));
        };
        let (node, size) = (anchored.node.clone(), anchored.size);
        if self.open.len() + size.depth > DEPTH_MAX {
            return Err(too_deep(place));
        }
        self.spend(size, &place)?;
        self.add(node);
        Ok(())
    }

    fn spend(&mut self, size: Size, place: &Place) -> Result<(), Mistake> {
        self.nodes = self.nodes.saturating_add(size.nodes);
        self.copied = self.copied.saturating_add(size.bytes);
        if self.nodes > NODES_MAX || self.copied > COPIED_MAX {
            let message = format!(
                "the file grows beyond {NODES_MAX} values or {COPIED_MAX} bytes, aliases resolved"
            );
            return Err(
                Mistake::new(place.clone(), message).remedy("split it, or use fewer aliases")
            );
        }
        Ok(())
    }

    fn add(&mut self, node: Node) {
        match self.open.last_mut().map(|frame| &mut frame.value) {
            None => self.root = Some(node),
            Some(Open::Sequence(items)) => items.push(node),
            Some(Open::Mapping { entries, key }) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
        }
    }

    fn merge(&mut self, entries: Vec<(Node, Node)>) -> Result<Vec<(Node, Node)>, Mistake> {
        let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_merge);
        let mut known: BTreeSet<String> = own.iter().filter_map(key_text).collect();
        for (_, value) in merges {
            let sources = match value.value {
                Yaml::Mapping(_) => vec![value],
                Yaml::Sequence(items) => items,
                Yaml::Null | Yaml::Scalar(_) => return Err(not_mergeable(value.place)),
            };
            for source in sources {
                let Yaml::Mapping(mut brought) = source.value else {
                    return Err(not_mergeable(source.place));
                };
                brought.retain(|entry| key_text(entry).is_none_or(|key| !known.contains(&key)));
                known.extend(brought.iter().filter_map(key_text));
                own.extend(brought);
            }
        }
        Ok(own)
    }
}

fn is_merge((key, _): &(Node, Node)) -> bool {
    matches!(&key.value, Yaml::Scalar(scalar) if scalar.text == "<<" && !scalar.is_quoted())
}

fn key_text((key, _): &(Node, Node)) -> Option<String> {
    key.text().map(str::to_owned)
}

fn not_mergeable(place: Place) -> Mistake {
    Mistake::new(place, "a merge key `<<` takes a mapping or a list of mappings")
        .remedy("write `<<: *name`, where `&name` is on a mapping")
}

fn too_deep(place: Place) -> Mistake {
    Mistake::new(place, format!("values are nested more than {DEPTH_MAX} deep"))
}

fn core_tag<'t>(tag: Option<&'t Tag>, place: &Place) -> Result<Option<&'t str>, Mistake> {
    match tag {
        None => Ok(None),
        Some(tag) if tag.is_yaml_core_schema() => Ok(Some(&tag.suffix)),
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(Some("str")),
        Some(tag) => {
            let message = format!("the tag `{}{}` means nothing here", tag.handle, tag.suffix);
            Err(Mistake::new(place.clone(), message).remedy("remove it"))
        }
    }
}

fn own_bytes(node: &Node) -> usize {
    node.text().map_or(0, str::len)
}

fn size(node: &Node) -> Size {
    let parts: Vec<Size> = match &node.value {
        Yaml::Null | Yaml::Scalar(_) => Vec::new(),
        Yaml::Sequence(items) => items.iter().map(size).collect(),
        Yaml::Mapping(entries) => {
            entries.iter().flat_map(|(key, value)| [size(key), size(value)]).collect()
        }
    };
    let own = Size { nodes: 1, bytes: own_bytes(node), depth: 1 };
    parts.into_iter().fold(own, |all, part| Size {
        nodes: all.nodes + part.nodes,
        bytes: all.bytes + part.bytes,
        depth: all.depth.max(part.depth + 1),
    })
}

/// The text and how far into it the last event began: events come in order, so that each step from
/// a count of characters to one of bytes goes on from the step before.
struct Source<'a> {
    file: Arc<str>,
    text: &'a str,
    bytes: usize,
    characters: usize,
}

impl<'a> Source<'a> {
    fn place(&self, marker: Marker) -> Place {
        Place {
            file: self.file.clone(),
            line: count(marker.line().max(1)),
            column: count(marker.col().saturating_add(1)),
        }
    }

    fn from(&mut self, marker: Marker) -> &'a str {
        let rest = self.text.get(self.bytes..).unwrap_or_default();
        let ahead = marker.index().saturating_sub(self.characters);
        let step = rest.char_indices().nth(ahead).map_or(rest.len(), |(at, _)| at);
        self.bytes += step;
        self.characters = marker.index().max(self.characters);
        rest.get(step..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The tree on one line: scalars as they read, quoted ones in quotes.
    fn shape(node: &Node) -> String {
        let list = |parts: Vec<String>| parts.join(", ");
        match &node.value {
            Yaml::Null => "null".to_owned(),
            Yaml::Scalar(scalar) if scalar.is_quoted() => format!("{:?}", scalar.text),
            Yaml::Scalar(scalar) => scalar.text.replace('\n', "\\n"),
            Yaml::Sequence(items) => format!("[{}]", list(items.iter().map(shape).collect())),
            Yaml::Mapping(entries) => {
                let pair =
                    |(key, value): &(Node, Node)| format!("{}: {}", shape(key), shape(value));
                format!("{{{}}}", list(entries.iter().map(pair).collect()))
            }
        }
    }

    #[test]
    fn a_document_becomes_a_tree() {
        for (text, expected) in [
            ("", "null"),
            ("# nothing but a comment\n", "null"),
            ("---\n...\n", "null"),
            ("\u{feff}a: 1", "{a: 1}"),
            ("a: 1\nb: [x, 'y', \"z\\n\"]", r#"{a: 1, b: [x, "y", "z\n"]}"#),
            ("a:\nb: ~\nc: null\nd: 'null'", r#"{a: null, b: null, c: null, d: "null"}"#),
            ("a: !!str 5", r#"{a: "5"}"#),
            ("a: |\n  one\n  two\n", r#"{a: "one\ntwo\n"}"#),
            ("a: &x {b: 1}\nc: *x", "{a: {b: 1}, c: {b: 1}}"),
            ("a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}", "{a: {b: 1, c: 2}, d: {b: 3, c: 2}}"),
            (
                "- &x {a: 1}\n- &y {a: 2, b: 3}\n- <<: [*x, *y]",
                "[{a: 1}, {a: 2, b: 3}, {a: 1, b: 3}]",
            ),
            ("a: x\n  y\n\n  z\n    \n\n  w", r"{a: x y\nz\n\nw}"),
            ("a: {'<<': 1}", r#"{a: {"<<": 1}}"#),
        ] {
            assert_eq!(shape(&parse("f", text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_one_document_is_refused_with_its_place() {
        for (text, expected) in [
            ("a: [1,\n  2\n", "f:3:1: this is not YAML"),
            ("a: 1\n b: 2", "f:2:3: this is not YAML"),
            ("a: b: c", "f:1:5: this is not YAML"),
            ("a: 1\n---\nb: 2", "f:2:1: a second document begins here"),
            ("a: *x", "f:1:4: this is not YAML"),
            ("a: &x [*x]", "f:1:8: this alias stands for something that contains it"),
            ("a: !secret x", "f:1:4: the tag `!secret` means nothing here"),
            ("a: {<<: 1}", "f:1:9: a merge key `<<` takes a mapping"),
            ("a: 1\nb: \0", "f:2:1: a NUL byte is not text"),
        ] {
            let mistake = parse("f", text).unwrap_err().to_string();
            assert!(mistake.starts_with(expected), "{text}: {mistake}");
        }
    }

    #[test]
    fn a_file_that_would_grow_without_end_is_refused() {
        let mut laughs = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let alias = format!("*a{}", level - 1);
            laughs += &format!("b{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
        }
        let long =
            format!("a: &a \"{}\"\nb: [{}]", "x".repeat(1 << 20), vec!["*a"; 100].join(", "));
        for text in [laughs, long] {
            let message = parse("f", &text).unwrap_err().message;
            assert!(message.starts_with("the file grows beyond"), "{message}");
        }
        let blocks: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        let sequences = "- ".repeat(10_000);
        for deep in ["[".repeat(200), "{a: ".repeat(200), blocks, sequences] {
            let message = parse("f", &deep).unwrap_err().message;
            assert!(message.starts_with("values are nested more than 128 deep"), "{message}");
        }
        assert!(parse("f", &"x".repeat(TEXT_MAX + 1)).is_err());
    }

    /// Every `^` marks, on the line above it, where the text's next capital letter should be found.
    #[test]
    fn a_character_of_a_scalar_is_found_in_the_file() {
        for (text, expected) in [
            ("k: aB cD", [(1, 5), (1, 8)]),
            ("k: a B\n   c\n\n   D", [(1, 6), (4, 4)]),
            ("k: \"a\\n\\u00e9B \\\n  cD\"", [(1, 14), (2, 4)]),
            ("k: \"\\x41é\n   D\"", [(1, 5), (2, 4)]),
            ("k: 'it''s B\n     D'", [(1, 11), (2, 6)]),
            ("k: |\n  B\n    D\n", [(2, 3), (3, 5)]),
            ("k: |2-  # why\n\n    B\n  x  D\n", [(3, 5), (4, 6)]),
            ("k: >\n  a\n  B\n\n  c D\n", [(3, 3), (5, 5)]),
            ("é: |\r\n  B\r\n  D\r\n", [(2, 3), (3, 3)]),
        ] {
            let root = parse("f", text).unwrap();
            let (_, value) = &root.entries().unwrap()[0];
            let capitals = value.text().unwrap().char_indices().filter(|(_, c)| c.is_uppercase());
            let found: Vec<_> = capitals
                .map(|(offset, _)| value.place_at(offset))
                .map(|place| (place.line, place.column))
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn keys_that_repeat_are_mistakes_wherever_they_stand() {
        let root = parse("f", "a: &x\n  - b: 1\n    c: 2\n    b: 3\nd: *x\n'a': 4").unwrap();
        let mistakes: Vec<_> = root.duplicates().iter().map(ToString::to_string).collect();
        assert_eq!(
            mistakes,
            [
                "f:4:5: `b` is written twice (the first is at line 2; keep one of them)",
                "f:6:1: `a` is written twice (the first is at line 1; keep one of them)",
            ]
        );
        assert!(parse("f", "a: &x {b: 1}\nc: {<<: *x, b: 2}").unwrap().duplicates().is_empty());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r#"([-?:,&*!|>'"%@`#{}\[\]<~ab01. \t\n\r]|\PC|\\){0,80}"#) {
            if let Ok(root) = parse("f", &text) {
                root.duplicates();
                root.place_at(3);
            }
        }
    }
}
