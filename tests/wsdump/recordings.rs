//! `--record` and `--replay`.

use std::fs;

use crate::listening::Server;
use crate::shell::{wsdump, wsdump_with};
use crate::support::{Script, frame, serve, timed};

/// Where a file of this test lies.
fn path(name: &str) -> String {
    std::env::temp_dir().join(format!("wsdump-{name}-{}.jsonl", std::process::id())).to_str().unwrap().to_owned()
}

/// A server that answers a question and sends something unasked.
fn answerer() -> (String, Script<()>) {
    serve(|mut peer| {
        peer.accept();
        assert_eq!(peer.frame(), (0x81, b"question".to_vec()));
        peer.say(frame(0x81, "answer"));
        peer.say(frame(0x82, [0, 1, 255]));
        peer.end();
    })
}

#[test]
fn what_was_recorded_can_be_played_by_either_side() {
    let file = path("both");
    let (url, script) = answerer();
    let said = wsdump_with("question\n", &["-r", "--record", &file, &url]);
    script.join();
    assert_eq!(said.out, "answer\nb'\\x00\\x01\\xff'\n");
    let recorded: Vec<serde_json::Value> =
        fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [("client", "text", "question"), ("server", "text", "answer"), ("server", "binary", "AAH/")];
    assert_eq!(recorded.len(), expected.len());
    for (entry, (from, kind, payload)) in recorded.iter().zip(expected) {
        let field = if kind == "text" { "text" } else { "base64" };
        assert_eq!((&entry["from"], &entry["kind"], &entry[field]), (&from.into(), &kind.into(), &payload.into()));
        assert!(entry["at"].as_f64().unwrap() >= 0.0);
    }
    // The client's part.
    let (url, script) = answerer();
    let again = wsdump(&["-r", "--replay", &file, &url]);
    script.join();
    assert_eq!((again.code, again.out), (0, said.out.clone()));
    // The server's part.
    let server = Server::new(&["-r", "--replay", &file]);
    let again = wsdump(&["-r", "--no-input", &server.url]);
    assert_eq!((again.code, again.out), (0, said.out));
    #[cfg(unix)]
    server.stop();
}

#[test]
fn pauses_are_kept() {
    let file = path("pauses");
    let line = |at: f64| format!("{{\"at\":{at},\"from\":\"client\",\"kind\":\"text\",\"text\":\"x\"}}\n");
    fs::write(&file, line(0.0) + &line(0.2) + &line(0.4)).unwrap();
    let server = Server::new(&["-r", "--max-messages", "3"]);
    let (said, took) = timed(|| wsdump(&["-r", "--replay", &file, &server.url]));
    assert_eq!(said.out, "x\nx\nx\n", "{said:?}");
    assert!((400..4000).contains(&took.as_millis()), "{took:?}");
    server.end();
}

#[test]
fn what_is_no_recording_is_told_by_its_line() {
    let file = path("broken");
    fs::write(&file, "{\"at\":0,\"from\":\"server\",\"kind\":\"text\",\"text\":\"x\"}\nhello\n").unwrap();
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.end()
    });
    let said = wsdump(&["-r", "--replay", &file, &url]);
    assert_eq!((said.code, script.join()), (1, 1000), "{said:?}");
    assert!(said.err.contains("line 2: not a line of a recording"), "{}", said.err);
    assert_eq!(wsdump(&["--listen", "127.0.0.1:0", "--replay", "no-such-file"]).code, 1);
}

/// The client said nothing until it was asked.
#[test]
fn the_pause_before_the_first_message_of_a_side_is_kept() {
    let file = path("first-pause");
    let line = |at: f64, from: &str| format!("{{\"at\":{at},\"from\":\"{from}\",\"kind\":\"text\",\"text\":\"x\"}}\n");
    fs::write(&file, line(0.0, "server") + &line(0.6, "client")).unwrap();
    let server = Server::new(&["-r", "--max-messages", "1"]);
    let (said, took) = timed(|| wsdump(&["-r", "--replay", &file, &server.url]));
    assert_eq!(said.out, "x\n", "{said:?}");
    assert!(took.as_millis() >= 600, "{took:?}");
    server.end();
}

/// Times are those since the connection was open: how long it took to be made does not belong to the conversation.
#[test]
fn times_begin_with_the_connection() {
    let file = path("begin");
    let (url, script) = serve(|mut peer| {
        std::thread::sleep(std::time::Duration::from_millis(700));
        peer.accept();
        peer.say(frame(0x81, "hello"));
        peer.end();
    });
    wsdump(&["-r", "--record", &file, "--max-messages", "1", &url]);
    script.join();
    let entry: serde_json::Value = serde_json::from_str(fs::read_to_string(&file).unwrap().trim()).unwrap();
    assert!(entry["at"].as_f64().unwrap() < 0.5, "{entry}");
}

#[cfg(unix)]
#[test]
fn a_broadcast_is_recorded_and_can_be_replayed() {
    let file = path("broadcast");
    let server = Server::new(&["--broadcast", "--record", &file]);
    let mut clients = [(); 2].map(|()| websocket_sync::create_connection(&server.url).unwrap());
    std::thread::sleep(std::time::Duration::from_millis(300));
    clients[0].send_text("to all").unwrap();
    assert_eq!(clients[1].recv().unwrap().as_bytes(), b"to all");
    drop(clients);
    server.stop();
    let recorded = fs::read_to_string(&file).unwrap();
    let sides: Vec<&str> =
        recorded.lines().map(|line| if line.contains("\"client\"") { "client" } else { "server" }).collect();
    assert_eq!(sides, ["client", "server"], "{recorded}");
    let server = Server::new(&["-r", "--replay", &file, "--record", &path("again")]);
    let said = wsdump(&["-r", "--no-input", &server.url]);
    assert_eq!((said.code, said.out.as_str()), (0, "to all\n"), "{said:?}");
    server.stop();
    // What is replayed is sent, so it is recorded, too.
    assert!(fs::read_to_string(path("again")).unwrap().contains("to all"));
}
