//! A short run of one series' samples, compressed.
//!
//! After Facebook's Gorilla (Pelkonen et al., VLDB 2015, section 4.1): the first value as it is,
//! then each sample as a code for its time and a code for its value, without gaps. The first
//! timestamp and the number of samples stand beside the bytes, not in them: whoever stores a chunk
//! elsewhere stores `first`, `count` and the bytes.

use super::bits::{BitReader, BitWriter};
use super::times::Times;
use super::values::Values;
use crate::model::{Sample, Timestamp};

/// Between two samples at which reading may begin.
const MARKED: u16 = 32;

/// How many samples a chunk takes: Prometheus's number. More would compress little better (the
/// first sample costs 8 bytes of about 200) and cost every short query more decoding.
const SAMPLES_MAX: u16 = 120;

/// A chunk that takes no more samples, and what of it is stored elsewhere. It holds one at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    first: i64,
    last: i64,
    count: u16,
    bytes: Box<[u8]>,
}

impl Chunk {
    /// A chunk that was stored elsewhere; `None` where it can't be one. Whether the bytes hold what
    /// `last` and `count` say shows only when they are read, and then the samples end early: whoever
    /// stores chunks guards them with a checksum.
    pub fn from_parts(
        first: Timestamp,
        last: Timestamp,
        count: u16,
        bytes: Box<[u8]>,
    ) -> Option<Self> {
        let is_whole = (1..=SAMPLES_MAX).contains(&count) && bytes.len() >= size_of::<u64>();
        let (first, last) = (first.millis(), last.millis());
        (is_whole && first <= last).then_some(Self { first, last, count, bytes })
    }

    /// When the first sample is.
    pub fn first(&self) -> Timestamp {
        Timestamp::from_millis(self.first)
    }

    /// When the last sample is.
    pub fn last(&self) -> Timestamp {
        Timestamp::from_millis(self.last)
    }

    /// How many samples there are.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The samples after the first timestamp, compressed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The samples in time order.
    pub fn samples(&self) -> impl Iterator<Item = Sample> {
        self.view().samples()
    }

    /// The chunk's samples, still compressed.
    pub(super) fn view(&self) -> View<'_> {
        self.marked_view(&[])
    }

    /// The same, with the marks that it had while it was open.
    pub(super) fn marked_view<'a>(&'a self, marks: &'a [Mark]) -> View<'a> {
        let Self { first, last, count, bytes } = self;
        View { first: *first, last: *last, count: *count, bytes, marks }
    }
}

/// A chunk that still takes samples. It holds one at least.
#[derive(Clone, Debug)]
pub(super) struct OpenChunk {
    first: i64,
    count: u16,
    times: Times,
    values: Values,
    bits: BitWriter,
    marks: Vec<Mark>,
}

/// A place inside a chunk from which samples can be read without those before it.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    times: Times,
    values: Values,
    /// How many bits stand before it.
    position: u32,
    /// How many samples do.
    count: u16,
}

impl OpenChunk {
    /// Starts a chunk with its first sample.
    pub(super) fn new(sample: Sample) -> Self {
        let (first, value) = (sample.at.millis(), sample.value.to_bits());
        let mut bits = BitWriter::default();
        bits.write(value, 64);
        let (times, values) = (Times::new(first), Values::new(value));
        Self { first, count: 1, times, values, bits, marks: Vec::new() }
    }

    /// Appends a sample; false, and nothing done, where the chunk is full.
    pub(super) fn push(&mut self, sample: Sample) -> bool {
        let fits = self.count < SAMPLES_MAX;
        if fits {
            if self.count.is_multiple_of(MARKED) {
                self.mark();
            }
            self.times.write(&mut self.bits, sample.at.millis());
            self.values.write(&mut self.bits, sample.value.to_bits());
            self.count += 1;
        }
        fits
    }

    fn mark(&mut self) {
        let (times, values) = (self.times.clone(), self.values.clone());
        // Seldom more than three, of which each would cost as much as a dozen samples.
        self.marks.reserve_exact(1);
        let position = self.bits.position();
        self.marks.push(Mark { times, values, position, count: self.count });
    }

    /// The last sample.
    pub(super) fn last(&self) -> Sample {
        Sample {
            at: Timestamp::from_millis(self.times.last()),
            value: f64::from_bits(self.values.last()),
        }
    }

    /// The chunk's samples, still compressed.
    pub(super) fn view(&self) -> View<'_> {
        let (first, last) = (self.first, self.times.last());
        View { first, last, count: self.count, bytes: self.bits.bytes(), marks: &self.marks }
    }

    /// Closes the chunk; its marks may be kept elsewhere.
    pub(super) fn seal(self) -> (Chunk, Vec<Mark>) {
        let (first, last) = (self.first, self.times.last());
        let chunk = Chunk { first, last, count: self.count, bytes: self.bits.into_bytes() };
        (chunk, self.marks)
    }
}

/// The compressed samples of a chunk, open or full.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    first: i64,
    last: i64,
    count: u16,
    bytes: &'a [u8],
    marks: &'a [Mark],
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
    pub(super) fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// How many bytes they take, with their marks.
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(self.marks)
    }

    /// The first of them.
    pub(super) fn first_byte(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// Adds the samples with `after < at <= until` to `samples`. Most of a chunk that a short window
    /// looks into lies before the window: it is skipped as far as a mark tells, and stepped over.
    pub(super) fn read(&self, after: Timestamp, until: Timestamp, samples: &mut Vec<Sample>) {
        for sample in self.samples_from(after) {
            if sample.at > until {
                return;
            }
            if sample.at > after {
                samples.push(sample);
            }
        }
    }

    /// The samples after a time, and maybe some before it.
    fn samples_from(&self, after: Timestamp) -> Samples<'a> {
        let mark = self.marks.iter().rev().find(|mark| mark.times.last() <= after.millis());
        let Some(mark) = mark else { return self.samples() };
        Samples {
            bits: BitReader::at(self.bytes, mark.position as usize),
            first: self.first,
            left: self.count - mark.count,
            state: Some((mark.times.clone(), mark.values.clone())),
        }
    }

    /// The samples in time order.
    pub(super) fn samples(&self) -> Samples<'a> {
        Samples {
            bits: BitReader::new(self.bytes),
            first: self.first,
            left: self.count,
            state: None,
        }
    }
}

/// Decodes a chunk, sample by sample. Ends early where the bytes do.
pub(super) struct Samples<'a> {
    bits: BitReader<'a>,
    first: i64,
    left: u16,
    /// What the next sample is told from; `None` before the first one.
    state: Option<(Times, Values)>,
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    #[inline]
    fn next(&mut self) -> Option<Sample> {
        self.left = self.left.checked_sub(1)?;
        let (at, value) = match &mut self.state {
            Some((times, values)) => step(times, values, &mut self.bits)?,
            None => {
                let value = self.bits.read(64)?;
                self.state = Some((Times::new(self.first), Values::new(value)));
                (self.first, value)
            }
        };
        Some(Sample { at: Timestamp::from_millis(at), value: f64::from_bits(value) })
    }
}

/// The next time and value. At a steady cadence a sample's codes mostly fit in one look ahead.
#[inline]
fn step(times: &mut Times, values: &mut Values, bits: &mut BitReader<'_>) -> Option<(i64, u64)> {
    let ahead = bits.ahead();
    if ahead >> 63 == 0
        && let Some((value, width)) = values.step(ahead << 1)
    {
        return bits.skip(1 + width).then(|| (times.step(), value));
    }
    Some((times.read(bits)?, values.read(bits)?))
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
                chunks.extend(open.replace(OpenChunk::new(sample)).map(|open| open.seal().0));
            }
        }
        let tail = open.iter().flat_map(|chunk| chunk.view().samples());
        bits_of(chunks.iter().flat_map(|chunk| chunk.view().samples()).chain(tail))
    }

    #[test]
    fn a_chunk_has_the_bytes_that_its_table_says() {
        // 2.0 is 0x4000…; 1.0 is 0x3ff0…; their XOR 0x7ff0… has 1 zero before and a width of 11.
        let mut chunk = OpenChunk::new(Sample { at: Timestamp::from_millis(7), value: 2.0 });
        assert_eq!(chunk.view().bytes, [0x40, 0, 0, 0, 0, 0, 0, 0]);
        // Distance 0 → 1000 folds to 2000 = 0b0111_1101_0000: `110` and 12 bits; value: `0`.
        assert!(chunk.push(Sample { at: Timestamp::from_millis(1007), value: 2.0 }));
        assert_eq!(chunk.view().bytes[8..], [0b1100_1111, 0b1010_0000]);
        // Same distance: `0`; value: `111`, 00001, 001010, then eleven ones.
        assert!(chunk.push(Sample { at: Timestamp::from_millis(2007), value: 1.0 }));
        // Same distance: `0`; up by three: `100`, 00010.
        assert!(chunk.push(Sample { at: Timestamp::from_millis(3007), value: 4.0 }));
        assert_eq!(
            chunk.view().bytes[8..],
            [
                0b1100_1111,
                0b1010_0000,
                0b0111_0000,
                0b1001_0101,
                0b1111_1111,
                0b1101_0000,
                0b0100_0000
            ]
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
        assert_eq!(chunk.view().bytes.len(), 8 + (25_usize + 118 * 2).div_ceil(8));
        assert!(!chunk.push(Sample { at: Timestamp::from_millis(i64::MAX), value: 0.5 }));
        assert_eq!(chunk.seal().0.view().samples().count(), 120);
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
            (0_i64..100).prop_map(|count| (count as f64).to_bits()),
            (0_i64..4000).prop_map(|count| (count as f64 / 2.0).to_bits()),
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
        fn what_is_read_from_a_mark_is_what_is_read_from_the_start(
            start in -1_000_000_000_i64..1_000_000_000,
            steps in prop::collection::vec((1_i64..100_000, value_bits()), 1..120),
            after in 0_usize..120,
            until in 0_usize..120,
        ) {
            let mut at = start;
            let mut times = Vec::new();
            let mut open: Option<OpenChunk> = None;
            for (distance, bits) in steps {
                at += distance;
                times.push(Timestamp::from_millis(at));
                let sample = Sample { at: Timestamp::from_millis(at), value: f64::from_bits(bits) };
                match &mut open {
                    Some(open) => prop_assert!(open.push(sample)),
                    None => open = Some(OpenChunk::new(sample)),
                }
            }
            let time = |position: usize| times[position.min(times.len() - 1)];
            let (after, until) = (time(after), time(until));
            let open = open.unwrap();
            let mut found = Vec::new();
            open.view().read(after, until, &mut found);
            let inside = |sample: &Sample| after < sample.at && sample.at <= until;
            prop_assert_eq!(bits_of(found), bits_of(open.view().samples().filter(inside)));
            let (chunk, marks) = open.clone().seal();
            let mut found = Vec::new();
            chunk.marked_view(&marks).read(after, until, &mut found);
            prop_assert_eq!(bits_of(found), bits_of(open.view().samples().filter(inside)));
        }

        #[test]
        fn any_bytes_decode_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            first in any::<i64>(),
            count in any::<u16>(),
        ) {
            let view = View { first, last: first, count, bytes: &bytes, marks: &[] };
            prop_assert!(view.samples().count() <= usize::from(count));
        }
    }
}
