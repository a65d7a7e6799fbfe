//! Every error: how it is worded, what it says of itself, and how it comes about.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt::Debug;
use std::io::{self, Write as _};

use support::{Peer, bounded, closed, frame, masked_frame, ms, open, serve};
use websocket_sync::protocol::{Frame, LocalProtocolError, ProtocolError, Rsv};
use websocket_sync::{
    Cancellation, CloseCause, CloseCode, ConnectOptions, CookieError, Error, HandshakeError, Message, MessageKind,
    Opcode, Phase, Proxy, ProxyError, RedirectProblem, Retry, SocketOptions, TlsErrorKind, UrlError, WebSocket,
    WebSocketApp, create_connection,
};

/// The variants that an enum has in its source.
fn variants_of(name: &str, source: &str) -> BTreeSet<String> {
    let start = source.find(&format!("pub enum {name} {{")).expect("the enum");
    let body = &source[start..][..source[start..].find("\n}").unwrap()];
    let variants = body.lines().skip(1).filter_map(|line| line.strip_prefix("    "));
    let names = variants.map(|line| line.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned());
    names.filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase())).collect()
}

/// Asserts that a table has a row for each variant.
#[track_caller]
fn complete<E: Debug>(name: &str, source: &str, table: impl IntoIterator<Item = E>) {
    let shown = table.into_iter().map(|error| format!("{error:?}"));
    let named = shown.map(|shown| shown.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned());
    assert_eq!(named.collect::<BTreeSet<_>>(), variants_of(name, source), "of {name}");
}

const ERRORS: &str = include_str!("../src/error.rs");
const PROXY_ERRORS: &str = include_str!("../src/error/proxy.rs");
const REDIRECT_ERRORS: &str = include_str!("../src/error/redirect.rs");
const TLS_ERRORS: &str = include_str!("../src/error/tls.rs");
const URL_ERRORS: &str = include_str!("../src/url/error.rs");
const PROTOCOL_ERRORS: &str = include_str!("../src/protocol/error.rs");
const HANDSHAKE_ERRORS: &str = include_str!("../src/protocol/handshake/error.rs");

/// How a connection ends on which `end` is called, and the peer does this.
fn ended(script: impl FnOnce(Peer) + Send + 'static, end: impl FnOnce(&mut WebSocket)) -> Error {
    let (mut ws, peer) = open(&ConnectOptions::new().close_timeout(ms(50)).send_timeout(ms(50)), script);
    end(&mut ws);
    let error = ws.recv().unwrap_err();
    drop(ws);
    peer.join();
    error
}

fn connect_to(answer: &'static [u8]) -> Error {
    let (url, peer) = serve(move |mut peer| {
        peer.head();
        peer.say(answer);
    });
    let error = create_connection(&url).unwrap_err();
    peer.join();
    error
}

/// What the table says of an error.
struct Row {
    error: Error,
    says: &'static str,
    /// What lies beneath.
    source: Option<&'static str>,
    retry: Retry,
}

fn row(error: impl Into<Error>, says: &'static str) -> Row {
    Row { error: error.into(), says, source: None, retry: Retry::Never }
}

fn soon(error: impl Into<Error>, says: &'static str) -> Row {
    Row { retry: Retry::Soon, ..row(error, says) }
}

fn slowly(error: impl Into<Error>, says: &'static str) -> Row {
    Row { retry: Retry::Slowly, ..row(error, says) }
}

/// Errors that come about by themselves, and how.
fn address() -> Error {
    let nowhere = |_: &str, _| Err(io::Error::other("no such host"));
    ConnectOptions::new().resolver(nowhere).connect("ws://nowhere.example/").unwrap_err()
}

fn unplugged() -> Error {
    let unplugged = SocketOptions::new().configure(|_| Err(io::Error::other("cable unplugged")));
    ConnectOptions::new().socket(unplugged).connect("ws://127.0.0.1:9/").unwrap_err()
}

/// A Unix socket of a path that no system has room for.
/// What is wrong with a Unix socket whose path is too long.
const UNIX_SOCKET: &str = if cfg!(unix) { "path must be shorter than SUN_LEN" } else { "Unix sockets are for Unix" };

fn overlong() -> Error {
    ConnectOptions::new().connect(&format!("ws+unix:///{}", "x".repeat(500))).unwrap_err()
}

/// What comes of asking a proxy that answers so.
fn through(scheme: &str, says: &'static [u8]) -> Error {
    let (url, peer) = serve(move |mut peer| {
        peer.say(says);
        peer.fall_silent();
        peer.rest()
    });
    let proxy = Proxy::new(url.replace("ws", scheme));
    let error = ConnectOptions::new().proxy(proxy).connect("ws://server.example/").unwrap_err();
    peer.join();
    error
}

/// What comes of a proxy that cannot be asked.
fn without(proxy: impl Into<Proxy>, url: &str) -> Error {
    ConnectOptions::new().proxy(proxy).connect(url).unwrap_err()
}

fn cancelled() -> Error {
    let cancellation = Cancellation::new();
    cancellation.cancel();
    ConnectOptions::new().cancellation(&cancellation).connect("ws://127.0.0.1:9/").unwrap_err()
}

fn unanswered_ping() -> Error {
    let (url, peer) = serve(|mut peer| {
        peer.accept();
        peer.rest()
    });
    let error = WebSocketApp::new(&url).ping_interval(ms(20)).ping_timeout(ms(20)).run_forever().unwrap_err();
    peer.join();
    error
}

fn options() -> Error {
    ConnectOptions::new().send_timeout(std::time::Duration::ZERO).connect("ws://[::1]/").unwrap_err()
}

fn tls() -> Error {
    let (url, peer) = serve(|peer| {
        peer.say("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let error = create_connection(&url.replace("ws:", "wss:")).unwrap_err();
    peer.join();
    error
}

fn torn() -> Error {
    let (mut ws, peer) =
        support::open_over(support::narrow(), &ConnectOptions::new().send_timeout(ms(50)), |peer| peer);
    assert!(ws.send_binary(&[0; 1 << 22]).unwrap_err().is_timeout());
    drop(peer.join());
    ws.recv().unwrap_err()
}

fn silent() -> Error {
    let (url, peer) = serve(|mut peer| {
        peer.accept();
        peer.rest();
    });
    let error = WebSocketApp::new(url).ping_interval(ms(10)).ping_timeout(ms(10)).run_forever().unwrap_err();
    peer.join();
    error
}

/// Text that is none, of which a part has been sent.
fn unfinished() -> Error {
    let (ws, peer) = open(&ConnectOptions::new().close_timeout(ms(100)), |mut peer| drop(peer.rest()));
    let mut writer = ws.message_writer(MessageKind::Text).unwrap();
    writer.write_all(b"half").and_then(|()| writer.flush()).unwrap();
    writer.write_all(b"\xc3").unwrap();
    let error = writer.finish().unwrap_err();
    drop(ws);
    peer.join();
    error
}

fn closing() -> Error {
    let (ws, peer) = open(&ConnectOptions::new(), |peer| peer);
    ws.send_close(CloseCode(4000), "enough").unwrap();
    let error = ws.send_text("").unwrap_err();
    drop(peer.join());
    error
}

#[test]
fn every_error_says_what_happened_and_whether_to_try_again() {
    bounded(30, || {
        let rest = |mut peer: Peer| drop(peer.rest());
        let rows = [
            Row { source: Some("no such host"), ..soon(address(), "cannot resolve host \"nowhere.example\"") },
            row(
                ended(|peer| assert_eq!(peer.end(), 4000), |ws| ws.close_with(CloseCode(4000), "enough").unwrap()),
                "closed by this side: 4000",
            ),
            soon(
                ended(|peer| peer.say(frame(0x88, b"\x03\xe8done")), |_| {}),
                "closed by the peer: 1000 (normal): done",
            ),
            soon(ended(|peer| peer.say(frame(0x88, b"")), |_| {}), "closed by the peer: 1005 (no code received)"),
            soon(
                ended(|peer| peer.say(frame(0x88, b"\x03\xf0no")), |_| {}),
                "closed by the peer: 1008 (policy violation): no",
            ),
            soon(ended(|peer| peer.say(frame(0x88, b"\x03\xe9")), |_| {}), "closed by the peer: 1001 (going away)"),
            soon(
                ended(|peer| peer.say(frame(0x88, b"\x03\xf4")), |_| {}),
                "closed by the peer: 1012 (service restart)",
            ),
            row(ended(rest, |ws| ws.close().unwrap()), "closed by this side, without an answer"),
            row(ended(rest, |ws| ws.abort()), "aborted by this side"),
            soon(
                ended(|peer| peer.say(frame(0x83, b"")), |ws| drop(ws.recv().unwrap_err())),
                "peer violated the protocol: unknown opcode 0x3",
            ),
            soon(unanswered_ping(), "no answer to a ping"),
            soon(torn(), "a frame was sent in part"),
            soon(ended(drop, |_| {}), "connection lost: unexpected end of file"),
            row(closing(), "this side is closing: 4000: enough"),
            soon(unfinished(), "a message was not finished: text to send is not UTF-8"),
            row(WebSocket::new().recv().unwrap_err(), "not connected"),
            row(CookieError::PublicSuffix, "cookie refused: its Domain is a public suffix"),
            soon(Error::Full, "no room for what was to be sent without waiting"),
            soon(HandshakeError::MissingAccept, "opening handshake failed: Sec-WebSocket-Accept is missing"),
            soon(HandshakeError::Eof, "opening handshake failed: connection ended before the handshake"),
            Row { source: Some("cable unplugged"), ..soon(unplugged(), "connecting failed") },
            Row { source: Some(UNIX_SOCKET), ..row(overlong(), "connecting failed") },
            soon(io::Error::other("disk full"), "disk full"),
            soon(silent(), "no answer to a ping"),
            row(cancelled(), "opening was cancelled"),
            Row {
                source: Some("a duration of zero; leave it out for the default, or give Duration::MAX for ever"),
                ..row(options(), "option send_timeout")
            },
            slowly(
                through("http", b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
                "proxy refused: status 403 Forbidden",
            ),
            slowly(
                through("http", b"HTTP/1.1 407 \r\nContent-Length: 6\r\n\r\nlog in"),
                "proxy refused: status 407: log in",
            ),
            soon(ProtocolError::MaskedFrame, "peer violated the protocol: server masked a frame"),
            Row {
                source: Some("it has no Location header"),
                ..soon(connect_to(b"HTTP/1.1 302 Found\r\n\r\n"), "redirect with status 302 was not followed")
            },
            slowly(
                connect_to(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
                "upgrade refused: status 403 Forbidden",
            ),
            soon(connect_to(b"HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n"), "upgrade refused: status 503"),
            slowly(
                connect_to(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 13\r\n\r\nwhy\x1b[2J: so\r\n"),
                r"upgrade refused: status 403 Forbidden: why\u{1b}[2J: so",
            ),
            soon(Error::Timeout(Phase::Recv), "receiving timed out"),
            row(UrlError::NoScheme, "invalid URL: it does not begin with ws:// or wss://"),
            row(LocalProtocolError::ReservedBits, "reserved bits need a negotiated extension"),
        ];
        for Row { error, says, source, retry } in &rows {
            assert_eq!(error.to_string(), *says);
            assert_eq!(error.source().map(ToString::to_string).as_deref(), *source, "{error:?}");
            let whole = source.map_or_else(|| (*says).to_owned(), |source| format!("{says}: {source}"));
            assert_eq!(format!("{error:#}"), whole);
            assert_eq!(error.retry(), *retry, "{error:?}");
            assert_eq!(error.is_retryable(), *retry != Retry::Never, "{error:?}");
            assert_eq!(error.is_timeout(), matches!(error, Error::Timeout(_)), "{error:?}");
            assert_eq!(error.is_closed(), matches!(error, Error::Closed(_)), "{error:?}");
            assert_eq!(error.close_info().is_some(), error.is_closed(), "{error:?}");
        }
        let tls = tls();
        assert!(tls.to_string().starts_with("TLS with \"127.0.0.1\" failed"), "{tls}");
        assert_eq!(format!("{tls:#}"), format!("{tls}: {}", tls.source().unwrap()));
        assert!(tls.retry() == Retry::Soon && !tls.is_timeout());
        let causes: Vec<CloseCause> = rows.iter().filter_map(|row| Some(row.error.close_info()?.cause)).collect();
        complete("CloseCause", ERRORS, causes);
        #[cfg(feature = "json")]
        let (errors, others) = (ERRORS.to_owned(), [tls, Message::from("{").json::<u8>().unwrap_err()]);
        #[cfg(not(feature = "json"))]
        let (errors, others) = (ERRORS.replace("    Json(Box<JsonError>),\n", ""), [tls]);
        complete("Error", &errors, rows.into_iter().map(|row| row.error).chain(others));
    });
}

#[test]
fn every_kind_of_failure_of_tls_has_its_words() {
    let table = [
        (TlsErrorKind::Alert(40), "the peer gave up with alert 40, handshake failure"),
        (TlsErrorKind::ApplicationProtocol, "no application protocol in common (ALPN)"),
        (TlsErrorKind::BadSignature, "a signature of the certificate or of the handshake is wrong"),
        (TlsErrorKind::Expired, "the certificate has expired, or a clock is wrong"),
        (TlsErrorKind::InvalidCertificate, "the certificate is not acceptable"),
        (TlsErrorKind::NotTls, "the server does not speak TLS on this port"),
        (TlsErrorKind::NotYetValid, "the certificate is not valid yet, or a clock is wrong"),
        (TlsErrorKind::Other, "something else"),
        (TlsErrorKind::PinMismatch, "the server's key is none of those that are pinned"),
        (TlsErrorKind::ProtocolVersion, "no version of TLS in common, 1.2 is the oldest"),
        (TlsErrorKind::Revoked, "the certificate was revoked"),
        (TlsErrorKind::UnknownIssuer, "the certificate's issuer is not trusted; TlsOptions::ca_certs names one"),
        (TlsErrorKind::WrongName, "the certificate is for another name"),
    ];
    for (kind, says) in table {
        assert_eq!(kind.to_string(), says);
    }
    complete("TlsErrorKind", TLS_ERRORS, table.map(|(kind, _)| kind));
}

#[test]
fn everything_that_a_proxy_can_do_wrong_has_its_words() {
    bounded(30, || {
        let unplugged = SocketOptions::new().configure(|_| Err(io::Error::other("cable unplugged")));
        let unplugged = ConnectOptions::new().socket(unplugged).proxy("http://127.0.0.1:9");
        let table = [
            slowly(through("socks5h", b"\x05\xff"), "SOCKS proxy does not accept user and password, or wants some"),
            Row {
                source: Some("cable unplugged"),
                ..soon(unplugged.connect("ws://a/").unwrap_err(), "cannot connect to proxy \"127.0.0.1:9\"")
            },
            row(
                without("socks4://user:s3cret@127.0.0.1:9", "ws://a/"),
                "user and password for the proxy: SOCKS 4 knows no passwords",
            ),
            soon(
                through("http", b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101"),
                "bytes follow the proxy's answer before anything was sent to the server",
            ),
            soon(through("socks5h", b"\x05"), "proxy ended the connection before it had answered"),
            row(
                without(Proxy::new("http://127.0.0.1:9").header("X-A", "\r\n"), "ws://a/"),
                "header field for the proxy: header value has a character that is not allowed there",
            ),
            soon(through("http", b"SSH-2.0"), "proxy's answer is malformed: peer does not speak HTTP"),
            soon(through("http", b"HTTP/1.0 503 \r\n\r\nbusy"), "proxy refused: status 503: busy"),
            soon(through("socks4a", b"\0\x5b"), "proxy refused: SOCKS4 reply 91, request rejected or failed"),
            soon(through("socks5h", b"\x04\0"), "proxy's answer is malformed: it is not of SOCKS 5"),
            row(
                without("socks4a://127.0.0.1:9", "ws://[::1]/"),
                "proxy cannot be told the server's address: SOCKS 4 knows no IPv6 addresses",
            ),
            row(
                without("http://", "ws://a/"),
                "option proxy is not the URL of a proxy: its host is neither a name nor an address",
            ),
        ];
        for Row { error, says, source, retry } in &table {
            assert_eq!(error.to_string(), *says);
            assert_eq!(error.source().map(ToString::to_string).as_deref(), *source, "{error:?}");
            assert_eq!(error.retry(), *retry, "{error:?}");
            assert_eq!(error.is_retryable(), *retry != Retry::Never, "{error:?}");
            assert!(!error.is_timeout() && !error.is_closed());
        }
        let problems = table.into_iter().map(|row| match row.error {
            Error::Proxy(problem) => problem,
            other => panic!("{other:?}"),
        });
        complete("ProxyError", PROXY_ERRORS, problems);
    });
}

#[test]
fn everything_that_is_no_url_of_a_proxy_has_its_words() {
    let table = [
        ("socks://p", "socks:// does not say which version; write socks5h://, socks5://, socks4a:// or socks4://"),
        ("http://s3 cret", "it has a character that no URL has"),
        ("http://user:s3cret@", "its host is neither a name nor an address"),
        ("http://p/s3cret", "it goes on after host and port"),
        ("http://p:s3cret", "its port is not a number from 1 to 65535"),
        ("s3cret://p", "its scheme is not http, https, socks4, socks4a, socks5 or socks5h"),
        ("http://a:s3@cret@p", "user and password are malformed; write %40 for @ in them"),
    ];
    let problems = table.map(|(url, says)| {
        let Error::Proxy(error) = without(url, "ws://a/") else { panic!("{url}") };
        assert_eq!(error.to_string(), format!("option proxy is not the URL of a proxy: {says}"));
        match *error {
            ProxyError::Url { variable: None, problem } => problem,
            other => panic!("{other:?}"),
        }
    });
    complete("ProxyUrlError", URL_ERRORS, problems);
}

#[test]
fn every_phase_has_its_words() {
    let phases = [
        (Phase::Resolve, "resolving the host name timed out"),
        (Phase::Connect, "connecting timed out"),
        (Phase::Proxy, "proxy handshake timed out"),
        (Phase::Tls, "TLS handshake timed out"),
        (Phase::Handshake, "opening handshake timed out"),
        (Phase::Recv, "receiving timed out"),
        (Phase::Send, "sending timed out"),
        (Phase::Close, "closing handshake timed out"),
    ];
    for (phase, says) in phases {
        let error = Error::Timeout(phase);
        assert_eq!(error.to_string(), says);
        assert!(error.is_timeout() && error.is_retryable() && !error.is_closed());
    }
    complete("Phase", ERRORS, phases.map(|(phase, _)| phase));
}

#[test]
fn every_problem_of_a_redirect_has_its_words() {
    let table = [
        (RedirectProblem::Downgrade, "it leads from wss to ws"),
        (RedirectProblem::Limit { limit: 3 }, "redirect limit of 3 exhausted"),
        (RedirectProblem::Location(UrlError::EmptyHost), "its Location is no URL to go to: it has no host"),
        (RedirectProblem::Loop, "it leads in a circle"),
        (RedirectProblem::MissingLocation, "it has no Location header"),
        (RedirectProblem::RepeatedLocation, "it has several Location headers"),
    ];
    for (problem, says) in &table {
        assert_eq!(problem.to_string(), *says);
    }
    complete("RedirectProblem", REDIRECT_ERRORS, table.map(|(problem, _)| problem));
}

#[test]
fn every_reason_to_refuse_a_cookie_has_its_words() {
    let table = [
        (CookieError::ControlCharacter, "it has a control character"),
        (CookieError::Domain, "its Domain does not cover the host that sets it"),
        (CookieError::NoHost, "a Unix socket has no host name for it"),
        (CookieError::Prefix, "its name promises attributes that it does not have"),
        (CookieError::PublicSuffix, "its Domain is a public suffix"),
        (CookieError::Secure, "it is Secure, or hides one that is, and came without TLS"),
        (CookieError::Syntax, "it does not begin with name=value"),
        (CookieError::TooLong { limit: 7 }, "its name and value are longer than the limit of 7 bytes"),
    ];
    for (error, says) in table {
        assert_eq!(error.to_string(), says);
        assert_eq!(Error::from(error).to_string(), format!("cookie refused: {says}"));
        assert!(!Error::from(error).is_retryable());
    }
    complete("CookieError", ERRORS, table.map(|(error, _)| error));
}

#[test]
fn every_rule_of_the_handshake_has_its_words() {
    let name = || "a\x1bb".to_owned();
    let table = [
        (HandshakeError::AcceptMismatch, "Sec-WebSocket-Accept does not answer our key"),
        (HandshakeError::BareCarriageReturn, "a carriage return stands inside a line"),
        (HandshakeError::Connection, "Connection header lacks Upgrade"),
        (HandshakeError::ControlCharacter, "head has a control character"),
        (
            HandshakeError::EarlyData { limit: 7 },
            "more than 7 bytes follow the request before its answer (max_head_size)",
        ),
        (
            HandshakeError::EmptyField("Sec-WebSocket-Protocol"),
            "Sec-WebSocket-Protocol is empty (lenient_handshake takes it in a 101)",
        ),
        (HandshakeError::Eof, "connection ended before the handshake"),
        (
            HandshakeError::ExtensionParameters { name: name(), problem: "that is none" },
            r#"extension "a\u{1b}b": that is none"#,
        ),
        (HandshakeError::ExtensionSyntax, "Sec-WebSocket-Extensions is malformed"),
        (HandshakeError::FoldedHeader, "a header is folded over several lines"),
        (HandshakeError::HeadTooLarge { limit: 7 }, "head is larger than the limit of 7 bytes (max_head_size)"),
        (HandshakeError::HeaderSyntax, "a header line is malformed (lenient_handshake skips it in a 101)"),
        (HandshakeError::Host, "request does not have exactly one Host header"),
        (HandshakeError::HttpVersion, "HTTP version is not 1.1 (lenient_handshake takes a 101 of 1.0)"),
        (HandshakeError::InvalidKey, "Sec-WebSocket-Key is not the base64 of 16 bytes"),
        (
            HandshakeError::LineTooLong { limit: 7 },
            "a line of the head is longer than the limit of 7 bytes (max_head_line)",
        ),
        (HandshakeError::Method, "request method is not GET"),
        (HandshakeError::MissingAccept, "Sec-WebSocket-Accept is missing"),
        (HandshakeError::MissingKey, "Sec-WebSocket-Key is missing"),
        (HandshakeError::MissingVersion, "Sec-WebSocket-Version is missing"),
        (HandshakeError::NotHttp, "peer does not speak HTTP"),
        (HandshakeError::Over, "the handshake is already over"),
        (HandshakeError::RefusalBody, "body of the refusal is malformed"),
        (
            HandshakeError::RepeatedAccept,
            "Sec-WebSocket-Accept occurs several times (lenient_handshake takes equal ones in a 101)",
        ),
        (
            HandshakeError::RepeatedExtension(name()),
            r#"extension "a\u{1b}b" is agreed to twice (lenient_handshake takes equal fields in a 101)"#,
        ),
        (HandshakeError::RepeatedKey, "Sec-WebSocket-Key occurs several times"),
        (
            HandshakeError::RepeatedSubprotocol,
            "Sec-WebSocket-Protocol occurs several times (lenient_handshake takes equal ones in a 101)",
        ),
        (HandshakeError::RepeatedUpgrade, "Upgrade occurs several times (lenient_handshake takes equal ones in a 101)"),
        (HandshakeError::RequestBody, "request has a body"),
        (HandshakeError::RequestLine, "request line is malformed"),
        (HandshakeError::StatusLine, "status line is malformed"),
        (HandshakeError::SubprotocolSyntax, "Sec-WebSocket-Protocol is malformed"),
        (HandshakeError::TooManyExtensions { limit: 7 }, "more than 7 extensions, or parameters of one"),
        (
            HandshakeError::TooManyFields { limit: 7 },
            "more than 7 header fields (max_head_fields; lenient_handshake takes them in a 101)",
        ),
        (HandshakeError::TooManyInterim { limit: 7 }, "more than 7 interim responses (max_interim_responses)"),
        (HandshakeError::UnofferedExtension(name()), r#"extension "a\u{1b}b" was not offered"#),
        (HandshakeError::UnofferedSubprotocol(name()), r#"subprotocol "a\u{1b}b" was not offered"#),
        (HandshakeError::UnsupportedVersion, "Sec-WebSocket-Version is not 13"),
        (HandshakeError::Upgrade, "Upgrade header is not websocket"),
    ];
    for (error, says) in &table {
        assert_eq!(error.to_string(), *says);
        assert!(error.section().starts_with("RFC "));
        let wrapped = Error::from(error.clone());
        assert_eq!(wrapped.to_string(), format!("opening handshake failed: {says}"));
        assert_eq!(wrapped.retry(), Retry::Soon);
    }
    complete("HandshakeError", HANDSHAKE_ERRORS, table.map(|(error, _)| error));
}

#[test]
fn every_mistake_of_ours_has_its_words() {
    let table = [
        (LocalProtocolError::AfterClose, "nothing more can be sent after a close frame"),
        (
            LocalProtocolError::CloseBody(ProtocolError::CloseReasonNotUtf8),
            "close frame must not be sent: reason of the close frame is not UTF-8",
        ),
        (LocalProtocolError::CloseCode(CloseCode(1006)), "close code 1006 must not be sent"),
        (LocalProtocolError::CloseReason(124), "close reason has 124 bytes, 123 is the limit"),
        (LocalProtocolError::ControlFragment, "control frame must not be fragmented"),
        (LocalProtocolError::ControlTooLong(126), "payload of a control frame has 126 bytes, 125 is the limit"),
        (LocalProtocolError::Handshake("a ping"), "a ping cannot be sent in this state of the handshake"),
        (LocalProtocolError::HeaderValue("Upgrade"), "header Upgrade cannot have that value"),
        (LocalProtocolError::IllegalCharacter("origin"), "origin has a character that is not allowed there"),
        (LocalProtocolError::OutOfSequence(Opcode::Continuation), "continuation frame without a message to continue"),
        (LocalProtocolError::RepeatedExtension, "an extension is agreed to twice"),
        (LocalProtocolError::RepeatedHeader("Host"), "header Host is given several times"),
        (LocalProtocolError::RepeatedSubprotocol, "a subprotocol is offered twice"),
        (LocalProtocolError::ReservedBits, "reserved bits need a negotiated extension"),
        (LocalProtocolError::ReservedHeader("Sec-WebSocket-Key"), "header Sec-WebSocket-Key is the handshake's own"),
        (LocalProtocolError::ReceivingMessage, "a message is received in part; receive the rest of it first"),
        (LocalProtocolError::DeflateOption("level"), "option level of permessage-deflate is out of range"),
        (LocalProtocolError::PayloadInPieces, "an extension needs the payload of a frame at once"),
        (LocalProtocolError::PayloadLength, "payload is not as long as announced"),
        (LocalProtocolError::Status(101), "status 101 cannot refuse a handshake like this"),
        (LocalProtocolError::SendingMessage, "this thread is sending a message; finish it first"),
        (LocalProtocolError::TextNotUtf8, "text to send is not UTF-8"),
        (LocalProtocolError::UnofferedExtension, "the client did not offer that extension"),
        (LocalProtocolError::UnofferedSubprotocol, "the client did not offer that subprotocol"),
        (LocalProtocolError::WrongRole, "only the other role does that"),
    ];
    for (error, says) in table {
        assert_eq!(error.to_string(), says);
        let wrapped = Error::from(error);
        assert_eq!(wrapped.to_string(), says);
        assert!(!wrapped.is_retryable() && !wrapped.is_timeout() && !wrapped.is_closed());
    }
    complete("LocalProtocolError", PROTOCOL_ERRORS, table.map(|(error, _)| error));
}

/// What a client receives that breaks a rule, and the rule; `None` where only a server can receive it.
type Broken = (ProtocolError, &'static str, u16, Option<Vec<u8>>);

fn broken_rules() -> Vec<Broken> {
    let limit = 1000;
    let long = |first, length: u64| {
        let mut header = vec![first, 127];
        header.extend_from_slice(&length.to_be_bytes());
        header
    };
    vec![
        (ProtocolError::CloseBodyOfOneByte, "close frame has a body of one byte", 1002, Some(frame(0x88, b"\x03"))),
        (
            ProtocolError::CloseCode(CloseCode(1005)),
            "close frame bears the illegal code 1005",
            1002,
            Some(frame(0x88, b"\x03\xed")),
        ),
        (
            ProtocolError::CloseReasonNotUtf8,
            "reason of the close frame is not UTF-8",
            1007,
            Some(frame(0x88, b"\x03\xe8\xff")),
        ),
        (ProtocolError::ControlTooLong, "control frame is longer than 125 bytes", 1002, Some(frame(0x89, [0; 126]))),
        (
            ProtocolError::ExpectedContinuation,
            "new message begins inside a fragmented one",
            1002,
            Some([frame(0x01, "a"), frame(0x81, "b")].concat()),
        ),
        // No extension is negotiated yet that could complain.
        (ProtocolError::ExtensionPayload, "payload does not fit the negotiated extension", 1007, None),
        (ProtocolError::FragmentedControl, "control frame is fragmented", 1002, Some(frame(0x09, ""))),
        (
            ProtocolError::FrameTooBig { limit },
            "frame is larger than the limit of 1000 bytes (max_frame_size)",
            1009,
            Some(frame(0x82, [0; 1001])),
        ),
        (ProtocolError::LengthOverflow, "frame length has its highest bit set", 1002, Some(long(0x82, 1 << 63))),
        (ProtocolError::MaskedFrame, "server masked a frame", 1002, Some(masked_frame(0x81, "masked"))),
        (
            ProtocolError::MessageTooBig { limit: 1500 },
            "message is larger than the limit of 1500 bytes (max_message_size)",
            1009,
            Some([frame(0x02, [0; 1000]), frame(0x80, [0; 501])].concat()),
        ),
        (ProtocolError::NonMinimalLength, "frame length is not in its shortest form", 1002, Some(long(0x82, 0xFFFF))),
        // See `memory.rs`.
        (ProtocolError::OutOfMemory, "there is no memory for the message", 1009, None),
        (
            ProtocolError::ReservedBits,
            "reserved bit is set without an extension that defines it",
            1002,
            Some(frame(0xC1, "")),
        ),
        (ProtocolError::TextNotUtf8, "text is not UTF-8", 1007, Some(frame(0x81, b"\xed\xa0\x80"))),
        (
            ProtocolError::TooManyControlFrames { limit: 5 },
            "more than 5 control frames in a row (max_control_frames)",
            1008,
            Some(frame(0x8A, "").repeat(6)),
        ),
        (
            ProtocolError::TooManyFragments { limit: 3 },
            "message has more than 3 fragments (max_fragments)",
            1008,
            Some([frame(0x02, ""), frame(0x00, "").repeat(3)].concat()),
        ),
        (
            ProtocolError::UnexpectedContinuation,
            "continuation frame without a message to continue",
            1002,
            Some(frame(0x80, "")),
        ),
        (ProtocolError::UnknownOpcode(0xB), "unknown opcode 0xb", 1002, Some(frame(0x8B, ""))),
        (ProtocolError::UnmaskedFrame, "client did not mask a frame", 1002, None),
    ]
}

fn with_limits() -> ConnectOptions {
    let options = ConnectOptions::new().max_message_size(1500).max_frame_size(1000);
    options.max_fragments(3).max_control_frames(5).recv_timeout(ms(5000))
}

#[test]
fn every_rule_of_the_protocol_has_its_words_its_code_and_its_section() {
    for (error, says, code, _) in broken_rules() {
        assert_eq!(error.to_string(), says);
        assert_eq!(error.close_code(), CloseCode(code), "{error:?}");
        assert!(error.section().starts_with("RFC 6455, section "));
        assert_eq!(Error::from(error).to_string(), format!("peer violated the protocol: {says}"));
        assert_eq!(Error::from(error).retry(), Retry::Soon);
    }
    complete("ProtocolError", PROTOCOL_ERRORS, broken_rules().into_iter().map(|(error, ..)| error));
}

#[test]
fn every_rule_of_the_protocol_is_kept_and_who_breaks_it_is_told_by_a_close() {
    bounded(60, || {
        for (expected, _, code, bytes) in broken_rules() {
            let Some(bytes) = bytes else { continue };
            let (mut ws, peer) = open(&with_limits(), move |peer| {
                peer.say([frame(0x81, "before"), bytes].concat());
                peer.end()
            });
            assert_eq!(ws.recv().unwrap(), Message::from("before"));
            match ws.recv() {
                Err(Error::Protocol(error)) => assert_eq!(error, expected),
                other => panic!("{other:?}, not {expected:?}"),
            }
            let info = closed(ws.recv());
            assert_eq!((info.code, info.cause), (CloseCode(code), CloseCause::Violation(expected)));
            closed(ws.send_text(""));
            assert_eq!(peer.join(), code, "{expected:?}");
        }
    });
}

#[test]
fn a_server_keeps_the_rules_too_and_its_own_besides() {
    bounded(60, || {
        let masked = |bytes: Vec<u8>| {
            // Whatever the frames are, masked with zeros they are the same.
            let mut bytes = bytes;
            let start = match bytes[1] {
                126 => 4,
                127 => 10,
                _ => 2,
            };
            bytes[1] |= 0x80;
            bytes.splice(start..start, [0; 4]);
            bytes
        };
        let mut cases = vec![(ProtocolError::UnmaskedFrame, 1002, frame(0x81, "plain"))];
        for (error, _, code, bytes) in broken_rules() {
            let several = matches!(
                error,
                ProtocolError::ExpectedContinuation
                    | ProtocolError::MaskedFrame
                    | ProtocolError::MessageTooBig { .. }
                    | ProtocolError::TooManyControlFrames { .. }
                    | ProtocolError::TooManyFragments { .. }
            );
            if let (Some(bytes), false) = (bytes, several) {
                cases.push((error, code, masked(bytes)));
            }
        }
        for (expected, code, bytes) in cases {
            let (ours, theirs) = support::narrow();
            let client = std::thread::spawn(move || {
                let mut peer = Peer::new(theirs);
                peer.say(support::REQUEST);
                peer.head();
                peer.say(bytes);
                peer.hear([0x88, 2, (code >> 8) as u8, code as u8]);
            });
            let mut ws = with_limits().accept(ours).unwrap();
            match ws.recv() {
                Err(Error::Protocol(error)) => assert_eq!(error, expected),
                other => panic!("{other:?}, not {expected:?}"),
            }
            support::join(client);
        }
    });
}

#[test]
fn errors_are_small_and_pass_between_threads() {
    fn passes<E: std::error::Error + Send + Sync + 'static>() {}
    passes::<Error>();
    passes::<ProtocolError>();
    passes::<LocalProtocolError>();
    passes::<HandshakeError>();
    passes::<UrlError>();
    passes::<CloseCause>();
    assert!(size_of::<Error>() <= 32, "{}", size_of::<Error>());
    assert!(size_of::<Result<(), Error>>() <= 32);
    fn is_copy<E: Copy + Eq + std::hash::Hash>() {}
    is_copy::<ProtocolError>();
    is_copy::<LocalProtocolError>();
    is_copy::<CloseCause>();
    is_copy::<Phase>();
}

#[test]
fn as_an_io_error_each_keeps_its_kind_and_itself() {
    let cases = [
        (Error::Timeout(Phase::Recv), io::ErrorKind::TimedOut),
        (Error::Full, io::ErrorKind::WouldBlock),
        (WebSocket::new().recv().unwrap_err(), io::ErrorKind::NotConnected),
        (ProtocolError::MaskedFrame.into(), io::ErrorKind::InvalidData),
        (LocalProtocolError::TextNotUtf8.into(), io::ErrorKind::InvalidInput),
        (CookieError::Syntax.into(), io::ErrorKind::InvalidInput),
        (HandshakeError::Eof.into(), io::ErrorKind::Other),
    ];
    for (error, kind) in cases {
        let says = error.to_string();
        let error = io::Error::from(error);
        assert_eq!((error.kind(), error.to_string()), (kind, says));
        assert!(error.get_ref().is_some_and(|inner| inner.is::<Error>()));
    }
    let error = io::Error::from(Error::other(io::Error::from(io::ErrorKind::AddrInUse)));
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "it is not wrapped twice");
}

// What the user must not send is refused before a byte is. What could be injected is in `injection.rs`.

/// Tries to connect over a stream whose other end must not hear anything.
fn refused(options: &ConnectOptions, url: &str) -> Error {
    let (ours, theirs) = support::narrow();
    let error = options.connect_over(ours, url).unwrap_err();
    assert_eq!(Peer::new(theirs).rest(), b"", "something was sent");
    error
}

#[test]
fn a_url_that_is_none_is_refused() {
    let cases = [
        "",
        "example.com",
        "ws//example.com",
        "2001:4860:4860::8888",
        "http://example.com/",
        "https://example.com/",
        "ws://",
        "ws:///path",
        "ws:host",
        "ws://host:99999/",
        "ws://host:0/",
        "ws://host:-1/",
        "ws://[::1/",
        "ws://::1/",
        "ws://0x7f.1/",
        "ws://good@evil@host/",
        "ws://evil\\@good/",
        "ws://ho st/",
        " ws://host/",
    ];
    for url in cases {
        let error = refused(&ConnectOptions::new(), url);
        assert!(matches!(error, Error::Url(_)), "{url:?}: {error:?}");
        assert!(!error.is_retryable());
        assert!(error.to_string().starts_with("invalid URL: "), "{error}");
    }
}

#[test]
fn what_must_not_be_sent_is_refused_and_the_connection_goes_on() {
    bounded(20, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            // Of all that was tried, nothing came.
            assert_eq!(peer.frame(), (0x81, b"Hello".to_vec()));
            peer.say(frame(0x81, "Hello"));
            peer.end()
        });
        let (sender, long) = (ws.sender(), [0; 126]);
        let reason = "x".repeat(124);
        let code = |code| LocalProtocolError::CloseCode(CloseCode(code));
        let body = |error| LocalProtocolError::CloseBody(error);
        let close = |body: &[u8]| Frame::new(Opcode::Close, body);
        let reserved = Frame { rsv: Rsv::RSV1, ..Frame::new(Opcode::Text, "") };
        let refusals = [
            (ws.ping(long).unwrap_err(), LocalProtocolError::ControlTooLong(126)),
            (ws.pong(long).unwrap_err(), LocalProtocolError::ControlTooLong(126)),
            (sender.ping([0; 70_000]).unwrap_err(), LocalProtocolError::ControlTooLong(70_000)),
            (ws.send(long, Opcode::Ping).unwrap_err(), LocalProtocolError::ControlTooLong(126)),
            (ws.send(long, Opcode::Close).unwrap_err(), LocalProtocolError::ControlTooLong(126)),
            (ws.cork(|batch| batch.ping(&long)).unwrap_err(), LocalProtocolError::ControlTooLong(126)),
            (ws.send([0xFF], Opcode::Text).unwrap_err(), LocalProtocolError::TextNotUtf8),
            (sender.send(b"\xe2\x82", Opcode::Text).unwrap_err(), LocalProtocolError::TextNotUtf8),
            (
                ws.send("stray", Opcode::Continuation).unwrap_err(),
                LocalProtocolError::OutOfSequence(Opcode::Continuation),
            ),
            (ws.send_frame(&reserved).unwrap_err(), LocalProtocolError::ReservedBits),
            (ws.send_frame(&Frame::new(Opcode::Pong, "").fragment()).unwrap_err(), LocalProtocolError::ControlFragment),
            (ws.send_frame(&close(b"\x03")).unwrap_err(), body(ProtocolError::CloseBodyOfOneByte)),
            (ws.send_frame(&close(b"\x03\xed")).unwrap_err(), body(ProtocolError::CloseCode(CloseCode(1005)))),
            (ws.send_frame(&close(b"\x03\xe8\xff")).unwrap_err(), body(ProtocolError::CloseReasonNotUtf8)),
            (ws.close_with(CloseCode(0), "").unwrap_err(), code(0)),
            (ws.close_with(CloseCode(999), "").unwrap_err(), code(999)),
            (ws.close_with(CloseCode(1004), "").unwrap_err(), code(1004)),
            (ws.close_with(CloseCode(1005), "why").unwrap_err(), code(1005)),
            (ws.close_with(CloseCode::ABNORMAL_CLOSURE, "").unwrap_err(), code(1006)),
            (sender.close_with(CloseCode::TLS_HANDSHAKE, "").unwrap_err(), code(1015)),
            (ws.send_close(CloseCode(2999), "").unwrap_err(), code(2999)),
            (sender.send_close(CloseCode(5000), "").unwrap_err(), code(5000)),
            (ws.send_close(CloseCode(u16::MAX), "").unwrap_err(), code(u16::MAX)),
            (ws.close_with(CloseCode::NORMAL, &reason).unwrap_err(), LocalProtocolError::CloseReason(124)),
            (sender.send_close(CloseCode::NORMAL, &reason).unwrap_err(), LocalProtocolError::CloseReason(124)),
        ];
        for (error, expected) in refusals {
            match error {
                Error::Usage(error) => assert_eq!(error, expected),
                other => panic!("{other:?}, not {expected:?}"),
            }
        }
        assert!(ws.connected());
        ws.send_text("Hello").unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from("Hello"));
        ws.close_with(CloseCode(4999), &reason[1..]).unwrap();
        assert_eq!(peer.join(), 4999);
    });
}

#[test]
fn a_fragment_out_of_sequence_is_refused() {
    bounded(20, || {
        let (ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            assert_eq!(peer.frame(), (0x01, b"begun".to_vec()));
            assert_eq!(peer.frame(), (0x80, b"done".to_vec()));
            peer.end()
        });
        ws.send_frame(&Frame::new(Opcode::Text, "begun").fragment()).unwrap();
        for error in [
            ws.send_text("another").unwrap_err(),
            ws.send_binary(&[0; 200_000]).unwrap_err(),
            ws.send_frame(&Frame::new(Opcode::Binary, "another").fragment()).unwrap_err(),
            ws.send_reader(MessageKind::Binary, &[0; 10][..], Some(10)).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Usage(LocalProtocolError::OutOfSequence(_))), "{error:?}");
        }
        ws.send_frame(&Frame::new(Opcode::Continuation, "done")).unwrap();
        ws.close().unwrap();
        assert_eq!(peer.join(), 1000);
    });
}

/// Asserts that nothing of an error, at no level of it, could do something to a terminal or begin a line of a log.
#[track_caller]
fn assert_plain(error: &Error) {
    let mut level: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = level {
        for shown in [error.to_string(), format!("{error:#}"), format!("{error:?}")] {
            assert!(!shown.contains(|c: char| c.is_control() || c == '\u{202e}'), "{shown:?}");
        }
        level = error.source();
    }
}

#[test]
fn what_a_peer_says_is_escaped_where_it_is_shown_and_kept_as_it_came() {
    const REASON: &str = "x\n2026-01-01 ERROR forged\u{1b}[2J\u{202e} caf\u{e9}";
    bounded(20, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            peer.say(frame(0x88, [&4000_u16.to_be_bytes()[..], REASON.as_bytes()].concat()));
            peer.rest()
        });
        let info = closed(ws.recv());
        assert_eq!(info.reason, REASON);
        let escaped = r"4000: x\n2026-01-01 ERROR forged\u{1b}[2J\u{202e} café";
        assert_eq!(info.to_string(), format!("closed by the peer: {escaped}"));
        assert_plain(&Error::Closed(Box::new(info)));
        let close = websocket_sync::protocol::CloseFrame::new(CloseCode(4000), REASON).unwrap();
        assert_eq!(close.to_string(), escaped);
        drop(ws);
        peer.join();

        for answer in [
            &b"HTTP/1.1 403 No\xc2\x9b2J\xe2\x80\xae\r\nX-\xff: 1\r\n\r\n"[..],
            b"HTTP/1.1 403 No\xc2\x9b2J\xe2\x80\xae\r\nX: \xc2\x9b\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 403 No\x1b[2J\r\n\r\n",
            b"HTTP/1.1 302 No\r\nLocation: ws://a\xc2\x9b2J/\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 302 No\r\nLocation: \xe2\x80\xae://h\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 302 No\r\nLocation: ws://a\xe2\x80\xaeb%/\r\nContent-Length: 0\r\n\r\n",
        ] {
            assert_plain(&connect_to(answer));
        }
        for field in [
            "Sec-WebSocket-Protocol: \u{9b}",
            "Sec-WebSocket-Extensions: x; y=\"\u{202e}\"",
            "Sec-WebSocket-Extensions: x",
        ] {
            let (url, peer) = serve(move |mut peer| {
                let request = peer.head();
                peer.say(support::answer_to(&request).replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n")));
            });
            assert_plain(&create_connection(&url).unwrap_err());
            peer.join();
        }
    });
}
