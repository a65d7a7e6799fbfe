//! A server that has everything encrypted before the client looks, so that it comes in one burst.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustls::CipherSuite;

use crate::tls_peer::{Authority, Peer, accept};

/// What a server is to do with its client, once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Send this many messages of this size, each in a record of its own.
    Feed { size: usize, messages: usize },
    /// Receive them.
    Drain { size: usize, messages: usize },
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Who vouches for it, in PEM form.
    pub(crate) authority: String,
    orders: Sender<Order>,
    ready: Receiver<()>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let authority = Authority::new();
        let config = authority.server("localhost");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (orders, ordered) = channel();
        let (say_ready, ready) = channel();
        thread::spawn(move || {
            let tls = accept(config, listener.accept().unwrap().0).unwrap();
            let suite = tls.conn.negotiated_cipher_suite().unwrap().suite();
            assert_eq!(suite, CipherSuite::TLS13_AES_256_GCM_SHA384);
            let mut tls = tungstenite::accept(tls).unwrap().into_inner();
            for order in ordered {
                obey(order, &mut tls, &say_ready);
            }
        });
        Self { address, authority: authority.pem, orders, ready }
    }

    /// Has it do something. It has begun when this returns.
    pub(crate) fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
        self.ready.recv().unwrap();
    }
}

fn obey(order: Order, tls: &mut Peer<TcpStream>, ready: &Sender<()>) {
    match order {
        Order::Feed { size, messages } => {
            let ciphertext = encrypt(tls, &frame(size), messages);
            ready.send(()).unwrap();
            tls.sock.write_all(&ciphertext).unwrap();
        }
        Order::Drain { size, messages } => {
            ready.send(()).unwrap();
            // A client masks: four bytes more.
            let length = frame(size).len() + 4;
            let mut scratch = vec![0; length];
            for _ in 0..messages {
                tls.read_exact(&mut scratch).unwrap();
            }
        }
    }
}

fn encrypt(tls: &mut Peer<TcpStream>, frame: &[u8], messages: usize) -> Vec<u8> {
    let mut ciphertext = Vec::new();
    for _ in 0..messages {
        tls.conn.writer().write_all(frame).unwrap();
        while tls.conn.wants_write() {
            tls.conn.write_tls(&mut ciphertext).unwrap();
        }
    }
    ciphertext
}

/// An unmasked binary frame (RFC 6455, section 5.2).
fn frame(size: usize) -> Vec<u8> {
    let mut frame = vec![0x82];
    match u16::try_from(size).unwrap() {
        size @ ..126 => frame.push(u8::try_from(size).unwrap()),
        size => {
            frame.push(126);
            frame.extend(size.to_be_bytes());
        }
    }
    frame.resize(frame.len() + size, b'x');
    frame
}
