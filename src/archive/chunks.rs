//! Chunks as the store holds them, in a file: what one log held.
//!
//! ```text
//! entry = first time since the file's, last since the chunk's first, samples, bytes
//! ```

use super::bytes::{Bytes, put_bytes, put_number, put_time};
use super::frame::Kind;
use super::table::Entry;
use crate::model::Timestamp;
use crate::series::Chunk;

impl Entry for Chunk {
    const KIND: Kind = Kind::Chunks;

    fn first(&self) -> Timestamp {
        Chunk::first(self)
    }

    fn last(&self) -> Timestamp {
        Chunk::last(self)
    }

    fn put(&self, bytes: &mut Vec<u8>, start: Timestamp) {
        put_time(bytes, self.first(), start);
        put_time(bytes, self.last(), self.first());
        put_number(bytes, u64::from(self.count()));
        put_bytes(bytes, self.bytes());
    }

    fn read(bytes: &mut Bytes<'_>, start: Timestamp) -> Option<Self> {
        let first = bytes.time(start)?;
        let last = bytes.time(first)?;
        let count = u16::try_from(bytes.number()?).ok()?;
        Chunk::from_parts(first, last, count, bytes.bytes()?.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::table::{Table, decode, encode};
    use super::*;
    use crate::model::{Labels, Sample};
    use crate::series::Packer;

    fn packed(series: &[(u64, Vec<(i64, u64)>)]) -> Table<Chunk> {
        let pack = |(name, points): &(u64, Vec<(i64, u64)>)| {
            let mut packer = Packer::default();
            for (at, bits) in points {
                packer
                    .push(Sample { at: Timestamp::from_millis(*at), value: f64::from_bits(*bits) });
            }
            let name = name.to_string();
            (Labels::from_pairs([("__name__", name.as_str()), ("job", "x")]), packer.finish())
        };
        series.iter().map(pack).collect()
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_noticed() {
        let packed = packed(&[(1, vec![(1000, 7), (2000, 9)]), (2, vec![(-5, u64::MAX)])]);
        let (file, last) = encode(&packed).unwrap();
        assert_eq!(last, Timestamp::from_millis(2000));
        for position in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            assert!(decode::<Chunk>(&flipped, Timestamp::MIN).is_none(), "{position}");
        }
        for length in 0..file.len() {
            assert!(decode::<Chunk>(&file[..length], Timestamp::MIN).is_none(), "{length}");
        }
        let longer = [file.as_slice(), &[0]].concat();
        assert!(decode::<Chunk>(&longer, Timestamp::MIN).is_none());
    }

    #[test]
    fn what_is_too_old_is_not_read() {
        let packed = packed(&[(1, vec![(1000, 7), (2000, 9)])]);
        let (file, _) = encode(&packed).unwrap();
        let content = |at| decode::<Chunk>(&file, Timestamp::from_millis(at)).unwrap();
        assert_eq!(content(2001).series, []);
        assert_eq!(content(2001).last, Timestamp::from_millis(2000));
        assert_eq!(content(2000).series, packed);
        assert!(encode::<Chunk>(&[]).is_none());
    }

    proptest! {
        #[test]
        fn chunks_come_back_as_they_were(
            series in prop::collection::vec(
                (0_u64..5, prop::collection::vec((any::<i64>(), any::<u64>()), 1..200)), 1..6),
        ) {
            let packed = packed(&series);
            let (file, last) = encode(&packed).unwrap();
            let content = decode::<Chunk>(&file, Timestamp::MIN).unwrap();
            prop_assert_eq!(content.series, packed);
            prop_assert_eq!(content.last, last);
        }
    }
}
