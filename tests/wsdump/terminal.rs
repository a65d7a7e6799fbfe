//! Programs on a pseudo-terminal: what is typed, and what is to be seen.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::shell::command;

/// The program on a terminal.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    pub(crate) ours: File,
    pub(crate) pieces: Receiver<Vec<u8>>,
    /// What was not looked for yet.
    seen: String,
    /// Everything.
    pub(crate) all: String,
    /// How much there was when the last line was typed.
    typed_at: usize,
    pub(crate) theirs: OwnedFd,
}

impl Terminal {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        Self::with(arguments, |_| {})
    }

    pub(crate) fn with(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let mut command = command(arguments);
        command.env("TERM", "xterm");
        change(&mut command);
        Self::running(command)
    }

    /// Any program on a terminal.
    pub(crate) fn running(mut command: Command) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs: OwnedFd = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap().into();
        let stdio = || Stdio::from(theirs.try_clone().unwrap());
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        let child = command.spawn().unwrap();
        let ours = File::from(ours);
        let mut reader = ours.try_clone().unwrap();
        let (sender, pieces) = mpsc::channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut piece) {
                if sender.send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, ours, pieces, seen: String::new(), all: String::new(), typed_at: 0, theirs }
    }

    /// Types when the prompt listens: what is typed before is edited by the terminal itself.
    #[track_caller]
    pub(crate) fn type_in(&mut self, keys: &str) {
        // A prompt turns bracketed paste on, and off when it has a line.
        while self.all.rfind("\x1b[?2004h")
            <= self.all.rfind("\x1b[?2004l").max(self.all[..self.typed_at].rfind("\x1b[?2004h"))
        {
            self.read("a prompt");
        }
        self.typed_at = if keys.ends_with('\r') { self.all.len() } else { 0 };
        self.ours.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is to be seen, and forgets what is in front of it and itself.
    #[track_caller]
    pub(crate) fn see(&mut self, expected: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(expected) {
                let before = self.seen[..at].to_owned();
                self.seen.drain(..at + expected.len());
                return before;
            }
            self.read(expected);
        }
    }

    /// Reads a piece of what is shown.
    #[track_caller]
    pub(crate) fn read(&mut self, expected: &str) {
        match self.pieces.recv_timeout(Duration::from_secs(20)) {
            Ok(piece) => {
                let piece = String::from_utf8_lossy(&piece);
                self.seen.push_str(&piece);
                self.all.push_str(&piece);
            }
            Err(_) => panic!("not seen: {expected:?}; but {:?}", self.seen),
        }
    }

    /// Waits for the end; the terminal is then as it was.
    #[track_caller]
    pub(crate) fn end(mut self) -> i32 {
        let code = self.child.wait().unwrap().code().unwrap();
        let modes = tcgetattr(&self.theirs).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO), "left raw: {modes:?}");
        code
    }
}
