//! Bodies that come packed: gzip and brotli, unpacked as they come.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::MultiGzDecoder;

/// What a request's `accept-encoding` says of this module.
pub const ACCEPTED: &str = "gzip, br";

/// So much may one piece come to: a byte can stand for a thousand.
const PIECE_BYTES_MAX: usize = 8 << 20;

/// Unpacks one body.
#[derive(Debug)]
pub struct Unpack(Packed);

enum Packed {
    /// It is not packed.
    Not,
    /// It is in a way that is not known here, and passes as it is.
    Unknown,
    /// It is, and none of it has come: a body that is none has no packing either.
    Due(Packing),
    Gzip(Box<MultiGzDecoder<Sink>>),
    Brotli(Box<DecompressorWriter<Sink>>),
}

#[derive(Clone, Copy, Debug)]
enum Packing {
    Gzip,
    Brotli,
}

/// Why a body cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// It is not packed as it says.
    #[error("the packed body cannot be unpacked")]
    Garbled,
    /// It ended before what was packed did.
    #[error("the packed body ended early")]
    Truncated,
    /// A piece of it came to more than 8 MiB.
    #[error("a piece of the packed body comes to more than 8 MiB")]
    TooLarge,
}

impl Unpack {
    /// For a body of this `content-encoding`.
    pub fn new(encoding: Option<&http::HeaderValue>) -> Self {
        let encoding = encoding.map(|encoding| encoding.as_bytes().trim_ascii());
        Self(match encoding.map(<[u8]>::to_ascii_lowercase).as_deref() {
            None | Some(b"" | b"identity") => Packed::Not,
            Some(b"gzip" | b"x-gzip") => Packed::Due(Packing::Gzip),
            Some(b"br") => Packed::Due(Packing::Brotli),
            Some(_) => Packed::Unknown,
        })
    }

    /// Whether it is packed in a way that is not known here.
    pub fn is_unknown(&self) -> bool {
        matches!(self.0, Packed::Unknown)
    }

    /// What bytes that came stand for, as far as it can be told by now.
    pub fn feed<'a>(&'a mut self, bytes: &'a [u8]) -> Result<&'a [u8], UnpackError> {
        if let (Packed::Due(packing), false) = (&self.0, bytes.is_empty()) {
            self.0 = match packing {
                Packing::Gzip => Packed::Gzip(Box::new(MultiGzDecoder::new(Sink::default()))),
                Packing::Brotli => {
                    Packed::Brotli(Box::new(DecompressorWriter::new(Sink::default(), 4096)))
                }
            };
        }
        // What has come is to be seen now, and not once the window is full.
        let (sink, fed) = match &mut self.0 {
            Packed::Not | Packed::Unknown | Packed::Due(_) => return Ok(bytes),
            Packed::Gzip(decoder) => {
                decoder.get_mut().0.clear();
                let fed = decoder.write_all(bytes).and_then(|()| decoder.flush());
                (decoder.get_ref(), fed)
            }
            Packed::Brotli(decoder) => {
                decoder.get_mut().0.clear();
                let fed = decoder.write_all(bytes).and_then(|()| decoder.flush());
                (decoder.get_ref(), fed)
            }
        };
        match fed {
            Ok(()) => Ok(&sink.0),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(UnpackError::TooLarge),
            Err(_) => Err(UnpackError::Garbled),
        }
    }

    /// The body ended in good order; whether what was packed is all there.
    pub fn end(&mut self) -> Result<(), UnpackError> {
        let ended = match &mut self.0 {
            Packed::Not | Packed::Unknown | Packed::Due(_) => return Ok(()),
            Packed::Gzip(decoder) => decoder.try_finish(),
            Packed::Brotli(decoder) => decoder.close(),
        };
        ended.map_err(|_| UnpackError::Truncated)
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Not => "not packed",
            Self::Unknown => "unknown",
            Self::Due(Packing::Gzip) | Self::Gzip(_) => "gzip",
            Self::Due(Packing::Brotli) | Self::Brotli(_) => "brotli",
        })
    }
}

/// Where a decoder writes to; emptied before each piece.
#[derive(Default)]
struct Sink(Vec<u8>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > PIECE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    // Node: `zlib.brotliCompressSync("hello").toString("hex")`.
    const BROTLI_HELLO: [u8; 9] = [0x0b, 0x02, 0x80, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x03];

    fn unpacked(encoding: &'static str, pieces: &[&[u8]]) -> Result<String, UnpackError> {
        let mut unpack = Unpack::new(Some(&HeaderValue::from_static(encoding)));
        let mut heard = Vec::new();
        for piece in pieces {
            heard.extend_from_slice(unpack.feed(piece)?);
        }
        unpack.end()?;
        Ok(String::from_utf8(heard).unwrap())
    }

    #[test]
    fn what_is_packed_is_unpacked_wherever_it_is_cut() {
        let (hello, twice) = (gzip(b"hello"), [gzip(b"hel"), gzip(b"lo")].concat());
        for (encoding, packed) in [
            ("gzip", &hello[..]),
            ("X-GZip", &twice),
            ("br", &BROTLI_HELLO),
            ("zstd", b"hello"),
            ("", b"hello"),
        ] {
            for cut in 0..=packed.len() {
                let pieces = [&packed[..cut], &packed[cut..]];
                assert_eq!(unpacked(encoding, &pieces).as_deref(), Ok("hello"), "{encoding} {cut}");
            }
        }
    }

    #[test]
    fn what_ends_early_is_truncated_and_what_is_garbled_is_malformed() {
        let hello = gzip(b"hello");
        for (encoding, packed) in [("gzip", &hello[..]), ("br", &BROTLI_HELLO)] {
            for cut in 1..packed.len() {
                let found = unpacked(encoding, &[&packed[..cut]]);
                assert_eq!(found, Err(UnpackError::Truncated), "{encoding} {cut}");
            }
            let found = unpacked(encoding, &[b"not packed at all"]);
            assert_eq!(found, Err(UnpackError::Garbled), "{encoding}");
            // The answer to a HEAD says how it would be packed.
            assert_eq!(unpacked(encoding, &[]).as_deref(), Ok(""));
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = gzip(&vec![b' '; PIECE_BYTES_MAX + 1]);
        assert!(bomb.len() < 10_000);
        assert_eq!(unpacked("gzip", &[&bomb]), Err(UnpackError::TooLarge));
    }
}
