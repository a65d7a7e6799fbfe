//! What is left behind: nothing. The descriptors and threads of the process are counted, so this is the only test in its process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::TcpListener;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, mpsc};
use std::thread;

use support::{bounded, frame, ms};
use websocket_sync::{Cancellation, CloseCause, ConnectOptions, Error, MessageRef, Overflow, WebSocketApp};

#[test]
fn connections_leave_no_descriptor_and_no_thread_behind() {
    connections_that_fail_leave_nothing_behind();
    proxies_that_fail_leave_nothing_behind();
    openings_that_are_cancelled_leave_nothing_behind();
    #[cfg(target_os = "linux")]
    those_who_lose_the_race_are_closed();
    #[cfg(unix)]
    connections_with_two_senders_a_receiver_and_a_closer_leave_nothing_behind();
    #[cfg(unix)]
    reconnects_of_an_app_leave_nothing_behind();
    runs_of_apps_leave_no_thread_behind();
}

#[cfg(unix)]
fn reconnects_of_an_app_leave_nothing_behind() {
    let times = u32::try_from(support::times(10_000, 1000)).unwrap();
    bounded(85, move || {
        let before = support::settled_descriptors_and_threads();
        let (server, sockets) = mpsc::channel::<UnixStream>();
        let peer = thread::spawn(move || {
            for (number, socket) in (0..).zip(sockets) {
                let mut peer = support::Peer::new(socket);
                peer.accept();
                match number % 4 {
                    0 => {}
                    1 => drop(peer.try_say(frame(0x88, b"\x03\xe8"))),
                    2 => drop(peer.try_say(b"\x83\x00")),
                    _ => peer.reset(),
                }
            }
        });
        let (mut opened, mut closed, mut worst) = (0, 0, before);
        let mut app = WebSocketApp::new("ws://peer/")
            .reconnect(websocket_sync::Reconnect::fixed(std::time::Duration::from_nanos(1)).max_attempts(times))
            .ping_interval(ms(1))
            .ping_timeout(ms(1000))
            .connect_with(move |_, options| {
                let (ours, theirs) = UnixStream::pair().unwrap();
                server.send(theirs).unwrap();
                options.connect_over(ours, "ws://peer/")
            })
            .on_open(|_| opened += 1)
            .on_error(|_, _| ())
            .on_close(|_, _| {
                closed += 1;
                let now = support::descriptors_and_threads();
                worst = (worst.0.max(now.0), worst.1.max(now.1));
            });
        // The last one may have been closed cleanly.
        drop(app.run_forever());
        drop(app);
        support::join(peer);
        assert_eq!((opened, closed), (times, times));
        // Beside the peer's socket and thread there is never more than one of each.
        assert!(worst.0 <= before.0 + 4 && worst.1 <= before.1 + 2, "{before:?}, at worst {worst:?}");
        support::assert_back_at(before);
    });
}

fn runs_of_apps_leave_no_thread_behind() {
    bounded(60, || {
        let run = |number: usize| {
            let (url, peer) = support::serve(move |mut peer| {
                peer.accept();
                let _ = peer.try_say(frame(0x81, "m").repeat(10));
                if number.is_multiple_of(3) {
                    let _ = peer.try_say(frame(0x88, b"\x03\xe8"));
                }
                peer.rest();
            });
            let options = ConnectOptions::new().close_timeout(ms(20));
            let app = WebSocketApp::new(url).options(options).ping_interval(ms(1)).ping_timeout(ms(1000));
            let app = app.on_message(move |app, _| {
                if number % 3 == 1 {
                    app.stop()
                }
            });
            let app = if number.is_multiple_of(2) { app } else { app.queue(2, Overflow::Block) };
            let app = app.spawn().unwrap();
            while !app.handle().ready() && !app.is_finished() {
                thread::yield_now();
            }
            app.handle().close().unwrap();
            app.join().unwrap();
            peer.join();
        };
        run(0);
        let before = support::settled_descriptors_and_threads();
        (0..support::times(200, 60)).for_each(run);
        support::assert_back_at(before);
    });
}

#[cfg(unix)]
fn connections_with_two_senders_a_receiver_and_a_closer_leave_nothing_behind() {
    const LANES: usize = 4;
    let rounds = support::times(10_000, 1000);
    bounded(85, move || {
        let before = support::settled_descriptors_and_threads();
        // Several at a time, so that one that waits for a processor does not hold up all.
        thread::scope(|scope| {
            for lane in 0..LANES {
                scope.spawn(move || (lane..rounds).step_by(LANES).for_each(race));
            }
        });
        support::assert_back_at(before);
    });
}

fn connections_that_fail_leave_nothing_behind() {
    bounded(60, || {
        let options = ConnectOptions::new().open_timeout(ms(20)).close_timeout(ms(20));
        let fail = |number: usize| {
            let (url, peer) = support::serve(move |mut peer| {
                let request = peer.head();
                match number % 6 {
                    0 => {}
                    1 => peer.say("HTTP/1.1 403 No\r\nContent-Length: 9999\r\n\r\nno"),
                    2 => peer.say("HTTP/1.1 101 Yes\r\n\r\n"),
                    3 => peer.say(b"\x16\x03\x01"),
                    4 => {
                        peer.rest();
                    }
                    _ => peer.say([support::answer_to(&request).into_bytes(), b"\x83\x00".to_vec()].concat()),
                }
            });
            if let Ok(mut ws) = options.connect(&url) {
                ws.recv().unwrap_err();
            }
            peer.join();
        };
        fail(0);
        let before = support::settled_descriptors_and_threads();
        (0..support::times(300, 100)).for_each(fail);
        support::assert_back_at(before);
    });
}

fn proxies_that_fail_leave_nothing_behind() {
    bounded(60, || {
        let says: [(&str, &[u8]); 10] = [
            (
                "http",
                b"HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\nContent-Length: 0\r\n\r\n",
            ),
            ("http", b"HTTP/1.0 407 No\r\nProxy-Authenticate: Basic realm=\"r\"\r\n\r\nno"),
            ("http", b"HTTP/1.1 200 OK\r\n\r\nearly"),
            ("http", b"HTTP/1.1 200 OK\r\n\r\n"),
            ("http", b"nonsense"),
            ("https", b"nonsense"),
            ("socks4a", b"\0\x5b"),
            ("socks4a", b"\0\x5a\0\0\0\0\0\0"),
            ("socks5h", b"\x05\xff"),
            ("socks5h", b"\x05\0\x05\x05"),
        ];
        let fail = |number: usize| {
            let (scheme, says) = says[number % says.len()];
            let (url, peer) = support::serve(move |mut peer| {
                peer.say(says);
                peer.fall_silent();
                peer.rest();
            });
            let who = if scheme == "socks4a" { "user@" } else { "user:password@" };
            let proxy = url.replace("ws://", &format!("{scheme}://{who}"));
            ConnectOptions::new().open_timeout(ms(500)).proxy(proxy).connect("ws://server.example/").unwrap_err();
            peer.join();
        };
        (0..says.len()).for_each(fail);
        let before = support::settled_descriptors_and_threads();
        (0..100 * says.len()).for_each(fail);
        support::assert_back_at(before);
    });
}

/// In each of its phases: while it resolves, while it shakes hands with TLS, while it waits for the answer.
fn openings_that_are_cancelled_leave_nothing_behind() {
    bounded(60, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = |number: usize| {
            let (hold, held) = mpsc::channel::<()>();
            let held = Mutex::new(held);
            let cancellation = Cancellation::new();
            let options = ConnectOptions::new().cancellation(&cancellation).resolver(move |_, _| {
                let _ = held.lock().unwrap().recv();
                Ok(Vec::new())
            });
            let url = match number % 3 {
                0 => "ws://silent.example/".to_owned(),
                1 => format!("ws://{address}/"),
                _ => format!("wss://{address}/"),
            };
            thread::scope(|scope| {
                let opening = scope.spawn(|| options.connect(&url));
                thread::sleep(ms(10));
                cancellation.cancel();
                assert_eq!(support::closed(opening.join().unwrap()).cause, CloseCause::Cancelled);
            });
            drop(hold);
            // Whoever came as far as that.
            while listener.accept().is_ok() {}
        };
        (0..3).for_each(cancel);
        let before = support::settled_descriptors_and_threads();
        (0..support::times(300, 100)).for_each(cancel);
        support::assert_back_at(before);
    });
}

#[cfg(target_os = "linux")]
fn those_who_lose_the_race_are_closed() {
    bounded(60, || {
        let localhost = std::net::IpAddr::from([127, 0, 0, 1]);
        let hole = support::BlackHole::new(localhost).unwrap();
        let before = support::settled_descriptors_and_threads();
        let (url, peer) = support::serve(|mut peer| {
            peer.accept();
            support::one_close(&mut peer)
        });
        let server = url["ws://".len()..].trim_end_matches('/').parse().unwrap();
        let addresses = vec![hole.address, hole.address, server];
        let cancellation = Cancellation::new();
        let options = ConnectOptions::new().cancellation(&cancellation).resolver(move |_, _| Ok(addresses.clone()));
        let ws = options.connect("ws://three.example/").unwrap();
        // Ours, the peer's, its listener and its thread.
        assert_eq!(support::descriptors_and_threads(), (before.0 + 3, before.1 + 1));
        ws.close().unwrap();
        peer.join();
        drop(ws);
        support::assert_back_at(before);
    });
}

/// One connection with all its threads, until it is closed. What differs from round to round is when that is.
#[cfg(unix)]
fn race(round: usize) {
    let (mut ws, peer) = support::open_unix(&ConnectOptions::new(), move |mut peer| {
        if round.is_multiple_of(3) {
            peer.say([frame(0x81, "Hello"), frame(0x89, "?")].concat());
        }
        support::one_close(&mut peer)
    });
    let (first, second, closer) = (ws.sender(), ws.sender(), ws.sender());
    thread::scope(|scope| {
        scope.spawn(|| support::send_up_to(20, &first, b"one"));
        scope.spawn(|| support::send_up_to(20, &second, &[2; 1000]));
        scope.spawn(|| {
            // Somewhere in the middle of it all.
            (0..round % 11).for_each(|_| thread::yield_now());
            closer.close().unwrap();
        });
        let info = loop {
            match ws.recv_ref() {
                Ok(message) => assert_eq!(message, MessageRef::Text("Hello")),
                Err(Error::Closed(info)) => break info,
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(info.cause, CloseCause::Local, "{info:?}");
    });
    drop(ws);
    peer.join();
}
