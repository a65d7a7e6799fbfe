//! Faults of the driver that need a peer with exact timing: over a wire in memory, which takes as much as it is told to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use support::cases::Cases;
use support::{bounded, by_deadline, closed, frame, join, ms, parse_all, unit};
use websocket_sync::protocol::handshake::ExtensionOffer;
use websocket_sync::protocol::{
    Extension, Inbound, Limits, LocalProtocolError, PerMessageDeflate, ProtocolError, Role, Step, TextPolicy,
};
use websocket_sync::{
    CloseCause, CloseCode, CloseInfo, ConnectOptions, ControlFrames, DeflateOptions, Error, Frame, HalfDuplex,
    Interest, Message, MessageKind, Opcode, Phase, Result, Transport, WebSocket,
};

/// The end of a wire in the hands of a test: what it says, what it has heard, and how many more bytes it takes.
#[derive(Clone, Debug)]
struct Wire(Arc<(Mutex<Bytes>, Condvar)>);

#[derive(Debug, Default)]
struct Bytes {
    said: VecDeque<u8>,
    heard: Vec<u8>,
    room: usize,
    ended: bool,
    /// What the next read takes.
    slow_read: Option<Duration>,
    /// Whether a write panics.
    panics: bool,
}

impl Wire {
    /// A connection over a wire that takes `room` bytes.
    fn open(options: &ConnectOptions, room: usize) -> (WebSocket, Self) {
        Self::open_as(Role::Client, options, room, None)
    }

    fn open_as(
        role: Role,
        options: &ConnectOptions,
        room: usize,
        deflate: Option<PerMessageDeflate>,
    ) -> (WebSocket, Self) {
        let bytes = Bytes { room, ..Bytes::default() };
        let wire = Self(Arc::new((Mutex::new(bytes), Condvar::new())));
        (options.from_open(wire.clone(), role, b"", deflate).unwrap(), wire)
    }

    fn say(&self, bytes: impl AsRef<[u8]>) {
        self.change(|wire| wire.said.extend(bytes.as_ref()));
    }

    fn set_room(&self, room: usize) {
        self.change(|wire| wire.room = room);
    }

    /// What was sent so far.
    fn heard(&self) -> Vec<u8> {
        self.0.0.lock().unwrap().heard.clone()
    }

    fn frames(&self) -> Vec<(u8, Vec<u8>)> {
        parse_all(&self.heard()).0
    }

    fn change<T>(&self, change: impl FnOnce(&mut Bytes) -> T) -> T {
        let changed = change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        changed
    }
}

impl Transport for Wire {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(pause) = self.change(|wire| wire.slow_read.take()) {
            thread::sleep(pause);
        }
        self.change(|wire| match wire.said.read(buf)? {
            0 if !wire.ended => Err(io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        })
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        assert!(!self.change(|wire| wire.panics), "as it should");
        self.change(|wire| match buf.len().min(wire.room) {
            _ if wire.ended => Err(io::ErrorKind::BrokenPipe.into()),
            0 => Err(io::ErrorKind::WouldBlock.into()),
            length => {
                wire.room -= length;
                wire.heard.extend(&buf[..length]);
                Ok(length)
            }
        })
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        let mut wire = self.0.0.lock().unwrap();
        loop {
            let ready = match interest {
                Interest::Read => !wire.said.is_empty(),
                Interest::Write => wire.room > 0,
            };
            if ready || wire.ended {
                return Ok(true);
            }
            let rest = deadline.map_or(ms(60_000), |deadline| deadline.saturating_duration_since(Instant::now()));
            if rest.is_zero() {
                return Ok(false);
            }
            wire = self.0.1.wait_timeout(wire, rest).unwrap().0;
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Write {
            self.change(|wire| wire.ended = true);
        }
        Ok(())
    }
}

fn options() -> ConnectOptions {
    ConnectOptions::new().send_timeout(ms(100)).close_timeout(ms(300)).recv_timeout(ms(5000))
}

#[track_caller]
fn assert_goes_on(ws: &WebSocket, wire: &Wire) {
    assert!(ws.connected(), "{:?}", ws.close_info());
    wire.set_room(usize::MAX);
    ws.send_text("goes on").unwrap();
    assert_eq!(wire.frames().last().unwrap(), &(0x81, b"goes on".to_vec()));
}

#[track_caller]
fn assert_told(info: &CloseInfo, code: u16, reason: &str, cause: CloseCause) {
    assert_eq!((info.code.0, info.reason.as_str(), info.cause), (code, reason, cause));
}

/// A Close 1009 of the peer.
fn too_big() -> Vec<u8> {
    frame(0x88, b"\x03\xf1too big")
}

// What was sent in part is never taken for unsent.

/// The frame of a client: its header and what is written at a time.
const FIRST_CHUNK: usize = 14 + 256 * 1024;

#[test]
fn a_send_that_stalls_between_two_chunks_ends_the_connection() {
    type Send = fn(&WebSocket) -> Result<()>;
    const SENDS: &[(&str, Send)] = &[
        ("send_binary", |ws| unit(ws.send_binary(&vec![1; 1 << 20]))),
        ("send_frame", |ws| unit(ws.send_frame(&Frame::new(Opcode::Binary, vec![1; 1 << 20])))),
        ("send_reader", |ws| unit(ws.send_reader(MessageKind::Binary, io::repeat(1).take(1 << 20), Some(1 << 20)))),
        ("cork", |ws| ws.cork(|batch| unit(batch.send_binary(&vec![1; 1 << 20])))),
    ];
    for &(name, send) in SENDS {
        for tail in [0, 1000] {
            bounded(10, move || {
                let (ws, wire) = Wire::open(&options(), 0);
                let mut room = FIRST_CHUNK;
                if tail > 0 {
                    room += ws.try_send_binary(&vec![7; tail]).unwrap();
                }
                wire.set_room(room);
                assert!(send(&ws).unwrap_err().is_timeout(), "{name}");
                assert!(!ws.connected(), "{name} behind {tail} bytes: it goes on");
                wire.set_room(usize::MAX);
                let info = closed(ws.send_text("behind a part of a frame"));
                assert_eq!(info.cause, CloseCause::TornFrame, "{name}");
                drop(ws);
                assert_eq!(wire.heard().len(), room, "{name}: something follows");
            });
        }
    }
}

#[test]
fn a_send_that_stalls_behind_an_earlier_tail_sends_nothing_and_goes_on() {
    for left in [0, 1, 500, 1008] {
        let (ws, wire) = Wire::open(&options(), 0);
        assert_eq!(ws.try_send_binary(&[7; 1000]).unwrap(), 1008);
        wire.set_room(left);
        assert!(ws.send_binary(&vec![1; 1 << 20]).unwrap_err().is_timeout());
        assert_goes_on(&ws, &wire);
        let kinds: Vec<_> = wire.frames().into_iter().map(|(first, payload)| (first, payload.len())).collect();
        assert_eq!(kinds, [(0x82, 1000), (0x81, 7)], "{left}");
    }
}

/// permessage-deflate as both ends have agreed to it: the client's, the server's.
fn agreed(options: DeflateOptions) -> [PerMessageDeflate; 2] {
    let new = || PerMessageDeflate::new(options).unwrap();
    let offer = |parameters: &str| {
        let list = format!("permessage-deflate; {parameters}");
        ExtensionOffer::parse_list(list.trim_end_matches("; ")).unwrap().remove(0)
    };
    let (mut client, mut server) = (new(), new());
    let answer = server.accept(&offer(&client.offer().unwrap())).unwrap();
    client.finalize(&offer(&answer)).unwrap();
    [client, server]
}

#[test]
fn compression_that_was_negotiated_for_the_other_role_is_refused() {
    let [client, server] = agreed(DeflateOptions::new().client_no_context_takeover());
    for (role, deflate) in [(Role::Server, client), (Role::Client, server)] {
        let bytes = Bytes::default();
        let wire = Wire(Arc::new((Mutex::new(bytes), Condvar::new())));
        let refused = ConnectOptions::new().from_open(wire, role, b"", Some(deflate));
        assert!(matches!(&refused, Err(Error::Options(problem)) if problem.option == "deflate"), "{refused:?}");
    }
    // What was not agreed upon is not used.
    let deflate = PerMessageDeflate::new(DeflateOptions::new()).unwrap();
    assert_eq!(Wire::open_as(Role::Client, &ConnectOptions::new(), 0, Some(deflate)).0.deflate(), None);
}

/// What came behind a handshake that was made elsewhere: as much as is allowed is received, in either role, and more is refused.
#[test]
fn what_came_behind_a_handshake_that_was_made_elsewhere_is_bounded() {
    const MOST: usize = 64 * 1024;
    for (role, key) in [(Role::Client, None), (Role::Server, Some([1, 2, 3, 4]))] {
        let small = Frame::new(Opcode::Binary, "small").to_bytes(key);
        let mut large = vec![7; MOST - small.len()];
        large.truncate(2 * large.len() - Frame::new(Opcode::Binary, large.clone()).to_bytes(key).len());
        let received = [small, Frame::new(Opcode::Binary, large.clone()).to_bytes(key)].concat();
        assert_eq!(received.len(), MOST);
        let open = |received: &[u8]| {
            let wire = Wire(Arc::new((Mutex::new(Bytes::default()), Condvar::new())));
            ConnectOptions::new().recv_timeout(Duration::ZERO).from_open(wire, role, received, None)
        };
        let mut ws = open(&received).unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from(&b"small"[..]));
        assert_eq!(ws.recv().unwrap(), Message::Binary(large));
        assert!(ws.recv().unwrap_err().is_timeout());
        let refused = open(&[&received[..], b"\x89"].concat());
        assert!(matches!(&refused, Err(Error::Options(problem)) if problem.option == "received"), "{refused:?}");
    }
}

/// Sends of every kind, of which some time out, over a wire that takes a little at a time: what was said to be sent arrives, and
/// nothing else.
#[test]
fn whatever_times_out_the_peer_gets_what_was_sent_and_nothing_else() {
    const TAKEOVER: DeflateOptions = DeflateOptions::new().threshold(0);
    let settings = [None, Some(TAKEOVER), Some(TAKEOVER.client_no_context_takeover())];
    let (mut succeeded, mut timed_out, mut arrived) = (0, 0, 0);
    for seed in 0..300_u64 {
        let deflate = settings[seed as usize % 3];
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % below
        };
        let [ours, theirs] = deflate.map_or([None, None], |options| agreed(options).map(Some));
        let options = ConnectOptions::new().send_timeout(ms(1)).close_timeout(ms(1)).max_unsent(1 << 20);
        let (ws, wire) = Wire::open_as(Role::Client, &options, 0, ours);
        let mut sent: Vec<Vec<u8>> = Vec::new();
        let mut begun: Option<Vec<u8>> = None;
        for _ in 0..40 {
            wire.change(|wire| wire.room = random(3) * random(2000));
            let length = if random(8) == 0 { 300_000 + random(300_000) } else { random(3000) };
            let payload: Vec<u8> = (0..length).map(|_| b"abcdefgh"[random(8)]).collect();
            let outcome = match random(6) {
                0 => ws.send_binary(&payload).map(drop).map(|()| sent.push(payload)),
                1 => ws.try_send_binary(&payload).map(drop).map(|()| sent.push(payload)),
                2 => ws.send_reader(MessageKind::Binary, &payload[..], Some(length as u64)).map(|_| sent.push(payload)),
                3 => {
                    // What is large leaves by itself, the rest when the batch is over.
                    let mut left = 0;
                    let filled = ws.cork(|batch| {
                        for _ in 0..2 {
                            batch.send_binary(&payload)?;
                            left += usize::from(length > 64 * 1024);
                        }
                        Ok(())
                    });
                    // Where the connection is over, a part of the batch may have left.
                    let arrive = if filled.is_ok() || !ws.connected() { 2 } else { left };
                    sent.extend(std::iter::repeat_n(payload, arrive));
                    filled
                }
                _ => {
                    let fin = random(2) == 0;
                    let opcode = if begun.is_some() { Opcode::Continuation } else { Opcode::Binary };
                    ws.send_frame(&Frame { fin, ..Frame::new(opcode, payload.clone()) }).map(|_| {
                        let whole = [begun.take().unwrap_or_default(), payload].concat();
                        if fin { sent.push(whole) } else { begun = Some(whole) }
                    })
                }
            };
            match outcome {
                Ok(()) => succeeded += 1,
                Err(Error::Timeout(_)) => timed_out += 1,
                Err(Error::Full | Error::Usage(_)) => {}
                Err(Error::Closed(_)) => break,
                Err(other) => panic!("{seed}: {other:?}"),
            }
        }
        let was_open = ws.connected();
        wire.set_room(usize::MAX);
        if was_open {
            ws.try_flush().unwrap();
        }
        drop(ws);
        let heard = wire.heard();
        let (mut server, theirs) = Wire::open_as(Role::Server, &ConnectOptions::new(), usize::MAX, theirs);
        theirs.say(&heard);
        theirs.change(|wire| wire.ended = true);
        let received: Vec<_> =
            std::iter::from_fn(|| server.recv().ok()).map(|message| message.as_bytes().to_vec()).collect();
        let complete = received.len();
        assert!(complete <= sent.len(), "{seed}");
        assert!(received == sent[..complete], "{seed}: another message than was sent");
        if was_open {
            assert_eq!(complete, sent.len(), "{seed}: {:?}", server.close_info());
        }
        arrived += complete;
    }
    let counts = (succeeded, timed_out, arrived);
    assert!(succeeded >= 300 && timed_out >= 600 && arrived >= 300, "sent, timed out, received: {counts:?}");
}

#[test]
fn a_batch_that_ignores_a_failure_tells_it_in_the_end() {
    let (ws, wire) = Wire::open(&options(), FIRST_CHUNK + 100);
    let sent = ws.cork(|batch| {
        assert!(batch.send_binary(&vec![1; 1 << 20]).unwrap_err().is_timeout());
        Ok(())
    });
    assert_eq!(closed(sent).cause, CloseCause::TornFrame);
    assert_eq!(wire.heard().len(), FIRST_CHUNK + 100);
}

#[test]
fn a_reader_of_unknown_length_waits_for_other_threads_within_its_one_deadline() {
    /// Gives a fragment, then another one after a while in which a ping of another thread gets stuck.
    struct Fragments<'a>(&'a Wire, mpsc::Sender<()>, usize);
    impl Read for Fragments<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let before = self.2;
            self.2 += buf.len();
            if (before..self.2).contains(&100_000) {
                self.0.set_room(0);
                self.1.send(()).unwrap();
                thread::sleep(ms(100));
            }
            Ok(buf.len())
        }
    }
    bounded(10, || {
        let (ws, wire) = Wire::open(&options().send_timeout(ms(400)), 1000);
        let (stick, waits) = mpsc::channel();
        let sender = ws.sender();
        let ping = thread::spawn(move || {
            waits.recv().unwrap();
            sender.ping("stuck")
        });
        let peer = wire.clone();
        let peer = thread::spawn(move || {
            thread::sleep(ms(200));
            peer.set_room(70_000);
        });
        let reader = Fragments(&wire, stick, 0);
        // The Close of what was begun has its own time.
        let sent = by_deadline(ms(400 + 300), || ws.send_reader(MessageKind::Binary, reader, None));
        assert!(sent.unwrap_err().is_timeout());
        join(peer);
        assert!(join(ping).is_err());
    });
}

#[test]
fn what_a_batch_does_between_its_writes_costs_nothing_of_their_time() {
    bounded(10, || {
        let (ws, wire) = Wire::open(&options().send_timeout(ms(400)), 1000);
        let peer = wire.clone();
        let (go, waits) = mpsc::channel();
        let peer = thread::spawn(move || {
            for room in [70_000, 1 << 20] {
                waits.recv().unwrap();
                thread::sleep(ms(20));
                peer.set_room(room);
            }
        });
        ws.cork(|batch| {
            for _ in 0..2 {
                batch.send_binary(&[1; 60_000])?;
                go.send(()).unwrap();
                batch.flush()?;
                // Longer than a send may take.
                thread::sleep(ms(500));
            }
            Ok(())
        })
        .unwrap();
        join(peer);
        assert_eq!(wire.frames().len(), 2);
    });
}

#[test]
fn a_large_message_in_a_batch_has_the_time_of_a_send_behind_what_was_gathered() {
    bounded(10, || {
        let (ws, wire) = Wire::open(&options().send_timeout(ms(400)), 0);
        let peer = wire.clone();
        let peer = thread::spawn(move || {
            // What was gathered, and then the rest.
            for room in [20_000, usize::MAX] {
                thread::sleep(ms(300));
                peer.set_room(room);
            }
        });
        ws.cork(|batch| {
            batch.send_binary(&vec![1; 20_000 - 8])?;
            unit(batch.send_binary(&vec![2; 100_000]))
        })
        .unwrap();
        join(peer);
        assert_eq!(wire.frames().len(), 2);
    });
}

#[test]
fn pings_of_a_batch_are_written_when_as_much_is_gathered_as_of_messages() {
    let (ws, wire) = Wire::open(&options(), usize::MAX);
    ws.cork(|batch| {
        (0..1000).try_for_each(|_| batch.ping(&[7; 125]))?;
        assert!(wire.heard().len() >= 64 * 1024, "{} bytes", wire.heard().len());
        Ok(())
    })
    .unwrap();
    assert_eq!(wire.frames().len(), 1000);
}

// "Nothing was sent, the connection goes on."

#[test]
fn a_writer_whose_text_was_refused_sends_nothing_of_it_when_it_is_flushed() {
    let (ws, wire) = Wire::open(&options(), usize::MAX);
    let mut writer = ws.message_writer(MessageKind::Text).unwrap();
    writer.write_all(b"well, ").unwrap();
    let refused = |result: io::Result<()>| Error::from(result.unwrap_err()).to_string();
    let expected = LocalProtocolError::TextNotUtf8.to_string();
    assert_eq!(refused(writer.write_all(b"\xff")), expected);
    assert_eq!(refused(writer.flush()), expected);
    assert!(matches!(writer.finish(), Err(Error::Usage(LocalProtocolError::TextNotUtf8))));
    assert!(wire.heard().is_empty());
    assert_goes_on(&ws, &wire);
}

#[test]
fn a_writer_whose_message_was_refused_before_any_of_it_left_leaves_the_connection_as_it_was() {
    type Send = fn(&WebSocket) -> Result<()>;
    const SENDS: &[(&str, Send)] = &[
        ("finish", |ws| {
            let mut writer = ws.message_writer(MessageKind::Binary)?;
            writer.write_all(b"not sent")?;
            writer.finish()
        }),
        ("send_reader", |ws| unit(ws.send_reader(MessageKind::Binary, &b"not sent"[..], None))),
    ];
    for &(name, send) in SENDS {
        // Another message is in progress, begun by hand.
        let (ws, wire) = Wire::open(&options(), usize::MAX);
        ws.send_frame(&Frame { fin: false, ..Frame::new(Opcode::Text, "first ") }).unwrap();
        let error = send(&ws).unwrap_err();
        assert!(matches!(error, Error::Usage(LocalProtocolError::OutOfSequence(_))), "{name}: {error:?}");
        ws.send_frame(&Frame::new(Opcode::Continuation, "last")).unwrap();
        assert_goes_on(&ws, &wire);
        assert_eq!(wire.frames().len(), 3, "{name}");

        // The peer takes nothing for a while.
        let (ws, wire) = Wire::open(&options(), 0);
        by_deadline(ms(150), || assert!(send(&ws).unwrap_err().is_timeout(), "{name}"));
        assert_goes_on(&ws, &wire);
        assert_eq!(wire.frames().len(), 1, "{name}");
    }
}

// What one thread begins another does not end.

#[test]
fn a_fragment_by_hand_does_not_become_a_part_of_what_a_writer_sends() {
    bounded(10, || {
        let (ws, wire) = Wire::open(&options(), usize::MAX);
        let mut writer = ws.message_writer(MessageKind::Text).unwrap();
        writer.write_all(b"Hel").unwrap();
        writer.flush().unwrap();
        let foreign = Frame::new(Opcode::Continuation, "foreign");
        let error = ws.send_frame(&foreign).unwrap_err();
        assert!(matches!(error, Error::Usage(LocalProtocolError::SendingMessage)), "{error:?}");
        let sender = ws.sender();
        let other = thread::spawn(move || sender.send_frame(&foreign));
        assert!(join(other).is_err());
        writer.write_all(b"lo").unwrap();
        writer.finish().unwrap();
        assert_eq!(wire.frames(), [(0x01, b"Hel".to_vec()), (0x80, b"lo".to_vec())]);
    });
}

#[test]
fn a_writer_that_was_moved_belongs_to_the_thread_that_writes() {
    bounded(10, || {
        let (ws, wire) = Wire::open(&options().send_timeout(ms(5000)), usize::MAX);
        let mut writer = ws.message_writer(MessageKind::Text).unwrap();
        let sender = ws.sender();
        let (tell, told) = mpsc::channel();
        let (go, waits) = mpsc::channel::<()>();
        let moved = thread::spawn(move || {
            // Less than a fragment: nothing is sent yet.
            writer.write_all(b"Hello").unwrap();
            let own = by_deadline(ms(100), || sender.send_text("own")).unwrap_err();
            assert!(matches!(own, Error::Usage(LocalProtocolError::SendingMessage)), "{own:?}");
            tell.send(()).unwrap();
            waits.recv().unwrap();
            thread::sleep(ms(100));
            writer.finish().unwrap();
        });
        told.recv().unwrap();
        go.send(()).unwrap();
        ws.send_text("waits for it").unwrap();
        join(moved);
        assert_eq!(wire.frames(), [(0x81, b"Hello".to_vec()), (0x81, b"waits for it".to_vec())]);
    });
}

#[test]
fn a_message_reader_that_was_moved_belongs_to_the_thread_that_reads() {
    bounded(10, || {
        let (mut ws, wire) = Wire::open(&options().close_timeout(ms(2000)), usize::MAX);
        let sender = ws.sender();
        wire.say(frame(0x01, "first "));
        let mut reader = ws.message_reader().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                wire.say(frame(0x00, "second "));
                reader.read_exact(&mut [0; 13]).unwrap();
                by_deadline(ms(100), || sender.close().unwrap());
            });
        });
        drop(reader);
        wire.say([frame(0x80, "last"), frame(0x88, b"\x03\xe8")].concat());
        wire.change(|wire| wire.ended = true);
        assert_eq!(closed(ws.recv()).cause, CloseCause::Local);
    });
}

#[test]
fn a_compressed_message_that_is_given_up_between_two_fragments_is_closed_with_1011() {
    type Send = fn(&WebSocket) -> Result<u64>;
    const LENGTH: usize = 600 << 10;
    fn text() -> Vec<u8> {
        let mut text = vec![b'a'; LENGTH];
        text[LENGTH - 1] = 0xff;
        text
    }
    let sends: [(&str, Send, LocalProtocolError); 4] = [
        (
            "a reader that ends too early",
            |ws| ws.send_reader(MessageKind::Binary, io::repeat(1).take(300 << 10), Some(LENGTH as u64)),
            LocalProtocolError::PayloadLength,
        ),
        (
            "a reader of text that is none",
            |ws| ws.send_reader(MessageKind::Text, &text()[..], Some(LENGTH as u64)),
            LocalProtocolError::TextNotUtf8,
        ),
        ("send", |ws| ws.send(text(), Opcode::Text).map(|_| 0), LocalProtocolError::TextNotUtf8),
        (
            "send_frame",
            |ws| ws.send_frame(&Frame::new(Opcode::Text, text())).map(|_| 0),
            LocalProtocolError::TextNotUtf8,
        ),
    ];
    for (name, send, broken) in sends {
        let [ours, theirs] = agreed(DeflateOptions::new());
        let (mut ws, wire) = Wire::open_as(Role::Client, &options(), usize::MAX, Some(ours));
        let info = closed(send(&ws));
        assert_told(&info, 1011, "", CloseCause::Unfinished(broken));
        assert_eq!(closed(ws.send_text("no more")).code, CloseCode::INTERNAL_ERROR, "{name}");
        let mut peer = Inbound::inflating(Role::Server, Limits::default(), TextPolicy::default(), theirs.inflater());
        let heard = wire.heard();
        let mut rest = &heard[..];
        while peer.advance() == Ok(Step::NeedMore) && !rest.is_empty() {
            let length = peer.push(rest);
            rest = &rest[length..];
        }
        assert_eq!(peer.close().map(|close| close.code), Some(CloseCode::INTERNAL_ERROR), "{name}");
        wire.say(frame(0x88, b"\x03\xf3"));
        wire.change(|wire| wire.ended = true);
        assert_eq!(closed(ws.recv()).cause, CloseCause::Local, "{name}");
    }
}

// What the peer said last is told.

#[test]
fn a_close_behind_messages_that_were_received_is_told_after_an_abort_by_every_receive() {
    type Receive = fn(&mut WebSocket) -> Result<()>;
    const RECEIVES: &[(&str, Receive)] = &[
        ("recv", |ws| unit(ws.recv())),
        ("recv_ref", |ws| unit(ws.recv_ref())),
        ("try_recv", |ws| unit(ws.try_recv())),
        ("recv_data_frame", |ws| unit(ws.recv_data_frame(ControlFrames::Hide))),
        ("message_reader", |ws| unit(ws.message_reader())),
    ];
    for &(name, receive) in RECEIVES {
        let (mut ws, wire) = Wire::open(&options(), usize::MAX);
        wire.say([frame(0x81, "first"), too_big()].concat());
        assert_eq!(ws.recv().unwrap(), Message::from("first"));
        ws.sender().abort();
        let info = closed(receive(&mut ws));
        assert_told(&info, 1009, "too big", CloseCause::Remote);
        assert_eq!(ws.close_info().unwrap(), info, "{name}");
    }
}

/// A Close with a code that must not be on the wire is a violation, and has a reason all the same.
#[test]
fn the_reason_of_a_close_that_is_a_violation_is_told_however_this_side_has_ended() {
    type End = fn(&WebSocket);
    const ENDS: &[(&str, End)] = &[
        ("abort", |ws| ws.abort()),
        ("Sender::abort", |ws| ws.sender().abort()),
        ("a send that timed out", |ws| assert!(ws.send_binary(&[1; 1000]).unwrap_err().is_timeout())),
    ];
    let violation = CloseCause::Violation(ProtocolError::CloseCode(CloseCode(1005)));
    // After a send that timed out, receives go on.
    let told = |ws: &mut WebSocket| loop {
        match ws.recv() {
            Ok(_) | Err(Error::Protocol(_)) => {}
            end => break closed(end),
        }
    };
    for &(name, end) in ENDS {
        for before in [frame(0x81, "before"), Vec::new()] {
            for (is_buffered, is_received) in [(false, false), (false, true), (true, false), (true, true)] {
                let said = [before.clone(), frame(0x88, b"\x03\xedwhy")].concat();
                let (behind, later) = if is_buffered { (&said[..], &[][..]) } else { (&[][..], &said[..]) };
                let bytes = Bytes { room: 100, said: later.iter().copied().collect(), ..Bytes::default() };
                let wire = Wire(Arc::new((Mutex::new(bytes), Condvar::new())));
                let mut ws = options().from_open(wire, Role::Client, behind, None).unwrap();
                end(&ws);
                let info = if is_received { told(&mut ws) } else { ws.close_info().unwrap() };
                assert_eq!((info.code.0, info.reason.as_str(), info.cause), (1002, "why", violation), "after {name}");
                assert_eq!((told(&mut ws), ws.close_info()), (info.clone(), Some(info)), "after {name}");
            }
        }
    }
}

#[test]
fn an_answer_that_came_in_time_is_told_by_a_receive_that_comes_late() {
    type Receive = fn(&mut WebSocket) -> Result<()>;
    const RECEIVES: &[(&str, Receive)] = &[
        ("recv", |ws| unit(ws.recv())),
        ("try_recv", |ws| unit(ws.try_recv())),
        ("recv_frame", |ws| {
            // The Close is a frame like any other here.
            assert_eq!(ws.recv_frame()?.opcode, Opcode::Close);
            unit(ws.recv_frame())
        }),
        ("close", |ws| {
            ws.close()?;
            unit(ws.recv())
        }),
    ];
    let mut cases = Cases::new();
    for &(name, receive) in RECEIVES {
        cases.add(format!("{name} after an answer"), move || {
            let (mut ws, wire) = Wire::open(&options(), usize::MAX);
            ws.send_close(CloseCode::NORMAL, "").unwrap();
            wire.say(frame(0x88, b"\x03\xe8bye"));
            thread::sleep(ms(400));
            let info = closed(receive(&mut ws));
            assert_told(&info, 1000, "bye", CloseCause::Local);
            assert_eq!(ws.close_info().unwrap(), info);
        });
        cases.add(format!("{name} after a Close of the peer's"), move || {
            let (mut ws, wire) = Wire::open(&options(), 100);
            assert!(ws.send_binary(&[1; 1000]).unwrap_err().is_timeout());
            wire.say(too_big());
            thread::sleep(ms(400));
            assert_told(&closed(receive(&mut ws)), 1009, "too big", CloseCause::Remote);
        });
    }
    cases.run(10);
}

#[test]
fn a_receive_that_is_refused_for_what_another_has_in_part_ends_with_the_closing_handshake() {
    type Receive = fn(&mut WebSocket) -> Result<()>;
    const RECEIVES: &[(&str, Receive)] = &[
        ("recv", |ws| unit(ws.recv())),
        ("try_recv", |ws| unit(ws.try_recv())),
        ("message_reader", |ws| unit(ws.message_reader())),
    ];
    for &(name, receive) in RECEIVES {
        for answer in ["", "bye"] {
            let (mut ws, wire) = Wire::open(&options().close_timeout(ms(30)), usize::MAX);
            // A frame that ends inside a character.
            wire.say(frame(0x01, b"\xc3"));
            assert_eq!(ws.recv_frame().unwrap().payload, b"\xc3");
            ws.send_close(CloseCode::NORMAL, "").unwrap();
            if !answer.is_empty() {
                wire.say([frame(0x80, b"\xa9"), frame(0x88, [b"\x03\xe8", answer.as_bytes()].concat())].concat());
            }
            let deadline = ws.close_deadline().unwrap();
            thread::sleep(deadline.saturating_duration_since(Instant::now()) + ms(1));
            let info = closed(receive(&mut ws));
            match answer {
                "" => assert_eq!(info.cause, CloseCause::Unanswered, "{name}"),
                _ => assert_told(&info, 1000, answer, CloseCause::Local),
            }
            assert_eq!(ws.close_info().unwrap(), info, "{name}");
        }
    }
}

#[test]
fn a_look_at_how_it_ends_hides_no_message_from_a_loop() {
    let (mut ws, wire) = Wire::open(&options(), 100);
    assert!(ws.send_binary(&[1; 1000]).unwrap_err().is_timeout());
    assert!(ws.try_recv().unwrap().is_none() && !ws.has_buffered());
    wire.say([frame(0x81, "before"), too_big()].concat());
    assert_told(&ws.close_info().unwrap(), 1009, "too big", CloseCause::Remote);
    // The socket has nothing to say any more.
    assert!(ws.has_buffered());
    assert_eq!(ws.try_recv().unwrap(), Some(Message::from("before")));
    assert_told(&closed(ws.try_recv()), 1009, "too big", CloseCause::Remote);

    // The rest of a large message does not pass through the window.
    let (mut ws, wire) = Wire::open(&options(), 100);
    let large = frame(0x82, vec![1; 100_000]);
    let (first, rest) = large.split_at(50_000);
    wire.say(first);
    assert!(ws.try_recv().unwrap().is_none());
    assert!(ws.send_binary(&[1; 1000]).unwrap_err().is_timeout());
    assert!(ws.try_recv().unwrap().is_none() && !ws.has_buffered());
    wire.say(rest);
    assert_eq!(ws.close_info().unwrap().cause, CloseCause::TornFrame);
    assert_eq!(wire.change(|wire| wire.said.len()), 0);
    assert!(ws.has_buffered());
    assert_eq!(ws.try_recv().unwrap(), Some(Message::from(vec![1; 100_000])));
}

#[test]
fn what_came_before_a_write_failed_is_told_over_a_half_duplex_stream_too() {
    struct ReadsOnly(io::Cursor<Vec<u8>>);
    impl Read for ReadsOnly {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
    }
    impl Write for ReadsOnly {
        fn write(&mut self, _buf: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let said = [frame(0x81, "before"), too_big()].concat();
    let stream = HalfDuplex::new(ReadsOnly(io::Cursor::new(said)));
    let mut ws = options().from_open(stream, Role::Client, b"", None).unwrap();
    assert_eq!(closed(ws.send_text("heard by nobody")).cause, CloseCause::Lost(io::ErrorKind::BrokenPipe));
    assert_eq!(ws.recv().unwrap(), Message::from("before"));
    assert_told(&closed(ws.recv()), 1009, "too big", CloseCause::Remote);
}

#[test]
fn a_close_that_was_received_as_a_frame_is_told_after_a_write_failed() {
    let (mut ws, wire) = Wire::open(&options(), usize::MAX);
    wire.say(too_big());
    assert_eq!(ws.recv_frame().unwrap().opcode, Opcode::Close);
    wire.change(|wire| wire.ended = true);
    assert_eq!(closed(ws.send_text("heard by nobody")).cause, CloseCause::Lost(io::ErrorKind::BrokenPipe));
    let info = ws.close_info().unwrap();
    assert_told(&info, 1009, "too big", CloseCause::Remote);
    assert_eq!(closed(ws.recv()), info);
}

#[test]
fn a_look_at_how_it_ends_reads_no_more_than_a_little() {
    let (mut ws, wire) = Wire::open(&options().close_timeout(ms(5000)), 100);
    let large = frame(0x82, vec![1; 40 << 20]);
    let (first, rest) = large.split_at(20 << 20);
    wire.say(first);
    assert!(ws.recv_timeout(ms(50)).unwrap_err().is_timeout());
    assert!(ws.send_binary(&[1; 1000]).unwrap_err().is_timeout());
    wire.say(rest);
    assert_eq!(ws.close_info().unwrap().cause, CloseCause::TornFrame);
    assert!(wire.change(|wire| wire.said.len()) >= rest.len() - (1 << 20));
    assert_eq!(ws.recv().unwrap(), Message::from(vec![1; 40 << 20]));
}

#[test]
fn nothing_is_received_behind_an_end_that_much_has_arrived_before() {
    type Receive = fn(&mut WebSocket) -> Result<()>;
    const RECEIVES: &[(&str, Receive)] = &[
        ("recv", |ws| unit(ws.recv())),
        ("recv_data_frame", |ws| unit(ws.recv_data_frame(ControlFrames::Show))),
        ("try_recv_data_frame", |ws| unit(ws.try_recv_data_frame(ControlFrames::Show))),
        ("recv_frame", |ws| unit(ws.recv_frame())),
    ];
    // More than is looked through for the Close at its end, and in no reads that end where a frame ends.
    let mut said = [frame(0x82, [1; 100]), frame(0x89, "ping")].concat().repeat(10_000);
    said.extend(too_big());
    for &(name, receive) in RECEIVES {
        let (mut ws, wire) = Wire::open(&options(), usize::MAX);
        wire.say(&said);
        ws.abort();
        let info = closed(receive(&mut ws));
        assert_eq!(info.cause, CloseCause::Aborted, "{name}");
        for &(then, receive) in RECEIVES {
            assert_eq!(closed(receive(&mut ws)), info, "{name}, then {then}");
        }
        assert_eq!(ws.close_info(), Some(info));
    }
}

#[test]
fn a_close_comes_once_as_a_frame_though_a_send_is_stuck() {
    bounded(10, || {
        let (mut ws, wire) = Wire::open(&options().send_timeout(ms(3000)).close_timeout(ms(1500)), 100);
        let sender = ws.sender();
        let stuck = thread::spawn(move || sender.send_binary(&[1; 1000]));
        thread::sleep(ms(100));
        wire.say(too_big());
        let first = ws.recv_data_frame(ControlFrames::Hide).unwrap();
        assert_eq!(first.opcode, Opcode::Close);
        assert_told(&closed(ws.recv_data_frame(ControlFrames::Hide)), 1009, "too big", CloseCause::Remote);
        drop(ws);
        assert!(join(stuck).is_err());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_close_behind_a_send_that_is_stuck_does_not_spin() {
    use rustix::time::{ClockId, clock_gettime};
    fn cpu() -> Duration {
        clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
    }
    bounded(10, || {
        let (ws, wire) = Wire::open(&options().send_timeout(ms(5000)).close_timeout(ms(1000)), 100);
        let sender = ws.sender();
        let stuck = thread::spawn(move || sender.send_binary(&[1; 1000]));
        thread::sleep(ms(100));
        wire.say(too_big());
        let before = cpu();
        ws.close().unwrap();
        let spent = cpu() - before;
        assert_told(&ws.close_info().unwrap(), 1009, "too big", CloseCause::Local);
        assert!(spent < ms(100), "{spent:?} of CPU time");
        assert!(join(stuck).is_err());
    });
}

#[test]
fn a_close_behind_a_send_that_gets_on_is_answered() {
    bounded(10, || {
        let (ws, wire) = Wire::open(&options().send_timeout(ms(5000)).close_timeout(ms(1500)), 100);
        let sender = ws.sender();
        let stuck = thread::spawn(move || sender.send_binary(&[1; 1000]));
        thread::sleep(ms(100));
        wire.say(too_big());
        let peer = wire.clone();
        let peer = thread::spawn(move || {
            thread::sleep(ms(300));
            peer.set_room(usize::MAX);
            thread::sleep(ms(200));
            peer.change(|wire| wire.ended = true);
        });
        by_deadline(ms(700), || ws.close().unwrap());
        join(peer);
        join(stuck).unwrap();
        assert_told(&ws.close_info().unwrap(), 1009, "too big", CloseCause::Local);
        let kinds: Vec<_> = wire.frames().into_iter().map(|(first, _)| first).collect();
        assert_eq!(kinds, [0x82, 0x88]);
    });
}

#[test]
fn a_close_that_could_not_leave_behind_another_threads_send_is_sent_by_the_receive_that_follows() {
    bounded(10, || {
        let (mut ws, wire) = Wire::open(&options().send_timeout(ms(5000)).close_timeout(ms(500)), 100);
        let sender = ws.sender();
        let stuck = thread::spawn(move || sender.send_binary(&[1; 1000]));
        thread::sleep(ms(100));
        let late = by_deadline(ms(500), || ws.send_close(CloseCode::NORMAL, ""));
        assert!(matches!(late, Err(Error::Timeout(Phase::Close))), "{late:?}");
        let peer = wire.clone();
        let peer = thread::spawn(move || {
            thread::sleep(ms(200));
            peer.set_room(usize::MAX);
            thread::sleep(ms(100));
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.change(|wire| wire.ended = true);
        });
        assert_eq!(closed(ws.recv()).cause, CloseCause::Local);
        join(peer);
        join(stuck).unwrap();
        let kinds: Vec<_> = wire.frames().into_iter().map(|(first, _)| first).collect();
        assert_eq!(kinds, [0x82, 0x88]);
    });
}

#[test]
fn a_close_that_cannot_leave_any_more_is_not_told_as_sent() {
    type Close = fn(&WebSocket) -> Result<()>;
    const CLOSES: &[(&str, Close)] = &[
        ("send_close", |ws| ws.send_close(CloseCode::NORMAL, "")),
        ("try_close", |ws| ws.try_close(CloseCode::NORMAL, "")),
        ("Sender::send_close", |ws| ws.sender().send_close(CloseCode::NORMAL, "")),
        ("send", |ws| unit(ws.send(b"\x03\xe8", Opcode::Close))),
    ];
    for &(name, close) in CLOSES {
        // A frame was written in part.
        let (ws, wire) = Wire::open(&options(), 100);
        assert!(ws.send_binary(&[1; 1000]).unwrap_err().is_timeout());
        assert_eq!(closed(close(&ws)).cause, CloseCause::TornFrame, "{name}");
        assert_eq!(wire.heard().len(), 100);

        // The write of the Close itself fails.
        let (ws, wire) = Wire::open(&options(), usize::MAX);
        wire.change(|wire| wire.ended = true);
        assert_eq!(closed(close(&ws)).cause, CloseCause::Unanswered, "{name}");
    }
    // While it waits for room, or for another thread's send, the connection is ended.
    for stuck in [false, true] {
        bounded(10, move || {
            let (ws, wire) = Wire::open(&options().send_timeout(ms(5000)).close_timeout(ms(5000)), 0);
            let sender = ws.sender();
            let other = stuck.then(|| thread::spawn(move || sender.send_binary(&[1; 1000])));
            thread::sleep(ms(100));
            let sender = ws.sender();
            let ends = thread::spawn(move || {
                thread::sleep(ms(100));
                sender.abort();
            });
            assert_eq!(closed(ws.send_close(CloseCode::NORMAL, "")).cause, CloseCause::Aborted);
            join(ends);
            other.map(|other| closed(join(other)));
            assert!(wire.heard().is_empty());
        });
    }
}

#[test]
fn who_only_looks_at_a_connection_does_not_keep_a_close_from_receiving() {
    bounded(10, || {
        let (ws, wire) = Wire::open(&options().close_timeout(ms(3000)), 100);
        assert!(ws.send_binary(&[1; 1000]).unwrap_err().is_timeout());
        wire.change(|wire| wire.slow_read = Some(ms(300)));
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(ws.close_info().unwrap().cause, CloseCause::TornFrame));
            thread::sleep(ms(100));
            scope.spawn(|| {
                thread::sleep(ms(400));
                wire.say(too_big());
            });
            by_deadline(ms(700), || ws.close().unwrap());
        });
        assert_told(&ws.close_info().unwrap(), 1009, "too big", CloseCause::Remote);
    });
}

// A masking key that cannot be had.

#[test]
fn a_source_of_masking_keys_that_panics_leaves_the_sending_half_in_its_place() {
    bounded(20, || {
        let (mut ws, wire) = Wire::open(&options(), usize::MAX);
        let fails = Arc::new(AtomicBool::new(false));
        let key = Arc::clone(&fails);
        ws.set_mask_key(move || {
            assert!(!key.load(Ordering::Relaxed), "as it should");
            [1, 2, 3, 4]
        })
        .unwrap();

        // Of a pong, which the receiver sends.
        fails.store(true, Ordering::Relaxed);
        wire.say([frame(0x89, "ping"), frame(0x81, "behind it")].concat());
        assert!(catch_unwind(AssertUnwindSafe(|| ws.recv())).is_err());
        fails.store(false, Ordering::Relaxed);
        by_deadline(ms(100), || ws.try_send_text("one").unwrap());
        assert_eq!(ws.recv().unwrap(), Message::from("behind it"));

        // Of the last fragment of a message.
        ws.send_frame(&Frame { fin: false, ..Frame::new(Opcode::Text, "first ") }).unwrap();
        let last = Frame::new(Opcode::Continuation, "last");
        fails.store(true, Ordering::Relaxed);
        assert!(catch_unwind(AssertUnwindSafe(|| ws.send_frame(&last))).is_err());
        fails.store(false, Ordering::Relaxed);
        ws.send_frame(&last).unwrap();
        assert_goes_on(&ws, &wire);
        let data: Vec<_> = wire.frames().into_iter().filter(|(first, _)| *first != 0x8a).collect();
        let expected: [(u8, &str); 4] = [(0x81, "one"), (0x01, "first "), (0x80, "last"), (0x81, "goes on")];
        assert_eq!(data, expected.map(|(first, payload)| (first, payload.as_bytes().to_vec())));
    });
}

/// The end is told by each kind of receive, also where another kind has taken a part of a message that never ends.
#[test]
fn the_end_in_the_midst_of_a_message_is_told_by_every_kind_of_receive() {
    let (mut ws, wire) = Wire::open(&options(), usize::MAX);
    wire.say(b"\x01\x03Hel\x00\x02l");
    wire.change(|wire| wire.ended = true);
    let lost = closed(ws.recv());
    assert!(matches!(lost.cause, CloseCause::Lost(_)), "{lost:?}");
    assert_eq!(closed(ws.recv_frame()), lost);
    assert_eq!(closed(ws.message_reader().map(drop)), lost);
    assert_eq!(closed(ws.recv()), lost);
}

#[test]
fn a_transport_that_panics_in_a_write_neither_ends_the_process_nor_takes_the_sending_half() {
    let sends: [fn(&WebSocket); 4] = [
        |ws| drop(ws.send_text("one")),
        |ws| drop(ws.try_send_text("one")),
        |ws| drop(ws.ping("one")),
        |ws| drop(ws.cork(|batch| batch.send_text("one"))),
    ];
    for send in sends {
        bounded(20, move || {
            let (ws, wire) = Wire::open(&options(), usize::MAX);
            wire.change(|wire| wire.panics = true);
            assert!(catch_unwind(AssertUnwindSafe(|| send(&ws))).is_err());
            wire.change(|wire| wire.panics = false);
            by_deadline(ms(100), || ws.send_text("two").unwrap());
            assert_eq!(wire.frames().last(), Some(&(0x81, "two".to_owned().into_bytes())));
        });
    }
}

/// The writer is dropped while the panic passes, and has to close.
#[test]
fn a_transport_that_panics_under_a_message_writer_does_not_end_the_process() {
    bounded(20, || {
        let (ws, wire) = Wire::open(&options(), usize::MAX);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let mut writer = ws.message_writer(MessageKind::Text).unwrap();
            writer.write_all(b"one").unwrap();
            wire.change(|wire| wire.panics = true);
            writer.flush()
        }));
        assert!(caught.is_err());
        wire.change(|wire| wire.panics = false);
        assert!(ws.send_text("two").unwrap_err().is_closed());
        drop(ws);
        let (first, body) = wire.frames().pop().unwrap();
        assert_eq!((first, &body[..2]), (0x88, &b"\x03\xf3"[..]));
    });
}

/// The message that a reader gives cannot be finished, and neither can the Close that says so be written.
#[test]
fn a_transport_that_panics_when_a_message_is_given_up_leaves_a_connection_that_can_be_closed() {
    bounded(20, || {
        let (ws, wire) = Wire::open(&options(), usize::MAX);
        let mut gives = [&b"rest"[..], b"\xff"].into_iter();
        let peer = wire.clone();
        let reader = io::repeat(b'a').take(64 * 1024).chain(Reading(move |buf: &mut [u8]| {
            let piece = gives.next().unwrap();
            peer.change(|wire| wire.panics = piece == b"\xff");
            buf[..piece.len()].copy_from_slice(piece);
            piece.len()
        }));
        let sent = catch_unwind(AssertUnwindSafe(|| ws.send_reader(MessageKind::Text, reader, None)));
        assert!(sent.is_err(), "{sent:?}");
        wire.change(|wire| wire.panics = false);
        ws.close().unwrap();
        assert_eq!(wire.frames().pop().unwrap().0, 0x88);
    });
}

struct Reading<F>(F);

impl<F: FnMut(&mut [u8]) -> usize> Read for Reading<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok((self.0)(buf))
    }
}

#[test]
fn the_end_by_this_side_in_the_midst_of_a_message_is_told_by_every_kind_of_receive() {
    type Receive = fn(&mut WebSocket) -> Result<()>;
    const RECEIVES: &[(&str, Receive)] = &[
        ("recv", |ws| unit(ws.recv())),
        ("recv_frame", |ws| unit(ws.recv_frame())),
        ("recv_data", |ws| unit(ws.recv_data(ControlFrames::Hide))),
        ("message_reader", |ws| unit(ws.message_reader())),
    ];
    for &(name, receive) in RECEIVES {
        let (mut ws, wire) = Wire::open(&options(), usize::MAX);
        // The rest of the character can only come as a frame.
        wire.say([frame(0x01, b"\xc3"), frame(0x80, b"\xa9")[..2].to_vec()].concat());
        assert_eq!(ws.recv_frame().unwrap().payload, b"\xc3");
        ws.abort();
        assert_eq!(closed(receive(&mut ws)).cause, CloseCause::Aborted, "{name}");

        let (mut ws, wire) = Wire::open(&options(), usize::MAX);
        wire.say(&frame(0x81, "half")[..4]);
        assert!(ws.recv_timeout(ms(20)).unwrap_err().is_timeout());
        wire.say(too_big());
        ws.abort();
        assert_eq!(closed(receive(&mut ws)).cause, CloseCause::Aborted, "{name}");
    }
}

// What a peer, or a reader of little at a time, can make this side do.

#[test]
fn a_receive_that_waits_gives_back_what_a_send_has_taken_before() {
    let [ours, _] = agreed(DeflateOptions::new().threshold(0).client_no_context_takeover());
    let noise: Vec<u8> = (0..200_000_u32).map(|number| (number.wrapping_mul(0x9E37_79B9) >> 24) as u8).collect();
    let mut cases = Cases::new();
    for (name, deflate) in [("plain", None), ("compressed", Some(ours))] {
        let noise = noise.clone();
        cases.add(name, move || {
            let (mut ws, _wire) = Wire::open_as(Role::Client, &options(), usize::MAX, deflate);
            ws.send_binary(&noise).unwrap();
            assert!(ws.memory() > 200_000);
            assert!(ws.recv_timeout(ms(1300)).unwrap_err().is_timeout());
            assert!(ws.memory() < 8192, "{} bytes", ws.memory());
        });
    }
    cases.run(20);
}

#[test]
fn a_piece_of_text_is_not_looked_through_again_for_each_byte_that_is_read() {
    let (mut ws, wire) = Wire::open(&options(), usize::MAX);
    let text = frame(0x81, vec![b'a'; 120 * 1024]);
    // The first makes the window as large as it becomes.
    wire.say(text.repeat(2));
    ws.recv().unwrap();
    let mut reader = ws.message_reader().unwrap();
    by_deadline(ms(1000), || (0..120 * 1024).for_each(|_| reader.read_exact(&mut [0]).unwrap()));
}

#[test]
fn a_receive_that_does_not_wait_reads_no_more_than_a_mib_of_a_message_however_large() {
    const READ: usize = 1 << 20;

    let (mut ws, wire) = Wire::open(&options(), usize::MAX);
    wire.say(frame(0x82, vec![1; 20 << 20]));
    let mut unread = wire.change(|wire| wire.said.len());
    while ws.try_recv().unwrap().is_none() {
        assert_eq!(unread - wire.change(|wire| wire.said.len()), READ);
        assert!(ws.has_buffered());
        unread -= READ;
    }
}
