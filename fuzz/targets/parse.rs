//! Arbitrary bytes as an expression: lexer, parser and printer.

#![no_main]

#[path = "../../tests/fuzz/parse.rs"]
mod parse;

libfuzzer_sys::fuzz_target!(|input: &[u8]| parse::check(input));
