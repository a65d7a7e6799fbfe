//! Addresses that nobody answers from, names that are nobody's, and openings that are cancelled.

use crate::*;

/// What happens before anybody answers.
pub(crate) fn network() -> Vec<Kind> {
    let is_connect = |error: &Error| matches!(error, Error::Io { phase: Phase::Connect, .. });
    let is_cancelled = |error: &Error| error.close_info().is_some_and(|info| info.cause == CloseCause::Cancelled);
    let connecting = |options: ConnectOptions, url: String| move || options.connect(&url).unwrap_err();
    let many: Vec<_> = (0..10).map(|_| refusing_address()).collect();
    let many = move || many.iter().map(RefusingAddress::address).collect();
    let unplugged = SocketOptions::new().configure(|_| Err(io::Error::other("cable unplugged")));
    let nameless = |error: &Error| matches!(error, Error::Address(_));
    let before = Cancellation::new();
    before.cancel();
    vec![
        at_nobody("nobody there", "ws", ConnectOptions::new(), is_connect),
        at_nobody("nobody there for TLS", "wss", ConnectOptions::new(), is_connect),
        Kind::new(
            "nobody at any of ten addresses",
            connecting(ConnectOptions::new().resolver(move |_, _| Ok(many())), "ws://ten.example/".into()),
            is_connect,
        )
        .shared(),
        at_nobody("a socket that cannot be set up", "ws", ConnectOptions::new().socket(unplugged), is_connect),
        Kind::new(
            "a name that does not resolve",
            connecting(
                ConnectOptions::new().resolver(|_, _| Err(io::Error::other("no such host"))),
                "ws://none.example/".into(),
            ),
            nameless,
        )
        .shared(),
        Kind::new(
            "a name without an address",
            connecting(ConnectOptions::new().resolver(|_, _| Ok(Vec::new())), "ws://none.example/".into()),
            nameless,
        )
        .shared(),
        Kind::new(
            "a name that takes too long",
            connecting(
                short().resolver(|_, _| {
                    thread::sleep(2 * SHORT);
                    Ok(Vec::new())
                }),
                "ws://slow.example/".into(),
            ),
            // Helpers that are still busy are counted, and a machine that is busy lets one come in time.
            |error| is_timeout(error) || matches!(error, Error::Address(_) | Error::Io { phase: Phase::Resolve, .. }),
        )
        .shared(),
        full(),
        at_nobody("cancelled before", "ws", ConnectOptions::new().cancellation(&before), is_cancelled),
        cancelled_by_the_server("ws", is_cancelled),
        cancelled_by_the_server("wss", is_cancelled),
        Kind::new(
            "no Unix socket there",
            connecting(ConnectOptions::new(), "ws+unix:///nonexistent/feed.sock:/".into()),
            is_connect,
        ),
    ]
}

/// At an address where nobody listens.
fn at_nobody(name: &str, scheme: &'static str, options: ConnectOptions, is_expected: fn(&Error) -> bool) -> Kind {
    let nobody = refusing_address();
    Kind::new(name, move || options.connect(&format!("{scheme}://{nobody}/")).unwrap_err(), is_expected)
}

/// A listener that takes no more connections: whoever comes waits.
fn full() -> Kind {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let waiting: Vec<_> = (0..4).map(|_| TcpStream::connect_timeout(&address, ms(20))).collect();
    let options = short();
    let attempt = move || {
        let _keep = (&listener, &waiting);
        options.connect(&format!("ws://{address}/")).unwrap_err()
    };
    Kind::new("nobody answers", attempt, is_timeout)
}

/// The server calls the opening off as soon as it hears of it.
fn cancelled_by_the_server(scheme: &'static str, is_expected: fn(&Error) -> bool) -> Kind {
    let current = Arc::new(Mutex::new(Cancellation::new()));
    let heard = Arc::clone(&current);
    let server = Server::new(move |mut stream| {
        if stream.read(&mut [0; 4096]).is_ok() {
            heard.lock().unwrap().cancel();
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let url = format!("{scheme}://{}/", server.address);
    let attempt = move || {
        let cancellation = Cancellation::new();
        *current.lock().unwrap() = cancellation.clone();
        ConnectOptions::new().cancellation(&cancellation).connect(&url).unwrap_err()
    };
    // What wakes the one thread is dropped by the other.
    Kind { _server: Some(server), ..Kind::new(format!("cancelled by the server, {scheme}"), attempt, is_expected) }
        .shared()
}
