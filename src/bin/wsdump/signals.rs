//! Ctrl-C and SIGTERM: the first one closes in order, the second one does not wait for that.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal;

/// Whether the program was asked to end.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Calls this on a thread of its own when the program is asked to end; it must not wait. Asked again, the program ends at once.
///
/// # Errors
///
/// What the system says.
pub(crate) fn handle(mut end: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    ctrlc::set_handler(move || {
        if ASKED.swap(true, Ordering::Relaxed) {
            terminal::restore();
            process::exit(Exit::Interrupted as i32);
        }
        end();
    })
    .map_err(|error| Failure::local("signals", error))
}

/// Notes that the program was asked to end, at a prompt, where Ctrl-C is a key and no signal.
pub(crate) fn note() {
    ASKED.store(true, Ordering::Relaxed);
}
