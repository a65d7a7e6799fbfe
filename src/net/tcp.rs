//! TCP connections: the addresses race, the first that answers wins.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use rustix::io::Errno;

use super::deadline::{Deadline, timed_out};
use super::race::Race;
use super::socket::{self, Socket};
use super::wake::{Wake, Woken, wait};
use crate::error::{Error, OptionsError, Phase, Result};
use crate::options::{Settings, SocketOptions};

/// Connects to the first of `addresses` that answers, whatever is wrong with the others (RFC 8305). The sockets of the others
/// are closed.
///
/// # Errors
///
/// [`Error::Timeout`] when time runs out, [`Error::Options`] when no address is of the family of the local one, otherwise
/// what tells most of what was wrong with the addresses.
pub(super) fn connect(mut addresses: Vec<SocketAddr>, settings: &Settings, deadline: Deadline) -> Result<Socket> {
    let options = &settings.socket;
    if let Some(local) = options.bind {
        addresses.retain(|address| address.is_ipv4() == local.is_ipv4());
        if addresses.is_empty() {
            return Err(wrong_family(local));
        }
    }
    let wake = settings.cancellation.as_ref().map(Wake::new).transpose().map_err(failed)?;
    let mut race = Race::new(addresses, options.attempt_timeout);
    let mut failures = Failures::default();
    loop {
        let Ok(rest) = deadline.remaining() else { return Err(Error::Timeout(Phase::Connect)) };
        let now = Instant::now();
        while let Some(late) = race.expire(now) {
            failures.add(late.address, timed_out());
        }
        while let Some(address) = race.next(now) {
            match start(address, options) {
                Ok(socket) => race.enter(address, socket, now),
                Err(error) => failures.add(address, error),
            }
        }
        if race.is_over() {
            return Err(failures.into_error());
        }
        let timeout = rest.into_iter().chain(race.wait(now)).min();
        match wait(race.attempts(), wake.as_ref(), timeout).map_err(failed)? {
            Woken::Nobody => {}
            Woken::CalledOff => return Err(failed(called_off())),
            Woken::Ready(index) => {
                let runner = race.leave(index);
                match finish(&runner.attempt) {
                    Ok(()) => {
                        log::debug!("connected to {}", runner.address);
                        return Ok(Socket::new(runner.attempt));
                    }
                    Err(error) => failures.add(runner.address, error),
                }
            }
        }
    }
}

/// Begins to connect, and does not wait for it.
fn start(address: SocketAddr, options: &SocketOptions) -> io::Result<socket2::Socket> {
    log::debug!("connecting to {address}");
    let socket = socket::tcp(address, options)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(socket),
    }
}

/// POSIX and Windows have different names for it.
fn is_under_way(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INPROGRESS | Errno::WOULDBLOCK | Errno::INTR))
}

/// Whether the socket has connected, now that it has come to its end. Only one that has not is asked why.
fn finish(socket: &socket2::Socket) -> io::Result<()> {
    refuse_self(socket).map_err(|error| socket.take_error().ok().flatten().unwrap_or(error))
}

/// A port of this machine on which nobody listens can be the very one that the system gave this socket: it would then
/// talk to itself.
fn refuse_self(socket: &socket2::Socket) -> io::Result<()> {
    if socket.local_addr()?.as_socket() == socket.peer_addr()?.as_socket() {
        return Err(Errno::CONNREFUSED.into());
    }
    Ok(())
}

/// What was wrong with the addresses: kept is what tells most.
#[derive(Debug, Default)]
struct Failures(Option<io::Error>);

impl Failures {
    fn add(&mut self, address: SocketAddr, error: io::Error) {
        log::debug!("cannot connect to {address}: {error}");
        if self.0.as_ref().is_none_or(|kept| weight(&error) > weight(kept)) {
            self.0 = Some(at(address, error));
        }
    }

    fn into_error(self) -> Error {
        failed(self.0.unwrap_or_else(timed_out))
    }
}

/// How much an error tells. That this machine has no way there says less than that nobody answered, and that less than what
/// somebody answered.
fn weight(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => 0,
        io::ErrorKind::NetworkDown | io::ErrorKind::HostUnreachable => 1,
        io::ErrorKind::TimedOut => 2,
        _ => 3,
    }
}

/// Says where it happened, and stays of its kind. What does not come from the system is left as it is: a hook of the user's may
/// look for it.
pub(super) fn at(place: impl fmt::Display, error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(_) => io::Error::new(error.kind(), format!("{place}: {error}")),
        None => error,
    }
}

pub(super) fn failed(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::TimedOut => Error::Timeout(Phase::Connect),
        _ => Error::Io { phase: Phase::Connect, error },
    }
}

/// Whoever called it off is told so by the opening.
#[cold]
pub(super) fn called_off() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

#[cold]
fn wrong_family(local: SocketAddr) -> Error {
    let problem = format!("the host has no address of the family of {}", local.ip());
    Error::Options(Box::new(OptionsError::new("bind", problem)))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use socket2::{Domain, Type};

    use super::*;
    use crate::net::deadline::SendDeadline;
    use crate::net::stream::Stream;
    use crate::net::transport::Transport;
    use crate::options::ConnectOptions;

    fn connect(addresses: &[SocketAddr], options: &SocketOptions, deadline: Deadline) -> Result<Socket> {
        let options = ConnectOptions::new().socket(options.clone());
        super::connect(addresses.to_vec(), options.settings(), deadline)
    }

    fn soon(ms: u64) -> Deadline {
        Deadline::after(Some(Duration::from_millis(ms)))
    }

    /// An address of this machine on which nobody listens.
    fn closed() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[test]
    fn the_defaults_are_set_before_the_connection_is_made() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let options = SocketOptions::new().configure(|socket| {
            assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
            #[cfg(target_os = "linux")]
            {
                assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
                assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
                assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
                assert_eq!(socket.tcp_user_timeout().unwrap(), None, "a live peer may pause for longer");
            }
            Ok(())
        });
        let address = listener.local_addr().unwrap();
        let socket = connect(&[address], &options, soon(5000)).unwrap();
        assert_eq!(socket.peer_addr(), Some(address));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn data_is_waited_for_as_long_as_the_system_does_unless_the_user_says_otherwise() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let seconds = Duration::from_secs;
        for (options, expected) in [
            (SocketOptions::new().keepalive(seconds(2), seconds(3), 4), None),
            (SocketOptions::new().keepalive(seconds(2), seconds(3), 4).user_timeout(seconds(5)), Some(seconds(5))),
            (SocketOptions::new().user_timeout(seconds(5)).keepalive(seconds(2), seconds(3), 4), Some(seconds(5))),
            (SocketOptions::new().user_timeout(seconds(5)).without_user_timeout(), None),
            (SocketOptions::new().without_keepalive(), None),
        ] {
            let options = options.configure(move |socket| {
                assert_eq!(socket.tcp_user_timeout().unwrap(), expected);
                Ok(())
            });
            connect(&[listener.local_addr().unwrap()], &options, soon(5000)).unwrap();
        }
    }

    /// Such a peer acknowledges each window probe. With TCP_USER_TIMEOUT Linux takes it for lost nevertheless.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_live_peer_that_pauses_for_longer_than_keepalive_takes_is_not_lost() {
        let seconds = Duration::from_secs;
        let keepalive = SocketOptions::new().keepalive(seconds(1), seconds(1), 1);
        for (options, is_lost) in [(keepalive.clone().user_timeout(seconds(2)), true), (keepalive, false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let socket = connect(&[listener.local_addr().unwrap()], &options, soon(5000)).unwrap();
            let mut peer = listener.accept().unwrap().0;
            let payload = vec![7; 16 << 20];
            let length = payload.len() as u64;
            let stream = Stream::from(<Box<dyn Transport>>::from(socket));
            let sender = thread::spawn(move || {
                let sent = stream.write_all(&payload, SendDeadline::until(soon(60_000)));
                sent.map_err(|failed| failed.error.raw_os_error())
            });
            thread::sleep(seconds(5));
            assert_eq!(sender.is_finished(), is_lost);
            let arrived = io::copy(&mut (&mut peer).take(length), &mut io::sink());
            match sender.join().unwrap() {
                Ok(()) => assert!(!is_lost && arrived.unwrap() == length),
                Err(_) => assert!(is_lost, "the connection was lost though the peer is alive"),
            }
        }
    }

    #[test]
    fn everything_can_be_set_otherwise() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let options = SocketOptions::new()
            .without_nodelay()
            .without_keepalive()
            .without_user_timeout()
            .recv_buffer_size(50_000)
            .send_buffer_size(60_000)
            .configure(|socket| {
                assert!(!socket.tcp_nodelay().unwrap() && !socket.keepalive().unwrap());
                assert!(socket.recv_buffer_size().unwrap() >= 50_000 && socket.send_buffer_size().unwrap() >= 60_000);
                #[cfg(target_os = "linux")]
                assert_eq!(socket.tcp_user_timeout().unwrap(), None);
                Ok(())
            });
        connect(&[listener.local_addr().unwrap()], &options, Deadline::NEVER).unwrap();
    }

    #[test]
    fn the_next_address_is_tried_after_any_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let unreachable: SocketAddr = "255.255.255.255:9".parse().unwrap();
        let socket = connect(&[closed(), unreachable, good], &SocketOptions::new(), soon(5000)).unwrap();
        assert_eq!(socket.peer_addr(), Some(good));
    }

    fn error_of(addresses: &[SocketAddr], options: &SocketOptions) -> io::Error {
        match connect(addresses, options, soon(5000)).unwrap_err() {
            Error::Io { phase: Phase::Connect, error } => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_error_names_the_address_and_keeps_its_kind() {
        let address = closed();
        let error = error_of(&[address], &SocketOptions::new());
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().starts_with(&format!("{address}: ")), "{error}");
    }

    #[test]
    fn of_several_errors_the_one_that_tells_most_is_told() {
        use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut};
        let table = [
            (&[NetworkUnreachable, ConnectionRefused][..], ConnectionRefused),
            (&[ConnectionRefused, NetworkUnreachable], ConnectionRefused),
            (&[NetworkUnreachable, HostUnreachable, AddrNotAvailable], HostUnreachable),
            (&[HostUnreachable, TimedOut, NetworkUnreachable], TimedOut),
            (&[TimedOut, ConnectionRefused, TimedOut], ConnectionRefused),
            (&[AddrNotAvailable, NetworkUnreachable], AddrNotAvailable),
        ];
        for (errors, expected) in table {
            let mut failures = Failures::default();
            for &kind in errors {
                failures.add(closed(), kind.into());
            }
            assert_eq!(failures.0.map(|error| error.kind()), Some(expected), "{errors:?}");
        }
        assert!(matches!(Failures::default().into_error(), Error::Timeout(Phase::Connect)));
    }

    #[test]
    fn what_the_users_hook_says_is_told_as_it_is() {
        let refusing = SocketOptions::new().configure(|_| Err(io::Error::other("not this one")));
        let error = error_of(&[closed()], &refusing);
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::Other, "not this one"));
    }

    #[test]
    fn a_socket_that_would_connect_to_itself_is_refused() {
        // The port is nobody's until the socket takes it.
        let address = closed();
        let error = error_of(&[address], &SocketOptions::new().bind(address));
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
    }

    #[test]
    fn addresses_of_another_family_than_the_local_one_are_not_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let other: SocketAddr = "[::1]:9".parse().unwrap();
        let options = SocketOptions::new().bind(([127, 0, 0, 1], 0));
        assert_eq!(connect(&[other, good], &options, soon(5000)).unwrap().peer_addr(), Some(good));
        let Err(Error::Options(error)) = connect(&[other], &options, soon(5000)) else { panic!() };
        assert_eq!(error.option, "bind");
        assert_eq!(error.problem, "the host has no address of the family of 127.0.0.1");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_kept_to_or_the_connection_is_not_made() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let lo = SocketOptions::new().device("lo").quickack().configure(|socket| {
            assert_eq!(socket.device()?.as_deref(), Some(&b"lo"[..]));
            assert!(socket.tcp_quickack()?);
            Ok(())
        });
        connect(&[address], &lo, soon(5000)).unwrap();
        let error = error_of(&[address], &SocketOptions::new().device("no-such-0"));
        assert!(error.to_string().starts_with(&address.to_string()), "{error}");
    }

    #[test]
    fn a_server_that_does_not_answer_ends_at_the_deadline() {
        // A listener whose queue is full drops what comes after.
        let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let _queued: Vec<_> = (0..4).map(|_| connect(&[address], &SocketOptions::new(), soon(50))).collect();
        let start = Instant::now();
        let result = connect(&[address], &SocketOptions::new(), soon(80));
        if cfg!(target_os = "linux") {
            assert!(matches!(result, Err(Error::Timeout(Phase::Connect))), "{result:?}");
        }
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}
