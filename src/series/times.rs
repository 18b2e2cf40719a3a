//! Timestamps, each as the change of the distance to the one before.
//!
//! At a steady cadence nothing changes, which is one bit. The codes' widths suit cadences of
//! seconds kept to some milliseconds:
//!
//! | change | bits |
//! | --- | --- |
//! | none | `0` |
//! | within 64 ms | `10` + 7 |
//! | within 2 s | `110` + 12 |
//! | within 524 s | `1110` + 20 |
//! | any | `1111` + 64 |
//!
//! Arithmetic wraps, which is exact between any two timestamps.

use super::bits::{BitReader, BitWriter};

/// The codes' widths, each after as many ones as stand before it.
const WIDTHS: [u8; 5] = [0, 7, 12, 20, 64];

/// The last timestamp in milliseconds, and its distance to the one before.
#[derive(Clone, Debug)]
pub(super) struct Times {
    at: i64,
    distance: i64,
}

impl Times {
    /// Starts at a first timestamp, which whoever decodes must know.
    pub(super) fn new(first: i64) -> Self {
        Self { at: first, distance: 0 }
    }

    /// The last timestamp.
    pub(super) fn last(&self) -> i64 {
        self.at
    }

    /// Writes the next timestamp.
    pub(super) fn write(&mut self, bits: &mut BitWriter, at: i64) {
        let distance = at.wrapping_sub(self.at);
        let change = fold(distance.wrapping_sub(self.distance));
        (self.at, self.distance) = (at, distance);
        let needed = u64::BITS - change.leading_zeros();
        let last = WIDTHS.len() - 1;
        let ones = WIDTHS.iter().position(|width| needed <= u32::from(*width)).unwrap_or(last);
        for _ in 0..ones {
            bits.write(1, 1);
        }
        if ones < last {
            bits.write(0, 1);
        }
        bits.write(change, WIDTHS[ones]);
    }

    /// The next timestamp where its code says that the distance stays the same.
    #[inline]
    pub(super) fn step(&mut self) -> i64 {
        self.at = self.at.wrapping_add(self.distance);
        self.at
    }

    /// Reads the next timestamp; `None` where the bytes end.
    pub(super) fn read(&mut self, bits: &mut BitReader<'_>) -> Option<i64> {
        let mut ones = 0;
        while ones < WIDTHS.len() - 1 && bits.read(1)? == 1 {
            ones += 1;
        }
        let change = unfold(bits.read(WIDTHS[ones])?);
        self.distance = self.distance.wrapping_add(change);
        self.at = self.at.wrapping_add(self.distance);
        Some(self.at)
    }
}

/// Maps 0, -1, 1, -2, … to 0, 1, 2, 3, …, so that small changes of either sign are small numbers.
fn fold(change: i64) -> u64 {
    ((change << 1) ^ (change >> 63)) as u64
}

fn unfold(folded: u64) -> i64 {
    (folded >> 1) as i64 ^ -((folded & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_takes_the_width_that_its_table_says() {
        for (change, width) in [
            (0, 1),
            (63, 9),
            (-64, 9),
            (64, 15),
            (-65, 15),
            (2047, 15),
            (-2048, 15),
            (2048, 24),
            (524_287, 24),
            (-524_288, 24),
            (524_288, 68),
            (i64::MAX, 68),
            (i64::MIN, 68),
        ] {
            let mut bits = BitWriter::default();
            Times::new(0).write(&mut bits, change);
            assert_eq!(bits.bytes().len(), usize::div_ceil(width, 8), "{change}");
            let mut times = Times::new(0);
            let mut reader = BitReader::new(bits.bytes());
            assert_eq!(times.read(&mut reader), Some(change));
            assert_eq!(reader.position(), width, "{change}");
        }
    }
}
