//! What goes wrong with JSON.

use std::fmt;

use thiserror::Error;

use crate::message::{Message, MessageRef};
use crate::protocol::Escaped;

/// The most characters that are shown of what serde_json says: it quotes the message.
const MAX_SHOWN: usize = 256;

/// A message that is not the JSON that was expected, or a value that JSON cannot express.
///
/// `Display` is what serde_json says, which may quote a value, escaped and no longer than 256 characters. The message as a whole,
/// which may hold secrets, is neither in `Display` nor in `Debug`. The connection goes on.
///
/// ```no_run
/// use serde::Deserialize;
/// use websocket_sync::{Error, JsonError, create_connection};
///
/// #[derive(Deserialize)]
/// struct Tick {
///     price: f64,
/// }
///
/// let mut feed = create_connection("wss://feed.example/")?;
/// match feed.recv_json::<Tick>() {
///     Ok(tick) => println!("{}", tick.price),
///     Err(Error::Json(error)) => match *error {
///         JsonError::Deserialize { message, .. } => println!("not a tick: {message:?}"),
///         other => println!("{other}"),
///     },
///     Err(error) => return Err(error),
/// }
/// # Ok::<(), Error>(())
/// ```
#[derive(Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The message is no JSON, or JSON of another shape.
    #[error("message is not the JSON that was expected: {}", shown(.problem))]
    Deserialize {
        /// The message, as it was received.
        message: Message,
        /// What serde_json says.
        problem: serde_json::Error,
    },
    /// The value cannot be expressed in JSON, such as a map whose keys are not strings. Nothing was sent.
    #[error("value cannot be expressed in JSON: {}", shown(.0))]
    Serialize(serde_json::Error),
}

impl JsonError {
    /// The message that could not be read; `None` for a value that could not be written.
    pub const fn message(&self) -> Option<&Message> {
        match self {
            Self::Deserialize { message, .. } => Some(message),
            Self::Serialize(_) => None,
        }
    }

    pub(crate) fn deserialize(message: MessageRef<'_>, problem: serde_json::Error) -> Self {
        Self::Deserialize { message: message.to_owned(), problem }
    }

    /// The same error once more, with the text of what serde_json said.
    pub(super) fn duplicate(&self) -> Self {
        let again = |problem: &serde_json::Error| serde::de::Error::custom(problem);
        match self {
            Self::Deserialize { message, problem } => {
                Self::Deserialize { message: message.clone(), problem: again(problem) }
            }
            Self::Serialize(problem) => Self::Serialize(again(problem)),
        }
    }
}

fn shown(problem: &serde_json::Error) -> String {
    Escaped::up_to(MAX_SHOWN, &problem.to_string()).to_string()
}

/// Of the message, there are its kind and length.
impl fmt::Debug for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deserialize { message, problem } => f
                .debug_struct("Deserialize")
                .field("message", &format_args!("{:?} of {} bytes", message.kind(), message.len()))
                .field("problem", &shown(problem))
                .finish(),
            Self::Serialize(problem) => f.debug_tuple("Serialize").field(&shown(problem)).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_sends_is_escaped_bounded_and_kept() {
        #[derive(Debug, serde::Deserialize)]
        enum Side {
            Buy,
        }
        assert!(matches!(serde_json::from_str("\"Buy\""), Ok(Side::Buy)));
        let text = format!("\"\\u001b[2J\u{202e}{}\"", "x".repeat(10_000));
        let problem = serde_json::from_str::<Side>(&text).unwrap_err();
        let error = JsonError::deserialize(MessageRef::Text(&text), problem);
        let says = error.to_string();
        let expected = r"message is not the JSON that was expected: unknown variant `\u{1b}[2J\u{202e}xx";
        assert!(says.starts_with(expected) && says.len() < 400, "{says}");
        assert_eq!(error.message(), Some(&Message::from(&*text)));
        assert!(!format!("{error:?}").contains("\u{202e}") && format!("{error:?}").len() < 600, "{error:?}");
        assert_eq!(error.duplicate().to_string(), says);
        assert_eq!(error.duplicate().message(), error.message());
    }
}
