//! The head of a request or an answer without its secrets.

use std::fmt::Write;

use crate::protocol::handshake::shown_subprotocol;

/// The fields whose values are shown, beside those that begin with `accept` and `sec-websocket-`. Whatever else somebody thinks of may
/// be a secret, `X-Api-Key` as well as `Authorization`.
const SHOWN: [&str; 18] = [
    "allow",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "host",
    "keep-alive",
    "location",
    "origin",
    "proxy-connection",
    "retry-after",
    "server",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

const HIDDEN: &str = "<hidden>";

/// The lines of the first head in `bytes`, as far as it is there. Of the subprotocols those are shown that are registered or
/// `public`.
pub(super) fn shown(bytes: &[u8], public: &[String]) -> String {
    let head = &bytes[..end(bytes).unwrap_or(bytes.len())];
    let mut text = String::with_capacity(head.len());
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    show_start(&mut text, lines.next().unwrap_or_default());
    for line in lines.filter(|line| !line.is_empty()) {
        text.push('\n');
        show_field(&mut text, line, public);
    }
    text
}

/// Where the first head in `bytes` ends, if its end is there: behind an empty line.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    let of =
        |pattern: &[u8]| bytes.windows(pattern.len()).position(|bytes| bytes == pattern).map(|at| at + pattern.len());
    [of(b"\n\r\n"), of(b"\n\n")].into_iter().flatten().min()
}

/// The request line, or that of the status.
fn show_start(text: &mut String, line: &[u8]) {
    let mut words = line.splitn(3, |&byte| byte == b' ');
    match (words.next(), words.next(), words.next()) {
        (Some(method), Some(resource), Some(version)) if version.starts_with(b"HTTP/") => {
            escape(text, method);
            text.push(' ');
            show_url(text, resource);
            text.push(' ');
            escape(text, version);
        }
        _ if line.starts_with(b"HTTP/") => escape(text, line),
        // Cut off, or malformed: there may be a query in it all the same.
        _ => show_url(text, line),
    }
}

/// A line that is not a name and a value may continue one that is hidden.
fn show_field(text: &mut String, line: &[u8], public: &[String]) {
    let Some(colon) = line.iter().position(|&byte| byte == b':').filter(|_| !line[0].is_ascii_whitespace()) else {
        text.push_str(HIDDEN);
        return;
    };
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    escape(text, name);
    text.push_str(": ");
    match name.to_ascii_lowercase().as_slice() {
        b"location" => show_url(text, value),
        b"sec-websocket-protocol" => show_subprotocols(text, value, public),
        name if is_shown(name) => escape(text, value),
        _ => text.push_str(HIDDEN),
    }
}

/// Not so with whitespace behind it: it may be taken for a name whose value is hidden.
fn is_shown(name: &[u8]) -> bool {
    let begins_like_one = name.starts_with(b"accept") || name.starts_with(b"sec-websocket-");
    begins_like_one && name.trim_ascii_end() == name || SHOWN.iter().any(|shown| shown.as_bytes() == name)
}

/// A URL, whole or not, without userinfo, query and fragment.
fn show_url(text: &mut String, url: &[u8]) {
    let end = url.iter().position(|byte| b"?#".contains(byte)).unwrap_or(url.len());
    let (place, rest) = url.split_at(end);
    match place.iter().rposition(|&byte| byte == b'@') {
        Some(at) => {
            text.push_str(HIDDEN);
            escape(text, &place[at..]);
        }
        None => escape(text, place),
    }
    if let [mark, ..] = rest {
        text.push(char::from(*mark));
        text.push_str(HIDDEN);
    }
}

/// The names of a list that are known to be no tokens.
fn show_subprotocols(text: &mut String, list: &[u8], public: &[String]) {
    for (index, name) in list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).enumerate() {
        text.push_str(if index == 0 { "" } else { ", " });
        match str::from_utf8(name) {
            Ok(name) => escape(text, shown_subprotocol(name, public).as_bytes()),
            Err(_) => text.push_str(HIDDEN),
        }
    }
}

/// Printable ASCII as it is, every other byte as its number: nothing of a peer's gets at a terminal.
fn escape(text: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b' '..=b'~' => text.push(char::from(byte)),
            // A string takes whatever is written to it.
            _ => drop(write!(text, "\\x{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(line: &str) -> String {
        let public = ["my.feed".to_owned()];
        let shown = shown(format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n").as_bytes(), &public);
        shown.strip_prefix("HTTP/1.1 200 OK\n").unwrap().to_owned()
    }

    #[test]
    fn fields_are_shown_that_are_known_to_hold_no_secret() {
        let table = [
            ("Host: h:1", "Host: h:1"),
            ("UPGRADE:websocket ", "UPGRADE: websocket"),
            ("Sec-WebSocket-Extensions: a; b=\"c\"", "Sec-WebSocket-Extensions: a; b=\"c\""),
            ("Sec-WebSocket-Protocol: mqtt, my.feed,v12.stomp", "Sec-WebSocket-Protocol: mqtt, my.feed, v12.stomp"),
            ("sec-websocket-protocol: mqtt, token.s3cret", "sec-websocket-protocol: mqtt, <hidden>"),
            ("Sec-WebSocket-Protocol: \u{e9}", "Sec-WebSocket-Protocol: <hidden>"),
            ("Accept-Language: de", "Accept-Language: de"),
            ("Authorization: Basic eDp5", "Authorization: <hidden>"),
            ("proxy-authorization: Digest response=\"0\"", "proxy-authorization: <hidden>"),
            ("Cookie: a=b", "Cookie: <hidden>"),
            ("Set-Cookie: a=b", "Set-Cookie: <hidden>"),
            ("X-Feed: a", "X-Feed: <hidden>"),
            ("Host : h", "Host : <hidden>"),
            ("Sec-WebSocket-Protocol : token.s3cret", "Sec-WebSocket-Protocol : <hidden>"),
            ("Sec-WebSocket-Protocol\t: token.s3cret", "Sec-WebSocket-Protocol\\x09: <hidden>"),
            ("no field at all", "<hidden>"),
            ("Cookie: a=\r\n b: c", "Cookie: <hidden>\n<hidden>"),
            ("Server: \x1b[0m\u{202e}\t", "Server: \\x1b[0m\\xe2\\x80\\xae"),
            ("Location: /a/b?c=d#e", "Location: /a/b?<hidden>"),
            ("Location: https://u:p@h/a#t", "Location: <hidden>@h/a#<hidden>"),
            ("location: //u:p@q@h", "location: <hidden>@h"),
        ];
        for (line, expected) in table {
            assert_eq!(field(line), expected, "{line}");
        }
    }

    #[test]
    fn the_first_line_is_shown_without_a_query() {
        let table = [
            ("GET / HTTP/1.1", "GET / HTTP/1.1"),
            ("GET /feed?token=x HTTP/1.1", "GET /feed?<hidden> HTTP/1.1"),
            ("GET ws://u:p@h/feed?x HTTP/1.1", "GET <hidden>@h/feed?<hidden> HTTP/1.1"),
            ("CONNECT [::1]:80 HTTP/1.1", "CONNECT [::1]:80 HTTP/1.1"),
            // Cut off, or with a space in it.
            ("GET /feed?token=x", "GET /feed?<hidden>"),
            ("GET ws://u:p@h/feed?token=x", "<hidden>@h/feed?<hidden>"),
            ("GET /feed?token=x y HTTP/1.1", "GET /feed?<hidden>"),
            ("HTTP/1.1 404 Not Found?", "HTTP/1.1 404 Not Found?"),
            ("HTTP/1.1 200", "HTTP/1.1 200"),
            ("\x16\x03\x01", "\\x16\\x03\\x01"),
            ("", ""),
        ];
        for (line, expected) in table {
            for end in ["", "\r", "\r\n", "\n", "\r\n\r\nbody", "\n\nbody"] {
                let shown = shown(format!("{line}{end}").as_bytes(), &[]);
                // A lone CR is no end of a line yet.
                assert_eq!(shown.trim_end_matches("\\x0d"), expected, "{line:?} {end:?}");
            }
        }
    }

    #[test]
    fn a_head_ends_with_an_empty_line_however_lines_end() {
        let table: [(&[u8], Option<usize>); 5] = [
            (b"a\r\n\r\nb\n\n", Some(5)),
            (b"a\n\nb\r\n\r\n", Some(3)),
            (b"a\r\nb\n\r\nc", Some(7)),
            (b"a\r\nb\r\n\r", None),
            (b"", None),
        ];
        for (bytes, expected) in table {
            assert_eq!(end(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
