//! What travels: a message, owned or borrowed. Control frames are no messages; they are handled inside the connection.

/// A message that owns its payload: keep it, store it, send it back.
///
/// There are exactly two kinds (RFC 6455, section 5.6), so a `match` over them is complete.
///
/// ```
/// use websocket_sync::Message;
///
/// let message = Message::from("Hello");
/// match &message {
///     Message::Text(text) => assert_eq!(text, "Hello"),
///     Message::Binary(bytes) => unreachable!("{} bytes", bytes.len()),
/// }
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

    /// The same message, borrowed.
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
