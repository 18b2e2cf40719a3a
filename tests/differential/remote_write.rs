//! Prometheus's remote-write protocol, version 1: protocol buffers inside a Snappy block.
//!
//! The one way into a Prometheus that keeps every bit of a value: stale markers, the sign of zero.
//! Snappy's blocks may consist of literals alone, which needs no compressor.

use crate::data::Data;

/// The body of one request.
pub fn body(data: &Data) -> Vec<u8> {
    let mut request = Vec::new();
    for (labels, samples) in data {
        let mut series = Vec::new();
        for label in labels {
            let mut pair = Vec::new();
            field(&mut pair, 1, label.name.as_bytes());
            field(&mut pair, 2, label.value.as_bytes());
            field(&mut series, 1, &pair);
        }
        for sample in samples {
            // Field 1 is a double, field 2 an int64 as a plain varint.
            let mut point = vec![0x09];
            point.extend(sample.value.to_bits().to_le_bytes());
            point.push(0x10);
            varint(&mut point, sample.at.millis() as u64);
            field(&mut series, 2, &point);
        }
        field(&mut request, 1, &series);
    }
    snappy(&request)
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// A field that carries its length.
fn field(bytes: &mut Vec<u8>, number: u8, content: &[u8]) {
    bytes.push(number << 3 | 2);
    varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

fn snappy(content: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(content.len() + content.len() / 10_000 + 8);
    varint(&mut block, content.len() as u64);
    for literal in content.chunks(65_536) {
        // The tag of a literal whose length less one follows in two bytes.
        block.push(61 << 2);
        block.extend(((literal.len() - 1) as u16).to_le_bytes());
        block.extend_from_slice(literal);
    }
    block
}
