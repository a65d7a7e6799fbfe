//! Our client with tungstenite's server and the other way round: the questions and answers of `tests/interop`, in process.

#[path = "../../interop/answer.rs"]
mod answer;
#[path = "../../interop/list.rs"]
mod list;

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use tungstenite::handshake::server::{Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{WebSocket, WebSocketConfig};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, Result, accept_hdr_with_config, connect};

const TEXT: &str = "κόσμε, 日本, 🎈; ";
const MIB: usize = 1 << 20;

#[test]
fn our_client_gets_along_with_its_server() {
    let url = start(|stream, log| drop(serve(stream, log)));
    let peer = list::Peer { url, options: websocket_sync::ConnectOptions::new() };
    for (name, test) in list::TESTS {
        println!("{name}");
        test(&peer).unwrap();
    }
}

#[test]
fn its_client_gets_messages_of_all_kinds_and_sizes_back_from_our_server() {
    let mut ws = open(&start_ours(), "echo");
    for size in [0, 1, 125, 126, 65_535, 65_536, 16 * MIB] {
        same(&mut ws, Message::text("x".repeat(size)));
        same(&mut ws, Message::binary(vec![0xff; size]));
    }
    same(&mut ws, Message::text(TEXT));
    end(ws, None);
}

#[test]
fn its_client_and_our_server_put_fragments_together() {
    let url = start_ours();
    let mut ws = open(&url, "echo");
    for (number, piece) in TEXT.as_bytes().chunks(5).enumerate() {
        let kind = if number == 0 { Data::Text } else { Data::Continue };
        ws.send(Message::Frame(Frame::message(piece.to_vec(), OpCode::Data(kind), false))).unwrap();
        ws.send(Message::Ping("between".into())).unwrap();
    }
    ws.send(Message::Frame(Frame::message("", OpCode::Data(Data::Continue), true))).unwrap();
    assert_eq!(next(&mut ws), Message::text(TEXT));
    end(ws, None);

    for size in [1, 7, 1000] {
        let mut ws = open(&url, &format!("fragments {size}"));
        same(&mut ws, Message::text(TEXT.repeat(50)));
        same(&mut ws, Message::text(""));
        same(&mut ws, Message::binary(TEXT.repeat(50)));
        end(ws, None);
    }
}

#[test]
fn its_client_and_our_server_answer_each_others_pings() {
    let url = start_ours();
    let mut ws = open(&url, "echo");
    for payload in [&b""[..], b"are you there", &[0xff; 125]] {
        ws.send(Message::Ping(payload.to_vec().into())).unwrap();
        assert_eq!(ws.read().unwrap(), Message::Pong(payload.to_vec().into()));
    }
    end(ws, None);
    let mut ws = open(&url, "ping are you there");
    assert_eq!(next(&mut ws), Message::text("ponged are you there"));
    end(ws, None);
}

#[test]
fn its_client_and_our_server_see_each_others_code_and_reason() {
    let url = start_ours();
    for (code, reason) in [(1000_u16, ""), (1011, "broken"), (4001, "so long, ☃"), (3000, &"r".repeat(123))] {
        end(open(&url, "echo"), Some(CloseFrame { code: code.into(), reason: reason.into() }));
        assert_eq!(outcome(&url), format!("{code} {reason}"));

        let mut ws = open(&url, &format!("close {code} {reason}"));
        assert_eq!(ws.read().unwrap(), Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() })));
        assert!(ws.read().is_err());
        drop(ws);
        assert!(outcome(&url).starts_with(&format!("{code} ")));
    }
    end(open(&url, "echo"), None);
    assert_eq!(outcome(&url), "1005 ");
}

/// Serves on a free port, with a thread for each connection, and returns the URL.
fn start(serve: fn(TcpStream, &answer::Log)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    let log = Arc::new(answer::Log::default());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let log = Arc::clone(&log);
            thread::spawn(move || serve(stream, &log));
        }
    });
    url
}

fn start_ours() -> String {
    start(|stream, log| answer::serve(stream, &websocket_sync::ConnectOptions::new(), log).expect("a clean end"))
}

/// Tungstenite's answer to what `list` asks.
fn serve(stream: TcpStream, log: &answer::Log) -> Result<()> {
    let config = WebSocketConfig::default().max_frame_size(None);
    let Ok(mut ws) = accept_hdr_with_config(stream, choose_chat, Some(config)) else { return Ok(()) };
    let first = ws.read()?.into_text()?;
    let (command, argument) = first.split_once(' ').unwrap_or((&first, ""));
    if command == "outcome" {
        ws.send(Message::text(log.outcome()))?;
        while ws.read().is_ok() {}
        return Ok(());
    }
    log.started();
    let outcome = obey(&mut ws, command, argument);
    log.ended(outcome.unwrap_or_else(|error| error.to_string()));
    Ok(())
}

#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "what tungstenite asks for")]
fn choose_chat(
    request: &Request,
    mut response: Response,
) -> std::result::Result<Response, tungstenite::handshake::server::ErrorResponse> {
    if request.headers().contains_key("sec-websocket-protocol") {
        response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("chat"));
    }
    Ok(response)
}

/// Goes on until the connection ends, and returns the code and the reason that came.
fn obey(ws: &mut WebSocket<TcpStream>, command: &str, argument: &str) -> Result<String> {
    match command {
        "ping" => ws.send(Message::Ping(argument.to_owned().into()))?,
        "close" => {
            let (code, reason) = argument.split_once(' ').unwrap_or((argument, ""));
            let code = code.parse::<u16>().unwrap_or(1000);
            ws.close(Some(CloseFrame { code: code.into(), reason: reason.into() }))?;
        }
        _ => {}
    }
    let mut outcome = "1006 ".to_owned();
    loop {
        match ws.read() {
            Ok(Message::Close(Some(close))) => outcome = format!("{} {}", u16::from(close.code), close.reason),
            Ok(Message::Pong(payload)) if command == "ping" => {
                ws.send(Message::text(format!("ponged {}", String::from_utf8_lossy(&payload))))?;
            }
            Ok(message) if message.is_text() || message.is_binary() => match argument.parse() {
                Ok(size) if command == "fragments" => send_fragments(ws, &message, size)?,
                _ => ws.send(message)?,
            },
            Ok(_) => {}
            Err(_) => return Ok(outcome),
        }
    }
}

fn send_fragments(ws: &mut WebSocket<TcpStream>, message: &Message, size: usize) -> Result<()> {
    let mut kind = if message.is_text() { Data::Text } else { Data::Binary };
    for piece in message.clone().into_data().chunks(size) {
        ws.send(Message::Frame(Frame::message(piece.to_vec(), OpCode::Data(kind), false)))?;
        kind = Data::Continue;
    }
    ws.send(Message::Frame(Frame::message("", OpCode::Data(kind), true)))
}

type Client = WebSocket<MaybeTlsStream<TcpStream>>;

fn open(url: &str, command: &str) -> Client {
    let (mut ws, _) = connect(url).expect("a connection");
    ws.set_config(|config| config.max_frame_size = None);
    ws.send(Message::text(command)).expect("an open connection");
    ws
}

/// The next message that is neither a ping nor a pong.
fn next(ws: &mut Client) -> Message {
    loop {
        let message = ws.read().expect("a message");
        if !message.is_ping() && !message.is_pong() {
            return message;
        }
    }
}

fn same(ws: &mut Client, message: Message) {
    ws.send(message.clone()).expect("an open connection");
    assert!(next(ws) == message, "{} bytes came back changed", message.len());
}

/// Closes; the server must answer with the same code.
fn end(mut ws: Client, close: Option<CloseFrame>) {
    ws.close(close.clone()).expect("an open connection");
    loop {
        match ws.read().expect("a Close") {
            Message::Close(answer) => return assert_eq!(answer.map(|a| a.code), close.map(|close| close.code)),
            _ => continue,
        }
    }
}

/// How the connection before this one ended, as our server saw it.
fn outcome(url: &str) -> String {
    let mut ws = open(url, "outcome");
    let outcome = next(&mut ws).into_text().expect("text").to_string();
    end(ws, None);
    outcome
}
