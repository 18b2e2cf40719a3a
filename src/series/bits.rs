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

    /// How many bits were read.
    #[cfg(test)]
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The next `width` bits as a number, or `None` where fewer are left; `width` is at most 64.
    pub(super) fn read(&mut self, width: u8) -> Option<u64> {
        let mut value = 0;
        let mut left = usize::from(width);
        while left > 0 {
            let byte = *self.bytes.get(self.position / 8)?;
            let free = 8 - self.position % 8;
            let taken = left.min(free);
            let part = (u64::from(byte) >> (free - taken)) & ((1 << taken) - 1);
            value = (value << taken) | part;
            self.position += taken;
            left -= taken;
        }
        Some(value)
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
