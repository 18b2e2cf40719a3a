//! Answers of providers, as files.
//!
//! A fixture is a header of `name: value` lines, a line `---`, and the body as it travels:
//!
//! ```text
//! status: 200
//! content-type: text/event-stream
//! header: retry-after: 20      (any number of times)
//! asked: whole                 (default: stream)
//! terminal: strict             (default: lenient)
//! wants-usage: no              (default: yes)
//! model: m                     (the one asked for; default: m)
//! lines: crlf                  (or cr; default: lf)
//! bom: yes                     (a byte order mark comes first)
//! escapes: yes                 (`\xNN` in the body is a byte)
//! final: cut                   (the body's last line breaks are left out)
//! ends: eof                    (or the failure that the caller sees: stalled_stream, …)
//! expect: none                 (the error type)
//! class: good
//! phase: -                     (where a stream broke: before_content, after_content)
//! ttft: 2                      (the block, counted from 1, whose end stops the clock)
//! usage: 9 1 0 0 0             (input, output, cache read, cache write, reasoning)
//! ```
//!
//! `expect`, `class`, `phase`, `ttft` and `usage` are asked of every fixture. `text`, `finish`,
//! `answered` (the model), `limit` (which one refuses), `detail` (a part of it), `detail-lacks`, `wait` (seconds), `request-id`
//! and `ttfo` (as `ttft`, without reasoning) are compared where given; `anomalies` always, absent
//! meaning none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bellwether::provider::{Dialect, ErrorType};

#[derive(Clone)]
pub struct Fixture {
    pub name: String,
    pub dialect: Dialect,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Fixture {
    fn read(path: &Path, dialect: Dialect) -> Self {
        let bytes = fs::read_to_string(path).expect("a fixture is a text file");
        let (header, body) = bytes.split_once("---\n").expect("a fixture has a line `---`");
        let fields: Vec<_> = header
            .lines()
            .map(|line| {
                let (name, value) = line.split_once(':').expect("a header line has a colon");
                (name.to_owned(), value.trim().to_owned())
            })
            .collect();
        let name = format!("{}/{}", dialect.as_str(), path.file_stem().expect("a name").display());
        let mut fixture = Self { name, dialect, fields, body: Vec::new() };
        fixture.body = fixture.wire(body);
        fixture
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn asked(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("{} has no `{name}`", self.name))
    }

    pub fn line_break(&self) -> &'static str {
        match self.get("lines") {
            None => "\n",
            Some("crlf") => "\r\n",
            Some("cr") => "\r",
            Some(other) => panic!("{}: lines `{other}`", self.name),
        }
    }

    fn wire(&self, body: &str) -> Vec<u8> {
        let body =
            if self.get("final") == Some("cut") { body.trim_end_matches('\n') } else { body };
        let body = body.replace('\n', self.line_break());
        let mut bytes = Vec::new();
        if self.get("bom") == Some("yes") {
            bytes.extend_from_slice(b"\xef\xbb\xbf");
        }
        let mut parts = body.split(if self.get("escapes").is_some() { "\\x" } else { "\0" });
        bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
        for part in parts {
            bytes.push(u8::from_str_radix(&part[..2], 16).expect("two hexadecimal digits"));
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        }
        bytes
    }

    pub fn ending(&self) -> Option<ErrorType> {
        match self.asked("ends") {
            "eof" => None,
            name => Some(error_type(name)),
        }
    }
}

pub fn error_type(name: &str) -> ErrorType {
    let found = ErrorType::ALL.into_iter().find(|error| error.as_str() == name);
    found.unwrap_or_else(|| panic!("no error type `{name}`"))
}

pub fn fixtures(dialect: Dialect) -> &'static [Fixture] {
    static ALL: LazyLock<BTreeMap<Dialect, Vec<Fixture>>> = LazyLock::new(|| {
        Dialect::MODELS.into_iter().map(|dialect| (dialect, read_all(dialect))).collect()
    });
    &ALL[&dialect]
}

/// Azure speaks chat completions with additions of its own, so what is written for those holds for
/// it too.
fn read_all(dialect: Dialect) -> Vec<Fixture> {
    let mut all = read_folder(dialect, dialect);
    if dialect == Dialect::AzureOpenai {
        all.extend(read_folder(Dialect::OpenaiChat, dialect));
    }
    all
}

fn read_folder(folder: Dialect, dialect: Dialect) -> Vec<Fixture> {
    let folder: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "tests", "provider", folder.as_str()].iter().collect();
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of fixtures is there")
        .map(|entry| entry.expect("a folder entry").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| Fixture::read(path, dialect)).collect()
}
