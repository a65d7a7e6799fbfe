//! `--proxy-to`: what a client and a server say to each other through the program.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use websocket_sync::{CloseCode, ConnectOptions, Error, Message, create_connection};

use crate::listening::Server;
use crate::support::refusing::refusing_address;
use crate::support::site::fields;
use crate::support::{Peer, Script, answer_to, closed, frame, ms, serve};

/// A server that answers a question, and closes with a code of its own; says what it was asked for.
fn answerer() -> (String, Script<String>) {
    serve(|mut peer| {
        let head = peer.head();
        let answer = answer_to(&head).replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n");
        peer.say(answer);
        assert_eq!(peer.frame(), (0x81, b"question".to_vec()));
        peer.say(frame(0x82, [1, 2]));
        peer.say(frame(0x88, b"\x0f\xa0bye"));
        peer.rest();
        head
    })
}

#[test]
fn a_proxy_shows_and_records_both_directions() {
    let file = std::env::temp_dir().join(format!("wsdump-proxy-{}.jsonl", std::process::id()));
    let record = file.to_str().unwrap();
    let shown = [
        "1 > question\n1 < b'\\x01\\x02'\n",
        "\"client\":1,\"event\":\"text\",\"from\":\"client\",\"text\":\"question\"}",
    ];
    for (flags, expected) in [["-r"], ["--json"]].iter().zip(shown) {
        let (url, script) = answerer();
        let proxied = ["--proxy-to", &url, "--record", record, "-H", "X-Token: 1", "-s", "other,chat"];
        let server = Server::new(&[flags.as_slice(), &proxied].concat());
        let mut ws = ConnectOptions::new().subprotocols(["secret", "chat"]).connect(&server.url).unwrap();
        assert_eq!(ws.subprotocol(), Some("chat"));
        ws.send_text("question").unwrap();
        assert_eq!(ws.recv().unwrap(), Message::Binary(vec![1, 2]));
        let info = closed(ws.recv());
        assert_eq!((info.code.0, info.reason.as_str()), (4000, "bye"));
        let head = script.join();
        assert_eq!(fields(&head, "X-Token"), ["1"]);
        // With -s, no others are passed on.
        assert_eq!(fields(&head, "Sec-WebSocket-Protocol"), ["chat"]);
        let said = server.stop();
        assert!(said.code == 0 && said.out.contains(expected), "{said:?}");
        let recorded = std::fs::read_to_string(&file).unwrap();
        let sides: Vec<bool> = recorded.lines().map(|line| line.contains("\"from\":\"client\"")).collect();
        assert_eq!(sides, [true, false], "{recorded}");
    }
}

/// A server that accepts whoever comes, with these fields besides; says what it was asked.
fn accepting(fields: &'static str) -> (String, Script<String>) {
    serve(move |mut peer| {
        let head = peer.head();
        peer.say(answer_to(&head).replace("\r\n\r\n", &format!("\r\n{fields}\r\n\r\n")));
        // The client hangs up.
        assert_eq!(peer.end(), 1001);
        head
    })
}

/// A server that says this whatever it is asked; says what that was.
fn answering(answer: &'static str) -> (String, Script<String>) {
    serve(move |mut peer| {
        let head = peer.head();
        peer.say(answer);
        head
    })
}

/// What the proxy answers a request of which these are the target and the fields.
fn asked(server: &Server, target: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect(server.url.trim_start_matches("ws://").trim_end_matches('/')).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: proxy.example:1\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..length]);
        if answer.starts_with(b"HTTP/1.1 101") && answer.windows(4).any(|end| end == b"\r\n\r\n") {
            break;
        }
    }
    String::from_utf8(answer).unwrap()
}

const CONNECTION: &str = "Connection: Upgrade\r\n";

/// The first line of a request.
fn request_line(head: &str) -> &str {
    head.lines().next().unwrap()
}

#[test]
fn what_a_client_asks_for_is_what_the_server_is_asked_for() {
    let (url, script) = accepting(
        "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: real/1\r\nSec-WebSocket-Protocol: v2\r\nKeep-Alive: timeout=5\r\nX-Hop: 2",
    );
    let server = Server::new(&["-v", "--proxy-to", &url]);
    let fields_of_client = "Connection: keep-alive, Upgrade, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n\
         Proxy-Authorization: Basic cHJveHk=\r\nOrigin: https://app.example\r\nCookie: session=1; theme=dark\r\n\
         Authorization: Bearer token\r\nUser-Agent: client/7\r\nAccept-Language: fr\r\nX-Twice: 1\r\nX-Twice: 2\r\n\
         Sec-WebSocket-Protocol: v1, v2\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    let answer = asked(&server, "/feed/1?token=%20x&y", fields_of_client);
    let head = script.join();
    assert_eq!(request_line(&head), "GET /feed/1?token=%20x&y HTTP/1.1");
    for (name, values) in [
        ("Host", &[url.trim_start_matches("ws://").trim_end_matches('/')][..]),
        ("Connection", &["Upgrade"]),
        ("Upgrade", &["websocket"]),
        ("Origin", &["https://app.example"]),
        ("Cookie", &["session=1; theme=dark"]),
        ("Authorization", &["Bearer token"]),
        ("User-Agent", &["client/7"]),
        ("Accept-Language", &["fr"]),
        ("X-Twice", &["1", "2"]),
        ("Sec-WebSocket-Protocol", &["v1,v2"]),
        ("Sec-WebSocket-Extensions", &[]),
        ("X-Hop", &[]),
        ("Keep-Alive", &[]),
        ("TE", &[]),
        ("Proxy-Authorization", &[]),
    ] {
        assert_eq!(fields(&head, name), values, "{name}: {head}");
    }
    assert!(!head.contains("dGhlIHNhbXBsZSBub25jZQ=="), "{head}");
    for (name, values) in [
        ("Set-Cookie", &["a=1", "b=2"][..]),
        ("Server", &["real/1"]),
        ("Sec-WebSocket-Protocol", &["v2"]),
        ("Sec-WebSocket-Accept", &["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]),
        ("Connection", &["Upgrade"]),
        ("Keep-Alive", &[]),
    ] {
        assert_eq!(fields(&answer, name), values, "{name}: {answer}");
    }
    let said = server.stop();
    assert!(said.err.contains(&format!("connected to {url}feed/1")), "{}", said.err);
}

/// Names of fields, and the values that each has.
type Expected = &'static [(&'static str, &'static [&'static str])];

/// What the URL of the server or the command line says goes before what the client says.
#[test]
fn what_the_command_line_says_goes_before_what_the_client_says() {
    let of_client = "Connection: Upgrade\r\nOrigin: https://app.example\r\nCookie: a=1\r\nAuthorization: Bearer token\r\n\
                     X-Token: client\r\n";
    let table: [(&str, &[&str], &str, Expected); 6] = [
        ("", &[], "/a/b?c", &[("Origin", &["https://app.example"])]),
        ("feed?x=1", &[], "/feed?x=1", &[]),
        ("?x=1", &[], "/?x=1", &[]),
        ("", &["--no-origin", "-H", "X-Token: mine"], "/a/b?c", &[("Origin", &[]), ("X-Token", &["mine"])]),
        ("", &["-o", "http://o", "--cookie", "b=2"], "/a/b?c", &[("Origin", &["http://o"]), ("Cookie", &["b=2"])]),
        ("", &["-u", "me:pw"], "/a/b?c", &[("Authorization", &[])]),
    ];
    for (resource, flags, target, expected) in table {
        let (url, script) = accepting("X-Y: z");
        let server = Server::new(&[&["-r", "--proxy-to", &(url + resource)], flags].concat());
        let answer = asked(&server, "/a/b?c", of_client);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let head = script.join();
        assert_eq!(request_line(&head), format!("GET {target} HTTP/1.1"), "{resource} {flags:?}");
        for (name, values) in expected {
            assert_eq!(fields(&head, name), *values, "{flags:?}: {head}");
        }
        server.stop();
    }
}

/// A whole URL as the target, a user in the URL of the server, and a client that says as little as it may.
#[test]
fn a_client_that_says_little_has_little_said_for_it() {
    let (url, script) = accepting("X-Y: z");
    let url = url.replace("ws://", "ws://me:pw@");
    let server = Server::new(&["-r", "--proxy-to", &url]);
    assert!(asked(&server, "ws://other.example/whole?x", CONNECTION).starts_with("HTTP/1.1 101 "));
    let head = script.join();
    assert_eq!(request_line(&head), "GET /whole?x HTTP/1.1");
    assert_eq!(fields(&head, "Authorization"), ["Basic bWU6cHc="]);
    assert_eq!(
        (fields(&head, "Origin").len(), fields(&head, "Cookie").len(), fields(&head, "User-Agent").len()),
        (0, 0, 0)
    );
    server.stop();
}

#[test]
fn a_refusal_of_the_server_is_given_to_the_client() {
    let refusals = [
        "HTTP/1.1 403 Not On Sundays\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nContent-Length: 6\r\n\r\nclosed",
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: wss://other.example/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nX-Y: z\r\n\r\n",
    ];
    for refusal in refusals {
        let (url, script) = answering(refusal);
        let server = Server::new(&["-v", "--max-redirects", "0", "--proxy-to", &url]);
        // The names of fields are the same in any case.
        let answer = asked(&server, "/", CONNECTION);
        let lower = |text: &str| -> Vec<String> {
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let (line, fields) = head.split_once("\r\n").unwrap();
            let mut fields: Vec<String> = fields.lines().map(str::to_ascii_lowercase).collect();
            fields.sort();
            [vec![line.to_owned()], fields, vec![body.to_owned()]].concat()
        };
        assert_eq!(lower(&answer), lower(refusal));
        script.join();
        // It is noted when the client has it.
        std::thread::sleep(ms(300));
        let said = server.stop();
        assert!(said.err.contains("client 1 (") && said.err.contains(&refusal[9..12]), "{}", said.err);
    }
}

/// Chunks are joined, and what is between the server and the program alone stays there.
#[test]
fn the_body_of_a_refusal_has_a_length() {
    let (url, script) = answering(
        "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\nKeep-Alive: 5\r\nRetry-After: 7\r\n\r\n2\r\nno\r\n1\r\nt\r\n0\r\n\r\n",
    );
    let server = Server::new(&["-r", "--proxy-to", &url]);
    let answer = asked(&server, "/", CONNECTION);
    script.join();
    assert!(answer.starts_with("HTTP/1.1 503 Busy\r\n") && answer.ends_with("\r\n\r\nnot"), "{answer}");
    assert_eq!(fields(&answer, "Content-Length"), ["3"]);
    assert_eq!(fields(&answer, "Retry-After"), ["7"]);
    assert_eq!((fields(&answer, "Transfer-Encoding").len(), fields(&answer, "Keep-Alive").len()), (0, 0));
    server.stop();
}

#[test]
fn a_server_that_cannot_be_reached_is_a_bad_gateway() {
    let nobody = refusing_address();
    let server = Server::new(&["--proxy-to", &format!("ws://{nobody}/")]);
    match create_connection(&server.url) {
        Err(Error::Refused(refusal)) => {
            assert_eq!(refusal.status, 502);
            assert!(refusal.body_text().contains("connecting failed"), "{}", refusal.body_text());
        }
        other => panic!("{other:?}"),
    }
    // It is noted when the client has it.
    std::thread::sleep(ms(300));
    let said = server.stop();
    assert!(said.err.contains("connecting failed"), "{}", said.err);
}

#[test]
fn a_server_that_does_not_answer_is_a_gateway_timeout() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", mute.local_addr().unwrap());
    let server = Server::new(&["-r", "--connect-timeout", "0.5", "--proxy-to", &url]);
    assert!(asked(&server, "/", CONNECTION).starts_with("HTTP/1.1 504 "));
    server.stop();
}

/// What no client may send is not passed on (RFC 6265, section 5.4).
#[test]
fn a_request_that_cannot_be_passed_on_is_a_bad_request() {
    let (url, _script) = accepting("X-Y: z");
    let server = Server::new(&["-r", "--proxy-to", &url]);
    let answer = asked(&server, "/", "Connection: Upgrade\r\nCookie: a=1\r\nCookie: b=2\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    server.stop();
}

/// What the server sends right behind its 101 arrives behind ours.
#[test]
fn what_a_server_says_at_once_is_heard() {
    let (url, script) = serve(|mut peer| {
        let head = peer.head();
        peer.say([answer_to(&head).into_bytes(), frame(0x81, "welcome")].concat());
        peer.end()
    });
    let server = Server::new(&["-r", "--proxy-to", &url]);
    let mut ws = create_connection(&server.url).unwrap();
    assert_eq!(ws.recv_timeout(ms(10_000)).unwrap(), Message::from("welcome"));
    ws.close().unwrap();
    assert_eq!(script.join(), 1000);
    server.stop();
}

/// As a browser's `close()` sends it.
#[test]
fn a_close_without_a_code_passes_as_one() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        let heard = peer.frame();
        peer.say(frame(0x88, b""));
        heard
    });
    let server = Server::new(&["--proxy-to", &url]);
    let ws = create_connection(&server.url).unwrap();
    ws.send_close(CloseCode::NO_STATUS_RECEIVED, "").unwrap();
    assert_eq!(script.join(), (0x88, vec![]));
    server.stop();

    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x88, b""));
        peer.frame()
    });
    let server = Server::new(&["--proxy-to", &url]);
    let mut ws = create_connection(&server.url).unwrap();
    assert_eq!(closed(ws.recv()).code, CloseCode::NO_STATUS_RECEIVED);
    assert_eq!(script.join(), (0x88, vec![]));
    server.stop();
}

#[test]
fn header_fields_of_a_file_are_read_for_each_client() {
    let path = std::env::temp_dir().join(format!("wsdump-proxy-token-{}", std::process::id()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let script = std::thread::spawn(move || {
        ["old", "new"].map(|_| {
            let mut peer = Peer::new(listener.accept().unwrap().0);
            let head = peer.head();
            peer.say(answer_to(&head));
            peer.end();
            fields(&head, "X-Token").join(",")
        })
    });
    std::fs::write(&path, "X-Token: old\n").unwrap();
    let server = Server::new(&["--proxy-to", &url, "-H", &format!("@{}", path.display())]);
    for token in ["old", "new"] {
        std::fs::write(&path, format!("X-Token: {token}\n")).unwrap();
        create_connection(&server.url).unwrap().close().unwrap();
    }
    assert_eq!(script.join().unwrap(), ["old", "new"]);
    server.stop();
}
