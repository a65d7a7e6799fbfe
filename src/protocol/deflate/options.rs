//! What is asked of the compression.

use crate::protocol::LocalProtocolError;

/// How messages are compressed, and what is asked of the peer for it (RFC 7692, section 7.1).
///
/// As it stands, a client offers `permessage-deflate; client_max_window_bits`, the offer of the browsers, and a server agrees to
/// every offer. The names are those of the RFC and mean the same in both roles: "server" and "client" are the two ends, "ours" is
/// the one that the connection has.
///
/// A window that is kept from one message to the next is what makes small messages small: of a feed of 300 bytes each, little is left.
/// It costs memory for as long as the connection stands, about 50 KiB for receiving and 370 KiB for sending; the latter only
/// once something is sent.
///
/// ```
/// use websocket_sync::protocol::{Extension, DeflateOptions, PerMessageDeflate};
///
/// let options = DeflateOptions::new().server_no_context_takeover().client_max_window_bits(12).level(6);
/// let deflate = PerMessageDeflate::new(options)?;
/// assert_eq!(deflate.offer().as_deref(), Some("server_no_context_takeover; client_max_window_bits=12"));
/// # Ok::<(), websocket_sync::protocol::LocalProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DeflateOptions {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<u8>,
    pub(super) client_max_window_bits: ClientWindow,
    pub(super) level: u8,
    pub(super) threshold: Option<usize>,
}

/// What a client says of its own window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ClientWindow {
    /// Nothing: the server must not limit it.
    Silent,
    /// The server may limit it.
    Open,
    /// It has this many bits; the server may limit it further.
    Limited(u8),
}

impl DeflateOptions {
    /// The smallest message that is worth compressing with a window that has seen others like it.
    const THRESHOLD: usize = 64;
    /// The same without.
    const THRESHOLD_ALONE: usize = 1024;

    /// The defaults.
    pub const fn new() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: ClientWindow::Open,
            level: 1,
            threshold: None,
        }
    }

    /// The server compresses each message by itself. A client demands it, and the connection is not made if the server does not
    /// agree; a server does it.
    ///
    /// Default: the server may keep its window.
    #[must_use]
    pub const fn server_no_context_takeover(mut self) -> Self {
        self.server_no_context_takeover = true;
        self
    }

    /// The client compresses each message by itself. A client does it, whatever the server says; a server demands it.
    ///
    /// Default: the client may keep its window.
    #[must_use]
    pub const fn client_no_context_takeover(mut self) -> Self {
        self.client_no_context_takeover = true;
        self
    }

    /// The server's window has at most 2 to the power of `bits` bytes, 9 to 15. A client demands it, and the connection is not made
    /// if the server does not agree; a server keeps to it.
    ///
    /// Default: 15, and nothing is said of it.
    #[must_use]
    pub const fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = Some(bits);
        self
    }

    /// The client's window has at most 2 to the power of `bits` bytes, 9 to 15. A client keeps to it; a server demands it of
    /// clients that can do that.
    ///
    /// Default: 15; a client says that it can do with less.
    #[must_use]
    pub const fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = ClientWindow::Limited(bits);
        self
    }

    /// A client does not mention `client_max_window_bits`: for servers that choke on it.
    ///
    /// Default: it does.
    #[must_use]
    pub const fn without_client_max_window_bits(mut self) -> Self {
        self.client_max_window_bits = ClientWindow::Silent;
        self
    }

    /// How hard to try, from 0 for not at all to 9. On small messages with a kept window, 1 comes within a tenth of 6 at a fraction of
    /// the time.
    ///
    /// Default: 1.
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// Messages of less than this many bytes are sent as they are. Those that are sent in fragments are always compressed: how
    /// long they will be is not known.
    ///
    /// Default: 64 where the window is kept, 1,024 where each message is compressed by itself.
    #[doc(alias = "minimum_size")]
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = Some(bytes);
        self
    }

    /// Refuses what zlib cannot do. A window of 8 bits can be received, and that without asking.
    pub(crate) fn check(&self) -> Result<(), LocalProtocolError> {
        let sane = |bits: u8| (9..=15).contains(&bits);
        if !self.server_max_window_bits.is_none_or(sane) {
            return Err(LocalProtocolError::DeflateOption("server_max_window_bits"));
        }
        if matches!(self.client_max_window_bits, ClientWindow::Limited(bits) if !sane(bits)) {
            return Err(LocalProtocolError::DeflateOption("client_max_window_bits"));
        }
        if self.level > 9 {
            return Err(LocalProtocolError::DeflateOption("level"));
        }
        Ok(())
    }

    /// What a client says of its own window, if it limits it.
    pub(super) const fn client_limit(&self) -> u8 {
        match self.client_max_window_bits {
            ClientWindow::Limited(bits) => bits,
            ClientWindow::Silent | ClientWindow::Open => 15,
        }
    }

    /// The smallest message that is compressed.
    pub(super) fn threshold_for(&self, takeover: bool) -> usize {
        self.threshold.unwrap_or(if takeover { Self::THRESHOLD } else { Self::THRESHOLD_ALONE })
    }
}

impl Default for DeflateOptions {
    fn default() -> Self {
        Self::new()
    }
}
