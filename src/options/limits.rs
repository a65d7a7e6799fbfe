//! How much the peer may send (RFC 6455, section 10.4), and how much may wait to be sent.

use super::ConnectOptions;
use super::connect::Settings;
use crate::protocol::Limits;

/// Limits. `usize::MAX` and `u32::MAX` stand for none.
///
/// ```
/// use websocket_sync::ConnectOptions;
///
/// let tight = ConnectOptions::new()
///     .max_message_size(1 << 20)
///     .max_frame_size(64 << 10)
///     .max_fragments(1000)
///     .max_control_frames(100)
///     .max_unsent(256 << 10)
///     .max_head_size(8 << 10)
///     .max_head_line(4 << 10)
///     .max_head_fields(50)
///     .max_interim_responses(1)
///     .max_refusal_body(1 << 10);
/// let trusting = ConnectOptions::new().no_limits();
/// ```
impl ConnectOptions {
    /// The size in bytes, after decompression, beyond which a message is refused with code 1009. Where it is more than 64 MiB, it is the
    /// default of [`max_frame_size`](Self::max_frame_size), too.
    ///
    /// Default: 64 MiB.
    ///
    /// ```
    /// use websocket_sync::ConnectOptions;
    ///
    /// // A message of 1 GiB, in one frame or in many.
    /// let options = ConnectOptions::new().max_message_size(1 << 30);
    /// ```
    #[doc(alias = "max_size")]
    pub fn max_message_size(self, bytes: usize) -> Self {
        self.with(|settings| {
            settings.limits.max_message_size = bytes;
            settings.limits.max_frame_size = settings.effective_frame_limit();
        })
    }

    /// The size in bytes beyond which a single frame is refused with code 1009.
    ///
    /// Default: 64 MiB, or [`max_message_size`](Self::max_message_size) if that is more.
    pub fn max_frame_size(self, bytes: usize) -> Self {
        self.with(|settings| {
            settings.frame_limit = Some(bytes);
            settings.limits.max_frame_size = bytes;
        })
    }

    /// No limits on messages, frames, fragments and control frames, as in websocket-client: for peers that are trusted with all
    /// memory there is. A message that takes more than that is refused with code 1009
    /// ([`ProtocolError::OutOfMemory`](crate::protocol::ProtocolError::OutOfMemory)). Limits that are set after this call count. Those on
    /// the opening handshake stay.
    ///
    /// Default: each limit has its own.
    pub fn no_limits(self) -> Self {
        self.with(|settings| {
            settings.limits = Limits::no_limits();
            settings.frame_limit = Some(settings.limits.max_frame_size);
        })
    }

    /// The number of frames, empty ones included, beyond which a message is refused with code 1008.
    ///
    /// Default: 131,072.
    pub fn max_fragments(self, frames: u32) -> Self {
        self.with(|settings| settings.limits.max_fragments = frames)
    }

    /// The number of control frames in a row beyond which the connection is closed with code 1008. The count begins anew with a
    /// message, with a fragment that is not empty, and with a read from the network of less than 1 KiB, so that the pings of a quiet
    /// connection never add up.
    ///
    /// Default: 10,000.
    pub fn max_control_frames(self, frames: u32) -> Self {
        self.with(|settings| settings.limits.max_control_frames = frames)
    }

    /// The size in bytes of the head of an answer to the opening handshake, or to `CONNECT` where it comes from a proxy. For a server, that
    /// of a request, and how much may follow it before it is answered.
    ///
    /// Default: 64 KiB.
    pub fn max_head_size(self, bytes: usize) -> Self {
        self.with(|settings| settings.head_limits.head = bytes)
    }

    /// The size in bytes of one line of that head.
    ///
    /// Default: 16 KiB.
    pub fn max_head_line(self, bytes: usize) -> Self {
        self.with(|settings| settings.head_limits.line = bytes)
    }

    /// The number of header fields in that head.
    ///
    /// Default: 128.
    pub fn max_head_fields(self, fields: usize) -> Self {
        self.with(|settings| settings.head_limits.fields = fields)
    }

    /// The number of interim answers (1xx other than 101) before the real one.
    ///
    /// Default: 8.
    pub fn max_interim_responses(self, responses: usize) -> Self {
        self.with(|settings| settings.head_limits.interim = responses)
    }

    /// How many bytes are kept of the body of an answer that refuses the upgrade, or a tunnel where it comes from a proxy.
    ///
    /// Default: 64 KiB.
    pub fn max_refusal_body(self, bytes: usize) -> Self {
        self.with(|settings| settings.head_limits.body = bytes)
    }

    /// How many bytes may wait to be sent, frame headers included, where nothing waits: in
    /// [`try_send_text`](crate::WebSocket::try_send_text) and its kin, and in event loops. Beyond that nothing more is taken; so it is the
    /// size of the largest message that they take, too. TLS may hold up to 64 KiB besides.
    ///
    /// Default: 1 MiB.
    pub fn max_unsent(self, bytes: usize) -> Self {
        self.with(|settings| settings.max_unsent = Some(bytes))
    }
}

impl Settings {
    /// A limit on messages that is raised raises the one on frames with it, unless that was set.
    fn effective_frame_limit(&self) -> usize {
        let default = Limits::default().max_frame_size;
        self.frame_limit.unwrap_or_else(|| default.max(self.limits.max_message_size))
    }
}

impl Settings {
    pub(crate) fn max_unsent(&self) -> usize {
        self.max_unsent.unwrap_or(1 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limits on messages and on frames.
    fn sizes(options: &ConnectOptions) -> (usize, usize) {
        let limits = options.settings().limits;
        (limits.max_message_size, limits.max_frame_size)
    }

    #[test]
    fn a_larger_limit_on_messages_is_one_on_frames_too_unless_that_is_set() {
        const DEFAULT: usize = 64 << 20;
        let new = ConnectOptions::new;
        assert_eq!(sizes(&new()), (DEFAULT, DEFAULT));
        assert_eq!(sizes(&new().max_message_size(1 << 30)), (1 << 30, 1 << 30));
        assert_eq!(sizes(&new().max_message_size(1 << 30).max_message_size(7)), (7, DEFAULT));
        assert_eq!(sizes(&new().max_frame_size(9).max_message_size(1 << 30)), (1 << 30, 9));
        assert_eq!(sizes(&new().max_message_size(1 << 30).max_frame_size(9)), (1 << 30, 9));
        assert_eq!(sizes(&new().max_message_size(usize::MAX)), (usize::MAX, usize::MAX));
        assert_eq!(new().no_limits().settings().limits, Limits::no_limits());
        assert_eq!(sizes(&new().no_limits().max_message_size(7)), (7, usize::MAX));
    }
}
