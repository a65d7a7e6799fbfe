//! The flags of Python's wsdump, and the lines that it puts out. What the lines are was recorded from websocket-client 1.9.2;
//! tests/interop runs both beside each other.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

use crate::shell::{wsdump, wsdump_with};
use crate::support::site::{Site, fields};
use crate::support::{Heard, Peer, Script, frame, ms, serve};

/// What a server may say, and says before it closes.
fn show(peer: &mut Peer) {
    peer.accept();
    peer.say(frame(0x81, "hello κόσμε"));
    peer.say(frame(0x82, b"\x01\x02it's"));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"packed").unwrap();
    peer.say(frame(0x82, gzip.finish().unwrap()));
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(b"deflated").unwrap();
    peer.say(frame(0x82, deflate.finish().unwrap()));
    peer.say(frame(0x89, b"pp"));
    peer.say(frame(0x8A, b""));
    peer.say(frame(0x81, ""));
    peer.hear_pong();
    peer.say(frame(0x88, b"\x03\xe8bye"));
    assert_eq!(peer.close_code(), 1000);
}

impl Peer {
    fn hear_pong(&mut self) {
        assert_eq!(self.frame(), (0x8A, b"pp".to_vec()));
    }
}

fn shower() -> (String, Script<()>) {
    serve(|mut peer| show(&mut peer))
}

/// Everything that comes, with nothing put in.
#[track_caller]
fn shown(arguments: &[&str]) -> String {
    let (url, script) = shower();
    let said = wsdump(&[&[&url, "--eof-wait", "20"], arguments].concat());
    script.join();
    assert_eq!(said.code, 0, "{said:?}");
    said.out
}

#[test]
fn raw_output_is_plain_lines() {
    let expected = "hello κόσμε\nb\"\\x01\\x02it's\"\n[gzip] packed\n[zlib] deflated\n\n";
    assert_eq!(shown(&["-r"]), expected);
    assert_eq!(shown(&["--raw"]), expected);
}

#[test]
fn without_raw_lines_are_the_same_in_a_pipe() {
    let expected = "hello κόσμε\nb\"\\x01\\x02it's\"\n[gzip] packed\n[zlib] deflated\n\n";
    assert_eq!(shown(&[]), expected);
}

#[test]
fn verbose_says_what_kind_of_frame_it_was_in_every_spelling() {
    let expected = "text: hello κόσμε\nbinary: b\"\\x01\\x02it's\"\nbinary: [gzip] packed\nbinary: [zlib] deflated\n\
                    ping: b'pp'\npong: b''\ntext: \nclose: 1000 bye\n";
    for spelling in [["-r", "-v"].as_slice(), &["-rv"], &["-r", "-v", "1"], &["-r", "--verbose"], &["-r", "-v", "2"]] {
        assert_eq!(shown(spelling), expected, "{spelling:?}");
    }
}

#[test]
fn at_level_two_what_happens_in_between_is_told_on_standard_error() {
    let (url, script) = shower();
    let said = wsdump(&["-r", "-vv", &url, "--eof-wait", "20"]);
    script.join();
    for expected in ["GET / HTTP/1.1", "101 Switching Protocols", "hello", "connection ", " ms, upgrade "] {
        assert!(said.err.contains(expected), "{expected:?} in {}", said.err);
    }
    assert!(!shown(&["-r", "-v"]).contains("GET /"));
}

#[test]
fn timings_are_seconds_in_front() {
    let out = shown(&["-r", "-v", "--timings"]);
    let (seconds, rest) = out.lines().next().unwrap().split_once(": ").unwrap();
    assert_eq!(rest, "text: hello κόσμε");
    assert!((0.0..20.0).contains(&seconds.parse::<f64>().unwrap()), "{seconds}");
}

/// A server that sends back what comes until the client closes; says what it was sent.
fn echo() -> (String, Script<Vec<Heard>>) {
    serve(|mut peer| {
        peer.accept();
        let mut heard = Vec::new();
        loop {
            let (first, payload) = peer.frame();
            peer.say(frame(first, &payload));
            let is_end = first == 0x88;
            heard.push((first, payload));
            if is_end {
                return heard;
            }
        }
    })
}

#[test]
fn lines_are_sent_as_text_and_answers_are_shown_before_the_close() {
    let (url, script) = echo();
    let said = wsdump_with("hello\nκόσμε\r\n/ping\n\nlast", &["-r", &url]);
    assert_eq!((said.code, said.out.as_str()), (0, "hello\nκόσμε\n/ping\n\nlast\n"), "{said:?}");
    assert_eq!(said.err, "");
    let heard = script.join();
    let texts: Vec<&[u8]> =
        heard[..5].iter().map(|(first, payload)| (assert_eq!(*first, 0x81), &**payload).1).collect();
    assert_eq!(texts, [b"hello".as_slice(), "κόσμε".as_bytes(), b"/ping", b"", b"last"]);
    assert_eq!(heard[5..], [(0x88, b"\x03\xe8".to_vec())]);
}

#[test]
fn the_first_text_goes_before_the_input() {
    for flag in ["-t", "--text"] {
        let (url, script) = echo();
        let said = wsdump_with("second\n", &["-r", &url, flag, "first"]);
        assert_eq!(said.out, "first\nsecond\n");
        script.join();
    }
}

#[test]
fn the_end_of_the_input_waits_as_long_as_it_is_told() {
    let late = |arguments: &[&str]| {
        let (url, script) = serve(|mut peer| {
            peer.accept();
            let heard = peer.frame();
            if heard.0 == 0x88 {
                peer.say(frame(0x88, heard.1));
                return;
            }
            std::thread::sleep(ms(300));
            peer.say(frame(0x81, "late"));
            peer.end();
        });
        let said = wsdump_with("x\n", &[&["-r", &url], arguments].concat());
        script.join();
        assert_eq!(said.code, 0, "{said:?}");
        said.out
    };
    assert_eq!(late(&["--eof-wait", "1"]), "late\n");
}

#[test]
fn origin_subprotocols_and_headers_are_what_the_server_hears() {
    let heard = |arguments: &[&str]| {
        let (url, script) = serve(|mut peer| {
            let head = peer.head();
            let chosen = fields(&head, "Sec-WebSocket-Protocol").first().map(|_| "Sec-WebSocket-Protocol: b\r\n");
            let answer = crate::support::answer_to(&head).replace("\r\n\r\n", "\r\n");
            peer.say(format!("{answer}{}\r\n", chosen.unwrap_or("")));
            peer.end();
            head
        });
        let arguments: Vec<&str> =
            arguments.iter().map(|&argument| if argument == "URL" { &*url } else { argument }).collect();
        let said = wsdump(&[&arguments[..], &["--eof-wait", "0"]].concat());
        assert_eq!(said.code, 0, "{said:?}");
        (script.join(), said.err)
    };
    for flag in ["-o", "--origin"] {
        assert_eq!(fields(&heard(&["URL", flag, "http://o.example"]).0, "Origin"), ["http://o.example"]);
    }
    for flag in ["-s", "--subprotocols"] {
        let (head, notes) = heard(&["URL", flag, "a", "b"]);
        assert_eq!(fields(&head, "Sec-WebSocket-Protocol"), ["a,b"]);
        assert!(notes.contains("subprotocol b"), "{notes}");
        assert_eq!(fields(&heard(&[flag, "a", "b", "URL"]).0, "Sec-WebSocket-Protocol"), ["a,b"]);
    }
    let (head, _) = heard(&["URL", "--headers", "A: 1,B:2", "-H", "C: 3, 4", "--header", "D:5"]);
    for (name, value) in [("A", "1"), ("B", "2"), ("C", "3, 4"), ("D", "5")] {
        assert_eq!(fields(&head, name), [value], "{head}");
    }
}

#[test]
fn a_proxy_gets_the_credentials_of_its_url() {
    for flag in ["-p", "--proxy"] {
        let site = Site::new(|head| {
            assert!(head.starts_with("CONNECT server.example:80 "), "{head}");
            "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n".to_owned()
        });
        let proxy = site.url("/").replace("ws://", "http://user:pa55@").trim_end_matches('/').to_owned();
        let said = wsdump(&["-r", flag, &proxy, "ws://server.example/"]);
        assert_eq!(said.code, 6, "{said:?}");
        assert!(said.err.contains("407") && !said.err.contains("pa55"), "{}", said.err);
        assert_eq!(fields(&site.heads()[0], "Proxy-Authorization"), ["Basic dXNlcjpwYTU1"]);
    }
}
