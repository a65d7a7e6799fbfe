//! The prompt: a line editor with history and commands, above which messages are printed while a line is typed.

use std::env;
use std::fs::{DirBuilder, File};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use websocket_sync::{CloseCode, Error, MessageKind};

use crate::arguments::Arguments;
use crate::console::{Attached, Console};
use crate::documents::PROMPT;
use crate::ending::{Failure, note_interrupt};
use crate::format::parse_hex;
use crate::output::{remember_terminal, restore_terminal};

/// What does what is typed.
pub(crate) trait PromptTarget {
    fn console(&self) -> &Console;
    fn text(&self, text: &str) -> Result<(), Failure>;
    fn binary(&self, bytes: &[u8]) -> Result<(), Failure>;
    fn file(&self, kind: MessageKind, path: &Path) -> Result<(), Failure>;
    fn ping(&self, payload: &str) -> Result<(), Failure>;
    fn pong(&self, payload: &str) -> Result<(), Failure>;
    fn close(&self, code: CloseCode, reason: &str) -> Result<(), Failure>;

    fn text_to(&self, _client: u64, _text: &str) -> Result<(), Failure> {
        Err(Failure::Usage("/to is for --listen".to_owned()))
    }

    fn list_clients(&self) -> Result<(), Failure> {
        Err(Failure::Usage("/clients is for --listen".to_owned()))
    }
}

/// A prompt.
pub(crate) struct Prompt {
    /// Where lines are kept from one time to the next.
    history: Option<PathBuf>,
    /// What a line is sent as.
    kind: MessageKind,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PromptEnd {
    /// With Ctrl-D.
    Input,
    /// With Ctrl-C.
    Interrupted,
}

impl Prompt {
    /// # Errors
    ///
    /// A history that cannot be kept.
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let kind = if arguments.binary { MessageKind::Binary } else { MessageKind::Text };
        let history = match &arguments.history {
            None => None,
            Some(Some(path)) => Some(path.clone()),
            Some(None) => Some(default_history()?),
        };
        if let Some(path) = &history {
            create_private(path).map_err(|error| Failure::local(path.display(), error))?;
        }
        Ok(Self { history, kind })
    }

    /// Sends what is typed, until Ctrl-D or Ctrl-C.
    ///
    /// # Errors
    ///
    /// What the terminal or the file of the history fails with. What goes wrong with a single line is shown.
    pub(crate) fn run(self, target: &impl PromptTarget) -> Result<PromptEnd, Failure> {
        remember_terminal();
        let ended = self.read_lines(target);
        // The editor is gone, and with it what showed lines above it.
        target.console().detach();
        restore_terminal();
        ended
    }

    fn read_lines(&self, target: &impl PromptTarget) -> Result<PromptEnd, Failure> {
        let config = Config::builder().auto_add_history(true).history_ignore_space(true).build();
        let mut editor: Editor<(), FileHistory> = Editor::with_config(config).map_err(no_prompt)?;
        if let Some(path) = self.history.as_deref().filter(|path| path.exists()) {
            editor.load_history(path).map_err(|error| Failure::local(path.display(), error))?;
        }
        let printer = editor.create_external_printer().map_err(no_prompt)?;
        if target.console().attach(Box::new(printer)) == Attached::No {
            return Ok(PromptEnd::Input);
        }
        loop {
            match editor.readline("> ") {
                Ok(line) => {
                    self.remember(&mut editor)?;
                    self.execute(&line, target)?;
                }
                Err(ReadlineError::Eof) => return Ok(PromptEnd::Input),
                Err(ReadlineError::Interrupted) => {
                    note_interrupt();
                    return Ok(PromptEnd::Interrupted);
                }
                Err(error) => return Err(no_prompt(error)),
            }
        }
    }

    /// Writes the last line down at once: nobody knows how the prompt ends.
    fn remember(&self, editor: &mut Editor<(), FileHistory>) -> Result<(), Failure> {
        match &self.history {
            Some(path) => editor.append_history(path).map_err(|error| Failure::local(path.display(), error)),
            None => Ok(()),
        }
    }

    /// Does what a line asks for. Only the end of the connection is an error here.
    fn execute(&self, line: &str, target: &impl PromptTarget) -> Result<(), Failure> {
        let done = match Command::parse(line) {
            Command::Text(text) => match self.kind {
                MessageKind::Text => target.text(text),
                MessageKind::Binary => target.binary(text.as_bytes()),
            },
            Command::Binary(bytes) => target.binary(&bytes),
            Command::File(kind, path) => target.file(kind, &path),
            Command::Ping(payload) => target.ping(payload),
            Command::Pong(payload) => target.pong(payload),
            Command::Close(code, reason) => target.close(code, reason),
            Command::To(client, text) => target.text_to(client, text),
            Command::Clients => target.list_clients(),
            Command::Help => {
                target.console().print_always(PROMPT);
                Ok(())
            }
            Command::Wrong(why) => Err(Failure::Usage(why)),
        };
        match done {
            Err(Failure::WebSocket(Error::Closed(info))) => Err(Failure::WebSocket(Error::Closed(info))),
            Err(failure) => {
                target.console().print_failure(&failure);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// The file of the history in the XDG state folder, which is made if it is not there.
fn default_history() -> Result<PathBuf, Failure> {
    let state = match env::var_os("XDG_STATE_HOME").map(PathBuf::from) {
        Some(path) if path.is_absolute() => path,
        _ => env::home_dir()
            .map(|home| home.join(".local").join("state"))
            .ok_or_else(|| Failure::Usage("--history needs a file, as there is no home directory".to_owned()))?,
    };
    let folder = state.join("wsdump");
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(&folder).map_err(|error| Failure::local(folder.display(), error))?;
    Ok(folder.join("history"))
}

/// Makes a file that nobody else may read, unless it is there.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(path).map(drop)
}

fn no_prompt(error: ReadlineError) -> Failure {
    Failure::local("the prompt", error)
}

/// What a line at the prompt asks for.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Command<'a> {
    Text(&'a str),
    Binary(Vec<u8>),
    File(MessageKind, PathBuf),
    Ping(&'a str),
    Pong(&'a str),
    Close(CloseCode, &'a str),
    /// Of a server: a text for the client with this number.
    To(u64, &'a str),
    /// Of a server.
    Clients,
    Help,
    /// It cannot be meant: why.
    Wrong(String),
}

impl<'a> Command<'a> {
    /// A line that begins with a slash is a command, with two a text that begins with one.
    pub(crate) fn parse(line: &'a str) -> Self {
        let Some(command) = line.strip_prefix('/') else { return Self::Text(line) };
        if command.starts_with('/') {
            return Self::Text(command);
        }
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim_start();
        match (name, rest.strip_prefix('@')) {
            ("text", Some(path)) => Self::File(MessageKind::Text, path.into()),
            ("text", None) => Self::Text(rest),
            ("binary", Some(path)) => Self::File(MessageKind::Binary, path.into()),
            ("binary", None) => match parse_hex(rest) {
                Some(bytes) => Self::Binary(bytes),
                None => Self::Wrong("/binary takes @FILE or pairs of hexadecimal digits".to_owned()),
            },
            ("ping", _) => Self::Ping(rest),
            ("pong", _) => Self::Pong(rest),
            ("close", _) => Self::close(rest),
            ("to", _) => Self::to(rest),
            ("clients", _) => Self::Clients,
            ("help", _) => Self::Help,
            _ => Self::Wrong(format!(
                "there is no /{name}; /help lists what there is, and // begins a text with a slash"
            )),
        }
    }

    fn to(rest: &'a str) -> Self {
        let (client, text) = rest.split_once(' ').unwrap_or((rest, ""));
        match client.parse() {
            Ok(client) => Self::To(client, text),
            Err(_) => Self::Wrong("/to takes the number of a client and a text, such as /to 1 hello".to_owned()),
        }
    }

    fn close(rest: &'a str) -> Self {
        if rest.is_empty() {
            return Self::Close(CloseCode::NORMAL, "");
        }
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        match code.parse() {
            Ok(code) => Self::Close(CloseCode(code), reason.trim()),
            Err(_) => Self::Wrong("/close takes a code and a reason, such as /close 1000 bye".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_and_commands() {
        let table = [
            ("hello", Command::Text("hello")),
            ("", Command::Text("")),
            (" /ping", Command::Text(" /ping")),
            ("//etc/hosts", Command::Text("/etc/hosts")),
            ("/text  /ping", Command::Text("/ping")),
            ("/text @a b", Command::File(MessageKind::Text, "a b".into())),
            ("/binary @photo.jpg", Command::File(MessageKind::Binary, "photo.jpg".into())),
            ("/binary 00 ff", Command::Binary(vec![0, 255])),
            ("/ping", Command::Ping("")),
            ("/ping are you there", Command::Ping("are you there")),
            ("/pong x", Command::Pong("x")),
            ("/close", Command::Close(CloseCode::NORMAL, "")),
            ("/close 4000", Command::Close(CloseCode(4000), "")),
            ("/close 1000 bye bye", Command::Close(CloseCode::NORMAL, "bye bye")),
            ("/to 2 a b", Command::To(2, "a b")),
            ("/clients", Command::Clients),
            ("/help", Command::Help),
        ];
        for (line, expected) in table {
            assert_eq!(Command::parse(line), expected, "{line:?}");
        }
        for line in ["/", "/pin", "/to x y", "/close now", "/close 99999", "/binary photo.jpg", "/binary 123"] {
            assert!(matches!(Command::parse(line), Command::Wrong(_)), "{line}");
        }
    }
}
