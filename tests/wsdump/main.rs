//! The program `wsdump` from outside: through pipes and on a pseudo-terminal, against a peer that follows a script and against
//! its own server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod endings;
mod flags_of_python;
#[cfg(unix)]
mod prompt;
mod shell;
#[path = "../support/mod.rs"]
mod support;
