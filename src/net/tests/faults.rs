//! Transports that do the worst that the contract allows, and some that break it.

use std::io;
use std::net::Shutdown;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::backends::backends;
use super::{Authority, Validity, accept_tls, connect_tls, long, patient, pattern, soon};
use crate::net::deadline::Deadline;
use crate::net::layer::Layer;
use crate::net::send_timer::SendDeadline;
use crate::net::stream::Stream;
use crate::net::transport::{Interest, Transport};
use crate::options::TlsOptions;
use crate::test_kit::{Fault, FaultInjector, FaultyTransport, Operation};

/// Each kind of fault, but those that take time.
const FAULTS: [Fault; 9] = [
    Fault::Interrupted,
    Fault::WouldBlock,
    Fault::Error(io::ErrorKind::TimedOut),
    Fault::Error(io::ErrorKind::ConnectionReset),
    Fault::Reset,
    Fault::Eof,
    Fault::Overrun,
    Fault::Short(0),
    Fault::Short(1),
];

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
fn exchange(faults: &FaultInjector, setup: &Setup) -> Result<Vec<u8>, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let inner = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
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
    let result = talk(faults.wrap(inner), setup);
    server.join().unwrap();
    result
}

/// Both sides' options.
struct Setup {
    serving: TlsOptions,
    options: TlsOptions,
}

/// Each library, with itself.
fn setups() -> Vec<Setup> {
    let authority = Authority::new();
    #[cfg(any(feature = "native-tls", feature = "rustls"))]
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

fn talk(faulty: FaultyTransport, setup: &Setup) -> Result<Vec<u8>, String> {
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
    for operation in [Operation::Read, Operation::Write] {
        for at in 1.. {
            let faults = FaultInjector::new().on(operation, at, fault);
            let result = exchange(&faults, setup);
            match (&result, fault) {
                (Ok(back), _) => assert_eq!(*back, pattern(2000), "{faults}"),
                (Err(_), Fault::Interrupted | Fault::Short(1)) => panic!("{faults}: {result:?}"),
                (Err(_), _) => {}
            }
            if faults.struck().is_empty() {
                // In the handshake alone are several of each.
                assert!(at > 2, "only {at} of {operation}");
                break;
            }
            assert!(at < 200, "{fault:?} does not end");
        }
    }
}

#[test]
fn tls_works_a_byte_at_a_time() {
    for setup in setups() {
        let byte = Fault::Short(1);
        let faults = FaultInjector::new().on_each(Operation::Read, byte).on_each(Operation::Write, byte);
        let faults = faults.on(Operation::Write, 2000, byte).on(Operation::Read, 2000, byte);
        let result = exchange(&faults, &setup);
        assert_eq!(result, Ok(pattern(2000)));
        assert_eq!(faults.struck().len(), 2, "there were more than 4,000 operations");
    }
}
