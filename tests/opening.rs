//! Openings in an event loop: no step waits, whatever the opening waits for, and what it waits for is told.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
#[path = "support/backends.rs"]
mod backends;
mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use support::cases::Cases;
use support::site::{Site, fields, found, open, path, status};
use support::{at_deadline, at_once, bounded, by_deadline, closed, ms};
use tls_peer::{Authority, Validity};
use websocket_sync::{
    Cancellation, CloseCause, ConnectOptions, Error, Interest, Message, Opening, Phase, Proxy, SocketOptions, Source,
    TlsBackend, TlsOptions, Transport, WebSocket,
};

/// A loop with nothing else to do: polls what the opening says, and until when it says.
fn finish(opening: Opening) -> Result<WebSocket, Error> {
    finish_all(vec![opening]).pop().unwrap()
}

/// The same for many at once.
fn finish_all(openings: Vec<Opening>) -> Vec<Result<WebSocket, Error>> {
    let (wakes, wake) = UnixStream::pair().unwrap();
    let wake = Arc::new(wake);
    let waking = |opening: Opening| {
        let wake = Arc::clone(&wake);
        opening.on_wake(move || (&*wake).write_all(&[0]).unwrap())
    };
    let mut results: Vec<_> = openings.iter().map(|_| None).collect();
    let mut left: Vec<_> = openings.into_iter().map(waking).enumerate().collect();
    loop {
        left.retain_mut(|(place, opening)| {
            results[*place] = at_once(|| opening.step()).transpose();
            results[*place].is_none()
        });
        if left.is_empty() {
            return results.into_iter().map(Option::unwrap).collect();
        }
        wait(left.iter().map(|(_, opening)| opening), &wakes, None);
    }
}

/// Waits as the openings say, until one of the loop's wakes comes, which is taken, and no longer than `limit`.
fn wait<'a>(openings: impl Iterator<Item = &'a Opening>, mut wakes: &UnixStream, limit: Option<Duration>) {
    let (mut sources, mut until) = (Vec::new(), limit.map(|limit| Instant::now() + limit));
    for opening in openings {
        sources.extend(opening.sources());
        until = until.into_iter().chain(opening.next_step()).min();
    }
    let flags = |source: &Source| {
        let read = if source.wants_read() { PollFlags::IN } else { PollFlags::empty() };
        let write = if source.wants_write() { PollFlags::OUT } else { PollFlags::empty() };
        read | write
    };
    let mut fds = vec![PollFd::new(wakes, PollFlags::IN)];
    fds.extend(sources.iter().filter_map(|source| Some(PollFd::from_borrowed_fd(source.as_fd()?, flags(source)))));
    let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
    poll(&mut fds, rest.map(|rest| Timespec::try_from(rest).unwrap()).as_ref()).unwrap();
    if !fds[0].revents().is_empty() {
        wakes.read_exact(&mut [0]).unwrap();
    }
}

/// Steps until it waits for something that satisfies the condition.
#[track_caller]
fn step_until(opening: &mut Opening, waits: impl Fn(&Opening) -> bool) {
    let start = Instant::now();
    while {
        assert!(at_once(|| opening.step()).unwrap().is_none(), "it is open already");
        !waits(opening)
    } {
        assert!(start.elapsed() < ms(10_000), "{opening:?}");
        nap(opening);
    }
}

/// Waits as the opening says, but 20 ms at most.
fn nap(opening: &Opening) {
    wait([opening].into_iter(), &UnixStream::pair().unwrap().0, Some(ms(20)));
}

fn reads(opening: &Opening) -> bool {
    opening.sources().iter().any(|source| source.wants_read())
}

/// A server that takes connections and never says anything.
fn silent() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn at(address: SocketAddr) -> ConnectOptions {
    ConnectOptions::new().resolver(move |_, _| Ok(vec![address]))
}

fn assert_times_out(options: &ConnectOptions, url: &str, phase: Phase) {
    let options = options.clone().open_timeout(ms(300));
    let error = at_deadline(ms(300), || finish(options.start(url).unwrap()).unwrap_err());
    assert!(matches!(error, Error::Timeout(other) if other == phase), "{phase:?}: {error:?}");
}

#[test]
fn one_thread_opens_many_connections_at_once() {
    bounded(60, || {
        let site = Site::new(open);
        let openings = (0..100).map(|i| ConnectOptions::new().start(&site.url(&format!("/{i}"))).unwrap()).collect();
        for ws in finish_all(openings) {
            let ws = ws.unwrap();
            assert!(ws.connected() && ws.timings().unwrap().handshake.is_some());
        }
        assert_eq!(site.heads().len(), 100);
    });
}

#[test]
fn what_is_wrong_with_the_url_or_the_options_is_told_at_the_start() {
    assert!(matches!(ConnectOptions::new().start("http//"), Err(Error::Url(_))));
    assert!(matches!(ConnectOptions::new().timeout(Duration::ZERO).start("ws://a/"), Err(Error::Options(_))));
}

#[test]
fn redirects_and_challenges_are_followed() {
    bounded(30, || {
        let site = Site::new(|head| match (path(head), fields(head, "Authorization").is_empty()) {
            ("/old", _) => found("/new"),
            ("/new", true) => status("401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n"),
            _ => open(head),
        });
        let options = ConnectOptions::new().credentials("user", "password");
        let ws = finish(options.start(&site.url("/old")).unwrap()).unwrap();
        assert_eq!(ws.url(), Some(&*site.url("/new")));
        assert_eq!(site.heads().len(), 3);
    });
}

#[test]
fn the_body_of_a_refusal_is_read_as_it_comes() {
    let (url, script) = support::serve(|mut peer| {
        peer.head();
        peer.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\n");
        peer.drip("not on a Sunday, sir", ms(10));
    });
    let error = finish(ConnectOptions::new().start(&url).unwrap()).unwrap_err();
    let Error::Refused(refusal) = error else { panic!("{error:?}") };
    assert_eq!((refusal.status, &refusal.body[..]), (403, &b"not on a Sunday, sir"[..]));
    script.join();
}

#[test]
fn a_peer_that_never_stops_keeps_no_step() {
    for (start, again) in [("5;", "extension"), ("0\r\n", "X: trailer\r\n"), ("1\r\nx\r\n", "1\r\nx\r\n"), ("", "0")] {
        let (url, script) = support::serve(move |mut peer| {
            peer.head();
            peer.say("HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n");
            peer.say(start);
            let _ = peer.repeat(again, 10_000_000);
        });
        let options = ConnectOptions::new().open_timeout(ms(500));
        let error = by_deadline(ms(500), || finish(options.start(&url).unwrap()).unwrap_err());
        assert!(matches!(&error, Error::Refused(refusal) if refusal.status == 503), "{error:?}");
        script.join();
    }
}

on_each_backend! {
    tls_is_spoken
    a_server_that_says_nothing_to_tls_ends_at_the_deadline
    a_certificate_that_is_not_trusted_is_told
}

fn tls_is_spoken(tls: TlsOptions) {
    bounded(60, || {
        let authority = Authority::new();
        let config = authority.leaf("localhost", Validity::Now).server(&rustls::version::TLS13);
        let (listener, address) = silent();
        let server = thread::spawn(move || {
            let mut peer = tls_peer::accept(config, listener.accept().unwrap().0).unwrap();
            let mut head = [0; 4096];
            let n = peer.read(&mut head).unwrap();
            let answer = support::answer_to(str::from_utf8(&head[..n]).unwrap());
            // Into pieces, and with a pause: no step waits for the next one.
            for piece in answer.as_bytes().chunks(20) {
                peer.write_all(piece).unwrap();
                peer.flush().unwrap();
                thread::sleep(ms(2));
            }
            peer
        });
        let options = at(address).tls(tls.ca_certs_pem(&authority.pem));
        let ws = finish(options.start("wss://localhost/").unwrap()).unwrap();
        assert!(ws.is_ssl() && ws.timings().unwrap().tls.is_some());
        drop(server.join().unwrap());
    });
}

fn a_server_that_says_nothing_to_tls_ends_at_the_deadline(tls: TlsOptions) {
    let (_listener, address) = silent();
    // To read the certificates takes its time, the first time.
    let options = at(address).tls(tls.ca_certs_pem(&Authority::new().pem));
    assert_times_out(&options, "wss://localhost/", Phase::Tls);
    assert_times_out(&options, "wss://localhost/", Phase::Tls);
}

fn a_certificate_that_is_not_trusted_is_told(tls: TlsOptions) {
    let config = Authority::new().leaf("localhost", Validity::Now).server(&rustls::version::TLS13);
    let (listener, address) = silent();
    let server = thread::spawn(move || tls_peer::accept(config, listener.accept().unwrap().0).map(drop).unwrap_err());
    let options = at(address).tls(tls.ca_certs_pem(&Authority::new().pem));
    let error = finish(options.start("wss://localhost/").unwrap()).unwrap_err();
    assert!(matches!(error, Error::Tls(_)), "{error:?}");
    server.join().unwrap();
}

#[test]
fn each_phase_ends_at_the_deadline_and_no_step_waits() {
    let (_listener, address) = silent();
    let hanging = ConnectOptions::new().resolver(|_, _| {
        thread::sleep(ms(1000));
        Ok(Vec::new())
    });
    let slow_headers = at(address).header_provider(|| {
        thread::sleep(ms(1000));
        Ok(Vec::new())
    });
    let slow_dial = ConnectOptions::new().dial_with(|_| -> io::Result<TcpStream> {
        thread::sleep(ms(1000));
        Err(io::ErrorKind::NotFound.into())
    });
    let mut cases = Cases::new();
    let mut add = |name: &str, options: ConnectOptions, url: &'static str, phase| {
        cases.add(name, move || assert_times_out(&options, url, phase));
    };
    add("a resolver", hanging, "ws://hangs.example/", Phase::Resolve);
    add("a server", at(address), "ws://silent.example/", Phase::Handshake);
    for scheme in ["http", "https", "socks4", "socks5h"] {
        let options = at(address).proxy(Proxy::new(format!("{scheme}://proxy.example:1")));
        add(scheme, options, "ws://silent.example/", Phase::Proxy);
    }
    add("headers", slow_headers, "ws://slow.example/", Phase::Handshake);
    add("a dial of the user's", slow_dial, "ws://slow.example/", Phase::Connect);
    cases.run(60);
}

#[test]
fn a_fifo_of_certificates_without_a_writer_ends_at_the_deadline() {
    let fifo = std::env::temp_dir().join(format!("websocket-sync-opening-{}", std::process::id()));
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let options = ConnectOptions::new().tls(TlsOptions::new().ca_certs(&fifo));
    assert_times_out(&options, "wss://localhost:1/", Phase::Tls);
    std::fs::remove_file(fifo).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn addresses_race_and_the_sockets_of_the_race_are_told() {
    bounded(30, || {
        let localhost = std::net::IpAddr::from([127, 0, 0, 1]);
        let hole = support::BlackHole::new(localhost).unwrap();
        let site = Site::new(open);
        let addresses = vec![hole.address, hole.address, site.address];
        let options = ConnectOptions::new().resolver(move |_, _| Ok(addresses.clone()));
        let mut opening = options.start("ws://three.example/").unwrap();
        step_until(&mut opening, |opening| opening.sources().len() == 1);
        let first = opening.sources();
        assert!(first[0].wants_write() && !first[0].wants_read());
        let next = opening.next_step().unwrap().saturating_duration_since(Instant::now());
        assert!(next <= ms(250), "{next:?}");
        step_until(&mut opening, |opening| opening.sources().len() == 2);
        let both = opening.sources();
        assert!(both.contains(&first[0]) && both[0] != both[1]);
        let ws = finish(opening).unwrap();
        assert_eq!(ws.peer_addr(), Some(site.address));
        assert_times_out(&at(hole.address), "ws://dead.example/", Phase::Connect);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_unix_socket_whose_listener_is_busy_is_tried_again() {
    bounded(30, || {
        let place = std::env::temp_dir().join(format!("websocket-sync-opening-{}.socket", std::process::id()));
        let listener = UnixListener::bind(&place).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let queued = UnixStream::connect(&place).unwrap();
        let url = format!("ws+unix://{}:/", place.display());
        assert_times_out(&ConnectOptions::new(), &url, Phase::Connect);
        let mut opening = ConnectOptions::new().start(&url).unwrap();
        step_until(&mut opening, |opening| opening.sources().is_empty());
        assert!(opening.next_step().unwrap() <= Instant::now() + ms(50));
        drop(queued);
        let server = thread::spawn(move || {
            drop(listener.accept().unwrap());
            WebSocket::accept(listener.accept().unwrap().0)
        });
        finish(opening).unwrap();
        drop(server.join().unwrap().unwrap());
        std::fs::remove_file(place).unwrap();
    });
}

#[test]
fn the_end_of_a_lookup_wakes_the_loop() {
    let site = Site::new(open);
    let address = site.address;
    let (answer, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let options = ConnectOptions::new().resolver(move |_, _| {
        held.lock().unwrap().recv().unwrap();
        Ok(vec![address])
    });
    let (wake, wakes) = mpsc::channel();
    let mut opening = options.start("ws://name.example/").unwrap().on_wake(move || wake.send(()).unwrap());
    assert!(opening.next_step().unwrap() <= Instant::now(), "it has not begun");
    assert!(at_once(|| opening.step()).unwrap().is_none());
    assert!(opening.sources().is_empty());
    assert!(opening.next_step().unwrap() > Instant::now() + ms(20_000), "until the open timeout");
    assert!(at_once(|| opening.step()).unwrap().is_none(), "a step too many does no harm");
    wakes.try_recv().unwrap_err();
    answer.send(()).unwrap();
    wakes.recv_timeout(ms(10_000)).unwrap();
    finish(opening).unwrap();
}

#[test]
fn without_a_hook_for_that_the_next_step_is_near_while_a_name_is_looked_up() {
    let slow = ConnectOptions::new().resolver(|_, _| {
        thread::sleep(ms(200));
        Ok(Vec::new())
    });
    let mut opening = slow.start("ws://name.example/").unwrap();
    let before = Instant::now();
    assert!(at_once(|| opening.step()).unwrap().is_none());
    let next = opening.next_step().unwrap();
    assert!((before + ms(20)..=Instant::now() + ms(20)).contains(&next));
    thread::sleep(ms(25));
    assert!(opening.next_step() == Some(next) && next <= Instant::now(), "it comes nearer");
    assert!(matches!(finish(opening), Err(Error::Address(_))));
}

#[test]
fn a_hook_that_comes_late_misses_nothing() {
    // Otherwise it could be done in the step that asks for it.
    let (begin, begins) = mpsc::channel();
    let begins = Mutex::new(begins);
    let failing = ConnectOptions::new().resolver(move |_, _| {
        begins.lock().unwrap().recv().unwrap();
        Ok(Vec::new())
    });
    let mut opening = failing.start("ws://name.example/").unwrap();
    assert!(at_once(|| opening.step()).unwrap().is_none());
    begin.send(()).unwrap();
    thread::sleep(ms(50));
    let opening = opening.on_wake(|| {});
    assert!(opening.next_step().unwrap() <= Instant::now());
    assert!(matches!(by_deadline(ms(500), || finish(opening)), Err(Error::Address(_))));
}

#[test]
fn a_hook_that_panics_harms_no_other_lookup() {
    bounded(60, || {
        let (_listener, address) = silent();
        let url = format!("ws://localhost:{}/", address.port());
        // More often than there are threads for lookups. For this name they ask no name server, which may be slow.
        for _ in 0..70 {
            let (woken, wakes) = mpsc::channel();
            let wake = move || {
                woken.send(()).unwrap();
                panic!("on purpose")
            };
            let mut opening = ConnectOptions::new().start(&url).unwrap().on_wake(wake);
            assert!(opening.step().unwrap().is_none());
            wakes.recv_timeout(ms(20_000)).unwrap();
        }
        let site = Site::new(open);
        let url = format!("ws://localhost:{}/", site.address.port());
        finish(ConnectOptions::new().start(&url).unwrap()).unwrap();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_attempt_that_has_connected_is_taken_however_late_the_loop_comes() {
    // Otherwise it could be open in the step that connects.
    let (begin, begins) = mpsc::channel();
    let site = Site::new(move |head| {
        begins.recv().unwrap();
        open(head)
    });
    let hole = support::BlackHole::new([127, 0, 0, 1].into()).unwrap();
    let addresses = vec![site.address, hole.address];
    let socket = SocketOptions::new().attempt_timeout(ms(50));
    let options = ConnectOptions::new().resolver(move |_, _| Ok(addresses.clone())).socket(socket);
    let mut opening = options.start("ws://two.example/").unwrap();
    step_until(&mut opening, |opening| opening.sources().len() == 1);
    thread::sleep(ms(300));
    begin.send(()).unwrap();
    let ws = by_deadline(ms(500), || finish(opening).unwrap());
    assert_eq!(ws.peer_addr(), Some(site.address));
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_hook_a_cancellation_is_noticed_within_20_ms() {
    let hole = support::BlackHole::new([127, 0, 0, 1].into()).unwrap();
    let cancellation = Cancellation::new();
    let mut opening = at(hole.address).cancellation(&cancellation).start("ws://a/").unwrap();
    step_until(&mut opening, |opening| !opening.sources().is_empty());
    assert!(opening.next_step().unwrap() <= Instant::now() + ms(20));
    cancellation.cancel();
    assert_eq!(closed(at_once(|| opening.step())).cause, CloseCause::Cancelled);
}

#[test]
fn an_opening_that_is_over_wakes_nobody() {
    let site = Site::new(open);
    let (cancellation, wakes) = (Cancellation::new(), Arc::new(AtomicUsize::new(0)));
    let woken = Arc::clone(&wakes);
    let options = ConnectOptions::new().cancellation(&cancellation);
    let mut opening = options.start(&site.url("/")).unwrap().on_wake(move || {
        woken.fetch_add(1, Ordering::SeqCst);
    });
    let ws = loop {
        match opening.step().unwrap() {
            Some(ws) => break ws,
            None => nap(&opening),
        }
    };
    cancellation.cancel();
    assert_eq!(wakes.load(Ordering::SeqCst), 0);
    assert!(ws.connected());
}

#[test]
fn a_cancellation_wakes_the_loop_in_each_phase_and_the_next_step_tells_it() {
    let (_listener, address) = silent();
    let hanging = ConnectOptions::new().resolver(|_, _| {
        thread::sleep(ms(1000));
        Ok(Vec::new())
    });
    #[cfg(target_os = "linux")]
    let hole = support::BlackHole::new([127, 0, 0, 1].into()).unwrap();
    type Waits = fn(&Opening) -> bool;
    let phases: Vec<(ConnectOptions, &str, Waits)> = vec![
        (hanging, "ws://a/", |opening| opening.sources().is_empty()),
        (at(address), "ws://a/", reads),
        (at(address), "wss://a/", reads),
        (at(address).proxy(Proxy::new("socks5h://b:1")), "ws://a/", reads),
        #[cfg(target_os = "linux")]
        (at(hole.address), "ws://a/", |opening| !opening.sources().is_empty()),
    ];
    for (options, url, waits) in phases {
        let (cancellation, wakes) = (Cancellation::new(), Arc::new(AtomicUsize::new(0)));
        let woken = Arc::clone(&wakes);
        let wake = move || {
            woken.fetch_add(1, Ordering::SeqCst);
        };
        let mut opening = options.cancellation(&cancellation).start(url).unwrap().on_wake(wake);
        step_until(&mut opening, waits);
        let before = wakes.load(Ordering::SeqCst);
        cancellation.cancel();
        assert!(wakes.load(Ordering::SeqCst) > before);
        assert_eq!(closed(at_once(|| opening.step())).cause, CloseCause::Cancelled);
        assert_eq!(closed(opening.step()).cause, CloseCause::NotConnected, "it is over");
        assert!(opening.next_step().is_none() && opening.sources().is_empty());
    }
}

#[test]
fn who_drops_it_gives_up() {
    let (listener, address) = silent();
    let mut opening = at(address).start("ws://a/").unwrap();
    step_until(&mut opening, reads);
    drop(opening);
    let mut request = Vec::new();
    by_deadline(ms(1000), || listener.accept().unwrap().0.read_to_end(&mut request).unwrap());
    assert!(request.starts_with(b"GET / "));
}

#[test]
fn a_panic_of_a_hook_is_the_steps_and_ends_it() {
    let panicking = ConnectOptions::new().resolver(|_, _| panic!("on purpose"));
    let mut opening = panicking.start("ws://a/").unwrap();
    let caught = loop {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| opening.step())) {
            Ok(step) => assert!(step.unwrap().is_none()),
            Err(panic) => break panic,
        }
        nap(&opening);
    };
    assert_eq!(caught.downcast_ref::<&str>(), Some(&"on purpose"));
    assert_eq!(closed(opening.step()).cause, CloseCause::NotConnected);
}

/// A stream that cannot be polled by others.
#[derive(Debug)]
struct Opaque(Box<dyn Transport>);

impl Transport for Opaque {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }
    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }
    fn wait(&self, _: Interest, _: Option<Instant>) -> io::Result<bool> {
        panic!("a step does not wait")
    }
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }
}

#[test]
fn a_stream_without_a_descriptor_is_looked_at_every_20_ms() {
    let (answer, asked) = mpsc::channel();
    let site = Site::new(move |head| {
        asked.recv().unwrap();
        open(head)
    });
    let address = site.address;
    let options = ConnectOptions::new().dial_with(move |_| Ok(Opaque(TcpStream::connect(address)?.into())));
    let (wake, wakes) = mpsc::channel();
    let mut opening = options.start("ws://opaque.example/").unwrap().on_wake(move || wake.send(()).unwrap());
    assert!(opening.step().unwrap().is_none());
    wakes.recv_timeout(ms(10_000)).unwrap();
    assert!(at_once(|| opening.step()).unwrap().is_none());
    assert!(opening.sources()[0].as_fd().is_none());
    assert!(opening.next_step().unwrap() <= Instant::now() + ms(20));
    answer.send(()).unwrap();
    finish(opening).unwrap();
}

#[test]
fn a_hook_dials_each_hop_in_both_ways_of_waiting() {
    bounded(30, || {
        let site = Site::new(|head| match (path(head), fields(head, "Authorization").is_empty()) {
            ("/first", _) => found("ws://second.example:81/second?secret"),
            ("/second?secret", true) => open(head),
            (_, true) => status("401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n"),
            _ => found("/first"),
        });
        let address = site.address;
        let connect = |open: fn(&ConnectOptions, &str) -> Result<WebSocket, Error>| {
            let hops = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&hops);
            let options =
                ConnectOptions::new().credentials("user", "password").redirect_limit(5).dial_with(move |hop| {
                    assert!(hop.deadline().is_some() && !hop.is_secure() && hop.socket_path().is_none());
                    assert!(!format!("{hop:?}").contains("secret"));
                    seen.lock().unwrap().push(format!("{} {} {}", hop.host(), hop.port(), hop.url()));
                    TcpStream::connect(address)
                });
            // Nobody is asked for a name or a proxy.
            let options = options.resolver(|_, _| panic!()).proxy(Proxy::new("http://nowhere.invalid"));
            let ws = open(&options, "ws://user:secret@home.example/start").unwrap();
            assert_eq!(ws.url(), Some("ws://second.example:81/second?secret"));
            drop((ws, options));
            Arc::into_inner(hops).unwrap().into_inner().unwrap()
        };
        let expected = [
            "home.example 80 ws://home.example/start",
            "home.example 80 ws://home.example/start",
            "home.example 80 ws://home.example/first",
            "second.example 81 ws://second.example:81/second?secret",
        ];
        assert_eq!(connect(|options, url| options.connect(url)), expected[..]);
        assert_eq!(connect(|options, url| finish(options.start(url)?)), expected[..]);
    });
}

#[test]
fn what_a_dialling_hook_says_is_told_with_its_phase() {
    let saying = |kind: io::ErrorKind| {
        let options = ConnectOptions::new().dial_with(move |_| Err::<TcpStream, _>(kind.into()));
        options.connect("ws://a/").unwrap_err()
    };
    let error = saying(io::ErrorKind::HostUnreachable);
    assert!(
        matches!(&error, Error::Io { phase: Phase::Connect, error } if error.kind() == io::ErrorKind::HostUnreachable)
    );
    assert!(matches!(saying(io::ErrorKind::TimedOut), Error::Timeout(Phase::Connect)));
}

#[test]
fn what_was_opened_is_a_connection_like_any_other() {
    let (url, script) = support::serve(|mut peer| {
        let head = peer.head();
        // The first frame comes with the head.
        peer.say([support::answer_to(&head).as_bytes(), &support::frame(0x81, "first")].concat());
        assert_eq!(peer.frame(), (0x81, b"second".to_vec()));
        peer.end()
    });
    let mut ws = finish(ConnectOptions::new().recv_timeout(ms(5000)).start(&url).unwrap()).unwrap();
    assert_eq!(ws.recv().unwrap(), Message::from("first"));
    ws.send_text("second").unwrap();
    ws.close().unwrap();
    assert_eq!(script.join(), 1000);
}

#[test]
fn an_opening_can_be_handed_to_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<Opening>();
}
