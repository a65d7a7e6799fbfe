//! How much the peer may send (RFC 6455, section 10.4).

use super::ConnectOptions;

/// 64 MiB.
const MESSAGE: usize = 64 << 20;

/// How much the peer may send. Everything is refused before memory is taken for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LimitOptions {
    pub(crate) max_message_size: usize,
    pub(crate) max_frame_size: usize,
    pub(crate) max_fragments: u32,
    pub(crate) max_control_frames: u32,
    pub(crate) max_head_size: usize,
    pub(crate) max_head_line: usize,
    pub(crate) max_head_fields: usize,
    pub(crate) max_interim_responses: usize,
    pub(crate) max_refusal_body: usize,
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self {
            max_message_size: MESSAGE,
            max_frame_size: MESSAGE,
            max_fragments: 131_072,
            max_control_frames: 10_000,
            max_head_size: 64 * 1024,
            max_head_line: 16 * 1024,
            max_head_fields: 128,
            max_interim_responses: 8,
            max_refusal_body: 64 * 1024,
        }
    }
}

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
        self.with(|settings| settings.limits.max_head_size = bytes)
    }

    /// The size in bytes of one line of that head.
    ///
    /// Default: 16 KiB.
    pub fn max_head_line(self, bytes: usize) -> Self {
        self.with(|settings| settings.limits.max_head_line = bytes)
    }

    /// The number of header fields in that head.
    ///
    /// Default: 128.
    pub fn max_head_fields(self, fields: usize) -> Self {
        self.with(|settings| settings.limits.max_head_fields = fields)
    }

    /// The number of interim answers (1xx other than 101) before the real one.
    ///
    /// Default: 8.
    pub fn max_interim_responses(self, responses: usize) -> Self {
        self.with(|settings| settings.limits.max_interim_responses = responses)
    }

    /// How many bytes are kept of the body of an answer that refuses the upgrade.
    ///
    /// Default: 64 KiB.
    pub fn max_refusal_body(self, bytes: usize) -> Self {
        self.with(|settings| settings.limits.max_refusal_body = bytes)
    }
}
