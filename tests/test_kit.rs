//! The test kit itself: what its peers, its faults and its recordings do, and how they say what went wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use websocket_sync::protocol::handshake::{Acceptance, ClientRequest, Rejection};
use websocket_sync::protocol::{CloseFrame, ProtocolError, Role, Rsv};
use websocket_sync::test_kit::{Fault, FaultInjector, Operation, Peer, PeerError, Recording, TestServer};
use websocket_sync::{
    CloseCause, CloseCode, ConnectOptions, Error, Frame, Interest, Opcode, Phase, Reconnect, TraceDirection, Transport,
    WebSocket, WebSocketApp, create_connection,
};
#[cfg(any(feature = "native-tls", feature = "rustls"))]
use websocket_sync::{Message, test_kit::TestCertificate};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

/// A server and a client of the kit, connected to each other.
fn peers() -> (Peer, Peer) {
    let (ours, theirs) = tcp_pair();
    (Peer::over(ours, Role::Client).unwrap(), Peer::over(theirs, Role::Server).unwrap())
}

/// What a script that fails says when the server is finished.
#[track_caller]
fn failure(
    script: impl FnOnce(&mut Peer) -> Result<(), PeerError> + Send + 'static,
    client: impl FnOnce(WebSocket),
) -> String {
    let script = |peer: &mut Peer| {
        peer.accept()?;
        peer.set_timeout(ms(200));
        script(peer)
    };
    let server = TestServer::start(script).unwrap();
    client(create_connection(server.url()).unwrap());
    match server.finish().unwrap_err() {
        PeerError::Script { connection: 1, source } => source.to_string(),
        other => panic!("{other:?}"),
    }
}

// What went wrong is told.

#[test]
fn says_what_was_expected_and_what_came() {
    let text = failure(|peer| peer.expect_text("one"), |ws| assert!(ws.send_text("two").is_ok()));
    assert_eq!(text, r#"expected text "one", received text "two""#);
    let binary = failure(|peer| peer.expect_binary(b"\0"), |ws| assert!(ws.send_text("two").is_ok()));
    assert_eq!(binary, r#"expected binary b"\x00", received text "two""#);
    let close = failure(|peer| peer.expect_close(1000).map(drop), |ws| ws.send_close(CloseCode(4000), "x").unwrap());
    assert_eq!(close, r#"expected a Close with 1000, received a Close with 4000 and the reason "x""#);
    let ping = failure(|peer| peer.expect_ping().map(drop), |ws| assert!(ws.send_text("two").is_ok()));
    assert_eq!(ping, r#"expected a ping, received a text frame with b"two""#);
    let message = failure(|peer| peer.expect_message().map(drop), |ws| ws.send_close(CloseCode::NORMAL, "").unwrap());
    assert_eq!(message, r#"expected a message, received a Close with 1000 and the reason """#);
    let long = failure(|peer| peer.expect_text("x"), |ws| assert!(ws.send_text(&"y".repeat(5000)).is_ok()));
    assert_eq!(long, format!(r#"expected text "x", received text "{}"… (5000 bytes)"#, "y".repeat(100)));
}

#[test]
fn says_what_did_not_come() {
    let (ws, failed) = {
        let mut kept = None;
        let failed = failure(|peer| peer.expect_text("never"), |ws| kept = Some(ws));
        (kept, failed)
    };
    assert_eq!(failed, r#"expected text "never", but it did not come within 200ms"#);
    drop(ws);
    let ended = failure(|peer| peer.expect_frame().map(drop), |ws| ws.abort());
    assert_eq!(ended, "expected a frame, but the connection has ended");
}

#[test]
fn says_that_a_script_panicked() {
    let failed = failure(|_| panic!("with {} reasons", 3), drop);
    assert_eq!(failed, "the script panicked: with 3 reasons");
}

#[test]
fn says_how_many_scripts_and_connections_are_too_many() {
    let server = TestServer::builder().timeout(ms(50)).connection(|peer| peer.refuse(503)).connection(|_| Ok(()));
    let server = server.start().unwrap();
    create_connection(server.url()).unwrap_err();
    assert!(matches!(server.finish(), Err(PeerError::Unreached(1))));

    let server = TestServer::start(|peer| peer.refuse(503)).unwrap();
    create_connection(server.url()).unwrap_err();
    create_connection(server.url()).unwrap_err();
    assert_eq!((server.connections(), server.recordings().len()), (2, 1));
    assert!(matches!(server.finish(), Err(PeerError::Surplus(1))));
}

#[test]
fn the_first_connection_that_failed_is_told() {
    let server = TestServer::builder()
        .connection(|peer| peer.refuse(503))
        .connection(|peer| peer.refuse(503).and(Err(PeerError::other("second"))))
        .connection(|peer| peer.refuse(503).and(Err(PeerError::other("third"))));
    let server = server.start().unwrap();
    for _ in 0..3 {
        create_connection(server.url()).unwrap_err();
    }
    assert_eq!(server.connections(), 3);
    assert_eq!(server.finish().unwrap_err().to_string(), "connection 2: second");
}

#[test]
fn a_failure_is_told_although_other_scripts_have_no_connection() {
    let start = Instant::now();
    let server = TestServer::builder().connection(|_| Err(PeerError::other("at once"))).connection(|_| Ok(()));
    let server = server.start().unwrap();
    let _ = create_connection(server.url());
    assert_eq!(server.finish().unwrap_err().to_string(), "connection 1: at once");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

// Nothing hangs.

#[test]
fn a_server_that_is_dropped_ends_its_scripts_and_waits_for_nothing() {
    let (tell, told) = std::sync::mpsc::channel();
    let start = Instant::now();
    // On Windows the end of a connection does not wake a thread of this side that waits for it.
    let server = TestServer::builder()
        .timeout(ms(if cfg!(windows) { 1000 } else { 60_000 }))
        .connection({
            let tell = tell.clone();
            move |peer| {
                peer.accept()?;
                tell.send(peer.expect_frame().is_err()).map_err(PeerError::other)
            }
        })
        .connection(move |peer| {
            peer.accept()?;
            peer.stall(Duration::from_secs(60))?;
            tell.send(true).map_err(PeerError::other)
        })
        .connection(|_| Ok(()));
    let server = server.start().unwrap();
    let connections = [0; 2].map(|_| create_connection(server.url()).unwrap());
    drop(server);
    assert!(told.recv_timeout(Duration::from_secs(5)).unwrap());
    assert!(told.recv_timeout(Duration::from_secs(5)).unwrap());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    drop(connections);
}

#[test]
fn finish_waits_for_connections_that_are_still_to_come() {
    let server = TestServer::start(|peer| peer.refuse(503)).unwrap();
    let url = server.url().to_owned();
    let late = thread::spawn(move || {
        thread::sleep(ms(100));
        create_connection(&url).unwrap_err();
    });
    server.finish().unwrap();
    late.join().unwrap();
}

#[test]
fn a_peer_that_is_not_read_times_out() {
    let (mut client, _server) = peers();
    client.set_timeout(ms(100));
    let start = Instant::now();
    let failed = client.send_bytes(vec![0; 64 << 20]).unwrap_err();
    assert!(matches!(failed, PeerError::Timeout { .. }), "{failed}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn bytes_that_trickle_do_not_extend_a_wait() {
    let (mut client, mut server) = peers();
    server.set_timeout(ms(100));
    let trickle = thread::spawn(move || client.send_in_chunks(vec![b'x'; 200], 1, ms(5)));
    let start = Instant::now();
    let failed = server.expect_head().unwrap_err();
    assert!(matches!(failed, PeerError::Timeout { .. }), "{failed}");
    // A clock of another make may be a little ahead.
    assert!((ms(90)..ms(600)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(!server.unread().is_empty());
    drop(server);
    let _ = trickle.join().unwrap();
}

#[test]
fn what_a_script_has_sent_arrives_although_it_has_not_read_everything() {
    for _ in 0..20 {
        let server = TestServer::start(|peer| {
            peer.accept()?;
            thread::sleep(ms(5));
            peer.send_text("the last word")
        });
        let server = server.unwrap();
        let mut ws = create_connection(server.url()).unwrap();
        ws.send_text("not read").unwrap();
        server.finish().unwrap();
        assert_eq!(ws.recv().unwrap().as_text(), Some("the last word"));
    }
}

// Both roles.

#[test]
fn peers_speak_with_each_other_in_both_roles() {
    let (mut client, mut server) = peers();
    let server = thread::spawn(move || -> Result<(), PeerError> {
        let request = server.accept_with(&Acceptance::default().subprotocol("chat").header("X-A", "b"))?;
        assert_eq!((request.target.as_str(), request.host.as_str()), ("/room?1", "here"));
        assert_eq!(server.expect_ping()?, b"ping");
        server.send_pong("pong")?;
        server.send_frame(&Frame::new(Opcode::Text, "frag").fragment())?;
        server.send_ping("between")?;
        server.send_frame(&Frame::new(Opcode::Continuation, "ments"))?;
        assert_eq!(server.expect_pong()?, b"between");
        server.expect_binary([1, 2, 3])?;
        server.answer_close(4001)
    });
    let request = ClientRequest::new("here", "/room?1").subprotocols(["chat"]);
    let response = client.open_with(&request).unwrap();
    assert_eq!(response.headers.first("x-a"), Some(&b"b"[..]));
    client.send_ping("ping").unwrap();
    assert_eq!(client.expect_pong().unwrap(), b"pong");
    client.expect_text("fragments").unwrap();
    client.send_in_chunks(client.encode(&Frame::new(Opcode::Binary, [1, 2, 3])), 2, ms(1)).unwrap();
    client.close(4001).unwrap();
    server.join().unwrap().unwrap();
    assert!(matches!(client.next_frame(), Ok(None)));
}

#[test]
fn a_client_says_that_it_was_refused() {
    let (mut client, mut server) = peers();
    let rejection = Rejection::new(429).header("Retry-After", "1").with_body();
    let server = thread::spawn(move || server.refuse_with(&rejection, b"busy"));
    let failed = client.open("/").unwrap_err();
    assert_eq!(failed.to_string(), "expected a response that opens the WebSocket, received status 429");
    server.join().unwrap().unwrap();
}

#[test]
fn masking_and_headers_are_judged_by_role() {
    let (mut client, mut server) = peers();
    client.send_bytes(b"\x81\x00").unwrap();
    assert!(matches!(server.expect_frame(), Err(PeerError::Protocol(ProtocolError::UnmaskedFrame))));
    server.send_bytes(b"\x81\x80\0\0\0\0").unwrap();
    assert!(matches!(client.expect_frame(), Err(PeerError::Protocol(ProtocolError::MaskedFrame))));
    let (mut client, mut server) = peers();
    client.send_bytes(b"\x81\xfe\0\x01\0\0\0\0\0").unwrap();
    assert!(matches!(server.expect_frame(), Err(PeerError::Protocol(ProtocolError::NonMinimalLength))));
    let (mut client, mut server) = peers();
    let frame = Frame { fin: false, rsv: Rsv::RSV1, opcode: Opcode::Text, payload: b"as it is".to_vec() };
    client.send_frame(&frame).unwrap();
    assert_eq!(server.expect_frame().unwrap(), frame);
    client.send_frame(&Frame::new(Opcode::Continuation, "")).unwrap();
    assert!(matches!(server.expect_message(), Err(PeerError::Protocol(ProtocolError::UnexpectedContinuation))));
}

#[test]
fn invalid_bytes_can_be_sent_and_are_found() {
    let server = TestServer::start(|peer| {
        peer.accept()?;
        peer.send_bytes(b"\x83\x00")?;
        let close = peer.expect_close(1002)?;
        assert_ne!(close, CloseFrame::empty());
        peer.shutdown_write()?;
        peer.expect_end()
    });
    let server = server.unwrap();
    let mut ws = create_connection(server.url()).unwrap();
    assert!(matches!(ws.recv(), Err(Error::Protocol(ProtocolError::UnknownOpcode(3)))));
    drop(ws);
    server.finish().unwrap();
}

#[test]
fn nothing_beyond_loopback_is_reached() {
    let server = TestServer::start(|_| Ok(())).unwrap();
    assert!(server.address().ip().is_loopback());
    let elsewhere = ([192, 0, 2, 1], 80).into();
    assert!(matches!(Peer::connect(elsewhere), Err(PeerError::NotLoopback(address)) if address == elsewhere));
    drop(TcpStream::connect(server.address()).unwrap());
    server.finish().unwrap();
}

/// Wine ends such a connection in order.
#[cfg(not(windows))]
#[test]
fn a_reset_is_one() {
    let server = TestServer::start(|peer| {
        peer.accept()?;
        peer.reset()?;
        assert!(matches!(peer.send_text("gone"), Err(PeerError::Ended { .. })));
        assert!(matches!(peer.expect_frame(), Err(PeerError::Ended { .. })));
        Ok(())
    });
    let server = server.unwrap();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let ended = io::Read::read_to_end(&mut stream, &mut Vec::new());
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    server.finish().unwrap();
}

#[test]
fn a_reconnecting_app_meets_one_script_after_the_other() {
    let server = TestServer::builder()
        .connection(|peer| {
            peer.accept()?;
            peer.reset()
        })
        .connection(|peer| peer.refuse(503))
        .connection(|peer| {
            peer.accept()?;
            let frame = peer.encode(&Frame::new(Opcode::Text, "torn"));
            peer.send_in_chunks(&frame[..3], 1, ms(1))?;
            peer.shutdown_write()
        })
        .every_connection(|peer| {
            peer.accept()?;
            peer.send_text("back again")?;
            peer.answer_close(1000)
        });
    let server = server.start().unwrap();
    let mut messages = Vec::new();
    let app = WebSocketApp::new(server.url()).reconnect(Reconnect::fixed(ms(1)).max_attempts(5));
    app.on_message(|app, message| {
        messages.push(message.as_text().unwrap_or_default().to_owned());
        app.close()
    })
    .run_forever()
    .unwrap();
    assert_eq!(messages, ["back again"]);
    assert_eq!(server.connections(), 4);
    server.finish().unwrap();
}

// TLS.

#[cfg(any(feature = "native-tls", feature = "rustls"))]
#[test]
fn a_server_with_a_certificate_of_its_own() {
    let server = TestServer::builder().tls().connection(|peer| {
        peer.accept()?;
        peer.echo()
    });
    let server = server.start().unwrap();
    assert!(server.url().starts_with("wss://127.0.0.1:"));
    let options = ConnectOptions::new().tls(TestCertificate::tls_options());
    let mut ws = options.connect(server.url()).unwrap();
    ws.send_text(&"large".repeat(100_000)).unwrap();
    assert_eq!(ws.recv().unwrap(), Message::Text("large".repeat(100_000)));
    ws.close().unwrap();
    let recording = server.recordings().remove(0);
    server.finish().unwrap();
    assert_eq!(recording.frames()[0].frame.payload.len(), 500_000, "in plain text");

    let server = TestServer::builder().tls().connection(|peer| peer.accept().map(drop)).start().unwrap();
    assert!(matches!(create_connection(server.url()), Err(Error::Tls(_))), "nobody else trusts it");
    let failed = server.finish().unwrap_err();
    assert!(matches!(failed, PeerError::Script { .. }), "{failed}");
}

#[cfg(any(feature = "native-tls", feature = "rustls"))]
#[test]
fn every_library_takes_the_certificate_by_each_of_its_names() {
    let backends = [
        #[cfg(feature = "native-tls")]
        websocket_sync::TlsBackend::NativeTls,
        #[cfg(feature = "rustls")]
        websocket_sync::TlsBackend::Rustls,
    ];
    for backend in backends {
        for host in ["127.0.0.1", "localhost"] {
            let server = TestServer::builder().tls().connection(|peer| {
                peer.accept()?;
                peer.answer_close(1000)
            });
            let server = server.start().unwrap();
            let options = ConnectOptions::new().tls(TestCertificate::tls_options().backend(backend));
            options.connect(&server.url().replace("127.0.0.1", host)).unwrap().close().unwrap();
            server.finish().unwrap();
        }
    }
}

#[cfg(feature = "native-tls")]
#[test]
fn a_client_speaks_tls_to_a_server_under_test() {
    let (chain, key) = (TestCertificate::CHAIN_PEM, TestCertificate::KEY_PEM);
    let identity = native_tls::Identity::from_pkcs8(chain.as_bytes(), key.as_bytes()).unwrap();
    let acceptor = native_tls::TlsAcceptor::new(identity).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let tls = websocket_sync::TlsOptions::new().acceptor(acceptor);
        let mut ws = ConnectOptions::new().tls(tls).accept(listener.accept().unwrap().0).unwrap();
        assert_eq!(ws.recv().unwrap().as_text(), Some("hello"));
        ws.recv().unwrap_err()
    });
    let mut peer = Peer::connect_tls(address).unwrap();
    peer.open("/").unwrap();
    peer.send_text("hello").unwrap();
    peer.close(1000).unwrap();
    assert!(server.join().unwrap().is_closed());
}

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
#[test]
fn without_a_library_there_is_no_tls() {
    let server = TestServer::builder().tls().connection(|_| Ok(())).start();
    assert!(matches!(server, Err(PeerError::NoTlsLibrary)));
    let server = TestServer::start(|_| Ok(())).unwrap();
    assert!(matches!(Peer::connect_tls(server.address()), Err(PeerError::NoTlsLibrary)));
    server.finish().unwrap();
}

// Recordings.

#[test]
fn a_recording_has_heads_frames_and_what_was_cut() {
    let server = TestServer::start(|peer| {
        peer.accept()?;
        peer.expect_text("hello")?;
        peer.send_in_chunks(peer.encode(&Frame::new(Opcode::Binary, [7; 300])), 100, ms(1))?;
        peer.send_bytes(b"\x82\x05ab")
    });
    let server = server.unwrap();
    let recording = Recording::new();
    let stream = recording.wrap(TcpStream::connect(server.address()).unwrap());
    let mut ws = ConnectOptions::new().connect_over(stream, server.url()).unwrap();
    ws.send_text("hello").unwrap();
    assert_eq!(ws.recv().unwrap().as_bytes(), [7; 300]);
    ws.recv().unwrap_err();
    drop(ws);
    let theirs = server.recordings().remove(0);
    server.finish().unwrap();

    let (sent, received) = (TraceDirection::Sent, TraceDirection::Received);
    assert!(recording.head(sent).starts_with(b"GET / HTTP/1.1\r\n"));
    assert!(recording.head(received).starts_with(b"HTTP/1.1 101 "));
    let [text, binary] = &recording.frames()[..2] else { panic!("{:?}", recording.frames()) };
    assert_eq!((text.direction, &text.frame), (sent, &Frame::new(Opcode::Text, "hello")));
    assert_eq!((binary.direction, &binary.frame), (received, &Frame::new(Opcode::Binary, [7; 300])));
    assert!(text.mask.is_some() && binary.mask.is_none() && text.at <= binary.at);
    assert_eq!(recording.rest(received), b"\x82\x05ab");
    let shown = recording.to_string();
    let first = shown.lines().next().unwrap();
    assert!(first.starts_with("sent after ") && first.ends_with(r#": fin=1 opcode=1 data="hello""#), "{first}");
    assert_eq!(recording.bytes(received), theirs.bytes(sent));
    assert!(!recording.is_truncated(received));
}

/// As in `Via: HTTP/1.1 gateway`.
#[test]
fn a_recording_has_frames_whatever_the_head_says_of_http() {
    let server = TestServer::start(|peer| {
        peer.send_bytes("HTTP/1.1 103 Early Hints\r\nLink: <HTTP/9>\r\n\r\n")?;
        peer.accept_with(&Acceptance::default().header("Via", "HTTP/1.1 gateway"))?;
        peer.send_text("hello")
    });
    let server = server.unwrap();
    assert_eq!(create_connection(server.url()).unwrap().recv().unwrap().as_text(), Some("hello"));
    let recording = server.recordings().remove(0);
    server.finish().unwrap();
    let sent = recording.frames().into_iter().find(|frame| frame.direction == TraceDirection::Sent).unwrap();
    assert_eq!(sent.frame, Frame::new(Opcode::Text, "hello"));
}

#[test]
fn a_recording_of_a_proxy_has_the_heads_of_both_requests_and_the_frames_behind_them() {
    let proxy = TestServer::start(|peer| {
        peer.expect_head()?;
        peer.send_bytes("HTTP/1.1 200 Connected\r\n\r\n")?;
        peer.accept()?;
        peer.expect_text("hello")
    });
    let proxy = proxy.unwrap();
    let options = ConnectOptions::new().proxy(format!("http://{}", proxy.address()));
    let ws = options.connect("ws://feed.example/").unwrap();
    ws.send_text("hello").unwrap();
    drop(ws);
    let recording = proxy.recordings().remove(0);
    proxy.finish().unwrap();
    let head = String::from_utf8(recording.head(TraceDirection::Received)).unwrap();
    assert!(
        head.starts_with("CONNECT feed.example:80 HTTP/1.1\r\n") && head.contains("\r\n\r\nGET / HTTP/1.1\r\n"),
        "{head:?}"
    );
    assert_eq!(recording.frames()[0].frame, Frame::new(Opcode::Text, "hello"));
}

#[test]
fn a_recording_of_a_refusal_has_no_frames() {
    let server = TestServer::start(|peer| {
        peer.refuse_with(&Rejection::new(503).with_body().header("Content-Length", "4"), b"\x81\x02hi").map(drop)
    });
    let server = server.unwrap();
    create_connection(server.url()).unwrap_err();
    let recording = server.recordings().remove(0);
    server.finish().unwrap();
    assert_eq!(recording.frames(), []);
    assert_eq!(recording.rest(TraceDirection::Sent), b"\x81\x02hi");
}

#[test]
fn a_recording_is_bounded() {
    let recording = Recording::new();
    let (ours, theirs) = tcp_pair();
    let wrapped = recording.wrap(ours);
    let reader = thread::spawn(move || io::copy(&mut &theirs, &mut io::sink()).unwrap());
    let mut written = 0;
    while written < 17 << 20 {
        written += wrapped.try_write(&[0; 64 * 1024]).unwrap_or_default() as u64;
    }
    assert!(recording.is_truncated(TraceDirection::Sent));
    assert_eq!(recording.bytes(TraceDirection::Sent).len(), 16 << 20);
    drop(wrapped);
    assert_eq!(reader.join().unwrap(), written);
}

// Faults.

/// A connection to a server that echoes, and the client's faults.
fn echoing(faults: &FaultInjector, options: &ConnectOptions) -> (TestServer, websocket_sync::Result<WebSocket>) {
    let server = TestServer::builder().timeout(Duration::from_secs(5)).connection(|peer| {
        peer.accept()?;
        match peer.echo() {
            Err(PeerError::Ended { .. }) => Ok(()),
            result => result,
        }
    });
    let server = server.start().unwrap();
    let stream = faults.wrap(TcpStream::connect(server.address()).unwrap());
    let ws = options.connect_over(stream, server.url());
    (server, ws)
}

fn short_timeouts() -> ConnectOptions {
    ConnectOptions::new().recv_timeout(ms(150)).send_timeout(ms(150)).close_timeout(ms(500))
}

#[test]
fn a_planned_fault_strikes_once_and_is_told() {
    let faults = FaultInjector::new().on(Operation::Write, 2, Fault::Error(io::ErrorKind::HostUnreachable));
    let (server, ws) = echoing(&faults, &short_timeouts());
    let ws = ws.unwrap();
    let failed = ws.send_text("fails").unwrap_err();
    let cause = CloseCause::Lost(io::ErrorKind::HostUnreachable);
    assert_eq!(failed.close_info().map(|info| info.cause), Some(cause));
    assert_eq!(faults.to_string(), format!("transport 1: write 2: {}", io::ErrorKind::HostUnreachable));
    drop(ws);
    server.finish().unwrap();
    let (server, ws) = echoing(&faults, &short_timeouts());
    let ws = ws.unwrap();
    ws.send_text("goes").unwrap();
    ws.close().unwrap();
    server.finish().unwrap();
    assert_eq!(faults.struck().len(), 1);
}

#[test]
fn a_torn_write_leaves_a_part_of_a_frame() {
    let faults = FaultInjector::new().on(Operation::Write, 2, Fault::Torn(5));
    let (server, ws) = echoing(&faults, &short_timeouts());
    let ws = ws.unwrap();
    let _ = ws.send_text("this is cut");
    assert!(ws.send_text("nothing follows").is_err());
    drop(ws);
    let recording = server.recordings().remove(0);
    server.finish().unwrap();
    assert_eq!(recording.rest(TraceDirection::Received).len(), 5);
}

#[test]
fn a_delay_delays_and_a_timeout_times_out() {
    let faults = FaultInjector::new()
        .on(Operation::Read, 2, Fault::Delay(ms(60)))
        .on(Operation::Write, 3, Fault::Timeout)
        .on(Operation::Read, 3, Fault::Timeout);
    let (server, ws) = echoing(&faults, &short_timeouts());
    let mut ws = ws.unwrap();
    let start = Instant::now();
    ws.send_text("late").unwrap();
    assert_eq!(ws.recv().unwrap().as_text(), Some("late"));
    assert!(start.elapsed() >= ms(60), "{:?}", start.elapsed());

    let start = Instant::now();
    assert!(matches!(ws.send_text("stuck"), Err(Error::Timeout(Phase::Send))));
    assert!(start.elapsed() >= ms(150), "{:?}", start.elapsed());
    ws.send_text("not stuck").unwrap();
    let start = Instant::now();
    assert!(matches!(ws.recv(), Err(Error::Timeout(Phase::Recv))));
    assert!(start.elapsed() >= ms(150), "{:?}: {faults}", start.elapsed());
    assert_eq!(ws.recv().unwrap().as_text(), Some("not stuck"));
    ws.close().unwrap();
    server.finish().unwrap();
}

#[test]
fn a_blocked_direction_is_freed_by_a_shutdown() {
    let faults = FaultInjector::new().on(Operation::Read, 2, Fault::Timeout);
    let (server, ws) = echoing(&faults, &ConnectOptions::new());
    let mut ws = ws.unwrap();
    ws.send_text("its echo is withheld").unwrap();
    let sender = ws.sender();
    let receiver = thread::spawn(move || ws.recv());
    thread::sleep(ms(100));
    assert!(!receiver.is_finished(), "it is blocked: {faults}");
    let start = Instant::now();
    sender.abort();
    // What had come may still be read.
    let _ = receiver.join().unwrap();
    assert!(start.elapsed() < ms(500), "{:?}", start.elapsed());
    server.finish().unwrap();
}

#[test]
fn each_fault_has_the_effect_that_it_is_named_for() {
    let goes_on = [Fault::Interrupted, Fault::WouldBlock, Fault::Short(1), Fault::Delay(ms(1))];
    let ends = [Fault::Torn(0), Fault::Torn(2), Fault::Reset, Fault::Eof, Fault::Overrun];
    for operation in [Operation::Read, Operation::Write, Operation::Wait] {
        for (fault, is_harmless) in goes_on.map(|fault| (fault, true)).into_iter().chain(ends.map(|f| (f, false))) {
            // What ends a wait says so in the call that reads or writes next.
            let faults = FaultInjector::new().on(operation, 2, fault);
            let (server, ws) = echoing(&faults, &short_timeouts());
            let exchanged = ws.and_then(|mut ws| {
                for _ in 0..5 {
                    ws.send_text("there and back")?;
                    ws.recv()?;
                }
                ws.close()
            });
            match faults.struck().is_empty() {
                // So many waits there may not have been.
                true => assert_eq!((operation, exchanged.is_ok()), (Operation::Wait, true), "{fault:?}"),
                false if is_harmless => exchanged.unwrap_or_else(|error| panic!("{faults}: {error}")),
                false if (operation, fault) == (Operation::Wait, Fault::Overrun) => exchanged.unwrap(),
                false => assert!(exchanged.is_err(), "{faults}"),
            }
            drop(server);
        }
    }
}

#[test]
fn a_read_that_is_cut_to_nothing_is_the_end() {
    let faults = FaultInjector::new().on(Operation::Read, 2, Fault::Short(0));
    let (server, ws) = echoing(&faults, &short_timeouts());
    let mut ws = ws.unwrap();
    ws.send_text("its echo is not read").unwrap();
    assert_eq!(
        ws.recv().unwrap_err().close_info().map(|info| info.cause),
        Some(CloseCause::Lost(io::ErrorKind::UnexpectedEof))
    );
    drop(ws);
    server.finish().unwrap();
}

#[test]
fn each_operation_can_be_cut() {
    let faults =
        FaultInjector::new().on_each(Operation::Read, Fault::Short(1)).on_each(Operation::Write, Fault::Short(1));
    let (server, ws) = echoing(&faults, &ConnectOptions::new());
    let mut ws = ws.unwrap();
    ws.send_text("byte by byte").unwrap();
    assert_eq!(ws.recv().unwrap().as_text(), Some("byte by byte"));
    ws.close().unwrap();
    server.finish().unwrap();
    assert!(faults.struck().is_empty());
    assert_eq!(faults.to_string(), "nothing has struck");
}

/// What strikes the first operations of a transport, in the order of the operations.
fn drawn(faults: &FaultInjector) -> Vec<String> {
    let (ours, mut theirs) = tcp_pair();
    let transport = faults.wrap(ours);
    io::Write::write_all(&mut theirs, &[7; 100]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    let retry = |interest, call: &mut dyn FnMut() -> io::Result<usize>| {
        while let Err(error) = call() {
            assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted), "{error}");
            // It may be interrupted.
            let _ = transport.wait(interest, Some(deadline));
            assert!(Instant::now() < deadline, "{faults}");
        }
    };
    for _ in 0..50 {
        retry(Interest::Write, &mut || transport.try_write(b"x"));
        retry(Interest::Read, &mut || transport.try_read(&mut [0]));
    }
    let struck = faults.struck().into_iter().filter(|struck| struck.operation != Operation::Wait);
    struck.map(|struck| struck.to_string()).collect()
}

#[test]
fn the_same_seed_makes_the_same_faults() {
    let mut different = std::collections::HashSet::new();
    for seed in 0..20 {
        let first = drawn(&FaultInjector::harmless(seed));
        assert_eq!(first, drawn(&FaultInjector::harmless(seed)), "seed {seed}");
        different.insert(first);
    }
    assert!(different.len() > 15, "{} kinds of 20 seeds", different.len());
}

#[test]
fn harmless_faults_change_nothing_but_the_time() {
    let mut struck = 0;
    for seed in 0..10 {
        let faults = FaultInjector::harmless(seed);
        assert_eq!(faults.seed(), Some(seed));
        let (server, ws) = echoing(&faults, &ConnectOptions::new());
        let mut ws = ws.unwrap_or_else(|error| panic!("{faults}: {error}"));
        for number in 0..20 {
            let text = format!("{number}").repeat(100);
            ws.send_text(&text).unwrap();
            assert_eq!(ws.recv().unwrap().as_text(), Some(&*text), "{faults}");
        }
        ws.close().unwrap();
        server.finish().unwrap();
        struck += faults.struck().len();
    }
    assert!(struck > 20, "{struck} faults");
}

#[test]
fn faults_by_seed_end_connections_and_say_their_seed() {
    let mut ended = 0;
    for seed in 0..40 {
        let faults = FaultInjector::seeded(seed);
        let (server, ws) = echoing(&faults, &short_timeouts());
        let exchanged = ws.and_then(|mut ws| {
            for _ in 0..40 {
                ws.send_text("there and back")?;
                ws.recv()?;
            }
            ws.close()
        });
        if exchanged.is_err() {
            ended += 1;
            assert!(faults.to_string().starts_with(&format!("seed {seed}: transport 1: ")), "{faults}");
        }
        drop(server);
    }
    assert!((5..40).contains(&ended), "{ended} of 40");
}
