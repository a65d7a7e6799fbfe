//! The program `wsdump` from outside: through pipes and on a pseudo-terminal, against a peer that follows a script and against
//! its own server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
#[cfg(unix)]
mod completions;
mod documents;
mod endings;
mod familiar_flags;
mod flags_of_python;
mod listening;
mod meaningless_options;
mod more_flags;
#[cfg(unix)]
mod prompt;
#[cfg(unix)]
mod proxying;
mod reconnecting;
mod recordings;
mod shell;
#[path = "../support/mod.rs"]
mod support;
#[cfg(unix)]
mod terminal;
mod tls;
#[path = "../support/tls_peer.rs"]
mod tls_peer;
#[path = "../support/tls_websocket.rs"]
mod tls_websocket;
