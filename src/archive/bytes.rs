//! Numbers and texts as bytes.
//!
//! Numbers are LEB128: seven bits a byte, the lowest first. Signed ones are folded, so that small
//! ones of either sign are short. A reader takes bytes from anywhere: it never reads past the end
//! and never makes room for more than there is.

use crate::model::Timestamp;

pub(super) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(super) fn put_signed(bytes: &mut Vec<u8>, number: i64) {
    put_number(bytes, ((number << 1) ^ (number >> 63)) as u64);
}

pub(super) fn put_bytes(bytes: &mut Vec<u8>, content: &[u8]) {
    put_number(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

/// How much later one time is; wraps, which is exact between any two.
pub(super) fn put_time(bytes: &mut Vec<u8>, at: Timestamp, before: Timestamp) {
    put_signed(bytes, at.millis().wrapping_sub(before.millis()));
}

/// Reads from the front; every method is `None` where the bytes are not what it asks for.
#[derive(Clone, Debug)]
pub(super) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let part = u64::from(byte & 0x7f);
            number |= part << shift;
            if byte & 0x80 == 0 {
                // The tenth byte has room for one bit.
                return (part << shift >> shift == part).then_some(number);
            }
        }
        None
    }

    /// A number of things that each take a byte at least.
    pub(super) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let folded = self.number()?;
        Some((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        let (content, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn time(&mut self, before: Timestamp) -> Option<Timestamp> {
        Some(Timestamp::from_millis(before.millis().wrapping_add(self.signed()?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_leb128() {
        // The three examples of the DWARF standard's table for unsigned LEB128, and the ends.
        for (number, expected) in [
            (0, &[0_u8] as &[u8]),
            (127, &[0x7f]),
            (128, &[0x80, 0x01]),
            (12857, &[0x80 | 57, 100]),
            (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(bytes, expected);
            assert_eq!(Bytes::new(&bytes).number(), Some(number));
            assert_eq!(Bytes::new(&bytes[1..]).number().is_some(), bytes.len() > 1);
            assert_eq!(Bytes::new(&bytes[..bytes.len() - 1]).number(), None);
        }
        for (number, expected) in [(0, 0), (-1, 1), (1, 2), (i64::MIN, u64::MAX)] {
            let (mut signed, mut plain) = (Vec::new(), Vec::new());
            put_signed(&mut signed, number);
            put_number(&mut plain, expected);
            assert_eq!(signed, plain);
            assert_eq!(Bytes::new(&signed).signed(), Some(number));
        }
        assert_eq!(Bytes::new(&[0xff; 11]).number(), None);
        assert_eq!(
            Bytes::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).number(),
            None
        );
    }

    proptest! {
        #[test]
        fn a_reader_takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let reader = Bytes::new(&bytes);
            for _ in 0..3 {
                let (mut a, mut b, mut c) = (reader.clone(), reader.clone(), reader.clone());
                let _may_be_none = (a.number(), b.text(), c.count(), c.bytes(), c.signed());
            }
        }
    }
}
