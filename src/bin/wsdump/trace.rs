//! What the library says of its doings: shown as notes with `-v 2`.

use std::time::Instant;

use log::{LevelFilter, Log, Metadata, Record};

use crate::console::Console;

struct Trace {
    console: Console,
    began: Instant,
}

/// Has the library's log shown. It never holds secrets.
pub(crate) fn start(console: &Console) {
    let trace = Trace { console: console.clone(), began: Instant::now() };
    if log::set_boxed_logger(Box::new(trace)).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}

impl Log for Trace {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // The prompt has a log of its own.
        if record.target().starts_with("websocket_sync") {
            self.console.note(format_args!("{:.6} {}", self.began.elapsed().as_secs_f64(), record.args()));
        }
    }

    fn flush(&self) {}
}
