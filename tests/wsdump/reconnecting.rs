//! `--reconnect`: each connection gets what belongs to a connection, and the end of the input ends the run.

use std::fs;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use crate::shell::{Running, wsdump};
use crate::support::cases::Cases;
use crate::support::refusing::refusing_address;
use crate::support::site::fields;
use crate::support::{Peer, answer_to, frame, ms, timed};

/// Serves as many connections as there are scripts, one after the other.
fn serve_each(scripts: Vec<Box<dyn FnOnce(Peer) + Send>>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        for script in scripts {
            script(Peer::new(listener.accept().unwrap().0));
        }
    });
    (url, server)
}

#[test]
fn the_first_texts_are_sent_on_each_connection_before_anything_else() {
    let greeted = |mut peer: Peer| {
        peer.accept();
        assert_eq!(peer.frame(), (0x81, b"log in".to_vec()));
        peer
    };
    let (url, server) = serve_each(vec![
        Box::new(move |peer| greeted(peer).reset()),
        Box::new(move |peer| {
            let mut peer = greeted(peer);
            assert_eq!(peer.frame(), (0x81, b"line".to_vec()));
            assert_eq!(peer.end(), 1000);
        }),
    ]);
    let mut running = Running::new(&["-r", "--reconnect", "--text", "log in", "--eof-wait", "0", &url]);
    thread::sleep(ms(200));
    running.say("line");
    running.end_input();
    let said = running.end();
    server.join().unwrap();
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn header_fields_of_a_file_are_read_for_each_connection() {
    let path = std::env::temp_dir().join(format!("wsdump-token-{}", std::process::id()));
    fs::write(&path, "X-Token: old\n").unwrap();
    let file = path.clone();
    let (url, server) = serve_each(vec![
        Box::new(move |mut peer| {
            let head = peer.head();
            assert_eq!(fields(&head, "X-Token"), ["old"]);
            fs::write(&file, "X-Token: new\n").unwrap();
            peer.say(answer_to(&head));
            peer.reset();
        }),
        Box::new(|mut peer| {
            let head = peer.head();
            assert_eq!(fields(&head, "X-Token"), ["new"]);
            peer.say(answer_to(&head));
            peer.say(frame(0x81, "done"));
            peer.end();
        }),
    ]);
    let given = format!("@{}", path.display());
    let said = wsdump(&["-r", "--reconnect", "--no-input", "--max-messages", "1", "-H", &given, &url]);
    server.join().unwrap();
    assert_eq!((said.code, said.out.as_str()), (0, "done\n"), "{said:?}");
}

/// What the shell's `<(…)` names can be read once.
#[cfg(unix)]
#[test]
fn what_can_be_read_once_only_is_kept_for_the_next_connection() {
    let path = std::env::temp_dir().join(format!("wsdump-once-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let expects = |mut peer: Peer| {
        let head = peer.head();
        assert_eq!(fields(&head, "X-Token"), ["once"]);
        peer.say(answer_to(&head));
        peer
    };
    let (url, server) = serve_each(vec![
        Box::new(move |peer| expects(peer).reset()),
        Box::new(move |peer| {
            let peer = expects(peer);
            peer.say(frame(0x81, "done"));
            peer.end();
        }),
    ]);
    let fifo = path.clone();
    let writer = thread::spawn(move || fs::write(fifo, "X-Token: once\n").unwrap());
    let given = format!("@{}", path.display());
    let said = wsdump(&["-r", "--reconnect", "--no-input", "--max-messages", "1", "-H", &given, &url]);
    writer.join().unwrap();
    server.join().unwrap();
    assert_eq!((said.code, said.out.as_str()), (0, "done\n"), "{said:?}");
}

/// The server is closing, slowly, when the input ends.
#[test]
fn the_end_of_the_input_ends_the_run_and_not_one_connection() {
    let (url, server) = serve_each(vec![Box::new(|mut peer: Peer| {
        peer.accept();
        assert_eq!(peer.frame(), (0x81, b"hi".to_vec()));
        peer.say(frame(0x88, b"\x03\xe9"));
        assert_eq!(peer.close_code(), 1001);
        // The end of the stream comes later than that of the input.
        thread::sleep(ms(700));
    })]);
    let (said, took) = timed(|| {
        let mut running = Running::new(&["-r", "--reconnect", "--eof-wait", "0.3", &url]);
        running.say("hi");
        running.end_input();
        running.end()
    });
    server.join().unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    assert!(took < ms(10_000), "{took:?}");
}

/// A server that accepts and hangs up; says how many have come.
fn hang_up(most: usize) -> (String, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (begun, mut count) = (std::time::Instant::now(), 0);
        while begun.elapsed() < ms(2500) && count < most {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    let mut peer = Peer::new(stream);
                    peer.accept();
                    peer.reset();
                    count += 1;
                }
                Err(_) => thread::sleep(ms(10)),
            }
        }
        count
    });
    (url, server)
}

#[test]
fn no_attempts_are_none_and_one_is_one() {
    let mut cases = Cases::new();
    for (flag, most, connections) in [("--reconnect=0", 2, 1), ("--reconnect=1", 3, 2)] {
        cases.add(flag, move || {
            let (url, server) = hang_up(most);
            let said = wsdump(&["-r", flag, "--no-input", &url]);
            assert_eq!((said.code, server.join().unwrap()), (10, connections), "{said:?}");
        });
    }
    cases.run(60);
}

/// A loss, a failed attempt and the end are each told once, and with them how long the next attempt is away.
#[test]
fn each_failure_is_told_once_with_the_delay_that_follows() {
    let (url, server) = serve_each(vec![Box::new(|mut peer: Peer| {
        peer.accept();
        peer.reset();
    })]);
    let said = wsdump(&["--reconnect=2", "--no-input", &url]);
    server.join().unwrap();
    assert_eq!(said.code, 4, "{said:?}");
    let count = |words: &str| said.err.matches(words).count();
    assert_eq!((count("connection lost"), count("connecting failed")), (1, 2), "{}", said.err);
    assert_eq!(count("Connects again in "), 2, "{}", said.err);
}

/// What is told of the delay after a failed attempt is the delay that is taken.
#[test]
fn the_delay_after_a_failed_attempt_is_exact() {
    let nobody = refusing_address();
    let said = wsdump(&["--json", "--reconnect=2", "--no-input", &format!("ws://{nobody}/")]);
    assert_eq!(said.code, 4, "{said:?}");
    let events: Vec<serde_json::Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &serde_json::Value| event["event"] == "error")
        .collect();
    assert_eq!(events.len(), 3, "{}", said.out);
    for pair in events.windows(2) {
        let told = pair[0]["reconnects_in"].as_f64().unwrap();
        let taken = pair[1]["at"].as_f64().unwrap() - pair[0]["at"].as_f64().unwrap();
        assert!((told..told + 0.25).contains(&taken), "told {told}, taken {taken}");
    }
    assert_eq!(events[2].get("reconnects_in"), None);
}

#[test]
fn a_loss_that_ends_the_run_is_told_once() {
    for flags in [["--no-input"].as_slice(), &["-r", "--no-input"]] {
        let (url, server) = serve_each(vec![Box::new(|mut peer: Peer| {
            peer.accept();
            peer.reset();
        })]);
        let said = wsdump(&[flags, &[&url]].concat());
        server.join().unwrap();
        assert_eq!(said.code, 10, "{said:?}");
        assert_eq!(said.err.matches("connection lost").count(), 1, "{flags:?}: {}", said.err);
    }
}
