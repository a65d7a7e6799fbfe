//! Sockets as transports: waiting, not waiting, and both when somebody else changes the socket.

use std::io::ErrorKind;
#[cfg(unix)]
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

#[cfg(unix)]
use super::cases::Cases;
use super::lasts;
use crate::net::deadline::Deadline;
use crate::net::layer::Layer;
use crate::net::send_timer::SendDeadline;
#[cfg(target_os = "linux")]
use crate::net::socket;
use crate::net::stream::Stream;
use crate::net::transport::{Interest, Transport};
#[cfg(target_os = "linux")]
use crate::options::SocketOptions;

const MS: Duration = Duration::from_millis(1);

fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn pair() -> (Box<dyn Transport>, Box<dyn Transport>) {
    let (client, server) = sockets();
    (client.into(), server.into())
}

fn after(ms: u32) -> Option<Instant> {
    Some(Instant::now() + ms * MS)
}

/// Fills the socket, so that nothing fits for as long as the peer does not read; returns how many bytes that took.
fn fill(transport: &dyn Transport) -> usize {
    let mut sent = 0;
    let mut full = 0;
    // TCP takes a little more for a while.
    while full < 20 {
        match transport.try_write(&[7; 64 * 1024]) {
            Ok(n) => sent += n,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                full += 1;
                thread::sleep(5 * MS);
            }
        }
    }
    sent
}

#[test]
fn a_read_waits_for_bytes_and_no_longer_than_its_deadline() {
    let (client, server) = pair();
    assert_eq!(client.try_write(b"hello").unwrap(), 5);
    let mut buf = [0; 16];
    assert_eq!(server.read(&mut buf, after(5000)).unwrap(), 5);
    for ms in [0, 1, 20, 100, 700, 1500] {
        let error = lasts(ms.into(), || server.read(&mut buf, after(ms)).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{ms} ms");
    }
    client.try_write(b"hello").unwrap();
    assert_eq!(
        server.read(&mut buf, Some(Instant::now())).unwrap_err().kind(),
        ErrorKind::TimedOut,
        "whatever is there"
    );
    assert_eq!(server.read(&mut buf, None).unwrap(), 5);
    assert_eq!(client.local_addr(), server.peer_addr());
    assert_eq!(client.peer_addr(), server.local_addr());
}

/// Linux counts milliseconds in an `int`, and takes 0 for its own default.
#[cfg(target_os = "linux")]
#[test]
fn a_user_timeout_that_the_system_cannot_count_is_the_nearest_that_it_can() {
    let longest = Duration::from_millis(i32::MAX as u64);
    for (timeout, expected) in [(Duration::from_nanos(1), MS), (5 * MS, 5 * MS), (Duration::MAX, longest)] {
        let options = SocketOptions::new().user_timeout(timeout);
        let socket = socket::tcp(([127, 0, 0, 1], 0).into(), &options).unwrap();
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(expected), "{timeout:?}");
    }
}

/// Linux takes no more than 32,767 s and 127 probes, and leaves unset what stands behind a value that it refuses.
#[cfg(target_os = "linux")]
#[test]
fn tcp_keepalive_beyond_what_the_system_counts_to_is_as_much_as_it_takes() {
    const MOST: Duration = Duration::from_secs(32_767);
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));
    let table = [
        ((day, second, 4), (MOST, second, 4)),
        ((second, Duration::MAX, 5), (second, MOST, 5)),
        ((second, second, 128), (second, second, 127)),
        ((second, second, 0), (second, second, 1)),
        ((MOST, MOST, 127), (MOST, MOST, 127)),
        ((Duration::ZERO, Duration::ZERO, 4), (second, second, 4)),
    ];
    for ((idle, interval, count), expected) in table {
        let options = SocketOptions::new().keepalive(idle, interval, count);
        let socket = socket::tcp(([127, 0, 0, 1], 0).into(), &options).unwrap();
        let times = (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap());
        assert_eq!(
            (times.0, times.1, socket.tcp_keepalive_retries().unwrap()),
            expected,
            "{idle:?}, {interval:?}, {count}"
        );
    }
}

/// Linux counts bytes in an `int`, in which 4 GiB would be nothing.
#[cfg(target_os = "linux")]
#[test]
fn a_buffer_that_is_larger_than_the_system_can_count_is_not_a_small_one() {
    let sizes = |bytes| {
        let options = SocketOptions::new().recv_buffer_size(bytes).send_buffer_size(bytes);
        let socket = socket::tcp(([127, 0, 0, 1], 0).into(), &options).unwrap();
        (socket.recv_buffer_size().unwrap(), socket.send_buffer_size().unwrap())
    };
    let largest = sizes(i32::MAX as usize);
    for bytes in [1 << 31, (1_u64 << 32) as usize, usize::MAX] {
        assert_eq!(sizes(bytes), largest, "{bytes}");
    }
}

/// Linux takes no keepalive of zero seconds, and then none of what belongs to it.
#[cfg(target_os = "linux")]
#[test]
fn times_of_tcp_keepalive_are_rounded_up_to_whole_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let table = [(1, 1, 1, 1), (500, 1000, 1, 1), (1500, 2001, 2, 3), (2000, 3000, 2, 3)];
    for (idle, interval, idle_seconds, interval_seconds) in table {
        let options = SocketOptions::new().keepalive(idle * MS, interval * MS, 4);
        let socket = socket::tcp(address, &options).unwrap();
        assert!(socket.keepalive().unwrap());
        let seconds = (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap());
        assert_eq!(seconds, (Duration::from_secs(idle_seconds), Duration::from_secs(interval_seconds)), "{idle} ms");
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
    }
}

#[test]
fn what_has_arrived_before_a_shutdown_can_be_read_after_it() {
    let (client, server) = pair();
    client.try_write(b"hello").unwrap();
    assert!(server.wait(Interest::Read, after(10_000)).unwrap());
    server.shutdown(Shutdown::Both).unwrap();
    let mut buf = [0; 8];
    assert_eq!(server.try_read(&mut buf).unwrap(), 5);
    assert!(server.wait(Interest::Read, None).unwrap());
    assert_eq!(server.try_read(&mut buf).unwrap(), 0);
}

#[test]
fn a_wait_ends_with_readiness_and_at_its_deadline() {
    let (client, server) = pair();
    for ms in [0, 50, 700] {
        assert!(!lasts(ms.into(), || server.wait(Interest::Read, after(ms)).unwrap()));
    }
    assert!(client.wait(Interest::Write, Some(Instant::now())).unwrap(), "it looks");
    let client = lasts(50, || {
        let writer = thread::spawn(move || {
            thread::sleep(50 * MS);
            client.try_write(b"x").unwrap();
            client
        });
        assert!(server.wait(Interest::Read, None).unwrap());
        writer.join().unwrap()
    });
    fill(&*client);
    assert!(!lasts(50, || client.wait(Interest::Write, after(50)).unwrap()));
    client.shutdown(Shutdown::Both).unwrap();
    assert!(client.wait(Interest::Write, None).unwrap(), "an error is something to tell");
    assert!(client.wait(Interest::Read, None).unwrap(), "and so is the end");
}

#[test]
fn try_read_takes_what_is_there_and_never_waits() {
    let (client, server) = pair();
    let mut buf = [0; 16];
    let start = Instant::now();
    for _ in 0..10 {
        let error = server.try_read(&mut buf).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    client.try_write(b"hello").unwrap();
    while server.try_read(&mut buf).ok() != Some(5) {}
    client.shutdown(Shutdown::Write).unwrap();
    while server.try_read(&mut buf).ok() != Some(0) {}
}

#[test]
fn try_write_never_waits_for_a_peer_that_does_not_read() {
    let (client, _server) = pair();
    let start = Instant::now();
    assert!(fill(&*client) > 0);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn shutdown_wakes_a_blocked_reader() {
    let (client, _server) = pair();
    let client: Arc<dyn Transport> = client.into();
    let reader = thread::spawn({
        let client = Arc::clone(&client);
        move || client.read(&mut [0; 8], None)
    });
    thread::sleep(20 * MS);
    client.shutdown(Shutdown::Both).unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), 0);
}

/// The mode belongs to all clones of a socket.
#[cfg(unix)]
#[test]
fn whatever_mode_the_socket_is_put_into_both_directions_keep_their_deadlines() {
    let mut cases = Cases::new();
    for nonblocking in [true, false] {
        cases.add(format!("nonblocking at first: {nonblocking}"), move || {
            let (ours, theirs) = sockets();
            ours.set_nonblocking(nonblocking).unwrap();
            let owner = ours.try_clone().unwrap();
            let ours: Box<dyn Transport> = ours.into();
            for nonblocking in [nonblocking, !nonblocking] {
                let mut peer = theirs.try_clone().unwrap();
                lasts(50, || {
                    let writer = thread::spawn(move || {
                        thread::sleep(50 * MS);
                        peer.write_all(b"x").unwrap();
                    });
                    assert_eq!(ours.read(&mut [0; 8], None).unwrap(), 1);
                    writer.join().unwrap();
                });
                assert_eq!(ours.try_read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
                for ms in [50, 700] {
                    lasts(ms.into(), || ours.read(&mut [0; 8], after(ms)).unwrap_err());
                }
                owner.set_nonblocking(nonblocking).unwrap();
            }
            fill(&*ours);
            let stream = Stream::from(ours);
            for nonblocking in [true, false] {
                owner.set_nonblocking(nonblocking).unwrap();
                let deadline = || SendDeadline::until(Deadline::after(Some(50 * MS)));
                let failed = lasts(50, || stream.write_all(&[7; 1 << 20], deadline()).unwrap_err());
                assert_eq!(failed.error.kind(), ErrorKind::TimedOut);
            }
        });
    }
    cases.run(60);
}

#[cfg(unix)]
#[test]
fn unix_sockets_carry_bytes_and_have_no_address() {
    let (a, b) = UnixStream::pair().unwrap();
    let (a, b) = (<Box<dyn Transport>>::from(a), <Box<dyn Transport>>::from(b));
    assert_eq!(a.try_write(b"hi").unwrap(), 2);
    assert_eq!(b.read(&mut [0; 8], None).unwrap(), 2);
    assert!(a.local_addr().is_none() && a.peer_addr().is_none() && a.as_fd().is_some());
    drop(b);
    assert_eq!(a.try_write(b"hi").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_stream_looks_and_reads_what_is_there() {
    let (ours, theirs) = pair();
    let stream = Stream::from(ours);
    assert_eq!(stream.read(&mut [0; 8], Deadline::NOW).unwrap_err().kind(), ErrorKind::TimedOut);
    theirs.try_write(b"x").unwrap();
    assert_eq!(stream.read(&mut [0; 8], Deadline::NOW).unwrap(), 1);
    theirs.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0; 8], Deadline::NOW).unwrap(), 0);
}
