//! What a peer can make a connection hold: the limit on messages and 2 MiB more, whatever it does.
//!
//! What is measured is resident in the process, where the system tells. Each case has a process of its own, since an
//! allocator keeps what it was given back. The peer is a thread of that process, but holds next to nothing. What is asked
//! of the allocator, and how often, is in `allocations.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::env;
use std::io::{self, Read};
use std::net::Shutdown;
use std::process::Command;

use support::{Memory, Peer, answer_to, frame, ms, open, serve};
use websocket_sync::protocol::handshake::ExtensionOffer;
use websocket_sync::protocol::{Extension, Fin, MaskKeys, Outbound, PerMessageDeflate, Role};
#[cfg(target_os = "linux")]
use websocket_sync::protocol::{Inbound, Limits, ProtocolError, Step, TextPolicy};
use websocket_sync::{ConnectOptions, DeflateOptions, MessageRef, Opcode, WebSocket};
#[cfg(target_os = "linux")]
use websocket_sync::{ControlFrames, Error, Result};

const MIB: usize = 1 << 20;
/// The limit on messages.
const LIMIT: usize = 8 * MIB;
/// What a connection may take beside that.
const MORE: u64 = 2 << 20;

/// Says a frame of this length, little by little, as long as somebody listens.
fn say(peer: &Peer, first: u8, length: usize) -> io::Result<()> {
    let piece = [b'p'; 32 * 1024];
    peer.try_say(header(first, length as u64))?;
    (0..length).step_by(piece.len()).try_for_each(|said| peer.try_say(&piece[..piece.len().min(length - said)]))
}

fn header(first: u8, length: u64) -> Vec<u8> {
    let length = length.to_be_bytes();
    match length {
        [0, 0, 0, 0, 0, 0, 0, short @ ..126] => vec![first, short],
        [0, 0, 0, 0, 0, 0, high, low] => vec![first, 126, high, low],
        _ => [&[first, 127], length.as_slice()].concat(),
    }
}

/// Says a message of as many bytes as are allowed, in fragments of this length.
fn say_in_fragments(peer: &Peer, first: u8, length: usize) -> io::Result<()> {
    let number = LIMIT / length;
    (0..number).try_for_each(|index| {
        let opcode = if index == 0 { first & 0x0F } else { 0 };
        say(peer, if index + 1 == number { 0x80 | opcode } else { opcode }, length)
    })
}

/// What a client holds at most that receives until the connection ends.
fn most(script: impl FnOnce(&Peer) -> io::Result<()> + Send + 'static) -> u64 {
    // The program itself becomes resident where it runs: what is measured afterwards has run before.
    converse(|peer| peer.try_say([frame(0x01, "a"), frame(0x89, "b"), frame(0x80, "c"), frame(0x83, "")].concat()));
    let memory = Memory::now();
    converse(script);
    memory.peak()
}

/// Receives what a peer says until the connection ends.
fn converse(script: impl FnOnce(&Peer) -> io::Result<()> + Send + 'static) {
    let options = ConnectOptions::new().max_message_size(LIMIT).max_frame_size(LIMIT).recv_timeout(ms(20_000));
    let (mut ws, peer) = open(&options, |peer| {
        // It may be told to stop.
        let _ = script(&peer);
        let _ = peer.socket().shutdown(Shutdown::Write);
        while (&*peer.socket()).read(&mut [0; 4096]).is_ok_and(|length| length > 0) {}
    });
    receive_all(&mut ws);
    drop(ws);
    peer.join();
}

fn receive_all(ws: &mut WebSocket) {
    while let Ok(message) = ws.recv_ref() {
        let length = match message {
            MessageRef::Text(text) => text.len(),
            MessageRef::Binary(bytes) => bytes.len(),
        };
        assert!(length <= LIMIT);
    }
}

/// For peers that say nothing worth keeping.
#[track_caller]
fn takes_nothing(script: impl FnOnce(&Peer) -> io::Result<()> + Send + 'static) {
    let most = most(script);
    assert!(most <= MORE, "{most} bytes");
}

/// For peers that say as much as they may.
#[track_caller]
fn takes_no_more_than_allowed(script: impl FnOnce(&Peer) -> io::Result<()> + Send + 'static) {
    let most = most(script);
    assert!(most <= LIMIT as u64 + MORE, "{most} bytes");
}

/// Names the case to a process that is to run it.
const CASE: &str = "WEBSOCKET_SYNC_TEST_CASE";

type Case = Box<dyn FnOnce()>;

/// Runs the cases of a test, each in a process of its own.
fn each_alone(test: &str, cases: Vec<Case>) {
    if let Ok(index) = env::var(CASE) {
        let case = cases.into_iter().nth(index.parse().unwrap()).unwrap();
        return case();
    }
    for index in 0..cases.len() {
        let output = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(CASE, index.to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "case {index}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_is_claimed_and_does_not_come_takes_no_memory() {
    let claim = |first: u8, length: u64| -> Case {
        Box::new(move || takes_nothing(move |peer| peer.try_say(header(first, length))))
    };
    let lengths = [LIMIT as u64, LIMIT as u64 + 1, 1 << 32, 1 << 62];
    let cases = lengths.iter().flat_map(|&length| [0x81, 0x82, 0x01, 0x02].map(|first| claim(first, length)));
    each_alone("what_is_claimed_and_does_not_come_takes_no_memory", cases.collect());
}

#[test]
fn messages_that_are_too_large_take_no_memory() {
    let case = |first: u8| -> Case { Box::new(move || takes_nothing(move |peer| say(peer, first, 8 * LIMIT))) };
    each_alone("messages_that_are_too_large_take_no_memory", vec![case(0x81), case(0x82)]);
}

#[test]
fn fragments_and_pings_without_end_take_no_memory() {
    let fragments = |peer: &Peer| {
        say(peer, 0x01, 0)?;
        peer.repeat(frame(0x00, ""), 300_000)
    };
    let pings = |peer: &Peer| peer.repeat(frame(0x89, [b'p'; 125]), 300_000);
    let both = |peer: &Peer| peer.repeat([frame(0x89, [b'p'; 125]), frame(0x81, "m")].concat(), 100_000);
    let cases: Vec<Case> = vec![
        Box::new(move || takes_nothing(fragments)),
        Box::new(move || takes_nothing(pings)),
        Box::new(move || takes_nothing(both)),
    ];
    each_alone("fragments_and_pings_without_end_take_no_memory", cases);
}

#[test]
fn messages_as_large_as_allowed_take_that_and_little_more() {
    let whole = |first: u8| -> Case {
        Box::new(move || takes_no_more_than_allowed(move |peer| (0..3).try_for_each(|_| say(peer, first, LIMIT))))
    };
    let fragments = |first: u8, length: usize| -> Case {
        let thrice = move |peer: &Peer| (0..3).try_for_each(|_| say_in_fragments(peer, first, length));
        Box::new(move || takes_no_more_than_allowed(thrice))
    };
    let cases = [0x81, 0x82].into_iter().flat_map(|first| {
        let mut cases = vec![whole(first)];
        cases.extend([256, 50_000, MIB].map(|length| fragments(first, length)));
        cases
    });
    each_alone("messages_as_large_as_allowed_take_that_and_little_more", cases.collect());
}

#[test]
fn text_and_bytes_in_turn_take_no_more_than_either() {
    const MESSAGES: [u8; 4] = [0x81, 0x82, 0x81, 0x82];
    let whole = |peer: &Peer| MESSAGES.iter().try_for_each(|&first| say(peer, first, LIMIT));
    let fragments = |peer: &Peer| MESSAGES.iter().try_for_each(|&first| say_in_fragments(peer, first, MIB));
    let cases: Vec<Case> = vec![
        Box::new(move || takes_no_more_than_allowed(whole)),
        Box::new(move || takes_no_more_than_allowed(fragments)),
    ];
    each_alone("text_and_bytes_in_turn_take_no_more_than_either", cases);
}

/// Compressed messages, each so many MiB of zeros in fragments of one.
fn bombs(messages: &[usize]) -> Vec<u8> {
    let mut deflate = PerMessageDeflate::new(DeflateOptions::new().level(9)).unwrap();
    deflate.accept(&ExtensionOffer::new("permessage-deflate")).unwrap();
    let mut outbound = Outbound::deflating(Role::Server, MaskKeys::pooled(Box::new(|_| {})), deflate.deflater());
    let zeros = vec![0; MIB];
    for &length in messages {
        for index in 0..length {
            let opcode = if index == 0 { Opcode::Binary } else { Opcode::Continuation };
            outbound.data(opcode, if index + 1 == length { Fin::Last } else { Fin::More }, &zeros).unwrap();
        }
    }
    outbound.pending().to_vec()
}

/// Receives what a peer says with which compression is agreed on, until the connection ends.
fn converse_compressed(says: Vec<u8>) {
    let (url, peer) = serve(move |mut peer| {
        let request = peer.head();
        peer.say(answer_to(&request).replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"));
        let _ = peer.try_say(says);
        let _ = peer.socket().shutdown(Shutdown::Write);
        peer.rest();
    });
    let options = ConnectOptions::new().max_message_size(LIMIT).recv_timeout(ms(20_000)).deflate(DeflateOptions::new());
    let mut ws = options.connect(&url).unwrap();
    receive_all(&mut ws);
    drop(ws);
    peer.join();
}

#[test]
fn compressed_messages_take_what_is_allowed_whatever_they_would_inflate_to() {
    let case = |messages: &'static [usize]| -> Case {
        Box::new(move || {
            let says = bombs(messages);
            converse_compressed(bombs(&[1]));
            let memory = Memory::now();
            converse_compressed(says);
            let peak = memory.peak();
            assert!(peak <= LIMIT as u64 + MORE, "{messages:?}: {peak} bytes");
        })
    };
    let cases = vec![case(&[300]), case(&[8, 8, 8]), case(&[8, 300])];
    each_alone("compressed_messages_take_what_is_allowed_whatever_they_would_inflate_to", cases);
}

/// What a client holds at most that opens a connection to a server which says this again and again.
fn most_of_an_opening(first: &'static str, again: &'static str) -> u64 {
    let open = move |times: usize| {
        let (url, peer) = serve(move |mut peer| {
            peer.head();
            let _ = peer.try_say(first);
            let _ = peer.repeat(again, times);
            let _ = peer.socket().shutdown(Shutdown::Write);
            peer.rest();
        });
        ConnectOptions::new().open_timeout(ms(20_000)).connect(&url).unwrap_err();
        peer.join();
    };
    open(1);
    let memory = Memory::now();
    open((20 * MIB) / again.len());
    memory.peak()
}

#[test]
fn answers_without_end_take_no_memory() {
    let answers = [
        ("HTTP/1.1 101 Yes\r\n", "Field: value\r\n"),
        ("HTTP/1.1 101 Yes\r\nField: ", "value"),
        ("", "HTTP/1.1 103 Wait\r\n\r\n"),
        ("HTTP/1.1 403 No\r\nContent-Length: 99999999999\r\n\r\n", "body"),
        ("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n", "1;extension\r\nb\r\n"),
        ("", "nonsense"),
    ];
    let case = |(first, again)| -> Case {
        Box::new(move || {
            let most = most_of_an_opening(first, again);
            assert!(most <= MORE, "{first:?}: {most} bytes");
        })
    };
    each_alone("answers_without_end_take_no_memory", answers.map(case).into_iter().collect());
}

/// A message within all limits, for which the system has no memory, is an error like one that is too large: the process goes on.
#[cfg(target_os = "linux")]
#[test]
fn a_message_for_which_there_is_no_memory_is_an_error_and_no_abort() {
    type Receive = fn(&mut WebSocket) -> Result<()>;
    let receives: [Receive; 3] = [
        |ws| ws.recv().map(drop),
        |ws| ws.recv_ref().map(drop),
        |ws| ws.recv_data_frame(ControlFrames::Hide).map(drop),
    ];
    let whole = |peer: &Peer, first: u8| say(peer, first, SPARE * 4);
    let fragments = |peer: &Peer, first: u8| {
        say(peer, first & 0x0F, MIB)?;
        (0..SPARE * 4 / MIB).try_for_each(|_| say(peer, 0x00, MIB))
    };
    let mut cases: Vec<Case> = vec![Box::new(inflates_beyond_all_memory)];
    for receive in receives {
        for first in [0x81, 0x82] {
            cases.push(Box::new(move || runs_out_of_memory(receive, move |peer| whole(peer, first))));
        }
    }
    for receive in receives.into_iter().take(2) {
        for first in [0x81, 0x82] {
            cases.push(Box::new(move || runs_out_of_memory(receive, move |peer| fragments(peer, first))));
        }
    }
    each_alone("a_message_for_which_there_is_no_memory_is_an_error_and_no_abort", cases);
}

/// What the process may take from now on, in bytes.
#[cfg(target_os = "linux")]
const SPARE: usize = 48 * MIB;

#[cfg(target_os = "linux")]
fn limit_memory() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")).unwrap();
    let most = kib.parse::<u64>().unwrap() * 1024 + SPARE as u64;
    setrlimit(Resource::As, Rlimit { current: Some(most), maximum: Some(most) }).unwrap();
}

#[cfg(target_os = "linux")]
fn runs_out_of_memory(
    receive: fn(&mut WebSocket) -> Result<()>,
    script: impl FnOnce(&Peer) -> io::Result<()> + Send + 'static,
) {
    let options = ConnectOptions::new().no_limits().recv_timeout(ms(20_000));
    // It is told to stop in the midst of it.
    let (mut ws, peer) = open(&options, |peer| script(&peer).is_err());
    limit_memory();
    let error = receive(&mut ws).unwrap_err();
    assert!(matches!(error, Error::Protocol(ProtocolError::OutOfMemory)), "{error:?}");
    assert!(ws.memory() < 2 * MIB, "{} bytes are kept", ws.memory());
    let closed = ws.recv().unwrap_err();
    assert!(closed.is_closed(), "{closed:?}");
    drop(ws);
    assert!(peer.join(), "the peer has said all");
}

/// A small message that becomes a large one.
#[cfg(target_os = "linux")]
fn inflates_beyond_all_memory() {
    let agreed = || {
        let mut deflate = PerMessageDeflate::new(DeflateOptions::new()).unwrap();
        deflate.accept(&ExtensionOffer::new("permessage-deflate")).unwrap();
        deflate
    };
    let mut client = PerMessageDeflate::new(DeflateOptions::new()).unwrap();
    client.offer().unwrap();
    client.finalize(&ExtensionOffer::new("permessage-deflate")).unwrap();
    let mut outbound = Outbound::deflating(Role::Server, MaskKeys::pooled(Box::new(|_| {})), agreed().deflater());
    let mut inbound = Inbound::inflating(Role::Client, Limits::no_limits(), TextPolicy::Validate, client.inflater());
    let zeros = vec![0; MIB];
    outbound.data(Opcode::Binary, Fin::More, &zeros).unwrap();
    (0..SPARE / MIB * 2).for_each(|_| outbound.data(Opcode::Continuation, Fin::More, &zeros).map(drop).unwrap());
    limit_memory();
    let mut bomb = outbound.pending();
    let error = loop {
        match inbound.advance() {
            Ok(Step::NeedMore) => bomb = &bomb[inbound.push(bomb)..],
            Ok(step) => panic!("{step:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error, ProtocolError::OutOfMemory);
    assert!(inbound.memory() < 2 * MIB);
}
