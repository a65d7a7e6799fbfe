//! Ways to a server that has several addresses, and openings that are cancelled on the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use support::refusing::{RefusingAddress, refusing_address};
use support::{at_deadline, at_once, bounded, by_deadline, closed, ms, timed};
use websocket_sync::{
    Cancellation, CloseCause, ConnectOptions, Error, HalfDuplex, Message, Phase, ProxyError, Retry, SocketOptions,
    WebSocket, socket2,
};

/// A listener and its port; the test serves it, or leaves those who connect without an answer.
fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Echoes on every connection that comes, until the process ends.
fn echo_server() -> SocketAddr {
    let (listener, address) = listen();
    serve_echoes(listener);
    address
}

fn serve_echoes(listener: TcpListener) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let Ok(mut ws) = WebSocket::accept(stream.unwrap()) else { return };
                while let Ok(Message::Text(text)) = ws.recv() {
                    let _ = ws.send_text(&text);
                }
            });
        }
    });
}

fn assert_echoes(ws: &mut WebSocket) {
    ws.send_text("Hello").unwrap();
    assert_eq!(ws.recv().unwrap(), Message::Text("Hello".into()));
}

fn resolving(addresses: Vec<SocketAddr>) -> ConnectOptions {
    ConnectOptions::new().resolver(move |_, _| Ok(addresses.clone()))
}

/// Counts the sockets.
fn counting(sockets: &Arc<AtomicUsize>) -> SocketOptions {
    let sockets = Arc::clone(sockets);
    SocketOptions::new().configure(move |_| {
        sockets.fetch_add(1, Ordering::Relaxed);
        Ok(())
    })
}

#[cfg(target_os = "linux")]
mod black_holes {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::support::BlackHole;

    const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Of the other family, where the machine has it.
    fn ipv6() -> BlackHole {
        BlackHole::new(Ipv6Addr::LOCALHOST.into()).or_else(|_| BlackHole::new(LOCALHOST)).unwrap()
    }

    #[test]
    fn a_black_hole_before_a_server_costs_at_most_300_ms() {
        let server = echo_server();
        for hole in [ipv6(), BlackHole::new(LOCALHOST).unwrap()] {
            let options = resolving(vec![hole.address, server]);
            // 300 ms and no more, but for what the machine is late by.
            let (ws, took) = timed(|| by_deadline(ms(200), || options.connect("ws://both.example/").unwrap()));
            assert_eq!(ws.peer_addr(), Some(server));
            assert!(took >= ms(250), "the first has 250 ms for itself, not {took:?}");
            assert!(ws.timings().unwrap().connect.is_some_and(|connect| connect >= ms(250)));
        }
    }

    /// No deadline of this crate has passed.
    #[test]
    fn what_the_system_gives_up_is_told_as_it_says_it() {
        let hole = BlackHole::new(LOCALHOST).unwrap();
        // The system looks at it after a second, when it asks for the second time.
        let options = resolving(vec![hole.address]).socket(SocketOptions::new().user_timeout(ms(300)));
        let error = by_deadline(ms(5000), || options.connect("ws://hole.example/").unwrap_err());
        let Error::Io { phase: Phase::Connect, error: problem } = &error else { panic!("{error:?}") };
        assert_eq!(problem.kind(), io::ErrorKind::TimedOut);
        assert!(problem.to_string().starts_with(&format!("{}: ", hole.address)), "{problem}");
        assert!(error.is_retryable() && !error.is_timeout());
        let through = ConnectOptions::new().proxy(format!("http://{}", hole.address));
        let through = through.socket(SocketOptions::new().user_timeout(ms(300)));
        let error = by_deadline(ms(5000), || through.connect("ws://server.example/").unwrap_err());
        assert!(matches!(&error, Error::Proxy(error) if matches!(**error, ProxyError::Connect { .. })), "{error:?}");
    }

    #[test]
    fn the_other_family_is_tried_second_however_many_addresses_the_first_has() {
        let (hole, server) = (ipv6(), echo_server());
        let options = resolving(vec![hole.address, hole.address, hole.address, hole.address, server]);
        if hole.address.is_ipv6() {
            let ws = by_deadline(ms(200), || options.connect("ws://both.example/").unwrap());
            assert_eq!(ws.peer_addr(), Some(server));
        }
    }

    #[test]
    fn who_answers_late_still_wins_while_others_are_tried() {
        let (late, hole) = (BlackHole::new(LOCALHOST).unwrap(), BlackHole::new(LOCALHOST).unwrap());
        let options = resolving(vec![late.address, hole.address]);
        let address = late.address;
        let server = thread::spawn(move || {
            thread::sleep(ms(400));
            serve_echoes(late.open());
        });
        // The system asks a second time after a second.
        let (mut ws, took) = timed(|| options.connect("ws://both.example/").unwrap());
        assert_eq!(ws.peer_addr(), Some(address));
        assert!(took >= ms(400), "{took:?}");
        assert_echoes(&mut ws);
        server.join().unwrap();
    }

    #[test]
    fn who_answers_within_250_ms_is_the_only_one_who_is_asked() {
        let (hole, server) = (BlackHole::new(LOCALHOST).unwrap(), echo_server());
        let sockets = Arc::new(AtomicUsize::new(0));
        let options = resolving(vec![server, hole.address]).socket(counting(&sockets));
        let ws = at_once(|| options.connect("ws://both.example/").unwrap());
        assert_eq!(ws.peer_addr(), Some(server));
        assert_eq!(sockets.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn ten_dead_addresses_and_a_live_one_connect_inside_the_deadline() {
        let (hole, server) = (BlackHole::new(LOCALHOST).unwrap(), echo_server());
        let mut addresses = vec![hole.address; 10];
        addresses.push(server);
        let options = resolving(addresses).open_timeout(ms(5000));
        let mut ws = at_deadline(ms(2500), || options.connect("ws://many.example/").unwrap());
        assert_echoes(&mut ws);
    }

    #[test]
    fn nobody_there_ends_at_the_deadline_with_its_phase() {
        let hole = BlackHole::new(LOCALHOST).unwrap();
        for addresses in [1, 3] {
            let options = resolving(vec![hole.address; addresses]).open_timeout(ms(350));
            let error = at_deadline(ms(350), || options.connect("ws://dead.example/").unwrap_err());
            assert!(matches!(error, Error::Timeout(Phase::Connect)), "{error:?}");
        }
    }

    #[test]
    fn an_address_is_given_up_after_its_limit_if_others_are_left() {
        let hole = BlackHole::new(LOCALHOST).unwrap();
        let sockets = Arc::new(AtomicUsize::new(0));
        let socket = counting(&sockets).attempt_timeout(ms(100));
        let nobody = refusing_address();
        let options = resolving(vec![hole.address, nobody.address()]).socket(socket);
        // The first is given up after 100 ms, then the second refuses.
        let error = at_deadline(ms(100), || options.connect("ws://dead.example/").unwrap_err());
        assert!(
            matches!(&error, Error::Io { error, .. } if error.kind() == io::ErrorKind::ConnectionRefused),
            "{error:?}"
        );
        assert_eq!(sockets.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_limit_of_the_users_counts_for_a_single_address_too() {
        let hole = BlackHole::new(LOCALHOST).unwrap();
        let socket = SocketOptions::new().attempt_timeout(ms(100));
        let options = resolving(vec![hole.address]).socket(socket);
        let error = at_deadline(ms(100), || options.connect("ws://dead.example/").unwrap_err());
        assert!(matches!(error, Error::Timeout(Phase::Connect)), "{error:?}");
    }

    #[test]
    fn a_cancel_ends_the_race() {
        let hole = BlackHole::new(LOCALHOST).unwrap();
        for addresses in [1, 3] {
            cancelled_at_once(&resolving(vec![hole.address; addresses]), "ws://dead.example/");
        }
    }
}

#[test]
fn ten_addresses_that_refuse_cost_no_time() {
    let server = echo_server();
    let refusing: Vec<_> = (0..10).map(|_| refusing_address()).collect();
    let mut addresses: Vec<_> = refusing.iter().map(RefusingAddress::address).collect();
    addresses.push(server);
    let ws = at_once(|| resolving(addresses).connect("ws://many.example/").unwrap());
    assert_eq!(ws.peer_addr(), Some(server));
}

#[test]
fn a_name_that_never_resolves_returns_at_the_deadline() {
    let (hold, options) = never_resolving();
    let options = options.open_timeout(ms(100));
    let error = at_deadline(ms(100), || options.connect("ws://silent.example/").unwrap_err());
    assert!(matches!(error, Error::Timeout(Phase::Resolve)), "{error:?}");
    drop(hold);
}

#[test]
fn the_peer_sees_the_local_address_that_was_asked_for_though_it_was_in_use_a_moment_ago() {
    let local = if cfg!(target_os = "linux") { Ipv4Addr::new(127, 0, 0, 5) } else { Ipv4Addr::LOCALHOST };
    let port = TcpListener::bind((local, 0)).unwrap().local_addr().unwrap().port();
    for port in [0, port, port] {
        let (listener, address) = listen();
        let options = ConnectOptions::new().socket(SocketOptions::new().bind((local, port)));
        let server = thread::spawn(move || {
            let (stream, seen) = listener.accept().unwrap();
            let mut server = WebSocket::accept(stream).unwrap();
            server.recv().unwrap_err();
            seen
        });
        let client = options.connect(&format!("ws://{address}/")).unwrap();
        let ours = client.local_addr().unwrap();
        // Who ends a connection first is left with the port in TIME_WAIT.
        client.abort();
        assert_eq!(server.join().unwrap(), ours);
        assert_eq!(ours.ip(), IpAddr::V4(local));
        assert!(port == 0 || port == ours.port());
    }
}

#[test]
fn the_hook_gets_each_socket_before_it_connects() {
    let server = echo_server();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hook = {
        let seen = Arc::clone(&seen);
        move |socket: &socket2::Socket| {
            assert!(socket.peer_addr().is_err(), "not yet");
            seen.lock().unwrap().push(socket.tcp_nodelay()?);
            socket.set_ttl_v4(33)
        }
    };
    let nobody = refusing_address();
    let options = resolving(vec![nobody.address(), server]).socket(SocketOptions::new().configure(hook));
    let ws = options.connect("ws://both.example/").unwrap();
    assert_eq!(*seen.lock().unwrap(), [true, true]);
    #[cfg(unix)]
    assert_eq!(socket2::SockRef::from(&ws.as_fd().unwrap()).ttl_v4().unwrap(), 33);
    drop(ws);
}

#[test]
fn a_hook_that_fails_for_one_address_leaves_the_others() {
    let server = echo_server();
    let calls = AtomicUsize::new(0);
    let hook = move |_: &socket2::Socket| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Err(io::Error::other("not this one")),
        _ => Ok(()),
    };
    let options = resolving(vec![server, server]).socket(SocketOptions::new().configure(hook));
    assert!(options.connect("ws://both.example/").unwrap().connected());
    let never = ConnectOptions::new().socket(SocketOptions::new().configure(|_| Err(io::Error::other("never"))));
    let error = never.connect(&format!("ws://{server}/")).unwrap_err();
    assert!(matches!(&error, Error::Io { phase: Phase::Connect, error } if error.to_string() == "never"), "{error:?}");
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_a_way_like_others() {
    let path = std::env::temp_dir().join(format!("websocket-sync-{}.socket", std::process::id()));
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let url = format!("ws+unix://{}:/feed?a=b", path.display());
    let server = thread::spawn(move || {
        let mut ws = WebSocket::accept(listener.accept().unwrap().0).unwrap();
        let text = ws.recv().unwrap();
        assert_eq!(text, Message::Text("Hello".into()));
        ws.send_text("Hello").unwrap();
        ws.recv().unwrap_err();
    });
    let mut ws = ConnectOptions::new().connect(&url).unwrap();
    assert_echoes(&mut ws);
    assert_eq!((ws.local_addr(), ws.peer_addr()), (None, None));
    ws.close().unwrap();
    server.join().unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = ConnectOptions::new().connect(&url).unwrap_err();
    assert!(matches!(&error, Error::Io { phase: Phase::Connect, error } if error.kind() == io::ErrorKind::NotFound));
}

/// A resolver that answers when the sender is dropped.
fn never_resolving() -> (mpsc::Sender<()>, ConnectOptions) {
    let (hold, held) = mpsc::channel();
    let held = Mutex::new(held);
    let options = ConnectOptions::new().resolver(move |_, _| {
        let _ = held.lock().unwrap().recv();
        Ok(Vec::new())
    });
    (hold, options)
}

/// Calls `open` off after a while, and expects it to return at once.
#[track_caller]
fn cancelled(cancellation: &Cancellation, open: impl FnOnce() -> Result<WebSocket, Error>) {
    const LATER: Duration = ms(70);
    let canceller = thread::spawn({
        let cancellation = cancellation.clone();
        move || {
            thread::sleep(LATER);
            cancellation.cancel();
        }
    });
    let (result, took) = timed(|| by_deadline(LATER, open));
    assert_eq!(closed(result).cause, CloseCause::Cancelled);
    assert!(took >= LATER - ms(5), "it ended by itself after {took:?}");
    canceller.join().unwrap();
}

#[track_caller]
fn cancelled_at_once(options: &ConnectOptions, url: &str) {
    let cancellation = Cancellation::new();
    let options = options.clone().cancellation(&cancellation);
    cancelled(&cancellation, || options.connect(url));
}

/// Reads the platform's certificates, which is done once and takes its time.
fn prepare_tls() {
    let hasty = ConnectOptions::new().open_timeout(Duration::from_nanos(1));
    assert!(hasty.connect("wss://127.0.0.1:9/").unwrap_err().is_timeout());
}

#[test]
fn a_cancel_ends_the_wait_for_the_resolver() {
    let (hold, options) = never_resolving();
    cancelled_at_once(&options, "ws://silent.example/");
    cancelled_at_once(&options.open_timeout(Duration::MAX), "ws://silent.example/");
    drop(hold);
}

#[test]
fn a_cancel_ends_the_wait_for_a_server_that_says_nothing() {
    prepare_tls();
    let (_listener, address) = listen();
    cancelled_at_once(&ConnectOptions::new(), &format!("ws://{address}/"));
    cancelled_at_once(&ConnectOptions::new(), &format!("wss://{address}/"));
}

#[test]
fn a_cancel_ends_the_wait_for_a_proxy_that_says_nothing() {
    prepare_tls();
    let (_listener, address) = listen();
    for scheme in ["http", "https", "socks5h"] {
        let options = ConnectOptions::new().proxy(format!("{scheme}://{address}").as_str());
        cancelled_at_once(&options, "ws://behind.example/");
    }
}

#[test]
fn a_cancel_ends_the_wait_for_the_body_of_a_refusal() {
    let (url, peer) = support::serve(|mut peer| {
        peer.head();
        peer.say("HTTP/1.1 403 No\r\nContent-Length: 99\r\n\r\nno");
        peer.rest();
    });
    cancelled_at_once(&ConnectOptions::new(), &url);
    peer.join();
}

#[test]
fn a_cancel_ends_the_opening_over_a_stream_of_the_users() {
    prepare_tls();
    for url in ["ws://silent.example/", "wss://silent.example/"] {
        let (listener, address) = listen();
        let ours = TcpStream::connect(address).unwrap();
        let _theirs = listener.accept().unwrap();
        let cancellation = Cancellation::new();
        let options = ConnectOptions::new().cancellation(&cancellation);
        cancelled(&cancellation, || options.connect_over(ours, url));
    }
}

#[test]
fn a_cancel_ends_the_wait_for_a_client_that_says_nothing() {
    let (listener, address) = listen();
    let _client = TcpStream::connect(address).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let cancellation = Cancellation::new();
    let options = ConnectOptions::new().cancellation(&cancellation);
    cancelled(&cancellation, || options.accept(stream));
}

#[test]
fn what_is_cancelled_before_is_not_begun() {
    let cancellation = Cancellation::new();
    cancellation.cancel();
    let options = ConnectOptions::new().cancellation(&cancellation).resolver(|_, _| panic!("not to be asked"));
    assert_eq!(closed(options.connect("ws://a.example/")).cause, CloseCause::Cancelled);
    let stream = HalfDuplex::new(io::Cursor::new(Vec::new()));
    assert_eq!(closed(options.connect_over(stream, "ws://a.example/")).cause, CloseCause::Cancelled);
}

#[test]
fn what_has_been_opened_is_not_touched() {
    let address = echo_server();
    let cancellation = Cancellation::new();
    let mut ws = ConnectOptions::new().cancellation(&cancellation).connect(&format!("ws://{address}/")).unwrap();
    cancellation.cancel();
    assert_echoes(&mut ws);
    ws.close().unwrap();
}

#[test]
fn a_cancel_at_any_moment_leaves_a_connection_that_works_or_none() {
    bounded(60, || {
        let url = format!("ws://localhost:{}/", echo_server().port());
        let opens = |_| timed(|| ConnectOptions::new().connect(&url).unwrap()).1;
        // From before the first step to long after the last one.
        let last_cancel = 3 * (0..5).map(opens).max().unwrap();
        let mut opened = 0;
        for round in 0..300 {
            let cancellation = Cancellation::new();
            let options = ConnectOptions::new().cancellation(&cancellation);
            let canceller = thread::spawn(move || {
                thread::sleep(round * last_cancel / 300);
                cancellation.cancel();
            });
            match options.connect(&url) {
                Ok(mut ws) => {
                    opened += 1;
                    canceller.join().unwrap();
                    assert_echoes(&mut ws);
                }
                result => {
                    assert_eq!(closed(result).cause, CloseCause::Cancelled);
                    canceller.join().unwrap();
                }
            }
        }
        assert!((1..300).contains(&opened), "{opened} of 300 were opened: nothing was raced");
    });
}

/// What a name leads to can change while an app is away; an address cannot.
#[test]
fn a_name_without_an_address_of_the_local_family_may_have_one_later() {
    let options = resolving(vec![([0, 0, 0, 0, 0, 0, 0, 1], 9).into()]);
    let options = options.socket(SocketOptions::new().bind(([127, 0, 0, 1], 0)));
    let error = options.connect("ws://six.example/").unwrap_err();
    let Error::Address(unfit) = &error else { panic!("{error:?}") };
    assert_eq!(unfit.host, "six.example");
    assert_eq!(unfit.problem.to_string(), "it has no address of the family of 127.0.0.1, the local address (bind)");
    assert_eq!(error.retry(), Retry::Soon);
    let error = options.connect("ws://[::1]/").unwrap_err();
    assert!(matches!(&error, Error::Options(error) if error.option == "bind"), "{error:?}");
    assert_eq!(error.retry(), Retry::Never);
}
