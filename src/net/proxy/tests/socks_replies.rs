use proptest::prelude::*;

use super::scripted;
use crate::authentication::Credentials;
use crate::error::{Error, ProxyError, Retry};
use crate::net::deadline::Deadline;
use crate::net::layer::Layer;
use crate::net::proxy::socks::{self, SocksExchange};
use crate::net::stream::Stream;
use crate::net::wait_mode::{WaitMode, block_on};

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials { user: user.to_owned(), password: password.to_owned() }
}

/// What comes of a dialogue: what the proxy heard, and the first byte that is left for the tunnel.
type Outcome = Result<(Vec<u8>, Option<u8>), ProxyError>;

fn outcome(connect: impl Fn(&Stream) -> crate::Result<()>, says: &[u8], step: usize) -> Outcome {
    let (stream, heard) = scripted(says, step);
    match connect(&stream) {
        Ok(()) => {
            let mut next = [0];
            let left = stream.read(&mut next, Deadline::NEVER).unwrap();
            let heard = heard.lock().unwrap().clone();
            Ok((heard, (left > 0).then_some(next[0])))
        }
        Err(Error::Proxy(problem)) => Err(*problem),
        Err(other) => panic!("{other:?}"),
    }
}

fn exchange(stream: &Stream) -> SocksExchange<'_> {
    SocksExchange { mode: &WaitMode::Blocking, stream, deadline: Deadline::NEVER }
}

fn four(host: &str, user: Option<&str>, says: &[u8], step: usize) -> Outcome {
    let credentials = user.map(|user| credentials(user, ""));
    let destination = socks::Socks4Address::by_name(host, 0x1234);
    let connect = |stream: &_| block_on(socks::connect_v4(exchange(stream), destination, credentials.as_ref()));
    outcome(connect, says, step)
}

fn five(host: &str, who: Option<(&str, &str)>, says: &[u8], step: usize) -> Outcome {
    let credentials = who.map(|(user, password)| credentials(user, password));
    let destination = socks::Socks5Address::by_name(host, 0x1234);
    let connect = |stream: &_| {
        block_on(async {
            socks::authenticate(exchange(stream), credentials.as_ref()).await?;
            socks::connect_v5(exchange(stream), destination).await
        })
    };
    outcome(connect, says, step)
}

/// The error, as it is called and worded.
#[track_caller]
fn told(outcome: Outcome) -> String {
    outcome.expect_err("a refusal").to_string()
}

const GRANTED: [u8; 8] = [0, 90, 0, 80, 127, 0, 0, 1];

#[test]
fn version_4_sends_an_address_and_4a_a_name() {
    let table: [(&str, Option<&str>, &[u8]); 5] = [
        ("10.1.2.3", None, b"\x04\x01\x12\x34\x0a\x01\x02\x03\0"),
        ("10.1.2.3", Some("me"), b"\x04\x01\x12\x34\x0a\x01\x02\x03me\0"),
        ("a.example", None, b"\x04\x01\x12\x34\0\0\0\x01\0a.example\0"),
        ("a.example", Some("me"), b"\x04\x01\x12\x34\0\0\0\x01me\0a.example\0"),
        ("a.example", Some(""), b"\x04\x01\x12\x34\0\0\0\x01\0a.example\0"),
    ];
    for (host, user, request) in table {
        for step in 1..=9 {
            assert_eq!(four(host, user, &GRANTED, step).unwrap(), (request.to_vec(), None), "{host}");
            // What follows is the tunnel's.
            let says = [&GRANTED[..], b"X"].concat();
            assert_eq!(four(host, user, &says, step).unwrap(), (request.to_vec(), Some(b'X')), "{host}");
        }
    }
}

#[test]
fn every_reply_of_version_4_has_its_words() {
    let words = |code| match code {
        91 => "request rejected or failed",
        92 => "identd of this machine was not reached",
        93 => "identd of this machine names another user",
        _ => "which has no meaning",
    };
    for code in (0..=255).filter(|&code| code != 90) {
        for says in [&[0, code][..], &[0, code, 0, 0, 0, 0, 0, 0]] {
            let refused = four("10.0.0.1", None, says, 8).expect_err("a refusal");
            assert!(matches!(refused, ProxyError::Socks { version: 4, code: found } if found == code));
            assert_eq!(refused.to_string(), format!("proxy refused: SOCKS4 reply {code}, {}", words(code)));
            assert_eq!(refused.retry(), if code == 91 { Retry::Soon } else { Retry::Slowly });
        }
    }
    for version in 1..=255 {
        let mut says = GRANTED;
        says[0] = version;
        assert_eq!(told(four("10.0.0.1", None, &says, 8)), "proxy's answer is malformed: it is not of SOCKS 4");
    }
}

#[test]
fn an_answer_of_version_4_that_ends_early_is_told_wherever_it_ends() {
    for end in 0..GRANTED.len() {
        assert!(matches!(four("10.0.0.1", None, &GRANTED[..end], 8), Err(ProxyError::Eof)), "{end}");
    }
}

/// A reply of success with an address of each kind.
const REPLIES: [&[u8]; 4] = [
    b"\x05\0\0\x01\x7f\0\0\x01\x12\x34",
    b"\x05\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x34",
    b"\x05\0\0\x03\x09a.example\x12\x34",
    b"\x05\0\0\x03\0\x12\x34",
];

#[test]
fn version_5_sends_an_address_or_a_name_and_takes_any_reply() {
    let table: [(&str, &[u8]); 4] = [
        ("10.1.2.3", b"\x05\x01\0\x01\x0a\x01\x02\x03\x12\x34"),
        ("2001:db8::1", b"\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x34"),
        ("a.example", b"\x05\x01\0\x03\x09a.example\x12\x34"),
        (&"x".repeat(255), &[b"\x05\x01\0\x03\xff", &[b'x'; 255][..], b"\x12\x34"].concat()),
    ];
    let longest = [b"\x05\0\0\x03\xff", &[b'y'; 257][..]].concat();
    for (host, request) in table {
        for reply in REPLIES.into_iter().chain([&longest[..]]) {
            for step in [1, 2, 3, 7, 1000] {
                let says = [b"\x05\0", reply].concat();
                let heard = [b"\x05\x01\0", request].concat();
                assert_eq!(five(host, None, &says, step).unwrap(), (heard.clone(), None), "{host}");
                let says = [&says[..], b"X"].concat();
                assert_eq!(five(host, None, &says, step).unwrap(), (heard, Some(b'X')), "{host}");
            }
        }
    }
}

#[test]
fn user_and_password_are_sent_to_those_who_ask() {
    let long = "p".repeat(255);
    let table: [(&str, &str, Vec<u8>); 4] = [
        ("user", "pa55", b"\x01\x04user\x04pa55".to_vec()),
        ("user", "", b"\x01\x04user\0".to_vec()),
        ("", "", b"\x01\0\0".to_vec()),
        ("\u{fc}", &long, [b"\x01\x02\xc3\xbc\xff", long.as_bytes()].concat()),
    ];
    for (user, password, exchange) in table {
        let asks = [b"\x05\x02\x01\0", REPLIES[0]].concat();
        let heard = [b"\x05\x02\0\x02", &exchange[..], b"\x05\x01\0\x01\x0a\0\0\x01\x12\x34"].concat();
        assert_eq!(five("10.0.0.1", Some((user, password)), &asks, 3).unwrap(), (heard, None));
        // Who does not ask does not get it.
        let does_not = [b"\x05\0", REPLIES[0]].concat();
        let heard = b"\x05\x02\0\x02\x05\x01\0\x01\x0a\0\0\x01\x12\x34".to_vec();
        assert_eq!(five("10.0.0.1", Some((user, password)), &does_not, 3).unwrap(), (heard, None));
    }
}

#[test]
fn every_reply_of_version_5_has_its_words() {
    let words = |code| match code {
        1 => "general failure",
        2 => "not allowed by the proxy's rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "which has no meaning",
    };
    for code in 1..=255 {
        // Some say no more than that, some give a name as the address.
        for rest in [&b""[..], b"\0\x01\0\0\0\0\0\0", b"\0\x03\x04name\0\0", b"\xff\xff"] {
            let says = [&[5, 0, 5, code], rest].concat();
            let refused = five("a.example", None, &says, 9).expect_err("a refusal");
            assert!(matches!(refused, ProxyError::Socks { version: 5, code: found } if found == code));
            assert_eq!(refused.to_string(), format!("proxy refused: SOCKS5 reply {code}, {}", words(code)));
            let is_of_network = [1, 3, 4, 5, 6].contains(&code);
            assert_eq!(refused.retry(), if is_of_network { Retry::Soon } else { Retry::Slowly }, "{code}");
            assert!(!refused.wants_credentials());
        }
    }
}

#[test]
fn what_version_5_does_not_know_is_refused() {
    const NOT_5: &str = "proxy's answer is malformed: it is not of SOCKS 5";
    const NOT_OFFERED: &str = "proxy's answer is malformed: it chooses a way to authenticate that was not offered";
    const NO_TYPE: &str = "proxy's answer is malformed: there is no such type of address";
    const RESERVED: &str = "proxy's answer is malformed: a reserved byte is not zero";
    const NOT_PASSWORD: &str = "proxy's answer is malformed: it is no answer to user and password";
    const DENIED: &str = "SOCKS proxy does not accept user and password, or wants some";
    let who = Some(("user", "pa55"));
    type Row = (Option<(&'static str, &'static str)>, &'static [u8], &'static str);
    let table: [Row; 23] = [
        (None, b"\x04\0", NOT_5),
        (None, b"\0\x5b", NOT_5),
        (None, b"HTTP/1.1 400 Bad Request\r\n", NOT_5),
        (None, b"\x05\xff", DENIED),
        (who, b"\x05\xff", DENIED),
        (None, b"\x05\x02", NOT_OFFERED),
        (None, b"\x05\x01", NOT_OFFERED),
        (who, b"\x05\x01", NOT_OFFERED),
        (who, b"\x05\x80", NOT_OFFERED),
        (who, b"\x05\x02\x01\x01", DENIED),
        (who, b"\x05\x02\x01\x02", DENIED),
        (who, b"\x05\x02\x01\xff", DENIED),
        (who, b"\x05\x02\x05\0", NOT_PASSWORD),
        (who, b"\x05\x02\0\0", NOT_PASSWORD),
        (None, b"\x05\0\x04\0\0\x01", NOT_5),
        (None, b"\x05\0\0\x5a\0\0", NOT_5),
        (None, b"\x05\0\x05\0\x01\x01", RESERVED),
        (None, b"\x05\0\x05\0\xff\x03", RESERVED),
        (None, b"\x05\0\x05\0\0\0", NO_TYPE),
        (None, b"\x05\0\x05\0\0\x02", NO_TYPE),
        (None, b"\x05\0\x05\0\0\x05", NO_TYPE),
        (None, b"\x05\0\x05\0\0\xff", NO_TYPE),
        (who, b"\x05\x02\x01\0\x05\0\0\0", NO_TYPE),
    ];
    for (who, says, expected) in table {
        for step in [1, 1000] {
            let refused = five("a.example", who, says, step).expect_err("a refusal");
            assert_eq!(refused.to_string(), expected, "{}", says.escape_ascii());
            assert_eq!(refused.retry(), if expected == DENIED { Retry::Slowly } else { Retry::Soon });
            assert_eq!(refused.wants_credentials(), expected == DENIED);
        }
    }
}

#[test]
fn an_answer_of_version_5_that_ends_early_is_told_wherever_it_ends() {
    for reply in REPLIES {
        for (who, before) in [(None, &b"\x05\0"[..]), (Some(("user", "pa55")), b"\x05\x02\x01\0")] {
            let says = [before, reply].concat();
            assert!(five("a.example", who, &says, 9).is_ok());
            for end in 0..says.len() {
                let ended = five("a.example", who, &says[..end], 9);
                assert!(matches!(ended, Err(ProxyError::Eof)), "{end} of {}: {ended:?}", says.escape_ascii());
            }
        }
    }
}

#[test]
fn what_has_no_room_is_refused_before_anything_is_sent() {
    let long = "x".repeat(256);
    assert!(matches!(socks::check_v5(&long, None), Err(ProxyError::Target(_))));
    assert!(socks::check_v5(&long[1..], None).is_ok());
    assert!(matches!(socks::check_v4(&long, None), Err(ProxyError::Target(_))));
    assert!(matches!(socks::check_v4("::1", None), Err(ProxyError::Target(_))));
    assert!(socks::check_v4("10.0.0.1", None).is_ok() && socks::check_v5("::1", None).is_ok());
    for (user, password, four, five) in [
        ("user", "", true, true),
        ("user", "pa55", false, true),
        (&long, "", false, false),
        (&long[1..], "", true, true),
        ("user", &long, false, false),
        ("user", &long[1..], false, true),
        ("a\0b", "", false, true),
    ] {
        let who = credentials(user, password);
        let (by_four, by_five) = (socks::check_v4("h", Some(&who)), socks::check_v5("h", Some(&who)));
        assert_eq!((by_four.is_ok(), by_five.is_ok()), (four, five), "{user:?} {password:?}");
        for refused in [by_four, by_five].into_iter().filter_map(Result::err) {
            assert!(matches!(refused, ProxyError::Credentials(_)) && !refused.to_string().contains("pa55"));
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), step in 1..50_usize) {
        let _ = four("a.example", Some("user"), &bytes, step);
        let _ = five("a.example", Some(("user", "pa55")), &bytes, step);
        let _ = five("a.example", None, &[b"\x05\0\x05\0\0", &bytes[..]].concat(), step);
    }
}
