//! How much the peer may send (RFC 6455, section 10.4).

use super::ConnectOptions;

/// Limits. `usize::MAX` and `u32::MAX` stand for none.
impl ConnectOptions {
    /// The size in bytes, after decompression, beyond which a message is refused with code 1009.
    ///
    /// Default: 64 MiB.
    #[doc(alias = "max_size")]
    pub fn max_message_size(self, bytes: usize) -> Self {
        self.with(|settings| settings.limits.max_message_size = bytes)
    }

    /// The size in bytes beyond which a single frame is refused with code 1009.
    ///
    /// Default: 64 MiB.
    pub fn max_frame_size(self, bytes: usize) -> Self {
        self.with(|settings| settings.limits.max_frame_size = bytes)
    }

    /// The number of frames, empty ones included, beyond which a message is refused with code 1008.
    ///
    /// Default: 131,072.
    pub fn max_fragments(self, frames: u32) -> Self {
        self.with(|settings| settings.limits.max_fragments = frames)
    }

    /// The number of control frames in a flood, beyond which the peer is refused with code 1008: without a message
    /// among them, and without a read of less than 1 KiB between them, so that those of a quiet connection never add
    /// up.
    ///
    /// Default: 10,000.
    pub fn max_control_frames(self, frames: u32) -> Self {
        self.with(|settings| settings.limits.max_control_frames = frames)
    }

    /// The size in bytes of the head of an answer to the opening handshake.
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
}
