//! The client of tests/interop/network: opens one connection as it is told, does one thing with it, and says in one line how that
//! went. Fails if it went otherwise than expected, and if a password shows anywhere.

mod outlive;
mod told;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime};

use websocket_sync::{CloseCause, Error, Message, Result, WebSocket};

use told::{Deed, Told};

/// The password that every peer knows. None that is made for failing contains it.
const PASSWORD: &str = "pa55";
const TEXT: &str = "κόσμε, 日本, 🎈; ";

fn main() -> ExitCode {
    let told = Told::from_arguments();
    let began = Instant::now();
    let outcome = connect_and_do(&told);
    let took = began.elapsed();
    match judge(&told, outcome, took) {
        Ok(said) => {
            println!("{said}, {} ms", took.as_millis());
            ExitCode::SUCCESS
        }
        Err(complaint) => {
            println!("{complaint}, {} ms", took.as_millis());
            ExitCode::FAILURE
        }
    }
}

/// What the connection did, as it was told, or the error that ended it.
fn connect_and_do(told: &Told) -> Result<String> {
    if let Deed::Outlive { reason } = &told.deed {
        return outlive::outlive(told, reason);
    }
    let mut ws = connect(told)?;
    let mut said = format!("{}{}", facts(told, &ws), told.deed.act(&mut ws, told)?);
    assert!(!format!("{ws:?}").contains(PASSWORD), "a password in {ws:?}");
    if let Some(subprotocol) = ws.subprotocol() {
        said += &format!(", subprotocol {subprotocol}");
    }
    Ok(said)
}

/// Where time counts, the best of three: a machine that is busy is late by itself.
fn connect(told: &Told) -> Result<WebSocket> {
    let Some(limit) = told.connect_limit else { return told.options.connect(&told.url) };
    for _ in 0..2 {
        let ws = told.options.connect(&told.url)?;
        if ws.timings().and_then(|timings| timings.connect).is_some_and(|connect| connect <= limit) {
            return Ok(ws);
        }
    }
    told.options.connect(&told.url)
}

/// Checks what is known of a connection once it is open.
fn facts(told: &Told, ws: &WebSocket) -> String {
    let mut facts = String::new();
    let timings = ws.timings().expect("it is open");
    assert_eq!(timings.proxy.is_some(), told.proxied, "through a proxy");
    if told.deflate {
        assert!(ws.deflate().is_some(), "compression was not agreed on");
        facts += "compressed, ";
    }
    if let Some(limit) = told.connect_limit {
        let connect = timings.connect.expect("a connection has been made");
        assert!(connect <= limit, "it took {connect:?} to connect");
        facts += &format!("connected in {} ms, ", connect.as_millis());
    }
    facts
}

/// Compares with what was to be expected.
fn judge(told: &Told, outcome: Result<String>, took: Duration) -> Result<String, String> {
    let said = match (outcome, &told.failure) {
        (Ok(said), None) => said,
        (Ok(said), Some(failure)) => return Err(format!("{failure} was expected, not success: {said}")),
        (Err(error), failure) => expected_failure(&error, failure.as_ref())?,
    };
    if !told.duration.contains(&took) {
        return Err(format!("not within {:?}: {said}", told.duration));
    }
    Ok(said)
}

fn expected_failure(error: &Error, expected: Option<&told::Failure>) -> Result<String, String> {
    let said = format!("{}: {}", kind(error), chain(error));
    let debug = format!("{error:?}");
    if said.contains(PASSWORD) || debug.contains(PASSWORD) {
        return Err(format!("a password in an error: {said}; {debug}"));
    }
    match expected {
        None => Err(said),
        Some(failure)
            if failure.kind.split('|').any(|kind| kind == self::kind(error)) && said.contains(&failure.text) =>
        {
            expected_refusal(error, failure, said)
        }
        Some(failure) => Err(format!("{failure} was expected, not {said}")),
    }
}

/// What a refusal has beside its status.
fn expected_refusal(error: &Error, expected: &told::Failure, said: String) -> Result<String, String> {
    let Error::Refused(refusal) = error else { return Ok(said) };
    let body = String::from_utf8_lossy(&refusal.body);
    if expected.body.as_ref().is_some_and(|text| !body.contains(text)) {
        return Err(format!("{said}; the body is {body:?}"));
    }
    let retry_after = refusal.retry_after(SystemTime::now());
    if expected.retry_after.is_some_and(|least| retry_after.is_none_or(|pause| pause < least)) {
        return Err(format!("{said}; Retry-After is {retry_after:?}"));
    }
    Ok(said)
}

/// The name of the variant.
fn kind(error: &Error) -> String {
    format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// An error and what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl Deed {
    fn act(&self, ws: &mut WebSocket, told: &Told) -> Result<String> {
        match self {
            Self::Echo => {
                ws.send_text("echo")?;
                same(ws, TEXT.into())?;
                told.interfere();
                echo(ws)
            }
            Self::Head { with, without } => head(ws, with, without),
            Self::Exchange { question, answer } => exchange(ws, question, answer),
            Self::Receive { count } => receive(ws, *count),
            Self::Idle => {
                ws.send_text("echo")?;
                same(ws, TEXT.into())?;
                told.interfere();
                ws.recv().map(|message| panic!("nothing was to come, not {message:?}"))
            }
            Self::Close => {
                told.interfere();
                ws.close()?;
                ws.recv().map(|message| panic!("nothing was to come, not {message:?}"))
            }
            Self::Outlive { .. } => unreachable!("the app makes its connections itself"),
            Self::Flood => {
                told.interfere();
                flood(ws)
            }
        }
    }
}

impl Told {
    /// Runs the command that was given for the time after the first echo.
    fn interfere(&self) {
        if let Some(command) = &self.then {
            let status = Command::new("sh").args(["-ec", command]).status().expect("sh");
            assert!(status.success(), "{command}: {status}");
        }
    }
}

/// Messages of several sizes, and a close that both sides agree to.
fn echo(ws: &mut WebSocket) -> Result<String> {
    for message in [Message::from(TEXT), "x".repeat(70_000).into(), vec![0xff; 1 << 20].into(), Vec::new().into()] {
        same(ws, message)?;
    }
    close(ws)?;
    Ok("echo".to_owned())
}

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

fn close(ws: &mut WebSocket) -> Result<()> {
    ws.close()?;
    match ws.recv() {
        Err(Error::Closed(info)) => assert_eq!(info.cause, CloseCause::Local, "{info:?}"),
        other => panic!("the end was expected, not {other:?}"),
    }
    Ok(())
}

/// Asks the server which request it has got.
fn head(ws: &mut WebSocket, with: &[String], without: &[String]) -> Result<String> {
    ws.send_text("head")?;
    let Message::Text(head) = ws.recv()? else { panic!("a head is text") };
    let lines: Vec<String> = head.lines().map(str::to_lowercase).collect();
    let is_there = |wanted: &String| lines.iter().any(|line| line.starts_with(&wanted.to_lowercase()));
    assert!(with.iter().all(is_there), "one of {with:?} is not in {head}");
    assert!(!without.iter().any(is_there), "one of {without:?} is in {head}");
    close(ws)?;
    Ok(format!("request {}", head.lines().next().unwrap_or_default()))
}

/// Bytes out, bytes back; as many messages as it takes.
fn exchange(ws: &mut WebSocket, question: &[u8], answer: &[u8]) -> Result<String> {
    ws.send_binary(question)?;
    let mut received = Vec::new();
    while received.len() < answer.len() {
        received.extend_from_slice(ws.recv()?.as_bytes());
    }
    assert_eq!(received, answer);
    ws.close()?;
    Ok(format!("{} bytes back", received.len()))
}

/// A server that speaks by itself.
fn receive(ws: &mut WebSocket, count: usize) -> Result<String> {
    let mut last = Vec::new();
    for _ in 0..count {
        last = ws.recv()?.as_bytes().to_vec();
    }
    ws.close()?;
    Ok(format!("{count} messages, the last {:?}", String::from_utf8_lossy(&last)))
}

/// Sends until that fails, which it does not do for 64 MiB unless the network is broken.
fn flood(ws: &WebSocket) -> Result<String> {
    let message = vec![0; 1 << 16];
    for _ in 0..1 << 10 {
        ws.send_binary(&message)?;
    }
    Ok("64 MiB sent".to_owned())
}
