//! Every answer of a SOCKS proxy. What needs a network is in `tests/proxies.rs`.

mod socks_replies;

use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::net::stream::Stream;
use crate::net::transport::{Interest, Transport};

/// A proxy that says what it says, whatever it hears, and then ends the connection.
#[derive(Debug)]
struct Scripted {
    says: Mutex<Vec<u8>>,
    heard: Arc<Mutex<Vec<u8>>>,
    /// How many bytes it says at a time.
    step: usize,
}

impl Transport for Scripted {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut says = self.says.lock().unwrap();
        let length = buf.len().min(self.step).min(says.len());
        buf[..length].copy_from_slice(&says[..length]);
        says.drain(..length);
        Ok(length)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.heard.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }

    fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
        Ok(true)
    }

    fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

/// A connection to it, and what it hears.
fn scripted(says: &[u8], step: usize) -> (Stream, Arc<Mutex<Vec<u8>>>) {
    let heard = Arc::default();
    let proxy = Scripted { says: Mutex::new(says.to_vec()), heard: Arc::clone(&heard), step };
    (Stream::from(Box::new(proxy) as Box<dyn Transport>), heard)
}
