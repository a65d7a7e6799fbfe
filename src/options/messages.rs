//! What is done with messages and frames on their way.

use std::sync::Arc;

use super::{ConnectOptions, Hook};
use crate::protocol::DeflateOptions;

/// Messages and frames.
///
/// ```
/// use websocket_sync::{ConnectOptions, DeflateOptions};
///
/// let feed = ConnectOptions::new().deflate(DeflateOptions::new());
/// // Each fragment by itself, and text whatever its bytes are.
/// let raw = ConnectOptions::new().fire_cont_frame().skip_utf8_validation();
/// // The same bytes at each run of a test.
/// let reproducible = ConnectOptions::new().mask_key(|| [1, 2, 3, 4]);
/// ```
impl ConnectOptions {
    /// Compresses messages with permessage-deflate (RFC 7692) if the peer agrees: a client offers it, a server accepts it.
    /// [`WebSocket::deflate`](crate::WebSocket::deflate) says what was agreed, [`Sender::uncompressed`](crate::Sender::uncompressed)
    /// sends single messages as they are.
    ///
    /// Do not compress a secret together with text that an attacker may choose: the length of what is sent reveals whether the two
    /// have something in common, as in CRIME and BREACH.
    ///
    /// Default: nothing is compressed.
    ///
    /// ```no_run
    /// use websocket_sync::{ConnectOptions, DeflateOptions};
    ///
    /// let ws = ConnectOptions::new().deflate(DeflateOptions::new()).connect("wss://feed.example/")?;
    /// println!("compressed: {}", ws.deflate().is_some());
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[doc(alias = "compression")]
    pub fn deflate(self, options: DeflateOptions) -> Self {
        self.with(|settings| settings.deflate = Some(options))
    }

    /// Skips the check of text messages for UTF-8, and returns them as binary messages.
    ///
    /// Default: text that is not UTF-8 is refused with code 1007.
    pub fn skip_utf8_validation(self) -> Self {
        self.with(|settings| settings.skips_utf8_validation = true)
    }

    /// Returns each fragment of a message by itself, from [`recv_data`](crate::WebSocket::recv_data) and
    /// [`recv_data_frame`](crate::WebSocket::recv_data_frame); in an app, fragments go to
    /// [`on_cont_message`](crate::WebSocketApp::on_cont_message).
    ///
    /// Default: whole messages.
    pub fn fire_cont_frame(self) -> Self {
        self.with(|settings| settings.fires_cont_frame = true)
    }

    /// Takes masking keys from a function, for tests and replays. In production they have to be unpredictable (RFC 6455, section
    /// 5.3).
    ///
    /// Default: the operating system's randomness.
    #[doc(alias = "get_mask_key")]
    #[doc(alias = "set_mask_key")]
    pub fn mask_key(self, hook: impl Fn() -> [u8; 4] + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.mask_key = Some(Hook(Arc::new(hook))))
    }
}
