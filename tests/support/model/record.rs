//! What was called, what came of it, and when.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::program::Kind;
use super::world::{self, CloseInfo, Error, ProtocolError};

/// The clock of a program, and the order in which its threads do what they do.
#[derive(Debug)]
pub(crate) struct Timeline {
    start: Instant,
    order: AtomicU64,
}

impl Timeline {
    pub(crate) fn new() -> Self {
        Self { start: world::now(), order: AtomicU64::new(0) }
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp {
            order: self.order.fetch_add(1, Ordering::SeqCst),
            time: world::now().duration_since(self.start),
            late: world::late(),
        }
    }
}

/// A moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    /// Smaller than that of all later moments.
    pub(crate) order: u64,
    pub(crate) time: Duration,
    /// How long threads had been held up by the system until then.
    pub(crate) late: Duration,
}

/// One call of the API.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) what: String,
    pub(crate) class: Class,
    pub(crate) began: Stamp,
    pub(crate) ended: Stamp,
    /// What the API promises of its length.
    pub(crate) limit: Limit,
    pub(crate) result: Result<(), Failure>,
    pub(crate) received: Vec<Received>,
    pub(crate) sent: Vec<Sent>,
    /// The memory that the connection holds afterwards, where it was asked.
    pub(crate) memory: usize,
}

impl Record {
    /// How long it took, without what the system held its threads up.
    pub(crate) fn length(&self) -> Duration {
        (self.ended.time - self.began.time).saturating_sub(self.ended.late - self.began.late)
    }
}

/// What a call is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    Receive,
    Send,
    /// The end of a message that was begun and is not finished.
    AbandonMessage,
    Close,
    Abort,
    Drop,
    Other,
}

/// How long a call may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Limit {
    /// It does not wait.
    Now,
    Within(Duration),
    /// As long as the connection stands.
    None,
}

/// Why a call failed.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "some say only in a report why")]
pub(crate) enum Failure {
    Timeout,
    Closed(CloseInfo),
    Usage(String),
    Full,
    Options,
    Protocol(ProtocolError),
    /// What the program itself made fail.
    Own,
    Other(String),
}

/// The error that programs let their readers and batches fail with.
pub(crate) const OWN: &str = "as the program wants it";

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Timeout(_) => Self::Timeout,
            Error::Closed(info) => Self::Closed(*info),
            Error::Usage(problem) => Self::Usage(problem.to_string()),
            Error::Full => Self::Full,
            Error::Options(_) => Self::Options,
            Error::Protocol(problem) => Self::Protocol(problem),
            error if error.to_string() == OWN => Self::Own,
            error => Self::Other(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Error::from(error).into()
    }
}

/// Something that a receive gave.
#[derive(Clone, Debug)]
pub(crate) enum Received {
    /// What is left of a message.
    Message(Kind, Vec<u8>),
    /// A data frame and whether it is the last one of its message, where that is told.
    Frame(Vec<u8>, Option<bool>),
    /// What a reader gave until it was dropped, and whether it said that this is the end.
    Part(Kind, Vec<u8>, bool),
    Control(u8, Vec<u8>),
    /// The body of the peer's Close.
    Close(Vec<u8>),
}

/// A message or a control frame that a call sent, or tried to send.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// That of a message or a control frame.
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) fate: Fate,
}

/// Whether the peer receives what was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// All of it has left.
    Left,
    /// It was taken; it leaves if the connection lasts.
    Taken,
    /// The call failed in a way that leaves it open.
    Open,
    /// Not, or not whole.
    Not,
}

impl Fate {
    /// That of a message whose send waited and came to this.
    pub(crate) const fn of(result: &Result<(), Failure>) -> Self {
        match result {
            Ok(()) => Self::Left,
            Err(Failure::Closed(_) | Failure::Other(_)) => Self::Open,
            Err(_) => Self::Not,
        }
    }

    /// That of a message whose send did not wait.
    pub(crate) const fn of_trying(result: &Result<(), Failure>) -> Self {
        match Self::of(result) {
            Self::Left => Self::Taken,
            fate => fate,
        }
    }
}
