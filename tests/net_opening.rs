//! Making a connection, up to the first byte: names, addresses, options, deadlines.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/refusing.rs"]
mod refusing;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use refusing::refusing_address;
use websocket_sync::{ConnectOptions, Error, Phase, SocketOptions, UrlError, WebSocket, create_connection};

fn server() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut ws = WebSocket::accept(listener.accept().unwrap().0).unwrap();
        while ws.recv_ref().is_ok() {}
    });
    (address, server)
}

#[test]
fn a_resolver_of_ones_own_decides_where_to_connect_and_later_addresses_make_up_for_earlier_ones() {
    let (address, server) = server();
    let nobody = refusing_address();
    let asked = Arc::new(AtomicUsize::new(0));
    let options = ConnectOptions::new().resolver({
        let asked = Arc::clone(&asked);
        move |host, port| {
            assert_eq!((host, port), ("nowhere.invalid", 80));
            asked.fetch_add(1, Ordering::Relaxed);
            Ok(vec![nobody.address(), address])
        }
    });
    let ws = options.connect("ws://nowhere.invalid/").unwrap();
    assert_eq!(ws.peer_addr(), Some(address));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    ws.close().unwrap();
    server.join().unwrap();
}

#[test]
fn names_without_an_address_are_told_with_the_name() {
    let failing = ConnectOptions::new().resolver(|_, _| Err(io::Error::other("out of order")));
    let error = failing.connect("ws://name.invalid/").unwrap_err();
    assert_eq!(error.to_string(), "cannot resolve host \"name.invalid\"");
    assert!(matches!(&error, Error::Address(inner) if inner.to_string() == "out of order"), "{error:?}");
    assert!(error.is_retryable());
}

#[test]
fn a_name_that_takes_too_long_ends_at_the_deadline() {
    let slow = ConnectOptions::new().open_timeout(Duration::from_millis(100)).resolver(|_, _| {
        thread::sleep(Duration::from_secs(2));
        Ok(Vec::new())
    });
    let start = Instant::now();
    let result = slow.connect("ws://slow.invalid/");
    assert!(matches!(result, Err(Error::Timeout(Phase::Resolve))), "{result:?}");
    assert!((100..1000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[test]
fn nobody_there_is_an_error_of_the_system() {
    let nobody = refusing_address();
    let error = create_connection(&format!("ws://{nobody}/")).unwrap_err();
    assert!(matches!(&error, Error::Io { error, .. } if error.kind() == io::ErrorKind::ConnectionRefused), "{error:?}");
    assert!(error.is_retryable());
}

#[test]
fn what_cannot_be_meant_is_refused_before_anybody_is_asked() {
    let unasked = || ConnectOptions::new().resolver(|_, _| panic!("nobody should be asked"));
    let socket = SocketOptions::new().user_timeout(Duration::ZERO);
    for options in [unasked().timeout(Duration::ZERO), unasked().socket(socket)] {
        assert!(matches!(options.connect("ws://a.invalid/"), Err(Error::Options(_))));
    }
    let cases = [
        ("http://a.invalid/", UrlError::Scheme("http".into())),
        ("ws://a.invalid:0/", UrlError::Port("0".into())),
        ("ws:///", UrlError::EmptyHost),
        ("ws://a.invalid/\r\nX: y", UrlError::Character { character: '\r', at: 15 }),
    ];
    for (url, expected) in cases {
        let error = unasked().connect(url).unwrap_err();
        assert!(matches!(&error, Error::Url(found) if *found == expected), "{error:?}");
        assert!(!error.is_retryable());
    }
}

#[test]
fn every_duration_can_be_tiny_or_endless() {
    for timeout in [Duration::from_nanos(1), Duration::MAX] {
        let (address, server) = server();
        let options = ConnectOptions::new().timeout(timeout).open_timeout(Duration::MAX).close_timeout(timeout);
        let mut ws = options.connect(&format!("ws://localhost:{}/", address.port())).unwrap();
        if timeout < Duration::MAX {
            assert!(ws.recv().unwrap_err().is_timeout());
        }
        let _ = ws.send_text("x");
        let _ = ws.close();
        drop(ws);
        server.join().unwrap();
    }
    let (address, _server) = server();
    let hasty = ConnectOptions::new().open_timeout(Duration::from_nanos(1));
    assert!(hasty.connect(&format!("ws://{address}/")).unwrap_err().is_timeout());
}
