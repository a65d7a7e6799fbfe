//! A prompt with a history, above which things can be shown while a line is typed.

use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use websocket_sync::{Error, MessageKind};

use crate::arguments::{Arguments, PROMPT};
use crate::command::Command;
use crate::failure::Failure;
use crate::input::Speaker;
use crate::signals;
use crate::terminal;

/// A prompt.
pub(crate) struct Prompt {
    /// Where lines are kept from one time to the next.
    history: Option<PathBuf>,
    /// What a line is sent as.
    kind: MessageKind,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    /// With Ctrl-D.
    Input,
    /// With Ctrl-C.
    Interrupted,
}

impl Prompt {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let kind = if arguments.binary { MessageKind::Binary } else { MessageKind::Text };
        Self { history: arguments.history.clone(), kind }
    }

    /// Sends what is typed, until Ctrl-D or Ctrl-C.
    ///
    /// # Errors
    ///
    /// What the terminal or the file of the history fails with. What goes wrong with a single line is shown.
    pub(crate) fn run(self, speaker: &Speaker) -> Result<Ended, Failure> {
        terminal::remember();
        let ended = self.read_lines(speaker);
        // The editor is gone, and with it what showed lines above it.
        speaker.console.detach();
        terminal::restore();
        ended
    }

    fn read_lines(&self, speaker: &Speaker) -> Result<Ended, Failure> {
        let config = Config::builder().auto_add_history(true).build();
        let mut editor: Editor<(), FileHistory> = Editor::with_config(config).map_err(no_prompt)?;
        if let Some(path) = self.history.as_deref().filter(|path| path.exists()) {
            editor.load_history(path).map_err(|error| Failure::local(path.display(), error))?;
        }
        speaker.console.attach(Box::new(editor.create_external_printer().map_err(no_prompt)?));
        loop {
            match editor.readline("> ") {
                Ok(line) => {
                    self.remember(&mut editor)?;
                    self.obey(&line, speaker)?;
                }
                Err(ReadlineError::Eof) => return Ok(Ended::Input),
                Err(ReadlineError::Interrupted) => {
                    signals::note();
                    return Ok(Ended::Interrupted);
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
    fn obey(&self, line: &str, speaker: &Speaker) -> Result<(), Failure> {
        let done = match Command::parse(line) {
            Command::Text(text) => match self.kind {
                MessageKind::Text => speaker.text(text),
                MessageKind::Binary => speaker.binary(text.as_bytes()),
            },
            Command::Binary(bytes) => speaker.binary(&bytes),
            Command::File(kind, path) => speaker.file(kind, &path),
            Command::Ping(payload) => speaker.ping(payload),
            Command::Pong(payload) => speaker.pong(payload),
            Command::Close(code, reason) => speaker.close(code, reason),
            Command::Help => {
                speaker.console.insist(PROMPT);
                Ok(())
            }
            Command::Wrong(why) => Err(Failure::Usage(why)),
        };
        match done {
            Err(Failure::WebSocket(Error::Closed(info))) => Err(Failure::WebSocket(Error::Closed(info))),
            Err(failure) => {
                speaker.console.insist(&failure);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

fn no_prompt(error: ReadlineError) -> Failure {
    Failure::local("the prompt", error)
}
