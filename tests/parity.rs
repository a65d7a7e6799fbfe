//! What an app's callbacks hear, event by event, beside websocket-client 1.9.2: the same, or corrected for a reason.
//!
//! Its rows for KeyboardInterrupt and SystemExit have no counterpart: a signal ends the process, unless whoever handles it calls
//! `Handle::stop`, and there is no exception that passes through a callback but a panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/app.rs"]
mod app_support;
mod support;

use std::sync::mpsc;
use std::{io, thread};

use app_support::{Log, nowhere, serve_again, show_closed, show_error};
use support::{Peer, bounded, frame, ms};
use websocket_sync::{Closed, ConnectOptions, Error, Handle, MessageRef, Reconnect, Result, WebSocketApp};

/// One event, and what comes of it.
struct Row {
    event: &'static str,
    websocket_client: Beside,
    /// What the server does with each connection, whether it goes on afterwards.
    server: fn(usize, Peer) -> bool,
    /// How the app is set up and run.
    run: fn(WebSocketApp<'static>, &Log) -> Result<Closed>,
    hears: &'static [&'static str],
    /// How `run_forever` returns: what `on_close` would show, or an error.
    returns: &'static str,
}

/// How that compares.
enum Beside {
    /// As websocket-client does.
    Same,
    /// Not as it does, and why.
    Corrected(&'static str),
}

use Beside::{Corrected, Same};

fn plainly(mut app: WebSocketApp<'static>, _: &Log) -> Result<Closed> {
    app.run_forever()
}

/// Runs, and calls `act` on another thread as soon as the connection is open.
fn while_open(app: WebSocketApp<'static>, act: impl FnOnce(&Handle) + Send + 'static) -> Result<Closed> {
    let handle = app.handle();
    let app = app.spawn()?;
    while !handle.ready() {
        thread::sleep(ms(1));
    }
    // Until on_open has returned.
    thread::sleep(ms(50));
    act(&handle);
    app.join()
}

fn quick() -> ConnectOptions {
    ConnectOptions::new().close_timeout(ms(150))
}

/// Accepts, says this, and then follows the closing handshake.
fn says(mut peer: Peer, bytes: impl AsRef<[u8]>) -> Peer {
    peer.accept();
    peer.say(bytes);
    peer
}

/// A violation: accepts, says this, and expects a Close with the code.
fn breaks(peer: Peer, bytes: &[u8], code: u16) -> bool {
    let mut peer = says(peer, bytes);
    assert_eq!(peer.close_code(), code);
    false
}

fn answers(mut peer: Peer, head: &str) -> bool {
    peer.head();
    peer.say(head);
    false
}

const ROWS: &[Row] = &[
    Row {
        event: "text, binary, ping, close(1000, \"bye\")",
        websocket_client: Corrected("a clean close is no error (#1038, #1050)"),
        server: |_, peer| {
            let mut peer = says(peer, [frame(0x81, "hello"), frame(0x82, b"\x01"), frame(0x89, b"pp")].concat());
            peer.say(frame(0x88, b"\x03\xe8bye"));
            assert_eq!(peer.frame(), (0x8A, b"pp".to_vec()));
            assert_eq!(peer.close_code(), 1000);
            false
        },
        run: plainly,
        hears: &[
            "open",
            "data hello text true",
            "message hello",
            "data \\x01 binary true",
            "message b\\x01",
            "ping pp",
            "close 1000 \"bye\" Remote",
        ],
        returns: "1000 \"bye\" Remote",
    },
    Row {
        event: "close without a code",
        websocket_client: Corrected("a clean close is no error; the code that stands for none is 1005"),
        server: |_, peer| {
            assert_eq!(says(peer, frame(0x88, b"")).close_code(), 1005);
            false
        },
        run: plainly,
        hears: &["open", "close 1005 \"\" Remote"],
        returns: "1005 \"\" Remote",
    },
    Row {
        event: "close(1011, \"oops\")",
        websocket_client: Corrected("a clean close is no error; the answer carries the peer's code, not 1000"),
        server: |_, peer| {
            assert_eq!(says(peer, frame(0x88, b"\x03\xf3oops")).close_code(), 1011);
            false
        },
        run: plainly,
        hears: &["open", "close 1011 \"oops\" Remote"],
        returns: "1011 \"oops\" Remote",
    },
    Row {
        event: "the end without a close frame",
        websocket_client: Same,
        server: |_, mut peer| {
            peer.accept();
            false
        },
        run: plainly,
        hears: &["open", "error connection lost: unexpected end of file", "close 1006 \"\" lost: UnexpectedEof"],
        returns: "connection lost: unexpected end of file",
    },
    Row {
        event: "a reset",
        websocket_client: Same,
        server: |_, mut peer| {
            peer.accept();
            // Not before the answer was read.
            peer.hear(frame_of_client(0x81, b"hi"));
            peer.reset();
            false
        },
        run: |app, _| app.on_open(|app| app.send_text("hi")).options(unmasked()).run_forever(),
        hears: &["error connection lost: connection reset", "close 1006 \"\" lost: ConnectionReset"],
        returns: "connection lost: connection reset",
    },
    Row {
        event: "HTTP 403",
        websocket_client: Same,
        server: |_, peer| answers(peer, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
        run: plainly,
        hears: &["error upgrade refused: status 403 Forbidden", "close 1006 \"\" NotConnected"],
        returns: "upgrade refused: status 403 Forbidden",
    },
    Row {
        event: "close() on another thread, the peer answers",
        websocket_client: Corrected(
            "on_close is told the code each time, not now and then; the run ends at once, not in 10 s",
        ),
        server: |_, mut peer| {
            peer.accept();
            assert_eq!(peer.end(), 1000);
            false
        },
        run: |app, _| while_open(app, |app| app.close().unwrap()),
        hears: &["open", "close 1000 \"\" Local"],
        returns: "1000 \"\" Local",
    },
    Row {
        event: "close() on another thread, the peer is silent",
        websocket_client: Corrected("the run ends with the close timeout, not with the select period"),
        server: |_, mut peer| {
            peer.accept();
            assert_eq!(peer.close_code(), 1000);
            peer.rest();
            false
        },
        run: |app, _| while_open(app.options(quick()), |app| app.close().unwrap()),
        hears: &["open", "close 1006 \"\" Unanswered"],
        returns: "1006 \"\" Unanswered",
    },
    Row {
        event: "close() inside on_message, the peer answers",
        websocket_client: Same,
        server: |_, peer| {
            assert_eq!(says(peer, frame(0x81, "last")).end(), 1000);
            false
        },
        run: |app, log| {
            let log = log.clone();
            app.on_message(move |app, message| {
                log.note(app_support::show_message(message));
                app.close()
            })
            .run_forever()
        },
        hears: &["open", "data last text true", "message last", "close 1000 \"\" Local"],
        returns: "1000 \"\" Local",
    },
    Row {
        event: "close() inside on_message, the peer is silent",
        websocket_client: Corrected("the callback does not wait; the run does, for the close timeout"),
        server: |_, peer| {
            let mut peer = says(peer, frame(0x81, "last"));
            assert_eq!(peer.close_code(), 1000);
            peer.rest();
            false
        },
        run: |app, log| {
            let log = log.clone();
            app.options(quick())
                .on_message(move |app, _| {
                    let ((), took) = support::timed(|| app.close().unwrap());
                    log.note(if took < ms(100) { "does not wait" } else { "waits" });
                })
                .run_forever()
        },
        hears: &["open", "data last text true", "does not wait", "close 1006 \"\" Unanswered"],
        returns: "1006 \"\" Unanswered",
    },
    Row {
        event: "close() inside on_open",
        websocket_client: Corrected("there is no AttributeError in between"),
        server: |_, mut peer| {
            peer.accept();
            assert_eq!(peer.end(), 1000);
            false
        },
        run: |app, log| {
            let log = log.clone();
            app.on_open(move |app| {
                log.note("open");
                app.close()
            })
            .run_forever()
        },
        hears: &["open", "close 1000 \"\" Local"],
        returns: "1000 \"\" Local",
    },
    Row {
        event: "close() during the handshake",
        websocket_client: Corrected("the attempt is cancelled; in Python it goes on, opens, and fails"),
        server: |_, mut peer| {
            peer.head();
            peer.rest();
            false
        },
        run: |app, _| {
            let handle = app.handle();
            let app = app.spawn()?;
            thread::sleep(ms(100));
            support::at_once(|| handle.close())?;
            support::at_once(|| app.join())
        },
        hears: &["close 1006 \"\" Cancelled"],
        returns: "1006 \"\" Cancelled",
    },
    Row {
        event: "close() before the run",
        websocket_client: Corrected("it is not lost: the run ends as soon as it begins"),
        server: |_, _| false,
        run: |mut app, _| {
            app.handle().close()?;
            app.run_forever()
        },
        hears: &["close 1006 \"\" Cancelled"],
        returns: "1006 \"\" Cancelled",
    },
    Row {
        event: "keep_running = False in a callback: stop()",
        websocket_client: Corrected("nothing is waited for"),
        server: |_, peer| {
            let mut peer = says(peer, frame(0x81, "last"));
            assert_eq!(peer.close_code(), 1001);
            false
        },
        run: |app, _| app.on_message(|app, _| app.stop()).run_forever(),
        hears: &["open", "data last text true", "close 1006 \"\" Aborted"],
        returns: "1006 \"\" Aborted",
    },
    Row {
        event: "a callback fails",
        websocket_client: Same,
        server: |_, peer| {
            let peer = says(peer, [frame(0x81, "1"), frame(0x81, "two"), frame(0x81, "3")].concat());
            peer.say(frame(0x88, b"\x03\xe8"));
            false
        },
        run: |app, log| {
            let log = log.clone();
            app.on_data(|_, _, _, _| ())
                .on_message(move |_, message| {
                    let MessageRef::Text(text) = message else { unreachable!() };
                    log.note(format!("number {}", text.parse::<u8>().map_err(Error::other)?));
                    Ok::<(), Error>(())
                })
                .run_forever()
        },
        hears: &["open", "number 1", "error invalid digit found in string", "number 3", "close 1000 \"\" Remote"],
        returns: "1000 \"\" Remote",
    },
    Row {
        event: "a callback and on_error both fail",
        websocket_client: Corrected("the failure of on_error is logged and the run goes on"),
        server: |_, peer| {
            let peer = says(peer, [frame(0x81, "1"), frame(0x81, "2")].concat());
            peer.say(frame(0x88, b"\x03\xe8"));
            false
        },
        run: |app, log| {
            let log = log.clone();
            app.on_message(|_, _| Err::<(), _>(Error::other("first")))
                .on_error(move |_, error| {
                    log.note(format!("error {error}"));
                    Err::<(), _>(Error::other("second"))
                })
                .run_forever()
        },
        hears: &[
            "open",
            "data 1 text true",
            "error first",
            "data 2 text true",
            "error first",
            "close 1000 \"\" Remote",
        ],
        returns: "1000 \"\" Remote",
    },
    Row {
        event: "on_close fails",
        websocket_client: Same,
        server: |_, peer| {
            says(peer, frame(0x88, b"\x03\xe8"));
            false
        },
        run: |app, _| app.on_close(|_, _| Err::<(), _>(Error::other("no"))).run_forever(),
        hears: &["open", "error no"],
        returns: "1000 \"\" Remote",
    },
    Row {
        event: "reserved bits",
        websocket_client: Corrected("the peer is told 1002 at once, not 1000 and 3 s later"),
        server: |_, peer| breaks(peer, b"\xC1\x00", 1002),
        run: plainly,
        hears: &[
            "open",
            "error peer violated the protocol: reserved bit is set without an extension that defines it",
            "close 1002 \"\" violation: reserved bit is set without an extension that defines it",
        ],
        returns: "peer violated the protocol: reserved bit is set without an extension that defines it",
    },
    Row {
        event: "bad UTF-8",
        websocket_client: Corrected("the peer is told 1007 at once"),
        server: |_, peer| breaks(peer, &frame(0x81, b"\xff"), 1007),
        run: plainly,
        hears: &[
            "open",
            "error peer violated the protocol: text is not UTF-8",
            "close 1007 \"\" violation: text is not UTF-8",
        ],
        returns: "peer violated the protocol: text is not UTF-8",
    },
    Row {
        event: "a ping in fragments",
        websocket_client: Corrected("the peer is told 1002 at once"),
        server: |_, peer| breaks(peer, b"\x09\x00", 1002),
        run: plainly,
        hears: &[
            "open",
            "error peer violated the protocol: control frame is fragmented",
            "close 1002 \"\" violation: control frame is fragmented",
        ],
        returns: "peer violated the protocol: control frame is fragmented",
    },
    Row {
        event: "an unknown opcode",
        websocket_client: Corrected("the peer is told 1002 at once"),
        server: |_, peer| breaks(peer, b"\x83\x00", 1002),
        run: plainly,
        hears: &[
            "open",
            "error peer violated the protocol: unknown opcode 0x3",
            "close 1002 \"\" violation: unknown opcode 0x3",
        ],
        returns: "peer violated the protocol: unknown opcode 0x3",
    },
    Row {
        event: "a close code that must not be sent",
        websocket_client: Corrected("the peer is told 1002 at once"),
        server: |_, peer| breaks(peer, b"\x88\x02\x03\xed", 1002),
        run: plainly,
        hears: &[
            "open",
            "error peer violated the protocol: close frame bears the illegal code 1005",
            "close 1002 \"\" violation: close frame bears the illegal code 1005",
        ],
        returns: "peer violated the protocol: close frame bears the illegal code 1005",
    },
    Row {
        event: "a ping of 126 bytes",
        websocket_client: Corrected("the peer is told 1002 at once"),
        server: |_, peer| breaks(peer, &frame(0x89, [0; 126]), 1002),
        run: plainly,
        hears: &[
            "open",
            "error peer violated the protocol: control frame is longer than 125 bytes",
            "close 1002 \"\" violation: control frame is longer than 125 bytes",
        ],
        returns: "peer violated the protocol: control frame is longer than 125 bytes",
    },
    Row {
        event: "no answer to a ping",
        websocket_client: Same,
        server: |_, mut peer| {
            peer.accept();
            peer.rest();
            false
        },
        run: |app, _| app.ping_interval(ms(50)).ping_timeout(ms(50)).run_forever(),
        hears: &["open", "error no answer to a ping", "close 1006 \"\" PingTimeout"],
        returns: "no answer to a ping",
    },
    Row {
        event: "reconnect, the network drops twice, then close()",
        websocket_client: Corrected("on_error and on_close for each drop; a run that was closed has not failed"),
        server: |number, mut peer| {
            peer.accept();
            if number < 2 {
                return true;
            }
            peer.say(frame(0x81, "enough"));
            peer.end();
            false
        },
        run: |app, _| {
            app.reconnect(Reconnect::fixed(ms(10)))
                .on_data(|_, _, _, _| ())
                .on_message(|app, _| app.close())
                .run_forever()
        },
        hears: &[
            "open",
            "error connection lost: unexpected end of file",
            "close 1006 \"\" lost: UnexpectedEof, again",
            "reconnect",
            "error connection lost: unexpected end of file",
            "close 1006 \"\" lost: UnexpectedEof, again",
            "reconnect",
            "close 1000 \"\" Local",
        ],
        returns: "1000 \"\" Local",
    },
    Row {
        event: "reconnect, the server closes",
        websocket_client: Corrected("it reconnects all the same, but on_close is told"),
        server: |number, peer| {
            let mut peer = says(peer, if number == 0 { frame(0x88, b"\x03\xe8") } else { frame(0x81, "enough") });
            peer.close_code();
            let _ = peer.try_say(frame(0x88, b"\x03\xe8"));
            number == 0
        },
        run: |app, _| {
            app.reconnect(Reconnect::fixed(ms(10)))
                .on_data(|_, _, _, _| ())
                .on_message(|app, _| app.close())
                .run_forever()
        },
        hears: &["open", "close 1000 \"\" Remote, again", "reconnect", "close 1000 \"\" Local"],
        returns: "1000 \"\" Local",
    },
    Row {
        event: "reconnect, attempts fail",
        websocket_client: Corrected("on_error for each; on_open for the first that succeeds, not on_reconnect"),
        server: |number, peer| {
            if number < 2 {
                answers(peer, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
                return true;
            }
            says(peer, frame(0x81, "enough")).end();
            false
        },
        run: |app, _| {
            app.reconnect(Reconnect::fixed(ms(10)))
                .on_data(|_, _, _, _| ())
                .on_message(|app, _| app.close())
                .run_forever()
        },
        hears: &[
            "error upgrade refused: status 503 Service Unavailable",
            "error upgrade refused: status 503 Service Unavailable",
            "open",
            "close 1000 \"\" Local",
        ],
        returns: "1000 \"\" Local",
    },
    Row {
        event: "reconnect, HTTP 403",
        websocket_client: Corrected(
            "what looks permanent is tried again after a minute, not at once, or ends the run, as here",
        ),
        server: |_, peer| answers(peer, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
        run: |app, _| app.reconnect(Reconnect::fixed(ms(10)).stop_on_refusal()).run_forever(),
        hears: &["error upgrade refused: status 403 Forbidden", "close 1006 \"\" NotConnected"],
        returns: "upgrade refused: status 403 Forbidden",
    },
    Row {
        event: "reconnect, close() while it waits to connect again",
        websocket_client: Corrected("the wait ends at once; in Python it connects again first"),
        server: |_, mut peer| {
            peer.accept();
            false
        },
        run: |app, _| {
            let app = app.reconnect(Reconnect::fixed(ms(60_000)));
            let (waits, waiting) = mpsc::channel();
            let app = app.on_close(move |_, _| waits.send(()).unwrap());
            let handle = app.handle();
            let app = app.spawn()?;
            waiting.recv().unwrap();
            thread::sleep(ms(50));
            support::at_once(|| handle.close())?;
            support::at_once(|| app.join())
        },
        hears: &["open", "error connection lost: unexpected end of file"],
        returns: "1006 \"\" Cancelled",
    },
];

fn unmasked() -> ConnectOptions {
    ConnectOptions::new().mask_key(|| [0; 4])
}

fn frame_of_client(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

fn outcome(result: Result<Closed>) -> String {
    match result {
        Ok(closed) => show_closed(&closed),
        Err(error) => show_error(&error),
    }
}

#[test]
fn callbacks_hear_what_websocket_clients_hear_or_better() {
    let mut differences = String::new();
    for row in ROWS {
        // Shown where the test fails.
        println!("{}", row.event);
        let (heard, returned) = bounded(10, || {
            let (url, server) = serve_again(row.server);
            let log = Log::default();
            let returned = outcome((row.run)(log.app(&url), &log));
            if row.event != "close() before the run" {
                support::join(server);
            }
            (log.lines(), returned)
        });
        if heard != row.hears || returned != row.returns {
            let beside = match row.websocket_client {
                Same => "as websocket-client",
                Corrected(why) => why,
            };
            differences += &format!("{} ({beside}):\n  heard {heard:#?}\n  returned {returned}\n", row.event);
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn a_server_that_is_not_there_is_an_error_and_a_close() {
    bounded(10, || {
        let log = Log::default();
        let error = log.app(&nowhere()).run_forever().unwrap_err();
        assert!(
            matches!(&error, Error::Io { error, .. } if error.kind() == io::ErrorKind::ConnectionRefused),
            "{error:?}"
        );
        assert_eq!(log.lines(), [format!("error {}", show_error(&error)), "close 1006 \"\" NotConnected".to_owned()]);
    });
}

#[test]
fn a_name_that_does_not_resolve_is_an_error_and_a_close() {
    bounded(10, || {
        let log = Log::default();
        let lost = ConnectOptions::new().resolver(|_, _| Err(io::Error::other("no such host")));
        let error = log.app("ws://nowhere.example/").options(lost).run_forever().unwrap_err();
        assert!(matches!(error, Error::Address(_)), "{error:?}");
        let heard = ["error cannot resolve host \"nowhere.example\": no such host", "close 1006 \"\" NotConnected"];
        assert_eq!(log.lines(), heard);
    });
}
