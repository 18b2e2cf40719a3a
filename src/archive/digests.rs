//! Digests in a file: what is left of samples that are no longer kept.
//!
//! ```text
//! entry = first time since the file's, last since the first, samples, resets, changes,
//!         first value, { last value, least, greatest: XOR with the first },
//!         { dropped, sum, error of the sum, squares }
//! ```
//!
//! Bits of values are reversed, so that those of whole numbers are short: a run of one value costs
//! some twenty bytes.

use super::bytes::{Bytes, put_number, put_time};
use super::frame::Kind;
use super::table::Entry;
use crate::model::{Sample, Timestamp};
use crate::series::{Digest, Sum};

impl Entry for Digest {
    const KIND: Kind = Kind::Digests;

    fn first(&self) -> Timestamp {
        self.first.at
    }

    fn last(&self) -> Timestamp {
        self.last.at
    }

    fn put(&self, bytes: &mut Vec<u8>, start: Timestamp) {
        put_time(bytes, self.first.at, start);
        put_time(bytes, self.last.at, self.first.at);
        for number in [self.count, self.resets, self.changes] {
            put_number(bytes, u64::from(number));
        }
        let first = self.first.value.to_bits();
        put_number(bytes, first.reverse_bits());
        for value in [self.last.value, self.min, self.max] {
            put_number(bytes, (value.to_bits() ^ first).reverse_bits());
        }
        for value in [self.dropped, self.sum.rounded, self.sum.error, self.squares] {
            put_number(bytes, value.to_bits().reverse_bits());
        }
    }

    fn read(bytes: &mut Bytes<'_>, start: Timestamp) -> Option<Self> {
        let first = bytes.time(start)?;
        let last = bytes.time(first)?;
        let mut number = || u32::try_from(bytes.number()?).ok();
        let (count, resets, changes) = (number()?, number()?, number()?);
        let first_bits = bytes.number()?.reverse_bits();
        let mut beside = || Some(f64::from_bits(bytes.number()?.reverse_bits() ^ first_bits));
        let (last_value, min, max) = (beside()?, beside()?, beside()?);
        let mut value = || Some(f64::from_bits(bytes.number()?.reverse_bits()));
        let (dropped, rounded, error, squares) = (value()?, value()?, value()?, value()?);
        let is_run = count > 0 && first <= last && (count > 1 || first == last);
        is_run.then_some(Self {
            first: Sample { at: first, value: f64::from_bits(first_bits) },
            last: Sample { at: last, value: last_value },
            count,
            resets,
            changes,
            dropped,
            sum: Sum { rounded, error },
            min,
            max,
            squares,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::table::{decode, encode};
    use super::*;
    use crate::model::Labels;

    fn digest(values: &[u64]) -> Digest {
        let samples: Vec<Sample> = (0..)
            .zip(values)
            .map(|(at, bits)| Sample {
                at: Timestamp::from_millis(at * 15_000),
                value: f64::from_bits(*bits),
            })
            .collect();
        Digest::of_all(&samples)
    }

    /// Every field by its bits, as NaN is not equal to itself.
    fn bits(digest: &Digest) -> Vec<u64> {
        let Digest { first, last, count, resets, changes, dropped, sum, min, max, squares } =
            *digest;
        let times = [first.at, last.at].map(|at| at.millis() as u64);
        let numbers = [count, resets, changes].map(u64::from);
        let values = [first.value, last.value, dropped, sum.rounded, sum.error, min, max, squares];
        times.into_iter().chain(numbers).chain(values.map(f64::to_bits)).collect()
    }

    #[test]
    fn a_run_of_one_value_costs_some_twenty_bytes() {
        let mut bytes = Vec::new();
        digest(&[7.0_f64.to_bits(); 120]).put(&mut bytes, Timestamp::default());
        assert!(bytes.len() <= 24, "{bytes:?}");
    }

    #[test]
    fn nothing_but_a_run_is_read() {
        let good = digest(&[7.0_f64.to_bits(); 3]);
        for bad in [
            Digest { count: 0, ..good },
            Digest { count: 1, ..good },
            Digest { first: good.last, last: good.first, ..good },
        ] {
            let mut bytes = Vec::new();
            bad.put(&mut bytes, Timestamp::default());
            assert!(Digest::read(&mut Bytes::new(&bytes), Timestamp::default()).is_none());
        }
    }

    proptest! {
        #[test]
        fn digests_come_back_bit_for_bit(
            runs in prop::collection::vec(prop::collection::vec(any::<u64>(), 1..9), 1..9),
        ) {
            let digests: Vec<Digest> =
                runs.iter().map(|run| digest(run)).filter(|digest| digest.count > 0).collect();
            prop_assume!(!digests.is_empty());
            let labels = Labels::from_pairs([("__name__", "x")]);
            let (file, _) = encode(&[(labels, digests.clone())]).unwrap();
            let content = decode::<Digest>(&file, Timestamp::MIN).unwrap();
            let read: Vec<_> = content.series[0].1.iter().map(bits).collect();
            prop_assert_eq!(read, digests.iter().map(bits).collect::<Vec<_>>());
        }
    }
}
