//! A decoder of RFC 6455 and RFC 7692 that shares nothing with the crate: it has all bytes at hand, and takes its time.

use std::str;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use websocket_sync::protocol::{Role, TextPolicy};

use crate::wire::{Event, Settings};

/// What a stream of bytes is.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Without the violation that ends them.
    pub events: Vec<Event>,
    pub end: End,
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum End {
    /// It goes on, or the peer has closed.
    #[default]
    Open,
    /// It breaks a rule, for which the peer is told one of these codes.
    Violation(&'static [u16]),
    /// The message in progress cannot become a whole one, or its last frame, which is not all there, may break a rule already: it is
    /// refused, now or later.
    Undecided,
    /// What comes from here on is not compared: a final block inside a compressed message, after which decoders may differ.
    Unknown,
}

const PROTOCOL: &[u16] = &[1002];
const TOO_BIG: &[u16] = &[1009];
const POLICY: &[u16] = &[1008];
const INVALID: &[u16] = &[1007];

/// One frame, with its payload unmasked, as far as it has arrived.
struct Frame<'a> {
    first: u8,
    length: u64,
    payload: Vec<u8>,
    rest: &'a [u8],
}

struct Message {
    is_text: bool,
    is_compressed: bool,
    fragments: u32,
    bytes: Vec<u8>,
    /// As it came.
    compressed: Vec<u8>,
}

/// Decodes what a peer sends to this side.
pub fn decode(settings: &Settings, mut bytes: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let mut message: Option<Message> = None;
    let mut inflater = Inflater::default();
    while decoded.end == End::Open && !matches!(decoded.events.last(), Some(Event::Close(..))) {
        let frame = match parse(settings, bytes, message.as_ref()) {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(codes) => {
                decoded.end = End::Violation(codes);
                break;
            }
        };
        let is_whole = frame.payload.len() as u64 == frame.length;
        bytes = frame.rest;
        let result = if frame.first & 8 == 0 {
            take_data(settings, &frame, is_whole, &mut message, &mut inflater)
        } else if is_whole {
            take_control(&frame)
        } else {
            break;
        };
        match result {
            Ok(event) => decoded.events.extend(event),
            Err(end) => decoded.end = end,
        }
        if !is_whole {
            break;
        }
    }
    decoded
}

/// The next frame, judged by its header; `None` where that is not all there.
fn parse<'a>(
    settings: &Settings,
    bytes: &'a [u8],
    message: Option<&Message>,
) -> Result<Option<Frame<'a>>, &'static [u16]> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    let (fin, opcode, short) = (first & 0x80 != 0, first & 15, second & 127);
    let is_control = opcode >= 8;
    let is_masked = second & 0x80 != 0;
    if !matches!(opcode, 0..=2 | 8..=10) || (is_control && (!fin || short > 125)) {
        return Err(PROTOCOL);
    }
    judge_start(settings, first, is_masked, message)?;
    let (length, mut start) = match short {
        126 if bytes.len() < 4 => return Ok(None),
        126 => (u64::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
        127 if bytes.len() < 10 => return Ok(None),
        127 => (bytes[2..10].iter().fold(0, |length, &byte| length << 8 | u64::from(byte)), 10),
        short => (u64::from(short), 2),
    };
    if (short == 126 && length < 126) || (short == 127 && (length < 65_536 || length >> 63 == 1)) {
        return Err(PROTOCOL);
    }
    let mut key = [0; 4];
    if is_masked {
        let Some(found) = bytes.get(start..start + 4) else { return Ok(None) };
        key.copy_from_slice(found);
        start += 4;
    }
    if !is_control {
        judge_size(settings, first, length, message)?;
    }
    let arrived = &bytes[start..];
    let end = arrived.len().min(usize::try_from(length).unwrap_or(usize::MAX));
    let payload = arrived[..end].iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
    Ok(Some(Frame { first, length, payload, rest: &arrived[end..] }))
}

/// The rules that depend on the connection and that the first two octets can break, in the order of these octets.
fn judge_start(
    settings: &Settings,
    first: u8,
    is_masked: bool,
    message: Option<&Message>,
) -> Result<(), &'static [u16]> {
    let (opcode, rsv) = (first & 15, first & 0x70);
    let may_compress = settings.deflate && (opcode == 1 || opcode == 2);
    let is_reserved = rsv & if may_compress { 0x30 } else { 0x70 } != 0;
    if is_reserved || (opcode < 8 && (opcode == 0) != message.is_some()) {
        return Err(PROTOCOL);
    }
    if opcode < 8 && message.map_or(0, |message| message.fragments) >= settings.limits.max_fragments {
        return Err(POLICY);
    }
    if is_masked != (settings.role == Role::Server) {
        return Err(PROTOCOL);
    }
    Ok(())
}

/// The limits that the length of a data frame can exceed.
fn judge_size(settings: &Settings, first: u8, length: u64, message: Option<&Message>) -> Result<(), &'static [u16]> {
    if length > settings.limits.max_frame_size as u64 {
        return Err(TOO_BIG);
    }
    let (size, is_compressed) = match message {
        Some(message) => (message.bytes.len(), message.is_compressed),
        None => (0, first & 0x40 != 0),
    };
    if !is_compressed && size as u64 + length > settings.limits.max_message_size as u64 {
        return Err(TOO_BIG);
    }
    Ok(())
}

fn take_control(frame: &Frame<'_>) -> Result<Option<Event>, End> {
    let payload = frame.payload.clone();
    Ok(Some(match frame.first & 15 {
        9 => Event::Ping(payload),
        10 => Event::Pong(payload),
        _ => match *payload {
            [] => Event::Close(1005, String::new()),
            [_] => return Err(End::Violation(PROTOCOL)),
            [high, low, ref reason @ ..] => {
                let code = u16::from_be_bytes([high, low]);
                if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                    return Err(End::Violation(PROTOCOL));
                }
                let reason = str::from_utf8(reason).map_err(|_| End::Violation(INVALID))?;
                Event::Close(code, reason.to_owned())
            }
        },
    }))
}

fn take_data(
    settings: &Settings,
    frame: &Frame<'_>,
    is_whole: bool,
    message: &mut Option<Message>,
    inflater: &mut Inflater,
) -> Result<Option<Event>, End> {
    let current = message.get_or_insert_with(|| Message {
        is_text: frame.first & 15 == 1,
        is_compressed: frame.first & 0x40 != 0,
        fragments: 0,
        bytes: Vec::new(),
        compressed: Vec::new(),
    });
    current.fragments += 1;
    let ends = is_whole && frame.first & 0x80 != 0;
    if current.is_compressed {
        current.compressed.extend_from_slice(&frame.payload);
        let inflated = inflater.inflate(&frame.payload, &mut current.bytes, settings.limits.max_message_size);
        if !is_whole {
            // Decoders differ in how soon they see that something cannot go on.
            return Err(if inflated == Err(End::Unknown) { End::Unknown } else { End::Undecided });
        }
        match inflated {
            Err(End::Violation(_))
                if frame.first & 0x80 == 0 && current.bytes.len() <= settings.limits.max_message_size =>
            {
                return Err(End::Undecided);
            }
            inflated => inflated?,
        }
    } else {
        current.bytes.extend_from_slice(&frame.payload);
    }
    let is_checked = current.is_text && settings.policy == TextPolicy::Validate;
    let valid = if is_checked { str::from_utf8(&current.bytes).map(drop) } else { Ok(()) };
    match valid {
        Err(error) if error.error_len().is_some() || ends => {
            // A frame that has not ended may have been looked at, or not.
            return Err(if is_whole { End::Violation(INVALID) } else { End::Undecided });
        }
        _ => {}
    }
    if !ends {
        return Ok(None);
    }
    let Some(mut finished) = message.take() else { return Ok(None) };
    if finished.is_compressed {
        finish(&mut finished, inflater, settings.takeover)?;
    }
    Ok(Some(if finished.is_text { Event::Text(finished.bytes) } else { Event::Binary(finished.bytes) }))
}

/// Inflates what a peer has compressed. All that it has made is kept, so that no reference reaches behind the beginning.
#[derive(Clone, Default)]
struct Inflater {
    state: DecompressorOxide,
    /// What was made since the beginning, and room for more.
    made: Vec<u8>,
    length: usize,
}

impl Inflater {
    /// Inflates the next bytes of a message to the end of `out`, and not much more than the limit.
    fn inflate(&mut self, mut input: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), End> {
        // Several rules may be broken at once; which is told first is the business of another target.
        const ANY: &[u16] = &[1007, 1009];
        const FLAGS: u32 =
            inflate_flags::TINFL_FLAG_HAS_MORE_INPUT | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        loop {
            self.made.resize(self.length + 4096, 0);
            let (status, read, made) = decompress(&mut self.state, input, &mut self.made, self.length, FLAGS);
            out.extend_from_slice(&self.made[self.length..self.length + made]);
            self.length += made;
            input = &input[read..];
            if out.len() > limit {
                return Err(End::Violation(ANY));
            }
            match status {
                TINFLStatus::NeedsMoreInput => return Ok(()),
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::Done => return Err(End::Unknown),
                _ => return Err(End::Violation(ANY)),
            }
        }
    }
}

/// Puts back what the sender has cut off (RFC 7692, section 7.2.2): the message must have ended with a block.
fn finish(message: &mut Message, inflater: &mut Inflater, takeover: bool) -> Result<(), End> {
    // The tail that should have been cut off, and a message of no bytes at all: illegal, clear, and taken.
    if matches!(message.compressed[..], [] | [.., 0xFF]) {
        return Err(End::Unknown);
    }
    let length = message.bytes.len();
    inflater.inflate(&[0, 0, 0xFF, 0xFF], &mut message.bytes, usize::MAX)?;
    let mut behind = Vec::new();
    let probed = inflater.clone().inflate(&[0, 1, 0, 0xFE, 0xFF, b'.'], &mut behind, 1);
    if message.bytes.len() != length || probed.is_err() || behind != b"." {
        return Err(End::Violation(INVALID));
    }
    if !takeover {
        *inflater = Inflater::default();
    }
    Ok(())
}
