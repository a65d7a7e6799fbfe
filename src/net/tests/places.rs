//! Places beside a host and a port: sockets in the file system, addresses with a zone.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener};

use super::{dial, long, patient, read_exact};
use crate::error::{Error, Result};
use crate::net::layer::Layer;
use crate::net::stream::Stream;
use crate::options::ConnectOptions;
use crate::url::Target;

fn zoned(address: SocketAddr, zone: &str) -> Target {
    let target = Target::parse(&format!("ws://[{}]:{}/", address.ip(), address.port())).unwrap();
    Target { zone: Some(zone.to_owned()), ..target }
}

fn connect(target: &Target) -> Result<Stream> {
    Ok(dial(target, &ConnectOptions::new(), long())?.0)
}

/// An address of this machine with the number and the name of its interface, if it has one that is link-local.
fn link_local() -> Option<(SocketAddrV6, String)> {
    let table = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let address = Ipv6Addr::from_bits(u128::from_str_radix(fields.next()?, 16).ok()?);
        let number = u32::from_str_radix(fields.next()?, 16).ok()?;
        let name = fields.last()?.to_owned();
        address.is_unicast_link_local().then_some((SocketAddrV6::new(address, 0, 0, number), name))
    })
}

#[test]
fn a_link_local_address_is_reached_through_the_interface_that_its_zone_names() {
    let Some((address, name)) = link_local() else { return };
    let listener = TcpListener::bind(address).unwrap();
    let bound = listener.local_addr().unwrap();
    for zone in [name, address.scope_id().to_string()] {
        let stream = connect(&zoned(bound, &zone)).unwrap();
        assert_eq!(stream.peer_addr(), Some(bound));
    }
    // The loopback interface has no way there.
    connect(&zoned(bound, "1")).unwrap_err();
}

#[test]
fn an_interface_that_does_not_exist_is_told_by_name() {
    let error = connect(&zoned("[fe80::1]:9".parse().unwrap(), "no-such-0")).unwrap_err();
    assert!(matches!(&error, Error::Address(inner) if inner.problem.kind() == io::ErrorKind::NotFound), "{error:?}");
}

#[cfg(unix)]
mod unix {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread::{self, JoinHandle};
    use std::time::{Duration, Instant};

    use super::super::tls_peer::accept;
    use super::super::{Authority, soon};
    use super::*;
    use crate::cancellation::Cancellation;
    use crate::error::Phase;
    use crate::options::{SocketOptions, TlsOptions};

    const MS: Duration = Duration::from_millis(1);

    /// A path that is nobody else's, and a socket there for as long as this lives.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Self {
            static LAST: AtomicU32 = AtomicU32::new(0);
            let number = LAST.fetch_add(1, Ordering::Relaxed);
            Self(std::env::temp_dir().join(format!("websocket-sync-{}-{number}.socket", std::process::id())))
        }

        fn target(&self, url: &str) -> Target {
            Target { socket_path: Some(self.0.clone()), ..Target::parse(url).unwrap() }
        }

        /// Serves one connection on a thread of its own.
        fn serve(&self, serve: impl FnOnce(UnixStream) + Send + 'static) -> JoinHandle<()> {
            let listener = UnixListener::bind(&self.0).unwrap();
            thread::spawn(move || serve(listener.accept().unwrap().0))
        }

        /// A listener that takes nobody in, and those who fill its queue.
        #[cfg(target_os = "linux")]
        fn full(&self) -> (socket2::Socket, Vec<socket2::Socket>) {
            let new = || socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
            let address = socket2::SockAddr::unix(&self.0).unwrap();
            let listener = new();
            listener.bind(&address).unwrap();
            listener.listen(0).unwrap();
            let mut queued = Vec::new();
            loop {
                let socket = new();
                socket.set_nonblocking(true).unwrap();
                if socket.connect(&address).is_err() {
                    return (listener, queued);
                }
                queued.push(socket);
            }
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn echo(mut stream: impl Read + Write) {
        let mut buf = [0; 5];
        stream.read_exact(&mut buf).unwrap();
        stream.write_all(&buf).unwrap();
        stream.flush().unwrap();
    }

    fn assert_echoes(stream: &Stream) {
        stream.write_all(b"Hello", patient()).unwrap();
        assert_eq!(read_exact(stream, 5), b"Hello");
    }

    #[test]
    fn a_unix_socket_carries_bytes_and_has_no_address() {
        let place = Place::new();
        let server = place.serve(echo);
        let target = place.target("ws://localhost/");
        let (stream, timings) = dial(&target, &ConnectOptions::new(), long()).unwrap();
        assert_echoes(&stream);
        assert_eq!((stream.local_addr(), stream.peer_addr()), (None, None));
        assert!(timings.resolve.is_none() && timings.connect.is_some());
        server.join().unwrap();
    }

    #[test]
    fn tls_over_a_unix_socket_asks_for_the_name_of_the_host_or_the_one_that_was_given() {
        let authority = Authority::new();
        let trusting = TlsOptions::new().ca_certs_pem(&authority.pem);
        for (name, tls) in
            [("localhost", trusting.clone()), ("inner.example", trusting.server_hostname("inner.example"))]
        {
            let place = Place::new();
            let config = authority.server(name);
            let server = place.serve(move |socket| echo(accept(config, socket).unwrap()));
            let options = ConnectOptions::new().tls(tls);
            let (stream, _) = dial(&place.target("wss://localhost/"), &options, long()).unwrap();
            assert_echoes(&stream);
            server.join().unwrap();
        }
    }

    #[test]
    fn the_hook_and_the_sizes_of_the_buffers_are_for_unix_sockets_too() {
        let place = Place::new();
        let server = place.serve(drop);
        let seen = Arc::new(Mutex::new(None));
        let hook = {
            let seen = Arc::clone(&seen);
            move |socket: &socket2::Socket| {
                *seen.lock().unwrap() = Some((socket.local_addr()?.is_unix(), socket.recv_buffer_size()?));
                Ok(())
            }
        };
        let socket = SocketOptions::new().recv_buffer_size(50_000).configure(hook);
        let options = ConnectOptions::new().socket(socket);
        dial(&place.target("ws://localhost/"), &options, long()).unwrap();
        let (is_unix, size) = seen.lock().unwrap().take().unwrap();
        assert!(is_unix);
        assert!(size >= 50_000);
        server.join().unwrap();
    }

    #[test]
    fn errors_name_the_path() {
        let place = Place::new();
        let Err(Error::Io { phase: Phase::Connect, error }) = connect(&place.target("ws://localhost/")) else {
            panic!()
        };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with(place.0.to_str().unwrap()), "{error}");
        let long = Place(PathBuf::from("/".repeat(300)));
        assert!(matches!(connect(&long.target("ws://localhost/")), Err(Error::Io { phase: Phase::Connect, .. })));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_listener_whose_queue_is_full_is_waited_for_until_the_deadline() {
        let place = Place::new();
        let (listener, _queued) = place.full();
        let target = place.target("ws://localhost/");
        let start = Instant::now();
        let result = dial(&target, &ConnectOptions::new(), soon(80));
        assert!(matches!(result, Err(Error::Timeout(Phase::Connect))), "{result:?}");
        assert!((80 * MS..1000 * MS).contains(&start.elapsed()), "{:?}", start.elapsed());
        let room = thread::spawn(move || {
            thread::sleep(50 * MS);
            listener.accept().unwrap();
            listener
        });
        connect(&target).unwrap();
        room.join().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn whoever_makes_the_socket_block_does_not_extend_the_wait_for_a_listener_whose_queue_is_full() {
        let place = Place::new();
        let (listener, _queued) = place.full();
        let clone = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&clone);
        let options = ConnectOptions::new().socket(SocketOptions::new().configure(move |socket| {
            *kept.lock().unwrap() = Some(socket.try_clone()?);
            Ok(())
        }));
        let over = Arc::new(AtomicU32::new(0));
        let owner = thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let start = Instant::now();
                while over.load(Ordering::Relaxed) == 0 && start.elapsed() < 5000 * MS {
                    if let Some(socket) = &*clone.lock().unwrap() {
                        socket.set_nonblocking(false).unwrap();
                    }
                    thread::sleep(10 * MS);
                }
                // Else it would hang.
                drop(listener);
            }
        });
        let target = place.target("ws://localhost/");
        let start = Instant::now();
        let result = dial(&target, &options, soon(300));
        let took = start.elapsed();
        over.store(1, Ordering::Relaxed);
        owner.join().unwrap();
        assert!(matches!(result, Err(Error::Timeout(Phase::Connect))), "{result:?}");
        assert!((300 * MS..1300 * MS).contains(&took), "{took:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_cancel_ends_the_wait_for_a_listener_whose_queue_is_full() {
        let place = Place::new();
        let _full = place.full();
        let cancellation = Cancellation::new();
        let options = ConnectOptions::new().cancellation(&cancellation);
        let canceller = thread::spawn(move || {
            thread::sleep(30 * MS);
            cancellation.cancel();
        });
        let start = Instant::now();
        dial(&place.target("ws://localhost/"), &options, long()).unwrap_err();
        assert!((30 * MS..1000 * MS).contains(&start.elapsed()), "{:?}", start.elapsed());
        canceller.join().unwrap();
    }
}
