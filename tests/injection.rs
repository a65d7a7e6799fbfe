//! What the user gives cannot break out of its place: it is refused before anybody is connected to, and not a byte is sent.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io;
use std::net::{SocketAddr, TcpListener};

use support::{Peer, bounded};
use websocket_sync::protocol::LocalProtocolError;
use websocket_sync::{ConnectOptions, Error, Proxy, SocketOptions, TlsOptions};

/// What would break out of a line, or is allowed in none.
const INJECTIONS: [&str; 12] = [
    "a\r\nX-Evil: 1",
    "a\nX-Evil: 1",
    "a\rX-Evil: 1",
    "a\r\n\r\nGET /evil HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
    "\r\n",
    "\n",
    "a\0b",
    "a\u{7f}b",
    "a\u{1b}[2Jb",
    "a\u{8}b",
    "a\u{b}b",
];

/// What separates the parts of a line, and is harmless in a value that reaches to its end.
const SEPARATORS: [&str; 3] = ["a b", "a\tb", " a"];

/// A server that must not be asked.
struct Trap {
    listener: TcpListener,
    address: SocketAddr,
}

impl Trap {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// Tries to connect in both ways; the error must be the same.
    #[track_caller]
    fn refused(&self, options: &ConnectOptions, url: &str) -> Error {
        let address = self.address;
        let options = options.clone().resolver(move |_, _| Ok(vec![address]));
        let error = options.connect(url).unwrap_err();
        match self.listener.accept() {
            Err(nobody) => assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock),
            Ok((stream, _)) => panic!("{url:?}: connected, and sent {:?}", Peer::new(stream).rest()),
        }
        let (ours, theirs) = support::narrow();
        let over = options.connect_over(ours, url).unwrap_err();
        assert_eq!(Peer::new(theirs).rest(), b"", "something was sent for {url:?}");
        assert_eq!(over.to_string(), error.to_string());
        error
    }
}

/// How a field is given its text, and what it is refused with.
struct Field {
    name: &'static str,
    put: fn(ConnectOptions, &str) -> ConnectOptions,
    is_expected: fn(&Error) -> bool,
}

const fn field(
    name: &'static str,
    put: fn(ConnectOptions, &str) -> ConnectOptions,
    is_expected: fn(&Error) -> bool,
) -> Field {
    Field { name, put, is_expected }
}

fn is_illegal(error: &Error) -> bool {
    matches!(error, Error::Usage(LocalProtocolError::IllegalCharacter(_)))
}

fn is_option(error: &Error) -> bool {
    matches!(error, Error::Options(_))
}

/// The fields of which the text stands in a place of its own.
const PARTS: &[Field] = &[
    field("header name", |options, text| options.header(text, "value"), is_illegal),
    field("second header name", |options, text| options.headers([("X-One", "1"), (text, "2")]), is_illegal),
    field("provided header name", |options, text| provided(options, text, "value"), is_illegal),
    field("host", |options, text| options.host(text), is_illegal),
    field("subprotocol", |options, text| options.subprotocols(["ok", text]), is_illegal),
    field("server name", |options, text| options.tls(TlsOptions::new().server_hostname(text)), is_option),
];

/// The fields of which the text reaches to the end of its line.
const VALUES: &[Field] = &[
    field("header value", |options, text| options.header("X-Name", text), is_illegal),
    field("second header value", |options, text| options.headers([("X-One", "1"), ("X-Two", text)]), is_illegal),
    field("provided header value", |options, text| provided(options, "X-Name", text), is_illegal),
    field("header value in bytes", |options, text| options.header_bytes("X-Name", text), is_illegal),
    field("a header that replaces ours", |options, text| options.header("Origin", text), is_illegal),
    field("a cookie that replaces ours", |options, text| options.cookie("a=b").header("Cookie", text), is_illegal),
    field("origin", |options, text| options.origin(text), is_illegal),
    field("cookie", |options, text| options.cookie(text), is_illegal),
    field("connection", |options, text| options.connection(format!("Upgrade, {text}")), is_illegal),
];

/// What TLS libraries are given.
const TLS: &[Field] = &[
    field("protocol", |options, text| options.tls(TlsOptions::new().alpn(["ok", text])), is_option),
    field("pin", |options, text| options.tls(TlsOptions::new().pin_sha256(text)), is_option),
    field("server name of a proxy", |options, text| options.proxy(named(text)), is_option),
    field("authorities", |options, text| options.tls(TlsOptions::new().ca_certs(text)), is_option),
    field("certificate", |options, text| options.tls(TlsOptions::new().client_cert(text, text)), is_option),
    field("cipher", |options, text| options.tls(TlsOptions::new().cipher_suites([text])), is_option),
    field("group", |options, text| options.tls(TlsOptions::new().key_exchange_groups([text])), is_option),
];

fn named(text: &str) -> Proxy {
    Proxy::new("https://127.0.0.1:1").tls(TlsOptions::new().server_hostname(text))
}

/// The credentials that are not sent before somebody asks for them.
const CREDENTIALS: &[Field] = &[
    field("user", |options, text| options.credentials(text, "password"), is_option),
    field("password", |options, text| options.credentials("user", text), is_option),
];

fn provided(options: ConnectOptions, name: &str, value: &str) -> ConnectOptions {
    let field = (name.to_owned(), value.to_owned());
    options.header_provider(move || Ok(vec![field.clone()]))
}

#[test]
fn nothing_can_be_injected_by_an_option() {
    bounded(60, || {
        let trap = Trap::new();
        let table = [
            (PARTS, &INJECTIONS[..]),
            (VALUES, &INJECTIONS),
            (CREDENTIALS, &INJECTIONS),
            (TLS, &INJECTIONS),
            (PARTS, &SEPARATORS),
        ];
        for (fields, texts) in table {
            for Field { name, put, is_expected } in fields {
                for text in texts {
                    let error = trap.refused(&put(ConnectOptions::new(), text), "wss://host.example/");
                    assert!(is_expected(&error), "{text:?} as {name}: {error:?}");
                    assert!(!error.is_retryable());
                }
            }
        }
    });
}

#[test]
fn a_separator_stays_inside_of_the_value_that_it_is_in() {
    bounded(30, || {
        for Field { name, put, .. } in VALUES {
            for text in SEPARATORS {
                let plain = head(&put(ConnectOptions::new(), "a"), "ws://host.example/");
                let spaced = head(&put(ConnectOptions::new(), text), "ws://host.example/");
                let differing = plain.lines().zip(spaced.lines()).filter(|(plain, spaced)| plain != spaced);
                // The key differs, too.
                assert_eq!(differing.count(), 2, "{text:?} as {name}: {spaced}");
                assert_eq!(plain.lines().count(), spaced.lines().count(), "{text:?} as {name}: {spaced}");
            }
        }
    });
}

#[test]
fn nothing_can_be_injected_by_a_url() {
    bounded(60, || {
        let trap = Trap::new();
        let forms: [fn(&str) -> String; 13] = [
            |text| format!("ws://host/{text}"),
            |text| format!("ws://host/path;{text}/more"),
            |text| format!("ws://host/?{text}"),
            |text| format!("ws://host/#{text}"),
            |text| format!("ws://ho{text}st/"),
            |text| format!("ws://us{text}er@host/"),
            |text| format!("ws://user:pass{text}word@host/"),
            |text| format!("ws://host:8{text}0/"),
            |text| format!("ws://[fe80::1%25{text}]/"),
            |text| format!("w{text}s://host/"),
            |text| format!("{text}ws://host/"),
            |text| format!("ws+unix:///run/{text}.sock:/"),
            |text| format!("ws+unix:///run/feed.sock:/{text}"),
        ];
        for form in forms {
            for text in INJECTIONS {
                let url = form(text);
                let error = trap.refused(&ConnectOptions::new(), &url);
                assert!(matches!(error, Error::Url(_)), "{url:?}: {error:?}");
            }
        }
        // A space is encoded in path and query, dropped with the fragment, and refused elsewhere.
        for form in &forms[4..11] {
            for text in SEPARATORS {
                let url = form(text);
                let error = trap.refused(&ConnectOptions::new(), &url);
                assert!(matches!(error, Error::Url(_)), "{url:?}: {error:?}");
            }
        }
    });
}

#[test]
fn what_is_percent_encoded_stays_so() {
    bounded(10, || {
        let head = |url| head(&ConnectOptions::new(), url);
        let line = |url| head(url).lines().next().unwrap().to_owned();
        assert_eq!(line("ws://host/a%0d%0aX-Evil:%201?b%00%0A"), "GET /a%0d%0aX-Evil:%201?b%00%0A HTTP/1.1");
        assert_eq!(line("ws://host/a b HTTP/1.1?c d#e f"), "GET /a%20b%20HTTP/1.1?c%20d HTTP/1.1");
        // User and password are decoded, and encoded again as base64.
        let with_line_end = head("ws://user%0d%0aX-Evil:1@host/");
        assert!(!with_line_end.contains("X-Evil"), "{with_line_end}");
        assert!(with_line_end.contains("Authorization: Basic dXNlcg0KWC1FdmlsOjE=\r\n"), "{with_line_end}");
    });
}

#[test]
fn names_and_values_that_change_what_the_request_is_are_refused() {
    bounded(20, || {
        let trap = Trap::new();
        let refused = |options: ConnectOptions| trap.refused(&options, "ws://host.example/");
        for name in ["", "a b", "a:", "a,b", "\u{e9}", "(a)", "a\"", "a/b", "[a]"] {
            assert!(is_illegal(&refused(ConnectOptions::new().header(name, "value"))), "{name:?}");
        }
        for host in ["a@b", "a/b", "a?b", "a#b", "a,b", "b\u{fc}cher.example"] {
            assert!(is_illegal(&refused(ConnectOptions::new().host(host))), "{host:?}");
        }
        for name in ["Sec-WebSocket-Version", "sec-websocket-key", "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions"] {
            let error = refused(ConnectOptions::new().header(name, "8"));
            assert!(matches!(error, Error::Usage(LocalProtocolError::ReservedHeader(_))), "{name}: {error:?}");
        }
        for (name, value) in [("Upgrade", "h2c"), ("Connection", "close"), ("Host", "a/b")] {
            let error = refused(ConnectOptions::new().header(name, value));
            assert!(matches!(error, Error::Usage(LocalProtocolError::HeaderValue(_))), "{name}: {error:?}");
        }
        let error = refused(ConnectOptions::new().subprotocols(["a", "a"]));
        assert!(matches!(error, Error::Usage(LocalProtocolError::RepeatedSubprotocol)), "{error:?}");
        let error = refused(ConnectOptions::new().headers([("Host", "a"), ("host", "b")]));
        assert!(matches!(error, Error::Usage(LocalProtocolError::RepeatedHeader("Host"))), "{error:?}");
    });
}

#[test]
fn a_device_is_a_name_for_this_machine_alone() {
    let trap = Trap::new();
    for text in INJECTIONS {
        let options = ConnectOptions::new().socket(SocketOptions::new().device(text));
        let address = trap.address;
        let error = options.resolver(move |_, _| Ok(vec![address])).connect("ws://host.example/").unwrap_err();
        assert!(matches!(error, Error::Io { .. } | Error::Options(_)), "{error:?}");
        assert_eq!(trap.listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "{text:?}");
    }
}

#[cfg(feature = "cookies")]
#[test]
fn nothing_can_be_injected_by_a_cookie_that_is_kept() {
    use websocket_sync::CookieJar;

    let jar = CookieJar::new();
    let url = "wss://host.example/";
    for text in INJECTIONS {
        for cookie in [
            format!("{text}=b"),
            format!("a={text}"),
            format!("a=b; Path=/{text}"),
            format!("a=b; Domain={text}"),
            format!("a=b; Expires={text}"),
            format!("a=b; {text}"),
        ] {
            let error = jar.set(url, &cookie).unwrap_err();
            assert!(matches!(error, Error::Cookie(_)), "{cookie:?}: {error:?}");
        }
        assert!(matches!(jar.set(&format!("wss://host.example/{text}"), "a=b"), Err(Error::Url(_))));
    }
    // A saved jar that somebody has changed. Where a line ends, the next begins: both are read for what they are.
    let path = std::env::temp_dir().join(format!("websocket-sync-injection-{}", std::process::id()));
    for text in INJECTIONS {
        for line in [
            format!("host.example\tFALSE\t/\tFALSE\t0\ta\t{text}"),
            format!("host.example\tFALSE\t/\tFALSE\t0\t{text}\tb"),
            format!("host.example\tFALSE\t/{text}\tFALSE\t0\ta\tb"),
            format!("{text}\tTRUE\t/\tFALSE\t0\ta\tb"),
        ] {
            std::fs::write(&path, &line).unwrap();
            match CookieJar::load(&path) {
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{line:?}"),
                Ok(jar) => {
                    let header = jar.cookies_for("wss://host.example/").unwrap_or_default();
                    assert!(["", "a=", "a=a"].contains(&&*header), "{line:?}: {header:?}");
                }
            }
        }
    }
    std::fs::remove_file(&path).unwrap();
    assert!(jar.is_empty());
}

/// The head of the request that goes out.
#[track_caller]
fn head(options: &ConnectOptions, url: &str) -> String {
    let (ours, theirs) = support::narrow();
    let peer = std::thread::spawn(move || {
        let mut peer = Peer::new(theirs);
        let head = peer.head();
        peer.say(support::answer_to(&head));
        head
    });
    drop(options.connect_over(ours, url).unwrap());
    support::join(peer)
}
