//! One point of a series.

use super::Timestamp;

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// What; a stale marker is a value too (see [`is_stale`]).
    pub value: f64,
}

/// The one NaN that means "this series ended here" (Prometheus model/value/value.go).
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The value that ends a series.
pub fn stale_marker() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Whether a value ends a series.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// The one NaN that stands where a native histogram was. What it holds is not kept.
pub const HISTOGRAM_BITS: u64 = 0x7ff0_0000_0000_0004;

/// The value that stands for a native histogram.
pub fn histogram_marker() -> f64 {
    f64::from_bits(HISTOGRAM_BITS)
}

/// Whether a value stands for a native histogram. Every NaN but this and [`is_stale`] is an
/// ordinary value.
pub fn is_histogram(value: f64) -> bool {
    value.to_bits() == HISTOGRAM_BITS
}
