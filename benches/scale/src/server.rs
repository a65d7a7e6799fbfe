//! The server: one thread, frames by hand, so that it is never what is measured.
//!
//! What it does with a connection depends on the path: `/now` is answered at once, `/delayed` after 100 ms, `/mute` never. Commands come
//! over a connection to another port: `tick` (a message each second to each), `quiet`, `flood N` (so many to each), `drop` (all), `count`.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener};
use std::process::exit;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, ServerConnection};
use socket2::{Domain, Socket, Type};
use websocket_sync::protocol::handshake::accept_for;

use crate::child::ServerFacts;
use crate::clients::ADDRESSES;
use crate::resources::{allow_many_descriptors, now_ns};
use crate::{Failure, cores};

const DELAY: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
/// How many bytes a message of a flood has.
const FLOOD: usize = 200;
const WAKER: Token = Token(usize::MAX);
const PLAIN: Token = Token(usize::MAX - 1);
const TLS: Token = Token(usize::MAX - 2);

/// A command, and where its answer goes.
type Command = (String, Sender<String>);

/// Serves until its standard input ends.
pub(crate) fn serve(core: &str) -> Result<(), Failure> {
    cores::stay_on(core);
    allow_many_descriptors();
    let (config, certificate) = issue()?;
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let [plain, tls] = [listen(any)?, listen(any)?];
    let control = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let refusing = bind(any)?;
    let (black_hole, _queue) = black_hole(any)?;
    let ports = [
        plain.local_addr()?.port(),
        tls.local_addr()?.port(),
        port_of(&refusing)?,
        port_of(&black_hole)?,
        control.local_addr()?.port(),
    ];
    let mut server = Server::new(plain, tls, config)?;
    let waker = server.waker()?;
    let (send, commands) = mpsc::channel();
    thread::spawn(move || take_commands(&control, &send, &waker));
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        exit(0);
    });
    println!("{}", ServerFacts::new(ports, certificate).to_words());
    server.run(&commands)
}

fn take_commands(control: &TcpListener, commands: &Sender<Command>, waker: &Waker) {
    for stream in control.incoming().flatten() {
        let mut line = String::new();
        let (answer, answered) = mpsc::channel();
        if BufReader::new(&stream).read_line(&mut line).is_ok() {
            let _ = commands.send((line.trim_end().to_owned(), answer));
            let _ = waker.wake();
            if let Ok(answer) = answered.recv() {
                let _ = writeln!(&stream, "{answer}");
            }
        }
    }
}

/// A certificate that vouches for itself. There are no tickets: each handshake is a full one.
fn issue() -> Result<(Arc<ServerConfig>, String), Failure> {
    let names: Vec<String> = (1..=ADDRESSES).map(|address| format!("127.0.0.{address}")).collect();
    let issued = rcgen::generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(issued.cert.der().to_vec())], key)?;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok((Arc::new(config), issued.cert.pem()))
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(address)?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn port_of(socket: &Socket) -> Result<u16, Failure> {
    Ok(socket.local_addr()?.as_socket().ok_or("no address")?.port())
}

/// A listener whose queue is full, and what fills it.
fn black_hole(address: SocketAddr) -> Result<(Socket, Vec<Socket>), Failure> {
    let listener = bind(address)?;
    listener.listen(0)?;
    let there = SocketAddr::from((Ipv4Addr::LOCALHOST, port_of(&listener)?));
    let mut queue = Vec::new();
    loop {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        let connected = socket.connect_timeout(&there.into(), Duration::from_millis(100));
        queue.push(socket);
        if connected.is_err() {
            return Ok((listener, queue));
        }
    }
}

struct Server {
    poll: Poll,
    plain: mio::net::TcpListener,
    tls: mio::net::TcpListener,
    config: Arc<ServerConfig>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// The openings that are answered later, in their order.
    delayed: VecDeque<(Instant, usize)>,
    ticks: Option<Ticks>,
}

/// Each connection has a message a second; they are spread over it.
#[derive(Clone, Copy, Debug)]
struct Ticks {
    start: Instant,
    /// How many turns are over, of which each connection has one in a second.
    done: usize,
}

impl Server {
    fn new(plain: TcpListener, tls: TcpListener, config: Arc<ServerConfig>) -> Result<Self, Failure> {
        let poll = Poll::new()?;
        let [mut plain, mut tls] = [plain, tls].map(mio::net::TcpListener::from_std);
        poll.registry().register(&mut plain, PLAIN, Interest::READABLE)?;
        poll.registry().register(&mut tls, TLS, Interest::READABLE)?;
        let (connections, free) = (Vec::new(), Vec::new());
        Ok(Self { poll, plain, tls, config, connections, free, delayed: VecDeque::new(), ticks: None })
    }

    fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKER)
    }

    fn run(&mut self, commands: &Receiver<Command>) -> Result<(), Failure> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, self.wait()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    PLAIN | TLS => self.accept(event.token())?,
                    Token(number) => self.advance(number, Connection::transfer),
                }
            }
            self.answer_delayed();
            self.tick();
            while let Ok((command, answer)) = commands.try_recv() {
                let _ = answer.send(self.obey(&command)?);
            }
        }
    }

    fn wait(&self) -> Option<Duration> {
        if self.ticks.is_some() {
            return Some(Duration::from_millis(1));
        }
        self.delayed.front().map(|(due, _)| due.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
    }

    fn obey(&mut self, command: &str) -> Result<String, Failure> {
        match command.split_once(' ').unwrap_or((command, "")) {
            ("count", _) => return Ok((self.connections.len() - self.free.len()).to_string()),
            ("tick", _) => self.ticks = Some(Ticks { start: Instant::now(), done: 0 }),
            ("quiet", _) => self.ticks = None,
            ("flood", messages) => {
                let flood = frame(0x81, &[b'x'; FLOOD]).repeat(messages.parse()?);
                self.each(|connection| connection.send(&flood));
            }
            ("drop", _) => self.each(|_| Step::Over),
            _ => return Err(format!("no command: {command}").into()),
        }
        Ok("done".to_owned())
    }

    fn each(&mut self, action: impl Fn(&mut Connection) -> Step) {
        (0..self.connections.len()).for_each(|number| self.advance(number, &action));
    }

    fn accept(&mut self, token: Token) -> Result<(), Failure> {
        loop {
            let listener = if token == PLAIN { &self.plain } else { &self.tls };
            let mut socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error.into()),
            };
            let number = self.free.pop().unwrap_or(self.connections.len());
            if number == self.connections.len() {
                self.connections.push(None);
            }
            socket.set_nodelay(true)?;
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(number), both)?;
            let tls =
                if token == TLS { Some(Box::new(ServerConnection::new(Arc::clone(&self.config))?)) } else { None };
            self.connections[number] = Some(Connection::new(socket, tls));
        }
    }

    fn advance(&mut self, number: usize, action: impl FnOnce(&mut Connection) -> Step) {
        let Some(Some(connection)) = self.connections.get_mut(number) else { return };
        match action(connection) {
            Step::GoOn => {}
            Step::AnswerLater => self.delayed.push_back((Instant::now() + DELAY, number)),
            Step::Over => {
                self.connections[number] = None;
                self.free.push(number);
            }
        }
    }

    fn answer_delayed(&mut self) {
        while let Some(&(due, number)) = self.delayed.front()
            && due <= Instant::now()
        {
            self.delayed.pop_front();
            self.advance(number, Connection::answer);
        }
    }

    /// The messages that are due: connection `n` of `m` at `n / m` of each second.
    fn tick(&mut self) {
        let Some(Ticks { start, done }) = self.ticks else { return };
        let total = self.connections.len();
        let due = (start.elapsed().as_secs_f64() / SECOND.as_secs_f64() * total as f64) as usize;
        for turn in done..due {
            self.advance(turn % total, |connection| match connection.phase {
                Phase::Open => connection.send(&frame(0x82, &now_ns().to_be_bytes())),
                Phase::Opening | Phase::Mute | Phase::Closing => Step::GoOn,
            });
        }
        self.ticks = Some(Ticks { start, done: due });
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Opening,
    /// It is never answered.
    Mute,
    Open,
    /// The closing handshake was made.
    Closing,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    GoOn,
    /// [`Connection::answer`] is to be called later.
    AnswerLater,
    Over,
}

struct Connection {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    phase: Phase,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    written: usize,
    /// The answer to the opening handshake.
    answer: Vec<u8>,
}

impl Connection {
    fn new(socket: TcpStream, tls: Option<Box<ServerConnection>>) -> Self {
        let (incoming, outgoing, answer) = (Vec::new(), Vec::new(), Vec::new());
        Self { socket, tls, phase: Phase::Opening, incoming, outgoing, written: 0, answer }
    }

    /// Reads and writes what can be read and written.
    fn transfer(&mut self) -> Step {
        match self.read() {
            Step::GoOn => self.write(),
            other => other,
        }
    }

    fn read(&mut self) -> Step {
        let mut buffer = [0; 4096];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Step::Over,
                Ok(length) => {
                    if self.take(&buffer[..length]).is_err() {
                        return Step::Over;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Step::Over,
            }
        }
        match self.phase {
            Phase::Opening => self.hear_head(),
            Phase::Open => self.hear_frames(),
            Phase::Mute | Phase::Closing => Step::GoOn,
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        let Some(tls) = &mut self.tls else {
            self.incoming.extend_from_slice(bytes);
            return Ok(());
        };
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes)?;
            let state = tls.process_new_packets()?;
            let start = self.incoming.len();
            self.incoming.resize(start + state.plaintext_bytes_to_read(), 0);
            tls.reader().read_exact(&mut self.incoming[start..])?;
        }
        Ok(())
    }

    fn hear_head(&mut self) -> Step {
        if !self.incoming.ends_with(b"\r\n\r\n") {
            return Step::GoOn;
        }
        let head = String::from_utf8(std::mem::take(&mut self.incoming)).unwrap_or_default();
        let key = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.to_owned())
        };
        let Some(key) = head.lines().find_map(key) else { return Step::Over };
        self.answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            accept_for(&key)
        )
        .into_bytes();
        match head.split(' ').nth(1) {
            Some("/delayed") => Step::AnswerLater,
            Some("/mute") => {
                self.phase = Phase::Mute;
                Step::GoOn
            }
            _ => self.answer(),
        }
    }

    fn answer(&mut self) -> Step {
        if self.phase != Phase::Opening || self.answer.is_empty() {
            // The slot is another one's.
            return Step::GoOn;
        }
        self.phase = Phase::Open;
        let answer = std::mem::take(&mut self.answer);
        self.send(&answer)
    }

    /// Control frames are answered; there is nothing else.
    fn hear_frames(&mut self) -> Step {
        let mut answers = Vec::new();
        while let Some((first, payload)) = next_frame(&mut self.incoming) {
            match first & 0x0F {
                8 => {
                    self.phase = Phase::Closing;
                    answers.extend(frame(0x88, &payload));
                }
                9 => answers.extend(frame(0x8A, &payload)),
                _ => {}
            }
        }
        if answers.is_empty() { Step::GoOn } else { self.send(&answers) }
    }

    fn send(&mut self, bytes: &[u8]) -> Step {
        match &mut self.tls {
            Some(tls) => {
                if tls.writer().write_all(bytes).is_err() {
                    return Step::Over;
                }
            }
            None => self.outgoing.extend_from_slice(bytes),
        }
        self.write()
    }

    fn write(&mut self) -> Step {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                // A vector takes everything.
                if tls.write_tls(&mut self.outgoing).is_err() {
                    return Step::Over;
                }
            }
        }
        while self.written < self.outgoing.len() {
            match self.socket.write(&self.outgoing[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::GoOn,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Step::Over,
            }
        }
        (self.outgoing, self.written) = (Vec::new(), 0);
        if self.phase == Phase::Closing {
            // The other side ends it.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        Step::GoOn
    }
}

/// Takes the first frame of a client, if it is all there: its first byte, and its payload, which is short.
fn next_frame(bytes: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let length = usize::from(second & 0x7F);
    assert!(length < 126 && second & 0x80 != 0, "clients send control frames only");
    let key: [u8; 4] = *bytes.get(2..)?.first_chunk()?;
    let payload = bytes.get(6..6 + length)?.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    bytes.drain(..6 + length);
    Some((first, payload))
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..126) => bytes.push(length),
        _ => {
            bytes.push(126);
            bytes.extend(u16::try_from(payload.len()).expect("messages are short").to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}
