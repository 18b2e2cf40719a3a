//! What the fuzz targets check, over the inputs that fuzzing found worth keeping.
//!
//! The targets in `fuzz/` and this test share their properties. `parse.txt` and `evaluate.txt` hold
//! one input a line, everything but printable ASCII written `\xNN`: a reader sees what is covered,
//! and a change of the corpus is a change of lines. `fuzz/run` reads and writes the same files.

mod evaluate;
mod parse;
mod scene;

use std::panic::catch_unwind;

/// The bytes of a line.
fn input(line: &str) -> Vec<u8> {
    let mut parts = line.split("\\x");
    let mut input = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at(2);
        input.push(u8::from_str_radix(code, 16).expect("two hexadecimal digits"));
        input.extend(rest.as_bytes());
    }
    input
}

fn hold(corpus: &str, check: fn(&[u8])) {
    assert!(corpus.lines().count() > 100, "the corpus is all there");
    let failed: Vec<&str> = corpus
        .lines()
        .filter(|line| {
            let input = input(line);
            catch_unwind(|| check(&input)).is_err()
        })
        .collect();
    assert!(failed.is_empty(), "inputs that fail, with the reasons above: {failed:#?}");
}

#[test]
fn any_bytes_are_read_or_refused() {
    hold(include_str!("parse.txt"), parse::check);
}

#[test]
fn any_expression_over_any_data_has_an_answer() {
    hold(include_str!("evaluate.txt"), evaluate::check);
}

#[test]
fn a_line_holds_any_bytes() {
    assert_eq!(input("a\\x00\\xff b\\x5c"), b"a\x00\xff b\\");
    assert_eq!(input(""), b"");
}
