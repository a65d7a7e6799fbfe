//! What goes over the wire: shown as notes with `-v 2`, as Python's does.

use websocket_sync::{TraceRecord, enable_trace};

use crate::console::Console;

/// Has heads and frames shown. The library leaves out what may be secret in them.
pub(crate) fn start(console: &Console) {
    let console = console.clone();
    enable_trace(move |record: &TraceRecord<'_>| console.note(record));
}
