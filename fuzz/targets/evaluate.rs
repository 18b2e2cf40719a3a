//! An expression and the choices that make its data: the evaluator over the store.

#![no_main]

#[path = "../../tests/fuzz/evaluate.rs"]
mod evaluate;
#[path = "../../tests/fuzz/scene.rs"]
mod scene;

libfuzzer_sys::fuzz_target!(|input: &[u8]| evaluate::check(input));
