//! The other end: a server for tests that sends back what it gets, passes it on, or plays a recording.

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use websocket_sync::{CloseCode, ConnectOptions, Error, MessageRef, Opcode, Sender, WebSocket};

use crate::arguments::Arguments;
use crate::connect;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, describe};
use crate::record::{Recorder, Side};
use crate::replay::Replay;
use crate::signals;

/// How many clients there may be at once.
const MOST: usize = 1024;
/// How long clients have to answer the last Close.
const PATIENCE: Duration = Duration::from_secs(3);

/// A server.
struct Server {
    options: ConnectOptions,
    part: Part,
    console: Console,
    shows: Shows,
    recorder: Option<Recorder>,
    clients: Mutex<HashMap<u64, Sender>>,
    /// How many messages are still wanted, if there is an end to that.
    wanted: Option<AtomicU64>,
    end: SyncSender<()>,
}

/// What it does.
enum Part {
    Echo,
    Broadcast,
    Replay(PathBuf),
}

/// Whether messages are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shows {
    Everything,
    Nothing,
}

/// Serves until Ctrl-C, or until `--max-messages` have come.
///
/// # Errors
///
/// An address that cannot be listened on; a file that cannot be made or read.
pub(crate) fn serve(address: &str, arguments: &Arguments, console: &Console) -> Result<Exit, Failure> {
    let part = match &arguments.replay {
        Some(path) => {
            // Whether it is there is known before the first client comes.
            Replay::open(path, Side::Server)?;
            Part::Replay(path.clone())
        }
        None if arguments.broadcast => Part::Broadcast,
        None => Part::Echo,
    };
    let listener = TcpListener::bind(address).map_err(|error| Failure::local(address, error))?;
    let local = listener.local_addr().map_err(|error| Failure::local(address, error))?;
    let (end, ended) = mpsc::sync_channel(1);
    let asked = end.clone();
    // It may have been told already.
    signals::handle(move || {
        let _ = asked.try_send(());
    })?;
    let server = Arc::new(Server {
        options: connect::common(arguments).open_timeout(arguments.connect_timeout),
        part,
        console: console.clone(),
        shows: if arguments.verbose > 0 || arguments.json { Shows::Everything } else { Shows::Nothing },
        recorder: arguments.record.as_deref().map(Recorder::new).transpose()?,
        clients: Mutex::default(),
        wanted: arguments.max_messages.map(AtomicU64::new),
        end,
    });
    console.insist(format_args!("Listening on ws://{local}/"));
    let accepting = Arc::clone(&server);
    thread::spawn(move || accepting.accept_all(&listener));
    // There is a sender as long as there is a server.
    let _ = ended.recv();
    server.close_all();
    Ok(Exit::Success)
}

impl Server {
    fn accept_all(self: &Arc<Self>, listener: &TcpListener) {
        for (number, stream) in (0..).zip(listener.incoming()) {
            let server = Arc::clone(self);
            match stream {
                Ok(_) if self.clients().len() >= MOST => self.console.note("too many clients"),
                Ok(stream) => drop(thread::spawn(move || server.attend(number, stream))),
                // Such as no more file descriptors: some may be given back.
                Err(error) => {
                    self.console.note(error);
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    /// Serves a client until its end.
    fn attend(&self, number: u64, stream: TcpStream) {
        let who = stream.peer_addr().map_or_else(|_| format!("client {number}"), |address| address.to_string());
        let served = self.options.accept(stream).map_err(Failure::from).and_then(|ws| {
            self.console.note(format_args!("{who}: connected"));
            self.clients().insert(number, ws.sender());
            let served = self.talk(number, ws);
            self.clients().remove(&number);
            served
        });
        match served {
            Ok(()) => self.console.note(format_args!("{who}: served")),
            Err(Failure::WebSocket(error)) => self.console.note(format_args!("{who}: {}", describe(&error))),
            Err(failure) => self.console.note(format_args!("{who}: {failure}")),
        }
    }

    fn talk(&self, number: u64, mut ws: WebSocket) -> Result<(), Failure> {
        let sender = ws.sender();
        if let Part::Replay(path) = &self.part {
            let replay = Replay::open(path, Side::Server)?;
            let playing = sender.clone();
            // What the client says meanwhile is heard, its pings are answered.
            thread::spawn(move || {
                let played =
                    replay.play(|message| Ok(playing.send(message.as_bytes(), message.kind().into()).map(drop)?));
                let code = if played.is_ok() { CloseCode::NORMAL } else { CloseCode::INTERNAL_ERROR };
                // A client that is gone needs no Close.
                let _ = playing.send_close(code, "");
            });
        }
        loop {
            let message = ws.recv_ref()?;
            self.note(Side::Client, message)?;
            match self.part {
                Part::Echo => {
                    self.note_echo(message)?;
                    send(&sender, message)?;
                }
                Part::Broadcast => self.pass_on(number, message),
                Part::Replay(_) => {}
            }
            self.count();
        }
    }

    /// Sends to all others. One that does not keep up is left behind: nobody waits for it.
    fn pass_on(&self, from: u64, message: MessageRef<'_>) {
        for (_, client) in self.clients().iter().filter(|(number, _)| **number != from) {
            let sent = match message {
                MessageRef::Text(text) => client.try_send_text(text),
                MessageRef::Binary(bytes) => client.try_send_binary(bytes),
            };
            if let Err(Error::Full) = sent {
                client.abort();
            }
        }
    }

    /// Shows and records what a client has sent.
    fn note(&self, from: Side, message: MessageRef<'_>) -> Result<(), Failure> {
        self.record(from, message)?;
        if self.shows == Shows::Everything {
            let shown = self.console.frame(Opcode::from(message.kind()), message.as_bytes());
            shown.map_err(|error| Failure::local("output", error))?;
        }
        Ok(())
    }

    fn note_echo(&self, message: MessageRef<'_>) -> Result<(), Failure> {
        self.record(Side::Server, message)
    }

    fn record(&self, from: Side, message: MessageRef<'_>) -> Result<(), Failure> {
        let Some(recorder) = &self.recorder else { return Ok(()) };
        let kind = Opcode::from(message.kind()).to_string();
        recorder.message(from, &kind, message.as_bytes()).map_err(|error| Failure::local("recording", error))
    }

    /// Ends the server when all messages that are wanted have come.
    fn count(&self) {
        if self.wanted.as_ref().is_some_and(|wanted| wanted.fetch_sub(1, Ordering::Relaxed) == 1) {
            // Somebody else may have said so.
            let _ = self.end.try_send(());
        }
    }

    /// Tells all clients that the server goes away, and gives them time to answer.
    fn close_all(&self) {
        for client in self.clients().values() {
            // One that does not read is given up below.
            let _ = client.try_close(CloseCode::GOING_AWAY, "");
        }
        let until = Instant::now() + PATIENCE;
        while !self.clients().is_empty() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<u64, Sender>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send(sender: &Sender, message: MessageRef<'_>) -> Result<usize, Error> {
    match message {
        MessageRef::Text(text) => sender.send_text(text),
        MessageRef::Binary(bytes) => sender.send_binary(bytes),
    }
}
