//! What a peer may make us hold (RFC 6455, section 10.4).

/// The limits on what is received. Going over one is a violation: the peer gets a Close and the connection ends.
///
/// ```
/// use websocket_sync::protocol::Limits;
///
/// let limits = Limits::default();
/// assert_eq!(limits.max_message_size, 64 << 20);
/// assert_eq!(limits.max_fragments, 131_072);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message, in bytes, after an extension has decoded it. Default: 64 MiB.
    pub max_message_size: usize,
    /// The largest payload of one frame, in bytes. Default: 64 MiB.
    pub max_frame_size: usize,
    /// The most fragments of one message; empty ones count. Default: 131,072.
    pub max_fragments: u32,
    /// The most control frames in a flood: without a message among them, and without a read of less than 1 KiB between them, so
    /// that those of a quiet connection never add up. Default: 10,000.
    pub max_control_frames: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_size: 64 << 20,
            max_frame_size: 64 << 20,
            max_fragments: 131_072,
            max_control_frames: 10_000,
        }
    }
}
