//! Payloads that are compressed by themselves, not by the connection: shown unpacked.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

/// What is unpacked at most: a megabyte of zeros takes a kilobyte, and nobody reads more of it.
const LIMIT: usize = 16 * 1024 * 1024;
/// What is unpacked at a time.
const PIECE: usize = 32 * 1024;

/// The text that a payload holds in compressed form, with what it is compressed by in front; `None` if it is something else.
///
/// Python knows gzip and bare deflate, which it calls zlib; beside them this knows zlib itself.
pub(crate) fn unpack(payload: &[u8]) -> Option<String> {
    match payload {
        [0x1F, 0x8B, _, ..] => Some(format!("[gzip] {}", gunzip(payload)?)),
        _ => Some(format!("[zlib] {}", inflate(payload, Wrapping::None).or_else(|| inflate(payload, Wrapping::Zlib))?)),
    }
}

/// What is around the compressed bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wrapping {
    /// Nothing (RFC 1951).
    None,
    /// A header and a checksum (RFC 1950).
    Zlib,
}

fn gunzip(payload: &[u8]) -> Option<String> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(payload).take(LIMIT as u64 + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() > LIMIT {
        return None;
    }
    String::from_utf8(bytes).ok()
}

/// Not by a reader: that would take a stream that was cut short for one that ends.
fn inflate(payload: &[u8], wrapping: Wrapping) -> Option<String> {
    let mut state = Decompress::new(wrapping == Wrapping::Zlib);
    let mut bytes = Vec::new();
    loop {
        let (read, written) = (usize::try_from(state.total_in()).ok()?, bytes.len());
        bytes.reserve(PIECE);
        let status = state.decompress_vec(payload.get(read..)?, &mut bytes, FlushDecompress::None).ok()?;
        if bytes.len() > LIMIT {
            return None;
        }
        match status {
            Status::StreamEnd => return String::from_utf8(bytes).ok(),
            Status::Ok | Status::BufError if bytes.len() == written && state.total_in() == read as u64 => return None,
            Status::Ok | Status::BufError => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn what_is_packed_is_shown_unpacked() {
        assert_eq!(unpack(&gzip(b"hello")).as_deref(), Some("[gzip] hello"));
        assert_eq!(unpack(&deflate(b"hello")).as_deref(), Some("[zlib] hello"));
        assert_eq!(unpack(&zlib(b"hello")).as_deref(), Some("[zlib] hello"));
        let twice = [gzip(b"hello, "), gzip(b"you")].concat();
        assert_eq!(unpack(&twice).as_deref(), Some("[gzip] hello, you"));
    }

    #[test]
    fn what_is_not_packed_text_is_left_alone() {
        let cut = &gzip(b"hello")[..12];
        let latin = deflate(b"\xff");
        for payload in [b"".as_slice(), b"pp", b"\x01\x02", b"\x1f\x8b\x08rubbish", cut, &latin] {
            assert_eq!(unpack(payload), None, "{payload:?}");
        }
    }

    #[test]
    fn bombs_are_not_unpacked() {
        let bomb = gzip(&vec![b'0'; LIMIT + 1]);
        assert!(bomb.len() < 32 * 1024);
        assert_eq!(unpack(&bomb), None);
    }
}
