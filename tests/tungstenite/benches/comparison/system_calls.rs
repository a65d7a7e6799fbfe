//! How many system calls it takes to receive small messages of which many have arrived.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use native_tls::TlsConnector;
use websocket_sync::{ConnectOptions, Interest, Transport};

use crate::clients::{OURS, THEIRS, widen};
use crate::receiving::{self, BURST};
use crate::server::{Server, Speech};
use crate::stage::Stage;

/// The calls for a message: this crate's, and tungstenite's.
pub(crate) fn count(stage: &Stage, speech: Speech, bursts: usize) -> (f64, f64) {
    let secure = matches!(speech, Speech::Tls(_));
    let server = Server::start(speech, stage.server_core());
    let calls = [OURS, THEIRS].map(|_| Arc::new(AtomicUsize::new(0)));
    let connect = |url: &str, client: usize| {
        let address = url.trim_start_matches("wss://").trim_start_matches("ws://").trim_end_matches('/');
        let socket = TcpStream::connect(address).unwrap();
        widen(&(&socket).into());
        Counted { socket, calls: Arc::clone(&calls[client]) }
    };
    let mut ours = server.accept(|url| ConnectOptions::new().connect_over(connect(url, OURS), url).unwrap());
    let mut theirs = server.accept(|url| {
        let counted = connect(url, THEIRS);
        let stream: Box<dyn ReadWrite> = match secure {
            true => Box::new(TlsConnector::new().unwrap().connect("127.0.0.1", counted).unwrap()),
            false => Box::new(counted),
        };
        tungstenite::client(url, stream).unwrap().0
    });
    let message = receiving::text(64)[0].to_bytes(None);
    let in_burst = BURST / message.len();
    let bytes = Arc::from(message.repeat(in_burst));
    let per_message = |client: usize, read: &mut dyn FnMut()| {
        let before = calls[client].load(Ordering::Relaxed);
        for _ in 0..bursts {
            server.feed(client, &bytes, bytes.len());
            server.finish();
            (0..in_burst).for_each(|_| read());
        }
        (calls[client].load(Ordering::Relaxed) - before) as f64 / (bursts * in_burst) as f64
    };
    let ours = per_message(OURS, &mut || drop(ours.recv().unwrap()));
    let theirs = per_message(THEIRS, &mut || drop(theirs.read().unwrap()));
    (ours, theirs)
}

/// A socket that counts.
#[derive(Debug)]
struct Counted {
    socket: TcpStream,
    calls: Arc<AtomicUsize>,
}

impl Counted {
    fn count(&self) -> &TcpStream {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.socket
    }
}

/// The socket blocks. Here nothing takes so long that a timeout would matter.
impl Transport for Counted {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.count().read(buf)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.count().write(buf)
    }

    fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
        Ok(true)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.count().read(buf)
    }
}

impl Write for Counted {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.count().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

trait ReadWrite: Read + Write {}

impl<S: Read + Write> ReadWrite for S {}
