//! Holds the tree to ARCHITECTURE.md.
//!
//! The table of rooms there says which rooms exist, of which kind each is and whom it may import;
//! the checks below compare `src/` with it, and keep the few rules of the house that no compiler
//! and no lint knows. Each check is itself tested with a seeded violation: a check that can't fail
//! proves nothing. What the checks see of a file is in `tidy/syntax.rs`.

#[path = "tidy/syntax.rs"]
mod syntax;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syntax::{Part, Syntax};

/// Lines before the tests of a file: three hundred are the aim, this is the end of patience.
const LINES_MAX: usize = 600;

/// Names that say of what kind things are instead of what they are about.
const EMPTY_NAMES: [&str; 6] = ["utils", "helpers", "common", "types", "errors", "manager"];

/// What a pure room does not do, as the starts of paths.
const IMPURE_PATHS: [&[&str]; 11] = [
    &["tokio"],
    &["tracing"],
    &["rand"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "env"],
    &["std", "time", "Instant"],
    &["std", "time", "*"],
    &["std", "*"],
    &["time", "Instant"],
    &["Instant", "now"],
];

/// What a pure room does not do, in single words.
const IMPURE_WORDS: [&str; 5] = ["async", "await", "Mutex", "RwLock", "SystemTime"];

/// Addresses are values like any other, wherever the standard library keeps them.
const PURE_ADDRESSES: [&str; 6] =
    ["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pure,
    Plumbing,
    Doer,
    Top,
}

#[derive(Debug)]
struct Room {
    kind: Kind,
    imports: BTreeSet<String>,
}

type Table = BTreeMap<String, Room>;

/// A file of `src/`, by its path from the project's root.
struct File {
    path: String,
    source: String,
}

impl File {
    /// The path's parts below `src/`, the file's without its ending.
    fn parts(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').collect()
    }

    /// The room it belongs to; none for the two roots.
    fn room(&self) -> Option<&str> {
        self.parts().first().copied().filter(|first| !matches!(*first, "lib" | "main"))
    }

    /// How many modules it is in, the crate's root not counted.
    fn depth(&self) -> usize {
        match self.parts().as_slice() {
            ["lib" | "main"] => 0,
            [rooms @ .., "mod"] => rooms.len(),
            rooms => rooms.len(),
        }
    }

    /// Whether it is all tests, being the body of a `#[cfg(test)] mod tests;`.
    fn is_test(&self) -> bool {
        self.parts().contains(&"tests")
    }

    fn complaint(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

#[test]
fn the_tree_is_as_its_document_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md stands beside Cargo.toml and holds the table of rooms");
    let table = table(&document).expect("the table of rooms can be read");
    let mut files = Vec::new();
    gather(&root.join("src"), "src", &mut files);
    let mut complaints = laws(&table);
    complaints.extend(rooms(&files, &table));
    for file in &files {
        let syntax = Syntax::read(&file.source);
        complaints.extend(imports(file, &syntax, &table));
        complaints.extend(impurities(file, &syntax, &table));
        complaints.extend(contents_of_mod(file, &syntax));
        complaints.extend(length(file, &syntax));
        complaints.extend(names(file));
        complaints.extend(leftovers(file, &syntax));
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Reads the lines ``| `room` | kind | `a`, `b` |``.
fn table(document: &str) -> Result<Table, String> {
    let mut table = Table::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", room, kind, imports, ""] = cells.as_slice() else { continue };
        let kind = match *kind {
            "pure" => Kind::Pure,
            "plumbing" => Kind::Plumbing,
            "doer" => Kind::Doer,
            "top" => Kind::Top,
            _ => continue,
        };
        let name = |cell: &str| {
            let inner = cell.trim().strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
            inner.map(str::to_owned).ok_or_else(|| format!("no room's name in `{line}`"))
        };
        let imports =
            imports.split(',').filter(|cell| !cell.is_empty()).map(name).collect::<Result<_, _>>();
        if table.insert(name(room)?, Room { kind, imports: imports? }).is_some() {
            return Err(format!("{room} stands in the table twice"));
        }
    }
    if table.is_empty() { Err("there is no table of rooms".to_owned()) } else { Ok(table) }
}

/// The table itself: who may be on the right of whom, and no circles.
fn laws(table: &Table) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, room) in table {
        for import in &room.imports {
            let Some(imported) = table.get(import) else {
                complaints.push(format!("`{name}` may import `{import}`, which is no room"));
                continue;
            };
            let kinds_fit = match room.kind {
                Kind::Pure => imported.kind == Kind::Pure,
                Kind::Plumbing | Kind::Doer => {
                    matches!(imported.kind, Kind::Pure | Kind::Plumbing)
                }
                Kind::Top => true,
            };
            if !kinds_fit {
                complaints.push(format!(
                    "`{name}` is {:?} and may not import `{import}`, which is {:?}",
                    room.kind, imported.kind
                ));
            }
            if import == "config" && room.kind != Kind::Top {
                complaints.push(format!("`{name}` is below the top and may not import `config`"));
            }
        }
        if reaches(table, name, name, &mut BTreeSet::new()) {
            complaints.push(format!("`{name}` may import itself by way of others"));
        }
    }
    complaints
}

fn reaches<'a>(table: &'a Table, from: &str, to: &str, seen: &mut BTreeSet<&'a str>) -> bool {
    let Some(room) = table.get(from) else { return false };
    room.imports
        .iter()
        .any(|import| import == to || (seen.insert(import) && reaches(table, import, to, seen)))
}

/// The rooms of the tree and of the table are the same.
fn rooms(files: &[File], table: &Table) -> Vec<String> {
    let present: BTreeSet<&str> = files.iter().filter_map(File::room).collect();
    let listed: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    let unlisted = present.difference(&listed);
    let unlisted = unlisted.map(|room| format!("src/{room}: not in ARCHITECTURE.md's table"));
    let absent = listed.difference(&present);
    unlisted.chain(absent.map(|room| format!("`{room}` is in the table, not in src/"))).collect()
}

/// Every path to another room, in tests too, is an edge of the table. One more is open to the tests
/// of doers and plumbing: the simulator, which stands for a provider.
fn imports(file: &File, syntax: &Syntax, table: &Table) -> Vec<String> {
    let Some((name, room)) = file.room().and_then(|name| Some((name, table.get(name)?))) else {
        return Vec::new();
    };
    let from_root = |path: &syntax::Path| {
        let depth = file.depth() + path.nesting;
        let names = path.names.iter().map(String::as_str);
        let mut names = names.skip_while(|name| *name == "self").peekable();
        if names.next_if_eq(&"crate").is_some() {
            return names.next().map(str::to_owned);
        }
        let mut climbed = 0;
        while names.next_if_eq(&"super").is_some() {
            climbed += 1;
        }
        if climbed == depth && depth > 0 { names.next().map(str::to_owned) } else { None }
    };
    let mut complaints = Vec::new();
    for path in syntax.paths(Part::All) {
        let Some(import) = from_root(&path) else { continue };
        if import == "simulator" && file.is_test() && room.kind != Kind::Pure {
            continue;
        }
        if import != name && !room.imports.contains(&import) {
            let what = format!("`{name}` may not import `{import}` (see ARCHITECTURE.md)");
            complaints.push(file.complaint(path.line, &what));
        }
    }
    complaints.dedup();
    complaints
}

/// Pure rooms have no tasks, clock, files, sockets, environment, locks, log or chance. Their tests
/// may.
fn impurities(file: &File, syntax: &Syntax, table: &Table) -> Vec<String> {
    let room = file.room().and_then(|room| table.get(room));
    if file.is_test() || room.is_none_or(|room| room.kind != Kind::Pure) {
        return Vec::new();
    }
    let paths = syntax.paths(Part::WithoutTests).into_iter().filter_map(|path| {
        let names: Vec<&str> = path.names.iter().map(String::as_str).collect();
        let start = IMPURE_PATHS.iter().find(|start| names.starts_with(start))?;
        let address = names.get(2).is_some_and(|name| PURE_ADDRESSES.contains(name));
        if **start == ["std", "net"] && address {
            return None;
        }
        Some((path.line, names.join("::")))
    });
    let words = syntax.words(Part::WithoutTests);
    let words = words
        .filter(|(_, word)| IMPURE_WORDS.contains(word))
        .map(|(line, word)| (line, word.to_owned()));
    paths
        .chain(words)
        .map(|(line, what)| file.complaint(line, &format!("`{what}` in a pure room")))
        .collect()
}

/// A `mod.rs`, and `lib.rs`, holds `mod` and `use` lines.
fn contents_of_mod(file: &File, syntax: &Syntax) -> Vec<String> {
    if !matches!(file.parts().as_slice(), [.., "mod"] | ["lib"]) {
        return Vec::new();
    }
    let foreign = syntax.first_item_beside_mod_and_use();
    foreign
        .map(|line| file.complaint(line, "more than a doc, `mod` and `use` lines"))
        .into_iter()
        .collect()
}

fn length(file: &File, syntax: &Syntax) -> Option<String> {
    let lines = syntax.lines_before_tests();
    let too_long = !file.is_test() && lines > LINES_MAX;
    too_long.then(|| file.complaint(lines, &format!("more than {LINES_MAX} lines before tests")))
}

fn names(file: &File) -> Option<String> {
    let empty = file.parts().into_iter().find(|part| EMPTY_NAMES.contains(part))?;
    Some(file.complaint(1, &format!("`{empty}` says a kind, not a subject")))
}

/// A lint is silenced by `expect` with a reason, and what is to do is an issue.
fn leftovers(file: &File, syntax: &Syntax) -> Vec<String> {
    let allows = syntax.allows().map(|line| (line, "`allow`: use `expect` with a reason"));
    let todos = syntax.todos().map(|line| (line, "`todo!`"));
    allows.chain(todos).map(|(line, what)| file.complaint(line, what)).collect()
}

fn gather(folder: &Path, name: &str, files: &mut Vec<File>) {
    let entries = fs::read_dir(folder).expect("a folder of the source tree can be read");
    let mut entries: Vec<_> =
        entries.map(|entry| entry.expect("an entry of it can be read")).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            gather(&entry.path(), &path, files);
        } else if path.ends_with(".rs") {
            let source = fs::read_to_string(entry.path()).expect("a source file is UTF-8");
            files.push(File { path, source });
        }
    }
}

// Seeded violations, one or more for each check.

const TABLE: &str = "\
| room | kind | may import |
| --- | --- | --- |
| `model` | pure | |
| `series` | pure | `model` |
| `clock` | plumbing | `model` |
| `prober` | doer | `model`, `clock` |
| `app` | top | `model`, `clock`, `prober` |
";

fn file(path: &str, source: &str) -> File {
    File { path: path.to_owned(), source: source.to_owned() }
}

/// Runs a check over one file and compares the lines that it complains about.
fn check<C: IntoIterator<Item = String>>(
    complain: impl Fn(&File, &Syntax, &Table) -> C,
    path: &str,
    source: &str,
    lines: &[usize],
) {
    let table = table(TABLE).expect("the table above is well formed");
    let file = file(path, source);
    let complaints = complain(&file, &Syntax::read(source), &table);
    let found: Vec<usize> = complaints
        .into_iter()
        .filter_map(|complaint| complaint.split(':').nth(1)?.parse().ok())
        .collect();
    assert_eq!(found, lines, "{path}:\n{source}");
}

#[test]
fn a_table_is_read_cell_by_cell() {
    let table = table(TABLE).expect("the table above is well formed");
    assert_eq!(table.keys().collect::<Vec<_>>(), ["app", "clock", "model", "prober", "series"]);
    assert_eq!(table["prober"].kind, Kind::Doer);
    assert_eq!(table["prober"].imports.iter().collect::<Vec<_>>(), ["clock", "model"]);
    assert!(table["model"].imports.is_empty());
    for broken in [
        "no table",
        "| `a` | sometimes | |",
        "| a | pure | |",
        "| `a` | pure | model |",
        "| `a` | pure | |\n| `a` | doer | |",
    ] {
        assert!(self::table(broken).is_err(), "{broken}");
    }
}

#[test]
fn a_table_that_breaks_the_house_is_refused() {
    for (line, complaints) in [
        ("| `extra` | doer | `clock`, `series` |", 0),
        ("| `extra` | pure | `nothing` |", 1),
        ("| `extra` | pure | `clock` |", 1),
        ("| `extra` | plumbing | `prober` |", 1),
        ("| `extra` | doer | `prober` |", 1),
        ("| `extra` | doer | `app` |", 1),
        ("| `extra` | pure | `extra` |", 1),
        ("| `extra` | pure | `other` |\n| `other` | pure | `extra` |", 2),
        ("| `config` | pure | |\n| `extra` | doer | `config` |", 1),
        ("| `config` | pure | |\n| `extra` | top | `config` |", 0),
    ] {
        let table = table(&format!("{TABLE}{line}\n")).expect("the lines are well formed");
        assert_eq!(laws(&table).len(), complaints, "{line}: {:?}", laws(&table));
    }
}

#[test]
fn a_room_outside_the_table_and_a_line_without_a_room_are_found() {
    let table = table(TABLE).expect("the table above is well formed");
    let files: Vec<File> = ["lib", "main", "app", "model/time", "series/mod", "prober/mod", "new"]
        .iter()
        .map(|path| file(&format!("src/{path}.rs"), ""))
        .collect();
    let found = rooms(&files, &table);
    assert_eq!(
        found,
        ["src/new: not in ARCHITECTURE.md's table", "`clock` is in the table, not in src/"]
    );
}

#[test]
fn an_import_without_an_edge_is_found() {
    for (source, lines) in [
        ("use crate::model::Labels;\nuse super::source::Source;\nuse self::inner::X;", &[] as &[_]),
        ("\nuse crate::clock::Clock;", &[2]),
        (
            "use crate::{\n    model::{self, Labels},\n    prober::{a::B, c},\n    clock,\n};",
            &[3, 4],
        ),
        ("use {crate::clock::Clock, std::fmt};", &[1]),
        ("fn f() -> crate::clock::Clock { crate::model::f::<crate::app::X>() }", &[1, 1]),
        ("macro_rules! m { () => { $crate::clock::f() } }", &[1]),
        ("#[cfg(test)]\nmod tests {\n    use crate::clock::Clock;\n}", &[3]),
        ("pub(crate) fn f() {}\nuse crate::series::Store;\npub(in crate::series) fn g() {}", &[]),
        ("use super::super::clock::Clock;\nuse super::clock::X;", &[1]),
        ("mod a {\n  use super::super::clock::X;\n  use super::super::super::clock::X;\n}", &[3]),
        ("mod a { mod b {} }\nuse super::{super::clock, store};", &[2]),
        (
            "// crate::clock\n/* crate::clock /* */ crate::clock */\nconst A: &str = \"crate::clock\";",
            &[],
        ),
        (
            "const A: &str = r#\"\"crate::clock\"#; const B: char = '\"'; use crate::app::X; // \"",
            &[1],
        ),
        ("fn f<'a>(x: &'a str) { g('\\'', crate::app::X) }", &[1]),
        ("use crate::*;", &[1]),
        ("use crate::{model as m, clock as c};", &[1]),
    ] {
        check(imports, "src/series/store.rs", source, lines);
    }
    check(imports, "src/series/mod.rs", "use super::clock::X;\nuse self::store::Store;", &[1]);
    check(imports, "src/app.rs", "use super::series::X;\nuse crate::prober::Y;", &[1]);
    check(imports, "src/model/a/b.rs", "use super::super::super::app::X;", &[1]);
    check(imports, "src/model/a/mod.rs", "use super::super::app::X;", &[1]);
    check(imports, "src/main.rs", "use bellwether::cli;", &[]);
    check(imports, "src/prober/tests/a.rs", "use crate::simulator::Simulator;", &[]);
    check(imports, "src/prober/a.rs", "use crate::simulator::Simulator;", &[1]);
    check(imports, "src/series/tests.rs", "use crate::simulator::Simulator;", &[1]);
}

#[test]
fn an_effect_in_a_pure_room_is_found() {
    for (source, lines) in [
        ("use std::time::Duration;\nuse std::collections::BTreeMap;", &[] as &[_]),
        ("async fn f() {}", &[1]),
        ("fn f() {\n    g().await\n}", &[2]),
        ("use tokio::time::Duration;", &[1]),
        ("fn f() { ::tokio::spawn(x); }", &[1]),
        ("use std::fs;", &[1]),
        ("use std::{\n    fmt,\n    fs::{self, File},\n};", &[3, 3]),
        ("fn f() { std::env::var(\"HOME\"); std::net::TcpStream::connect(x); }", &[1, 1]),
        ("use std::net::{IpAddr, SocketAddr};", &[]),
        ("use std::net::{\n    IpAddr,\n    UdpSocket,\n};", &[3]),
        ("use std::sync::Mutex;\nstruct A(std::sync::RwLock<u8>);", &[1, 2]),
        ("fn f() { tracing::info!(\"x\"); rand::random::<u8>(); }", &[1, 1]),
        ("use std::time::{Duration, SystemTime};", &[1]),
        ("use std::time::{self, Duration};\nfn f() { time::Instant::now(); }", &[2]),
        ("use std::time::Instant;\nenum Selector { Instant, Range }", &[1]),
        ("use std::time::*;", &[1]),
        ("/// Never `async`.\n// tokio::spawn\nconst A: &str = \"Mutex std::fs\";", &[]),
        ("#[cfg(test)]\nmod tests {\n    use std::fs;\n}\nasync fn f() {}", &[5]),
        ("#[cfg(test)]\nuse std::fs;\nuse std::env;", &[3]),
        ("#[cfg(test)]\n#[expect(x)]\nfn f() { { std::fs::read(x) } }\nstruct M(Mutex);", &[4]),
        ("#[cfg(not(test))]\nuse std::fs;", &[2]),
    ] {
        check(impurities, "src/series/store.rs", source, lines);
        check(impurities, "src/prober/ask.rs", source, &[]);
    }
    check(impurities, "src/series/tests.rs", "use std::fs;", &[]);
}

#[test]
fn anything_but_modules_and_exports_in_a_mod_file_is_found() {
    let check = |path: &str, source: &str, lines: &[usize]| {
        check(|file, syntax, _| contents_of_mod(file, syntax), path, source, lines);
    };
    for (source, lines) in [
        ("//! Doc.\n\n// Nouns.\nmod a;\npub mod b;\npub(crate) mod c;\n", &[] as &[_]),
        ("mod a;\n#[cfg(test)]\nmod tests;\npub use a::{B, c::D};\npub(super) use a::E;", &[]),
        ("#![expect(dead_code, reason = \"x\")]\nmod a;", &[]),
        ("mod a;\npub fn f() {}", &[2]),
        ("mod a {\n    pub fn f() {}\n}", &[1]),
        ("mod a;\n\npub struct A;\nmod b;", &[3]),
        ("mod a;\nconst A: u8 = 1;", &[2]),
        ("#[cfg(test)]\nmod tests {}", &[2]),
    ] {
        check("src/series/mod.rs", source, lines);
        check("src/lib.rs", source, lines);
        check("src/series/store.rs", source, &[]);
    }
}

#[test]
fn a_long_file_is_found() {
    let check = |path: &str, source: &str, lines: &[usize]| {
        check(|file, syntax, _| length(file, syntax), path, source, lines);
    };
    let long = "fn f() {}\n".repeat(LINES_MAX + 1);
    check("src/series/a.rs", &long, &[LINES_MAX + 1]);
    check("src/series/a.rs", &long[10..], &[]);
    check("src/series/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}\n"), &[]);
    check("src/series/a.rs", &format!("// #[cfg(test)]\n{long}"), &[LINES_MAX + 2]);
    check("src/series/tests.rs", &long, &[]);
}

#[test]
fn a_file_or_folder_named_by_kind_is_found() {
    for (path, lines) in [
        ("src/series/utils.rs", &[1_usize] as &[_]),
        ("src/common/mod.rs", &[1]),
        ("src/series/helpers/a.rs", &[1]),
        ("src/types.rs", &[1]),
        ("src/model/errors.rs", &[1]),
        ("src/prober/manager.rs", &[1]),
        ("src/series/common_words.rs", &[]),
    ] {
        check(|file, _, _| names(file), path, "", lines);
    }
}

#[test]
fn silenced_lints_and_things_left_to_do_are_found() {
    for (source, lines) in [
        ("#[expect(dead_code, reason = \"x\")]\nfn allow(x: u8) { allow(todo) }", &[] as &[_]),
        ("#[allow(dead_code)]\nfn f() {}", &[1]),
        ("#![allow(dead_code)]", &[1]),
        ("\n#[cfg_attr(test, allow(dead_code))]\nfn f() {}", &[2]),
        ("fn f() {\n    todo!()\n}", &[2]),
        ("// todo!()\n/// #[allow(x)]\nconst A: &str = \"#[allow(x)] todo!()\";", &[]),
    ] {
        check(|file, syntax, _| leftovers(file, syntax), "src/series/a.rs", source, lines);
    }
}
