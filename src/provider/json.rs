//! The leaves of a provider's JSON, read without copying and without more strictness than is useful.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Text, borrowed where it has no escapes.
#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Text<'_> {
    /// The text of a field that may be absent, empty then.
    pub(super) fn of<'t>(field: &'t Option<Text>) -> &'t str {
        field.as_ref().map_or("", |text| &text.0)
    }
}

/// A number of tokens: fractions are cut, negative numbers are nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Count, E> {
        Ok(Count(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Count, E> {
        Ok(Count(u64::try_from(number).unwrap_or(0)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Count, E> {
        // The cast saturates, and NaN (which JSON lacks) is zero.
        Ok(Count(number as u64))
    }
}

/// Whether a value of any type says anything: `null`, `false`, zero, empty text, and lists and
/// objects of nothing but such values do not. Some relays put an `error` of empty fields beside a
/// good answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Truth(pub(super) bool);

impl<'de> Deserialize<'de> for Truth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TruthVisitor)
    }
}

struct TruthVisitor;

impl<'de> Visitor<'de> for TruthVisitor {
    type Value = Truth;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Truth, E> {
        Ok(Truth(false))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Truth, E> {
        Ok(Truth(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Truth, E> {
        Ok(Truth(number != 0))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Truth, E> {
        Ok(Truth(number != 0))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Truth, E> {
        Ok(Truth(number != 0.0))
    }

    fn visit_str<E>(self, text: &str) -> Result<Truth, E> {
        Ok(Truth(!text.is_empty()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Truth, A::Error> {
        let mut truth = false;
        while let Some(Truth(item)) = list.next_element()? {
            truth |= item;
        }
        Ok(Truth(truth))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Truth, A::Error> {
        let mut truth = false;
        while let Some((IgnoredAny, Truth(value))) = object.next_entry()? {
            truth |= value;
        }
        Ok(Truth(truth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_says_nothing_is_not_true() {
        for text in
            ["null", "false", "0", "0.0", "\"\"", "{}", "[]", r#"{"message":"","code":null}"#]
        {
            assert_eq!(serde_json::from_str::<Truth>(text).unwrap(), Truth(false), "{text}");
        }
        for text in ["true", "-1", "1.5", "\"x\"", r#"{"a":[{"b":1}]}"#, r#""\n""#] {
            assert_eq!(serde_json::from_str::<Truth>(text).unwrap(), Truth(true), "{text}");
        }
    }

    #[test]
    fn counts_of_every_kind_of_number_are_read() {
        for (text, count) in [("7", 7), ("7.9", 7), ("-1", 0), ("1e3", 1000), ("0", 0)] {
            assert_eq!(serde_json::from_str::<Count>(text).unwrap(), Count(count), "{text}");
        }
        assert!(serde_json::from_str::<Count>("\"7\"").is_err());
    }

    #[test]
    fn text_is_borrowed_unless_it_has_escapes() {
        let plain: Text = serde_json::from_str(r#""ok""#).unwrap();
        assert!(matches!(plain.0, Cow::Borrowed("ok")));
        let escaped: Text = serde_json::from_str(r#""a\nb""#).unwrap();
        assert_eq!(escaped.0, "a\nb");
    }
}
