//! The server: what it does with a connection, and what it has heard on it.

use std::net::Shutdown;
use std::time::Duration;

use super::chance::{dawdle, wait_up_to};
use super::round::{INTERVAL, TIMEOUT};
use crate::net::{Deadline, Layer, SendDeadline, Stream, Transport};
use crate::protocol::handshake::accept_for;

/// What a server does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Habit {
    /// Answers what has to be answered.
    Polite,
    /// Says so many messages first.
    Says(usize),
    /// Pings, and then is polite.
    Pings,
    /// Closes after a moment.
    Closes,
    /// Hangs up after a moment.
    Drops,
    /// Hangs up instead of shaking hands.
    Refuses,
    /// Answers pings late: too late at times.
    Late,
    /// Reads and says nothing.
    Silent,
    /// Reads nothing for a moment.
    Deaf,
}

/// Serves one connection, and asserts that what came was in order.
pub(super) fn serve(stream: Box<dyn Transport>, habit: Habit) {
    let mut peer = Peer { stream: stream.into(), heard: Vec::new(), read: 0 };
    if habit != Habit::Refuses && peer.accept() {
        peer.talk(habit);
    }
    peer.check();
}

struct Peer {
    stream: Stream,
    /// All that came after the handshake.
    heard: Vec<u8>,
    /// How much of it was looked at.
    read: usize,
}

impl Peer {
    /// Longer than it takes; where time is simulated, nothing is.
    fn deadline() -> Deadline {
        if cfg!(shuttle) { Deadline::NEVER } else { Deadline::after(Some(Duration::from_secs(20))) }
    }

    fn accept(&mut self) -> bool {
        loop {
            if let Some(end) = self.heard.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = String::from_utf8(self.heard.drain(..end + 4).collect()).unwrap();
                let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
                let accept = accept_for(key);
                self.say(
                    format!(
                        "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
                    )
                    .as_bytes(),
                );
                return true;
            }
            if !self.hear() {
                return false;
            }
        }
    }

    fn talk(&mut self, habit: Habit) {
        match habit {
            Habit::Polite | Habit::Late | Habit::Silent | Habit::Refuses => {}
            Habit::Says(messages) => self.say(&b"\x81\x02hi".repeat(messages)),
            Habit::Pings => self.say(b"\x89\x01?"),
            Habit::Closes => {
                dawdle();
                self.say(b"\x88\x02\x03\xe9");
            }
            Habit::Drops => return dawdle(),
            Habit::Deaf => wait_up_to(8 * TIMEOUT),
        }
        while let Some((first, payload)) = self.frame() {
            match (first, habit) {
                (_, Habit::Silent) => {}
                (0x89, Habit::Late) => {
                    wait_up_to(INTERVAL + 2 * TIMEOUT);
                    self.pong(&payload);
                }
                (0x89, _) => self.pong(&payload),
                (0x88, _) => {
                    if habit != Habit::Closes {
                        self.say(b"\x88\x02\x03\xe8");
                    }
                    let _ = self.stream.shutdown(Shutdown::Write);
                }
                _ => {}
            }
        }
    }

    fn pong(&self, payload: &[u8]) {
        self.say(&[&[0x8A, payload.len() as u8], payload].concat());
    }

    /// Nobody may listen any more.
    fn say(&self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes, SendDeadline::until(Self::deadline()));
    }

    /// Reads once; nothing more comes where this says no.
    fn hear(&mut self) -> bool {
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece, Self::deadline()) {
            Ok(0) => false,
            Ok(length) => {
                self.heard.extend_from_slice(&piece[..length]);
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "nothing more came, nor an end");
                false
            }
        }
    }

    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((first, payload, length)) = parse(&self.heard[self.read..]) {
                self.read += length;
                return Some((first, payload));
            }
            if !self.hear() {
                return None;
            }
        }
    }

    /// One Close at most, behind which only a pong may come (RFC 6455, sections 5.5.1 and 5.5.2). What comes last may be cut off.
    fn check(&self) {
        let mut rest = &self.heard[..];
        let mut closed = false;
        while let Some((first, _, length)) = parse(rest) {
            assert!(!closed || first == 0x8A, "{first:02x} behind a Close");
            closed |= first == 0x88;
            rest = &rest[length..];
        }
    }
}

/// The first frame in these bytes, and its length.
fn parse(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (length, start) = match second & 0x7F {
        126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
        length => (u64::from(length), 2),
    };
    let key: &[u8; 4] = bytes.get(start..)?.first_chunk()?;
    let end = start + 4 + usize::try_from(length).unwrap();
    let masked = bytes.get(start + 4..end)?;
    Some((first, masked.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect(), end))
}
