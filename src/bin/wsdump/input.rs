//! What is sent: lines or bytes from standard input, what is typed at a prompt, a recording.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use websocket_sync::{CloseCode, Error, Handle, Message, MessageKind, Opcode, Phase};

use crate::arguments::{Arguments, CloseRequest};
use crate::connect::FileValues;
use crate::console::Console;
use crate::ending::{Failure, describe};
#[cfg(unix)]
use crate::output::enlarge;
use crate::output::{Metered, Progress};
use crate::prompt::{Prompt, PromptEnd, PromptTarget};
use crate::recording::{Recorder, Replay, Side};
use crate::session::{Interruption, SharedSession};

/// The longest line that is read, in bytes: holds the longest message that the server may send, in base64 too.
const LONGEST_LINE: u64 = 64 * 1024 * 1024 * 3 / 2;
/// What a binary message of piped bytes has at most.
const CHUNK: usize = 64 * 1024;
/// The largest file that is recorded: a line of a recording has to hold it in base64.
const MAX_RECORDED: u64 = LONGEST_LINE / 3 * 2;
/// How long a closing handshake may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The thread that sends.
pub(crate) struct Input {
    pub(crate) sender: InputSender,
    pub(crate) source: InputSource,
    pub(crate) end: EndOfInput,
}

/// Where the input comes from.
pub(crate) enum InputSource {
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
    /// Closing, when nothing of a message has come for `silence`, but after `longest` in any case, if there is such a limit.
    CloseAfterSilence { silence: Duration, longest: Option<Duration> },
    /// Nothing: messages are waited for.
    Stay,
}

impl InputSource {
    /// # Errors
    ///
    /// A recording that cannot be opened.
    pub(crate) fn new(arguments: &Arguments, console: &Console, values: &FileValues) -> Result<Self, Failure> {
        let source = if let Some(path) = &arguments.replay {
            Self::Replay(Replay::open(path, Side::Client)?)
        } else if arguments.no_input || values.has_read_standard_input() {
            Self::Nothing
        } else if console.has_prompt() && io::stdin().is_terminal() && io::stdout().is_terminal() {
            Self::Prompt(Prompt::new(arguments)?)
        } else if arguments.binary {
            Self::Bytes
        } else {
            Self::Lines
        };
        match source {
            Self::Prompt(_) => Ok(source),
            _ if arguments.history.is_some() => {
                Err(Failure::Usage("--history is for the prompt, and there is none without a terminal".to_owned()))
            }
            _ => Ok(source),
        }
    }

    /// Sends until it ends; returns what follows that, which is `end` unless somebody at a prompt has had enough.
    fn send_all(self, sender: &InputSender, end: EndOfInput) -> Result<EndOfInput, Failure> {
        match self {
            Self::Prompt(prompt) => match prompt.run(sender)? {
                PromptEnd::Input if end == EndOfInput::Stay => return Ok(EndOfInput::CloseAfter(Duration::ZERO)),
                PromptEnd::Input => {}
                PromptEnd::Interrupted => {
                    sender.interruption.begin();
                    return Ok(EndOfInput::Stay);
                }
            },
            Self::Lines => lines(sender)?,
            Self::Bytes => bytes(sender)?,
            Self::Replay(replay) => {
                let is_heard = || sender.handle.is_running();
                replay.play(is_heard, |message| match message {
                    Message::Text(text) => sender.text(text),
                    Message::Binary(bytes) => sender.binary(bytes),
                })?;
            }
            Self::Nothing => {}
        }
        Ok(end)
    }
}

/// How long a server has to be silent before what it has said is taken for all of its answer.
const SILENCE: Duration = Duration::from_secs(1);
/// How long answers are waited for at most.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

impl EndOfInput {
    pub(crate) fn new(arguments: &Arguments, source: &InputSource) -> Self {
        match (arguments.eof_wait, arguments.eof_silence, source) {
            (Some(wait), _, _) => Self::CloseAfter(wait),
            (None, Some(silence), _) => Self::CloseAfterSilence { silence, longest: None },
            (None, None, _) if arguments.no_input || arguments.max_messages.is_some() => Self::Stay,
            // Whoever ends a prompt has seen the answers.
            (None, None, InputSource::Prompt(_)) => Self::CloseAfter(Duration::ZERO),
            (None, None, _) => Self::CloseAfterSilence { silence: SILENCE, longest: Some(LONGEST_WAIT) },
        }
    }
}

impl Input {
    /// Sends until the input ends, then closes.
    pub(crate) fn run(self) {
        let Self { sender, source, end } = self;
        match source.send_all(&sender, end) {
            Ok(EndOfInput::Stay) => {}
            Ok(EndOfInput::CloseAfter(wait)) => {
                sender.handle.wait_end(wait);
                sender.finish();
            }
            Ok(EndOfInput::CloseAfterSilence { silence, longest }) => {
                sender.wait_for_silence(silence, longest);
                sender.finish();
            }
            // How the connection ended is told by the run.
            Err(Failure::WebSocket(Error::Closed(_))) => {}
            Err(failure) => {
                sender.state.failure.set(failure);
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
    pub(crate) state: SharedSession,
    pub(crate) interruption: Interruption,
    /// What the end of the input closes with.
    pub(crate) close: CloseRequest,
    pub(crate) offline: OfflinePolicy,
}

/// What a message that finds no connection does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OfflinePolicy {
    /// It waits for the next one.
    Wait,
    /// It fails.
    Fail,
}

impl PromptTarget for InputSender {
    fn console(&self) -> &Console {
        &self.console
    }

    fn text(&self, text: &str) -> Result<(), Failure> {
        self.record("text", text.as_bytes())?;
        self.send(|| self.handle.send_text(text))
    }

    fn binary(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.record("binary", bytes)?;
        self.send(|| self.handle.send_binary(bytes))
    }

    fn ping(&self, payload: &str) -> Result<(), Failure> {
        self.state.pings.sent(payload.as_bytes(), Instant::now());
        self.send(|| self.handle.ping(payload))
    }

    fn pong(&self, payload: &str) -> Result<(), Failure> {
        self.send(|| self.handle.send(payload, Opcode::Pong))
    }

    /// Sends a file as one message. A recording needs it in memory, and with it in bounds.
    fn file(&self, kind: MessageKind, path: &Path) -> Result<(), Failure> {
        let unreadable = |error| Failure::local(path.display(), error);
        let mut file = File::open(path).map_err(unreadable)?;
        if self.recorder.is_some() {
            let bytes = read_bounded(&mut file).map_err(unreadable)?;
            return match kind {
                MessageKind::Binary => self.binary(&bytes),
                MessageKind::Text => match str::from_utf8(&bytes) {
                    Ok(text) => self.text(text),
                    Err(error) => Err(Failure::local(path.display(), error)),
                },
            };
        }
        let length = file.metadata().ok().filter(|about| about.is_file()).map(|about| about.len());
        let Some(sender) = self.handle.sender() else {
            return Err(Failure::Local("there is no connection".to_owned()));
        };
        let progress = Progress::new(length);
        match sender.send_reader(kind, Metered { reader: &mut file, progress }, length) {
            // Another connection may follow, for which the prompt goes on.
            Err(error @ Error::Closed(_)) if self.can_wait() => Err(Failure::local(path.display(), describe(&error))),
            sent => Ok(sent.map(drop)?),
        }
    }

    /// Closes with this code, and does not show what still comes.
    fn close(&self, code: CloseCode, reason: &str) -> Result<(), Failure> {
        let before = self.state.close_code();
        self.state.set_close_code(code);
        self.handle.close_with(code, reason).inspect_err(|_| self.state.set_close_code(before))?;
        Ok(())
    }
}

/// Sending.
impl InputSender {
    fn send(&self, mut attempt: impl FnMut() -> websocket_sync::Result<()>) -> Result<(), Failure> {
        loop {
            let can_wait = self.can_wait();
            if !can_wait || self.state.is_ready() {
                match attempt() {
                    Err(Error::Closed(_)) if can_wait => {}
                    result => return Ok(result?),
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether another connection may follow one that is lost.
    fn can_wait(&self) -> bool {
        self.offline == OfflinePolicy::Wait && self.handle.is_running()
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

/// A whole file.
///
/// # Errors
///
/// What the system says; a file that no recording holds.
pub(crate) fn read_bounded(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_RECORDED + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_RECORDED { Err(io::Error::other("too large")) } else { Ok(bytes) }
}

/// Ending.
impl InputSender {
    /// Waits until no message, nor a part of one, has come for `silence`, until `longest` is over, which is told, or until the run is.
    fn wait_for_silence(&self, silence: Duration, longest: Option<Duration>) {
        const STEP: Duration = Duration::from_millis(20);
        let received = || {
            let statistics = self.handle.statistics();
            (statistics.messages_received, statistics.bytes_gathered)
        };
        let began = Instant::now();
        let (mut last, mut since) = (received(), began);
        while since.elapsed() < silence {
            if let Some(longest) = longest.filter(|longest| began.elapsed() >= *longest) {
                self.console.print_always(format_args!(
                    "Closing, although messages still come {:.0} s after the end of the input; --eof-wait N waits N seconds, --eof-silence \
                     N until none has come for N seconds",
                    longest.as_secs_f64(),
                ));
                return;
            }
            if self.handle.wait_end(STEP.min(silence)).is_some() {
                return;
            }
            let now = received();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
    }

    /// Ends the run in order: what the server has sent before it heard of the Close is still shown, and no other connection
    /// follows.
    pub(crate) fn finish(&self) {
        self.state.retries.stop();
        let until = Instant::now() + CLOSE_TIMEOUT;
        let Some(sender) = self.handle.sender() else {
            if self.can_wait() {
                self.state.failure.set(Failure::Local("the input ended while there was no connection".to_owned()));
            }
            self.handle.stop();
            return;
        };
        let begun = sender.send_close(self.close.code, &self.close.reason);
        if self.handle.wait_end(until.saturating_duration_since(Instant::now())).is_some() {
            return;
        }
        if begun.is_ok() {
            self.state.failure.set(Failure::WebSocket(Error::Timeout(Phase::Close)));
        }
        sender.abort();
        self.handle.stop();
    }
}
