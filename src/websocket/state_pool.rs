//! zlib's states of the process: what connections that take over no context have while they send or receive a message, and
//! give back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::protocol::{DeflateShape, DeflateState, InflateState, StatePool};

/// How many states of each kind are kept: as many threads can be busy at a time without one being made anew.
const KEPT: usize = 16;

static INFLATE: Mutex<Vec<InflateState>> = Mutex::new(Vec::new());
static DEFLATE: Mutex<Vec<DeflateState>> = Mutex::new(Vec::new());

/// The pool that the driver gives its connections.
pub(super) fn of_the_process() -> Box<dyn StatePool> {
    Box::new(OfTheProcess)
}

/// Held for a push or a pop, never across anything else.
#[derive(Debug)]
struct OfTheProcess;

impl StatePool for OfTheProcess {
    fn take_inflate(&mut self) -> Option<InflateState> {
        lock(&INFLATE).pop()
    }

    fn give_inflate(&mut self, state: InflateState) {
        give(&INFLATE, state);
    }

    fn take_deflate(&mut self, shape: DeflateShape) -> Option<DeflateState> {
        let mut states = lock(&DEFLATE);
        let index = states.iter().rposition(|state| state.shape() == shape)?;
        Some(states.swap_remove(index))
    }

    fn give_deflate(&mut self, state: DeflateState) {
        give(&DEFLATE, state);
    }
}

fn lock<T>(states: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    states.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The oldest goes when there are too many, so that one shape does not keep another out.
fn give<T>(states: &Mutex<Vec<T>>, state: T) {
    let mut states = lock(states);
    let oldest = if states.len() >= KEPT { Some(states.remove(0)) } else { None };
    states.push(state);
    drop(states);
    // Freed outside the lock.
    drop(oldest);
}
