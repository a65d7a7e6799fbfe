//! On a pseudo-terminal: the prompt, its history and commands, and what a terminal is kept from.

use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use rustix::termios::{LocalModes, tcgetattr};

use crate::support::{Heard, Peer, Script, frame, serve};
use crate::terminal::Terminal;

/// Says hello, and sends everything back until the Close; says what it heard.
fn echo() -> (String, Script<Vec<Heard>>) {
    serve(|mut peer: Peer| {
        peer.accept();
        peer.say(frame(0x81, "hello"));
        let mut heard = Vec::new();
        loop {
            let (first, payload) = peer.frame();
            peer.say(frame(if first == 0x89 { 0x8A } else { first }, &payload));
            heard.push((first, payload));
            if first == 0x88 {
                return heard;
            }
        }
    })
}

#[test]
fn lines_are_sent_and_answers_are_blue() {
    let (url, script) = echo();
    let mut terminal = Terminal::new(&[&url]);
    terminal.see("Press Ctrl+C to quit");
    terminal.see("\x1b[38;5;33m< hello\x1b[39m");
    terminal.see("> ");
    terminal.type_in("how are you\r");
    terminal.see("\x1b[38;5;33m< how are you\x1b[39m");
    terminal.type_in("\x04");
    assert_eq!(terminal.end(), 0);
    assert_eq!(script.join(), [(0x81, b"how are you".to_vec()), (0x88, b"\x03\xe8".to_vec())]);
}

#[test]
fn ctrl_c_closes_in_order() {
    let (url, script) = echo();
    // There is nothing to wait for when somebody has had enough.
    let mut terminal = Terminal::new(&[&url, "--eof-wait", "1000", "--max-messages", "1000"]);
    terminal.see("< hello");
    terminal.see("> ");
    terminal.type_in("half a li\x03");
    assert_eq!(terminal.end(), 0);
    assert_eq!(script.join(), [(0x88, b"\x03\xe8".to_vec())]);
}

#[test]
fn ctrl_c_twice_does_not_wait() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        assert_eq!(peer.close_code(), 1000);
        // It is not answered.
        peer.rest();
    });
    let mut terminal = Terminal::new(&[&url]);
    terminal.type_in("\x03");
    thread::sleep(Duration::from_millis(300));
    // There is no prompt any more, which would make a key of it.
    let id = rustix::process::Pid::from_child(&terminal.child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(terminal.end(), 130);
    script.join();
}

#[test]
fn the_end_of_the_connection_ends_the_prompt_and_leaves_the_terminal_as_it_was() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        assert_eq!(peer.frame(), (0x81, b"enough".to_vec()));
        peer.say(frame(0x88, b"\x03\xe8as you like"));
        peer.close_code()
    });
    let mut terminal = Terminal::new(&[&url]);
    terminal.see("> ");
    terminal.type_in("enough\r");
    terminal.see("closed by the peer: 1000 (normal): as you like");
    assert_eq!(terminal.end(), 0);
    script.join();
}

#[test]
fn commands_begin_with_a_slash() {
    let file = tempfile("commands", b"\x00\x01file");
    let (url, script) = echo();
    let mut terminal = Terminal::new(&[&url]);
    terminal.see("< hello");
    terminal.type_in("//slash\r");
    terminal.see("< /slash");
    terminal.type_in("/binary 0102\r");
    terminal.see("< b'\\x01\\x02'");
    terminal.type_in(&format!("/binary @{file}\r"));
    terminal.see("< b'\\x00\\x01file'");
    terminal.type_in("/text  as it is\r");
    terminal.see("< as it is");
    terminal.type_in("/ping are you there\r");
    terminal.see("< b'are you there'");
    terminal.see("Round trip: ");
    terminal.type_in("/pong unasked\r");
    terminal.type_in("/nonsense\r");
    terminal.see("there is no /nonsense");
    terminal.type_in("/binary @no-such-file\r");
    terminal.see("no-such-file: No such file");
    terminal.type_in("/help\r");
    terminal.see("/close [CODE [WHY]]");
    terminal.type_in("/close 99\r");
    terminal.see("wsdump: ");
    terminal.type_in("/close 4001 that is all\r");
    assert_eq!(terminal.end(), 0);
    let heard = script.join();
    assert_eq!(heard[1], (0x82, vec![1, 2]));
    assert_eq!(heard[4], (0x89, b"are you there".to_vec()));
    assert_eq!(heard[5], (0x8A, b"unasked".to_vec()));
    assert_eq!(heard[6], (0x88, b"\x0f\xa1that is all".to_vec()));
}

#[test]
fn history_goes_back_and_is_kept_where_it_is_told_to() {
    let file = tempfile("history", b"");
    let (url, script) = echo();
    let mut terminal = Terminal::new(&[&url, "--history", &file]);
    terminal.see("< hello");
    terminal.type_in("one\r");
    terminal.see("< one");
    terminal.type_in("two\r");
    terminal.see("< two");
    terminal.type_in("\x1b[A\x1b[A\r");
    terminal.see("< one");
    terminal.type_in("\x04");
    assert_eq!(terminal.end(), 0);
    assert_eq!(script.join().len(), 4);
    let (url, script) = echo();
    let mut terminal = Terminal::new(&[&url, "--history", &file]);
    terminal.see("< hello");
    terminal.type_in("\x1b[A\r");
    terminal.see("< one");
    terminal.type_in("\x04");
    assert_eq!(terminal.end(), 0);
    script.join();
}

#[test]
fn a_terminal_gets_no_control_characters_of_the_peer() {
    let evil = "\x1b]0;owned\x07\u{9b}2J\u{202e}\x7f";
    let say = move || {
        serve(move |mut peer| {
            peer.accept();
            peer.say(frame(0x81, evil));
            peer.say(frame(0x88, b"\x03\xe8\x1b[2J"));
            peer.close_code()
        })
    };
    let (url, script) = say();
    let mut terminal = Terminal::new(&[&url]);
    terminal.see("< \\x1b]0;owned\\x07\\x9b2J\\u202e\\x7f");
    terminal.see("1000 (normal): \\x1b[2J");
    assert_eq!(terminal.end(), 0);
    script.join();
    // Who asks for it raw gets it raw.
    let (url, script) = say();
    let mut terminal = Terminal::new(&["-r", &url]);
    terminal.see(evil);
    assert_eq!(terminal.end(), 0);
    script.join();
}

#[test]
fn no_color_is_honoured() {
    let (url, script) = echo();
    let mut terminal = Terminal::with(&[&url], |command| {
        command.env("NO_COLOR", "1");
    });
    let before = terminal.see("< hello");
    assert!(!before.contains("\x1b[38;5;33m"), "{before:?}");
    terminal.type_in("\x04");
    assert_eq!(terminal.end(), 0);
    script.join();
}

#[test]
fn files_that_take_longer_than_a_second_have_a_bar() {
    // Sent: to a peer that does not read at first.
    let file = tempfile("long", &vec![7; 32 << 20]);
    let (url, script) = serve(|mut peer| {
        peer.accept();
        thread::sleep(Duration::from_millis(1500));
        peer.frame().1.len() + peer.frame().1.len()
    });
    let mut terminal = Terminal::new(&[&url]);
    terminal.see("> ");
    terminal.type_in(&format!("/binary @{file}\r"));
    terminal.see("32.00 MiB ");
    terminal.type_in("\x04");
    assert_eq!(script.join(), (32 << 20) + 2);
    terminal.child.wait().unwrap();
    // Received: slowly.
    let file = tempfile("slow", b"");
    let (url, script) = serve(|mut peer| {
        peer.accept();
        for _ in 0..14 {
            peer.say(frame(0x82, [7; 1024]));
            thread::sleep(Duration::from_millis(100));
        }
        peer.say(frame(0x88, b"\x03\xe8"));
        peer.close_code()
    });
    let mut terminal = Terminal::new(&["--output", &file, &url]);
    terminal.see("KiB/s");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    script.join();
    assert_eq!(std::fs::read(&file).unwrap().len(), 14 * 1024);
}

#[test]
fn files_that_are_sent_are_recorded() {
    let (text, bytes, record) =
        (tempfile("sent.txt", b"as text"), tempfile("sent.bin", b"\x00\xff"), tempfile("sent", b""));
    let (url, script) = echo();
    let mut terminal = Terminal::new(&[&url, "--record", &record]);
    terminal.see("< hello");
    terminal.type_in(&format!("/text @{text}\r"));
    terminal.see("< as text");
    terminal.type_in(&format!("/binary @{bytes}\r"));
    terminal.see("< b'\\x00\\xff'");
    terminal.type_in("\x04");
    assert_eq!(terminal.end(), 0);
    script.join();
    let recorded = std::fs::read_to_string(&record).unwrap();
    let from_client = recorded.lines().filter(|line| line.contains("\"client\"")).count();
    assert_eq!(from_client, 2, "{recorded}");
    assert!(recorded.contains("\"text\":\"as text\"") && recorded.contains("\"base64\":\"AP8=\""), "{recorded}");
}

/// A code of one's own choice is no error, though a server that closes with one is.
#[test]
fn a_file_that_is_no_text_is_a_failure_of_this_side() {
    let mut bytes = vec![b'a'; 1 << 20];
    bytes.push(0xFF);
    let file = tempfile("no-text", &bytes);
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.rest();
    });
    let mut terminal = Terminal::new(&[&url]);
    terminal.type_in(&format!("/text @{file}\r"));
    assert_eq!(terminal.end(), 1);
    script.join();
}

#[test]
fn a_file_that_loses_its_connection_does_not_end_the_prompt() {
    let file = tempfile("lost", &vec![7; 32 << 20]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let script = thread::spawn(move || {
        let mut first = Peer::new(listener.accept().unwrap().0);
        first.accept();
        first.hear([0x82]);
        first.reset();
        let mut second = Peer::new(listener.accept().unwrap().0);
        second.accept();
        let heard = second.frame();
        second.say(frame(0x88, b"\x03\xe8"));
        second.rest();
        heard
    });
    let mut terminal = Terminal::new(&[&url, "--reconnect=1"]);
    terminal.see("> ");
    terminal.type_in(&format!("/binary @{file}\r"));
    terminal.see("Connects again");
    terminal.type_in("still here\r");
    terminal.see("1000");
    terminal.end();
    assert_eq!(script.join().unwrap(), (0x81, b"still here".to_vec()));
}

#[test]
fn a_close_with_a_code_of_ones_own_is_no_error() {
    let (url, script) = echo();
    let mut terminal = Terminal::new(&[&url]);
    terminal.see("< hello");
    terminal.type_in("/close 4001 mine\r");
    assert_eq!(terminal.end(), 0);
    script.join();
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let site = crate::support::site::Site::new(|head| {
        if crate::support::site::fields(head, "Authorization").is_empty() {
            crate::support::site::status("401 Who", "WWW-Authenticate: Basic realm=\"x\"\r\n")
        } else {
            crate::support::site::open(head)
        }
    });
    let url = site.url("/");
    let mut terminal = Terminal::new(&["-r", "--user", "me", "--no-input", "--eof-wait", "0", &url]);
    terminal.see("Password for me: ");
    terminal.ours.write_all(b"p:x\x7fw\r").unwrap();
    terminal.child.wait().unwrap();
    let last = site.heads().pop().unwrap();
    assert_eq!(crate::support::site::fields(&last, "Authorization"), ["Basic bWU6cDp3"]);
    assert!(!terminal.all.contains("p:"), "{:?}", terminal.all);
    let modes = tcgetattr(&terminal.theirs).unwrap().local_modes;
    assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO), "left raw: {modes:?}");
}

/// A server that says these things, and hears one text before it closes.
fn teller(messages: Vec<Vec<u8>>) -> (String, Script<Heard>) {
    serve(move |mut peer: Peer| {
        peer.accept();
        for message in messages {
            peer.say(message);
        }
        let heard = peer.frame();
        peer.say(frame(0x88, b"\x03\xe8"));
        peer.rest();
        heard
    })
}

#[test]
fn json_is_shown_by_its_tokens() {
    let json = r#"{"z":[1,12345678901234567890123,-1.50e+3,{}],"a":{"b":null,"c":"x\u001b\"y"},"e":[],"t":true}"#;
    let (url, script) = teller(vec![frame(0x81, json), frame(0x81, "{no json"), frame(0x81, "[\"\u{202e}\"]")]);
    let mut terminal = Terminal::with(&["--pretty", &url], |command| {
        command.env("NO_COLOR", "1");
    });
    let expected = [
        "< {",
        "  \"z\": [",
        "    1,",
        "    12345678901234567890123,",
        "    -1.50e+3,",
        "    {}",
        "  ],",
        "  \"a\": {",
        "    \"b\": null,",
        "    \"c\": \"x\\u001b\\\"y\"",
        "  },",
        "  \"e\": [],",
        "  \"t\": true",
        "}",
        "< {no json",
        "< [",
        "  \"\\u202e\"",
        "]",
    ];
    for line in expected {
        terminal.see(line);
    }
    terminal.type_in("enough\r");
    assert_eq!(terminal.end(), 0);
    script.join();
    // Keys, texts and numbers differ in colour.
    let (url, script) = teller(vec![frame(0x81, "{\"a\":[\"b\",1]}")]);
    let mut terminal = Terminal::new(&["--pretty", &url]);
    let key = terminal.see("\"a\"");
    let text = terminal.see("\"b\"");
    let number = terminal.see("1");
    let colour = |shown: &str| shown.rsplit("\x1b[").next().unwrap().split('m').next().unwrap().to_owned();
    assert!(colour(&key) != colour(&text) && colour(&text) != colour(&number), "{key:?} {text:?} {number:?}");
    terminal.type_in("enough\r");
    assert_eq!(terminal.end(), 0);
    script.join();
}

#[test]
fn failures_are_red_and_pongs_are_marked() {
    let (url, script) = echo();
    let mut terminal = Terminal::new(&[&url]);
    terminal.see("< hello");
    terminal.type_in("/ping x\r");
    terminal.see("< b'x' (pong)");
    terminal.type_in("/nonsense\r");
    terminal.see("\x1b[31mwsdump: there is no /nonsense");
    terminal.type_in("\x04");
    assert_eq!(terminal.end(), 0);
    script.join();
    let mut terminal = Terminal::new(&["ws://no-such-host.invalid/"]);
    terminal.see("\x1b[31mwsdump: cannot resolve");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(3));
}

#[test]
fn huge_messages_are_cut_on_a_terminal() {
    let (text, bytes) = ("é".repeat(500_000), vec![7; 3_000_000]);
    let (url, script) = teller(vec![frame(0x81, &text), frame(0x82, &bytes), frame(0x81, "behind")]);
    let mut terminal = Terminal::new(&[&url]);
    terminal.see("(1000000 bytes in all)");
    terminal.see("(3000000 bytes in all)");
    terminal.see("< behind");
    assert!(terminal.all.len() < 1_000_000, "{}", terminal.all.len());
    terminal.type_in("enough\r");
    assert_eq!(terminal.end(), 0);
    script.join();
}

#[test]
fn there_is_a_prompt_with_json_and_with_a_file_too() {
    let output = tempfile("prompt-output", b"");
    for (flags, expected) in [(["--json"].as_slice(), "\"event\":\"pong\""), (&["--output", &output], "Round trip: ")] {
        let (url, script) = echo();
        let mut terminal = Terminal::new(&[flags, &[&url]].concat());
        terminal.see("> ");
        terminal.type_in("/ping x\r");
        terminal.see(expected);
        terminal.type_in("text\r");
        // The answer is there before the Close is sent.
        match flags {
            ["--json"] => drop(terminal.see("\"text\":\"text\"")),
            _ => {
                let start = Instant::now();
                while std::fs::read(&output).unwrap() != b"hellotext" {
                    assert!(start.elapsed() < Duration::from_secs(10), "the answer is not in the file");
                    thread::sleep(Duration::from_millis(5));
                }
            }
        }
        terminal.type_in("/close\r");
        assert_eq!(terminal.end(), 0);
        assert_eq!(script.join()[..2], [(0x89, b"x".to_vec()), (0x81, b"text".to_vec())]);
    }
    assert_eq!(std::fs::read(&output).unwrap(), b"hellotext");
}

#[test]
fn a_history_has_a_default_file_that_is_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt;
    let state = std::env::temp_dir().join(format!("wsdump-state-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&state);
    let (url, script) = echo();
    let mut terminal = Terminal::with(&["--history", &url], |command| {
        command.env("XDG_STATE_HOME", &state);
    });
    terminal.see("< hello");
    terminal.type_in("kept\r");
    terminal.see("< kept");
    terminal.type_in(" secret\r");
    terminal.see("<  secret");
    terminal.type_in("\x04");
    assert_eq!(terminal.end(), 0);
    script.join();
    let file = state.join("wsdump").join("history");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.contains("kept") && !kept.contains("secret"), "{kept:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(state.join("wsdump")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_server_speaks_to_all_clients_or_to_one() {
    use websocket_sync::{Message, create_connection};

    let record = tempfile("server-prompt", b"");
    let mut terminal = Terminal::new(&["--listen", "0", "--broadcast", "--record", &record]);
    terminal.see("Listening on ws://127.0.0.1:");
    let port = terminal.see("/");
    let mut clients = ["client 1", "client 2"].map(|name| {
        let client = create_connection(&format!("ws://127.0.0.1:{port}/")).unwrap();
        terminal.see(name);
        client
    });
    clients[0].send_text("from one").unwrap();
    terminal.see("< 1: from one");
    assert_eq!(clients[1].recv().unwrap(), Message::from("from one"));
    terminal.type_in("to all\r");
    for client in &mut clients {
        assert_eq!(client.recv().unwrap(), Message::from("to all"));
    }
    terminal.type_in("/to 2 only two\r");
    assert_eq!(clients[1].recv().unwrap(), Message::from("only two"));
    terminal.type_in("/to 9 nobody\r");
    terminal.see("there is no client 9");
    terminal.type_in("/clients\r");
    terminal.see("client 1 (127.0.0.1:");
    terminal.see("client 2 (127.0.0.1:");
    terminal.type_in("/binary 00ff\r");
    for client in &mut clients {
        assert_eq!(client.recv().unwrap(), Message::Binary(vec![0, 255]));
    }
    terminal.type_in("/close 4000 bye\r");
    for client in &mut clients {
        let info = crate::support::closed(client.recv());
        assert_eq!((info.code.0, info.reason.as_str()), (4000, "bye"));
    }
    terminal.type_in("\x04");
    assert_eq!(terminal.end(), 0);
    let recorded = std::fs::read_to_string(&record).unwrap();
    assert!(recorded.contains("to all") && recorded.contains("only two") && recorded.contains("AP8="), "{recorded}");
}

/// What belongs to a server is told to be so.
#[test]
fn a_client_has_no_clients() {
    let (url, script) = echo();
    let mut terminal = Terminal::new(&[&url]);
    terminal.see("< hello");
    terminal.type_in("/clients\r");
    terminal.see("--listen");
    terminal.type_in("\x04");
    assert_eq!(terminal.end(), 0);
    script.join();
}

#[test]
fn ctrl_c_in_a_flood_ends_within_a_second() {
    let (url, script) = serve(|mut peer: Peer| {
        peer.accept();
        let flood = frame(0x82, vec![7; 1 << 20]);
        while peer.try_say(&flood).is_ok() {}
        peer.rest();
    });
    let mut terminal = Terminal::new(&[&url]);
    terminal.see("bytes in all)");
    terminal.type_in("\x03");
    let (code, took) = crate::support::timed(|| terminal.end());
    assert!(matches!(code, 0 | 8), "{code}");
    assert!(took < Duration::from_millis(2500), "{took:?}");
    script.join();
}

/// When the server closes at any moment, the cursor is at the beginning of an empty line.
#[test]
fn the_prompt_never_stays_behind() {
    for pause in [0, 0, 1, 3, 10, 30, 100, 100, 300] {
        let (url, script) = serve(move |mut peer| {
            peer.accept();
            thread::sleep(Duration::from_millis(pause));
            peer.say(frame(0x88, b"\x03\xe8bye"));
            peer.rest();
        });
        let mut terminal = Terminal::new(&[&url]);
        assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
        script.join();
        while let Ok(chunk) = terminal.pieces.recv_timeout(Duration::from_millis(50)) {
            terminal.all.push_str(&String::from_utf8_lossy(&chunk));
        }
        let last = terminal.all.rsplit('\n').next().unwrap();
        let shown = last.rsplit("\x1b[K").next().unwrap().replace("\x1b[?2004l", "");
        assert!(!shown.contains('>'), "{pause}: {last:?} of {:?}", terminal.all);
        let modes = tcgetattr(&terminal.theirs).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO), "left raw: {modes:?}");
    }
}

/// A file with these bytes, for this test only.
fn tempfile(name: &str, bytes: &[u8]) -> String {
    let path = std::env::temp_dir().join(format!("wsdump-{name}-{}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}
