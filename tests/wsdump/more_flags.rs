//! The flags that Python's wsdump does not have.

use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;

use crate::listening::Server;
use crate::shell::{Running, command, end_of, wsdump, wsdump_with};
use crate::support::refusing::refusing_address;
use crate::support::site::{Site, fields, found, open, path, status};
#[cfg(target_os = "linux")]
use crate::support::{BlackHole, timed};
use crate::support::{answer_to, frame, ms, one_close, serve};

/// Where a file of this test lies.
fn file(name: &str, holds: impl AsRef<[u8]>) -> String {
    let path = std::env::temp_dir().join(format!("wsdump-{name}-{}", std::process::id()));
    fs::write(&path, holds).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn secrets_come_from_files() {
    let header = file("header", "X-Token: s3cret\nX-Other: 2\n\n");
    let user = file("user", "me:p:w\n");
    let cookie = file("cookie", "a=1; b=2\n");
    let site = Site::new(|head| {
        if fields(head, "Authorization").is_empty() {
            status("401 Who", "WWW-Authenticate: Basic realm=\"x\"\r\n")
        } else {
            open(head)
        }
    });
    let at = |path: &str| format!("@{path}");
    let arguments =
        ["-r", &site.url("/"), "-H", &at(&header), "--user", &at(&user), "--cookie", &at(&cookie), "-m", "1"];
    wsdump(&arguments);
    let last = site.heads().pop().unwrap();
    let expected =
        [("X-Token", "s3cret"), ("X-Other", "2"), ("Authorization", "Basic bWU6cDp3"), ("Cookie", "a=1; b=2")];
    for (name, value) in expected {
        assert_eq!(fields(&last, name), [value], "{last}");
    }
    let site = Site::new(open);
    wsdump(&["-r", &site.url("/"), "--cookie", "c=3", "-m", "1"]);
    assert_eq!(fields(&site.heads()[0], "Cookie"), ["c=3"]);
}

#[test]
fn cookies_are_kept_in_a_file() {
    let jar = std::env::temp_dir().join(format!("wsdump-jar-{}", std::process::id()));
    let jar = jar.to_str().unwrap();
    let _ = fs::remove_file(jar);
    let site = Site::new(|head| open(head).replace("\r\n\r\n", "\r\nSet-Cookie: session=42; Path=/\r\n\r\n"));
    for _ in 0..2 {
        wsdump(&["-r", &site.url("/"), "--cookie-jar", jar, "-m", "1"]);
    }
    let heads = site.heads();
    assert_eq!(fields(&heads[0], "Cookie"), [""; 0]);
    assert_eq!(fields(&heads[1], "Cookie"), ["session=42"]);
    assert!(fs::read_to_string(jar).unwrap().contains("session"));
}

#[test]
fn redirects_are_followed_shown_and_counted() {
    let site = Site::new(|head| if path(head) == "/there" { open(head) } else { found("/there") });
    let said = wsdump(&[&site.url("/here"), "-m", "1"]);
    assert!(said.err.contains(&format!("Redirected to {}", site.url("/there"))), "{said:?}");
    let said = wsdump(&[&site.url("/here"), "--max-redirects", "0"]);
    assert_eq!(said.code, 7, "{said:?}");
    assert!(said.err.contains("302") && said.err.contains("location: /there"), "{}", said.err);
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_connected_to_and_the_server_told_the_host() {
    let path = file("a:b.sock", "");
    fs::remove_file(&path).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let script = std::thread::spawn(move || {
        let mut peer = crate::support::Peer::new(listener.accept().unwrap().0);
        let head = peer.head();
        peer.say(answer_to(&head));
        peer.say(frame(0x81, "inside"));
        peer.end();
        head
    });
    let said = wsdump(&["-r", "--unix-socket", &path, "ws://server.example:81/chat?x=1"]);
    assert_eq!((said.code, said.out.as_str()), (0, "inside\n"), "{said:?}");
    let head = script.join().unwrap();
    assert!(head.starts_with("GET /chat?x=1 HTTP/1.1\r\n"), "{head}");
    assert_eq!(fields(&head, "Host"), ["server.example:81"]);
}

#[cfg(target_os = "linux")]
#[test]
fn connecting_takes_no_longer_than_it_is_allowed() {
    let hole = BlackHole::new([127, 0, 0, 1].into()).unwrap();
    let (said, took) = timed(|| wsdump(&["-r", "--connect-timeout", "0.3", &format!("ws://{}/", hole.address)]));
    assert_eq!(said.code, 8, "{said:?}");
    assert!(said.err.contains("connecting timed out"), "{}", said.err);
    assert!((ms(300)..ms(5000)).contains(&took), "{took:?}");
}

#[test]
fn a_message_may_be_so_long_and_no_longer() {
    for (size, code) in [("999", 9), ("1000", 0)] {
        let (url, script) = serve(|mut peer| {
            peer.accept();
            peer.say(frame(0x81, "x".repeat(1000)));
            peer.end()
        });
        let said = wsdump(&["-r", "--max-messages", "1", "--max-message-size", size, &url]);
        assert_eq!((said.code, script.join()), (code, if code == 0 { 1000 } else { 1009 }), "{said:?}");
    }
}

#[test]
fn so_many_messages_and_no_more() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        for number in 0..10 {
            peer.say(frame(0x81, number.to_string()));
        }
        peer.end()
    });
    let said = wsdump(&["-r", "--max-messages", "3", &url]);
    assert_eq!((said.code, said.out.as_str(), script.join()), (0, "0\n1\n2\n", 1000), "{said:?}");
}

#[test]
fn bytes_go_both_ways_as_they_are() {
    let bytes: Vec<u8> = (0..300_000u32).map(|number| (number * 7 + (number >> 8)) as u8).collect();
    let server = Server::new(&["-r"]);
    for flag in ["-b", "--binary"] {
        let mut child = command(&["-r", flag, &server.url]).stdin(Stdio::piped()).spawn().unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let sent = bytes.clone();
        let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
        let mut got = Vec::new();
        stdout.read_to_end(&mut got).unwrap();
        writer.join().unwrap();
        assert_eq!(end_of(child).code, 0);
        assert!(got == bytes, "{} bytes came back", got.len());
    }
    #[cfg(unix)]
    server.stop();
}

#[test]
fn payloads_go_to_a_file() {
    let output = file("output", "");
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x82, [0, 255]));
        peer.say(frame(0x89, "?"));
        peer.say(frame(0x81, "text"));
        one_close(&mut peer);
    });
    let said = wsdump(&["--output", &output, &url]);
    script.join();
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    assert_eq!(fs::read(&output).unwrap(), b"\x00\xfftext");
    let said = wsdump(&["--output", "/no/such/directory/x", "ws://127.0.0.1:1/"]);
    assert_eq!(said.code, 1, "{said:?}");
}

#[test]
fn binary_messages_may_be_shown_as_numbers() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x82, b"Hi\x00"));
        peer.end()
    });
    let said = wsdump(&["-r", "--hex", &url]);
    script.join();
    assert_eq!(said.out, "3 bytes\n00000000  48 69 00                                          |Hi.|\n");
}

#[test]
fn events_are_json_for_machines() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x81, "a\nb"));
        peer.say(frame(0x82, [255]));
        peer.say(frame(0x88, b"\x0f\xa0bye"));
        peer.close_code()
    });
    let said = Running::new(&["--json", &url]).end();
    script.join();
    assert_eq!(said.code, 11, "{said:?}");
    let events: Vec<serde_json::Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["open", "text", "binary", "close"]);
    assert_eq!(events[0]["url"], url);
    assert_eq!(events[1]["text"], "a\nb");
    assert_eq!(events[2]["base64"], "/w==");
    assert_eq!((&events[3]["code"], &events[3]["reason"]), (&4000.into(), &"bye".into()));
    let said = wsdump(&["--json", "ws://no-such-host.invalid/"]);
    let event: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(event["event"], "error");
    assert_eq!(said.code, 3);
}

#[test]
fn pings_are_sent_and_timed() {
    let pinged = |flags: &[&str]| {
        let (url, script) = serve(|mut peer| {
            peer.accept();
            for _ in 0..2 {
                let (first, payload) = peer.frame();
                assert_eq!(first, 0x89);
                peer.say(frame(0x8A, payload));
            }
            peer.say(frame(0x88, b"\x03\xe8"));
            while peer.frame().0 != 0x88 {}
        });
        let said = Running::new(&[&["--ping-interval", "0.1", &url], flags].concat()).end();
        script.join();
        assert_eq!(said.code, 0, "{said:?}");
        said
    };
    let said = pinged(&[]);
    assert_eq!(said.err.matches("Round trip: ").count(), 2, "{}", said.err);
    assert!(!said.out.contains("b'"), "{}", said.out);
    let said = pinged(&["--json"]);
    assert_eq!(said.out.matches("\"round_trip\":").count(), 2, "{}", said.out);
}

#[test]
fn a_server_that_has_fallen_silent_is_given_up() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.rest();
    });
    let said = wsdump(&["-r", "--no-input", "--ping-interval", "0.2", &url]);
    script.join();
    assert_eq!(said.code, 10, "{said:?}");
    assert!(said.err.contains("no answer to a ping"), "{}", said.err);
}

#[test]
fn a_connection_that_is_lost_is_made_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let script = std::thread::spawn(move || {
        let mut peers = listener.incoming().map(|stream| crate::support::Peer::new(stream.unwrap()));
        let mut first = peers.next().unwrap();
        first.accept();
        first.say(frame(0x81, "one"));
        first.reset();
        let mut second = peers.next().unwrap();
        second.accept();
        second.say(frame(0x81, "two"));
        assert_eq!(second.frame(), (0x81, b"still there".to_vec()));
        second.end()
    });
    let mut running = Running::new(&["--reconnect", &url]);
    assert_eq!(running.line(), "one");
    std::thread::sleep(ms(100));
    running.say("still there");
    assert_eq!(running.line(), "two");
    running.end_input();
    let said = running.end();
    assert_eq!((said.code, script.join().unwrap()), (0, 1000), "{said:?}");
    for expected in ["connection lost", "Connects again in ", "Connected to "] {
        assert!(said.err.contains(expected), "{expected:?} in {}", said.err);
    }
}

#[test]
fn an_input_that_ends_while_there_is_no_connection_ends_the_attempts() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x81, "one"));
        peer.reset();
    });
    let mut running = Running::new(&["-r", "--reconnect", &url]);
    assert_eq!(running.line(), "one");
    script.join();
    // Nobody listens any more.
    std::thread::sleep(ms(1500));
    running.end_input();
    let said = running.end();
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("while there was no connection"), "{}", said.err);
}

#[test]
fn attempts_have_an_end() {
    let nobody = refusing_address();
    let said = wsdump(&["--reconnect=1", &format!("ws://{nobody}/")]);
    assert_eq!(said.code, 4, "{said:?}");
    assert_eq!(
        said.err.matches("connecting failed").count(),
        2,
        "two attempts, the last of which is why it ends: {}",
        said.err
    );
}

#[test]
fn without_input_it_stays_until_the_server_closes() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        std::thread::sleep(ms(300));
        peer.say(frame(0x81, "late"));
        peer.say(frame(0x88, b"\x03\xe8"));
        peer.close_code()
    });
    let said = wsdump_with("not read\n", &["-r", "--no-input", &url]);
    assert_eq!((said.code, said.out.as_str(), script.join()), (0, "late\n", 1000), "{said:?}");
}

#[test]
fn json_has_no_character_that_a_terminal_obeys() {
    let evil = "\u{9b}2J\u{202e}\u{7f}\u{2028}\x1b ok κόσμε";
    let (url, script) = serve(move |mut peer| {
        peer.accept();
        peer.say(frame(0x81, evil));
        peer.say(frame(0x88, b"\x0f\xa0\xc2\x9b\x7f"));
        peer.rest();
    });
    let said = Running::new(&["--json", &url]).end();
    script.join();
    assert!(
        !said.out.contains(|c: char| matches!(c, '\x7f'..='\u{9f}' | '\u{2028}' | '\u{202e}' | '\x1b')),
        "{:?}",
        said.out
    );
    let events: Vec<serde_json::Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[1]["text"], evil);
    assert_eq!(events[2]["reason"], "\u{9b}\u{7f}");
    assert!(said.out.contains("κόσμε"));
}

#[test]
fn header_fields_come_from_standard_input() {
    let site = Site::new(open);
    wsdump_with("X-Token: s3cret\nX-Other: 2\n", &["-r", &site.url("/"), "-H", "@-", "-m", "1"]);
    let heads = site.heads();
    assert_eq!((fields(&heads[0], "X-Token"), fields(&heads[0], "X-Other")), (vec!["s3cret"], vec!["2"]));
}
