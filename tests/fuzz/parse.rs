//! What holds of any bytes taken as an expression.

use bellwether::promql::{self, Expr, ParseError};

/// Reads the bytes as an expression; whatever they are, it is read or refused, and what is read is
/// printed so that it reads back as the same.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match promql::parse(&text) {
        Ok(expr) => check_printed(&expr),
        Err(error) => check_place(&text, &error),
    }
}

/// A mistake is inside the text or just after it.
fn check_place(text: &str, error: &ParseError) {
    let line = text.split('\n').nth(error.line as usize - 1);
    let columns = line.map(|line| line.chars().count() + 1);
    assert!(
        columns.is_some_and(|columns| (1..=columns).contains(&(error.column as usize))),
        "{error} is not inside {text:?}"
    );
    assert!(!error.message.is_empty(), "{error:?} of {text:?}");
}

fn check_printed(expr: &Expr) {
    let printed = expr.to_string();
    let again = match promql::parse(&printed) {
        Ok(again) => again,
        // A number may be printed with more digits than it was written with.
        Err(error) if error.message.contains("is longer than") => return,
        Err(error) => panic!("`{}` is printed as `{printed}`: {error}", expr.text()),
    };
    assert_eq!(again.to_string(), printed, "`{}` printed twice", expr.text());
    assert_eq!(again.value_type(), expr.value_type(), "`{}`", expr.text());
    let selectors = |expr: &Expr| {
        let mut selectors = expr.selectors();
        // The printer sorts matchers.
        selectors.iter_mut().for_each(|selector| {
            selector.matchers.sort_by_key(ToString::to_string);
        });
        format!("{selectors:?}")
    };
    assert_eq!(selectors(&again), selectors(expr), "`{}`", expr.text());
}
