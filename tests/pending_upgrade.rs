//! A server that looks at a request before it answers: `ConnectOptions::read_request`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use support::{at_deadline, bounded, ms, timed};
use websocket_sync::protocol::handshake::{Acceptance, ExtensionOffer, Rejection};
use websocket_sync::{
    Cancellation, ConnectOptions, DeflateOptions, Error, Message, PendingUpgrade, Phase, Result, WebSocket,
};

/// A server that answers a client as it likes, and what the client got.
fn answered<T: Send + 'static>(
    options: ConnectOptions,
    client: ConnectOptions,
    answer: impl FnOnce(PendingUpgrade) -> T + Send + 'static,
) -> (T, Result<WebSocket>) {
    let (here, there) = UnixStream::pair().unwrap();
    let server: JoinHandle<T> = thread::spawn(move || answer(options.read_request(there).unwrap()));
    let connected = client.connect_over(here, "ws://h:1/path?query");
    (server.join().unwrap(), connected)
}

#[test]
fn a_request_is_looked_at_and_accepted() {
    bounded(10, || {
        let options = ConnectOptions::new().deflate(DeflateOptions::new()).header("X-Ours", "1");
        let client = ConnectOptions::new().deflate(DeflateOptions::new()).subprotocols(["a", "b"]).cookie("c=1");
        let (server, connected) = answered(options, client, |pending| {
            let request = pending.request();
            assert_eq!((request.target.as_str(), request.host.as_str()), ("/path?query", "h:1"));
            assert_eq!(
                (&*request.subprotocols, request.headers.text("cookie").as_deref()),
                (&["a".to_owned(), "b".to_owned()][..], Some("c=1"))
            );
            assert!(format!("{pending:?}").contains("cookie\": <hidden>"), "{pending:?}");
            pending.accept(Acceptance::default().subprotocol("b").header("Set-Cookie", "d=2"))
        });
        let (mut server, mut client) = (server.unwrap(), connected.unwrap());
        assert_eq!((client.subprotocol(), server.subprotocol()), (Some("b"), Some("b")));
        assert!(client.deflate().is_some() && server.deflate().is_some());
        let headers = client.headers().unwrap();
        assert_eq!(
            (headers.text("x-ours").as_deref(), headers.text("set-cookie").as_deref()),
            (Some("1"), Some("d=2"))
        );
        client.send_text("hello").unwrap();
        assert_eq!(server.recv().unwrap(), Message::from("hello"));
        server.send_text("hello yourself").unwrap();
        assert_eq!(client.recv().unwrap(), Message::from("hello yourself"));
    });
}

#[test]
fn a_rejection_has_the_body_that_it_is_given() {
    bounded(10, || {
        for (rejection, body, length) in [
            (Rejection::new(403).reason("Not On Sundays"), "closed", Some("6")),
            (Rejection::new(404).reason("Not Here"), "", Some("0")),
            (Rejection::new(503).reason("").header("Transfer-Encoding", "chunked"), "in chunks", None),
        ] {
            let sent = rejection.clone();
            let (rejected, connected) = answered(ConnectOptions::new(), ConnectOptions::new(), move |pending| {
                pending.reject(sent, body.as_bytes())
            });
            rejected.unwrap();
            let Err(Error::Refused(refusal)) = connected else { panic!("{connected:?}") };
            assert_eq!((refusal.status, &*refusal.body_text()), (rejection.status, body));
            assert_eq!(refusal.headers.text("content-length").as_deref(), length);
            assert_eq!(Some(refusal.reason), rejection.reason);
        }
    });
}

#[test]
fn an_answer_that_is_none_is_refused_before_a_byte_leaves() {
    bounded(10, || {
        let refused = |answer: fn(PendingUpgrade) -> Error| {
            let (error, connected) = answered(ConnectOptions::new(), ConnectOptions::new(), answer);
            assert!(matches!(connected, Err(Error::Handshake(_))), "{connected:?}");
            error
        };
        let not_offered =
            refused(|pending| pending.accept(Acceptance::default().subprotocol("z")).map(drop).unwrap_err());
        assert!(matches!(not_offered, Error::Usage(_)), "{not_offered:?}");
        let extension = refused(|pending| {
            let unknown = ExtensionOffer::parse_list("x-unknown").unwrap().remove(0);
            pending.accept(Acceptance::default().extension(unknown)).map(drop).unwrap_err()
        });
        assert!(matches!(extension, Error::Options(_)), "{extension:?}");
        let length =
            refused(|pending| pending.reject(Rejection::new(403).header("Content-Length", "9"), b"no").unwrap_err());
        assert!(matches!(length, Error::Usage(_)), "{length:?}");
    });
}

/// A request that is none is answered by the call that reads it.
#[test]
fn what_is_no_request_is_not_left_to_the_caller() {
    bounded(10, || {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let error = ConnectOptions::new().read_request(there).unwrap_err();
        assert!(matches!(error, Error::Handshake(_)), "{error:?}");
        let mut answer = String::new();
        here.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    });
}

/// The time for the answer begins with the answer, and a cancellation calls both parts off.
#[test]
fn the_request_and_the_answer_have_a_deadline_each() {
    bounded(20, || {
        let options = ConnectOptions::new().open_timeout(ms(300));
        let (_silent, there) = UnixStream::pair().unwrap();
        let error = at_deadline(ms(300), || options.read_request(there).unwrap_err());
        assert!(matches!(error, Error::Timeout(Phase::Handshake)), "{error:?}");

        let (accepted, connected) = answered(options.clone(), ConnectOptions::new(), |pending| {
            thread::sleep(ms(500));
            pending.accept(Acceptance::default())
        });
        assert!(accepted.is_ok() && connected.is_ok());

        let cancellation = Cancellation::new();
        let cancelled = options.cancellation(&cancellation);
        let (accepted, connected) = answered(cancelled, ConnectOptions::new(), move |pending| {
            cancellation.cancel();
            timed(|| pending.accept(Acceptance::default()).map(drop))
        });
        let (Err(Error::Closed(info)), took) = accepted else { panic!("accepted") };
        assert!(info.code.0 == 1006 && took < ms(1000), "{info:?}");
        assert!(connected.is_err());
    });
}

#[test]
fn a_rejection_that_the_client_does_not_read_is_cancelled() {
    bounded(20, || {
        let cancellation = Cancellation::new();
        let options = ConnectOptions::new().cancellation(&cancellation);
        let (mut client, there) = UnixStream::pair().unwrap();
        client.write_all(REQUEST.as_bytes()).unwrap();
        let pending = options.read_request(there).unwrap();
        thread::scope(|scope| {
            let rejecting = scope.spawn(|| timed(|| pending.reject(Rejection::new(403), &vec![b'x'; 16 << 20])));
            thread::sleep(ms(100));
            cancellation.cancel();
            let (rejected, took) = rejecting.join().unwrap();
            assert!(matches!(rejected, Err(Error::Closed(_))) && took < ms(1000), "{rejected:?} after {took:?}");
        });
    });
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn a_rejection_arrives_whole_although_the_client_has_said_more_than_its_request() {
    bounded(20, || {
        const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(REQUEST).unwrap();
        let pending = ConnectOptions::new().read_request(listener.accept().unwrap().0).unwrap();
        client.write_all(b"\x81\x80abcd").unwrap();
        // More than the buffers of the system take at once.
        let (told, rejected) = mpsc::channel();
        let server = thread::spawn(move || {
            let body = vec![b'n'; 4 << 20];
            told.send(pending.reject(Rejection::new(403), &body)).unwrap();
        });
        let mut answer = vec![0; 1 << 20];
        client.read_exact(&mut answer).unwrap();
        // It has hung up by the time that the rest is read.
        while rejected.try_recv().is_err() {
            let length = answer.len();
            answer.resize(length + 4096, 0);
            client.read_exact(&mut answer[length..]).unwrap();
        }
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 403 ") && answer.len() > 4 << 20, "{} bytes", answer.len());
        server.join().unwrap();
    });
}
