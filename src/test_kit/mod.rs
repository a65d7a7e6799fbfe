//! For tests of what is built on this crate: a peer that follows a script, faults in a transport, a recording of the wire. Feature
//! `test-kit`.
//!
//! Whether an app comes back after its server was lost, was overloaded, and was there again:
//!
//! ```
//! use std::time::Duration;
//!
//! use websocket_sync::test_kit::TestServer;
//! use websocket_sync::{Reconnect, WebSocketApp};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = TestServer::builder()
//!     .connection(|peer| { peer.accept()?; peer.reset() })
//!     .connection(|peer| peer.refuse(503))
//!     .connection(|peer| { peer.accept()?; peer.send_text("back again")?; peer.answer_close(1000) })
//!     .start()?;
//! WebSocketApp::new(server.url())
//!     .reconnect(Reconnect::fixed(Duration::from_millis(1)).max_attempts(5)) // or it would try for ever where no script is left
//!     .on_message(|app, message| { assert_eq!(message.as_text(), Some("back again")); app.close() })
//!     .run_forever()?;
//! server.finish()?; // what did not happen as the scripts expect it is an error here
//! # Ok(())
//! # }
//! ```
//!
//! | to have | there is |
//! |---|---|
//! | a server, by one script for each connection | [`TestServer`] |
//! | either end of a connection, on a thread of the test's own | [`Peer::connect`], [`Peer::over`] |
//! | a request or a frame that has to come | `expect_…` of [`Peer`] |
//! | a frame that was cut, bytes that are no frame, pauses | [`Peer::encode`], [`Peer::send_bytes`], [`Peer::send_in_chunks`] |
//! | silence | [`Peer::stall`] |
//! | each way a connection can end | [`Peer::close`], [`Peer::answer_close`], [`Peer::shutdown_write`], [`Peer::reset`] |
//! | `wss` | [`TestServerBuilder::tls`], [`TestCertificate`] |
//! | a read or a write that fails, is cut, comes late | [`FaultInjector`] |
//! | what was sent and received, as frames | [`TestServer::recordings`], [`Recording`] |
//!
//! Nothing of it listens on, or connects to, an address other than loopback. Every wait has a deadline: a script that waits for what does
//! not come fails, and says what it was.
//!
//! # A peer that goes silent
//!
//! ```
//! use std::time::Duration;
//!
//! use websocket_sync::test_kit::TestServer;
//! use websocket_sync::ConnectOptions;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = TestServer::start(|peer| {
//!     peer.accept()?;
//!     peer.stall(Duration::from_secs(60))
//! })?;
//! let mut ws = ConnectOptions::new().recv_timeout(Duration::from_millis(20)).connect(server.url())?;
//! assert!(ws.recv().unwrap_err().is_timeout());
//! drop(ws);
//! server.finish()?; // ends the silence
//! # Ok(())
//! # }
//! ```
//!
//! # A frame that is cut
//!
//! ```
//! use websocket_sync::test_kit::TestServer;
//! use websocket_sync::{Frame, Opcode, create_connection};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = TestServer::start(|peer| {
//!     peer.accept()?;
//!     let frame = peer.encode(&Frame::new(Opcode::Text, "only a part of this"));
//!     peer.send_bytes(&frame[..9])?;
//!     peer.shutdown_write()
//! })?;
//! let mut ws = create_connection(server.url())?;
//! assert_eq!(ws.recv().unwrap_err().close_info().map(|info| info.code.0), Some(1006));
//! drop(ws);
//! server.finish()?;
//! # Ok(())
//! # }
//! ```

mod error;
mod faults;
mod peer;
mod recording;
mod server;
mod tls;

pub use self::error::PeerError;
pub use self::faults::{Fault, FaultInjector, FaultyTransport, Operation, StruckFault};
pub use self::peer::Peer;
pub use self::recording::{RecordedFrame, RecordedTransport, Recording};
pub use self::server::{TestServer, TestServerBuilder};
pub use self::tls::TestCertificate;
