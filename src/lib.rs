//! A WebSocket client without an async runtime: blocking calls, plain threads, and the names and options of Python's
//! `websocket-client`.
//!
//! One conversation that your code leads is a [`WebSocket`], with a [`Sender`] for other threads:
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
//! A connection that has to last is a [`WebSocketApp`], which calls back, sends pings, and connects again:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use websocket_sync::{Reconnect, WebSocketApp};
//!
//! WebSocketApp::new("wss://feed.example/")
//!     .on_open(|app| app.send_text("subscribe")) // on each connection
//!     .on_message(|_, message| println!("{message:?}"))
//!     .on_error(|_, error| eprintln!("{error:#}"))
//!     .ping_interval(Duration::from_secs(20))
//!     .ping_timeout(Duration::from_secs(10))
//!     .reconnect(Reconnect::backoff())
//!     .run_forever()?;
//! # Ok::<(), websocket_sync::Error>(())
//! ```
//!
//! The [cookbook] has recipes: feeds, logins, subscriptions that change, devices, proxies, tests. It is `docs/COOKBOOK.md` of the
//! repository, where its links to files lead.
//!
//! | to | there is |
//! |---|---|
//! | **First steps** | |
//! | connect | [`create_connection`], [`ConnectOptions::connect`] |
//! | receive and send | [`WebSocket::recv`], [`WebSocket::send_text`], [`WebSocket::send_binary`]; [`Message`] |
//! | send from other threads | [`WebSocket::sender`], [`Sender`] |
//! | close, and see how it ended | [`WebSocket::close`], [`Error::Closed`], [`CloseInfo`] |
//! | see what went wrong, and whether to try again | [`Error`], [`Error::retry`] |
//! | receive without copying | [`WebSocket::recv_ref`], [`MessageRef`] |
//! | send and receive JSON | `WebSocket::send_json`, `recv_json`, `Message::json` (feature `json`) |
//! | **Options** | |
//! | set headers and subprotocols | [`ConnectOptions::header`], [`ConnectOptions::subprotocols`] |
//! | log in | [`ConnectOptions::header`], [`ConnectOptions::credentials`], [`ConnectOptions::header_provider`] |
//! | set timeouts | [`ConnectOptions::timeout`], [`ConnectOptions::recv_timeout`] |
//! | set certificates, TLS versions, pins | [`TlsOptions`] |
//! | go through a proxy | [`ConnectOptions::proxy`], [`Proxy`] |
//! | keep cookies | `CookieJar` (feature `cookies`) |
//! | compress | [`ConnectOptions::deflate`] |
//! | raise or lower the limits | [`ConnectOptions::max_message_size`], [`ConnectOptions::no_limits`] |
//! | set socket options, choose IPv4 or IPv6 | [`SocketOptions`] |
//! | **Apps** | |
//! | have callbacks, keepalive and reconnecting | [`WebSocketApp`], [`Handler`], [`Reconnect`] |
//! | send, close and wait from other threads | [`Handle`] |
//! | keep what is sent while there is no connection | [`WebSocketApp::outbox`] |
//! | run many apps on one thread | `ManyApps` (feature `mio`), or [`AppTask`] in an event loop of your own |
//! | **Special** | |
//! | see what goes over the wire | [`enable_trace`], [`TraceSink`] |
//! | stream a message that is larger than memory | [`WebSocket::message_writer`], [`WebSocket::message_reader`], [`WebSocket::send_reader`] |
//! | use an event loop of your own | [`ConnectOptions::start`], [`WebSocket::try_recv`], [`WebSocket::try_send_text`] |
//! | use a stream of your own | [`Transport`], [`HalfDuplex`], [`ConnectOptions::dial_with`], [`ConnectOptions::from_open`] |
//! | serve clients | [`WebSocket::accept`], [`ConnectOptions::accept`], [`ConnectOptions::read_request`] |
//! | test what is built on this crate | `test_kit` (feature `test-kit`) |
//! | have the protocol without I/O | [`protocol`]: both roles |
//!
//! Names of Python's `websocket-client` and `wsproto` are found by the search above; `docs/MIGRATING.md` in the repository has a table
//! of all of them.
//!
//! # Blocking, with deadlines
//!
//! Every call blocks the calling thread, and every wait has a deadline: 30 s for opening a connection, 30 s without progress for
//! sending, and for closing 3 s to send our Close and 3 s for the answer. Only a receive waits for as long as it takes, unless a
//! [timeout](ConnectOptions::recv_timeout) is set or the connection is being closed.
//!
//! # Threads
//!
//! One thread receives and any number of threads send, at the same time, over TLS too. The thread that receives answers pings and the
//! peer's Close, and never waits for a thread that sends. [`WebSocket::close`] and [`Sender::close`] may be called from any thread.
//!
//! A connection that is open has no thread of its own. Threads are started
//!
//! * while a connection is made: to resolve a host name, by the system or by a [resolver](ConnectOptions::resolver), and for a function
//!   given to [`dial_with`](ConnectOptions::dial_with);
//! * while a connection is closed: to keep the deadline, where one thread waits in a receive and another one closes without waiting;
//! * by an app: one for [`WebSocketApp::spawn`], one that receives for [`WebSocketApp::queue`], and one for
//!   [`WebSocketApp::ping_interval`], which all apps of the process share;
//! * in an event loop (`ManyApps`, [`ConnectOptions::start`]): for all else that may block while a connection is made, such as a
//!   [header provider](ConnectOptions::header_provider), certificates in files, and in `ManyApps` the function given to
//!   [`connect_with`](WebSocketApp::connect_with).
//!
//! # Logging
//!
//! By the crate [`log`](https://docs.rs/log), with targets that begin with `websocket_sync`; without a logger nothing is written.
//!
//! | level | what |
//! |---|---|
//! | `error` | failures in an app that has no [`on_error`](WebSocketApp::on_error), and those of `on_error` itself |
//! | `warn` | entries of the proxy's environment and of cookie files that are passed over |
//! | `info` | connections of an app: opened, closed, the delay before the next attempt |
//! | `debug` | steps of opening and closing |
//!
//! Frames and HTTP heads are not among it; [`enable_trace`] shows them.
//!
//! # Limits
//!
//! What a peer sends is bounded, before memory is allocated for it: 64 MiB for a message, 131,072 fragments, 64 KiB for the head of a
//! response; each limit can be [set](ConnectOptions::max_message_size). Beyond a limit, the connection ends with the close code for
//! it and an [`Error`] that names the option.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `native-tls` (default) | `wss://` by the platform's TLS library: [`TlsBackend::NativeTls`] |
//! | `rustls` | `wss://` by rustls: [`TlsBackend::Rustls`] |
//! | `json` | JSON messages by serde |
//! | `cookies` | a cookie jar |
//! | `mio` | `ManyApps`: many apps on one thread |
//! | `test-kit` | `test_kit`, for tests: a server that follows scripts, faults, recordings |
//! | `cli` | the program `wsdump`; nothing for the library |
//! | `deflate` (default) | nothing: compression is always compiled in |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod app;
mod authentication;
mod buffer;
mod cancellation;
#[cfg(feature = "cookies")]
mod cookies;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod message;
mod net;
mod options;
pub mod protocol;
mod sync;
#[cfg(feature = "test-kit")]
pub mod test_kit;
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
    Batch, ControlFrames, MessageReader, MessageWriter, Messages, Opening, PendingUpgrade, Sender, WebSocket,
    create_connection,
};
/// The sockets that [`SocketOptions::configure`] hands out.
pub use socket2;

// For the documentation only. Its recipes are tests, which need these features.
#[cfg(all(doc, any(not(doctest), all(feature = "json", feature = "mio", feature = "test-kit"))))]
#[doc = include_str!("../docs/COOKBOOK.md")]
pub mod cookbook {}
