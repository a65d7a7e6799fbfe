//! What is said to a server beside what the handshake itself says: header fields made for each attempt, a proof of who asks, and
//! how far redirects are followed.

use std::sync::Arc;

use super::{ConnectOptions, Hook};
use crate::authentication::Credentials;
use crate::error::Result;

/// Header fields, authentication, redirects.
impl ConnectOptions {
    /// Gives header fields that change from one attempt to the next, such as a token that expires. It is called once for each
    /// connection that is asked for, on the thread that asks, before a name is resolved; redirects use what it gave.
    ///
    /// Each field is treated as one of [`header`](Self::header), and takes the place of those of the same name. An error ends the
    /// opening and is returned as it is; [`Error::other`](crate::Error::other) makes one of any other.
    ///
    /// Default: none.
    ///
    /// ```
    /// use websocket_sync::{ConnectOptions, Error};
    ///
    /// let options = ConnectOptions::new().header_provider(|| {
    ///     let token = std::fs::read_to_string("/run/secrets/token").map_err(Error::other)?;
    ///     Ok(vec![("Authorization".into(), format!("Bearer {}", token.trim()))])
    /// });
    /// ```
    pub fn header_provider(self, hook: impl Fn() -> Result<Vec<(String, String)>> + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.header_provider = Some(Hook(Arc::new(hook))))
    }

    /// Who asks, if the server wants to know: a status of 401 is answered once, on a new connection, with Digest (RFC 7616;
    /// SHA-256, else MD5) or Basic (RFC 7617), the best that the server offers. The scheme, host and port of the URL that was
    /// given are the only ones that are answered, wherever redirects lead.
    ///
    /// Unlike user and password in the URL, which are sent as Basic without being asked for, these are not sent before. Where both
    /// are given, these count; a header `Authorization` counts more than both.
    ///
    /// Default: user and password of the URL, if it has any.
    ///
    /// ```no_run
    /// use websocket_sync::ConnectOptions;
    ///
    /// let ws = ConnectOptions::new().credentials("Mufasa", "Circle of Life").connect("wss://example.org/")?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn credentials(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        let credentials = Credentials { user: user.into(), password: password.into() };
        self.with(|settings| settings.credentials = Some(credentials))
    }

    /// How many redirects are followed (status 301, 302, 303, 307 and 308); a further one is
    /// [`Error::Redirect`](crate::Error::Redirect). With 0 none is followed: a redirect is then an
    /// [`Error::Refused`](crate::Error::Refused), as it is with [`connect_over`](Self::connect_over), whose stream is used up.
    ///
    /// `http` and `https` stand for `ws` and `wss`. A redirect never leads from `wss` to `ws`, to a Unix socket, or to a URL that was
    /// asked before. What is secret stays with the scheme, host and port of the URL that was given: header fields but for a
    /// few that are harmless ([`header`](Self::header) lists them), cookies, credentials, overridden `Host` and `Origin`, and the
    /// overridden name of [TLS](crate::TlsOptions::server_hostname). User and password in a `Location` are not used.
    ///
    /// Default: 3.
    pub fn redirect_limit(self, redirects: usize) -> Self {
        self.with(|settings| settings.redirect_limit = Some(redirects))
    }

    /// The same for a server that a redirect leads to, and that none of these options was meant for.
    pub(crate) fn for_another_origin(&self) -> Self {
        self.clone().with(|settings| settings.tls.server_hostname = None)
    }
}
