//! The other end: one thread without a WebSocket library, the same for both clients, that does as little as it can.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use native_tls::{TlsAcceptor, TlsStream};
use tungstenite::handshake::derive_accept_key;

use crate::clients::widen;
use crate::cores::stay_on;

/// What is written at a time.
const WRITE: usize = 64 * 1024;

/// A peer that gets stuck ends the comparison, it does not hang it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server thread, from the side of the client.
pub(crate) struct Server {
    url: String,
    jobs: Sender<Job>,
    done: Receiver<()>,
}

/// What the server can do for a client. Connections are numbered in the order in which they were accepted.
enum Job {
    Accept,
    /// Writes the bytes in pieces of this length at most.
    Feed {
        connection: usize,
        bytes: Arc<[u8]>,
        piece: usize,
    },
    /// Reads so many bytes, and lets them fall.
    Drain {
        connection: usize,
        bytes: usize,
    },
    /// Reads a request of so many bytes and writes the reply, so many `times`.
    Answer {
        connection: usize,
        request: usize,
        reply: Arc<[u8]>,
        times: usize,
    },
    /// Lets go of all connections.
    Forget,
}

/// How the server speaks.
#[derive(Clone)]
pub(crate) enum Speech {
    Plain,
    /// With a record of its own for each piece that is written.
    Tls(TlsAcceptor),
}

impl Server {
    /// Starts a server on a core of its own, if one was given.
    pub(crate) fn start(speech: Speech, core: Option<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if matches!(speech, Speech::Plain) { "ws" } else { "wss" };
        let url = format!("{scheme}://{address}/");
        let (jobs, work) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        // A name by which a profiler can tell it from the clients.
        let serve_all = move || {
            if let Some(core) = core {
                stay_on(core);
            }
            let mut connections = Vec::new();
            for job in work {
                // A client that has gone is one that knows enough.
                let _ = serve(job, &listener, &speech, &mut connections);
                if finished.send(()).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("server".to_owned()).spawn(serve_all).unwrap();
        Self { url, jobs, done }
    }

    /// Lets a client connect; its connection has the next number.
    pub(crate) fn accept<C>(&self, connect: impl FnOnce(&str) -> C) -> C {
        self.begin(Job::Accept);
        let client = connect(&self.url);
        self.finish();
        client
    }

    pub(crate) fn feed(&self, connection: usize, bytes: &Arc<[u8]>, piece: usize) {
        self.begin(Job::Feed { connection, bytes: Arc::clone(bytes), piece });
    }

    pub(crate) fn drain(&self, connection: usize, bytes: usize) {
        self.begin(Job::Drain { connection, bytes });
    }

    pub(crate) fn answer(&self, connection: usize, request: usize, reply: &Arc<[u8]>, times: usize) {
        self.begin(Job::Answer { connection, request, reply: Arc::clone(reply), times });
    }

    /// Drops all connections.
    pub(crate) fn forget(&self) {
        self.begin(Job::Forget);
        self.finish();
    }

    /// Waits until the job is done.
    pub(crate) fn finish(&self) {
        self.done.recv_timeout(PATIENCE).expect("the server does its work");
    }

    fn begin(&self, job: Job) {
        self.jobs.send(job).expect("the server is there");
    }
}

fn serve(
    job: Job,
    listener: &TcpListener,
    speech: &Speech,
    connections: &mut Vec<Box<dyn Connection>>,
) -> io::Result<()> {
    match job {
        Job::Accept => connections.push(accept(listener.accept()?.0, speech)?),
        Job::Feed { connection, bytes, piece } => {
            let stream = &mut connections[connection];
            for piece in bytes.chunks(piece.min(WRITE)) {
                stream.write_all(piece)?;
            }
            stream.flush()?;
        }
        Job::Drain { connection, bytes } => drain(&mut *connections[connection], bytes)?,
        Job::Answer { connection, request, reply, times } => {
            let stream = &mut *connections[connection];
            for _ in 0..times {
                drain(stream, request)?;
                for piece in reply.chunks(WRITE) {
                    stream.write_all(piece)?;
                }
                stream.flush()?;
            }
        }
        Job::Forget => connections.clear(),
    }
    Ok(())
}

fn drain(stream: &mut dyn Connection, mut bytes: usize) -> io::Result<()> {
    let mut scratch = vec![0; bytes.min(4 * WRITE)];
    while bytes > 0 {
        let wanted = bytes.min(scratch.len());
        match stream.read(&mut scratch[..wanted])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => bytes -= length,
        }
    }
    Ok(())
}

fn accept(socket: TcpStream, speech: &Speech) -> io::Result<Box<dyn Connection>> {
    socket.set_nodelay(true)?;
    widen(&(&socket).into());
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let mut stream: Box<dyn Connection> = match speech {
        Speech::Plain => Box::new(socket),
        Speech::Tls(acceptor) => {
            let gathered = Gathered { socket, bytes: Vec::with_capacity(2 * WRITE) };
            Box::new(acceptor.accept(gathered).map_err(io::Error::other)?)
        }
    };
    shake_hands(&mut *stream)?;
    Ok(stream)
}

/// Answers the opening handshake (RFC 6455, section 4.2.2).
fn shake_hands(stream: &mut dyn Connection) -> io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => head.extend_from_slice(&piece[..length]),
        }
    }
    let head = String::from_utf8_lossy(&head);
    let key = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("Sec-WebSocket-Key").then_some(value));
    let accept = derive_accept_key(key.unwrap_or_default().as_bytes());
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    stream.flush()
}

trait Connection: Read + Write + Send {}

impl Connection for TcpStream {}
impl Connection for TlsStream<Gathered> {}

/// A socket that is written in large pieces, however small the records are: a server that is busy, or a sender that
/// gathers.
#[derive(Debug)]
struct Gathered {
    socket: TcpStream,
    bytes: Vec<u8>,
}

impl Read for Gathered {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buf)
    }
}

impl Write for Gathered {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(record);
        if self.bytes.len() >= WRITE {
            self.flush()?;
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}
