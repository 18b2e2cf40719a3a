//! What every file looks like from outside: a header, then frames.
//!
//! The header is 16 bytes: a word that tells the kind of file, the version and a checksum. A frame
//! is its payload's length, a checksum of length and payload, and the payload. Numbers are
//! little-endian, checksums CRC-32.

/// The version that this program writes, and the last that it reads.
pub(super) const VERSION: u32 = 1;

pub(super) const HEADER_LENGTH: usize = 16;
const FRAME_LENGTH: usize = 8;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Digests,
    Chunks,
    Log,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Digests, Self::Chunks, Self::Log];

    /// The end of a file's name.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Digests => "digests",
            Self::Chunks => "chunks",
            Self::Log => "log",
        }
    }

    fn word(self) -> &'static [u8; 8] {
        match self {
            Self::Digests => b"bwdigest",
            Self::Chunks => b"bwchunks",
            Self::Log => b"bwticks\0",
        }
    }
}

/// The header of a new file.
pub(super) fn header(kind: Kind) -> [u8; HEADER_LENGTH] {
    header_of(kind, VERSION)
}

pub(super) fn header_of(kind: Kind, version: u32) -> [u8; HEADER_LENGTH] {
    let mut header = [0; HEADER_LENGTH];
    header[..8].copy_from_slice(kind.word());
    header[8..12].copy_from_slice(&version.to_le_bytes());
    let sum = crc32fast::hash(&header[..12]);
    header[12..].copy_from_slice(&sum.to_le_bytes());
    header
}

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// A file of ours.
    Known,
    /// Of a later program.
    Newer(u32),
    /// There is not even a whole header.
    Short,
    /// Anything else.
    Damaged,
}

pub(super) fn read_header(kind: Kind, file: &[u8]) -> Header {
    let Some(found) = file.first_chunk::<HEADER_LENGTH>() else { return Header::Short };
    let version = u32_at(found, 8).unwrap_or_default();
    if *found != header_of(kind, version) || version == 0 {
        return Header::Damaged;
    }
    if version > VERSION { Header::Newer(version) } else { Header::Known }
}

/// Appends a frame with what `write` writes.
pub(super) fn put_frame(bytes: &mut Vec<u8>, payload: &[u8]) {
    let length = (payload.len() as u32).to_le_bytes();
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&checksum(length, payload).to_le_bytes());
    bytes.extend_from_slice(payload);
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

/// The frame at a position, and where the next one begins; `None` where there is no whole and
/// sound one.
pub(super) fn frame_at(file: &[u8], position: usize) -> Option<(&[u8], usize)> {
    let length = file.get(position..position + 4)?.first_chunk::<4>()?;
    let sum = u32_at(file, position + 4)?;
    let start = position + FRAME_LENGTH;
    let end = start.checked_add(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let payload = file.get(start..end)?;
    // An empty frame is never written; zeros, which a crash may leave behind, would be one.
    (!payload.is_empty() && checksum(*length, payload) == sum).then_some((payload, end))
}

/// Whether a sound frame begins anywhere behind a position, so that what stands there is damaged
/// and no mere end.
pub(super) fn has_frame_behind(file: &[u8], position: usize) -> bool {
    let starts = position.saturating_add(1)..file.len().saturating_sub(FRAME_LENGTH);
    // A wrong length seldom fits, but where many do each costs a checksum of what it spans.
    let mut spent = 64 << 20;
    for start in starts {
        let length = u32_at(file, start).map_or(usize::MAX, |length| length as usize);
        if length > file.len() - start {
            continue;
        }
        if frame_at(file, start).is_some() {
            return true;
        }
        spent -= length.min(spent);
        if spent == 0 {
            // Undecided: setting it aside loses nothing.
            return true;
        }
    }
    false
}

fn u32_at(bytes: &[u8], position: usize) -> Option<u32> {
    bytes.get(position..position + 4)?.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_its_length_its_checksum_and_its_payload() {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, b"one");
        // CRC-32 of 03 00 00 00 6f 6e 65 by Python's zlib.crc32.
        assert_eq!(bytes, [&[3, 0, 0, 0], &[0x00, 0x9a, 0xa9, 0x29], b"one".as_slice()].concat());
        put_frame(&mut bytes, b"second");
        assert_eq!(frame_at(&bytes, 0), Some((b"one".as_slice(), 11)));
        assert_eq!(frame_at(&bytes, 11), Some((b"second".as_slice(), 25)));
        assert_eq!(frame_at(&bytes, 25), None);
        assert_eq!(frame_at(&[0; 64], 0), None);
        assert!(has_frame_behind(&bytes, 0) && !has_frame_behind(&bytes, 11));
    }

    #[test]
    fn a_header_tells_what_can_be_read() {
        for kind in Kind::ALL {
            let header = header(kind);
            assert_eq!(read_header(kind, &header), Header::Known);
            assert_eq!(read_header(kind, &header[..15]), Header::Short);
            assert_eq!(read_header(kind, &[0; 16]), Header::Damaged);
            assert_eq!(read_header(kind, &header_of(kind, 2)), Header::Newer(2));
            for position in 0..HEADER_LENGTH * 8 {
                let mut flipped = header;
                flipped[position / 8] ^= 1 << (position % 8);
                assert_eq!(read_header(kind, &flipped), Header::Damaged, "{position}");
            }
        }
        assert_eq!(read_header(Kind::Log, &header(Kind::Chunks)), Header::Damaged);
    }
}
