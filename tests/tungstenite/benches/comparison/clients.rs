//! Those who are compared, connected to the same server.

use std::io::Read;
use std::net::TcpStream;

use socket2::SockRef;
use tungstenite::stream::MaybeTlsStream;
use websocket_sync::create_connection;

use crate::server::Server;

/// This crate's client.
pub(crate) type Ours = websocket_sync::WebSocket;
/// tungstenite's, as its `connect` makes it.
pub(crate) type Theirs = tungstenite::WebSocket<MaybeTlsStream<TcpStream>>;

/// The numbers of their connections at the server.
pub(crate) const OURS: usize = 0;
pub(crate) const THEIRS: usize = 1;
pub(crate) const FLOOR: usize = 2;

pub(crate) fn connect(server: &Server) -> (Ours, Theirs) {
    let ours = server.accept(|url| create_connection(url).unwrap());
    let theirs = server.accept(|url| tungstenite::connect(url).unwrap().0);
    #[cfg(unix)]
    widen(&SockRef::from(&ours.as_fd().expect("it is a socket")));
    widen(&socket(theirs.get_ref()).into());
    (ours, theirs)
}

fn socket(stream: &MaybeTlsStream<TcpStream>) -> &TcpStream {
    match stream {
        MaybeTlsStream::Plain(socket) => socket,
        MaybeTlsStream::NativeTls(stream) => stream.get_ref(),
        _ => unreachable!("there is no other TLS here"),
    }
}

/// Asks for a receive buffer that a whole burst fits into. Where the system gives less, the other end has to wait until some
/// of it has been read.
pub(crate) fn widen(socket: &SockRef<'_>) {
    let _ = socket.set_recv_buffer_size(4 << 20);
}

/// No WebSocket: a socket or native-tls upon one, and an eye for the headers. What the system itself costs, a client cannot
/// undercut; what TLS on a socket costs, it can.
pub(crate) struct Floor {
    pub(crate) stream: MaybeTlsStream<TcpStream>,
    window: Vec<u8>,
    start: usize,
    end: usize,
}

impl Floor {
    pub(crate) fn connect(server: &Server) -> Self {
        // Any client's handshake does; here it is theirs.
        let stream = server.accept(|url| tungstenite::connect(url).unwrap().0.into_inner());
        widen(&socket(&stream).into());
        Self { stream, window: vec![0; 64 * 1024], start: 0, end: 0 }
    }

    /// Reads a message and lets it fall; returns how long its payload was.
    pub(crate) fn skip_message(&mut self) -> usize {
        let mut total = 0;
        loop {
            let (fin, length) = self.header();
            self.skip(length);
            total += length;
            if fin {
                return total;
            }
        }
    }

    fn header(&mut self) -> (bool, usize) {
        let [first, second] = self.take();
        let length = match second & 0x7F {
            126 => u16::from_be_bytes(self.take()).into(),
            127 => u64::from_be_bytes(self.take()) as usize,
            short => short.into(),
        };
        (first & 0x80 != 0, length)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        while self.end - self.start < N {
            self.window.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            self.fill();
        }
        let taken = self.window[self.start..self.start + N].try_into().expect("it has that length");
        self.start += N;
        taken
    }

    fn skip(&mut self, mut length: usize) {
        while self.end - self.start < length {
            length -= self.end - self.start;
            (self.start, self.end) = (0, 0);
            self.fill();
        }
        self.start += length;
    }

    fn fill(&mut self) {
        match self.stream.read(&mut self.window[self.end..]).unwrap() {
            0 => panic!("the server has gone"),
            length => self.end += length,
        }
    }
}
