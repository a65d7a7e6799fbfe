//! How much may wait to be sent where nothing is waited for.

use super::ConnectOptions;
use super::connect::Settings;

impl ConnectOptions {
    /// How many bytes of [`try_send_text`](crate::WebSocket::try_send_text) and its kin may wait to be sent, frame headers
    /// included, beyond which nothing more is taken; so it is the size of the largest message that they take, too. TLS may have up
    /// to 64 KiB besides.
    ///
    /// Default: 1 MiB.
    pub fn max_unsent(self, bytes: usize) -> Self {
        self.with(|settings| settings.max_unsent = Some(bytes))
    }
}

impl Settings {
    pub(crate) fn max_unsent(&self) -> usize {
        self.max_unsent.unwrap_or(1 << 20)
    }
}
