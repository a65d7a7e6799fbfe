//! Standard output, files, the progress bar and the state of the terminal.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};

/// Where the payloads or lines go.
pub(crate) struct Output(Box<dyn Write + Send>);

impl Output {
    /// Standard output, past the line buffer of std, which looks for line feeds in all that goes through it.
    pub(crate) fn standard() -> Self {
        #[cfg(unix)]
        {
            use std::os::fd::AsFd;
            if let Ok(descriptor) = io::stdout().as_fd().try_clone_to_owned() {
                enlarge(&descriptor);
                return Self(Box::new(File::from(descriptor)));
            }
        }
        Self(Box::new(io::stdout()))
    }

    pub(crate) fn file(path: &Path) -> io::Result<Self> {
        Ok(Self(Box::new(File::create(path)?)))
    }

    /// Writes all of it, as it is.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Writes it until `stop` is set: a terminal that is slow, or a pipe that nobody empties, keeps nobody from leaving.
    pub(crate) fn bytes_until(&mut self, bytes: &[u8], stop: &AtomicBool) -> io::Result<()> {
        const CHUNK: usize = 1024 * 1024;
        for chunk in bytes.chunks(CHUNK) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            self.0.write_all(chunk)?;
        }
        self.0.flush()
    }

    /// Writes a line in one piece, so that a reader gets no half of it.
    pub(crate) fn line(&mut self, mut line: String) -> io::Result<()> {
        line.push('\n');
        self.bytes(line.as_bytes())
    }

    /// The same until `stop` is set.
    pub(crate) fn line_until(&mut self, mut line: String, stop: &AtomicBool) -> io::Result<()> {
        line.push('\n');
        self.bytes_until(line.as_bytes(), stop)
    }
}

/// Gives a pipe the room of many messages, so that the programs at its ends need not take turns. What is no pipe stays as it is.
#[cfg(target_os = "linux")]
pub(crate) fn enlarge(pipe: impl std::os::fd::AsFd) {
    // What Linux grants to everybody, unless it was told otherwise.
    const ROOM: usize = 1024 * 1024;
    // It works with less, too.
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, ROOM);
}

/// Elsewhere pipes are as they are.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) fn enlarge(_: impl std::os::fd::AsFd) {}

/// What is over sooner needs no bar.
const SOON: Duration = Duration::from_secs(1);

/// How far something is: on standard error, if that is a terminal.
pub(crate) struct Progress {
    began: Instant,
    /// How many bytes there are, if that is known.
    total: Option<u64>,
    done: u64,
    /// When it was last told in words, since it began.
    told: Duration,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(total: Option<u64>) -> Self {
        Self { began: Instant::now(), total, done: 0, told: Duration::ZERO, bar: None }
    }

    /// So many bytes more are done.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.done += bytes as u64;
        if self.bar.is_none() && self.began.elapsed() > SOON {
            self.bar = Some(bar(self.total));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        }
    }
}

impl Progress {
    /// The same in words, at most once a second: where a prompt has the line that a bar would need.
    pub(crate) fn advance_in_words(&mut self, bytes: usize) -> Option<String> {
        self.done += bytes as u64;
        let since = self.began.elapsed();
        if since < self.told + SOON {
            return None;
        }
        self.told = since;
        let rate = (self.done as f64 / since.as_secs_f64()) as u64;
        Some(format!("{} received, {}/s", BinaryBytes(self.done), BinaryBytes(rate)))
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    const KNOWN: &str = "{wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
    const UNKNOWN: &str = "{spinner} {binary_bytes} {binary_bytes_per_sec}";
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), KNOWN),
        None => (ProgressBar::new_spinner(), UNKNOWN),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Shows how much of a reader has been read.
pub(crate) struct Metered<R> {
    pub(crate) reader: R,
    pub(crate) progress: Progress,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.progress.advance(length);
        Ok(length)
    }
}

/// The terminal as it was: a prompt changes it, and may be left in the middle of a line.
#[cfg(unix)]
mod terminal {
    use std::fs::File;
    use std::io::{self, Read, Write, stdin, stdout};
    use std::os::fd::{AsFd, OwnedFd};
    use std::process;
    use std::sync::OnceLock;

    use rustix::process::getpgrp;
    use rustix::stdio::{dup2_stdin, dup2_stdout};
    use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr};

    use crate::ending::Exit;

    static BEFORE: OnceLock<(OwnedFd, Termios)> = OnceLock::new();

    pub(crate) fn remember_terminal() {
        if let (Ok(attributes), Ok(terminal)) = (tcgetattr(stdin()), stdin().as_fd().try_clone_to_owned()) {
            BEFORE.get_or_init(|| (terminal, attributes));
        }
    }

    pub(crate) fn restore_terminal() {
        if let Some((terminal, attributes)) = BEFORE.get() {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(terminal, OptionalActions::Now, attributes);
        }
    }

    /// Whether standard input and output are a terminal that this process may use: one in the background is stopped when it
    /// does. A terminal that does not control the process stops nobody.
    pub(crate) fn is_foreground() -> bool {
        isatty(stdin()) && isatty(stdout()) && tcgetpgrp(stdin()).map_or(true, |group| group == getpgrp())
    }

    /// Asks for a line that is not shown, at the terminal of standard input or the one that controls the process. Ctrl-C ends
    /// the program.
    pub(crate) fn ask_password(question: &str) -> io::Result<String> {
        let terminal = match stdin().as_fd().try_clone_to_owned() {
            Ok(descriptor) if isatty(&descriptor) => File::from(descriptor),
            _ => File::options()
                .read(true)
                .write(true)
                .open("/dev/tty")
                .map_err(|_| io::Error::other("there is no terminal to ask for the password"))?,
        };
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&terminal, OptionalActions::Now, &silent)?;
        let mut error_output = io::stderr();
        let _ = error_output.write_all(question.as_bytes()).and_then(|()| error_output.flush());
        let answer = read_silently(&terminal);
        tcsetattr(&terminal, OptionalActions::Now, &before)?;
        let _ = error_output.write_all(b"\n");
        match answer? {
            Some(password) => Ok(password),
            None => process::exit(Exit::Interrupted as i32),
        }
    }

    /// Reads up to the end of the line; `None` for Ctrl-C.
    fn read_silently(mut terminal: &File) -> io::Result<Option<String>> {
        const INTERRUPT: u8 = 3;
        const END: u8 = 4;
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            match terminal.read(&mut byte)? {
                0 => break,
                _ => match byte[0] {
                    b'\r' | b'\n' | END => break,
                    INTERRUPT => return Ok(None),
                    // Backspace takes a whole character.
                    8 | 0x7F => while line.pop().is_some_and(|byte: u8| byte & 0xC0 == 0x80) {},
                    byte => line.push(byte),
                },
            }
        }
        String::from_utf8(line).map(Some).map_err(io::Error::other)
    }

    /// Takes the terminal away from the editor of the prompt, whose thread cannot be stopped, and leaves its line empty.
    pub(crate) fn leave_prompt() {
        if let Ok(nothing) = File::options().read(true).write(true).open("/dev/null") {
            // What the editor would still write or change goes nowhere.
            let _ = dup2_stdout(&nothing).and_then(|()| dup2_stdin(&nothing));
        }
        restore_terminal();
        if let Some(terminal) = BEFORE.get().and_then(|(terminal, _)| terminal.try_clone().ok()) {
            // Clears its line, and ends bracketed paste.
            let _ = File::from(terminal).write_all(b"\r\x1b[K\x1b[?2004l");
        }
    }
}

#[cfg(unix)]
pub(crate) use self::terminal::{ask_password, is_foreground, leave_prompt, remember_terminal, restore_terminal};

/// The console of Windows is restored by the system.
#[cfg(not(unix))]
pub(crate) const fn remember_terminal() {}

/// The same.
#[cfg(not(unix))]
pub(crate) const fn restore_terminal() {}

/// Jobs are a thing of Unix.
#[cfg(not(unix))]
pub(crate) fn is_foreground() -> bool {
    use std::io::IsTerminal;
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// No terminal is asked there.
#[cfg(not(unix))]
pub(crate) fn ask_password(_: &str) -> io::Result<String> {
    Err(io::Error::other("there is no terminal that could be asked for the password on this system"))
}

/// The same.
#[cfg(not(unix))]
pub(crate) const fn leave_prompt() {}
