//! Bodies that come packed: gzip and brotli, unpacked as they come.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;

use crate::provider::ErrorType;

/// What `accept-encoding` says of this module.
pub(super) const ACCEPTED: &str = "gzip, br";

/// So much may one piece come to: a byte can stand for a thousand.
const PIECE_BYTES_MAX: usize = 8 << 20;

/// Unpacks one body.
pub(super) enum Unpack {
    /// It is not packed, or not in a way that was asked for.
    Plain,
    /// It is, and none of it has come: a body that is none has no packing either.
    Due(Packing),
    Gzip(Box<MultiGzDecoder<Sink>>),
    Brotli(Box<DecompressorWriter<Sink>>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Packing {
    Gzip,
    Brotli,
}

impl Unpack {
    /// For a body of this `content-encoding`.
    pub fn new(encoding: Option<&http::HeaderValue>) -> Self {
        let encoding = encoding.map(|encoding| encoding.as_bytes().trim_ascii());
        match encoding.map(<[u8]>::to_ascii_lowercase).as_deref() {
            Some(b"gzip" | b"x-gzip") => Self::Due(Packing::Gzip),
            Some(b"br") => Self::Due(Packing::Brotli),
            Some(_) | None => Self::Plain,
        }
    }

    /// What bytes that came stand for, as far as it can be told by now.
    pub fn feed(&mut self, bytes: Bytes) -> Result<Bytes, ErrorType> {
        if let (Self::Due(packing), false) = (&self, bytes.is_empty()) {
            *self = match packing {
                Packing::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Sink::default()))),
                Packing::Brotli => {
                    Self::Brotli(Box::new(DecompressorWriter::new(Sink::default(), 4096)))
                }
            };
        }
        // What has come is to be seen now, and not once the window is full.
        let (sink, fed) = match self {
            Self::Plain | Self::Due(_) => return Ok(bytes),
            Self::Gzip(decoder) => {
                let fed = decoder.write_all(&bytes).and_then(|()| decoder.flush());
                (decoder.get_mut(), fed)
            }
            Self::Brotli(decoder) => {
                let fed = decoder.write_all(&bytes).and_then(|()| decoder.flush());
                (decoder.get_mut(), fed)
            }
        };
        match fed {
            Ok(()) => Ok(Bytes::from(std::mem::take(&mut sink.0))),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(ErrorType::Other),
            Err(_) => Err(ErrorType::MalformedJson),
        }
    }

    /// The body ended in good order; whether what was packed is all there.
    pub fn end(&mut self) -> Result<(), ErrorType> {
        let ended = match self {
            Self::Plain | Self::Due(_) => return Ok(()),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Brotli(decoder) => decoder.close(),
        };
        ended.map_err(|_| ErrorType::TruncatedStream)
    }
}

/// Where a decoder writes to.
#[derive(Default)]
pub(super) struct Sink(Vec<u8>);

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

    fn unpacked(encoding: &'static str, pieces: &[&[u8]]) -> Result<String, ErrorType> {
        let mut unpack = Unpack::new(Some(&HeaderValue::from_static(encoding)));
        let mut heard = Vec::new();
        for piece in pieces {
            heard.extend_from_slice(&unpack.feed(Bytes::copy_from_slice(piece))?);
        }
        unpack.end()?;
        Ok(String::from_utf8(heard).unwrap())
    }

    #[test]
    fn what_is_packed_is_unpacked_wherever_it_is_cut() {
        let (hello, twice) = (gzip(b"hello"), [gzip(b"hel"), gzip(b"lo")].concat());
        for (encoding, packed) in
            [("gzip", &hello[..]), ("X-GZip", &twice), ("br", &BROTLI_HELLO), ("zstd", b"hello")]
        {
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
                assert_eq!(found, Err(ErrorType::TruncatedStream), "{encoding} {cut}");
            }
            let found = unpacked(encoding, &[b"not packed at all"]);
            assert_eq!(found, Err(ErrorType::MalformedJson), "{encoding}");
            // The answer to a HEAD says how it would be packed.
            assert_eq!(unpacked(encoding, &[]).as_deref(), Ok(""));
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = gzip(&vec![b' '; PIECE_BYTES_MAX + 1]);
        assert!(bomb.len() < 10_000);
        assert_eq!(unpacked("gzip", &[&bomb]), Err(ErrorType::Other));
    }
}
