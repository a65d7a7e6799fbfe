//! The terminal as it was: a prompt changes it, and may be left in the middle of a line.

#[cfg(unix)]
mod unix {
    use std::io::{Write, stdin, stdout};
    use std::sync::OnceLock;

    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

    static BEFORE: OnceLock<Termios> = OnceLock::new();

    pub(crate) fn remember() {
        if let Ok(attributes) = tcgetattr(stdin()) {
            BEFORE.get_or_init(|| attributes);
        }
    }

    pub(crate) fn restore() {
        if let Some(attributes) = BEFORE.get() {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(stdin(), OptionalActions::Now, attributes);
        }
    }

    pub(crate) fn leave_prompt() {
        restore();
        let mut terminal = stdout();
        // Clears its line, and ends bracketed paste.
        let _ = terminal.write_all(b"\r\x1b[K\x1b[?2004l").and_then(|()| terminal.flush());
    }
}

#[cfg(unix)]
pub(crate) use self::unix::{leave_prompt, remember, restore};

/// The console of Windows is restored by the system.
#[cfg(not(unix))]
pub(crate) const fn remember() {}

/// The same.
#[cfg(not(unix))]
pub(crate) const fn restore() {}

/// The same.
#[cfg(not(unix))]
pub(crate) const fn leave_prompt() {}
