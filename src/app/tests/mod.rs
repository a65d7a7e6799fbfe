//! The whole app, with a server that is a thread beside it.

mod chance;
mod peer;
mod round;
mod schedules;
#[cfg(not(shuttle))]
mod simulation;
