//! Transports that do the worst that the contract allows, and some that break it.

use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::backends::backends;
use super::{Authority, Validity, accept_tls, connect_tls, long, patient, pattern, soon};
use crate::net::deadline::{Deadline, SendDeadline};
use crate::net::stream::Stream;
use crate::net::transport::{Interest, Transport};
use crate::options::TlsOptions;

/// What a transport does once instead of what it should.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Interrupted,
    WouldBlock,
    TimedOut,
    Reset,
    End,
    /// Claims more than there was room for.
    Lie,
    OneByte,
}

const FAULTS: [Fault; 7] =
    [Fault::Interrupted, Fault::WouldBlock, Fault::TimedOut, Fault::Reset, Fault::End, Fault::Lie, Fault::OneByte];

/// Passes everything on to `inner`, save for the operation with the number `at`, counted over reads and writes
/// together. With `step` it passes on so many bytes at a time.
#[derive(Debug)]
struct Faulty {
    inner: Box<dyn Transport>,
    fault: Fault,
    at: Option<usize>,
    step: usize,
    count: Arc<Mutex<usize>>,
}

impl Faulty {
    fn strike(&self) -> Option<Fault> {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        (self.at == Some(*count - 1)).then_some(self.fault)
    }

    fn act(fault: Fault, len: usize) -> io::Result<usize> {
        match fault {
            Fault::Interrupted => Err(io::ErrorKind::Interrupted.into()),
            Fault::WouldBlock => Err(io::ErrorKind::WouldBlock.into()),
            Fault::TimedOut => Err(io::ErrorKind::TimedOut.into()),
            Fault::Reset => Err(io::ErrorKind::ConnectionReset.into()),
            Fault::End => Ok(0),
            Fault::Lie => Ok(len + 1),
            Fault::OneByte => unreachable!(),
        }
    }
}

impl Transport for Faulty {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(self.step);
        match self.strike() {
            None => self.inner.try_read(&mut buf[..n]),
            Some(Fault::OneByte) => self.inner.try_read(&mut buf[..1]),
            Some(fault) => Self::act(fault, buf.len()),
        }
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(self.step);
        match self.strike() {
            None => self.inner.try_write(&buf[..n]),
            Some(Fault::OneByte) => self.inner.try_write(&buf[..1]),
            Some(fault) => Self::act(fault, buf.len()),
        }
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        self.inner.wait(interest, deadline)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.shutdown(how)
    }
}

/// Reads from a script, one entry per call; writes nowhere. Each wait is in vain, and takes no time.
#[derive(Debug)]
struct Script(Mutex<Vec<io::Result<usize>>>);

impl Script {
    fn stream(mut entries: Vec<io::Result<usize>>) -> Stream {
        entries.reverse();
        let transport: Box<dyn Transport> = Box::new(Self(Mutex::new(entries)));
        Stream::from(transport)
    }

    fn next(&self) -> io::Result<usize> {
        self.0.lock().unwrap().pop().expect("one call more than the script has entries")
    }
}

impl Transport for Script {
    fn try_read(&self, _buf: &mut [u8]) -> io::Result<usize> {
        self.next()
    }
    fn try_write(&self, _buf: &[u8]) -> io::Result<usize> {
        self.next()
    }
    fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
        Ok(false)
    }
    fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

fn fails<T>(kind: io::ErrorKind) -> io::Result<T> {
    Err(kind.into())
}

#[test]
fn reads_go_on_after_an_interruption_and_end_with_everything_else() {
    use io::ErrorKind::{ConnectionReset, Interrupted, InvalidData, TimedOut, WouldBlock};
    let cases = [
        (vec![Ok(3)], Ok(3)),
        (vec![Ok(0)], Ok(0)),
        (vec![fails(Interrupted), fails(Interrupted), Ok(8)], Ok(8)),
        (vec![fails(WouldBlock)], Err(TimedOut)),
        (vec![fails(TimedOut)], Err(TimedOut)),
        (vec![fails(ConnectionReset)], Err(ConnectionReset)),
        (vec![Ok(9)], Err(InvalidData)),
        (vec![Ok(usize::MAX)], Err(InvalidData)),
    ];
    for (script, expected) in cases {
        let shown = format!("{script:?}");
        let result = Script::stream(script).read(&mut [0; 8], Deadline::NEVER);
        assert_eq!(result.map_err(|error| error.kind()), expected, "{shown}");
    }
}

#[test]
fn writes_go_on_until_all_is_written_and_say_whether_a_part_has_left() {
    use io::ErrorKind::{BrokenPipe, Interrupted, InvalidData, TimedOut, WouldBlock, WriteZero};
    let cases = [
        (vec![Ok(8)], Ok(())),
        (vec![Ok(1), fails(Interrupted), Ok(6), Ok(1)], Ok(())),
        (vec![Ok(0)], Err((WriteZero, false))),
        // A last try when time is up.
        (vec![fails(WouldBlock), fails(WouldBlock)], Err((TimedOut, false))),
        (vec![fails(WouldBlock), Ok(8)], Ok(())),
        (vec![Ok(7), fails(TimedOut), fails(TimedOut)], Err((TimedOut, true))),
        (vec![Ok(7), fails(BrokenPipe)], Err((BrokenPipe, true))),
        (vec![Ok(9)], Err((InvalidData, false))),
        (vec![Ok(7), Ok(2)], Err((InvalidData, true))),
    ];
    for (script, expected) in cases {
        let shown = format!("{script:?}");
        let result = Script::stream(script).write_all(&[0; 8], patient());
        let result = result.map_err(|failed| (failed.error.kind(), failed.taken != 0));
        assert_eq!(result, expected, "{shown}");
    }
    let over = SendDeadline::until(Deadline::after(Some(Duration::ZERO)));
    let failed = Script::stream(Vec::new()).write_all(&[0; 8], over).unwrap_err();
    assert_eq!(failed.error.kind(), TimedOut);
    assert!(Script::stream(Vec::new()).write_all(&[], patient()).is_ok());
}

#[test]
fn what_would_have_to_wait_is_nothing_written() {
    use io::ErrorKind::{BrokenPipe, Interrupted, InvalidData, TimedOut, WouldBlock};
    let cases = [
        (vec![Ok(5)], Ok(5)),
        (vec![Ok(0)], Ok(0)),
        (vec![fails(WouldBlock)], Ok(0)),
        (vec![fails(TimedOut)], Ok(0)),
        (vec![fails(Interrupted), Ok(8)], Ok(8)),
        (vec![fails(BrokenPipe)], Err(BrokenPipe)),
        (vec![Ok(9)], Err(InvalidData)),
    ];
    for (script, expected) in cases {
        let result = Script::stream(script).try_write(&[0; 8]);
        assert_eq!(result.map_err(|error| error.kind()), expected);
    }
}

/// How an exchange over TLS ended: an error of the handshake or of the stream, or what came back.
fn exchange(fault: Fault, at: Option<usize>, step: usize, setup: &Setup) -> (Result<Vec<u8>, String>, usize) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let inner = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    let count = Arc::new(Mutex::new(0));
    let faulty = Faulty { inner: inner.into(), fault, at, step, count: Arc::clone(&count) };
    let serving = setup.serving.clone();
    let server = thread::spawn(move || {
        let theirs = Stream::from(<Box<dyn Transport>>::from(theirs));
        let Ok(stream) = accept_tls(theirs, &serving, soon(5000)) else { return };
        let mut buf = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buf, soon(5000)) {
            if stream.write_all(&buf[..n], SendDeadline::until(soon(5000))).is_err() {
                return;
            }
        }
    });
    let result = talk(faulty, setup);
    server.join().unwrap();
    let count = *count.lock().unwrap();
    (result, count)
}

/// Both sides' options.
struct Setup {
    serving: TlsOptions,
    options: TlsOptions,
}

/// Each library, with itself.
fn setups() -> Vec<Setup> {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    let servers = [
        #[cfg(feature = "native-tls")]
        TlsOptions::new().acceptor(leaf.acceptor(native_tls::Protocol::Tlsv13)),
        #[cfg(feature = "rustls")]
        TlsOptions::new().rustls_server_config(leaf.server(&rustls::version::TLS13)),
    ];
    let clients = backends().into_iter().map(|tls| tls.ca_certs_pem(&authority.pem));
    servers.into_iter().zip(clients).map(|(serving, options)| Setup { serving, options }).collect()
}

fn talk(faulty: Faulty, setup: &Setup) -> Result<Vec<u8>, String> {
    let stream = Stream::from(<Box<dyn Transport>>::from(faulty));
    let stream = connect_tls(stream, &setup.options, "localhost", long()).map_err(|error| error.to_string())?;
    let message = pattern(2000);
    stream.write_all(&message, patient()).map_err(|failed| failed.error.to_string())?;
    let mut back = Vec::new();
    let mut buf = [0; 700];
    while back.len() < message.len() {
        match stream.read(&mut buf, long()) {
            Ok(0) => return Err("ended".to_owned()),
            Ok(n) => back.extend_from_slice(&buf[..n]),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(back)
}

#[test]
fn every_fault_at_every_operation_is_survived_or_told() {
    for setup in setups() {
        for fault in FAULTS {
            strike_everywhere(fault, &setup);
        }
    }
}

fn strike_everywhere(fault: Fault, setup: &Setup) {
    for at in 0.. {
        let (result, count) = exchange(fault, Some(at), usize::MAX, setup);
        match (&result, fault) {
            (Ok(back), _) => assert_eq!(*back, pattern(2000), "{fault:?} at {at}"),
            (Err(_), Fault::Interrupted | Fault::OneByte) => panic!("{fault:?} at {at}: {result:?}"),
            (Err(_), _) => {}
        }
        if count <= at {
            break;
        }
        assert!(at < 200, "{fault:?} does not end");
    }
}

#[test]
fn tls_works_a_byte_at_a_time() {
    for setup in setups() {
        let (result, count) = exchange(Fault::OneByte, None, 1, &setup);
        assert_eq!(result, Ok(pattern(2000)));
        assert!(count > 4000);
    }
}
