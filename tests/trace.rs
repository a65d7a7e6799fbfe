//! The trace: what of heads and frames is told, to whom, and when. That no secret is in it is in `secrets/trace.rs`.
//!
//! There is one trace in a process, so that these tests go one after the other.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
mod backends;
mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::env;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use allocation_counter::measure;
use support::{Peer, alone, answer_to, bounded, frame, masked_frame, ms, open, serve};
use tls_peer::Authority;
use websocket_sync::TlsBackend;
use websocket_sync::{
    CloseCode, ConnectOptions, Message, MessageKind, Opcode, Proxy, TlsOptions, TraceDirection, TraceEvent,
    TraceRecord, TraceToStderr, WebSocket, disable_trace, enable_trace, is_trace_enabled,
};

/// Remembers what it is told. The trace ends with it.
struct Listener(Arc<Mutex<Vec<(u64, String)>>>);

impl Listener {
    fn new() -> Self {
        let records = Arc::default();
        let listener = Self(Arc::clone(&records));
        enable_trace(move |record: &TraceRecord<'_>| {
            let line = (record.connection, record.to_string());
            records.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        });
        listener
    }

    /// What it was told since it was last asked.
    fn take(&self) -> Vec<String> {
        self.take_numbered().into_iter().map(|(_, text)| text).collect()
    }

    fn take_numbered(&self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// The same, without heads, and of frames the second line alone.
    fn frames(&self) -> Vec<String> {
        let second = |text: String| text.lines().nth(1).map(str::to_owned);
        self.take().into_iter().filter(|text| text.starts_with("++")).filter_map(second).collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        disable_trace();
    }
}

/// A server that waits for as many frames, says `bytes` and listens to the rest.
fn answering(frames: usize, options: &ConnectOptions, bytes: Vec<u8>) -> (WebSocket, support::Script<()>) {
    open(options, move |mut peer: Peer| {
        (0..frames).for_each(|_| _ = peer.frame());
        peer.say(bytes);
        peer.rest();
    })
}

/// A server that opens the connection, says `bytes` and listens to the rest.
fn saying(options: &ConnectOptions, bytes: Vec<u8>) -> (WebSocket, support::Script<()>) {
    open(options, move |mut peer: Peer| {
        peer.say(bytes);
        peer.rest();
    })
}

fn fixed_key() -> ConnectOptions {
    ConnectOptions::new().mask_key(|| [1, 2, 3, 4])
}

#[test]
fn frames_are_told_in_both_directions_as_python_tells_them() {
    let _alone = alone();
    bounded(20, || {
        let listener = Listener::new();
        let (mut ws, script) = answering(1, &fixed_key(), [frame(0x81, "Hi\n\"'\u{e9}"), frame(0x82, "")].concat());
        assert_eq!(listener.take().len(), 2, "the heads");
        ws.send_text("Hello").unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from("Hi\n\"'\u{e9}"));
        assert_eq!(ws.recv().unwrap(), Message::Binary(Vec::new()));
        let expected = [
            "++Sent raw: b'\\x81\\x85\\x01\\x02\\x03\\x04Igohn'\n++Sent decoded: fin=1 opcode=1 data=b'Hello'",
            "++Rcv raw: b'\\x81\\x07Hi\\n\"\\'\\xc3\\xa9'\n++Rcv decoded: fin=1 opcode=1 data=b'Hi\\n\"\\'\\xc3\\xa9'",
            "++Rcv raw: b'\\x82\\x00'\n++Rcv decoded: fin=1 opcode=2 data=b''",
        ];
        assert_eq!(listener.take(), expected);
        drop(ws);
        script.join();
    });
}

#[test]
fn heads_are_told_line_by_line() {
    let _alone = alone();
    bounded(20, || {
        let listener = Listener::new();
        let (url, script) = serve(|mut peer: Peer| {
            let request = peer.head();
            let answer = answer_to(&request);
            peer.say("HTTP/1.1 103 Early\r\nLink: x\r\n\r\n");
            peer.say(answer.replace("\r\n\r\n", "\r\nServer: \x1b[31mred\r\n\r\n"));
            request
        });
        let options = ConnectOptions::new().subprotocols(["chat", "token.7"]).header("X-Tenant", "seven");
        let options = options.public_subprotocols(["chat"]);
        let error = options.connect(&format!("{url}feed?token=x")).unwrap_err();
        let request = script.join();
        let key = request.lines().find(|line| line.starts_with("Sec-WebSocket-Key: ")).unwrap();
        let told = listener.take();
        assert_eq!(told.len(), 3, "{error}: {told:#?}");
        let [sent, early, answer] = told.try_into().unwrap();
        assert!(sent.starts_with("--- request header ---\nGET /feed?<hidden> HTTP/1.1\n"), "{sent}");
        assert!(sent.ends_with("\n-----------------------"), "{sent}");
        for line in [key, "Upgrade: websocket", "Sec-WebSocket-Protocol: chat, <hidden>", "X-Tenant: <hidden>"] {
            assert!(sent.lines().any(|told| told == line), "{line}: {sent}");
        }
        assert_eq!(sent.lines().count(), request.lines().count() - 1 + 2, "{sent}");
        assert_eq!(early, "--- response header ---\nHTTP/1.1 103 Early\nLink: <hidden>\n-----------------------");
        assert!(answer.starts_with("--- response header ---\nHTTP/1.1 101 Switching Protocols\n"), "{answer}");
        assert!(answer.contains("\nServer: \\x1b[31mred\n"), "{answer}");
    });
}

#[test]
fn what_is_no_answer_is_told_as_far_as_it_came() {
    let _alone = alone();
    bounded(20, || {
        let listener = Listener::new();
        let (url, script) = serve(|mut peer: Peer| {
            peer.head();
            peer.say("SSH-2.0-Other\r\nwelcome\r\n");
        });
        ConnectOptions::new().connect(&url).unwrap_err();
        script.join();
        let told = listener.take();
        assert_eq!(
            told[1..],
            ["--- response header ---\nSSH-2.0-Other\n<hidden>\n-----------------------"],
            "{told:#?}"
        );
    });
}

#[test]
fn fragments_and_control_frames_are_frames_of_their_own() {
    let _alone = alone();
    bounded(20, || {
        let listener = Listener::new();
        let said = [frame(0x01, "Hel"), frame(0x89, "?"), frame(0x80, "lo"), frame(0x88, b"\x03\xe8bye")].concat();
        let (mut ws, script) = answering(3, &ConnectOptions::new(), said);
        let mut writer = ws.message_writer(MessageKind::Text).unwrap();
        writer.write_all(b"one").unwrap();
        writer.flush().unwrap();
        writer.write_all(b"two").unwrap();
        writer.finish().unwrap();
        ws.ping("!").unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from("Hello"));
        ws.recv().unwrap_err();
        script.join();
        let expected = [
            "++Sent decoded: fin=0 opcode=1 data=b'one'",
            "++Sent decoded: fin=1 opcode=0 data=b'two'",
            "++Sent decoded: fin=1 opcode=9 data=b'!'",
            "++Rcv decoded: fin=0 opcode=1 data=b'Hel'",
            "++Rcv decoded: fin=1 opcode=9 data=b'?'",
            "++Rcv decoded: fin=1 opcode=0 data=b'lo'",
            "++Rcv decoded: fin=1 opcode=8 data=b'\\x03\\xe8bye'",
            "++Sent decoded: fin=1 opcode=10 data=b'?'",
            "++Sent decoded: fin=1 opcode=8 data=b'\\x03\\xe8'",
        ];
        assert_eq!(listener.frames(), expected);
    });
}

#[test]
fn of_a_long_payload_the_beginning_is_told() {
    let _alone = alone();
    bounded(20, || {
        let listener = Listener::new();
        let long = "x".repeat(1 << 20);
        let said = [frame(0x82, &long), frame(0x81, "y".repeat(1025)), frame(0x81, "z".repeat(1024))].concat();
        let (mut ws, script) = saying(&fixed_key(), said);
        listener.take();
        for _ in 0..3 {
            ws.recv_ref().unwrap();
        }
        let told = listener.take();
        assert_eq!(told.len(), 3);
        let beginning = "x".repeat(1024);
        assert!(
            told[0].starts_with("++Rcv raw: b'\\x82\\x7f\\x00\\x00\\x00\\x00\\x00\\x10\\x00\\x00xxx"),
            "{}",
            told[0]
        );
        assert!(told[0].contains("xxx'... (1048586 bytes)\n"), "{}", told[0]);
        assert!(told[0].ends_with(&format!("opcode=2 data=b'{beginning}'... (1048576 bytes)")), "{}", told[0]);
        assert!(told[1].ends_with("yyy'... (1025 bytes)"), "{}", told[1]);
        assert!(told[2].ends_with("zzz'"), "{}", told[2]);
        ws.send_text(&long).unwrap();
        let told = listener.take();
        assert_eq!(told.len(), 1);
        assert!(told[0].ends_with(&format!("opcode=1 data=b'{beginning}'... (1048576 bytes)")), "{}", told[0]);
        drop(ws);
        script.join();
    });
}

#[test]
fn frames_are_told_whole_however_they_come() {
    let _alone = alone();
    bounded(20, || {
        let listener = Listener::new();
        let (mut ws, script) = open(&ConnectOptions::new(), |mut peer: Peer| {
            let long = frame(0x82, vec![b'l'; 130]);
            peer.drip([frame(0x01, "a"), frame(0x89, "bb"), frame(0x80, "cc"), long, frame(0x82, "")].concat(), ms(1));
            peer.rest();
        });
        (0..3).for_each(|_| _ = ws.recv_ref().unwrap());
        let mut told = listener.frames();
        told.retain(|line| line.starts_with("++Rcv"));
        let expected = [
            "++Rcv decoded: fin=0 opcode=1 data=b'a'",
            "++Rcv decoded: fin=1 opcode=9 data=b'bb'",
            "++Rcv decoded: fin=1 opcode=0 data=b'cc'",
            &format!("++Rcv decoded: fin=1 opcode=2 data=b'{}'", "l".repeat(130)),
            "++Rcv decoded: fin=1 opcode=2 data=b''",
        ];
        assert_eq!(told, expected);
        drop(ws);
        script.join();
    });
}

/// In a process of its own, since it is that one's standard error.
#[test]
fn to_standard_error_it_goes_as_in_python() {
    const CHILD: &str = "WEBSOCKET_SYNC_TRACING_CHILD";
    let _alone = alone();
    if env::var_os(CHILD).is_some() {
        enable_trace(TraceToStderr);
        let (ws, script) = saying(&fixed_key(), Vec::new());
        ws.send_text("Hello").unwrap();
        disable_trace();
        drop(ws);
        return script.join();
    }
    let name = "to_standard_error_it_goes_as_in_python";
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    let told = String::from_utf8(child.stderr).unwrap();
    assert!(told.contains("--- request header ---\nGET / HTTP/1.1\n"), "{told}");
    let frame = "++Sent raw: b'\\x81\\x85\\x01\\x02\\x03\\x04Igohn'\n++Sent decoded: fin=1 opcode=1 data=b'Hello'\n";
    assert!(told.contains(frame), "{told}");
}

#[test]
fn a_record_can_be_looked_into() {
    let _alone = alone();
    bounded(20, || {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        enable_trace(move |record: &TraceRecord<'_>| {
            if let TraceEvent::Frame(frame) = record.event {
                let fact = (record.direction, frame.header.opcode, frame.header.len, frame.payload.to_vec());
                sink.lock().unwrap().push((fact, frame.raw.to_vec()));
            }
        });
        let (mut ws, script) = saying(&fixed_key(), frame(0x82, [0; 2000]));
        ws.recv_ref().unwrap();
        ws.pong([7]).unwrap();
        disable_trace();
        let received = (TraceDirection::Received, Opcode::Binary, 2000, vec![0; 1024]);
        let sent = (TraceDirection::Sent, Opcode::Pong, 1, vec![7]);
        let raw = [vec![0x82, 126, 7, 0xD0], vec![0; 1024]].concat();
        assert_eq!(*seen.lock().unwrap(), [(received, raw), (sent, vec![0x8A, 0x81, 1, 2, 3, 4, 7 ^ 1])]);
        drop(ws);
        script.join();
    });
}

#[test]
fn it_can_be_turned_on_and_off_at_any_time_and_begins_with_the_next_frame() {
    let _alone = alone();
    bounded(20, || {
        let (mut ws, script) = open(&ConnectOptions::new(), |mut peer: Peer| {
            let long = frame(0x82, vec![b'a'; 50_000]);
            // A payload, a header and a ping, each cut in two.
            for cut in [&long[..40_000], &[&long[40_000..], &b"\x81"[..]].concat(), b"\x02bb\x89\x04pi", b"ng\x81\x01c"]
            {
                peer.say(cut);
                peer.frame();
            }
            peer.rest();
        });
        let await_nothing = |ws: &mut WebSocket| assert!(ws.recv_timeout(ms(50)).unwrap_err().is_timeout());
        assert!(!is_trace_enabled());
        await_nothing(&mut ws);
        let listener = Listener::new();
        assert!(is_trace_enabled());
        ws.send_text("1").unwrap();
        assert_eq!(ws.recv_ref().unwrap().as_bytes().len(), 50_000);
        await_nothing(&mut ws);
        assert_eq!(listener.frames(), ["++Sent decoded: fin=1 opcode=1 data=b'1'"], "what began before is not told");
        disable_trace();
        ws.send_text("2").unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from("bb"));
        await_nothing(&mut ws);
        assert!(listener.take().is_empty());
        let listener = Listener::new();
        ws.send_text("3").unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from("c"));
        // Half of the ping has come before, and is told all the same.
        let expected = [
            "++Sent decoded: fin=1 opcode=1 data=b'3'",
            "++Rcv decoded: fin=1 opcode=9 data=b'ping'",
            "++Rcv decoded: fin=1 opcode=1 data=b'c'",
        ];
        let mut told = listener.frames();
        told.retain(|line| !line.contains("opcode=10"));
        assert_eq!(told, expected);
        drop(listener);
        assert!(!is_trace_enabled());
        ws.send_text("4").unwrap();
        drop(ws);
        script.join();
    });
}

#[test]
fn a_trace_that_is_off_calls_nobody_and_takes_no_memory() {
    let _alone = alone();
    bounded(20, || {
        let called = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&called);
        enable_trace(move |_: &TraceRecord<'_>| _ = counter.fetch_add(1, Ordering::Relaxed));
        disable_trace();
        assert_eq!(Arc::strong_count(&called), 1, "the sink is gone");
        let (mut ws, script) = saying(&ConnectOptions::new(), frame(0x81, "tick").repeat(4000));
        let mut exchange = || {
            for _ in 0..2000 {
                ws.recv_ref().unwrap();
                ws.send_text("tock").unwrap();
            }
        };
        exchange();
        let info = measure(exchange);
        assert!(info.count_total <= 4, "{info:?}");
        assert_eq!(called.load(Ordering::Relaxed), 0);
        drop(ws);
        script.join();
    });
}

#[test]
fn what_is_compressed_is_told_as_it_passes() {
    let _alone = alone();
    bounded(20, || {
        let listener = Listener::new();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", server.local_addr().unwrap());
        let options = ConnectOptions::new().deflate(websocket_sync::DeflateOptions::new().threshold(0));
        let serving = options.clone();
        let echo = thread::spawn(move || {
            let mut ws = serving.accept(server.accept().unwrap().0).unwrap();
            let message = ws.recv().unwrap();
            ws.send_text(&format!("{message:?}")).unwrap();
            let _ = ws.recv();
        });
        let mut ws = options.connect(&url).unwrap();
        ws.send_text(&"a".repeat(100)).unwrap();
        ws.recv().unwrap();
        let told = listener.frames();
        for start in ["++Sent decoded: fin=1 rsv1=1 opcode=1 data=b'J", "++Rcv decoded: fin=1 rsv1=1 opcode=1 data=b'"]
        {
            assert!(told.iter().any(|line| line.starts_with(start) && line.len() < 200), "{told:#?}");
        }
        drop(ws);
        echo.join().unwrap();
    });
}

#[test]
fn over_tls_what_is_inside_is_told() {
    let _alone = alone();
    bounded(30, || {
        for tls in backends::backends() {
            let authority = Authority::new();
            let config = authority.server("localhost");
            let (url, script) = serve(move |peer: Peer| {
                let socket = peer.socket().try_clone().unwrap();
                let mut tls = tls_peer::accept(config, TcpStream::from(socket)).unwrap();
                let mut request = String::new();
                while !request.ends_with("\r\n\r\n") {
                    let mut byte = [0];
                    tls.read_exact(&mut byte).unwrap();
                    request.push(char::from(byte[0]));
                }
                tls.write_all(&[answer_to(&request).into_bytes(), frame(0x81, "inside")].concat()).unwrap();
                tls_peer::send_close_notify(&mut tls);
            });
            let listener = Listener::new();
            let port = url.trim_end_matches('/').rsplit_once(':').unwrap().1.to_owned();
            let options = ConnectOptions::new().tls(tls.ca_certs_pem(&authority.pem));
            let mut ws = options.connect(&format!("wss://localhost:{port}/")).unwrap();
            ws.recv().unwrap();
            let told = listener.take();
            assert!(told[0].starts_with("--- request header ---\nGET / HTTP/1.1\n"), "{told:#?}");
            assert!(told[1].starts_with("--- response header ---\nHTTP/1.1 101 "), "{told:#?}");
            assert!(told[2].ends_with("fin=1 opcode=1 data=b'inside'"), "{told:#?}");
            drop(ws);
            script.join();
        }
    });
}

#[test]
fn a_proxy_and_redirects_are_part_of_the_opening() {
    let _alone = alone();
    bounded(20, || {
        let listener = Listener::new();
        let (proxy, script) = serve(|mut peer: Peer| {
            peer.head();
            peer.say("HTTP/1.1 200 Fine\r\nVia: proxy\r\n\r\n");
            peer.accept();
            peer.say(frame(0x81, "x"));
        });
        let options = ConnectOptions::new().proxy(Proxy::new(proxy.replace("ws://", "http://")));
        let mut ws = options.connect("ws://host.example/").unwrap();
        ws.recv().unwrap();
        script.join();
        let told = listener.take_numbered();
        let starts = [
            "--- request header ---\nCONNECT host.example:80 HTTP/1.1\n",
            "--- response header ---\nHTTP/1.1 200 Fine\nVia: proxy\n",
            "--- request header ---\nGET / HTTP/1.1\n",
            "--- response header ---\nHTTP/1.1 101 ",
            "++Rcv raw: b'\\x81\\x01x'",
        ];
        assert_eq!(told.len(), starts.len(), "{told:#?}");
        for ((connection, text), start) in told.iter().zip(starts) {
            assert!(text.starts_with(start), "{text}");
            assert_eq!(*connection, told[0].0, "{text}");
        }
    });
}

#[test]
fn the_servers_role_is_traced_too() {
    let _alone = alone();
    bounded(20, || {
        let listener = Listener::new();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let client = thread::spawn(move || {
            let mut peer = Peer::new(TcpStream::connect(address).unwrap());
            // The first frame comes with the request.
            peer.say([support::REQUEST.as_bytes(), &masked_frame(0x81, "early")].concat());
            peer.head();
            peer.hear(frame(0x81, "late"));
        });
        let mut ws = WebSocket::accept(server.accept().unwrap().0).unwrap();
        ws.recv().unwrap();
        ws.send_text("late").unwrap();
        client.join().unwrap();
        let told = listener.take();
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(told[0].starts_with("--- request header ---\nGET / HTTP/1.1\nHost: here\n"), "{told:#?}");
        assert!(told[1].starts_with("--- response header ---\nHTTP/1.1 101 "), "{told:#?}");
        assert!(told[2].ends_with("++Rcv decoded: fin=1 opcode=1 data=b'early'"), "{told:#?}");
        assert!(told[3].starts_with("++Sent raw: b'\\x81\\x04late'"), "{told:#?}");
    });
}

#[test]
fn what_is_no_frame_is_told_once() {
    let _alone = alone();
    bounded(20, || {
        let listener = Listener::new();
        let (mut ws, script) = saying(&ConnectOptions::new(), [frame(0x83, "x"), frame(0x81, "y")].concat());
        ws.recv().unwrap_err();
        script.join();
        let told: Vec<_> = listener.take().into_iter().filter(|text| text.starts_with("++Rcv")).collect();
        assert_eq!(told, ["++Rcv raw: b'\\x83\\x01x\\x81\\x01y'"]);
    });
}

#[test]
fn several_threads_and_connections_are_told_apart() {
    let _alone = alone();
    bounded(30, || {
        const FRAMES: usize = 200;
        let listener = Listener::new();
        let workers: Vec<_> = (0..3)
            .map(|_| {
                thread::spawn(|| {
                    let (mut ws, script) = saying(&ConnectOptions::new(), frame(0x81, "tick").repeat(FRAMES));
                    thread::scope(|scope| {
                        for _ in 0..2 {
                            let sender = ws.sender();
                            scope.spawn(move || (0..FRAMES).for_each(|_| _ = sender.send_text("tock").unwrap()));
                        }
                        (0..FRAMES).for_each(|_| _ = ws.recv_ref().unwrap());
                    });
                    drop(ws);
                    script.join();
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let told = listener.take_numbered();
        let mut connections: Vec<u64> = told.iter().map(|(connection, _)| *connection).collect();
        connections.sort_unstable();
        connections.dedup();
        assert_eq!(connections.len(), 3);
        for connection in connections {
            let of = |end: &str| told.iter().filter(|(of, text)| *of == connection && text.ends_with(end)).count();
            assert_eq!(of("++Rcv decoded: fin=1 opcode=1 data=b'tick'"), FRAMES);
            assert_eq!(of("++Sent decoded: fin=1 opcode=1 data=b'tock'"), 2 * FRAMES);
        }
    });
}

#[test]
fn turning_it_on_and_off_while_all_goes_on_breaks_nothing() {
    let _alone = alone();
    bounded(60, || {
        const FRAMES: usize = 2000;
        let (mut ws, script) = open(&ConnectOptions::new(), |mut peer: Peer| {
            peer.say(frame(0x81, "z".repeat(300)).repeat(FRAMES));
            (0..FRAMES).for_each(|_| assert_eq!(peer.frame().1.len(), 300));
        });
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let whole = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&whole);
        let toggling = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let count = Arc::clone(&count);
                enable_trace(move |record: &TraceRecord<'_>| {
                    let TraceEvent::Frame(frame) = record.event else { panic!("{record}") };
                    assert_eq!(frame.payload, [b'z'; 300], "{record}");
                    count.fetch_add(1, Ordering::Relaxed);
                });
                thread::yield_now();
                // Had the sink panicked, it would be off.
                let was_on = is_trace_enabled();
                disable_trace();
                if !was_on {
                    return false;
                }
            }
            true
        });
        let text = "z".repeat(300);
        let sender = ws.sender();
        let sending = thread::spawn(move || (0..FRAMES).for_each(|_| _ = sender.send_text(&text).unwrap()));
        (0..FRAMES).for_each(|_| assert_eq!(ws.recv_ref().unwrap().as_bytes().len(), 300));
        sending.join().unwrap();
        over.store(true, Ordering::Relaxed);
        assert!(toggling.join().unwrap(), "a record was wrong");
        assert!(whole.load(Ordering::Relaxed) > 0);
        drop(ws);
        script.join();
    });
}

#[test]
fn a_sink_that_panics_is_called_no_more_and_nothing_else_happens() {
    let _alone = alone();
    bounded(20, || {
        let (mut ws, script) = saying(&ConnectOptions::new(), frame(0x81, "x"));
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        enable_trace(move |_: &TraceRecord<'_>| {
            counter.fetch_add(1, Ordering::Relaxed);
            panic!("a fault of the sink");
        });
        ws.send_text("y").unwrap();
        assert!(!is_trace_enabled());
        assert_eq!(ws.recv().unwrap(), Message::from("x"));
        ws.send_text("y").unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        drop(ws);
        script.join();
    });
}

#[test]
fn a_sink_that_sends_over_a_connection_of_its_own_is_not_told_of_that() {
    let _alone = alone();
    bounded(20, || {
        let (ws, script) = saying(&ConnectOptions::new(), Vec::new());
        let (collector, collected) = open(&ConnectOptions::new(), |mut peer: Peer| peer.frame());
        enable_trace(move |record: &TraceRecord<'_>| drop(collector.send_text(&record.to_string())));
        ws.send_text("x").unwrap();
        disable_trace();
        let (_, text) = collected.join();
        assert!(String::from_utf8(text).unwrap().ends_with("data=b'x'"));
        drop(ws);
        script.join();
    });
}

#[test]
fn what_is_received_without_waiting_is_told_as_well() {
    let _alone = alone();
    bounded(20, || {
        let listener = Listener::new();
        let (mut ws, script) = answering(1, &ConnectOptions::new(), frame(0x81, "x"));
        ws.try_send_text("go").unwrap();
        while ws.try_recv().unwrap().is_none() {
            thread::yield_now();
        }
        let expected = ["++Sent decoded: fin=1 opcode=1 data=b'go'", "++Rcv decoded: fin=1 opcode=1 data=b'x'"];
        assert_eq!(listener.frames(), expected);
        drop(ws);
        script.join();
    });
}

#[test]
fn what_does_not_leave_at_once_is_told_when_it_has_left() {
    let _alone = alone();
    bounded(20, || {
        let (narrow, listener) = (support::narrow(), Listener::new());
        let (read, may_read) = std::sync::mpsc::channel::<()>();
        let options = ConnectOptions::new();
        let (ws, script) = support::open_over(narrow, &options, move |mut peer: Peer| {
            may_read.recv().unwrap();
            let (_, payload) = peer.frame();
            assert!(payload.len() == 500_000 && peer.frame() == (0x89, b"behind".to_vec()));
            peer.rest();
        });
        listener.take();
        ws.try_send_binary(&vec![b'q'; 500_000]).unwrap();
        ws.try_ping("behind").unwrap();
        assert!(listener.frames().is_empty());
        read.send(()).unwrap();
        while !ws.try_flush().unwrap() {
            thread::yield_now();
        }
        let told = listener.frames();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[0].ends_with("qqq'... (500000 bytes)") && told[1].ends_with("opcode=9 data=b'behind'"));
        ws.close_with(CloseCode::GOING_AWAY, "enough").unwrap();
        drop(ws);
        script.join();
    });
}
