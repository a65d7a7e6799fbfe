//! Many threads on one connection: nothing blocks for ever, and nothing is mixed up.
//!
//! The tests run one at a time: each has threads enough of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::io::Write;
use std::net::TcpListener;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::{alone, at_once, bounded, by_deadline, closed, frame, join, ms, open, open_over};
use websocket_sync::protocol::LocalProtocolError;
use websocket_sync::{
    CloseCause, CloseCode, ConnectOptions, Error, MessageKind, MessageRef, Phase, TlsOptions, WebSocket,
};

const MIB: usize = 1 << 20;
/// What goes each way at the same time.
const DUPLEX: usize = 256;

/// A megabyte that differs from the others.
fn block(number: usize) -> Vec<u8> {
    let mut block = vec![number as u8; MIB];
    block[..8].copy_from_slice(&(number as u64).to_be_bytes());
    block
}

/// Sends and receives [`DUPLEX`] MiB at the same time over `ws`, whose peer echoes and can do but one thing at a time.
fn full_duplex(mut ws: WebSocket) {
    let sender = ws.sender();
    let sending = thread::spawn(move || {
        for number in 0..DUPLEX {
            sender.send_binary(&block(number)).unwrap();
        }
    });
    for number in 0..DUPLEX {
        let MessageRef::Binary(received) = ws.recv_ref().unwrap() else { panic!("text") };
        assert!(received == block(number), "block {number} is another");
    }
    join(sending);
    ws.close().unwrap();
    assert_eq!(ws.close_info().unwrap().cause, CloseCause::Local);
}

/// Echoes with one thread: while a write blocks, nothing is read.
fn echo(mut ws: WebSocket) {
    let sender = ws.sender();
    loop {
        match ws.recv_ref() {
            Ok(MessageRef::Binary(bytes)) => sender.send_binary(bytes).map(drop).unwrap(),
            Ok(MessageRef::Text(text)) => sender.send_text(text).map(drop).unwrap(),
            Err(Error::Closed(info)) => return assert_eq!(info.cause, CloseCause::Remote),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn both_directions_carry_256_mib_at_once_past_a_peer_that_blocks_on_its_writes() {
    let _alone = alone();
    bounded(60, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || echo(WebSocket::accept(listener.accept().unwrap().0).unwrap()));
        full_duplex(ConnectOptions::new().connect(&url).unwrap());
        join(server);
    });
}

#[test]
fn both_directions_carry_256_mib_at_once_over_tls() {
    let _alone = alone();
    bounded(90, || {
        let authority = tls_peer::Authority::new();
        let leaf = authority.leaf("localhost", tls_peer::Validity::Now);
        #[cfg(feature = "native-tls")]
        let server = TlsOptions::new().acceptor(leaf.acceptor(native_tls::Protocol::Tlsv13));
        #[cfg(not(feature = "native-tls"))]
        let server = TlsOptions::new().rustls_server_config(leaf.server(&rustls::version::TLS13));
        let client = TlsOptions::new().ca_certs_pem(authority.pem.as_bytes());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            echo(ConnectOptions::new().tls(server).accept(stream).unwrap());
        });
        let ws = ConnectOptions::new().tls(client).connect(&url).unwrap();
        assert!(ws.is_ssl());
        full_duplex(ws);
        join(server);
    });
}

/// The peer knows nothing of WebSockets but bytes: it writes its part, and reads only then.
#[test]
fn a_peer_that_reads_only_after_it_has_written_everything_holds_nobody_up() {
    let _alone = alone();
    bounded(60, || {
        const BLOCKS: usize = 64;
        let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            let message = frame(0x82, vec![7; MIB]);
            for _ in 0..BLOCKS {
                peer.say(&message);
            }
            for number in 0..BLOCKS {
                let (first, payload) = peer.frame();
                assert!(first == 0x82 && payload == block(number), "block {number} is another");
            }
            peer.end()
        });
        let sender = ws.sender();
        let sending = thread::spawn(move || {
            for number in 0..BLOCKS {
                sender.send_binary(&block(number)).unwrap();
            }
        });
        for _ in 0..BLOCKS {
            assert!(ws.recv_ref().unwrap().as_bytes() == vec![7; MIB]);
        }
        join(sending);
        ws.close().unwrap();
        peer.join();
    });
}

#[test]
fn the_frames_of_eight_senders_are_whole_and_each_ones_are_in_order() {
    const EACH: usize = 200;
    let _alone = alone();
    bounded(60, || {
        let (ws, peer) = open_over(support::narrow_with_room_for(100_000), &ConnectOptions::new(), |mut peer| {
            let mut next = [0_u32; 8];
            for _ in 0..8 * EACH {
                let (first, payload) = peer.frame();
                assert_eq!(first, 0x82);
                let (sender, number) = (payload[0] as usize, u32::from_be_bytes(*payload[1..].first_chunk().unwrap()));
                assert_eq!(number, next[sender], "of sender {sender}");
                assert!(payload[5..].iter().all(|&byte| byte == payload[0]), "mixed up with another");
                next[sender] += 1;
            }
            peer.end()
        });
        thread::scope(|scope| {
            for sender in 0..8_u8 {
                let ws = ws.sender();
                scope.spawn(move || {
                    for number in 0..EACH as u32 {
                        // Some fit a piece, some do not.
                        let length = if number % 50 == 49 { 200_000 } else { number as usize * 7 % 3000 };
                        let mut payload = vec![sender; 5 + length];
                        payload[1..5].copy_from_slice(&number.to_be_bytes());
                        ws.send_binary(&payload).unwrap();
                    }
                });
            }
        });
        ws.close().unwrap();
        peer.join();
    });
}

#[test]
fn batches_writers_readers_and_single_messages_of_many_threads_stay_whole() {
    const EACH: usize = 50;
    let _alone = alone();
    bounded(60, || {
        let (ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            let mut whole = 0;
            let mut fragments: Option<Vec<u8>> = None;
            loop {
                let (first, payload) = peer.frame();
                match (first, &mut fragments) {
                    (0x02, None) => fragments = Some(payload),
                    (0x00, Some(message)) => message.extend(payload),
                    (0x80, Some(message)) => {
                        message.extend(payload);
                        assert_eq!(*message, vec![3; 100_000]);
                        (fragments, whole) = (None, whole + 1);
                    }
                    (0x82, None) => whole += 1,
                    (0x89, _) => {}
                    (0x88, None) => break,
                    other => panic!("{:02x} cannot come here", other.0),
                }
            }
            peer.say(frame(0x88, b"\x03\xe8"));
            whole
        });
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..EACH {
                    ws.cork(|batch| (0..10).try_for_each(|_| batch.send_binary(&[1; 100]).map(drop))).unwrap();
                }
            });
            scope.spawn(|| (0..EACH).try_for_each(|_| ws.send_binary(&[2; 100]).map(drop)).unwrap());
            scope.spawn(|| {
                for _ in 0..EACH {
                    ws.send_reader(MessageKind::Binary, &[3; 100_000][..], None).unwrap();
                }
            });
            scope.spawn(|| {
                for _ in 0..EACH {
                    ws.send_reader(MessageKind::Binary, &[4; 200_000][..], Some(200_000)).unwrap();
                }
            });
            scope.spawn(|| (0..EACH).for_each(|_| ws.ping("?").unwrap()));
        });
        ws.close().unwrap();
        assert_eq!(peer.join(), EACH * 13);
    });
}

#[test]
fn pongs_and_pings_pass_between_the_fragments_of_a_message() {
    let _alone = alone();
    bounded(20, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            assert_eq!(peer.frame(), (0x01, b"once".to_vec()));
            peer.say([frame(0x89, "are you there?"), frame(0x81, "go on")].concat());
            assert_eq!(peer.frame(), (0x8A, b"are you there?".to_vec()));
            assert_eq!(peer.frame(), (0x89, b"and you?".to_vec()));
            assert_eq!(peer.frame(), (0x80, b" more".to_vec()));
            assert_eq!(peer.frame(), (0x81, b"waited".to_vec()));
            peer.end()
        });
        let mut writer = ws.message_writer(MessageKind::Text).unwrap();
        writer.write_all(b"once").unwrap();
        writer.flush().unwrap();
        assert_eq!(ws.recv_ref().unwrap(), MessageRef::Text("go on"));
        ws.ping("and you?").unwrap();
        let other = ws.sender();
        let waiting = thread::spawn(move || other.send_text("waited").unwrap());
        thread::sleep(ms(50));
        writer.write_all(b" more").unwrap();
        writer.finish().unwrap();
        join(waiting);
        ws.close().unwrap();
        peer.join();
    });
}

#[test]
fn other_senders_wait_for_a_streamed_message_until_their_deadline_and_its_own_thread_not_at_all() {
    let _alone = alone();
    bounded(20, || {
        let (ws, peer) = open(&ConnectOptions::new().send_timeout(ms(200)), |mut peer| {
            assert_eq!(peer.frame(), (0x02, vec![1]));
            assert_eq!(peer.frame(), (0x80, vec![]));
            peer.end()
        });
        let mut writer = ws.message_writer(MessageKind::Binary).unwrap();
        writer.write_all(&[1]).unwrap();
        writer.flush().unwrap();
        let own = at_once(|| ws.send_text("now")).unwrap_err();
        assert!(matches!(own, Error::Usage(LocalProtocolError::SendingMessage)), "{own:?}");
        assert!(matches!(ws.message_writer(MessageKind::Text), Err(Error::Usage(_))));
        assert!(matches!(ws.cork(|_| Ok(())), Err(Error::Usage(_))));
        let other = ws.sender();
        let waited = join(thread::spawn(move || by_deadline(ms(200), || other.send_text("now"))));
        assert!(matches!(waited, Err(Error::Timeout(Phase::Send))), "{waited:?}");
        writer.finish().unwrap();
        ws.close().unwrap();
        peer.join();
    });
}

#[test]
fn a_writer_dropped_unfinished_closes_with_1011_and_whoever_waits_for_it_is_told() {
    let _alone = alone();
    bounded(20, || {
        for begun in [true, false] {
            let (mut ws, peer) = open(&ConnectOptions::new(), move |mut peer| {
                if begun {
                    assert_eq!(peer.frame(), (0x01, b"half".to_vec()));
                }
                let (first, body) = peer.frame();
                assert_eq!((first, &body[..2]), (0x88, &b"\x03\xf3"[..]), "a Close, and no last fragment");
                peer.say(frame(0x88, b"\x03\xf3"));
                assert_eq!(peer.rest(), b"");
            });
            let mut writer = ws.message_writer(MessageKind::Text).unwrap();
            writer.write_all(b"half").unwrap();
            if begun {
                writer.flush().unwrap();
            }
            let other = ws.sender();
            let waiting = thread::spawn(move || closed(other.send_text("waits")));
            thread::sleep(ms(50));
            drop(writer);
            at_once(|| join(waiting));
            let info = closed(ws.recv());
            assert_eq!((info.code, info.cause), (CloseCode::INTERNAL_ERROR, CloseCause::Local));
            peer.join();
        }
    });
}

#[test]
fn a_writer_whose_text_was_wrong_cannot_be_finished() {
    let _alone = alone();
    bounded(20, || {
        for ends_in_a_character in [true, false] {
            let (ws, peer) = open(&ConnectOptions::new().close_timeout(ms(500)), |mut peer| {
                assert_eq!(peer.frame(), (0x01, b"good".to_vec()));
                assert_eq!(peer.close_code(), 1011);
            });
            let mut writer = ws.message_writer(MessageKind::Text).unwrap();
            writer.write_all(b"good").unwrap();
            writer.flush().unwrap();
            if ends_in_a_character {
                writer.write_all(b"\xc3").unwrap();
            } else {
                assert_eq!(writer.write_all(b"\xff").unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
                assert_eq!(writer.write_all(b"good").unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
            }
            let info = closed(writer.finish());
            assert_eq!(info.cause, CloseCause::Unfinished(LocalProtocolError::TextNotUtf8));
            closed(ws.send_text("not any more"));
            peer.join();
        }
    });
}

#[test]
fn a_full_fragment_is_not_followed_by_an_empty_one() {
    let _alone = alone();
    bounded(20, || {
        let (ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            assert_eq!(peer.frame(), (0x02, vec![1; 65_536]));
            assert_eq!(peer.frame(), (0x80, vec![1; 65_536]));
            assert_eq!(peer.frame(), (0x82, vec![]));
            peer.end()
        });
        let mut writer = ws.message_writer(MessageKind::Binary).unwrap();
        writer.write_all(&[1; 131_072]).unwrap();
        writer.finish().unwrap();
        ws.message_writer(MessageKind::Binary).unwrap().finish().unwrap();
        ws.close().unwrap();
        peer.join();
    });
}

#[test]
fn a_reader_that_fails_is_told_apart_from_a_connection_that_does() {
    struct Fails(&'static [u8], std::io::ErrorKind);
    impl std::io::Read for Fails {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buf) {
                Ok(0) => Err(self.1.into()),
                read => read,
            }
        }
    }
    let _alone = alone();
    bounded(20, || {
        type Expected = fn(&Error) -> bool;
        let io: Expected =
            |error| matches!(error, Error::Other(error) if error.to_string().contains("entity not found"));
        let text: Expected = |error| matches!(error, Error::Usage(LocalProtocolError::TextNotUtf8));
        let end = std::io::ErrorKind::NotFound;
        // Nothing has left: the connection goes on.
        let harmless: [(&'static [u8], Option<u64>, Expected); 6] = [
            (b"half", None, io),
            (b"\xff", None, text),
            (b"\xff", Some(1), text),
            (b"\xc3", Some(1), text),
            (b"", Some(1), io),
            (b"", Some(u64::MAX >> 1), io),
        ];
        for (bytes, length, expected) in harmless {
            let (ws, peer) = open(&ConnectOptions::new(), |mut peer| {
                assert_eq!(peer.frame(), (0x81, b"goes on".to_vec()));
                peer.end()
            });
            let error = ws.send_reader(MessageKind::Text, Fails(bytes, end), length).unwrap_err();
            assert!(expected(&error), "{bytes:?} of {length:?}: {error:?}");
            ws.send_text("goes on").unwrap();
            ws.close().unwrap();
            peer.join();
        }
        let unfinished: Expected = |error| {
            let expected = CloseCause::Unfinished(LocalProtocolError::PayloadLength);
            error.close_info().is_some_and(|info| info.cause == expected)
        };
        let cases: [(&'static [u8], Option<u64>, Expected); 1] = [(b"half", Some(8), io)];
        for (bytes, length, expected) in cases {
            let (ws, peer) = open(&ConnectOptions::new().close_timeout(ms(100)), |mut peer| peer.rest());
            let error = ws.send_reader(MessageKind::Text, Fails(bytes, end), length).unwrap_err();
            assert!(expected(&error), "{bytes:?} of {length:?}: {error:?}");
            assert!(!ws.connected());
            closed(ws.send_text(""));
            drop(ws);
            peer.join();
        }
        let (ws, peer) = open(&ConnectOptions::new(), |mut peer| peer.rest());
        let error = ws.send_reader(MessageKind::Text, &b"short"[..], Some(6)).unwrap_err();
        assert!(unfinished(&error), "{error:?}");
        drop(ws);
        peer.join();
    });
}

#[test]
fn a_panic_while_something_is_sent_does_not_hold_up_the_others() {
    struct Panics(usize);
    impl std::io::Read for Panics {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            assert!(self.0 > 0, "as it should");
            self.0 -= 1;
            Ok(buf.len().min(10))
        }
    }
    let _alone = alone();
    bounded(20, || {
        // In a payload: the connection is over.
        let (ws, peer) = open(&ConnectOptions::new(), |mut peer| peer.rest());
        let sender = ws.sender();
        let panicking = thread::spawn(move || sender.send_reader(MessageKind::Binary, Panics(2), Some(100)));
        panicking.join().unwrap_err();
        assert_eq!(closed(at_once(|| ws.send_text(""))).cause, CloseCause::TornFrame);
        at_once(|| ws.close().unwrap());
        drop(ws);
        let heard = peer.join();
        assert!(support::parse_all(&heard).0.is_empty());

        // In a message that is compressed, which goes in fragments: the same.
        {
            let options = ConnectOptions::new().deflate(websocket_sync::DeflateOptions::new());
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("ws://{}/", listener.local_addr().unwrap());
            let server = options.clone();
            let server = thread::spawn(move || {
                let mut ws = server.accept(listener.accept().unwrap().0).unwrap();
                closed(ws.recv())
            });
            let ws = options.connect(&url).unwrap();
            assert!(ws.deflate().is_some());
            let sender = ws.sender();
            let panicking = thread::spawn(move || sender.send_reader(MessageKind::Binary, Panics(2), Some(10_000)));
            panicking.join().unwrap_err();
            assert_eq!(closed(at_once(|| ws.send_text(""))).cause, CloseCause::TornFrame);
            drop(ws);
            assert!(matches!(join(server).cause, CloseCause::Lost(_)));
        }

        // In a batch: what was in it has been sent.
        let (ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            assert_eq!(peer.frame(), (0x81, b"in the batch".to_vec()));
            assert_eq!(peer.frame(), (0x81, b"after it".to_vec()));
            peer.end()
        });
        let sender = ws.sender();
        let panicking = thread::spawn(move || {
            sender.cork::<()>(|batch| {
                batch.send_text("in the batch")?;
                panic!("as it should")
            })
        });
        panicking.join().unwrap_err();
        at_once(|| ws.send_text("after it").unwrap());
        ws.close().unwrap();
        peer.join();
    });
}

#[test]
fn in_a_batch_its_own_thread_gets_an_error_and_the_others_wait() {
    let _alone = alone();
    bounded(20, || {
        let (ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            assert_eq!(peer.frame(), (0x81, b"one".to_vec()));
            assert_eq!(peer.frame(), (0x81, b"two".to_vec()));
            assert_eq!(peer.frame(), (0x81, b"other".to_vec()));
            peer.end()
        });
        let (inside, done) = (Barrier::new(2), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                inside.wait();
                ws.send_text("other").unwrap();
                assert!(done.load(Ordering::Acquire), "the batch was not over");
            });
            ws.cork(|batch| {
                batch.send_text("one")?;
                inside.wait();
                thread::sleep(ms(50));
                for error in [ws.send_text("no").unwrap_err(), ws.ping("no").unwrap_err()] {
                    assert!(matches!(error, Error::Usage(LocalProtocolError::SendingMessage)), "{error:?}");
                }
                batch.send_text("two")?;
                done.store(true, Ordering::Release);
                Ok(())
            })
            .unwrap();
        });
        ws.close().unwrap();
        peer.join();
    });
}

#[test]
fn a_close_while_eight_senders_send_lets_none_of_them_hang() {
    let _alone = alone();
    bounded(60, || {
        for round in 0..50_u64 {
            let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| support::one_close(&mut peer));
            thread::scope(|scope| {
                for _ in 0..8 {
                    let sender = ws.sender();
                    scope.spawn(move || support::send_up_to(usize::MAX, &sender, &[1; 500]));
                }
                let closer = ws.sender();
                scope.spawn(move || {
                    thread::sleep(Duration::from_micros(round * 50));
                    closer.close().unwrap();
                });
                assert_eq!(closed(ws.recv()).cause, CloseCause::Local);
            });
            peer.join();
        }
    });
}

#[test]
fn a_drop_while_eight_senders_send_lets_none_of_them_hang() {
    let _alone = alone();
    bounded(60, || {
        for round in 0..50_u64 {
            let (ws, peer) = open(&ConnectOptions::new(), |mut peer| {
                // The last frame may have been cut off by the end.
                let heard = peer.rest();
                support::parse_all(&heard).0.iter().filter(|frame| frame.0 == 0x88).count()
            });
            thread::scope(|scope| {
                for _ in 0..8 {
                    let sender = ws.sender();
                    scope.spawn(move || support::send_up_to(usize::MAX, &sender, &[1; 500]));
                }
                thread::sleep(Duration::from_micros(round * 50));
                drop(ws);
            });
            assert!(peer.join() <= 1);
        }
    });
}

#[test]
fn a_connection_moves_between_threads() {
    let _alone = alone();
    bounded(20, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |peer| {
            for number in 0..4_u8 {
                peer.say(frame(0x82, [number]));
            }
            peer.end()
        });
        for number in 0..4 {
            ws = join(thread::spawn(move || {
                assert_eq!(ws.recv_ref().unwrap(), MessageRef::Binary(&[number]));
                ws
            }));
        }
        // The thread that received last is gone, so nobody waits for it in vain.
        ws.close().unwrap();
        assert_eq!(peer.join(), 1000);
    });
}
