//! Server-sent events out of bytes that were cut anywhere.
//!
//! The WHATWG standard's parser, with three differences. JSON lines without `data:` are not dropped
//! but reported, since some providers write their errors so. An event has a limit: one that is
//! longer is reported and skipped. At a clean end an event that lacks only its blank line is
//! reported as [`Frame::Tail`], so that the caller may take it where it is whole.
//! Bad UTF-8 is replaced, never fatal.

use std::borrow::Cow;

/// The limit on one event, and on one line.
pub(super) const EVENT_BYTES_MAX: usize = 1 << 20;

/// One thing that a stream said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// An event: its name, empty where it has none, and its data.
    Event { name: Cow<'a, str>, data: Cow<'a, str> },
    /// An event that the end of the stream cut off from its blank line.
    Tail { name: Cow<'a, str>, data: Cow<'a, str> },
    /// A line that begins with a colon.
    Comment,
    /// JSON outside of any field.
    Stray(Cow<'a, str>),
    /// An event or line over the limit; it is skipped.
    Oversize,
}

/// The decoder: holds what is unfinished, at most [`EVENT_BYTES_MAX`] of it in each buffer.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The part of a line that has come; unused while whole lines come.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    stray: Stray,
    /// Whether the event has a `data` line; an empty one is data too.
    has_data: bool,
    /// Whether the event is over the limit.
    is_dropped: bool,
    /// Whether the line is over the limit.
    is_line_dropped: bool,
    /// Whether a line feed would belong to the carriage return before it.
    is_after_cr: bool,
    /// How much of a byte order mark has come; 3 or more once that is settled.
    mark: usize,
}

const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl Decoder {
    /// Takes the next bytes and hands every frame they complete to `sink`.
    pub(super) fn feed(&mut self, chunk: &[u8], sink: &mut impl FnMut(Frame)) {
        let mut rest = chunk;
        while self.mark < MARK.len() && !rest.is_empty() {
            if rest[0] == MARK[self.mark] {
                self.mark += 1;
                rest = &rest[1..];
            } else {
                // What looked like a mark was the start of the first line.
                self.line.extend_from_slice(&MARK[..self.mark]);
                self.mark = MARK.len();
            }
        }
        if self.is_after_cr && !rest.is_empty() {
            self.is_after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = line_break(rest) {
            let (line, tail) = (&rest[..end], &rest[end + 1..]);
            rest = if rest[end] == b'\n' {
                tail
            } else if tail.is_empty() {
                self.is_after_cr = true;
                tail
            } else {
                tail.strip_prefix(b"\n").unwrap_or(tail)
            };
            if self.line.is_empty() && !self.is_line_dropped {
                self.end_line(line, sink);
            } else {
                self.extend_line(line, sink);
                let mut line = std::mem::take(&mut self.line);
                if !std::mem::take(&mut self.is_line_dropped) {
                    self.end_line(&line, sink);
                }
                // Given back, so that its room is used again.
                line.clear();
                self.line = line;
            }
        }
        self.extend_line(rest, sink);
    }

    /// The stream ended cleanly: reports what lacked only its end.
    pub(super) fn end(&mut self, sink: &mut impl FnMut(Frame)) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() && !self.is_line_dropped {
            self.end_line(&line, sink);
        }
        self.stray.flush(sink);
        if self.has_data && !self.is_dropped {
            let (name, data) = (text(&self.name), text(&self.data));
            sink(Frame::Tail { name, data });
        }
        *self = Self { mark: MARK.len(), ..Self::default() };
    }

    fn extend_line(&mut self, part: &[u8], sink: &mut impl FnMut(Frame)) {
        if self.is_line_dropped {
            return;
        }
        if self.line.len() + part.len() > EVENT_BYTES_MAX {
            self.line.clear();
            self.is_line_dropped = true;
            self.drop_event(sink);
        } else {
            self.line.extend_from_slice(part);
        }
    }

    fn drop_event(&mut self, sink: &mut impl FnMut(Frame)) {
        self.data.clear();
        self.stray.clear();
        if !std::mem::replace(&mut self.is_dropped, true) {
            sink(Frame::Oversize);
        }
    }

    fn end_line(&mut self, line: &[u8], sink: &mut impl FnMut(Frame)) {
        if line.is_empty() {
            self.dispatch(sink);
        } else if line.len() > EVENT_BYTES_MAX {
            self.drop_event(sink);
        } else if let Some(value) = line.strip_prefix(b"data:") {
            self.stray.flush(sink);
            self.data_line(value.strip_prefix(b" ").unwrap_or(value), sink);
        } else if let Some(value) = line.strip_prefix(b"event:") {
            self.stray.flush(sink);
            self.name.clear();
            self.name.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        } else if line[0] == b':' {
            sink(Frame::Comment);
        } else if line == b"data" {
            self.data_line(b"", sink);
        } else if line == b"event" {
            self.name.clear();
        } else if !self.is_dropped && self.stray.take(line, sink) {
            self.drop_event(sink);
        }
        // Other fields (`id`, `retry`, unknown ones) say nothing about an answer.
    }

    fn data_line(&mut self, value: &[u8], sink: &mut impl FnMut(Frame)) {
        if self.is_dropped {
            return;
        }
        if self.data.len() + value.len() >= EVENT_BYTES_MAX {
            self.drop_event(sink);
            return;
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
    }

    fn dispatch(&mut self, sink: &mut impl FnMut(Frame)) {
        self.stray.flush(sink);
        if self.has_data && !self.is_dropped {
            let (name, data) = (text(&self.name), text(&self.data));
            sink(Frame::Event { name, data });
        }
        self.name.clear();
        self.data.clear();
        self.has_data = false;
        self.is_dropped = false;
    }
}

/// JSON outside of any field, gathered line by line until its brackets close.
#[derive(Debug, Default)]
struct Stray {
    text: Vec<u8>,
    depth: u32,
    is_in_string: bool,
    is_escaped: bool,
}

impl Stray {
    /// Takes a line if it belongs to JSON; says whether the limit is passed.
    fn take(&mut self, line: &[u8], sink: &mut impl FnMut(Frame)) -> bool {
        let line = line.trim_ascii();
        if self.text.is_empty() && !line.starts_with(b"{") && !line.starts_with(b"[") {
            return false;
        }
        if self.text.len() + line.len() >= EVENT_BYTES_MAX {
            return true;
        }
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        for byte in line {
            match byte {
                _ if std::mem::take(&mut self.is_escaped) => {}
                b'\\' if self.is_in_string => self.is_escaped = true,
                b'"' => self.is_in_string = !self.is_in_string,
                b'{' | b'[' if !self.is_in_string => self.depth += 1,
                b'}' | b']' if !self.is_in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        if self.depth == 0 {
            self.flush(sink);
        }
        false
    }

    fn flush(&mut self, sink: &mut impl FnMut(Frame)) {
        if !self.text.is_empty() {
            sink(Frame::Stray(text(&self.text)));
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.depth = 0;
        self.is_in_string = false;
        self.is_escaped = false;
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    // The strict check is several times faster than the lossy one, and almost always passes.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Where the first line break is. Blocks are looked at as a whole first, which the compiler turns
/// into vector instructions; a search byte by byte took a third of the time of an event.
fn line_break(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let mut at = 0;
    for block in bytes.chunks_exact(BLOCK) {
        if block.iter().fold(false, |found, byte| found | is_break(byte)) {
            break;
        }
        at += BLOCK;
    }
    bytes[at..].iter().position(is_break).map(|position| at + position)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(chunks: &[&[u8]], ends: bool) -> Vec<String> {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        let mut sink = |frame: Frame| {
            frames.push(match frame {
                Frame::Event { name, data } => format!("{name}|{data}"),
                Frame::Tail { name, data } => format!("tail {name}|{data}"),
                Frame::Comment => "comment".to_owned(),
                Frame::Stray(text) => format!("stray {}", text.trim_end()),
                Frame::Oversize => "oversize".to_owned(),
            });
        };
        for chunk in chunks {
            decoder.feed(chunk, &mut sink);
        }
        if ends {
            decoder.end(&mut sink);
        }
        frames
    }

    fn check(stream: &[u8], expected: &[&str]) {
        let shown = String::from_utf8_lossy(stream);
        assert_eq!(frames(&[stream], true), expected, "whole: {shown:?}");
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(frames(&bytes, true), expected, "bytes: {shown:?}");
        for at in 0..=stream.len() {
            let (left, right) = stream.split_at(at);
            assert_eq!(frames(&[left, right], true), expected, "cut at {at}: {shown:?}");
        }
    }

    #[test]
    fn events_are_the_standards_wherever_the_bytes_are_cut() {
        let cases: [(&[u8], &[&str]); 22] = [
            (b"data: a\n\ndata: b\n\n", &["|a", "|b"]),
            (b"data: a\r\n\r\ndata: b\r\n\r\n", &["|a", "|b"]),
            (b"data: a\r\rdata: b\r\r", &["|a", "|b"]),
            (b"data: a\r\n\rdata: b\n\r\n", &["|a", "|b"]),
            (b"\xef\xbb\xbfdata: a\n\n", &["|a"]),
            (b"\xef\xbbdata: a\n\n", &[]),
            (b"data:a\n\n", &["|a"]),
            (b"data:  a \n\n", &["| a "]),
            (b"data: a\ndata: b\ndata:\n\n", &["|a\nb\n"]),
            (b"data\n\n", &["|"]),
            (b"data:\n\n", &["|"]),
            (b"event: ping\n\n", &[]),
            (b"event: x\ndata: a\n\ndata: b\n\n", &["x|a", "|b"]),
            (b"event: x\nevent\ndata: a\n\n", &["|a"]),
            (b"id: 1\nretry: 5\nfoo: bar\ndata: a\n\n", &["|a"]),
            (b": OPENROUTER PROCESSING\n\n:\n\ndata: a\n\n", &["comment", "comment", "|a"]),
            (b"\n\n\ndata: a\n\n", &["|a"]),
            ("data: é🐑\n\n".as_bytes(), &["|é🐑"]),
            (b"data: a\xffb\n\n", &["|a\u{fffd}b"]),
            (b"data: a\n", &["tail |a"]),
            (b"data: a\nda", &["tail |a"]),
            (b"dataset: a\n\n", &[]),
        ];
        for (stream, expected) in cases {
            check(stream, expected);
        }
    }

    #[test]
    fn json_outside_of_any_field_is_reported_whole() {
        let one: &[u8] = b"data: a\n\n{\"error\":{\"code\":503}}\n\n";
        check(one, &["|a", "stray {\"error\":{\"code\":503}}"]);
        let pretty: &[u8] = b"{\n  \"error\": {\n    \"message\": \"a } \\\" {\"\n  }\n}\n";
        check(pretty, &["stray {\n\"error\": {\n\"message\": \"a } \\\" {\"\n}\n}"]);
        check(b"{\"error\":1}", &["stray {\"error\":1}"]);
        check(b"{\"error\":\ndata: a\n\n", &["stray {\"error\":", "|a"]);
    }

    #[test]
    fn an_event_over_the_limit_is_skipped_and_the_next_one_read() {
        let over = "x".repeat(EVENT_BYTES_MAX);
        for stream in [
            format!("data: {over}\n\ndata: a\n\n"),
            format!("data: {0}\ndata: {0}\n\ndata: a\n\n", &over[..EVENT_BYTES_MAX / 2]),
            format!("foo: {over}\n\ndata: a\n\n"),
            format!("{{\"a\":\"{over}\"}}\n\ndata: a\n\n"),
        ] {
            for size in [usize::MAX, 65_536, 1_000] {
                let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size.min(stream.len())).collect();
                assert_eq!(frames(&chunks, true), ["oversize", "|a"], "chunks of {size}");
            }
        }
        let within = "x".repeat(EVENT_BYTES_MAX - 10);
        assert_eq!(frames(&[format!("data: {within}\n\n").as_bytes()], true).len(), 1);
        assert_eq!(
            frames(&[format!("data: {within}\n\n").as_bytes()], true)[0].len(),
            EVENT_BYTES_MAX - 9
        );
    }
}
