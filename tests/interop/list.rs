//! What is asked of a server of the interop tests; README.md says in which language.

use std::thread;
use std::time::Duration;

use websocket_sync::{
    CloseCause, CloseCode, CloseInfo, ConnectOptions, ControlFrames, Error, Frame, Message, MessageKind, Opcode,
    Result, WebSocket,
};

const MIB: usize = 1 << 20;
const TEXT: &str = "κόσμε, 日本, 🎈; ";
const SIZES: [usize; 7] = [1, 125, 126, 127, 65_535, 65_536, 100_000];
/// Close codes and reasons that both sides must see as they were given; 123 bytes is the longest reason there is.
const CLOSES: [(u16, &str); 4] = [(1000, ""), (1011, "broken"), (4001, "so long, ☃"), (3000, LONGEST)];
const LONGEST: &str = "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr";

/// One question: its name, and the function that asks it. It panics when the answer is wrong.
pub(crate) type Test = (&'static str, fn(&Peer) -> Result<()>);

pub(crate) const TESTS: [Test; 11] = [
    ("echo of text and binary", echo_of_text_and_binary),
    ("echo of 16 MiB", echo_of_16_mib),
    ("fragments to the server", fragments_to_the_server),
    ("fragments from the server", fragments_from_the_server),
    ("pings to the server", pings_to_the_server),
    ("pings from the server", pings_from_the_server),
    ("close from the client", close_from_the_client),
    ("close from the server", close_from_the_server),
    ("streaming", streaming),
    ("both ways at once", both_ways_at_once),
    ("subprotocol", subprotocol),
];

/// The server that is asked.
pub(crate) struct Peer {
    pub(crate) url: String,
    pub(crate) options: ConnectOptions,
}

impl Peer {
    /// A new connection that has been told what it is for.
    fn open(&self, command: &str) -> Result<WebSocket> {
        let ws = self.options.clone().timeout(Duration::from_secs(20)).connect(&self.url)?;
        ws.send_text(command)?;
        Ok(ws)
    }

    /// How the connection that ended last ended, as the server saw it.
    fn outcome(&self) -> Result<String> {
        let mut ws = self.open("outcome")?;
        let outcome = ws.recv()?;
        ws.close()?;
        match outcome {
            Message::Text(text) => Ok(text),
            Message::Binary(_) => panic!("an outcome is text"),
        }
    }
}

fn echo_of_text_and_binary(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("echo")?;
    same(&mut ws, "".into())?;
    same(&mut ws, Vec::new().into())?;
    same(&mut ws, TEXT.into())?;
    same(&mut ws, TEXT.as_bytes().into())?;
    for size in SIZES {
        same(&mut ws, "x".repeat(size).into())?;
        same(&mut ws, vec![0xff; size].into())?;
    }
    ws.close()
}

fn echo_of_16_mib(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("echo")?;
    same(&mut ws, b"interop".repeat(16 * MIB / 7 + 1).into())?;
    same(&mut ws, "ü".repeat(8 * MIB).into())?;
    ws.close()
}

/// Cuts code points, and puts pings between the fragments.
fn fragments_to_the_server(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("echo")?;
    for size in [1, 2, 5, TEXT.len()] {
        let mut opcode = Opcode::Text;
        for piece in TEXT.as_bytes().chunks(size) {
            ws.send_frame(&Frame::new(opcode, piece).fragment())?;
            ws.ping(b"between")?;
            opcode = Opcode::Continuation;
        }
        ws.send_frame(&Frame::new(Opcode::Continuation, ""))?;
        assert_eq!(ws.recv()?, TEXT);
    }
    for opcode in [Opcode::Binary, Opcode::Continuation, Opcode::Continuation] {
        ws.send_frame(&Frame::new(opcode, vec![7; MIB]).fragment())?;
    }
    ws.send_frame(&Frame::new(Opcode::Continuation, ""))?;
    assert!(ws.recv()? == vec![7; 3 * MIB][..]);
    ws.close()
}

fn fragments_from_the_server(peer: &Peer) -> Result<()> {
    for size in [1, 7, 1000] {
        let mut ws = peer.open(&format!("fragments {size}"))?;
        same(&mut ws, TEXT.repeat(50).into())?;
        same(&mut ws, TEXT.repeat(50).into_bytes().into())?;
        same(&mut ws, "".into())?;
        same(&mut ws, Vec::new().into())?;
        ws.close()?;
    }
    Ok(())
}

fn pings_to_the_server(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("echo")?;
    for payload in [&b""[..], b"are you there", &[0xff; 125]] {
        ws.ping(payload)?;
        let pong = ws.recv_data_frame(ControlFrames::Show)?;
        assert_eq!((pong.opcode, &pong.payload[..]), (Opcode::Pong, payload));
    }
    same(&mut ws, "still here".into())?;
    ws.close()
}

fn pings_from_the_server(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("ping are you there")?;
    assert_eq!(ws.recv()?, "ponged are you there");
    ws.close()
}

fn close_from_the_client(peer: &Peer) -> Result<()> {
    for (code, reason) in CLOSES {
        let mut ws = peer.open("echo")?;
        same(&mut ws, "before".into())?;
        ws.close_with(CloseCode(code), reason)?;
        let info = closed(&mut ws);
        assert_eq!((info.code, info.cause), (CloseCode(code), CloseCause::Local));
        assert_eq!(peer.outcome()?, format!("{code} {reason}"));
    }
    Ok(())
}

fn close_from_the_server(peer: &Peer) -> Result<()> {
    for (code, reason) in CLOSES {
        let mut ws = peer.open(&format!("close {code} {reason}"))?;
        let info = closed(&mut ws);
        assert_eq!((info.code, &*info.reason, info.cause), (CloseCode(code), reason, CloseCause::Remote));
        drop(ws);
        let outcome = peer.outcome()?;
        assert!(outcome.starts_with(&format!("{code} ")), "the server saw {outcome:?}");
    }
    Ok(())
}

/// A message that is written and read piece by piece.
fn streaming(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("echo")?;
    let message: Vec<u8> = (0..3 * MIB).map(|n| n as u8).collect();
    let mut writer = ws.message_writer(MessageKind::Binary)?;
    std::io::copy(&mut &message[..], &mut writer)?;
    writer.finish()?;
    let mut received = Vec::new();
    std::io::copy(&mut ws.message_reader()?, &mut received)?;
    assert!(received == message, "{} bytes received", received.len());
    ws.close()
}

fn both_ways_at_once(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("echo")?;
    let sender = ws.sender();
    let text = |number: usize| number.to_string().repeat(100);
    thread::scope(|scope| {
        let sending = scope.spawn(move || (0..1000).try_for_each(|number| sender.send_text(&text(number)).map(drop)));
        for number in 0..1000 {
            assert_eq!(ws.recv()?, *text(number));
        }
        sending.join().expect("no panic")
    })?;
    ws.close()
}

fn subprotocol(peer: &Peer) -> Result<()> {
    let options = peer.options.clone().subprotocols(["superchat", "chat"]);
    let mut ws = Peer { url: peer.url.clone(), options }.open("echo")?;
    assert_eq!(ws.subprotocol(), Some("chat"));
    same(&mut ws, "hello".into())?;
    ws.close()
}

/// Sends a message and expects the same one back.
fn same(ws: &mut WebSocket, message: Message) -> Result<()> {
    match &message {
        Message::Text(text) => ws.send_text(text)?,
        Message::Binary(bytes) => ws.send_binary(bytes)?,
    };
    let answer = ws.recv()?;
    let (sent, received) = (message.as_bytes().len(), answer.as_bytes().len());
    assert!(answer == message, "{sent} bytes sent as {:?}, {received} back as {:?}", message.kind(), answer.kind());
    Ok(())
}

/// How the connection ended, which it must have done or be about to do.
fn closed(ws: &mut WebSocket) -> CloseInfo {
    match ws.recv() {
        Err(Error::Closed(info)) => *info,
        other => panic!("the end was expected, not {other:?}"),
    }
}
