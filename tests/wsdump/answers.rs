//! What piped input is answered with is shown: the end of the input is followed by a wait until the server is silent.

use std::sync::mpsc;
use std::thread;

use crate::shell::{Said, wsdump, wsdump_with};
use crate::support::{Heard, Peer, Script, frame, ms, serve, timed};

/// What a client says, heard beside what is said to it.
fn listen(mut peer: Peer) -> (Peer, mpsc::Receiver<Heard>) {
    let speaker = Peer::new(peer.socket().try_clone().unwrap());
    let (heard, frames) = mpsc::channel();
    thread::spawn(move || {
        while let Some(frame) = peer.frame_or_end() {
            if heard.send(frame).is_err() {
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
