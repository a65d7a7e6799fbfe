//! TLS against OpenSSL's own test server, which changes its keys and negotiates anew when it is told to.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::backends::backends;
use super::{Authority, LONG, Validity, connect_tls, long, patient, read_exact};
use crate::net::layer::Layer;
use crate::net::stream::Stream;
use crate::net::transport::{Interest, Transport};
use crate::options::TlsOptions;

/// `openssl s_server`: sends the lines that it is told, prints what it gets, and obeys lines of one letter.
struct Server {
    child: Child,
    port: u16,
    output: BufReader<std::process::ChildStdout>,
    authority: Authority,
    files: std::path::PathBuf,
}

impl Server {
    /// `None`, loudly, where there is no `openssl`.
    fn start(version: &[&str]) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let authority = Authority::new();
        let leaf = authority.leaf("localhost", Validity::Now);
        let files = std::env::temp_dir().join(format!("websocket-sync-{}-{number}.pem", std::process::id()));
        std::fs::write(&files, leaf.cert + &leaf.key).unwrap();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cert"]).arg(&files).args(version);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else {
            eprintln!("SKIPPED, NOT PASSED: there is no `openssl` on this machine to test TLS {version:?} with");
            return None;
        };
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, port: 0, output, authority, files };
        let line = server.read_line_with("ACCEPT ");
        server.port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
        Some(server)
    }

    fn read_line_with(&mut self, wanted: &str) -> String {
        let mut line = String::new();
        while !line.contains(wanted) {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server ended before it said {wanted:?}");
        }
        line
    }

    fn tell(&self, line: &str) {
        let mut input = self.child.stdin.as_ref().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.flush().unwrap();
        // It takes a line for a command only if that comes by itself.
        thread::sleep(Duration::from_millis(100));
    }

    /// A connection to it, through a gate that is open.
    fn connect(&self, tls: &TlsOptions) -> (Stream, Arc<Gate>) {
        let inner = TcpStream::connect(("127.0.0.1", self.port)).unwrap().into();
        let gate = Arc::new(Gate { inner, left: Mutex::new(usize::MAX), changed: Condvar::new() });
        let stream = Stream::from(<Box<dyn Transport>>::from(Gated(Arc::clone(&gate))));
        let options = tls.clone().ca_certs_pem(&self.authority.pem);
        (connect_tls(stream, &options, "localhost", long()).unwrap(), gate)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.files);
    }
}

/// Lets so many reads through and holds the others.
#[derive(Debug)]
struct Gate {
    inner: Box<dyn Transport>,
    left: Mutex<usize>,
    changed: Condvar,
}

#[derive(Debug)]
struct Gated(Arc<Gate>);

#[cfg_attr(not(feature = "native-tls"), allow(dead_code, reason = "for a new negotiation, which rustls refuses"))]
impl Gate {
    fn let_through(&self, reads: usize) {
        *self.left.lock().unwrap() = reads;
        self.changed.notify_all();
    }

    /// Waits until nothing more is let through.
    fn wait_until_shut(&self) {
        let left = self.left.lock().unwrap();
        let (_left, timeout) = self.changed.wait_timeout_while(left, LONG, |left| *left > 0).unwrap();
        assert!(!timeout.timed_out());
    }
}

impl Transport for Gated {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.0.left.lock().unwrap();
        drop(self.0.changed.wait_while(left, |left| *left == 0).unwrap());
        let n = self.0.inner.try_read(buf)?;
        let mut left = self.0.left.lock().unwrap();
        *left = left.saturating_sub(1);
        self.0.changed.notify_all();
        Ok(n)
    }
    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.inner.try_write(buf)
    }
    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        self.0.inner.wait(interest, deadline)
    }
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.inner.shutdown(how)
    }
}

#[test]
fn lines_pass_both_ways_in_tls_1_2_and_1_3() {
    for tls in backends() {
        // The last one asks for another hello (RFC 8446, section 4.1.4): the first has no key for its group.
        let versions: [&[&str]; 3] = [&["-tls1_2"], &["-tls1_3"], &["-tls1_3", "-groups", "P-384"]];
        for version in versions {
            let Some(mut server) = Server::start(version) else { return };
            let (stream, _gate) = server.connect(&tls);
            server.tell("from the server\n");
            assert_eq!(read_exact(&stream, 16), b"from the server\n");
            stream.write_all(b"from the client\n", patient()).unwrap();
            server.read_line_with("from the client");
        }
    }
}

#[test]
fn new_keys_are_answered_and_both_directions_go_on() {
    for tls in backends() {
        let Some(mut server) = Server::start(&["-tls1_3"]) else { return };
        let (stream, _gate) = server.connect(&tls);
        for _ in 0..3 {
            // New keys, and ours are asked for too (RFC 8446, section 4.6.3).
            server.tell("K\n");
            server.tell("after\n");
            assert_eq!(read_exact(&stream, 6), b"after\n");
            assert!(!stream.has_output(), "nothing is left for others to send");
            stream.write_all(b"from the client\n", patient()).unwrap();
            server.read_line_with("from the client");
        }
    }
}

/// Rustls refuses to negotiate anew.
#[cfg(feature = "native-tls")]
#[test]
fn a_write_in_the_midst_of_a_new_negotiation_waits_for_the_reader() {
    let Some(mut server) = Server::start(&["-tls1_2"]) else { return };
    let (stream, gate) = server.connect(&TlsOptions::new());
    thread::scope(|scope| {
        // The server's wish comes through, and its answer to ours does not.
        gate.let_through(1);
        let reader = scope.spawn(|| read_exact(&stream, 6));
        server.tell("r\n");
        gate.wait_until_shut();
        thread::sleep(Duration::from_millis(100));
        let writer = scope.spawn(|| stream.write_all(b"from the client\n", patient()));
        thread::sleep(Duration::from_millis(100));
        assert!(!writer.is_finished(), "nothing can be encrypted now");
        gate.let_through(usize::MAX);
        writer.join().unwrap().unwrap();
        server.read_line_with("from the client");
        server.tell("after\n");
        assert_eq!(reader.join().unwrap(), b"after\n");
    });
}
