//! A file of chunks: what one log held, as the store holds it.
//!
//! ```text
//! frame  = first time, last time since that,
//!          texts:  number, { text }
//!          series: number, { labels: number, { name, value as numbers of texts }
//!                            chunks: number, { first time since the file's, last since the chunk's
//!                                              first, samples, bytes } }
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use super::bytes::{Bytes, put_bytes, put_number, put_time};
use super::frame::{HEADER_LENGTH, Header, Kind, frame_at, header, put_frame, read_header};
use crate::model::{Label, Labels, Timestamp};
use crate::series::Chunk;

/// Series and their chunks.
pub(super) type Packed = Vec<(Labels, Vec<Chunk>)>;

/// What a file holds.
#[derive(Debug)]
pub(super) struct Content {
    /// When its last sample is.
    pub(super) last: Timestamp,
    /// Its series; none of them without chunks.
    pub(super) series: Packed,
}

/// The file, and when its last sample is. `None` where there is nothing to write.
pub(super) fn encode(series: &[(Labels, Vec<Chunk>)]) -> Option<(Vec<u8>, Timestamp)> {
    let chunks = || series.iter().flat_map(|(_, chunks)| chunks);
    let (start, last) = (chunks().map(Chunk::first).min()?, chunks().map(Chunk::last).max()?);
    let mut texts: HashMap<&str, u64> = HashMap::new();
    let mut in_order = Vec::new();
    let mut body = Vec::new();
    put_number(&mut body, series.len() as u64);
    for (labels, chunks) in series {
        put_number(&mut body, labels.len() as u64);
        for text in labels.iter().flat_map(|label| [&*label.name, &*label.value]) {
            let next = texts.len() as u64;
            let number = *texts.entry(text).or_insert_with(|| {
                in_order.push(text);
                next
            });
            put_number(&mut body, number);
        }
        put_number(&mut body, chunks.len() as u64);
        for chunk in chunks {
            put_time(&mut body, chunk.first(), start);
            put_time(&mut body, chunk.last(), chunk.first());
            put_number(&mut body, u64::from(chunk.count()));
            put_bytes(&mut body, chunk.bytes());
        }
    }
    let mut payload = Vec::with_capacity(body.len() + 32 * in_order.len());
    put_time(&mut payload, start, Timestamp::default());
    put_time(&mut payload, last, start);
    put_number(&mut payload, in_order.len() as u64);
    in_order.iter().for_each(|text| put_bytes(&mut payload, text.as_bytes()));
    payload.append(&mut body);
    let mut file = header(Kind::Chunks).to_vec();
    put_frame(&mut file, &payload);
    Some((file, last))
}

/// Reads a file; `None` where it is damaged. Where all of it is older than `kept_from`, the series
/// are left out.
pub(super) fn decode(file: &[u8], kept_from: Timestamp) -> Option<Content> {
    if read_header(Kind::Chunks, file) != Header::Known {
        return None;
    }
    let (payload, end) = frame_at(file, HEADER_LENGTH)?;
    if end != file.len() {
        return None;
    }
    let mut bytes = Bytes::new(payload);
    let start = bytes.time(Timestamp::default())?;
    let last = bytes.time(start)?;
    if last < kept_from {
        return Some(Content { last, series: Vec::new() });
    }
    let mut texts: Vec<Arc<str>> = Vec::new();
    for _ in 0..bytes.count()? {
        texts.push(Arc::from(bytes.text()?));
    }
    let mut series = Vec::new();
    for _ in 0..bytes.count()? {
        let labels = labels(&mut bytes, &texts)?;
        let mut chunks = Vec::new();
        for _ in 0..bytes.count()? {
            chunks.push(chunk(&mut bytes, start)?);
        }
        series.push((labels, chunks));
    }
    bytes.is_empty().then_some(Content { last, series })
}

fn labels(bytes: &mut Bytes<'_>, texts: &[Arc<str>]) -> Option<Labels> {
    let count = bytes.count()?;
    let mut text = || texts.get(usize::try_from(bytes.number()?).ok()?).cloned();
    let mut labels = Vec::new();
    for _ in 0..count {
        labels.push(Label { name: text()?, value: text()? });
    }
    Some(labels.into_iter().collect())
}

fn chunk(bytes: &mut Bytes<'_>, start: Timestamp) -> Option<Chunk> {
    let first = bytes.time(start)?;
    let last = bytes.time(first)?;
    let count = u16::try_from(bytes.number()?).ok()?;
    Chunk::from_parts(first, last, count, bytes.bytes()?.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Sample;
    use crate::series::Packer;

    fn packed(series: &[(u64, Vec<(i64, u64)>)]) -> Packed {
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
            assert!(decode(&flipped, Timestamp::MIN).is_none(), "{position}");
        }
        for length in 0..file.len() {
            assert!(decode(&file[..length], Timestamp::MIN).is_none(), "{length}");
        }
        let longer = [file.as_slice(), &[0]].concat();
        assert!(decode(&longer, Timestamp::MIN).is_none());
    }

    #[test]
    fn what_is_too_old_is_not_read() {
        let packed = packed(&[(1, vec![(1000, 7), (2000, 9)])]);
        let (file, _) = encode(&packed).unwrap();
        let content = |at| decode(&file, Timestamp::from_millis(at)).unwrap();
        assert_eq!(content(2001).series, []);
        assert_eq!(content(2001).last, Timestamp::from_millis(2000));
        assert_eq!(content(2000).series, packed);
        assert!(encode(&[]).is_none());
    }

    proptest! {
        #[test]
        fn chunks_come_back_as_they_were(
            series in prop::collection::vec(
                (0_u64..5, prop::collection::vec((any::<i64>(), any::<u64>()), 1..200)), 1..6),
        ) {
            let packed = packed(&series);
            let (file, last) = encode(&packed).unwrap();
            let content = decode(&file, Timestamp::MIN).unwrap();
            prop_assert_eq!(content.series, packed);
            prop_assert_eq!(content.last, last);
        }
    }
}
