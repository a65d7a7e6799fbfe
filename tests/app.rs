//! WebSocketApp: callbacks, the end of a run, and what a handle does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/app.rs"]
mod app_support;
mod support;

use std::cell::Cell;
use std::sync::mpsc;
use std::thread;

use app_support::{Log, nowhere, serve_again, show_closed, show_error};
use support::{Peer, bounded, by_deadline, frame, join, ms, serve, timed};
use websocket_sync::{
    AppError, CallbackPolicy, CloseCause, CloseCode, ConnectOptions, Error, Handle, Handler, Message, MessageRef,
    Opcode, Overflow, Reconnect, Result, WebSocketApp,
};

/// A server that accepts and goes on with its script.
fn accepting<T: Send + 'static>(script: impl FnOnce(Peer) -> T + Send + 'static) -> (String, support::Script<T>) {
    serve(|mut peer| {
        peer.accept();
        script(peer)
    })
}

#[test]
fn callbacks_come_in_the_order_of_websocket_client() {
    bounded(10, || {
        let (url, peer) = accepting(|mut peer| {
            peer.say([frame(0x81, "hello"), frame(0x82, b"\x01"), frame(0x89, b"pp"), frame(0x8A, b"qq")].concat());
            peer.say(frame(0x88, b"\x03\xe8bye"));
            peer.hear_pong_and_close();
        });
        let log = Log::default();
        let closed = log.app(&url).run_forever().unwrap();
        peer.join();
        assert_eq!(
            log.lines(),
            [
                "open",
                "data hello text true",
                "message hello",
                "data \\x01 binary true",
                "message b\\x01",
                "ping pp",
                "pong qq",
                "close 1000 \"bye\" Remote",
            ]
        );
        assert_eq!(show_closed(&closed), "1000 \"bye\" Remote");
    });
}
