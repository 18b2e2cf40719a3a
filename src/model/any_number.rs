//! A floating-point number in JSON, which has no `NaN` and no infinity: as text, for serde's `with`.

use serde::de::{Deserialize as _, Deserializer, Error as _};
use serde::ser::Serializer;

/// Writes the shortest text that reads back as the same number.
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Reads what [`serialize`] wrote.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom(format!("`{text}` is no number")))
}
