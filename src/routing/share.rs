//! A share of the requests, in hundredths of a percent.

use std::fmt;

const ALL: u16 = 10_000;

/// From nothing to everything, in basis points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u16);

/// More than everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` basis points are more than all requests (10000)")]
pub struct ShareError(u32);

impl Share {
    /// No request.
    pub const NONE: Self = Self(0);
    /// Every request.
    pub const ALL: Self = Self(ALL);

    /// A share in hundredths of a percent.
    pub fn from_basis_points(points: u32) -> Result<Self, ShareError> {
        let small = u16::try_from(points).ok().filter(|points| *points <= ALL);
        small.map(Self).ok_or(ShareError(points))
    }

    /// A share in whole percent.
    pub fn from_percent(percent: u8) -> Result<Self, ShareError> {
        Self::from_basis_points(u32::from(percent) * 100)
    }

    /// The share in hundredths of a percent.
    pub fn basis_points(self) -> u16 {
        self.0
    }

    /// The share as a number from 0 to 1.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(ALL)
    }

    /// Whether a number that is spread evenly over all of `u64` falls into the share. Whoever falls
    /// into a share falls into every larger one.
    pub fn takes(self, spread: u64) -> bool {
        let point = (u128::from(spread) * u128::from(ALL)) >> 64;
        point < u128::from(self.0)
    }
}

/// In percent: `5%`, `0.25%`.
impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}%", f64::from(self.0) / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_takes_its_part_of_all_numbers_from_the_bottom() {
        // A hundredth of 2^64 is 184467440737095516.16.
        let percent = Share::from_percent(1).unwrap();
        for (spread, expected) in [
            (0, true),
            (184_467_440_737_095_516, true),
            (184_467_440_737_095_517, false),
            (u64::MAX, false),
        ] {
            assert_eq!(percent.takes(spread), expected, "{spread}");
        }
        assert!(!Share::NONE.takes(0) && Share::ALL.takes(u64::MAX));
    }

    #[test]
    fn more_than_everything_is_refused() {
        assert_eq!(Share::from_basis_points(10_000), Ok(Share::ALL));
        assert_eq!(Share::from_basis_points(10_001), Err(ShareError(10_001)));
        assert_eq!(Share::from_basis_points(75_536), Err(ShareError(75_536)));
        assert_eq!(Share::from_percent(101), Err(ShareError(10_100)));
        assert_eq!(Share::from_basis_points(25).unwrap().to_string(), "0.25%");
        assert_eq!(Share::from_percent(5).unwrap().to_string(), "5%");
    }
}
