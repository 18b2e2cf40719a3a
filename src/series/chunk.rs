//! A short run of one series' samples, compressed.
//!
//! After Facebook's Gorilla (Pelkonen et al., VLDB 2015, section 4.1), with milliseconds and with
//! codes of our own widths. A timestamp is the change of the distance to the one before: nothing
//! changes at a steady cadence, which is one bit. A value is the XOR with the one before:
//!
//! | timestamp | bits | | value | bits |
//! | --- | --- | --- | --- | --- |
//! | same distance | `0` | | same bits | `0` |
//! | within 64 ms | `10` + 7 | | within the last window | `10` + the window |
//! | within 2 s | `110` + 12 | | anything else | `11` + 5 (zeros before) |
//! | within 524 s | `1110` + 20 | | | + 6 (window's width less one) |
//! | any | `1111` + 64 | | | + the window |
//!
//! All arithmetic wraps, which is exact for any two timestamps; bits of values are never
//! interpreted, so that every NaN (the stale marker is one) and `-0.0` come back as they were.
//! The first timestamp and the number of samples stand beside the bytes, not in them: whoever
//! stores a chunk elsewhere stores `first`, `count` and the bytes.

use super::bits::{BitReader, BitWriter};
use crate::model::{Sample, Timestamp};

/// How many samples a chunk takes: Prometheus's number. More would compress little better (the
/// first sample costs 8 bytes of about 200) and cost every short query more decoding.
const SAMPLES_MAX: u16 = 120;

/// The widths of a timestamp's codes, after as many ones as stand before it.
const DISTANCE_WIDTHS: [u8; 5] = [0, 7, 12, 20, 64];

/// A full chunk.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    first: i64,
    last: i64,
    count: u16,
    bytes: Box<[u8]>,
}

impl Chunk {
    /// The chunk's samples, still compressed.
    pub(super) fn view(&self) -> View<'_> {
        View { first: self.first, last: self.last, count: self.count, bytes: &self.bytes }
    }
}

/// A chunk that still takes samples. It holds one at least.
#[derive(Clone, Debug)]
pub(super) struct OpenChunk {
    first: i64,
    last: i64,
    distance: i64,
    value: u64,
    window: Window,
    count: u16,
    bits: BitWriter,
}

impl OpenChunk {
    /// Starts a chunk with its first sample.
    pub(super) fn new(sample: Sample) -> Self {
        let (at, value) = (sample.at.millis(), sample.value.to_bits());
        let mut bits = BitWriter::default();
        bits.write(value, 64);
        Self { first: at, last: at, distance: 0, value, window: Window::WHOLE, count: 1, bits }
    }

    /// Appends a sample; false, and nothing done, where the chunk is full.
    pub(super) fn push(&mut self, sample: Sample) -> bool {
        if self.count >= SAMPLES_MAX {
            return false;
        }
        let (at, value) = (sample.at.millis(), sample.value.to_bits());
        let distance = at.wrapping_sub(self.last);
        write_change(&mut self.bits, distance.wrapping_sub(self.distance));
        self.window.write(&mut self.bits, value ^ self.value);
        (self.last, self.distance, self.value) = (at, distance, value);
        self.count += 1;
        true
    }

    /// The last sample.
    pub(super) fn last(&self) -> Sample {
        Sample { at: Timestamp::from_millis(self.last), value: f64::from_bits(self.value) }
    }

    /// The chunk's samples, still compressed.
    pub(super) fn view(&self) -> View<'_> {
        View { first: self.first, last: self.last, count: self.count, bytes: self.bits.bytes() }
    }

    /// Closes the chunk.
    pub(super) fn seal(self) -> Chunk {
        Chunk {
            first: self.first,
            last: self.last,
            count: self.count,
            bytes: self.bits.into_bytes(),
        }
    }
}

/// The compressed samples of a chunk, open or full.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    first: i64,
    last: i64,
    count: u16,
    bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// When the first sample is.
    pub(super) fn first(&self) -> Timestamp {
        Timestamp::from_millis(self.first)
    }

    /// When the last sample is.
    pub(super) fn last(&self) -> Timestamp {
        Timestamp::from_millis(self.last)
    }

    /// How many samples there are.
    pub(super) fn count(&self) -> u64 {
        u64::from(self.count)
    }

    /// How many bytes they take.
    pub(super) fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The samples in time order.
    pub(super) fn samples(&self) -> Samples<'a> {
        Samples {
            bits: BitReader::new(self.bytes),
            at: self.first,
            distance: 0,
            value: 0,
            window: Window::WHOLE,
            position: 0,
            count: self.count,
        }
    }
}

/// Decodes a chunk, sample by sample. Ends early where the bytes do.
pub(super) struct Samples<'a> {
    bits: BitReader<'a>,
    at: i64,
    distance: i64,
    value: u64,
    window: Window,
    position: u16,
    count: u16,
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        if self.position >= self.count {
            return None;
        }
        if self.position == 0 {
            self.value = self.bits.read(64)?;
        } else {
            self.distance = self.distance.wrapping_add(read_change(&mut self.bits)?);
            self.at = self.at.wrapping_add(self.distance);
            self.value ^= self.window.read(&mut self.bits)?;
        }
        self.position += 1;
        Some(Sample { at: Timestamp::from_millis(self.at), value: f64::from_bits(self.value) })
    }
}

fn write_change(bits: &mut BitWriter, change: i64) {
    let folded = fold(change);
    let ones = DISTANCE_WIDTHS
        .iter()
        .position(|width| u64::BITS - folded.leading_zeros() <= u32::from(*width))
        .unwrap_or(DISTANCE_WIDTHS.len() - 1);
    for _ in 0..ones {
        bits.write(1, 1);
    }
    if ones < DISTANCE_WIDTHS.len() - 1 {
        bits.write(0, 1);
    }
    bits.write(folded, DISTANCE_WIDTHS[ones]);
}

fn read_change(bits: &mut BitReader<'_>) -> Option<i64> {
    let mut ones = 0;
    while ones < DISTANCE_WIDTHS.len() - 1 && bits.read(1)? == 1 {
        ones += 1;
    }
    bits.read(DISTANCE_WIDTHS[ones]).map(unfold)
}

/// Maps 0, -1, 1, -2, … to 0, 1, 2, 3, …, so that small changes of either sign are small numbers.
fn fold(change: i64) -> u64 {
    ((change << 1) ^ (change >> 63)) as u64
}

fn unfold(folded: u64) -> i64 {
    (folded >> 1) as i64 ^ -((folded & 1) as i64)
}

/// Which bits of a value changed last: `width` bits after `leading` zeros.
#[derive(Clone, Copy, Debug)]
struct Window {
    leading: u8,
    width: u8,
}

impl Window {
    const WHOLE: Self = Self { leading: 0, width: 64 };
    /// What it costs to say where a new window lies: 5 bits for the zeros, 6 for the width.
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
        if change == 0 {
            bits.write(0, 1);
            return;
        }
        let tight = Self::around(change);
        // A wide window is left as soon as that pays: one odd value should not make all later
        // ones of the chunk long.
        if self.holds(tight) && self.width <= tight.width + Self::PLACE_BITS {
            bits.write(0b10, 2);
        } else {
            *self = tight;
            bits.write(0b11, 2);
            bits.write(u64::from(self.leading), 5);
            bits.write(u64::from(self.width - 1), 6);
        }
        bits.write(change >> self.trailing(), self.width);
    }

    fn read(&mut self, bits: &mut BitReader<'_>) -> Option<u64> {
        if bits.read(1)? == 0 {
            return Some(0);
        }
        if bits.read(1)? == 1 {
            let leading = bits.read(5)? as u8;
            // No writer makes a window that ends past the last bit; bytes from elsewhere may.
            let width = (bits.read(6)? as u8 + 1).min(64 - leading);
            *self = Self { leading, width };
        }
        Some(bits.read(self.width)? << self.trailing())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::STALE_BITS;

    fn bits_of(samples: impl IntoIterator<Item = Sample>) -> Vec<(i64, u64)> {
        samples.into_iter().map(|sample| (sample.at.millis(), sample.value.to_bits())).collect()
    }

    /// Puts the points into as many chunks as they need and reads them back.
    fn roundtrip(points: &[(i64, u64)]) -> Vec<(i64, u64)> {
        let mut chunks = Vec::new();
        let mut open: Option<OpenChunk> = None;
        for (at, value) in points {
            let sample = Sample { at: Timestamp::from_millis(*at), value: f64::from_bits(*value) };
            if !open.as_mut().is_some_and(|chunk| chunk.push(sample)) {
                chunks.extend(open.replace(OpenChunk::new(sample)).map(OpenChunk::seal));
            }
        }
        let tail = open.iter().flat_map(|chunk| chunk.view().samples());
        bits_of(chunks.iter().flat_map(|chunk| chunk.view().samples()).chain(tail))
    }

    #[test]
    fn a_chunk_has_the_bytes_that_its_table_says() {
        // 1.0 is 0x3ff0…; 2.0 is 0x4000…; their XOR 0x7ff0… has 1 zero before and a width of 11.
        let mut chunk = OpenChunk::new(Sample { at: Timestamp::from_millis(7), value: 1.0 });
        assert_eq!(chunk.view().bytes, [0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
        // Distance 0 → 1000 folds to 2000 = 0b0111_1101_0000: `110` and 12 bits; value: `0`.
        assert!(chunk.push(Sample { at: Timestamp::from_millis(1007), value: 1.0 }));
        assert_eq!(chunk.view().bytes[8..], [0b1100_1111, 0b1010_0000]);
        // Same distance: `0`; value: `11`, 00001, 001010, then eleven ones.
        assert!(chunk.push(Sample { at: Timestamp::from_millis(2007), value: 2.0 }));
        assert_eq!(
            chunk.view().bytes[8..],
            [0b1100_1111, 0b1010_0000, 0b0110_0001, 0b0010_1011, 0b1111_1111, 0b1000_0000]
        );
    }

    #[test]
    fn a_steady_series_costs_two_bits_a_sample() {
        let mut chunk = OpenChunk::new(Sample { at: Timestamp::from_millis(0), value: 0.5 });
        let mut at = 0;
        while chunk.push(Sample { at: Timestamp::from_millis(at + 15_000), value: 0.5 }) {
            at += 15_000;
        }
        // 8 bytes, then 4 + 20 + 1 bits for the first distance, then 118 times 2 bits.
        assert_eq!(chunk.view().count(), 120);
        assert_eq!(chunk.view().size_bytes(), 8 + (25_u64 + 118 * 2).div_ceil(8));
        assert!(!chunk.push(Sample { at: Timestamp::from_millis(i64::MAX), value: 0.5 }));
        assert_eq!(chunk.seal().view().samples().count(), 120);
    }

    #[test]
    fn every_bit_of_a_value_and_any_timestamp_come_back() {
        let values = [
            STALE_BITS,
            f64::NAN.to_bits(),
            0xfff8_dead_beef_0001,
            f64::INFINITY.to_bits(),
            f64::NEG_INFINITY.to_bits(),
            (-0.0_f64).to_bits(),
            0,
            u64::MAX,
            f64::MIN_POSITIVE.to_bits(),
            1,
        ];
        let times =
            [i64::MIN, i64::MIN + 1, -1, 0, 1, 65, 4_097, 2_000_000, i64::MAX - 1, i64::MAX];
        let points: Vec<_> = times.into_iter().zip(values).collect();
        assert_eq!(roundtrip(&points), points);
    }

    #[test]
    fn bytes_that_end_early_end_the_samples() {
        let mut chunk = OpenChunk::new(Sample { at: Timestamp::from_millis(0), value: 1.0 });
        for at in 1..10 {
            chunk.push(Sample { at: Timestamp::from_millis(at * at), value: at as f64 });
        }
        let whole = bits_of(chunk.view().samples());
        for kept in 0..chunk.view().bytes.len() {
            let view = View { bytes: &chunk.view().bytes[..kept], ..chunk.view() };
            let read = bits_of(view.samples());
            assert!(read.len() < 10);
            assert_eq!(read[..], whole[..read.len()]);
        }
    }

    fn value_bits() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            any::<f64>().prop_map(f64::to_bits),
            (0_i64..1_000_000).prop_map(|count| (count as f64).to_bits()),
            Just(STALE_BITS),
            // NaNs with payloads.
            (0_u64..1 << 52).prop_map(|payload| 0x7ff0_0000_0000_0000 | payload),
            Just((-0.0_f64).to_bits()),
        ]
    }

    fn distance() -> impl Strategy<Value = i64> {
        prop_oneof![
            3 => Just(15_000_i64),
            3 => 14_900_i64..15_100,
            2 => 1_i64..10_000_000,
            1 => 1_i64..=i64::MAX,
        ]
    }

    proptest! {
        #[test]
        fn samples_come_back_bit_for_bit(
            start in any::<i64>(),
            steps in prop::collection::vec((distance(), value_bits()), 0..260),
        ) {
            let mut at = start;
            let points: Vec<_> = steps
                .into_iter()
                .map(|(distance, value)| {
                    at = at.saturating_add(distance);
                    (at, value)
                })
                .collect();
            prop_assert_eq!(roundtrip(&points), points);
        }

        #[test]
        fn any_bytes_decode_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            first in any::<i64>(),
            count in any::<u16>(),
        ) {
            let view = View { first, last: first, count, bytes: &bytes };
            prop_assert!(view.samples().count() <= usize::from(count));
        }
    }
}
