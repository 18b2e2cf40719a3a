//! Values, each as what it changes in the one before.
//!
//! Gorilla's XOR, with one addition: most of what a scrape brings are counters and buckets, which
//! grow by small whole numbers, and a step costs fewer bits than the bits it flips.
//!
//! | value | bits |
//! | --- | --- |
//! | same | `0` |
//! | greater by 1 to 32 | `100` + 5 (the step less one) |
//! | greater by 33 to 1056 | `101` + 10 (the step less 33) |
//! | differs within the last window of bits | `110` + the window |
//! | anything else | `111` + 5 (zeros before the window) + 6 (its width less one) + the window |
//!
//! A step is used only where adding it gives the value bit for bit; the addition is IEEE's and
//! rounds alike everywhere. Otherwise bits are never interpreted, so that every NaN (the stale
//! marker is one), the infinities and `-0.0` come back as they were.

use super::bits::{BitReader, BitWriter};

/// The least step of each width, and one more than the greatest.
const STEP_SHORT: u64 = 1;
const STEP_LONG: u64 = 33;
const STEP_NONE: u64 = 1057;

/// The last value's bits, and where the last XOR's ones were.
#[derive(Clone, Debug)]
pub(super) struct Values {
    value: u64,
    window: Window,
}

impl Values {
    /// Starts at a first value, which is not written.
    pub(super) fn new(first: u64) -> Self {
        Self { value: first, window: Window { leading: 0, width: 64 } }
    }

    /// The last value's bits.
    pub(super) fn last(&self) -> u64 {
        self.value
    }

    /// Writes the next value.
    pub(super) fn write(&mut self, bits: &mut BitWriter, value: u64) {
        let change = value ^ self.value;
        let step = step_up(self.value, value);
        self.value = value;
        if change == 0 {
            bits.write(0, 1);
            return;
        }
        match step {
            Some(step) if step < STEP_LONG => {
                bits.write(0b100, 3);
                bits.write(step - STEP_SHORT, 5);
            }
            Some(step) => {
                bits.write(0b101, 3);
                bits.write(step - STEP_LONG, 10);
            }
            None => self.window.write(bits, change),
        }
    }

    /// The next value, and how many bits it takes, where the highest bits of `ahead` are a code of
    /// the short kind: the same, or a step.
    #[inline]
    pub(super) fn step(&mut self, ahead: u64) -> Option<(u64, u8)> {
        let width = match ahead >> 61 {
            0b000..=0b011 => 1,
            0b100 => {
                self.value = stepped(self.value, (ahead >> 56 & 0x1f) + STEP_SHORT);
                8
            }
            0b101 => {
                self.value = stepped(self.value, (ahead >> 51 & 0x3ff) + STEP_LONG);
                13
            }
            _ => return None,
        };
        Some((self.value, width))
    }

    /// Reads the next value; `None` where the bytes end.
    pub(super) fn read(&mut self, bits: &mut BitReader<'_>) -> Option<u64> {
        if bits.read(1)? == 1 {
            self.value = match bits.read(2)? {
                0b00 => stepped(self.value, bits.read(5)? + STEP_SHORT),
                0b01 => stepped(self.value, bits.read(10)? + STEP_LONG),
                0b10 => self.value ^ self.window.read(bits)?,
                _ => {
                    self.window = Window::read_place(bits)?;
                    self.value ^ self.window.read(bits)?
                }
            };
        }
        Some(self.value)
    }
}

/// The whole number from one value up to the next, where there is one and it has a code.
fn step_up(from: u64, to: u64) -> Option<u64> {
    // The cast makes 0 of NaN and of what is negative, and rounds down.
    let step = (f64::from_bits(to) - f64::from_bits(from)) as u64;
    ((STEP_SHORT..STEP_NONE).contains(&step) && stepped(from, step) == to).then_some(step)
}

fn stepped(from: u64, step: u64) -> u64 {
    // A step is small; signed numbers are converted faster.
    (f64::from_bits(from) + step as i64 as f64).to_bits()
}

/// Which bits changed: `width` of them, at least one, after `leading` zeros.
#[derive(Clone, Copy, Debug)]
struct Window {
    leading: u8,
    width: u8,
}

impl Window {
    /// What it costs to say where a new window lies.
    const PLACE_BITS: u8 = 11;
    /// The most zeros that 5 bits can tell.
    const LEADING_MAX: u8 = 31;

    /// The smallest window around the ones of `change`, which has one at least.
    fn around(change: u64) -> Self {
        let leading = (change.leading_zeros() as u8).min(Self::LEADING_MAX);
        Self { leading, width: 64 - leading - change.trailing_zeros() as u8 }
    }

    fn trailing(self) -> u8 {
        64 - self.leading - self.width
    }

    fn holds(self, other: Self) -> bool {
        self.leading <= other.leading && self.trailing() <= other.trailing()
    }

    fn write(&mut self, bits: &mut BitWriter, change: u64) {
        let tight = Self::around(change);
        // A wide window is left as soon as that pays: one odd value should not make all later
        // ones of the chunk long.
        if self.holds(tight) && self.width <= tight.width + Self::PLACE_BITS {
            bits.write(0b110, 3);
        } else {
            *self = tight;
            bits.write(0b111, 3);
            bits.write(u64::from(self.leading), 5);
            bits.write(u64::from(self.width - 1), 6);
        }
        bits.write(change >> self.trailing(), self.width);
    }

    fn read_place(bits: &mut BitReader<'_>) -> Option<Self> {
        let leading = bits.read(5)? as u8;
        // No writer makes a window that ends past the last bit; bytes from elsewhere may.
        let width = (bits.read(6)? as u8 + 1).min(64 - leading);
        Some(Self { leading, width })
    }

    fn read(self, bits: &mut BitReader<'_>) -> Option<u64> {
        Some(bits.read(self.width)? << self.trailing())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::STALE_BITS;

    fn check(from: u64, to: u64, width: usize) {
        let mut bits = BitWriter::default();
        Values::new(from).write(&mut bits, to);
        let mut reader = BitReader::new(bits.bytes());
        assert_eq!(Values::new(from).read(&mut reader), Some(to), "{from:x} to {to:x}");
        assert_eq!(reader.position(), width, "{from:x} to {to:x}");
    }

    #[test]
    fn each_value_takes_the_width_that_its_table_says() {
        for (from, to, width) in [
            (7.0, 7.0, 1),
            (7.0, 8.0, 8),
            (7.0, 39.0, 8),
            (7.0, 40.0, 13),
            (0.5, 1056.5, 13),
            (-3.0, 5.0, 8),
            // 2^53, where the next value up is 2 away.
            (9_007_199_254_740_992.0, 9_007_199_254_740_994.0, 8),
            // 1.0 is 0x3ff0…, 2.0 is 0x4000…: ones from bit 1 to bit 11. Down, hence no step.
            (2.0, 1.0, 14 + 11),
            // 1.5 is 0x3ff8…: bit 12 alone.
            (1.0, 1.5, 14 + 1),
            // 1057 is 0x4090_8400…, 0 is 0: bits 1, 8, 11, 16 and 21 of the XOR.
            (0.0, 1057.0, 14 + 21),
        ] {
            check(f64::to_bits(from), f64::to_bits(to), width);
        }
    }

    #[test]
    fn values_that_cannot_be_added_come_back_bit_for_bit() {
        let odd = [
            f64::NAN.to_bits(),
            STALE_BITS,
            0xfff8_dead_beef_0001,
            f64::INFINITY.to_bits(),
            f64::NEG_INFINITY.to_bits(),
            (-0.0_f64).to_bits(),
            0,
            f64::MAX.to_bits(),
            f64::MIN.to_bits(),
            1,
        ];
        for from in odd {
            for to in odd {
                let mut bits = BitWriter::default();
                Values::new(from).write(&mut bits, to);
                let mut reader = BitReader::new(bits.bytes());
                assert_eq!(Values::new(from).read(&mut reader), Some(to), "{from:x} to {to:x}");
            }
        }
    }

    #[test]
    fn a_wide_window_is_left_when_a_narrow_one_pays() {
        let mut bits = BitWriter::default();
        let mut values = Values::new(0);
        let wide = (1 << 63) | 1;
        let mut widths = Vec::new();
        for value in [wide, 0, 1 << 40, 0] {
            values.write(&mut bits, value);
        }
        let mut reader = BitReader::new(bits.bytes());
        let mut values = Values::new(0);
        for expected in [wide, 0, 1 << 40, 0] {
            let before = reader.position();
            assert_eq!(values.read(&mut reader), Some(expected));
            widths.push(reader.position() - before);
        }
        // The first window is all 64 bits, which serves twice; then a new one of 1 bit, twice.
        assert_eq!(widths, [3 + 64, 3 + 64, 14 + 1, 3 + 1]);
    }
}
