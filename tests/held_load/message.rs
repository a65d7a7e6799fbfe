//! What is sent: which message of which connection it is, and a payload that shows whether it is whole.

use crate::pace::{Random, now_ms};

/// What the server wants of the client that reads this.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Request {
    Nothing,
    /// Send many large messages.
    Talk,
    /// Leave, and connect again.
    Leave,
}

impl Request {
    const ALL: [(&str, Self); 3] = [("-", Self::Nothing), ("talk", Self::Talk), ("leave", Self::Leave)];
}

/// A message as it was read: `connection` is the number that its sender has given the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Received {
    pub(crate) connection: u64,
    pub(crate) sequence: u64,
    /// When it was made.
    pub(crate) at: u64,
    pub(crate) request: Request,
}

/// The text of a message, of about `length` bytes.
pub(crate) fn text(connection: u64, sequence: u64, request: Request, length: usize) -> String {
    let word = Request::ALL.iter().find(|(_, one)| *one == request).unwrap().0;
    let head = format!("{connection} {sequence} {} {word} {length} ", now_ms());
    let mut text = Vec::with_capacity(head.len() + length);
    text.extend_from_slice(head.as_bytes());
    text.resize(head.len() + length, letter(connection, sequence));
    String::from_utf8(text).unwrap()
}

/// The message in a text.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn parse(text: &[u8]) -> Result<Received, String> {
    let wrong = || format!("no message of this test: {}", String::from_utf8_lossy(&text[..text.len().min(100)]));
    let text = std::str::from_utf8(text).map_err(|_| wrong())?;
    let mut parts = text.splitn(6, ' ');
    let mut next = || parts.next().ok_or_else(wrong);
    let mut number = || next()?.parse::<u64>().map_err(|_| wrong());
    let (connection, sequence, at) = (number()?, number()?, number()?);
    let word = next()?;
    let request = Request::ALL.iter().find(|(one, _)| *one == word).ok_or_else(wrong)?.1;
    let length: usize = next()?.parse().map_err(|_| wrong())?;
    let payload = next()?;
    let expected = letter(connection, sequence);
    if payload.len() != length || !payload.bytes().all(|byte| byte == expected) {
        return Err(wrong());
    }
    Ok(Received { connection, sequence, at, request })
}

/// How long a message is: most are short.
pub(crate) fn any_length(random: &mut Random) -> usize {
    let most = match random.below(100) {
        0 => 64_000,
        1..10 => 4000,
        _ => 200,
    };
    usize::try_from(random.below(most)).unwrap()
}

fn letter(connection: u64, sequence: u64) -> u8 {
    b'a' + u8::try_from((connection + sequence) % 26).unwrap()
}
