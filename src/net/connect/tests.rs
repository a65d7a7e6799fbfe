//! Connecting, on loopback; happy eyeballs without clock and sockets.

#[path = "../../../tests/support/refusing.rs"]
mod refusing;

use std::io::Read;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Type};

use self::refusing::refusing_address;
use super::*;
use crate::net::layer::Layer;
use crate::net::send_timer::SendDeadline;
use crate::net::stream::Stream;
#[cfg(target_os = "linux")]
use crate::net::tests::cases::Cases;
use crate::net::transport::Transport;
use crate::net::wait_mode::block_on;
use crate::options::ConnectOptions;

fn connect(addresses: &[SocketAddr], options: &SocketOptions, deadline: Deadline) -> Result<Arc<Socket>> {
    let options = ConnectOptions::new().socket(options.clone());
    let addresses = of_local_family("host.example", addresses.to_vec(), options.settings().socket.bind)?;
    block_on(super::connect(&WaitMode::Blocking, addresses, options.settings(), deadline))
}

fn soon(ms: u64) -> Deadline {
    Deadline::after(Some(Duration::from_millis(ms)))
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
    let mut cases = Cases::new();
    for (name, options, is_lost) in
        [("with a user timeout", keepalive.clone().user_timeout(seconds(2)), true), ("without one", keepalive, false)]
    {
        cases.add(name, move || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let socket = connect(&[listener.local_addr().unwrap()], &options, soon(5000)).unwrap();
            let mut peer = listener.accept().unwrap().0;
            let payload = vec![7; 16 << 20];
            let length = payload.len() as u64;
            let stream = Stream::Plain(socket);
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
        });
    }
    cases.run(60);
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
    let nobody = refusing_address();
    let socket = connect(&[nobody.address(), unreachable, good], &SocketOptions::new(), soon(5000)).unwrap();
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
    let nobody = refusing_address();
    let error = error_of(&[nobody.address()], &SocketOptions::new());
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().starts_with(&format!("{nobody}: ")), "{error}");
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
    let address = SocketAddr::from(([127, 0, 0, 1], 9));
    for (errors, expected) in table {
        let mut failures = Failures::default();
        for &kind in errors {
            failures.add(address, kind.into());
        }
        assert_eq!(failures.0.map(|failure| failure.error.kind()), Some(expected), "{errors:?}");
    }
    assert!(matches!(Failures::default().into_error(), Error::Timeout(Phase::Connect)));
}

/// A link-local address without its zone, or of a family that the system does not have, says nothing of the server; to have no way there
/// may change.
#[test]
fn an_address_that_means_nothing_to_the_system_tells_least() {
    let without_zone = "[fe80::1]:9".parse().unwrap();
    let nobody = refusing_address();
    for addresses in [[without_zone, nobody.address()], [nobody.address(), without_zone]] {
        let error = error_of(&addresses, &SocketOptions::new());
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
    }
    for meaningless in [Errno::INVAL, Errno::AFNOSUPPORT] {
        for other in [Errno::NETUNREACH, Errno::ADDRNOTAVAIL, Errno::HOSTUNREACH, Errno::TIMEDOUT] {
            for errors in [[meaningless, other], [other, meaningless]] {
                let mut failures = Failures::default();
                errors.into_iter().for_each(|error| failures.add(nobody.address(), error.into()));
                assert_eq!(
                    failures.0.map(|failure| failure.error.kind()),
                    Some(io::Error::from(other).kind()),
                    "{errors:?}"
                );
            }
        }
    }
}

#[test]
fn what_the_users_hook_says_is_told_as_it_is() {
    let failing = SocketOptions::new().configure(|_| Err(io::Error::other("not this one")));
    let nobody = refusing_address();
    let error = error_of(&[nobody.address()], &failing);
    assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::Other, "not this one"));
}

#[test]
fn a_socket_that_would_connect_to_itself_is_refused() {
    // The port is nobody's until the socket takes it. Where it was given to another test meanwhile, another port is taken.
    let mut attempts = (0..10).map(|_| {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        error_of(&[address], &SocketOptions::new().bind(address))
    });
    let error = attempts.find(|error| error.kind() != io::ErrorKind::AddrInUse).unwrap();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
}

#[test]
fn addresses_of_another_family_than_the_local_one_are_not_tried() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = listener.local_addr().unwrap();
    let other: SocketAddr = "[::1]:9".parse().unwrap();
    let options = SocketOptions::new().bind(([127, 0, 0, 1], 0));
    assert_eq!(connect(&[other, good], &options, soon(5000)).unwrap().peer_addr(), Some(good));
    let Err(Error::Address(error)) = connect(&[other], &options, soon(5000)) else { panic!() };
    assert_eq!(error.problem.to_string(), "it has no address of the family of 127.0.0.1, the local address (bind)");
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

mod race {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const LIMIT: Duration = Duration::from_secs(10);

    fn address(number: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, number], 80))
    }

    /// Lets everybody start whose turn it is; says who that was.
    fn start(race: &mut Race<u8>, now: Instant) -> Vec<u8> {
        let mut started = Vec::new();
        while let Some(address) = race.next(now) {
            let SocketAddr::V4(v4) = address else { unreachable!() };
            started.push(v4.ip().octets()[3]);
            race.enter(address, v4.ip().octets()[3], now);
        }
        started
    }

    fn race(addresses: u8, limit: impl Into<Option<Duration>>) -> Race<u8> {
        Race::new((1..=addresses).map(address).collect(), limit.into())
    }

    #[test]
    fn one_starts_every_250_ms() {
        let begin = Instant::now();
        let mut race = race(3, LIMIT);
        let table: [(u32, &[u8], Option<Duration>); 7] = [
            (0, &[1], Some(250 * MS)),
            (1, &[], Some(249 * MS)),
            (249, &[], Some(MS)),
            (250, &[2], Some(250 * MS)),
            (499, &[], Some(MS)),
            (600, &[3], Some(9400 * MS)),
            (5000, &[], Some(5000 * MS)),
        ];
        for (ms, started, wait) in table {
            let now = begin + ms * MS;
            assert_eq!(start(&mut race, now), started, "{ms} ms");
            assert_eq!(race.wait(now), wait, "{ms} ms");
        }
        assert_eq!(race.attempts().copied().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn after_a_failure_the_next_starts_at_once_and_has_250_ms_for_itself() {
        let begin = Instant::now();
        let mut race = race(4, LIMIT);
        assert_eq!(start(&mut race, begin), [1]);
        assert_eq!(race.leave(0).address, address(1));
        assert_eq!(start(&mut race, begin + 10 * MS), [2]);
        assert_eq!(start(&mut race, begin + 259 * MS), [0; 0]);
        assert_eq!(start(&mut race, begin + 260 * MS), [3]);
        assert_eq!(race.leave(1).attempt, 3);
        assert_eq!(start(&mut race, begin + 261 * MS), [4]);
    }

    #[test]
    fn who_cannot_even_start_costs_no_time() {
        let begin = Instant::now();
        let mut race = race(3, LIMIT);
        assert_eq!(race.next(begin), Some(address(1)));
        assert_eq!(race.next(begin), Some(address(2)));
        assert_eq!(start(&mut race, begin), [3]);
        race.leave(0);
        assert!(race.is_over());
    }

    #[test]
    fn an_address_is_given_up_after_its_limit_and_the_last_one_only_if_the_user_says_so() {
        let begin = Instant::now();
        for limit in [None, Some(LIMIT)] {
            let (mut race, is_users, limit) = (race(2, limit), limit.is_some(), limit.unwrap_or(ATTEMPT));
            start(&mut race, begin);
            start(&mut race, begin + STAGGER);
            assert!(race.expire(begin + limit - MS).is_none());
            assert_eq!(race.expire(begin + limit).map(|runner| runner.attempt), Some(1));
            assert_eq!(race.wait(begin + limit), is_users.then_some(STAGGER));
            assert_eq!(race.expire(begin + limit + STAGGER).map(|runner| runner.attempt), is_users.then_some(2));
            assert_eq!(race.is_over(), is_users);
        }
    }

    #[test]
    fn one_that_expires_makes_room_for_those_who_wait() {
        let begin = Instant::now();
        let mut race = race(2, 100 * MS);
        start(&mut race, begin);
        assert_eq!(race.wait(begin), Some(100 * MS));
        assert!(race.expire(begin + 100 * MS).is_some());
        assert_eq!(start(&mut race, begin + 100 * MS), [2]);
    }

    #[test]
    fn limits_without_end_and_clocks_that_stand_still_do_no_harm() {
        let begin = Instant::now();
        let mut race = race(2, Duration::MAX);
        start(&mut race, begin);
        start(&mut race, begin + STAGGER);
        assert!(race.expire(begin + 100 * LIMIT).is_none());
        assert!(race.wait(begin).is_some_and(|wait| wait > 100 * LIMIT));
        assert!(Race::<u8>::new(Vec::new(), None).is_over());
    }
}
