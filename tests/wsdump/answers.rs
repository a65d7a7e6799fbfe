//! What piped input is answered with is shown: the end of the input is followed by a wait until the server is silent.

use std::sync::mpsc;
use std::thread;

use crate::shell::{Said, wsdump, wsdump_with};
use crate::support::cases::Cases;
use crate::support::{Heard, Peer, Script, frame, ms, serve, timed};

/// What a client says but for its pongs, heard beside what is said to it.
fn listen(mut peer: Peer) -> (Peer, mpsc::Receiver<Heard>) {
    let speaker = Peer::new(peer.socket().try_clone().unwrap());
    let (heard, frames) = mpsc::channel();
    thread::spawn(move || {
        while let Some(frame) = peer.frame_or_end() {
            if frame.0 != 0x8A && heard.send(frame).is_err() {
                return;
            }
        }
    });
    (speaker, frames)
}

/// A server that takes its time, and drops what it has not said when the Close comes, as Python's `websockets` does.
fn slow(pauses: &'static [u64]) -> (String, Script<u16>) {
    serve(move |mut peer| {
        peer.accept();
        assert_eq!(peer.frame(), (0x81, b"question".to_vec()));
        let (peer, heard) = listen(peer);
        let mut close = None;
        for (number, pause) in pauses.iter().enumerate() {
            close = heard.recv_timeout(ms(*pause)).ok();
            if close.is_some() {
                break;
            }
            peer.say(frame(0x81, format!("answer {number}")));
        }
        answer_close(&peer, close.unwrap_or_else(|| heard.recv().unwrap()))
    })
}

fn answer_close(peer: &Peer, (first, payload): Heard) -> u16 {
    assert_eq!(first, 0x88);
    peer.say(frame(0x88, &payload));
    u16::from_be_bytes([payload[0], payload[1]])
}

#[track_caller]
fn asked(pauses: &'static [u64], arguments: &[&str]) -> Said {
    let (url, script) = slow(pauses);
    let said = wsdump_with("question\n", &[&["-r", &url], arguments].concat());
    assert_eq!((said.code, script.join()), (0, 1000), "{said:?}");
    said
}

#[test]
fn an_answer_is_waited_for_until_the_server_is_silent() {
    let said = asked(&[300, 700], &[]);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("answer 0\nanswer 1\n", ""));
}

#[test]
fn how_long_a_server_has_to_be_silent_can_be_said() {
    let said = asked(&[50, 900], &["--eof-silence", "0.3"]);
    assert_eq!(said.out, "answer 0\n");
}

#[test]
fn a_fixed_wait_is_what_it_was() {
    assert_eq!(asked(&[400], &["--eof-wait", "0"]).out, "");
    assert_eq!(asked(&[200, 200, 900], &["--eof-wait", "0.7"]).out, "answer 0\nanswer 1\n");
}

#[test]
fn a_server_that_is_never_silent_is_left_after_ten_seconds_with_a_note() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        assert_eq!(peer.frame(), (0x81, b"question".to_vec()));
        let (peer, heard) = listen(peer);
        loop {
            match heard.recv_timeout(ms(300)) {
                Ok(close) => return answer_close(&peer, close),
                Err(_) => peer.say(frame(0x81, "more")),
            }
        }
    });
    let (said, took) = timed(|| wsdump_with("question\n", &["-r", &url]));
    assert_eq!((said.code, script.join()), (0, 1000), "{said:?}");
    assert!((ms(9_900)..ms(14_000)).contains(&took), "{took:?}");
    assert!(said.err.contains("--eof-wait"), "{}", said.err);
}

/// A server that answers with these bytes, one part every 600 ms, and drops the rest when the Close comes.
fn in_parts(parts: &'static [&'static [u8]]) -> (String, Script<u16>) {
    serve(move |mut peer| {
        peer.accept();
        assert_eq!(peer.frame(), (0x81, b"question".to_vec()));
        let (peer, heard) = listen(peer);
        for part in parts {
            match heard.recv_timeout(ms(600)) {
                Ok(close) => return answer_close(&peer, close),
                Err(_) => peer.say(part),
            }
        }
        answer_close(&peer, heard.recv().unwrap())
    })
}

#[test]
fn a_message_that_still_arrives_is_no_silence() {
    let in_one_frame: &[&[u8]] = &[b"\x81\x08on", b"e ", b"me", b"ss"];
    let in_fragments: &[&[u8]] = &[b"\x01\x03one", b"\x89\x00\x00\x01 ", b"\x80\x04mess"];
    let mut cases = Cases::new();
    for (name, parts) in [("in one frame", in_one_frame), ("in fragments", in_fragments)] {
        cases.add(name, move || {
            let (url, script) = in_parts(parts);
            let said = wsdump_with("question\n", &["-r", &url]);
            assert_eq!((said.code, script.join(), said.out.as_str()), (0, 1000, "one mess\n"), "{said:?}");
        });
    }
    cases.run(60);
}

#[test]
fn pings_do_not_keep_a_server_from_being_silent() {
    let (url, script) = in_parts(&[b"\x81\x01a", b"\x89\x00", b"\x89\x00", b"\x89\x00", b"\x89\x00", b"\x81\x01b"]);
    let said = wsdump_with("question\n", &["-r", &url]);
    assert_eq!((said.code, said.out.as_str()), (0, "a\n"), "{said:?}");
    drop(script);
}

/// The limit of ten seconds is for those who have not said how long they wait.
#[test]
fn a_silence_that_was_asked_for_has_no_limit() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        assert_eq!(peer.frame(), (0x81, b"question".to_vec()));
        let (peer, heard) = listen(peer);
        for number in 0..38 {
            match heard.recv_timeout(ms(300)) {
                Ok(close) => return answer_close(&peer, close),
                Err(_) => peer.say(frame(0x81, format!("{number}"))),
            }
        }
        answer_close(&peer, heard.recv().unwrap())
    });
    let said = wsdump_with("question\n", &["-r", "--eof-silence", "0.8", &url]);
    assert_eq!((said.code, script.join()), (0, 1000), "{said:?}");
    assert_eq!((said.out.lines().last(), said.err.as_str()), (Some("37"), ""));
}

#[test]
fn a_server_that_closes_ends_the_wait() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        assert_eq!(peer.frame(), (0x81, b"question".to_vec()));
        peer.say(frame(0x88, b"\x03\xe8"));
        peer.close_code()
    });
    let (said, took) = timed(|| wsdump_with("question\n", &["-r", "--eof-silence", "8", &url]));
    assert_eq!((said.code, script.join()), (0, 1000), "{said:?}");
    assert!(took < ms(5000), "{took:?}");
}

#[test]
fn the_two_ways_to_wait_exclude_each_other() {
    let said = wsdump(&["--eof-wait", "1", "--eof-silence", "1", "ws://127.0.0.1:1/"]);
    assert_eq!(said.code, 2, "{said:?}");
}
