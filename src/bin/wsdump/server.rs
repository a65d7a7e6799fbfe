//! `--listen`: a server for tests that sends back what it gets, passes it on to the other clients or to another server, or
//! replays a recording.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use websocket_sync::{CloseCode, ConnectOptions, Error, MessageKind, MessageRef, Opcode, Sender, Transport, WebSocket};

use crate::arguments::Arguments;
use crate::connect;
use crate::console::Console;
use crate::ending::{Exit, Failure, describe, on_signal};
use crate::input::read_bounded;
use crate::listener::Listener;
use crate::output::is_foreground;
use crate::prompt::{Prompt, PromptTarget};
use crate::proxy::Upstream;
use crate::recording::{Recorder, Replay, Side};

/// How many clients there may be at once.
const MAX_CLIENTS: usize = 1024;
/// How long clients have to answer the last Close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// A server.
struct Server {
    options: ConnectOptions,
    mode: ServerMode,
    console: Console,
    shows: Shows,
    recorder: Option<Recorder>,
    /// How many there are, from the moment when they connect.
    connections: AtomicUsize,
    /// Those whose opening handshake is done.
    clients: Mutex<HashMap<u64, Client>>,
    /// How many messages are still wanted, if there is an end to that.
    wanted: Option<AtomicU64>,
    end: SyncSender<()>,
}

/// A client that is served.
struct Client {
    name: String,
    sender: Sender,
}

/// A client that counts, as long as this lives.
struct Counted(Arc<Server>);

impl Counted {
    fn new(server: Arc<Server>) -> Self {
        server.connections.fetch_add(1, Ordering::AcqRel);
        Self(server)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What it does.
enum ServerMode {
    Echo,
    Broadcast,
    Replay(PathBuf),
    Proxy(Box<Upstream>),
}

impl ServerMode {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        if let Some(path) = &arguments.replay {
            // Whether it is there is known before the first client comes.
            Replay::open(path, Side::Server)?;
            return Ok(Self::Replay(path.clone()));
        }
        if arguments.proxy_to.is_some() {
            return Ok(Self::Proxy(Box::new(Upstream::new(arguments)?)));
        }
        Ok(if arguments.broadcast { Self::Broadcast } else { Self::Echo })
    }
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
    let mode = ServerMode::new(arguments)?;
    let options = server_options(arguments)?;
    let listener = Listener::bind(address).map_err(|error| Failure::local(address, error))?;
    let _socket_file = listener.socket_file();
    let scheme = if arguments.cert.is_some() { "wss" } else { "ws" };
    let url = listener.url(scheme).map_err(|error| Failure::local(address, error))?;
    let (end, ended) = mpsc::sync_channel(1);
    let asked = end.clone();
    // It may have been told already.
    on_signal(move || {
        let _ = asked.try_send(());
    })?;
    let has_prompt =
        console.has_prompt() && matches!(mode, ServerMode::Echo | ServerMode::Broadcast) && is_foreground();
    let server = Arc::new(Server {
        options,
        mode,
        console: console.clone(),
        shows: if arguments.verbose > 0 || arguments.json || arguments.output.is_some() || has_prompt {
            Shows::Everything
        } else {
            Shows::Nothing
        },
        recorder: arguments.record.as_deref().map(Recorder::new).transpose()?,
        connections: AtomicUsize::new(0),
        clients: Mutex::default(),
        wanted: arguments.max_messages.map(AtomicU64::new),
        end,
    });
    console.print_always(format_args!("Listening on {url}"));
    if arguments.max_messages == Some(0) {
        return Ok(Exit::Success);
    }
    let accepting = Arc::clone(&server);
    thread::spawn(move || accepting.accept_all(&listener));
    if has_prompt {
        start_prompt(&server, Prompt::new(arguments)?);
    }
    let ended = match arguments.max_time {
        Some(limit) => ended.recv_timeout(limit),
        None => ended.recv().map_err(RecvTimeoutError::from),
    };
    server.close_all();
    match ended {
        // There is a sender as long as there is a server.
        Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(Exit::Success),
        Err(RecvTimeoutError::Timeout) => Err(Failure::TimeLimit),
    }
}

fn server_options(arguments: &Arguments) -> Result<ConnectOptions, Failure> {
    let options = connect::common(arguments)
        .open_timeout(arguments.connect_timeout)
        // What a broadcast queues for a client has room for the largest message that may come.
        .max_unsent(arguments.max_message_size.saturating_add(1 << 20));
    Ok(match connect::server_tls(arguments)? {
        Some(tls) => options.tls(tls),
        None => options,
    })
}

/// The end of the prompt, by Ctrl-C or Ctrl-D, is that of the server.
fn start_prompt(server: &Arc<Server>, prompt: Prompt) {
    let target = ServerPrompt(Arc::clone(server));
    thread::spawn(move || {
        if let Err(failure) = prompt.run(&target) {
            target.0.console.print_failure(&failure);
        }
        // It may have been told already.
        let _ = target.0.end.try_send(());
    });
}

impl Server {
    fn accept_all(self: &Arc<Self>, listener: &Listener) {
        for number in 1.. {
            let server = Arc::clone(self);
            match listener.accept() {
                Ok(_) if self.connections.load(Ordering::Acquire) >= MAX_CLIENTS => {
                    self.console.print_note("too many clients");
                }
                Ok((stream, address)) => {
                    let name = match address {
                        Some(address) => format!("client {number} ({address})"),
                        None => format!("client {number}"),
                    };
                    let counted = Counted::new(server);
                    let started = thread::Builder::new().spawn(move || counted.0.serve_client(number, name, stream));
                    if let Err(error) = started {
                        self.console.print_note(format_args!("a client is turned away: {error}"));
                    }
                }
                // Such as no more file descriptors: some may be given back.
                Err(error) => {
                    self.console.print_note(error);
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    /// Serves a client until its end.
    fn serve_client(&self, number: u64, who: String, stream: Box<dyn Transport>) {
        let served = match &self.mode {
            ServerMode::Proxy(upstream) => self.serve_through(upstream, number, &who, stream),
            ServerMode::Echo | ServerMode::Broadcast | ServerMode::Replay(_) => self.serve_here(number, &who, stream),
        };
        self.clients().remove(&number);
        match served {
            Ok(()) => self.console.print_note(format_args!("{who}: served")),
            Err(Failure::WebSocket(error)) => self.console.print_note(format_args!("{who}: {}", describe(&error))),
            Err(failure) => self.console.print_note(format_args!("{who}: {failure}")),
        }
    }

    fn serve_here(&self, number: u64, who: &str, stream: Box<dyn Transport>) -> Result<(), Failure> {
        let ws = self.options.accept(stream)?;
        self.enter(number, who, &ws);
        self.console.print_note(format_args!("{who}: connected"));
        self.run_session(number, ws)
    }

    fn serve_through(
        &self,
        upstream: &Upstream,
        number: u64,
        who: &str,
        stream: Box<dyn Transport>,
    ) -> Result<(), Failure> {
        let joined = upstream.open(self.options.read_request(stream)?)?;
        self.enter(number, who, &joined.client);
        let url = joined.server.url().unwrap_or("the server");
        self.console.print_note(format_args!("{who}: connected to {url}"));
        joined.relay(|from, message, to| self.pass(number, from, message, to))
    }

    /// The opening handshake with a client is done.
    fn enter(&self, number: u64, who: &str, ws: &WebSocket) {
        if let Some(recorder) = &self.recorder {
            recorder.begin();
        }
        self.clients().insert(number, Client { name: who.to_owned(), sender: ws.sender() });
    }

    /// Passes a message from a client to its server, or back.
    fn pass(&self, client: u64, from: Side, message: MessageRef<'_>, to: &Sender) -> Result<(), Failure> {
        self.record(from, message)?;
        let shown = self.console.passed(client, from, Opcode::from(message.kind()), message.as_bytes());
        shown.map_err(|error| Failure::local("output", error))?;
        send(to, message)?;
        self.count();
        Ok(())
    }

    fn run_session(&self, number: u64, mut ws: WebSocket) -> Result<(), Failure> {
        let sender = ws.sender();
        if let ServerMode::Replay(path) = &self.mode {
            self.start_replay(path, sender.clone())?;
        }
        loop {
            let message = ws.recv_ref()?;
            self.show(number, message)?;
            match self.mode {
                ServerMode::Echo => {
                    self.record(Side::Server, message)?;
                    send(&sender, message)?;
                }
                ServerMode::Broadcast => {
                    self.record(Side::Server, message)?;
                    self.broadcast(number, message);
                }
                ServerMode::Replay(_) | ServerMode::Proxy(_) => {}
            }
            self.count();
        }
    }

    /// Plays a recording on a thread of its own: what the client says meanwhile is heard, its pings are answered.
    fn start_replay(&self, path: &Path, sender: Sender) -> Result<(), Failure> {
        let replay = Replay::open(path, Side::Server)?;
        let recorder = self.recorder.clone();
        let play = move || {
            let is_heard = || sender.connected();
            let played = replay.play(is_heard, |message| {
                record(recorder.as_ref(), Side::Server, message.as_ref())?;
                Ok(sender.send(message.as_bytes(), message.kind().into()).map(drop)?)
            });
            let code = if played.is_ok() { CloseCode::NORMAL } else { CloseCode::INTERNAL_ERROR };
            // A client that is gone needs no Close.
            let _ = sender.send_close(code, "");
        };
        let started = thread::Builder::new().spawn(play);
        started.map(drop).map_err(|error| Failure::local("a thread", error))
    }

    /// Sends to all others.
    fn broadcast(&self, from: u64, message: MessageRef<'_>) {
        for (_, client) in self.clients().iter().filter(|(number, _)| **number != from) {
            self.send_at_once(client, message);
        }
    }

    /// One that does not keep up is left behind: nobody waits for it.
    fn send_at_once(&self, client: &Client, message: MessageRef<'_>) {
        let sent = match message {
            MessageRef::Text(text) => client.sender.try_send_text(text),
            MessageRef::Binary(bytes) => client.sender.try_send_binary(bytes),
        };
        match sent {
            // One that is gone is told of by its own thread.
            Ok(_) | Err(Error::Closed(_)) => return,
            Err(Error::Full) => {
                self.console.print_always(format_args!("{}: does not keep up, and is left behind", client.name));
            }
            Err(error) => self.console.print_always(format_args!("{}: {}", client.name, describe(&error))),
        }
        client.sender.abort();
    }

    /// Shows and records what a client has sent.
    fn show(&self, from: u64, message: MessageRef<'_>) -> Result<(), Failure> {
        self.record(Side::Client, message)?;
        if self.shows == Shows::Everything {
            let shown = self.console.frame_from(from, Opcode::from(message.kind()), message.as_bytes());
            shown.map_err(|error| Failure::local("output", error))?;
        }
        Ok(())
    }

    fn record(&self, from: Side, message: MessageRef<'_>) -> Result<(), Failure> {
        record(self.recorder.as_ref(), from, message)
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
        for Client { sender, .. } in self.clients().values() {
            // One that does not read is given up below.
            let _ = sender.try_close(CloseCode::GOING_AWAY, "");
        }
        let until = Instant::now() + CLOSE_TIMEOUT;
        while !self.clients().is_empty() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<u64, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record(recorder: Option<&Recorder>, from: Side, message: MessageRef<'_>) -> Result<(), Failure> {
    let Some(recorder) = recorder else { return Ok(()) };
    let kind = Opcode::from(message.kind()).to_string();
    recorder.message(from, &kind, message.as_bytes()).map_err(|error| Failure::local("recording", error))
}

fn send(sender: &Sender, message: MessageRef<'_>) -> Result<usize, Error> {
    match message {
        MessageRef::Text(text) => sender.send_text(text),
        MessageRef::Binary(bytes) => sender.send_binary(bytes),
    }
}

/// What is typed at a server goes to all clients, or to one.
struct ServerPrompt(Arc<Server>);

impl ServerPrompt {
    fn send_to_all(&self, message: MessageRef<'_>) -> Result<(), Failure> {
        self.0.record(Side::Server, message)?;
        for client in self.0.clients().values() {
            self.0.send_at_once(client, message);
        }
        Ok(())
    }

    /// Sends what is no message.
    fn each(&self, send: impl Fn(&Sender) -> websocket_sync::Result<()>) -> Result<(), Failure> {
        for client in self.0.clients().values() {
            match send(&client.sender) {
                // One that is gone or does not read hears nothing.
                Ok(()) | Err(Error::Closed(_) | Error::Full) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl PromptTarget for ServerPrompt {
    fn console(&self) -> &Console {
        &self.0.console
    }

    fn text(&self, text: &str) -> Result<(), Failure> {
        self.send_to_all(MessageRef::Text(text))
    }

    fn binary(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.send_to_all(MessageRef::Binary(bytes))
    }

    fn file(&self, kind: MessageKind, path: &Path) -> Result<(), Failure> {
        let bytes = File::open(path).and_then(|mut file| read_bounded(&mut file));
        let bytes = bytes.map_err(|error| Failure::local(path.display(), error))?;
        match kind {
            MessageKind::Binary => self.binary(&bytes),
            MessageKind::Text => match str::from_utf8(&bytes) {
                Ok(text) => self.text(text),
                Err(error) => Err(Failure::local(path.display(), error)),
            },
        }
    }

    fn ping(&self, payload: &str) -> Result<(), Failure> {
        self.each(|sender| sender.try_ping(payload))
    }

    fn pong(&self, payload: &str) -> Result<(), Failure> {
        self.each(|sender| sender.try_send(payload, Opcode::Pong).map(drop))
    }

    fn close(&self, code: CloseCode, reason: &str) -> Result<(), Failure> {
        self.each(|sender| sender.try_close(code, reason))
    }

    fn text_to(&self, number: u64, text: &str) -> Result<(), Failure> {
        let clients = self.0.clients();
        let Some(client) = clients.get(&number) else {
            return Err(Failure::Usage(format!("there is no client {number}; /clients lists them")));
        };
        self.0.record(Side::Server, MessageRef::Text(text))?;
        self.0.send_at_once(client, MessageRef::Text(text));
        Ok(())
    }

    fn list_clients(&self) -> Result<(), Failure> {
        let clients = self.0.clients();
        let mut numbers: Vec<_> = clients.iter().collect();
        numbers.sort_unstable_by_key(|(number, _)| **number);
        for (_, client) in numbers {
            self.0.console.print_always(&client.name);
        }
        Ok(())
    }
}
