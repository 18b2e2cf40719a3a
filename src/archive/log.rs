//! A log's records: what one turn of the driver stored.
//!
//! A record says what follows from the log's earlier ones: a series is described when it first
//! appears and has a number from then on, a value is told by the bits that differ from the series'
//! last one, a time by its distance to the last. In a scrape the series come in the same order each
//! time, so that an unchanged value costs two bytes. A reader therefore knows all that a writer needs
//! to go on with the same log.
//!
//! ```text
//! record = number of new series, { labels: number, { name, value } }
//!          { time since the last, number of samples, { series, value } }  until its end
//! series = number, less the one expected: the successor of the one before (signed)
//! value  = XOR with the series' last value, its bits reversed: what differs is at the top
//! ```

use std::collections::HashMap;

use super::bytes::{Bytes, put_bytes, put_number, put_signed, put_time};
use crate::model::{Labels, Sample, Timestamp};
use crate::series::Written;

/// What all records so far have said.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    series: Vec<Last>,
    at: Timestamp,
}

#[derive(Clone, Debug)]
struct Last {
    labels: Labels,
    bits: u64,
}

impl State {
    /// The series by their numbers.
    pub(super) fn labels(&self) -> impl Iterator<Item = &Labels> {
        self.series.iter().map(|last| &last.labels)
    }

    /// Reads a record and passes on its samples with their series' numbers. `None` where the bytes
    /// are no record; the state is of no use then.
    pub(super) fn read(
        &mut self,
        record: &[u8],
        mut take: impl FnMut(usize, Sample),
    ) -> Option<()> {
        let mut bytes = Bytes::new(record);
        for _ in 0..bytes.count()? {
            let labels = read_labels(&mut bytes)?;
            self.series.push(Last { labels, bits: 0 });
        }
        while !bytes.is_empty() {
            self.at = bytes.time(self.at)?;
            let mut expected = 0_i64;
            for _ in 0..bytes.count()? {
                let number = expected.checked_add(bytes.signed()?)?;
                let last = self.series.get_mut(usize::try_from(number).ok()?)?;
                last.bits ^= bytes.number()?.reverse_bits();
                take(number as usize, Sample { at: self.at, value: f64::from_bits(last.bits) });
                expected = number + 1;
            }
        }
        Some(())
    }

    fn write_samples(&mut self, record: &mut Vec<u8>, samples: &[(usize, Sample)]) {
        for batch in samples.chunk_by(|(_, left), (_, right)| left.at == right.at) {
            let at = batch[0].1.at;
            put_time(record, at, self.at);
            self.at = at;
            put_number(record, batch.len() as u64);
            let mut expected = 0;
            for (number, sample) in batch {
                put_signed(record, *number as i64 - expected);
                expected = *number as i64 + 1;
                let bits = sample.value.to_bits();
                let last = &mut self.series[*number].bits;
                put_number(record, (bits ^ *last).reverse_bits());
                *last = bits;
            }
        }
    }
}

/// Writes the records of one log.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    state: State,
    by_labels: HashMap<Labels, usize>,
    /// By the store's own numbers, which are quicker to look up.
    by_series: HashMap<u64, usize>,
}

impl Encoder {
    /// Goes on with a log that was read.
    pub(super) fn resume(state: State) -> Self {
        let by_labels = state.labels().cloned().zip(0..).collect();
        Self { state, by_labels, by_series: HashMap::new() }
    }

    /// The next record.
    pub(super) fn record(&mut self, written: &[Written]) -> Vec<u8> {
        let mut new = Vec::new();
        let before = self.state.series.len();
        let samples: Vec<_> = written
            .iter()
            .map(|written| (self.number(written, &mut new), written.sample))
            .collect();
        let mut record = Vec::with_capacity(new.len() + 4 * samples.len() + 16);
        put_number(&mut record, (self.state.series.len() - before) as u64);
        record.append(&mut new);
        self.state.write_samples(&mut record, &samples);
        record
    }

    fn number(&mut self, written: &Written, new: &mut Vec<u8>) -> usize {
        if let Some(number) = self.by_series.get(&written.series) {
            return *number;
        }
        let number = match self.by_labels.get(&written.labels) {
            Some(number) => *number,
            None => {
                put_labels(new, &written.labels);
                let number = self.state.series.len();
                self.state.series.push(Last { labels: written.labels.clone(), bits: 0 });
                self.by_labels.insert(written.labels.clone(), number);
                number
            }
        };
        self.by_series.insert(written.series, number);
        number
    }
}

fn put_labels(bytes: &mut Vec<u8>, labels: &Labels) {
    put_number(bytes, labels.len() as u64);
    for label in labels {
        put_bytes(bytes, label.name.as_bytes());
        put_bytes(bytes, label.value.as_bytes());
    }
}

fn read_labels(bytes: &mut Bytes<'_>) -> Option<Labels> {
    let count = bytes.count()?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        pairs.push((bytes.text()?, bytes.text()?));
    }
    Some(Labels::from_pairs(pairs))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(series: u64, name: &str, at: i64, value: f64) -> Written {
        let labels = Labels::from_pairs([("__name__", name), ("job", "x")]);
        let sample = Sample { at: Timestamp::from_millis(at), value };
        Written { series, labels, sample }
    }

    fn read(state: &mut State, record: &[u8]) -> Option<Vec<(Labels, i64, u64)>> {
        let mut samples = Vec::new();
        state.read(record, |number, sample| {
            samples.push((number, sample.at.millis(), sample.value.to_bits()));
        })?;
        let labels: Vec<Labels> = state.labels().cloned().collect();
        Some(samples.into_iter().map(|(n, at, bits)| (labels[n].clone(), at, bits)).collect())
    }

    fn plain(batch: &[Written]) -> Vec<(Labels, i64, u64)> {
        let one = |w: &Written| (w.labels.clone(), w.sample.at.millis(), w.sample.value.to_bits());
        batch.iter().map(one).collect()
    }

    #[test]
    fn a_record_has_the_bytes_that_its_table_says() {
        let mut encoder = Encoder::default();
        let labels = Labels::from_pairs([("a", "b")]);
        let sample = |at, value| Sample { at: Timestamp::from_millis(at), value };
        let one =
            |at, value| Written { series: 7, labels: labels.clone(), sample: sample(at, value) };
        // One new series with one label; 1 ms later than 0 (folded: 2), one sample, of the expected
        // series; 2.0 is 0x4000…, its second bit from the top.
        assert_eq!(encoder.record(&[one(1, 2.0)]), [1, 1, 1, b'a', 1, b'b', 2, 1, 0, 2]);
        assert_eq!(encoder.record(&[one(2, 2.0)]), [0, 2, 1, 0, 0]);
        // The same series twice: the second time one less than expected (folded: 1).
        assert_eq!(encoder.record(&[one(3, 2.0), one(3, 2.0)]), [0, 2, 2, 0, 0, 1, 0]);
    }

    #[test]
    fn a_log_that_was_read_is_gone_on_with() {
        let turns: Vec<Vec<Written>> = (0..4)
            .map(|turn| {
                // Numbers of the store change with a restart.
                let series = |number| number + 100 * (turn as u64 / 2);
                vec![
                    written(series(0), "a", turn * 1000, turn as f64),
                    written(series(1), "b", turn * 1000, 0.1 * turn as f64),
                    written(series(turn as u64 + 2), &format!("new{turn}"), turn * 1000 - 7, 1.0),
                ]
            })
            .collect();
        let mut encoder = Encoder::default();
        let mut state = State::default();
        for turn in &turns[..2] {
            assert_eq!(read(&mut state, &encoder.record(turn)), Some(plain(turn)));
        }
        let mut resumed = Encoder::resume(state.clone());
        for turn in &turns[2..] {
            let record = resumed.record(turn);
            assert_eq!(record, encoder.record(turn));
            assert_eq!(read(&mut state, &record), Some(plain(turn)));
        }
        assert_eq!(state.labels().count(), 2 + 4);
    }

    #[test]
    fn an_unchanged_value_costs_two_bytes_and_a_step_at_most_five() {
        let mut encoder = Encoder::default();
        let turn = |at: i64, value: f64| -> Vec<Written> {
            (0..100).map(|n| written(n, &format!("s{n}"), at, value + n as f64)).collect()
        };
        encoder.record(&turn(0, 1000.0));
        assert!(encoder.record(&turn(1000, 1000.0)).len() <= 200 + 5);
        assert!(encoder.record(&turn(2000, 1001.0)).len() <= 500 + 5);
    }

    proptest! {
        #[test]
        fn samples_come_back_bit_for_bit(
            turns in prop::collection::vec(
                prop::collection::vec((0_u64..9, any::<i64>(), any::<u64>()), 1..9), 1..9),
        ) {
            let (mut encoder, mut state) = (Encoder::default(), State::default());
            for turn in turns {
                let turn: Vec<_> = turn
                    .into_iter()
                    .map(|(n, at, bits)| written(n, &n.to_string(), at, f64::from_bits(bits)))
                    .collect();
                prop_assert_eq!(read(&mut state, &encoder.record(&turn)), Some(plain(&turn)));
            }
        }

        #[test]
        fn any_bytes_are_read_without_harm(record in prop::collection::vec(any::<u8>(), 0..200)) {
            let _may_be_none = read(&mut State::default(), &record);
        }
    }
}
