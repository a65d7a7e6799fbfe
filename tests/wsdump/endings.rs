//! How it ends: in order, with a code for each cause, and never with a trace of the program.

use std::fs::File;
use std::io::Read;
use std::thread;

use crate::shell::{Running, command, end_of, wsdump, wsdump_with};
use crate::support::refusing::refusing_address;
use crate::support::{frame, ms, serve};

#[test]
fn the_end_of_the_input_closes_in_order() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.end()
    });
    let said = wsdump(&[&url]);
    assert_eq!((said.code, script.join()), (0, 1000), "{said:?}");
    assert!(said.err.contains("closed by this side: 1000 (normal)"), "{}", said.err);
}

#[test]
fn it_ends_when_the_server_closes_and_says_why() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x88, b"\x03\xe8enough"));
        assert_eq!(peer.close_code(), 1000);
    });
    // The input stays open.
    let said = Running::new(&[&url]).end();
    script.join();
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("closed by the peer: 1000 (normal): enough"), "{}", said.err);
}

#[cfg(unix)]
#[test]
fn an_interrupt_closes_in_order() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x81, "open"));
        peer.end()
    });
    let mut running = Running::new(&["-r", &url]);
    assert_eq!(running.line(), "open");
    crate::shell::interrupt(&running.child);
    let said = running.end();
    assert_eq!((said.code, script.join()), (0, 1000), "{said:?}");
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_does_not_wait() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x81, "open"));
        assert_eq!(peer.close_code(), 1000);
        // It is not answered.
        peer.rest();
    });
    let mut running = Running::new(&["-r", &url]);
    assert_eq!(running.line(), "open");
    crate::shell::interrupt(&running.child);
    thread::sleep(ms(300));
    crate::shell::interrupt(&running.child);
    let (said, took) = crate::support::timed(|| running.end());
    assert_eq!(said.code, 130, "{said:?}");
    assert!(took < ms(2000), "{took:?}");
    script.join();
}

#[cfg(unix)]
#[test]
fn an_interrupt_calls_connecting_off() {
    let (heard, asked) = std::sync::mpsc::channel();
    let (url, script) = serve(move |mut peer| {
        peer.head();
        heard.send(()).unwrap();
        assert_eq!(peer.rest(), b"");
    });
    let running = Running::new(&[&url]);
    asked.recv().unwrap();
    crate::shell::interrupt(&running.child);
    let said = running.end();
    script.join();
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (130, "", ""));
}

#[test]
fn a_close_that_is_not_answered_is_waited_for_three_seconds() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.rest();
    });
    let (said, took) = crate::support::timed(|| wsdump(&["-r", &url]));
    script.join();
    assert_eq!(said.code, 8, "{said:?}");
    assert!((ms(2500)..ms(8000)).contains(&took), "{took:?}");
}

/// Nothing but a line or a few on standard error, whatever goes wrong.
#[track_caller]
fn fails(code: i32, words: &str, arguments: &[&str]) {
    let said = wsdump(arguments);
    assert_eq!((said.code, said.out.as_str()), (code, ""), "{arguments:?}: {said:?}");
    assert!(said.err.contains(words) && said.err.starts_with("wsdump: "), "{words:?} in {}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
}

#[test]
fn each_cause_has_its_code() {
    fails(2, "invalid URL", &["-r", "http://server.example/"]);
    fails(2, "URL is missing", &["-r"]);
    fails(2, "Name: value", &["-r", "ws://127.0.0.1:1/", "-H", "nonsense"]);
    fails(2, "proxy", &["-r", "ws://127.0.0.1:1/", "-p", "ftp://x"]);
    fails(1, "no-such-file", &["-r", "ws://127.0.0.1:1/", "-H", "@no-such-file"]);
    fails(3, "cannot resolve host", &["-r", "ws://no-such-host.invalid/"]);
    let nobody = refusing_address();
    fails(4, "connecting failed", &["-r", &format!("ws://{nobody}/")]);
    fails(6, "cannot connect to proxy", &["-r", "-p", &format!("http://{nobody}"), "ws://server.example/"]);
}

#[test]
fn a_server_that_does_not_speak_tls_is_told_so() {
    let (url, script) = serve(|peer| peer.say("HTTP/1.1 400 Bad Request\r\n\r\n"));
    fails(5, "TLS", &["-r", &url.replace("ws:", "wss:")]);
    script.join();
}

#[test]
fn a_refused_upgrade_shows_status_fields_and_body_but_no_cookies() {
    let (url, script) = serve(|mut peer| {
        peer.head();
        peer.say("HTTP/1.1 403 Forbidden\r\nX-Why: gone\x1b[2J fishing\r\n".replace('\x1b', "\t"));
        peer.say("Set-Cookie: session=s3cret\r\nContent-Length: 11\r\n\r\ngo\x1b[2J away");
    });
    let said = wsdump(&["-r", &url]);
    script.join();
    assert_eq!(said.code, 7, "{said:?}");
    for expected in ["status 403 Forbidden", "x-why: gone", "set-cookie: (not shown)", "go\\x1b[2J away"] {
        assert!(said.err.contains(expected), "{expected:?} in {}", said.err);
    }
    assert!(!said.err.contains("s3cret") && !said.err.contains('\x1b'), "{}", said.err);
}

#[test]
fn what_breaks_or_is_lost_in_the_middle_has_codes_too() {
    let table: [(&[u8], i32, &str); 3] = [
        (b"\xc1\x00", 9, "violated the protocol"),
        (b"", 10, "connection lost"),
        (b"\x88\x05\x03\xf0bad", 11, "1008 (policy violation): bad"),
    ];
    for (bytes, code, words) in table {
        let (url, script) = serve(move |mut peer| {
            peer.accept();
            peer.say(frame(0x81, "open"));
            peer.say(bytes);
            peer.fall_silent();
            peer.rest();
        });
        let said = Running::new(&["-r", &url]).end();
        script.join();
        assert_eq!((said.code, said.out.as_str()), (code, "open\n"), "{said:?}");
        assert!(said.err.contains(words), "{words:?} in {}", said.err);
    }
}

#[test]
fn nobody_who_reads_is_no_error() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        let _ = peer.repeat(frame(0x81, [b'x'; 1000]), 10_000);
        peer.rest();
    });
    let mut child = command(&["-r", "--no-input", &url]).spawn().unwrap();
    let mut first = [0; 10];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let said = end_of(child);
    script.join();
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
}

#[test]
fn a_full_disk_is_an_error() {
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x81, "x"));
        peer.end()
    });
    let child = command(&["-r", "--no-input", &url]).stdout(full).spawn().unwrap();
    let said = end_of(child);
    assert_eq!((said.code, script.join()), (1, 1001), "{said:?}");
    assert!(said.err.starts_with("wsdump: output: "), "{}", said.err);
}

#[test]
fn a_line_that_is_no_text_is_refused_in_words() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.end()
    });
    let said = wsdump_with(b"caf\xe9\n", &["-r", &url]);
    assert_eq!((said.code, script.join()), (1, 1000), "{said:?}");
    assert!(said.err.contains("not UTF-8"), "{}", said.err);
}

/// A server that closes with an error at the moment when the input ends.
fn crossing(code: u16, client_closes_with: &'static [u8]) -> (String, crate::support::Script<()>) {
    serve(move |mut peer| {
        peer.accept();
        let heard = peer.frame();
        assert_eq!(heard, (0x88, client_closes_with.to_vec()));
        // Sent before ours came, as far as the client can see.
        peer.say(frame(0x88, [&code.to_be_bytes()[..], b"because"].concat()));
        peer.rest();
    })
}

#[test]
fn an_error_close_that_crosses_ours_is_an_error() {
    for (code, exit) in [(4003, 11), (1011, 11), (1008, 11), (1001, 0), (1000, 0)] {
        let (url, script) = crossing(code, b"\x03\xe8");
        let said = wsdump(&["-r", "--eof-wait", "0", &url]);
        script.join();
        assert_eq!(said.code, exit, "{code}: {said:?}");
        assert_eq!(said.err.contains(&format!("{code}")), exit == 11, "{said:?}");
    }
}

#[test]
fn a_reason_of_several_lines_stays_on_its_line() {
    let evil = b"\x0f\xa0bye\nwsdump: everything is fine\r\x1b[2J";
    for flags in [["-r"].as_slice(), &[], &["-v"], &["-r", "-v"], &["--json"], &["-vv"]] {
        let (url, script) = serve(move |mut peer| {
            peer.accept();
            peer.say(frame(0x88, evil));
            peer.rest();
        });
        let said = Running::new(&[flags, &[&url]].concat()).end();
        script.join();
        assert_eq!(said.code, 11, "{said:?}");
        for line in said.err.lines().chain(said.out.lines()) {
            assert!(!line.starts_with("wsdump: everything"), "{flags:?}: {line:?}");
            assert!(!line.contains('\x1b') && !line.contains('\r'), "{flags:?}: {line:?}");
        }
    }
}

#[test]
fn what_ends_a_run_is_told_once() {
    let table: [(&[u8], i32, &str); 3] =
        [(b"\xc1\x00", 9, "reserved bit"), (b"", 10, "connection lost"), (b"\x88\x05\x03\xf0bad", 11, "1008")];
    for (bytes, code, words) in table {
        for flags in [["--no-input"].as_slice(), &["-r", "--no-input"], &["--json", "--no-input"]] {
            let (url, script) = serve(move |mut peer| {
                peer.accept();
                peer.say(bytes);
                peer.fall_silent();
                peer.rest();
            });
            let said = wsdump(&[flags, &[&url]].concat());
            script.join();
            assert_eq!(said.code, code, "{said:?}");
            assert_eq!(said.err.matches(words).count(), 1, "{flags:?}: {}", said.err);
        }
    }
}

#[test]
fn no_messages_are_none() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x81, "one"));
        peer.end()
    });
    let said = wsdump_with("not sent\n", &["-r", "--max-messages", "0", &url]);
    assert_eq!((said.code, said.out.as_str(), script.join()), (0, "", 1000), "{said:?}");
    let said = wsdump(&["--listen", "127.0.0.1:0", "--max-messages", "0"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn nothing_but_messages_goes_to_a_pipe() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x81, "{\"a\":1}"));
        peer.end()
    });
    let said = wsdump(&[&url, "--max-messages", "1"]);
    script.join();
    assert_eq!(said.out, "{\"a\":1}\n");
    assert!(said.err.contains("Press Ctrl+C to quit"), "{}", said.err);
}

/// What the errors of the library call options are flags here.
#[test]
fn errors_speak_of_flags() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x81, "x".repeat(200)));
        peer.rest();
    });
    let said = wsdump(&["-r", "--no-input", "--max-message-size", "100", &url]);
    script.join();
    assert_eq!(said.code, 9, "{said:?}");
    assert!(said.err.contains("--max-message-size") && !said.err.contains("violated"), "{}", said.err);
    assert!(!said.err.contains("max_"), "{}", said.err);
    fails(2, "--cert", &["-r", "--cert", "no-such-file", "wss://127.0.0.1:1/"]);
    fails(2, "--ca", &["-r", "--ca", "no-such-file", "wss://127.0.0.1:1/"]);
    let said = wsdump(&["-r", "--cert", "no-such-file", "wss://127.0.0.1:1/"]);
    assert!(!said.err.contains("client_cert") && !said.err.contains("TlsOptions"), "{}", said.err);
}

#[test]
fn the_other_scheme_is_suggested_where_it_may_be_the_right_one() {
    let (url, script) = serve(|peer| peer.say("HTTP/1.1 400 Bad Request\r\n\r\n"));
    let said = wsdump(&["-r", &url.replace("ws:", "wss:")]);
    script.join();
    assert!(said.code == 5 && said.err.contains("ws://"), "{said:?}");
    // Servers that hang up on TLS may also want a certificate.
    let (url, script) = serve(drop);
    let said = wsdump(&["-r", &url.replace("ws:", "wss:")]);
    script.join();
    assert!(said.code == 5 && said.err.contains("try ws://") && said.err.contains("--cert FILE"), "{said:?}");
    // Where nobody was reached, neither helps.
    let said = wsdump(&["-r", "wss://127.0.0.1:1/"]);
    assert!(said.code == 4 && !said.err.contains("--cert"), "{said:?}");
    let answers = [
        b"\x15\x03\x01\x00\x02\x02\x46".as_slice(),
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 55\r\n\r\nThe plain HTTP request was sent to HTTPS port (nginx..)",
    ];
    for answer in answers {
        let (url, script) = serve(move |mut peer| {
            peer.head();
            peer.say(answer);
        });
        let said = wsdump(&["-r", &url]);
        script.join();
        assert!(said.code == 7 && said.err.contains("wss://"), "{said:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_in_a_flood_ends_it_within_a_second() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        let flood = frame(0x82, vec![7; 1 << 20]);
        // It reads nothing, and ends when nobody reads any more.
        while peer.try_say(&flood).is_ok() {}
        peer.rest();
    });
    let mut child = command(&["-r", "--no-input", &url]).spawn().unwrap();
    // Who reads the output is slow.
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 10];
    stdout.read_exact(&mut first).unwrap();
    crate::shell::interrupt(&child);
    let (said, took) = crate::support::timed(|| end_of(child));
    drop(stdout);
    script.join();
    assert!(took < ms(2000), "{took:?}: {said:?}");
    assert_eq!(said.code, 8, "{said:?}");
}
