//! `--listen`: the other end, which the program talks to.

use std::process::Child;

use websocket_sync::{ConnectOptions, DeflateOptions, Error, Message, create_connection};

use crate::shell::{Said, command, end_of, wsdump, wsdump_with};
use crate::support::ms;

/// A server of the program's own; says where it listens.
pub(crate) struct Server {
    child: Child,
    notes: std::io::BufReader<std::process::ChildStderr>,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        Self::at("127.0.0.1:0", arguments)
    }

    pub(crate) fn at(address: &str, arguments: &[&str]) -> Self {
        let mut child = command(&[&["--listen", address], arguments].concat()).spawn().unwrap();
        let mut notes = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut notes, &mut line).unwrap();
        let url = line.trim().strip_prefix("Listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, notes, url }
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(self) -> Said {
        let Self { child, mut notes, .. } = self;
        let reader = std::thread::spawn(move || {
            let mut rest = String::new();
            std::io::Read::read_to_string(&mut notes, &mut rest).unwrap();
            rest
        });
        let said = end_of(child);
        Said { err: reader.join().unwrap(), ..said }
    }

    /// Has it end as by Ctrl-C.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn stop(self) -> Said {
        crate::shell::interrupt(&self.child);
        self.end()
    }
}

#[test]
fn both_ends_talk_to_each_other() {
    let server = Server::new(&["-v", "--max-messages", "3"]);
    let said = wsdump_with("one\ntwo\nthree\n", &["-r", &server.url, "--eof-wait", "10"]);
    // The server has had enough of it, and goes away.
    assert_eq!((said.code, said.out.as_str()), (0, "one\ntwo\nthree\n"), "{said:?}");
    let served = server.end();
    assert_eq!(served.code, 0, "{served:?}");
    assert_eq!(served.out, "text: one\ntext: two\ntext: three\n");
    assert!(served.err.contains(": connected"), "{}", served.err);
}

#[cfg(unix)]
#[test]
fn an_interrupt_says_good_bye_to_all_clients() {
    let server = Server::new(&["-r"]);
    let mut clients = [(); 3].map(|()| create_connection(&server.url).unwrap());
    for client in &mut clients {
        client.send_text("x").unwrap();
        assert_eq!(client.recv().unwrap(), Message::from("x"));
    }
    let readers = clients.map(|mut client| std::thread::spawn(move || client.recv()));
    let said = server.stop();
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""));
    for reader in readers {
        match reader.join().unwrap() {
            Err(Error::Closed(info)) => assert_eq!(info.code.0, 1001),
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(unix)]
#[test]
fn a_broadcast_goes_to_all_others() {
    let server = Server::new(&["--broadcast"]);
    let mut clients = [(); 3].map(|()| create_connection(&server.url).unwrap());
    // Each of them is known to the server when it is heard.
    std::thread::sleep(ms(300));
    clients[0].send_text("to all").unwrap();
    for client in &mut clients[1..] {
        assert_eq!(client.recv_timeout(ms(10_000)).unwrap(), Message::from("to all"));
    }
    assert!(clients[0].recv_timeout(ms(100)).unwrap_err().is_timeout());
    drop(clients);
    assert_eq!(server.stop().code, 0);
}

#[cfg(unix)]
#[test]
fn subprotocols_and_compression_are_agreed_on_when_they_are_asked_for() {
    let server = Server::new(&["--compress", "-s", "chat"]);
    let options = ConnectOptions::new().subprotocols(["other", "chat"]).deflate(DeflateOptions::new());
    let mut ws = options.connect(&server.url).unwrap();
    assert_eq!(ws.subprotocol(), Some("chat"));
    assert!(ws.deflate().is_some());
    ws.send_text(&"again and ".repeat(1000)).unwrap();
    assert_eq!(ws.recv().unwrap().as_bytes().len(), 10_000);
    drop(ws);
    server.stop();
    let server = Server::new(&[]);
    let ws = options.connect(&server.url).unwrap();
    assert!(ws.deflate().is_none() && ws.subprotocol().is_none());
    drop(ws);
    server.stop();
}

#[cfg(unix)]
#[test]
fn compression_is_offered_and_said_to_be_agreed_on() {
    let server = Server::new(&["--compress"]);
    let said = wsdump_with("hello\n", &[&server.url, "--compress"]);
    assert!(said.out.ends_with("hello\n") && said.err.contains(", compressed"), "{said:?}");
    let said = wsdump_with("hello\n", &[&server.url]);
    assert!(said.out.ends_with("hello\n") && !said.err.contains(", compressed"), "{said:?}");
    server.stop();
}

/// The line in the README, with a port that is free.
#[cfg(unix)]
#[test]
fn the_line_of_the_readme_works() {
    let readme = include_str!("../../README.md");
    let line = readme.lines().find(|line| line.starts_with("wsdump --listen 127.0.0.1:9001")).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_wsdump"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(line.replace("9001", &free) + "; wait").env("PATH", path);
    let said = shell.env_remove("http_proxy").env_remove("all_proxy").output().unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), "hello\n", "{:?}", String::from_utf8(said.stderr));
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = wsdump(&["--listen", &address]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains(&address), "{}", said.err);
}

#[cfg(unix)]
#[test]
fn a_bench_says_how_many_and_how_fast() {
    let server = Server::new(&["-r"]);
    for (how, what) in
        [("--bench", "round trips"), ("--bench=round-trips", "round trips"), ("--bench=flood", "messages there")]
    {
        let said = wsdump(&[how, "--bench-messages", "200", "--bench-size", "1000", &server.url]);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.starts_with(&format!("200 {what}")) && said.out.contains("of 1000 bytes in"), "{}", said.out);
        for expected in ["min", "p50", "p99.9", "max", "per second", "#"] {
            assert!(said.out.contains(expected), "{expected:?} in {}", said.out);
        }
        let counted: u64 = said
            .out
            .lines()
            .filter_map(|line| line.strip_prefix("< ")?.split_whitespace().nth(2)?.parse::<u64>().ok())
            .sum();
        assert_eq!(counted, 200, "{}", said.out);
    }
    let said = wsdump(&["--bench", "--json", "--bench-messages", "10", &server.url]);
    let object: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&object["messages"], &object["bytes"]), (&10.into(), &64.into()));
    assert!(object["percentiles"]["p99"].as_f64().unwrap() > 0.0);
    server.stop();
}

#[cfg(unix)]
#[test]
fn a_bench_against_a_server_that_does_not_echo_fails_in_words() {
    let (url, script) = crate::support::serve(|mut peer| {
        peer.accept();
        peer.frame();
        peer.say(crate::support::frame(0x81, "what?"));
        peer.rest();
    });
    let said = wsdump(&["--bench", &url]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("sends back"), "{}", said.err);
    script.join();
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_leaves_in_a_pause_of_a_recording_leaves_nothing_behind() {
    let file = std::env::temp_dir().join(format!("wsdump-pause-{}.jsonl", std::process::id()));
    let lines =
        [0, 1000].map(|at| format!("{{\"at\":{at},\"from\":\"server\",\"kind\":\"text\",\"text\":\"tick\"}}\n"));
    std::fs::write(&file, lines.concat()).unwrap();
    let server = Server::new(&["--replay", file.to_str().unwrap()]);
    let folder = format!("/proc/{}", server.child.id());
    let held = || ["fd", "task"].map(|kind| std::fs::read_dir(format!("{folder}/{kind}")).unwrap().count());
    let before = held();
    for _ in 0..20 {
        let mut ws = create_connection(&server.url).unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from("tick"));
        ws.close().unwrap();
    }
    let until = std::time::Instant::now() + ms(10_000);
    while held().iter().zip(before).any(|(now, before)| *now > before + 5) {
        assert!(std::time::Instant::now() < until, "{:?}, after {before:?}", held());
        std::thread::sleep(ms(20));
    }
    server.stop();
}

/// More is under way than is counted at a time.
#[cfg(unix)]
#[test]
fn a_bench_of_a_server_that_swallows_a_flood_ends() {
    let (url, script) = crate::support::serve(|mut peer| {
        peer.accept();
        peer.rest();
    });
    let flood = ["--bench=flood", "--bench-messages", "100000", "--bench-size", "0", "--connect-timeout", "2"];
    let said = wsdump(&[flood.as_slice(), &[&url]].concat());
    assert_eq!(said.code, 8, "{said:?}");
    script.join();
}

#[cfg(unix)]
#[test]
fn a_broadcast_of_large_messages_reaches_the_others() {
    let server = Server::new(&["--broadcast"]);
    let mut clients = [(); 2].map(|()| create_connection(&server.url).unwrap());
    std::thread::sleep(ms(300));
    clients[0].send_binary(&vec![7; 2_000_000]).unwrap();
    clients[0].send_text("behind it").unwrap();
    assert_eq!(clients[1].recv_timeout(ms(10_000)).unwrap().as_bytes().len(), 2_000_000);
    assert_eq!(clients[1].recv_timeout(ms(10_000)).unwrap(), Message::from("behind it"));
    drop(clients);
    assert_eq!(server.stop().code, 0);
}

/// One that does not read is left behind, and that is told, with or without notes.
#[cfg(unix)]
#[test]
fn a_client_that_a_broadcast_leaves_behind_is_told_of() {
    let server = Server::new(&["-r", "--broadcast", "--max-message-size", "1000000"]);
    let speaker = create_connection(&server.url).unwrap();
    let silent = create_connection(&server.url).unwrap();
    std::thread::sleep(ms(300));
    for _ in 0..30 {
        speaker.send_binary(&vec![7; 900_000]).unwrap();
    }
    std::thread::sleep(ms(300));
    drop((speaker, silent));
    let said = server.stop();
    assert!(said.err.contains("does not keep up"), "{}", said.err);
}

/// Clients count from the moment when they connect.
#[cfg(target_os = "linux")]
#[test]
fn clients_that_say_nothing_count_too() {
    let server = Server::new(&["-r"]);
    let address = server.url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
    let mut mute = Vec::new();
    for _ in 0..1200 {
        // This process may have no more descriptors.
        let Ok(stream) = std::net::TcpStream::connect(&address) else { break };
        mute.push(stream);
    }
    if mute.len() < 1200 {
        return;
    }
    std::thread::sleep(ms(500));
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let threads: usize = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().parse().unwrap();
    assert!(threads <= 1030, "{threads}");
    drop(mute);
    server.stop();
}

#[cfg(unix)]
#[test]
fn a_server_speaks_tls_with_a_certificate() {
    let authority = crate::tls_peer::Authority::new();
    let leaf = authority.leaf("localhost", crate::tls_peer::Validity::Now);
    let file = |name: &str, holds: &str| {
        let path = std::env::temp_dir().join(format!("wsdump-listen-{name}-{}.pem", std::process::id()));
        std::fs::write(&path, holds).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (ca, cert, key) = (file("ca", &authority.pem), file("cert", &leaf.cert), file("key", &leaf.key));
    let both = file("both", &(leaf.cert.clone() + &leaf.key));
    let libraries = [("rustls", cfg!(feature = "rustls")), ("native-tls", cfg!(feature = "native-tls"))];
    for (library, _) in libraries.into_iter().filter(|(_, is_built_in)| *is_built_in) {
        for shown in [["--cert", &*cert, "--key", &key].as_slice(), &["--cert", &both]] {
            let server = Server::new(&[&["-r", "--tls-library", library], shown].concat());
            let url = server.url.replace("127.0.0.1", "localhost");
            assert!(url.starts_with("wss://"), "{url}");
            let said = wsdump_with("hello\n", &["-r", "--max-messages", "1", "--ca", &ca, &url]);
            assert_eq!((said.code, said.out.as_str()), (0, "hello\n"), "{library}: {said:?}");
            server.stop();
        }
    }
    let said = wsdump(&["--listen", "0", "--cert", "no-such-file"]);
    assert!(said.code == 1 && said.err.contains("no-such-file"), "{said:?}");
    let said = wsdump(&["--listen", "0", "--cert", &ca, "--key", &ca]);
    assert!(said.code == 1 && said.err.contains("--cert"), "{said:?}");
}

#[cfg(unix)]
#[test]
fn a_server_listens_on_a_unix_socket_and_leaves_no_file() {
    let path = std::env::temp_dir().join(format!("wsdump-listen-{}.sock", std::process::id()));
    // One that a server has left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = Server::at(path.to_str().unwrap(), &["-r"]);
    assert_eq!(server.url, format!("ws+unix://{}:/", path.display()));
    let said = wsdump_with("hello\n", &["-r", "--max-messages", "1", &server.url]);
    assert_eq!((said.code, said.out.as_str()), (0, "hello\n"), "{said:?}");
    // One that is in use is left alone.
    let said = wsdump(&["--listen", path.to_str().unwrap()]);
    assert_eq!(said.code, 1, "{said:?}");
    server.stop();
    assert!(!path.exists());
    // So is a file that is something else.
    std::fs::write(&path, "precious").unwrap();
    let said = wsdump(&["--listen", path.to_str().unwrap()]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}
