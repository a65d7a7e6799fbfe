//! Messages, owned or borrowed. Control frames are not messages; the connection handles them.

#[cfg(feature = "json")]
use serde::{Deserialize, Serialize};

#[cfg(feature = "json")]
use crate::error::JsonError;
use crate::error::Result;

/// A message that owns its payload: keep it, store it, send it back.
///
/// There are exactly two kinds (RFC 6455, section 5.6), so a `match` over them is complete. A text message equals a `&str`, a
/// binary message equals bytes; a text message never equals bytes.
///
/// ```
/// use websocket_sync::Message;
///
/// let message = Message::from("Hello");
/// match &message {
///     Message::Text(text) => assert_eq!(text, "Hello"),
///     Message::Binary(bytes) => unreachable!("{} bytes", bytes.len()),
/// }
/// assert_eq!(message, "Hello");
/// assert_ne!(message, b"Hello");
/// assert_eq!((message.as_text(), message.as_bytes()), (Some("Hello"), &b"Hello"[..]));
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 defines two kinds, and a match over them shall be complete")]
pub enum Message {
    /// A text message: valid UTF-8.
    Text(String),
    /// A binary message: any bytes.
    Binary(Vec<u8>),
}

impl Message {
    /// Whether this is text or binary.
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Binary(_) => MessageKind::Binary,
        }
    }

    /// The payload; that of text is its UTF-8.
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes.as_slice(),
        }
    }

    /// The text, if it is text.
    pub const fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            Self::Binary(_) => None,
        }
    }

    /// The payload, without copying it; that of text is its UTF-8.
    ///
    /// ```
    /// use websocket_sync::Message;
    ///
    /// assert_eq!(Message::from("Hello").into_bytes(), b"Hello");
    /// ```
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text, without copying it.
    ///
    /// # Errors
    ///
    /// The message itself when it is binary, even if its bytes are UTF-8.
    ///
    /// ```
    /// use websocket_sync::Message;
    ///
    /// assert_eq!(Message::from("Hello").into_text(), Ok("Hello".to_owned()));
    /// assert_eq!(Message::from(vec![7]).into_text(), Err(Message::Binary(vec![7])));
    /// ```
    pub fn into_text(self) -> Result<String, Self> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(_) => Err(self),
        }
    }

    /// How many bytes the payload has.
    ///
    /// ```
    /// use websocket_sync::Message;
    ///
    /// assert_eq!(Message::from("é").len(), 2);
    /// ```
    pub const fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload has no bytes, which is legal.
    pub const fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// Reads the payload, of text or of binary, as JSON (feature `json`).
    ///
    /// # Errors
    ///
    /// [`Error::Json`](crate::Error::Json) with a copy of the message.
    ///
    /// ```
    /// use serde::Deserialize;
    /// use websocket_sync::Message;
    ///
    /// #[derive(Deserialize)]
    /// struct Tick<'a> {
    ///     symbol: &'a str,
    ///     price: f64,
    /// }
    ///
    /// let message = Message::from(r#"{"symbol": "ABC", "price": 1.5}"#);
    /// let tick: Tick = message.json()?;
    /// assert_eq!((tick.symbol, tick.price), ("ABC", 1.5));
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[cfg(feature = "json")]
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        self.as_ref().json()
    }

    /// The same message, borrowed.
    ///
    /// ```
    /// use websocket_sync::{Message, MessageRef};
    ///
    /// assert_eq!(Message::from("Hello").as_ref(), MessageRef::Text("Hello"));
    /// ```
    pub const fn as_ref(&self) -> MessageRef<'_> {
        match self {
            Self::Text(text) => MessageRef::Text(text.as_str()),
            Self::Binary(bytes) => MessageRef::Binary(bytes.as_slice()),
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

/// A message whose payload lies in the connection's own buffers: valid until the next receive, never copied.
///
/// ```
/// use websocket_sync::{Message, MessageRef};
///
/// let tick = MessageRef::Text("{\"price\":1}");
/// assert_eq!(tick.to_owned(), Message::Text("{\"price\":1}".into()));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 defines two kinds, and a match over them shall be complete")]
pub enum MessageRef<'a> {
    /// A text message: valid UTF-8.
    Text(&'a str),
    /// A binary message: any bytes.
    Binary(&'a [u8]),
}

impl<'a> MessageRef<'a> {
    /// Whether this is text or binary.
    pub const fn kind(self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Binary(_) => MessageKind::Binary,
        }
    }

    /// The payload; that of text is its UTF-8.
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text, if it is text.
    pub const fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// How many bytes the payload has.
    pub const fn len(self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload has no bytes, which is legal.
    pub const fn is_empty(self) -> bool {
        self.as_bytes().is_empty()
    }

    /// Reads the payload, of text or of binary, as JSON (feature `json`). What `T` borrows lies in the connection's buffers, too.
    ///
    /// # Errors
    ///
    /// [`Error::Json`](crate::Error::Json) with a copy of the message.
    ///
    /// ```
    /// use websocket_sync::MessageRef;
    ///
    /// let (id, name): (u32, &str) = MessageRef::Text(r#"[7, "seven"]"#).json()?;
    /// assert_eq!((id, name), (7, "seven"));
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[cfg(feature = "json")]
    pub fn json<T: Deserialize<'a>>(self) -> Result<T> {
        let read = match self {
            Self::Text(text) => serde_json::from_str(text),
            Self::Binary(bytes) => serde_json::from_slice(bytes),
        };
        read.map_err(|problem| JsonError::deserialize(self, problem).into())
    }

    /// Copies the payload, so that the message can be kept.
    #[inline]
    pub fn to_owned(self) -> Message {
        match self {
            Self::Text(text) => Message::Text(text.to_owned()),
            Self::Binary(bytes) => Message::Binary(bytes.to_vec()),
        }
    }
}

impl<'a> From<&'a str> for MessageRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for MessageRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

/// The payload; that of text is its UTF-8.
impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// The payload; that of text is its UTF-8.
impl AsRef<[u8]> for MessageRef<'_> {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Text equals a text message with this text, bytes equal a binary message with these bytes.
macro_rules! equals_payload {
    ($message:ty) => {
        impl PartialEq<str> for $message {
            fn eq(&self, text: &str) -> bool {
                self.as_text() == Some(text)
            }
        }

        impl PartialEq<&str> for $message {
            fn eq(&self, text: &&str) -> bool {
                *self == **text
            }
        }

        impl PartialEq<[u8]> for $message {
            fn eq(&self, bytes: &[u8]) -> bool {
                self.kind() == MessageKind::Binary && self.as_bytes() == bytes
            }
        }

        impl PartialEq<&[u8]> for $message {
            fn eq(&self, bytes: &&[u8]) -> bool {
                *self == **bytes
            }
        }

        impl<const N: usize> PartialEq<&[u8; N]> for $message {
            fn eq(&self, bytes: &&[u8; N]) -> bool {
                *self == bytes[..]
            }
        }
    };
}

equals_payload!(Message);
equals_payload!(MessageRef<'_>);

/// The two kinds of messages, by themselves.
///
/// ```
/// use websocket_sync::{Message, MessageKind};
///
/// assert_eq!(Message::from("Hello").kind(), MessageKind::Text);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 defines two kinds")]
pub enum MessageKind {
    /// Valid UTF-8 (opcode 0x1).
    Text,
    /// Any bytes (opcode 0x2).
    Binary,
}

/// A value as the text of a message.
#[cfg(feature = "json")]
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|problem| JsonError::Serialize(problem).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_equals_text_and_bytes_equal_binary() {
        let (text, binary) = (Message::from("ab"), Message::from(&b"ab"[..]));
        for (message, is_text) in [(&text, true), (&binary, false)] {
            let borrowed = message.as_ref();
            assert_eq!(
                (*message == "ab", *message == *"ab", borrowed == "ab", borrowed == *"ab"),
                (is_text, is_text, is_text, is_text)
            );
            let is_binary = !is_text;
            assert_eq!((*message == b"ab"[..], borrowed == b"ab"[..]), (is_binary, is_binary));
            let bytes = &b"ab"[..];
            assert_eq!((*message == bytes, borrowed == bytes), (is_binary, is_binary));
            assert_eq!((*message == b"ab", borrowed == b"ab"), (is_binary, is_binary));
            assert!(*message != "a" && *message != b"a" && borrowed != "abc" && borrowed != b"abc");
        }
    }

    #[test]
    fn the_payload_is_at_hand_in_every_shape() {
        for (message, length) in [(Message::from("né"), 3), (Message::from(vec![0xff]), 1), (Message::from(""), 0)] {
            let borrowed = message.as_ref();
            assert_eq!((message.len(), borrowed.len(), message.is_empty()), (length, length, length == 0));
            assert_eq!((borrowed.is_empty(), borrowed.kind()), (length == 0, message.kind()));
            let bytes: &[u8] = AsRef::as_ref(&message);
            assert_eq!((bytes, AsRef::<[u8]>::as_ref(&borrowed)), (message.as_bytes(), message.as_bytes()));
            assert_eq!(message.clone().into_bytes(), message.as_bytes());
            assert_eq!(message.clone().into_text().ok().as_deref(), message.as_text());
        }
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_is_read_from_both_kinds_and_the_message_is_kept_where_it_is_not() {
        use crate::error::Error;

        assert_eq!(Message::from("[1, 2]").json::<Vec<u8>>().unwrap(), [1, 2]);
        assert_eq!(Message::from(&b"[\"h\xc3\xa9\"]"[..]).json::<[&str; 1]>().unwrap(), ["hé"]);
        let deep = Message::from("[".repeat(1_000_000));
        for message in [Message::from(""), Message::from("Invalid token"), Message::from(&b"\"\xff\""[..]), deep] {
            match message.json::<serde_json::Value>() {
                Err(Error::Json(error)) => assert_eq!(error.message(), Some(&message)),
                other => panic!("{other:?}"),
            }
        }
    }
}
