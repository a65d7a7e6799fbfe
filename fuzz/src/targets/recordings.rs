use websocket_sync::Message;

use crate::recording::{Entry, line};

/// What is read as the line of a recording is written again as one that says the same.
///
/// Input: the file.
pub fn recordings(data: &[u8]) {
    for entry in data.split(|&byte| byte == b'\n').filter_map(Entry::parse) {
        let (kind, payload) = match &entry.message {
            Message::Text(text) => ("text", text.as_bytes()),
            Message::Binary(bytes) => ("binary", &bytes[..]),
        };
        let written = line(entry.at, entry.from, kind, payload);
        assert!(!written.contains('\n'), "{written:?} is more than a line");
        assert_eq!(Entry::parse(written.as_bytes()).as_ref(), Some(&entry), "{written}");
    }
}
