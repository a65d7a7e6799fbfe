//! Recordings: what is sent and received written down with its times, and one side of that sent again.

mod entry;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use websocket_sync::Message;

pub(crate) use self::entry::Side;
use self::entry::{Entry, line};
use crate::ending::Failure;
use crate::input::read_line;
use crate::output::Output;

/// A recording: a line for each message, see [`Entry`]. Clones write to the same file.
#[derive(Clone)]
pub(crate) struct Recorder {
    /// When the first connection was open: times count from there.
    began: Arc<OnceLock<Instant>>,
    output: Arc<Mutex<Output>>,
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
        let at = self.began.get_or_init(Instant::now).elapsed();
        self.output.lock().unwrap_or_else(PoisonError::into_inner).line(line(at, from, kind, payload))
    }
}

/// How soon it is found out in a pause of a recording that nobody is there any more.
const LOOK: Duration = Duration::from_millis(100);

/// What one side sent.
pub(crate) struct Replay {
    path: PathBuf,
    lines: BufReader<File>,
    /// How many were read.
    number: u64,
    side: Side,
}

impl Replay {
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn open(path: &Path, side: Side) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| Failure::local(path.display(), error))?;
        Ok(Self { path: path.to_owned(), lines: BufReader::new(file), number: 0, side })
    }

    /// Sends what the side sent, when it did, counted from now, as long as somebody is there to hear it.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is no recording, and what `send` fails with.
    pub(crate) fn play(
        mut self,
        is_heard: impl Fn() -> bool,
        mut send: impl FnMut(&Message) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        while let Some(entry) = self.next()? {
            loop {
                let left = entry.at.saturating_sub(began.elapsed());
                if left.is_zero() {
                    break;
                }
                if !is_heard() {
                    return Ok(());
                }
                thread::sleep(left.min(LOOK));
            }
            send(&entry.message)?;
        }
        Ok(())
    }

    /// The next message of that side.
    fn next(&mut self) -> Result<Option<Entry>, Failure> {
        let mut line = Vec::new();
        while read_line(&mut self.lines, &mut line).map_err(|error| Failure::local(self.path.display(), error))? {
            self.number += 1;
            let Some(entry) = Entry::parse(&line) else {
                return Err(Failure::local(
                    format_args!("{}, line {}", self.path.display(), self.number),
                    "not a line of a recording",
                ));
            };
            if entry.from == self.side {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}
