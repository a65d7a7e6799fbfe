//! Secrets of the user are sent to the server that they are for, and are seen nowhere else: not in `Debug`, not in an error, not in
//! the log.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod app;
#[path = "../support/backends.rs"]
mod backends;
mod elsewhere;
mod keys;
mod proxies;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls_peer.rs"]
mod tls_peer;
mod trace;

use std::fmt::{Debug, Write};
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use support::{Peer, Script, answer_to, bounded, ms, serve};
use tls_peer::Authority;
use websocket_sync::{Cancellation, CloseCode, ConnectOptions, Error, Proxy, TlsBackend, TlsOptions};

/// A part of every secret.
const CANARY: &str = "c4n4ry";
/// Every secret, and nothing else, begins with it.
const USERINFO: &str = "c4n4ry-user:c4n4ry-password";

/// A field that holds a secret, and the line of the request that it ends up in.
struct Secret {
    name: &'static str,
    put: fn(ConnectOptions) -> ConnectOptions,
    sent: &'static str,
}

const SECRETS: &[Secret] = &[
    Secret {
        name: "Authorization",
        put: |options| options.header("Authorization", "Bearer c4n4ry-1"),
        sent: "Authorization: Bearer c4n4ry-1",
    },
    Secret {
        name: "a header of another name",
        put: |options| options.headers([("X-Tenant", "c4n4ry-2")]),
        sent: "X-Tenant: c4n4ry-2",
    },
    Secret {
        name: "Cookie, as a header",
        put: |options| options.header("Cookie", "a=c4n4ry-3"),
        sent: "Cookie: a=c4n4ry-3",
    },
    Secret {
        name: "header provider",
        put: |options| options.header_provider(|| Ok(vec![("X-Token".into(), "c4n4ry-11".into())])),
        sent: "X-Token: c4n4ry-11",
    },
    Secret {
        name: "subprotocol",
        put: |options| options.subprotocols(["c4n4ry-12"]),
        sent: "Sec-WebSocket-Protocol: c4n4ry-12",
    },
    Secret {
        name: "subprotocol, as a header",
        put: |options| options.header("Sec-WebSocket-Protocol", "c4n4ry-13"),
        sent: "Sec-WebSocket-Protocol: c4n4ry-13",
    },
    Secret { name: "cookie", put: |options| options.cookie("a=c4n4ry-4"), sent: "Cookie: a=c4n4ry-4" },
    #[cfg(feature = "cookies")]
    Secret {
        name: "cookie jar",
        put: |options| {
            let jar = websocket_sync::CookieJar::new();
            jar.set("http://host.example/", "a=c4n4ry-5").unwrap();
            jar.set("https://host.example/", "b=c4n4ry-6; Secure; Path=/c4n4ry-7").unwrap();
            options.cookie_jar(&jar)
        },
        sent: "Cookie: a=c4n4ry-5",
    },
];

/// Everything that is logged in this process.
struct Log(Mutex<String>);

impl Log {
    fn lines(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        writeln!(self.lines(), "{} {}: {}", record.level(), record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}

static LOG: Log = Log(Mutex::new(String::new()));

fn listen_to_the_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&LOG).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// Whether a text has a secret in it, as it is or in base64.
fn has_secret(text: &str) -> bool {
    let shown = |secret: &str| text.contains(secret);
    // Three bytes make four letters: wherever a secret begins, one of these is in it.
    let encoded = (0..3).map(|start| STANDARD.encode(&USERINFO[start..start + 6])).any(|part| shown(&part));
    shown(CANARY) || encoded
}

#[track_caller]
fn assert_silent(name: &str, shown: &impl Debug) {
    let texts = [format!("{shown:?}"), format!("{shown:#?}")];
    assert!(!texts.iter().any(|text| has_secret(text)), "{name}: {texts:?}");
}

#[track_caller]
fn assert_error_is_silent(name: &str, error: &Error) {
    assert_silent(name, error);
    let mut level: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = level {
        assert!(!has_secret(&error.to_string()), "{name}: {error}");
        assert_silent(name, &error);
        level = error.source();
    }
}

#[track_caller]
fn assert_log_is_silent() {
    let lines = LOG.lines();
    let told = lines.lines().find(|line| has_secret(line));
    assert!(told.is_none(), "{told:?}");
}

/// Whoever is asked for, the server of this URL is meant.
fn at(server: &str, options: ConnectOptions) -> ConnectOptions {
    let address: SocketAddr = server.trim_start_matches("ws://").trim_end_matches('/').parse().unwrap();
    options.resolver(move |_, _| Ok(vec![address])).open_timeout(ms(2000))
}

/// All secrets at once; those of the URL come with it.
fn all() -> ConnectOptions {
    let is_cookie = |secret: &&Secret| secret.name.starts_with("Cookie");
    SECRETS
        .iter()
        .filter(|secret| !is_cookie(secret))
        .fold(ConnectOptions::new(), |options, secret| (secret.put)(options))
}

#[test]
fn secrets_reach_the_server_and_are_not_shown_by_options_and_connection() {
    listen_to_the_log();
    bounded(30, || {
        for Secret { name, put, sent } in SECRETS {
            let options = put(ConnectOptions::new());
            assert_silent(name, &options);
            let (server, script) = accepting();
            let mut ws = at(&server, options).connect("ws://host.example/").unwrap();
            let request = script.join();
            assert!(request.lines().any(|line| line == *sent), "{name}: {request}");
            assert_silent(name, &ws);
            assert_silent(name, &ws.sender());
            assert_silent(name, &ws.response());
            assert_silent(name, &ws.timings());
            assert_error_is_silent(name, &ws.recv().unwrap_err());
        }
        let (server, script) = accepting();
        let url = format!("ws://{USERINFO}@host.example/");
        let ws = at(&server, ConnectOptions::new()).connect(&url).unwrap();
        let request = script.join();
        let sent = format!("Authorization: Basic {}\r\n", STANDARD.encode(USERINFO));
        assert!(request.contains(&sent) && has_secret(&sent), "{request}");
        assert_silent("userinfo", &ws);
    });
    assert_log_is_silent();
    // It is heard what is said.
    assert!(LOG.lines().contains("connection opened"), "{}", LOG.lines());
}

fn accepting() -> (String, Script<String>) {
    serve(|mut peer: Peer| {
        let request = peer.head();
        peer.say(answer_to(&request).replace("\r\n\r\n", "\r\nSet-Cookie: s=c4n4ry-8\r\n\r\n"));
        request
    })
}

#[test]
fn an_opening_that_fails_tells_no_secret_in_its_error() {
    listen_to_the_log();
    bounded(60, || {
        let answers: [&'static [u8]; 10] = [
            b"HTTP/1.1 401 No\r\nSet-Cookie: s=c4n4ry\r\nWWW-Authenticate: Basic realm=\"c4n4ry\"\r\nContent-Length: 6\r\n\r\ndenied",
            b"HTTP/1.1 403 Forbidden\r\nX-Session: c4n4ry\r\nContent-Length: 99\r\n\r\ndenied",
            b"HTTP/1.1 404 Not Found\r\nSet-Cookie: s=c4n4ry\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nSet-Cookie: s=c4n4ry\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: c4n4ry\r\nConnection: c4n4ry\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nc4n4ry\r\n\r\n",
            b"HTTP/1.1 c4n4ry\r\n\r\n",
            b"c4n4ry\r\n\r\n",
            b"\x15\x03\x01\x00\x02\x02\x16",
            b"",
        ];
        for answer in answers {
            let (server, script) = serve(move |mut peer: Peer| {
                peer.head();
                peer.say(answer);
            });
            let error = at(&server, all()).connect(&url("ws")).unwrap_err();
            script.join();
            assert_error_is_silent(&answer.escape_ascii().to_string(), &error);
        }
    });
    assert_log_is_silent();
}

/// With the secrets that a URL may have.
fn url(scheme: &str) -> String {
    format!("{scheme}://{USERINFO}@host.example/feed?token=c4n4ry-10")
}

#[test]
fn an_opening_that_does_not_get_as_far_as_a_request_tells_no_secret() {
    listen_to_the_log();
    bounded(60, || {
        let cancellation = Cancellation::new();
        cancellation.cancel();
        let nobody = |options: ConnectOptions| options.resolver(|_, _| Ok(vec![([127, 0, 0, 1], 1).into()]));
        let cases = [
            ("no address", all().resolver(|_, _| Err(io::Error::other("no such host")))),
            ("nobody there", nobody(all())),
            ("cancelled", nobody(all()).cancellation(&cancellation)),
            ("no time", nobody(all()).timeout(ms(0))),
            ("another Upgrade", all().header("Upgrade", "c4n4ry")),
            ("a header that is none", all().header("c4n4ry 11", "c4n4ry")),
            ("a value that is none", all().header("X-Tenant", "c4n4ry\r\n")),
            ("a cookie that is none", all().cookie("c4n4ry\n")),
            ("an origin that is none", all().origin("c4n4ry\0")),
            ("a name that is none", all().tls(TlsOptions::new().server_hostname("c4n4ry c4n4ry"))),
            ("authorities that are none", all().tls(TlsOptions::new().ca_certs_pem("c4n4ry"))),
        ];
        for (name, options) in cases {
            let error = options.connect(&url("wss")).unwrap_err();
            assert_error_is_silent(name, &error);
        }
        for url in [
            format!("wss://{USERINFO}@host.example:c4n/"),
            format!("wss://{USERINFO}/@host.example/"),
            format!("wss://{USERINFO}?@host.example/"),
            format!("wss://{USERINFO}#@host.example/"),
            format!("wss://{USERINFO}@[::1/"),
            format!("wss://{USERINFO}@host .example/"),
            format!("wss://{USERINFO}@other@host.example/"),
            format!("wss://{USERINFO}@/"),
            format!("http://{USERINFO}@host.example/?c4n4ry"),
            format!("{USERINFO}@host.example/?c4n4ry"),
            format!("wss://{USERINFO}@host.example/c4n4ry\n"),
            String::from("wss://host.example:443/c4n4ry\\"),
        ] {
            assert_error_is_silent(&url, &all().connect(&url).unwrap_err());
        }
    });
    assert_log_is_silent();
}

#[test]
fn tls_that_fails_tells_no_secret() {
    listen_to_the_log();
    bounded(30, || {
        let authority = Authority::new();
        let trusting = backends::backends().into_iter().map(|tls| tls.ca_certs_pem(&authority.pem));
        for trusted in backends::backends().into_iter().chain(trusting) {
            let config = authority.server("other.example");
            let (server, script) = serve(move |peer: Peer| {
                let socket = peer.socket().try_clone().unwrap();
                tls_peer::accept(config, std::net::TcpStream::from(socket)).err()
            });
            let error = at(&server, all().tls(trusted)).connect(&url("wss")).unwrap_err();
            assert!(matches!(error, Error::Tls(_)), "{error:?}");
            assert_error_is_silent("wss", &error);
            script.join();
        }
    });
    assert_log_is_silent();
}

#[test]
fn a_connection_that_fails_later_tells_no_secret() {
    listen_to_the_log();
    bounded(30, || {
        for ending in [support::frame(0x88, b"\x03\xe8"), support::frame(0x83, ""), Vec::new()] {
            let (server, script) = serve(move |mut peer: Peer| {
                peer.accept();
                peer.say(ending);
            });
            let mut ws = at(&server, all()).connect(&url("ws")).unwrap();
            assert_error_is_silent("first", &ws.recv().unwrap_err());
            assert_error_is_silent("again", &ws.recv().unwrap_err());
            assert_error_is_silent("sending", &ws.send_text("x").unwrap_err());
            assert_error_is_silent(
                "usage",
                &ws.close_with(CloseCode(0), "").err().unwrap_or_else(|| ws.recv().unwrap_err()),
            );
            assert_silent("closed", &ws);
            script.join();
        }
    });
    assert_log_is_silent();
}
