//! What is sent and received, written down with times.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::json::insert_payload;
use crate::output::Output;

/// A recording: a JSON object a line, such as `{"at":0.5,"from":"client","kind":"text","text":"hello"}`. Clones write to the
/// same file.
#[derive(Clone)]
pub(crate) struct Recorder {
    began: Instant,
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
        Ok(Self { began: Instant::now(), output: Arc::new(Mutex::new(output)) })
    }

    /// Writes a message down.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn message(&self, from: Side, kind: &str, payload: &[u8]) -> std::io::Result<()> {
        let mut object = Map::new();
        object.insert("at".to_owned(), json!(self.began.elapsed().as_secs_f64()));
        object.insert("from".to_owned(), json!(from.as_str()));
        object.insert("kind".to_owned(), json!(kind));
        insert_payload(&mut object, payload);
        self.output.lock().unwrap_or_else(PoisonError::into_inner).line(Value::Object(object).to_string())
    }
}
