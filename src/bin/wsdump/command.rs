//! What a line at the prompt asks for.

use std::path::PathBuf;

use websocket_sync::{CloseCode, MessageKind};

use crate::hex;

/// What a line at the prompt asks for.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Command<'a> {
    Text(&'a str),
    Binary(Vec<u8>),
    File(MessageKind, PathBuf),
    Ping(&'a str),
    Pong(&'a str),
    Close(CloseCode, &'a str),
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
            ("binary", None) => match hex::parse(rest) {
                Some(bytes) => Self::Binary(bytes),
                None => Self::Wrong("/binary takes @FILE or pairs of hexadecimal digits".to_owned()),
            },
            ("ping", _) => Self::Ping(rest),
            ("pong", _) => Self::Pong(rest),
            ("close", _) => Self::close(rest),
            ("help", _) => Self::Help,
            _ => Self::Wrong(format!(
                "there is no /{name}; /help lists what there is, and // begins a text with a slash"
            )),
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
            ("/help", Command::Help),
        ];
        for (line, expected) in table {
            assert_eq!(Command::parse(line), expected, "{line:?}");
        }
        for line in ["/", "/pin", "/close now", "/close 99999", "/binary photo.jpg", "/binary 123"] {
            assert!(matches!(Command::parse(line), Command::Wrong(_)), "{line}");
        }
    }
}
