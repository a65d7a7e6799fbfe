//! The recipe "MQTT".

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use websocket_sync::{ConnectOptions, Error, Result, WebSocket};

/// A client of MQTT 3.1.1 with messages of quality 0: at most once.
struct Mqtt {
    ws: WebSocket,
    /// What came of packets that are not complete, or not taken.
    received: Vec<u8>,
    /// Messages that came while a subscription was waited for.
    messages: VecDeque<Vec<u8>>,
    keep_alive: Duration,
    last_sent: Instant,
    last_received: Instant,
}

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const PINGREQ: u8 = 0xc0;
const LARGEST_PACKET: usize = 1 << 20;

impl Mqtt {
    /// The server drops a client of which it hears nothing for one and a half times `keep_alive`, seconds at least.
    fn connect(url: &str, client: &str, keep_alive: Duration) -> Result<Self> {
        let ws = ConnectOptions::new().subprotocols(["mqtt"]).connect(url)?;
        let now = Instant::now();
        let (received, messages) = (Vec::new(), VecDeque::new());
        let mut this = Self { ws, received, messages, keep_alive, last_sent: now, last_received: now };
        let seconds = u16::try_from(keep_alive.as_secs()).map_err(Error::other)?.to_be_bytes();
        // The version is 4; 2 asks for a clean session.
        this.send(CONNECT, &[&string("MQTT")[..], &[4, 2], &seconds, &string(client)].concat())?;
        match this.packet()? {
            (CONNACK, body) if body.get(1) == Some(&0) => Ok(this),
            refusal => Err(Error::other(format!("refused: {refusal:?}"))),
        }
    }

    fn subscribe(&mut self, topic: &str) -> Result<()> {
        self.send(SUBSCRIBE, &[&[0, 1][..], &string(topic), &[0]].concat())?;
        loop {
            match self.packet()? {
                (SUBACK, body) if body == [0, 1, 0] => return Ok(()),
                (SUBACK, body) => return Err(Error::other(format!("refused: {body:?}"))),
                (head, body) if head & 0xf0 == PUBLISH => self.messages.push_back(body),
                _ => {} // PINGRESP
            }
        }
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<()> {
        self.send(PUBLISH, &[&string(topic), payload].concat())
    }

    /// Topic and payload of the next message. Call it again soon: it keeps the connection alive too.
    fn message(&mut self) -> Result<(String, Vec<u8>)> {
        loop {
            let (head, body) = self.messages.pop_front().map_or_else(|| self.packet(), |body| Ok((PUBLISH, body)))?;
            if head & 0xf0 != PUBLISH {
                continue; // PINGRESP
            }
            let cut = || Error::other("a packet is cut");
            let (length, rest) = body.split_first_chunk::<2>().ok_or_else(cut)?;
            let (topic, payload) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or_else(cut)?;
            return Ok((String::from_utf8_lossy(topic).into_owned(), payload.to_vec()));
        }
    }

    fn send(&mut self, head: u8, body: &[u8]) -> Result<()> {
        let mut packet = vec![head];
        let mut length = body.len();
        while length > 0x7f {
            packet.push(0x80 | (length & 0x7f) as u8);
            length >>= 7;
        }
        packet.push(length as u8);
        packet.extend_from_slice(body);
        self.last_sent = Instant::now();
        self.ws.send_binary(&packet).map(drop)
    }

    /// The next packet: its first byte, and what follows its length. Messages of the WebSocket may cut packets anywhere.
    fn packet(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            if let Some(packet) = take_packet(&mut self.received)? {
                return Ok(packet);
            }
            if self.last_received.elapsed() > 2 * self.keep_alive {
                return Err(Error::other("the server is gone"));
            }
            let ping_at = self.last_sent + self.keep_alive / 2;
            if Instant::now() >= ping_at {
                self.send(PINGREQ, &[])?;
                continue;
            }
            match self.ws.recv_deadline(ping_at) {
                Ok(message) => {
                    self.received.extend_from_slice(message.as_bytes());
                    self.last_received = Instant::now();
                }
                Err(error) if error.is_timeout() => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Removes the first packet, if it is there to its end.
fn take_packet(received: &mut Vec<u8>) -> Result<Option<(u8, Vec<u8>)>> {
    let (mut length, mut at) = (0, 1);
    loop {
        let Some(&byte) = received.get(at) else { return Ok(None) };
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
        if at > 4 {
            return Err(Error::other("a length of more than four bytes"));
        }
    }
    if length > LARGEST_PACKET {
        return Err(Error::other("a packet is too large"));
    }
    if received.len() < at + length {
        return Ok(None);
    }
    let body = received[at..at + length].to_vec();
    let head = received[0];
    received.drain(..at + length);
    Ok(Some((head, body)))
}

/// Text as MQTT has it, behind its length.
fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

pub(crate) mod checks;
