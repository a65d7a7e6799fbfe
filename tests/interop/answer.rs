//! How our server role answers the language of the interop tests; README.md has it.

use std::net::TcpStream;
use std::sync::{Condvar, Mutex};

use websocket_sync::{CloseCode, ConnectOptions, ControlFrames, Error, Frame, Message, Opcode, Result, WebSocket};

/// What is known of the connections other than `outcome`.
#[derive(Default)]
pub(crate) struct Log {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    live: usize,
    /// How the one that ended last ended.
    outcome: String,
}

impl Log {
    pub(crate) fn started(&self) {
        self.state.lock().expect("no panic").live += 1;
    }

    pub(crate) fn ended(&self, outcome: String) {
        let mut state = self.state.lock().expect("no panic");
        state.live -= 1;
        state.outcome = outcome;
        self.ended.notify_all();
    }

    /// Waits until no connection is left.
    pub(crate) fn outcome(&self) -> String {
        let state = self.state.lock().expect("no panic");
        self.ended.wait_while(state, |state| state.live > 0).expect("no panic").outcome.clone()
    }
}

pub(crate) fn serve(stream: TcpStream, options: &ConnectOptions, log: &Log) -> Result<()> {
    let mut ws = options.accept(stream)?;
    let Message::Text(first) = ws.recv()? else { return ws.close_with(CloseCode::UNSUPPORTED_DATA, "") };
    let (command, argument) = first.split_once(' ').unwrap_or((&first, ""));
    if command == "outcome" {
        ws.send_text(&log.outcome())?;
        return end(ws.recv().map(drop)).map(drop);
    }
    log.started();
    let ended = end(obey(&mut ws, command, argument));
    log.ended(ended.as_ref().map_or_else(ToString::to_string, String::clone));
    ended.map(drop)
}

/// Goes on until the connection ends, with the error that says so.
fn obey(ws: &mut WebSocket, command: &str, argument: &str) -> Result<()> {
    match command {
        "echo" => loop {
            match ws.recv()? {
                Message::Text(text) => ws.send_text(&text)?,
                Message::Binary(bytes) => ws.send_binary(&bytes)?,
            };
        },
        "fragments" => {
            let size = argument.parse().unwrap_or(1);
            loop {
                let message = ws.recv()?;
                send_fragments(ws, &message, size)?;
            }
        }
        "ping" => {
            ws.ping(argument.as_bytes())?;
            let pong = ws.recv_data_frame(ControlFrames::Show)?;
            ws.send_text(&format!("ponged {}", String::from_utf8_lossy(&pong.payload)))?;
        }
        "close" => {
            let (code, reason) = argument.split_once(' ').unwrap_or((argument, ""));
            ws.close_with(CloseCode(code.parse().unwrap_or(1000)), reason)?;
        }
        _ => ws.close_with(CloseCode::POLICY_VIOLATION, "unknown command")?,
    }
    ws.recv().map(drop)
}

fn send_fragments(ws: &WebSocket, message: &Message, size: usize) -> Result<()> {
    let mut opcode = match message {
        Message::Text(_) => Opcode::Text,
        Message::Binary(_) => Opcode::Binary,
    };
    for piece in message.as_bytes().chunks(size) {
        ws.send_frame(&Frame::new(opcode, piece).fragment())?;
        opcode = Opcode::Continuation;
    }
    ws.send_frame(&Frame::new(opcode, "")).map(drop)
}

/// The code and the reason with which a connection ended; that it ended is no error.
fn end(result: Result<()>) -> Result<String> {
    match result {
        Ok(()) => Ok("no end".to_owned()),
        Err(Error::Closed(info)) => Ok(format!("{} {}", info.code.0, info.reason)),
        Err(other) => Err(other),
    }
}
