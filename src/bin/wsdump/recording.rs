//! Recordings: what is sent and received written down with its times, and one side of that sent again.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use websocket_sync::Message;

use crate::ending::Failure;
use crate::input::read_line;
use crate::json::insert_payload;
use crate::output::Output;

/// A recording: a JSON object a line, such as `{"at":0.5,"from":"client","kind":"text","text":"hello"}`. Clones write to the
/// same file.
#[derive(Clone)]
pub(crate) struct Recorder {
    /// When the first connection was open: times count from there.
    began: Arc<OnceLock<Instant>>,
    output: Arc<Mutex<Output>>,
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

impl Recorder {
    /// Makes the file.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        let output = Output::file(path).map_err(|error| Failure::local(path.display(), error))?;
        Ok(Self { began: Arc::default(), output: Arc::new(Mutex::new(output)) })
    }

    /// A connection is open: the first one begins the recording.
    pub(crate) fn begin(&self) {
        self.began.get_or_init(Instant::now);
    }

    /// Writes a message down.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn message(&self, from: Side, kind: &str, payload: &[u8]) -> std::io::Result<()> {
        let mut object = Map::new();
        object.insert("at".to_owned(), json!(self.began.get_or_init(Instant::now).elapsed().as_secs_f64()));
        object.insert("from".to_owned(), json!(from.as_str()));
        object.insert("kind".to_owned(), json!(kind));
        insert_payload(&mut object, payload);
        self.output.lock().unwrap_or_else(PoisonError::into_inner).line(Value::Object(object).to_string())
    }
}

/// What one side sent.
pub(crate) struct Replay {
    path: PathBuf,
    lines: BufReader<File>,
    /// How many were read.
    number: u64,
    side: Side,
}

/// A message, and when it was sent.
struct Entry {
    at: Duration,
    message: Message,
}

impl Replay {
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn open(path: &Path, side: Side) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| Failure::local(path.display(), error))?;
        Ok(Self { path: path.to_owned(), lines: BufReader::new(file), number: 0, side })
    }

    /// Sends what the side sent, when it did, counted from now.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is no recording, and what `send` fails with.
    pub(crate) fn play(mut self, mut send: impl FnMut(&Message) -> Result<(), Failure>) -> Result<(), Failure> {
        let began = Instant::now();
        while let Some(entry) = self.next()? {
            thread::sleep(entry.at.saturating_sub(began.elapsed()));
            send(&entry.message)?;
        }
        Ok(())
    }

    /// The next message of that side.
    fn next(&mut self) -> Result<Option<Entry>, Failure> {
        let mut line = Vec::new();
        while read_line(&mut self.lines, &mut line).map_err(|error| Failure::local(self.path.display(), error))? {
            self.number += 1;
            let Some(entry) = parse(&line, self.side) else {
                return Err(Failure::local(
                    format_args!("{}, line {}", self.path.display(), self.number),
                    "not a line of a recording",
                ));
            };
            if entry.is_some() {
                return Ok(entry);
            }
        }
        Ok(None)
    }
}

/// What a line says, if that side has said it; `None` for one that is not of a recording.
#[expect(clippy::option_option, reason = "no line, and nothing of interest on it")]
fn parse(line: &[u8], side: Side) -> Option<Option<Entry>> {
    let object: Value = serde_json::from_slice(line).ok()?;
    let at = Duration::try_from_secs_f64(object.get("at")?.as_f64()?).ok()?;
    let message = match object.get("kind")?.as_str()? {
        "text" => Message::Text(object.get("text")?.as_str()?.to_owned()),
        "binary" => Message::Binary(STANDARD.decode(object.get("base64")?.as_str()?).ok()?),
        _ => return None,
    };
    Some((object.get("from")?.as_str()? == side.as_str()).then_some(Entry { at, message }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_of_one_side() {
        let text = br#"{"at":1.5,"from":"client","kind":"text","text":"hi"}"#;
        let entry = parse(text, Side::Client).flatten().map(|entry| (entry.at, entry.message));
        assert_eq!(entry, Some((Duration::from_millis(1500), Message::from("hi"))));
        assert!(parse(text, Side::Server).is_some_and(|entry| entry.is_none()));
        let binary = br#"{"at":0,"from":"server","kind":"binary","base64":"AAE="}"#;
        let entry = parse(binary, Side::Server).flatten().map(|entry| entry.message);
        assert_eq!(entry, Some(Message::Binary(vec![0, 1])));
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        for line in [
            "",
            "hello",
            "{}",
            r#"{"at":-1,"from":"client","kind":"text","text":"hi"}"#,
            r#"{"at":1e300,"from":"client","kind":"text","text":"hi"}"#,
            r#"{"at":0,"from":"client","kind":"text","base64":"AAE="}"#,
            r#"{"at":0,"from":"client","kind":"binary","base64":"?"}"#,
            r#"{"at":0,"from":"client","kind":"close"}"#,
        ] {
            assert!(parse(line.as_bytes(), Side::Client).is_none(), "{line}");
        }
    }
}
