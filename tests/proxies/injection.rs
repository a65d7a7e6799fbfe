//! What is said to a proxy cannot break out of its place: it is refused before anybody is connected to.

use std::io;

use super::support::bounded;
use super::*;

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

/// A place for them: makes a proxy of the scheme and port of one that must not be asked.
type Put = fn(&str, u16, &str) -> Proxy;

const PLACES: [(&str, Put); 10] = [
    ("header name", |scheme, port, text| at(scheme, port).header(text, "value")),
    ("header value", |scheme, port, text| at(scheme, port).header("X-Name", text)),
    ("a header that replaces ours", |scheme, port, text| at(scheme, port).header("Proxy-Authorization", text)),
    ("user", |scheme, port, text| at(scheme, port).credentials(text, "")),
    ("password", |scheme, port, text| at(scheme, port).credentials("user", text)),
    ("user of the URL", |scheme, port, text| Proxy::new(format!("{scheme}://{text}:x@proxy.example:{port}"))),
    ("password of the URL", |scheme, port, text| Proxy::new(format!("{scheme}://x:{text}@proxy.example:{port}"))),
    ("host of the URL", |scheme, port, text| Proxy::new(format!("{scheme}://proxy{text}.example:{port}"))),
    ("port of the URL", |scheme, port, text| Proxy::new(format!("{scheme}://proxy.example:{port}{text}0"))),
    ("path of the URL", |scheme, port, text| Proxy::new(format!("{scheme}://proxy.example:{port}/{text}x"))),
];

#[test]
fn nothing_can_be_injected_into_a_request_for_a_tunnel() {
    bounded(60, || {
        let trap = TcpListener::bind("127.0.0.1:0").unwrap();
        trap.set_nonblocking(true).unwrap();
        let port = trap.local_addr().unwrap().port();
        for (place, put) in PLACES {
            for text in INJECTIONS {
                for scheme in ["http", "https"] {
                    let problem = wrong(options().proxy(put(scheme, port, text)).connect("ws://server.example/"));
                    let is_expected = match problem {
                        ProxyError::Header(_) => place.contains("header"),
                        ProxyError::Credentials(_) => ["user", "password"].contains(&place),
                        ProxyError::Url { .. } => place.ends_with("URL"),
                        _ => false,
                    };
                    assert!(is_expected && !problem.is_retryable(), "{text:?} as {place}: {problem:?}");
                    let nobody = trap.accept().expect_err("a connection");
                    assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
                }
            }
        }
    });
}

#[test]
fn what_the_url_has_percent_encoded_is_looked_at_when_it_is_decoded() {
    bounded(20, || {
        for (url, is_refused) in [
            ("http://us%0d%0aer:x@127.0.0.1:9", true),
            ("https://user:%00@127.0.0.1:9", true),
            ("socks4://us%00er@127.0.0.1:9", true),
            // Behind a length it is a character like others.
            ("socks5h://us%00er:%0d%0a@127.0.0.1:9", false),
        ] {
            let problem = wrong(options().proxy(url).connect("ws://10.0.0.1/"));
            assert_eq!(matches!(problem, ProxyError::Credentials(_)), is_refused, "{url}: {problem:?}");
        }
    });
}
