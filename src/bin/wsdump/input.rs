//! What is sent: lines or bytes from standard input, what is typed at a prompt, a recording.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use websocket_sync::{CloseCode, Error, Handle, Message, MessageKind, Opcode, Phase};

use crate::arguments::Arguments;
use crate::console::Console;
use crate::ending::Failure;
use crate::output::{Metered, Progress, enlarge};
use crate::prompt::{Prompt, PromptEnd};
use crate::recording::{Recorder, Replay, Side};
use crate::session::{FirstFailure, Pings};

#[cfg(unix)]

/// The longest line that is read, in bytes: holds the longest message that the server may send, in base64 too.
const LONGEST_LINE: u64 = 64 * 1024 * 1024 * 3 / 2;
/// What a binary message of piped bytes has at most.
const CHUNK: usize = 64 * 1024;
/// How long a closing handshake may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The thread that sends.
pub(crate) struct Input {
    pub(crate) sender: InputSender,
    pub(crate) source: Source,
    pub(crate) text: Option<String>,
    pub(crate) eof: EndOfInput,
}

/// Where the input comes from.
pub(crate) enum Source {
    Prompt(Prompt),
    Lines,
    Bytes,
    Replay(Replay),
    Nothing,
}

/// What the end of the input is followed by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EndOfInput {
    /// Closing, after so long.
    CloseAfter(Duration),
    /// Nothing: messages are waited for.
    Stay,
}

impl Source {
    /// # Errors
    ///
    /// A recording that cannot be opened.
    pub(crate) fn new(arguments: &Arguments, console: &Console) -> Result<Self, Failure> {
        if let Some(path) = &arguments.replay {
            return Replay::open(path, Side::Client).map(Self::Replay);
        }
        Ok(if arguments.no_input {
            Self::Nothing
        } else if console.is_marked() && io::stdin().is_terminal() && io::stdout().is_terminal() {
            Self::Prompt(Prompt::new(arguments))
        } else if arguments.binary {
            Self::Bytes
        } else {
            Self::Lines
        })
    }

    /// Sends until it ends; returns what follows that, which is `eof` unless somebody at a prompt has had enough.
    fn send_all(self, sender: &InputSender, eof: EndOfInput) -> Result<EndOfInput, Failure> {
        match self {
            Self::Prompt(prompt) => {
                return Ok(match (prompt.run(sender)?, eof) {
                    (PromptEnd::Input, EndOfInput::CloseAfter(wait)) => EndOfInput::CloseAfter(wait),
                    (PromptEnd::Input, EndOfInput::Stay) | (PromptEnd::Interrupted, _) => {
                        EndOfInput::CloseAfter(Duration::ZERO)
                    }
                });
            }
            Self::Lines => lines(sender)?,
            Self::Bytes => bytes(sender)?,
            Self::Replay(replay) => replay.play(|message| match message {
                Message::Text(text) => sender.text(text),
                Message::Binary(bytes) => sender.binary(bytes),
            })?,
            Self::Nothing => {}
        }
        Ok(eof)
    }
}

impl EndOfInput {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        match arguments.eof_wait {
            Some(wait) => Self::CloseAfter(wait),
            None if arguments.no_input || arguments.max_messages.is_some() => Self::Stay,
            None => Self::CloseAfter(Duration::ZERO),
        }
    }
}

impl Input {
    /// Sends until the input ends, then closes.
    pub(crate) fn run(self) {
        let Self { sender, source, text, eof } = self;
        match text.map_or(Ok(()), |text| sender.text(&text)).and_then(|()| source.send_all(&sender, eof)) {
            Ok(EndOfInput::Stay) => {}
            Ok(EndOfInput::CloseAfter(wait)) => {
                thread::sleep(wait);
                sender.finish();
            }
            // How the connection ended is told by the run.
            Err(Failure::WebSocket(Error::Closed(_))) => {}
            Err(failure) => {
                sender.failure.print_note(failure);
                sender.finish();
            }
        }
    }
}

fn lines(sender: &InputSender) -> Result<(), Failure> {
    let mut input = BufReader::with_capacity(CHUNK, io::stdin());
    let mut line = Vec::new();
    while read_line(&mut input, &mut line).map_err(unreadable)? {
        let Ok(text) = str::from_utf8(&line) else {
            return Err(Failure::Local("standard input: a line that is not UTF-8; --binary sends bytes".to_owned()));
        };
        sender.text(text)?;
    }
    Ok(())
}

/// Reads a line without its end; false at the end of the input.
///
/// # Errors
///
/// What the system says, and a line that is too long.
pub(crate) fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    input.by_ref().take(LONGEST_LINE + 2).read_until(b'\n', line)?;
    if line.is_empty() {
        return Ok(false);
    }
    for end in *b"\n\r" {
        if line.last() == Some(&end) {
            line.pop();
        }
    }
    if line.len() as u64 > LONGEST_LINE {
        return Err(io::Error::other("a line is too long"));
    }
    Ok(true)
}

fn bytes(sender: &InputSender) -> Result<(), Failure> {
    // Not through the buffer of std, which reads less at a time.
    let mut input = unbuffered();
    let mut chunk = vec![0; CHUNK];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => sender.binary(&chunk[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
}

fn unbuffered() -> Box<dyn Read> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        if let Ok(descriptor) = io::stdin().as_fd().try_clone_to_owned() {
            enlarge(&descriptor);
            return Box::new(File::from(descriptor));
        }
    }
    Box::new(io::stdin())
}

fn unreadable(error: io::Error) -> Failure {
    Failure::local("standard input", error)
}

/// Sends on the connection that is open; where another one is being made, waits for it.
#[derive(Clone)]
pub(crate) struct InputSender {
    pub(crate) handle: Handle,
    pub(crate) console: Console,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) failure: FirstFailure,
    pub(crate) offline: OfflinePolicy,
    pub(crate) pings: Pings,
}

/// What a message that finds no connection does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OfflinePolicy {
    /// It waits for the next one.
    Wait,
    /// It fails.
    Fail,
}

impl InputSender {
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        self.record("text", text.as_bytes())?;
        self.send(|| self.handle.send_text(text))
    }

    pub(crate) fn binary(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.record("binary", bytes)?;
        self.send(|| self.handle.send_binary(bytes))
    }

    pub(crate) fn ping(&self, payload: &str) -> Result<(), Failure> {
        self.pings.sent(payload.as_bytes(), Instant::now());
        self.send(|| self.handle.ping(payload))
    }

    pub(crate) fn pong(&self, payload: &str) -> Result<(), Failure> {
        self.send(|| self.handle.send(payload, Opcode::Pong))
    }

    /// Sends a file as one message.
    pub(crate) fn file(&self, kind: MessageKind, path: &Path) -> Result<(), Failure> {
        let unreadable = |error| Failure::local(path.display(), error);
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().ok().filter(|about| about.is_file()).map(|about| about.len());
        let sender = self.handle.sender();
        let Some(sender) = sender else { return Err(Failure::Local("there is no connection".to_owned())) };
        let progress = Progress::new(length);
        sender.send_reader(kind, Metered { reader: file, progress }, length)?;
        Ok(())
    }

    /// Closes with this code, and does not show what still comes.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) -> Result<(), Failure> {
        Ok(self.handle.close_with(code, reason)?)
    }

    /// Closes in order: what the server has sent before it heard of that is still shown.
    pub(crate) fn finish(&self) {
        let Some(sender) = self.handle.sender() else {
            if self.offline == OfflinePolicy::Wait && self.handle.is_running() {
                self.failure.print_note(Failure::Local("the input ended while there was no connection".to_owned()));
            }
            self.handle.stop();
            return;
        };
        let begun = sender.send_close(CloseCode::NORMAL, "");
        let until = Instant::now() + CLOSE_TIMEOUT;
        while begun.is_ok() && self.handle.is_running() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        if self.handle.is_running() {
            if begun.is_ok() {
                self.failure.print_note(Failure::WebSocket(Error::Timeout(Phase::Close)));
            }
            sender.abort();
        }
    }

    fn send(&self, mut attempt: impl FnMut() -> websocket_sync::Result<()>) -> Result<(), Failure> {
        loop {
            match attempt() {
                Err(Error::Closed(_)) if self.offline == OfflinePolicy::Wait && self.handle.is_running() => {
                    thread::sleep(Duration::from_millis(20));
                }
                result => return Ok(result?),
            }
        }
    }

    fn record(&self, kind: &str, payload: &[u8]) -> Result<(), Failure> {
        match &self.recorder {
            Some(recorder) => recorder
                .message(Side::Client, kind, payload)
                .map_err(|error| Failure::local("the file of --record", error)),
            None => Ok(()),
        }
    }
}
