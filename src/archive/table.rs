//! A file of series, each with what there is of it in time order: chunks of samples, or digests.
//!
//! ```text
//! frame  = first time, last time since that,
//!          texts:  number, { text }
//!          series: number, { labels: number, { name, value as numbers of texts }
//!                            entries: number, { entry } }
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use super::bytes::{Bytes, put_bytes, put_number, put_time};
use super::frame::{HEADER_LENGTH, Header, Kind, frame_at, header, put_frame, read_header};
use crate::model::{Label, Labels, Timestamp};

/// What a file holds of a series: one of many, in time order.
pub(super) trait Entry: Sized {
    /// The kind of file.
    const KIND: Kind;

    fn first(&self) -> Timestamp;
    fn last(&self) -> Timestamp;
    /// Appends it; `start` is the file's first time.
    fn put(&self, bytes: &mut Vec<u8>, start: Timestamp);
    /// Reads it; `None` where the bytes are none.
    fn read(bytes: &mut Bytes<'_>, start: Timestamp) -> Option<Self>;
}

/// Series and their entries.
pub(super) type Table<E> = Vec<(Labels, Vec<E>)>;

/// What a file holds.
#[derive(Debug)]
pub(super) struct Content<E> {
    /// When its last sample is.
    pub(super) last: Timestamp,
    /// Its series; none of them without entries.
    pub(super) series: Table<E>,
}

/// The file, and when its last sample is. `None` where there is nothing to write.
pub(super) fn encode<E: Entry>(series: &[(Labels, Vec<E>)]) -> Option<(Vec<u8>, Timestamp)> {
    let entries = || series.iter().flat_map(|(_, entries)| entries);
    let (start, last) = (entries().map(E::first).min()?, entries().map(E::last).max()?);
    let mut texts: HashMap<&str, u64> = HashMap::new();
    let mut in_order = Vec::new();
    let mut body = Vec::new();
    put_number(&mut body, series.len() as u64);
    for (labels, entries) in series {
        put_number(&mut body, labels.len() as u64);
        for text in labels.iter().flat_map(|label| [&*label.name, &*label.value]) {
            let next = texts.len() as u64;
            let number = *texts.entry(text).or_insert_with(|| {
                in_order.push(text);
                next
            });
            put_number(&mut body, number);
        }
        put_number(&mut body, entries.len() as u64);
        entries.iter().for_each(|entry| entry.put(&mut body, start));
    }
    let mut payload = Vec::with_capacity(body.len() + 32 * in_order.len());
    put_time(&mut payload, start, Timestamp::default());
    put_time(&mut payload, last, start);
    put_number(&mut payload, in_order.len() as u64);
    in_order.iter().for_each(|text| put_bytes(&mut payload, text.as_bytes()));
    payload.append(&mut body);
    let mut file = header(E::KIND).to_vec();
    put_frame(&mut file, &payload);
    Some((file, last))
}

/// Reads a file; `None` where it is damaged. Where all of it is older than `kept_from`, the series
/// are left out.
pub(super) fn decode<E: Entry>(file: &[u8], kept_from: Timestamp) -> Option<Content<E>> {
    if read_header(E::KIND, file) != Header::Known {
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
        let mut entries = Vec::new();
        for _ in 0..bytes.count()? {
            entries.push(E::read(&mut bytes, start)?);
        }
        series.push((labels, entries));
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
