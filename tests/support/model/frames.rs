//! Frames as they are on the wire (RFC 6455, section 5.2), and compressed messages (RFC 7692), by a codec of the tests' own.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A frame that was received.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) key: Option<[u8; 4]>,
    /// Without the mask.
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) const fn opcode(&self) -> u8 {
        self.first & 0x0F
    }

    pub(crate) const fn is_last(&self) -> bool {
        self.first & FIN != 0
    }
}

/// The first frame in these bytes and how long it is; `None` if it is not all there.
///
/// # Errors
///
/// What no frame may be, whatever stands before it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Frame, usize)>, String> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    let opcode = first & 0x0F;
    if first & 0x30 != 0 || !matches!(opcode, 0..=2 | 8..=10) {
        return Err(format!("a frame that begins with {first:02x}"));
    }
    let (length, mut start) = match second & 0x7F {
        126 => (bytes.get(2..4).map(|long| u64::from(u16::from_be_bytes([long[0], long[1]]))), 4),
        127 => (bytes.get(2..).and_then(<[u8]>::first_chunk).map(|long| u64::from_be_bytes(*long)), 10),
        short => (Some(u64::from(short)), 2),
    };
    let Some(length) = length else { return Ok(None) };
    let shortest = match length {
        0..126 => 2,
        126..65_536 => 4,
        _ => 10,
    };
    if start != shortest {
        return Err(format!("a length of {length} that is not in its shortest form"));
    }
    if opcode >= CLOSE && (length > 125 || first & (FIN | RSV1) != FIN) {
        return Err(format!("a control frame {first:02x} of {length} bytes"));
    }
    let mut key = None;
    if second & 0x80 != 0 {
        let Some(bytes) = bytes.get(start..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        key = Some(*bytes);
        start += 4;
    }
    let end = start + usize::try_from(length).map_err(|error| error.to_string())?;
    let Some(payload) = bytes.get(start..end) else { return Ok(None) };
    let mut payload = payload.to_vec();
    if let Some(key) = key {
        mask(key, &mut payload);
    }
    Ok(Some((Frame { first, key, payload }, end)))
}

/// A frame as it is sent; masked where there is a key.
pub(crate) fn encode(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if key.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(masked | length as u8),
        length @ 126..65_536 => {
            bytes.push(masked | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(masked | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend(key.into_iter().flatten());
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if let Some(key) = key {
        mask(key, &mut bytes[start..]);
    }
    bytes
}

fn mask(key: [u8; 4], payload: &mut [u8]) {
    payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
}

/// The body of a Close frame.
pub(crate) fn close_body(code: u16, reason: &str) -> Vec<u8> {
    if code == 1005 { Vec::new() } else { [&code.to_be_bytes(), reason.as_bytes()].concat() }
}

/// What both sides of permessage-deflate remember of earlier messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Takeover {
    Yes,
    No,
}

/// Compresses messages.
pub(crate) struct Deflater(Compress, Takeover);

impl Deflater {
    pub(crate) fn new(takeover: Takeover) -> Self {
        Self(Compress::new(Compression::fast(), false), takeover)
    }

    pub(crate) fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let begin = self.0.total_in();
        loop {
            out.reserve(64 + payload.len());
            let rest = &payload[(self.0.total_in() - begin) as usize..];
            self.0.compress_vec(rest, &mut out, FlushCompress::Sync).expect("compresses");
            if out.len() < out.capacity() {
                break;
            }
        }
        out.truncate(out.len() - 4);
        if self.1 == Takeover::No {
            self.0.reset();
        }
        out
    }
}

/// Decompresses messages.
pub(crate) struct Inflater(Decompress, Takeover);

impl Inflater {
    pub(crate) fn new(takeover: Takeover) -> Self {
        Self(Decompress::new(false), takeover)
    }

    /// # Errors
    ///
    /// It is not compressed data.
    pub(crate) fn message(&mut self, payload: &[u8]) -> Result<Vec<u8>, String> {
        let input = [payload, &[0, 0, 0xFF, 0xFF]].concat();
        let mut out = Vec::new();
        let begin = self.0.total_in();
        loop {
            out.reserve(64 + 2 * input.len());
            let rest = &input[(self.0.total_in() - begin) as usize..];
            self.0.decompress_vec(rest, &mut out, FlushDecompress::Sync).map_err(|error| error.to_string())?;
            if out.len() < out.capacity() {
                break;
            }
        }
        if self.0.total_in() - begin != input.len() as u64 {
            return Err("bytes behind the end of compressed data".to_owned());
        }
        if self.1 == Takeover::No {
            self.0.reset(false);
        }
        Ok(out)
    }
}
