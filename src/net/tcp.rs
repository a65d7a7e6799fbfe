//! TCP connections: their options, and the addresses one after the other.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, TcpKeepalive, Type};

use super::deadline::{Deadline, timed_out};
use super::transport::Socket;
use crate::error::{Error, Phase, Result};
use crate::options::SocketOptions;

/// How long one address may keep those after it waiting.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Connects to the first of `addresses` that answers, whatever is wrong with those before it.
///
/// # Errors
///
/// [`Error::Timeout`] when time runs out, otherwise what was wrong with the last address.
pub(super) fn connect(addresses: &[SocketAddr], options: &SocketOptions, deadline: Deadline) -> Result<Socket> {
    let mut problem = timed_out();
    for (i, &address) in addresses.iter().enumerate() {
        let is_last = i + 1 == addresses.len();
        match attempt(address, options, is_last, deadline) {
            Ok(socket) => return Ok(Socket::new(socket)),
            Err(error) => {
                log::debug!("cannot connect to {address}: {error}");
                problem = error;
            }
        }
        if deadline.is_over() {
            return Err(Error::Timeout(Phase::Connect));
        }
    }
    Err(if problem.kind() == io::ErrorKind::TimedOut {
        Error::Timeout(Phase::Connect)
    } else {
        Error::Io { phase: Phase::Connect, error: problem }
    })
}

fn attempt(
    address: SocketAddr,
    options: &SocketOptions,
    is_last: bool,
    deadline: Deadline,
) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    apply(options, SockRef::from(&socket));
    let socket = match &options.configure {
        None => socket,
        Some(configure) => {
            let socket = TcpStream::from(socket);
            (configure.0)(&socket)?;
            socket.into()
        }
    };
    let remaining = deadline.wait()?.unwrap_or(Duration::MAX);
    let limit = if is_last { remaining } else { remaining.min(ATTEMPT) };
    socket.connect_timeout(&address.into(), limit)?;
    refuse_self(&socket)?;
    Ok(socket)
}

/// A port of this machine on which nobody listens can be the very one that the system gave this socket: it would then
/// talk to itself.
fn refuse_self(socket: &socket2::Socket) -> io::Result<()> {
    if socket.local_addr()?.as_socket() == socket.peer_addr()?.as_socket() {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(())
}

/// Sets what the platform has. Nothing here is worth failing for.
fn apply(options: &SocketOptions, socket: SockRef<'_>) {
    let tell = |name: &str, result: io::Result<()>| {
        if let Err(error) = result {
            log::debug!("cannot set {name}: {error}");
        }
    };
    tell("TCP_NODELAY", socket.set_tcp_nodelay(options.nodelay));
    if let Some(keepalive) = options.keepalive {
        let settings = TcpKeepalive::new().with_time(keepalive.idle).with_interval(keepalive.interval);
        tell("keepalive", socket.set_tcp_keepalive(&settings.with_retries(keepalive.count)));
    }
    #[cfg(target_os = "linux")]
    if options.user_timeout.is_some() {
        tell("TCP_USER_TIMEOUT", socket.set_tcp_user_timeout(options.user_timeout));
    }
    if let Some(bytes) = options.recv_buffer_size {
        tell("SO_RCVBUF", socket.set_recv_buffer_size(bytes));
    }
    if let Some(bytes) = options.send_buffer_size {
        tell("SO_SNDBUF", socket.set_send_buffer_size(bytes));
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;
    use crate::net::transport::Transport;

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
            let socket = SockRef::from(socket);
            assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
            #[cfg(target_os = "linux")]
            {
                assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
                assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
                assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
                assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(60)));
            }
            Ok(())
        });
        let address = listener.local_addr().unwrap();
        let socket = connect(&[address], &options, soon(5000)).unwrap();
        assert_eq!(socket.peer_addr(), Some(address));
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
                let socket = SockRef::from(socket);
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

    #[test]
    fn the_last_error_is_told() {
        let error = connect(&[closed(), closed()], &SocketOptions::new(), soon(5000)).unwrap_err();
        assert!(
            matches!(&error, Error::Io { error, .. } if error.kind() == io::ErrorKind::ConnectionRefused),
            "{error:?}"
        );
        let refusing = SocketOptions::new().configure(|_| Err(io::ErrorKind::PermissionDenied.into()));
        let error = connect(&[closed()], &refusing, soon(5000)).unwrap_err();
        assert!(
            matches!(&error, Error::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied),
            "{error:?}"
        );
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
