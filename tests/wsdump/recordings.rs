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
    drop(server);
}

#[test]
fn pauses_are_kept() {
    let file = path("pauses");
    let line = |at: f64| format!("{{\"at\":{at},\"from\":\"client\",\"kind\":\"text\",\"text\":\"x\"}}\n");
    fs::write(&file, line(5.0) + &line(5.2) + &line(5.4)).unwrap();
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
