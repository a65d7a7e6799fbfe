//! A WebSocket client without an async runtime: blocking calls, plain threads, and the names and options of Python's
//! `websocket-client`.
//!
//! ```no_run
//! use websocket_sync::{Message, create_connection};
//!
//! let mut ws = create_connection("wss://echo.example/")?;
//! ws.send_text("Hello")?;
//! match ws.recv()? {
//!     Message::Text(text) => println!("{text}"),
//!     Message::Binary(bytes) => println!("{} bytes", bytes.len()),
//! }
//! ws.close()?;
//! # Ok::<(), websocket_sync::Error>(())
//! ```
//!
//! | to | there is |
//! |---|---|
//! | connect | [`create_connection`], [`ConnectOptions`], [`TlsOptions`], [`SocketOptions`] |
//! | receive and send | [`WebSocket`], [`Message`], [`MessageRef`] |
//! | send from other threads | [`Sender`] |
//! | be called back, kept alive and reconnected | [`WebSocketApp`], [`Handle`], [`Handler`], [`Reconnect`] |
//! | stream a message | [`MessageWriter`], [`MessageReader`] |
//! | go through a proxy | [`Proxy`] |
//! | keep cookies | `CookieJar` (feature `cookies`) |
//! | drive many apps on one thread | `ManyApps` (feature `mio`), or [`AppTask`] in a loop of your own |
//! | wait in a loop of your own | [`ConnectOptions::start`], [`WebSocket::try_recv`] and its kin |
//! | compress | [`ConnectOptions::deflate`] |
//! | serve the other role | [`WebSocket::accept`] |
//! | use a stream of your own | [`Transport`], [`HalfDuplex`], [`ConnectOptions::dial_with`], [`ConnectOptions::from_open`] |
//! | see what went wrong | [`Error`], [`CloseInfo`] |
//! | see what goes over the wire | [`enable_trace`], [`TraceSink`] |
//! | do without all of this | [`protocol`]: both roles, no I/O |
//!
//! # Blocking, with deadlines
//!
//! Every call waits on the calling thread, and every wait is bounded: 30 s for opening a connection, 30 s without progress for
//! sending, and for closing 3 s to send our Close and 3 s for the answer. Only a receive waits for as long as it takes, unless a
//! [timeout](ConnectOptions::recv_timeout) is set or the connection is being closed. Two kinds of threads are started: one looks up a
//! host name while a connection is made; one keeps the closing deadline where a thread waits in a receive and another one closes
//! without waiting.
//!
//! # Threads
//!
//! One thread receives, any number send, at the same time, over TLS too. Pings are answered and a Close is replied to by
//! whoever receives; it never waits for a thread that sends. [`WebSocket::close`] and [`Sender::close`] may be called from any
//! thread.
//!
//! # Limits
//!
//! What a peer can make this side hold is bounded before any memory is taken: 64 MiB for a message, 131,072 fragments, 64 KiB for
//! the head of a response; each can be [set](ConnectOptions::max_message_size). Going over one ends the connection with the
//! close code for it and an [`Error`] that names the option.

mod app;
mod authentication;
mod buffer;
mod cancellation;
#[cfg(feature = "cookies")]
mod cookies;
mod error;
mod message;
mod net;
mod options;
pub mod protocol;
mod sync;
mod timings;
mod trace;
mod url;
mod websocket;

// The public interface is:
#[cfg(feature = "mio")]
pub use crate::app::{AppAdder, ManyApps};
pub use crate::app::{
    AppError, AppStep, AppTask, AppThread, Attempt, CallbackPolicy, Closed, Connected, Connecting, Handle, Handler,
    Latency, Outcome, Overflow, Reconnect, Statistics, WebSocketApp, set_reconnect,
};
pub use crate::cancellation::Cancellation;
#[cfg(feature = "cookies")]
pub use crate::cookies::CookieJar;
#[cfg(feature = "json")]
pub use crate::error::JsonError;
pub use crate::error::{
    AddressError, CloseCause, CloseInfo, CookieError, Error, HandshakeError, OptionsError, Phase, ProxyError,
    ProxyUrlError, RedirectError, RedirectProblem, Refusal, Result, Retry, TlsError, TlsErrorKind,
};
pub use crate::message::{Message, MessageKind, MessageRef};
pub use crate::net::{HalfDuplex, Interest, Source, Transport};
pub use crate::options::{
    ConnectOptions, Family, Hop, Proxy, SocketOptions, SystemRoots, TlsBackend, TlsOptions, TlsVersion,
    default_timeout, set_default_timeout,
};
pub use crate::protocol::handshake::{Headers, Response};
pub use crate::protocol::{CloseCode, Frame, Opcode};
pub use crate::protocol::{DeflateOptions, DeflateParams};
pub use crate::timings::Timings;
pub use crate::trace::{
    TraceDirection, TraceEvent, TraceFrame, TraceRecord, TraceSink, TraceToStderr, disable_trace, enable_trace,
    is_trace_enabled,
};
pub use crate::url::UrlError;
pub use crate::websocket::{
    Batch, ControlFrames, MessageReader, MessageWriter, Messages, Opening, Sender, WebSocket, create_connection,
};
/// The sockets that [`SocketOptions::configure`] hands out.
pub use socket2;
