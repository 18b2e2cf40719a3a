//! Numbers of any width, packed without gaps.
//!
//! The highest bit comes first, so that a prefix code can be read bit by bit.

/// Packs numbers into bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// How many bits of the last byte are still unused.
    free: u8,
}

impl BitWriter {
    /// Appends the lowest `width` bits of a number; `width` is at most 64.
    pub(super) fn write(&mut self, value: u64, width: u8) {
        let mut left = width;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            let part = (value >> (left - taken)) & ((1 << taken) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part << (self.free - taken)) as u8;
            }
            self.free -= taken;
            left -= taken;
        }
    }

    /// How many bits were written.
    pub(super) fn position(&self) -> u32 {
        (self.bytes.len() * 8) as u32 - u32::from(self.free)
    }

    /// What was written so far; unused bits of the last byte are zero.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the bytes away, without spare room.
    pub(super) fn into_bytes(self) -> Box<[u8]> {
        self.bytes.into_boxed_slice()
    }
}

/// Reads what a [`BitWriter`] packed.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// How many bits were read.
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Reads from a place on.
    pub(super) fn at(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    /// How many bits were read.
    #[cfg(test)]
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The next `width` bits as a number, or `None` where fewer are left; `width` is at most 64.
    pub(super) fn read(&mut self, width: u8) -> Option<u64> {
        if width <= Self::PEEKED {
            let value = self.peek(width)?;
            self.position += usize::from(width);
            return Some(value);
        }
        let high = self.read(width - 32)?;
        Some(high << 32 | self.read(32)?)
    }

    /// How many bits [`Self::ahead`] shows at once, wherever in a byte they begin.
    const PEEKED: u8 = 57;

    /// The next `width` bits, which stay unread; `None` where fewer are left. `width` is at most
    /// [`Self::PEEKED`].
    fn peek(&self, width: u8) -> Option<u64> {
        // In two shifts: a width of 0 would shift by all 64 bits.
        self.has(width).then(|| self.ahead() >> 1 >> (63 - width))
    }

    fn has(&self, width: u8) -> bool {
        self.position + usize::from(width) <= self.bytes.len() * 8
    }

    /// The next bits from the highest on, [`Self::PEEKED`] of them; zeros after the end.
    #[inline]
    pub(super) fn ahead(&self) -> u64 {
        let at = self.position / 8;
        let word = match self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
            Some(word) => u64::from_be_bytes(*word),
            None => self.rest(at),
        };
        word << (self.position % 8)
    }

    /// Goes on by bits that were seen by [`Self::ahead`]; false, and nothing done, where the end is
    /// nearer.
    #[inline]
    #[must_use]
    pub(super) fn skip(&mut self, width: u8) -> bool {
        let has = self.has(width);
        if has {
            self.position += usize::from(width);
        }
        has
    }

    /// The last bytes, fewer than eight, from the highest on.
    fn rest(&self, at: usize) -> u64 {
        let left = self.bytes.len().saturating_sub(at);
        let word = match self.bytes.last_chunk() {
            Some(word) => u64::from_be_bytes(*word),
            None => self.bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        word.checked_shl(64 - 8 * left as u32).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_highest_bit_comes_first() {
        let mut writer = BitWriter::default();
        for (value, width) in [(0b1, 1), (0b01, 2), (0b1_0000_0001, 9), (0xff, 0), (0b1, 1)] {
            writer.write(value, width);
        }
        assert_eq!(writer.bytes(), [0b1011_0000, 0b0001_1000]);
    }

    #[test]
    fn reading_past_the_end_is_nothing() {
        let mut reader = BitReader::new(&[0xff]);
        assert_eq!(reader.read(5), Some(31));
        assert_eq!(reader.read(4), None);
        assert_eq!(BitReader::new(&[]).read(1), None);
    }

    #[test]
    fn after_the_end_are_zeros_that_cannot_be_skipped() {
        for (bytes, read, ahead, left) in [
            (&[] as &[u8], 0, 0, 0),
            (&[0xab], 0, 0xab << 56, 8),
            (&[0xab], 4, 0xb << 60, 4),
            (&[0xab], 8, 0, 0),
            (&[1, 2, 3, 4, 5, 6, 7, 8, 9], 16, 0x0304_0506_0708_0900, 56),
            (&[1, 2, 3, 4, 5, 6, 7, 8, 9], 68, 0x9 << 60, 4),
        ] {
            let mut reader = BitReader::new(bytes);
            for _ in 0..read {
                assert!(reader.skip(1), "{bytes:?} {read}");
            }
            assert_eq!(reader.ahead(), ahead, "{bytes:?} {read}");
            assert!(!reader.skip(left + 1), "{bytes:?} {read}");
            assert!(reader.skip(left), "{bytes:?} {read}");
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back_at_their_width(
            numbers in prop::collection::vec((any::<u64>(), 1_u8..=64), 0..100),
        ) {
            let mut writer = BitWriter::default();
            for (value, width) in &numbers {
                writer.write(*value, *width);
            }
            let mut reader = BitReader::new(writer.bytes());
            for (value, width) in &numbers {
                let lowest = value & (u64::MAX >> (64 - width));
                prop_assert_eq!(reader.read(*width), Some(lowest));
            }
        }
    }
}
