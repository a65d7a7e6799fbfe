//! The whole app, with a server that is a thread beside it.

mod chance;
mod exploring;
mod peer;
mod round;
mod schedules;
#[cfg(feature = "mio")]
mod schedules_of_loops;
#[cfg(not(shuttle))]
mod simulation;

/// Whether tests that find the more the longer they run take their full length: where the variable `LONG_TESTS` is set, as in `.ci/run`.
#[cfg(not(shuttle))]
fn run_in_full() -> bool {
    std::env::var_os("LONG_TESTS").is_some()
}
