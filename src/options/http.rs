//! The options of the opening handshake: header fields, cookies, subprotocols, authentication, redirects.

use std::sync::Arc;

use super::connect::{Field, Settings};
use super::{ConnectOptions, Hook};
use crate::authentication::{AllowedSchemes, Credentials};
#[cfg(feature = "cookies")]
use crate::cookies::CookieJar;
use crate::error::Result;
use crate::protocol::handshake::Headers;
use crate::url::Target;

/// Header fields, subprotocols, authentication, redirects.
///
/// ```no_run
/// use websocket_sync::ConnectOptions;
///
/// let ws = ConnectOptions::new()
///     .header("X-Api-Version", "7")
///     .headers([("Accept-Language", "fr"), ("User-Agent", "feeds/1.0")])
///     .cookie("session=0123456789")
///     .origin("https://app.example")
///     .subprotocols(["graphql-transport-ws"])
///     .redirect_limit(1)
///     .redirect_subprotocols(true)
///     .connect("wss://feed.example/")?;
/// println!("{:?}", ws.subprotocol());
///
/// // For unusual servers and proxies.
/// let peculiar = ConnectOptions::new().suppress_origin().connection("keep-alive, Upgrade").host("backend.example");
/// let without_host = ConnectOptions::new().suppress_host();
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl ConnectOptions {
    /// A header field of the opening handshake. Can be called again for more.
    ///
    /// A field that the handshake also sends by itself, such as `Host`, `Origin`, `Cookie`, `Connection`, `Authorization` or
    /// `Sec-WebSocket-Protocol`, replaces that one; case does not matter. `Sec-WebSocket-Key`, `-Version`, `-Accept` and `-Extensions`
    /// cannot be set: they are refused. An empty value is sent as such.
    ///
    /// After a redirect to another scheme, host or port, only `User-Agent`, `Connection`, `Accept` and fields that begin with
    /// `Accept-` are sent, and `Sec-WebSocket-Protocol` if [`redirect_subprotocols`](Self::redirect_subprotocols) is set.
    ///
    /// Default: none.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.header_bytes(name, value.into())
    }

    /// The same for a value that is not UTF-8, such as one in Latin-1: any bytes but control characters other than a
    /// tab (RFC 9110, section 5.5).
    ///
    /// Default: none.
    ///
    /// ```
    /// use websocket_sync::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().header_bytes("X-Place", b"caf\xe9");
    /// ```
    pub fn header_bytes(self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.with(|settings| settings.headers.push((name.into(), value.into())))
    }

    /// Several header fields, in their order, each as with [`header`](Self::header). Can be called again for more.
    ///
    /// Default: none.
    pub fn headers<N: Into<String>, V: Into<String>>(self, fields: impl IntoIterator<Item = (N, V)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value.into().into_bytes()));
        self.with(|settings| settings.headers.extend(fields))
    }

    /// The `Cookie` field: `"name=value; other=value"`. It is not sent to another scheme, host or port that a redirect leads to.
    ///
    /// Default: none.
    pub fn cookie(self, cookie: impl Into<String>) -> Self {
        self.with(|settings| settings.cookie = Some(cookie.into()))
    }

    /// Sends the cookies of a jar that are for the server, and keeps in it those that the server sets: in the answer that opens the
    /// connection, in one that refuses it, in a redirect.
    ///
    /// Those of [`cookie`](Self::cookie) are sent after them. A `Cookie` field among the [headers](Self::header) takes the place of both.
    ///
    /// Default: none, and cookies of a server are forgotten.
    ///
    /// ```no_run
    /// use websocket_sync::{ConnectOptions, CookieJar};
    ///
    /// let jar = CookieJar::new();
    /// let options = ConnectOptions::new().cookie_jar(&jar);
    /// let first = options.connect("wss://shop.example/feed")?;
    /// // It sends the session cookie that the first one got.
    /// let second = options.connect("wss://shop.example/feed")?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[cfg(feature = "cookies")]
    #[doc(alias = "CookieJar")]
    pub fn cookie_jar(self, jar: &CookieJar) -> Self {
        self.with(|settings| settings.cookie_jar = Some(jar.clone()))
    }

    /// The `Origin` field. To another scheme, host or port that a redirect leads to, the default for that URL is sent.
    ///
    /// Default: `http://` or, for `wss`, `https://` and the URL's host and port.
    pub fn origin(self, origin: impl Into<String>) -> Self {
        self.with(|settings| settings.origin = Field::Given(origin.into()))
    }

    /// Sends no `Origin` field: only browsers have to (RFC 6455, section 4.1).
    ///
    /// Default: it is sent.
    pub fn suppress_origin(self) -> Self {
        self.with(|settings| settings.origin = Field::Suppressed)
    }

    /// The `Host` field. To another scheme, host or port that a redirect leads to, the default for that URL is sent.
    ///
    /// Default: the URL's host, and its port where that is not the scheme's own.
    pub fn host(self, host: impl Into<String>) -> Self {
        self.with(|settings| settings.host = Field::Given(host.into()))
    }

    /// Sends no `Host` field, although HTTP/1.1 requires it (RFC 9112, section 3.2): for servers that cannot cope with it.
    ///
    /// Default: it is sent.
    pub fn suppress_host(self) -> Self {
        self.with(|settings| settings.host = Field::Suppressed)
    }

    /// The `Connection` field, such as `"keep-alive, Upgrade"` where a proxy asks for it.
    ///
    /// Default: `Upgrade`.
    pub fn connection(self, value: impl Into<String>) -> Self {
        self.with(|settings| settings.connection = Some(value.into()))
    }

    /// The subprotocols to offer, the most wanted first (RFC 6455, section 1.9).
    ///
    /// Some servers take a token as one of them. So they are not sent to another scheme, host or port that a redirect leads to, unless
    /// [`redirect_subprotocols`](Self::redirect_subprotocols) is set; and the trace and `Debug` show `<hidden>` for those that are
    /// neither registered with IANA nor [public](Self::public_subprotocols).
    ///
    /// Default: none.
    pub fn subprotocols<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.with(|settings| settings.subprotocols = names)
    }

    /// The subprotocols that hold no secret, beside those that are registered with IANA: the trace and `Debug` of these options show
    /// them. It does not offer them; [`subprotocols`](Self::subprotocols) does.
    ///
    /// Default: none.
    ///
    /// ```
    /// use websocket_sync::ConnectOptions;
    ///
    /// let names = ["graphql-transport-ws", "token.s3cret"];
    /// let options = ConnectOptions::new().subprotocols(names).public_subprotocols(["graphql-transport-ws"]);
    /// assert!(format!("{options:?}").contains(r#"["graphql-transport-ws", "<hidden>"]"#));
    /// ```
    pub fn public_subprotocols<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.with(|settings| settings.public_subprotocols = names)
    }

    /// Whether the subprotocols are offered after a redirect to another scheme, host or port, too. Otherwise a server there that
    /// chooses one is refused, since none was offered.
    ///
    /// Default: false.
    pub fn redirect_subprotocols(self, are_taken: bool) -> Self {
        self.with(|settings| settings.redirects_subprotocols = are_taken)
    }

    /// Makes header fields that change from one attempt to the next, such as a token that expires. The function is called once for
    /// each attempt to connect, before the name is resolved, on the thread that connects (in an event loop on a helper thread, and
    /// not again before it has returned); redirects use the same fields.
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

    /// User and password, for a server that asks for them: the status 401 is answered once, on a new connection, with Digest (RFC
    /// 7616; SHA-256, else MD5) or Basic (RFC 7617), the best that the server offers. Only the scheme, host and port of the URL that
    /// was given get an answer, wherever redirects lead.
    ///
    /// What is given here is sent only when the server asks. What is in the URL is sent with the first request, as Basic, unless
    /// [`digest_only`](Self::digest_only) is set. What is given here goes before the URL's, an `Authorization` header before both.
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

    /// Authenticates by Digest only, never by Basic, to the server and to an HTTP proxy. Otherwise an attacker on a connection
    /// without TLS can ask for Basic in place of Digest, and gets the password.
    ///
    /// User and password in the URL, and those of the proxy, are not sent before they are asked for; a status of 401 or
    /// 407 that does not ask for Digest is not answered, over TLS neither, and is
    /// [`Error::Refused`](crate::Error::Refused) or [`ProxyError::Refused`](crate::ProxyError::Refused). What is not
    /// affected: fields that you give yourself, such as `Authorization` by [`header`](Self::header) or
    /// `Proxy-Authorization` by [`Proxy::header`](crate::Proxy::header), for the one of the two that knows Basic alone;
    /// and SOCKS, which has no Digest: a password for SOCKS 5 is sent in clear text.
    ///
    /// A Digest answer still allows an offline search for the password: choose one that is hard to guess.
    ///
    /// Default: the best of what the server offers; Basic without being asked for user and password in the URL and for HTTP proxies.
    ///
    /// ```no_run
    /// use websocket_sync::ConnectOptions;
    ///
    /// let ws = ConnectOptions::new().digest_only().connect("ws://Mufasa:Circle%20of%20Life@example.org/")?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn digest_only(self) -> Self {
        self.with(|settings| settings.allowed_schemes = AllowedSchemes::DigestOnly)
    }

    /// How many redirects are followed (status 301, 302, 303, 307 and 308); a further one is
    /// [`Error::Redirect`](crate::Error::Redirect). With 0 none is followed: a redirect is then an
    /// [`Error::Refused`](crate::Error::Refused), as it is with [`connect_over`](Self::connect_over), whose stream is used up.
    ///
    /// `http` and `https` in a `Location` stand for `ws` and `wss`. A redirect from `wss` to `ws`, to a Unix socket, or to a URL that was
    /// requested before with the same cookies is refused.
    ///
    /// Secrets are sent to the origin (scheme, host and port) of the URL that was given, and to no other: header fields (but for
    /// the harmless ones that [`header`](Self::header) lists), subprotocols, cookies, credentials, `Host` and `Origin` that were set, and
    /// of [TLS](crate::TlsOptions) the server name that was set and the client's certificate, unless a ready connector has one. User
    /// and password in a `Location` are not used. Trust settings apply to every origin: authorities, pins, `danger_accept_…`. If another
    /// origin redirects back to the first one, to any path there, the secrets are sent there again.
    ///
    /// Default: 3.
    pub fn redirect_limit(self, redirects: usize) -> Self {
        self.with(|settings| settings.redirect_limit = Some(redirects))
    }

    /// Takes the answer of a server that breaks some rules of form when it opens the WebSocket (status 101):
    ///
    /// | rule | what is taken |
    /// | --- | --- |
    /// | the version is HTTP/1.1 (RFC 6455, section 4.1) | HTTP/1.0 too |
    /// | `Upgrade`, `Sec-WebSocket-Accept`, `-Protocol` and `-Extensions` occur once | several fields with equal values |
    /// | `Sec-WebSocket-Protocol` and `-Extensions` are not empty | empty ones, as if they were not there |
    /// | a line is a field, with a token and a colon (RFC 9112, section 5.1) | other lines, which are skipped |
    /// | no more than [`max_head_fields`](Self::max_head_fields) fields | as many as [`max_head_size`](Self::max_head_size) has room for |
    ///
    /// Everything else stays as it is: the key must be answered, what was not offered is refused, folded lines and control
    /// characters too, and refusals, redirects and proxies are read strictly. An error that this option may avoid names
    /// it. For servers that cannot be mended; Python's client takes all of these.
    ///
    /// Default: strict.
    ///
    /// ```no_run
    /// use websocket_sync::ConnectOptions;
    ///
    /// let ws = ConnectOptions::new().lenient_handshake().connect("ws://device.example/")?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn lenient_handshake(self) -> Self {
        self.with(|settings| settings.has_lenient_handshake = true)
    }

    /// The same for a server that a redirect leads to, and that none of these options was meant for.
    pub(crate) fn for_another_origin(&self) -> Self {
        self.clone().with(|settings| settings.tls = settings.tls.clone().for_another_origin())
    }
}

impl Settings {
    /// The value of the `Cookie` field for a request to this place: what is in the jar for it, then `given`.
    #[cfg(feature = "cookies")]
    pub(crate) fn cookies_for(&self, target: &Target, given: Option<&str>) -> Option<String> {
        let kept = self.cookie_jar.as_ref().and_then(|jar| jar.cookies_for_target(target));
        match (kept, given) {
            (Some(kept), Some(given)) if !given.is_empty() => Some([&kept, "; ", given].concat()),
            (kept, given) => kept.or_else(|| given.map(str::to_owned)),
        }
    }

    /// Keeps the cookies of an answer from this place.
    #[cfg(feature = "cookies")]
    pub(crate) fn keep_cookies(&self, target: &Target, headers: &Headers) {
        if let Some(jar) = &self.cookie_jar {
            jar.keep(target, headers.all("set-cookie"));
        }
    }

    /// The value of the `Cookie` field for a request to this place: there is no jar.
    #[cfg(not(feature = "cookies"))]
    pub(crate) fn cookies_for(&self, _: &Target, given: Option<&str>) -> Option<String> {
        given.map(str::to_owned)
    }

    /// There is no jar.
    #[cfg(not(feature = "cookies"))]
    pub(crate) fn keep_cookies(&self, _: &Target, _: &Headers) {}
}
