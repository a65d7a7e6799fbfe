//! How a connection is made and used.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::dial::Dial;
use super::{Hook, ProxySettings, SocketOptions, TlsOptions};
use crate::authentication::{AllowedSchemes, Credentials};
use crate::cancellation::Cancellation;
#[cfg(feature = "cookies")]
use crate::cookies::CookieJar;
use crate::error::{Error, OptionsError, Result};
use crate::protocol::DeflateOptions;
use crate::protocol::Limits;
use crate::protocol::handshake::{HeadLimits, shown_subprotocol};
use crate::url::canonical_host;

/// How a connection is made and used: the keywords of websocket-client's `create_connection`.
///
/// Setters cannot fail: an invalid value is refused when a connection is made, before a byte is sent. Cloning is
/// cheap. The methods that connect are the last ones on this page: [`connect`](Self::connect), [`connect_over`](Self::connect_over) a stream,
/// [`accept`](Self::accept) and [`read_request`](Self::read_request) as a server, [`start`](Self::start) without blocking,
/// [`from_open`](Self::from_open) after a handshake that was made elsewhere.
///
/// ```no_run
/// use std::time::Duration;
/// use websocket_sync::ConnectOptions;
///
/// let ws = ConnectOptions::new()
///     .header("Authorization", "Bearer 0123456789")
///     .subprotocols(["chat", "superchat"])
///     .timeout(Duration::from_secs(10))
///     .connect("wss://example.com/feed")?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[doc(alias = "create_connection")]
#[must_use]
#[non_exhaustive]
pub struct ConnectOptions {
    settings: Arc<Settings>,
}

/// What [`ConnectOptions`] hold.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    timeout: Option<Duration>,
    open_timeout: Option<Duration>,
    recv_timeout: Option<Duration>,
    send_timeout: Option<Duration>,
    close_timeout: Option<Duration>,
    /// Values are bytes (RFC 9110, section 5.5).
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) header_provider: Option<Hook<HeaderProvider>>,
    pub(crate) credentials: Option<Credentials>,
    /// For servers and HTTP proxies.
    pub(crate) allowed_schemes: AllowedSchemes,
    /// None: 3.
    pub(crate) redirect_limit: Option<usize>,
    pub(crate) cookie: Option<String>,
    #[cfg(feature = "cookies")]
    pub(crate) cookie_jar: Option<CookieJar>,
    pub(crate) origin: Field,
    pub(crate) host: Field,
    pub(crate) connection: Option<String>,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) public_subprotocols: Vec<String>,
    pub(crate) redirects_subprotocols: bool,
    pub(crate) limits: Limits,
    /// The limit on frames that the user has set, if any.
    pub(super) frame_limit: Option<usize>,
    pub(crate) head_limits: HeadLimits,
    pub(crate) has_lenient_handshake: bool,
    pub(crate) skips_utf8_validation: bool,
    pub(crate) fires_cont_frame: bool,
    pub(crate) deflate: Option<DeflateOptions>,
    pub(crate) mask_key: Option<Hook<MaskKey>>,
    pub(crate) tls: TlsOptions,
    pub(crate) socket: SocketOptions,
    pub(crate) proxy: ProxySettings,
    pub(crate) resolver: Option<Hook<Resolver>>,
    pub(crate) dial: Option<Hook<Dial>>,
    pub(crate) cancellation: Option<Cancellation>,
    pub(super) max_unsent: Option<usize>,
}

/// Gives the header fields of the next attempt.
pub(crate) type HeaderProvider = dyn Fn() -> Result<Vec<(String, String)>> + Send + Sync;
/// Gives the masking key of the next frame.
pub(crate) type MaskKey = dyn Fn() -> [u8; 4] + Send + Sync;
/// Gives the addresses of a host and port.
pub(crate) type Resolver = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// A header field that has a value of its own unless the user says otherwise.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Field {
    /// What follows from the URL.
    #[default]
    Derived,
    /// What the user gave.
    Given(String),
    /// Nothing: the field is not sent.
    Suppressed,
}

/// How long each kind of operation may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Timeouts {
    pub(crate) open: Duration,
    /// None: as long as it takes.
    pub(crate) recv: Option<Duration>,
    /// None: 30 s without progress.
    pub(crate) send: Option<Duration>,
    pub(crate) close: Duration,
}

/// Timeouts.
///
/// ```no_run
/// use std::time::Duration;
///
/// use websocket_sync::ConnectOptions;
///
/// let second = Duration::from_secs(1);
/// let options = ConnectOptions::new()
///     .timeout(10 * second)
///     // The finer ones override it.
///     .open_timeout(20 * second)
///     .recv_timeout(60 * second)
///     .send_timeout(5 * second)
///     .close_timeout(second);
/// let ws = options.connect("wss://feed.example/")?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl ConnectOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long opening, receiving and sending may take, each by itself. [`open_timeout`](Self::open_timeout),
    /// [`recv_timeout`](Self::recv_timeout) and [`send_timeout`](Self::send_timeout) override it, in whichever order they are called.
    ///
    /// `Duration::MAX` is for ever, here and below; zero is refused, but for [`recv_timeout`](Self::recv_timeout).
    ///
    /// Default: that of [`set_default_timeout`](crate::set_default_timeout) if there is one, else those of the three.
    #[doc(alias = "settimeout")]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.timeout = Some(timeout))
    }

    /// How long opening may take: name resolution, connecting, proxy, TLS and the opening handshake together, and all redirects.
    ///
    /// Default: 30 s.
    #[doc(alias = "http_proxy_timeout")]
    pub fn open_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.open_timeout = Some(timeout))
    }

    /// How long a receive may wait for a whole message. Nothing is lost by a timeout: the next receive continues. With zero it takes what
    /// has arrived, and does not wait.
    ///
    /// It also detects a peer that vanished without closing, as does [`ping_timeout`](crate::WebSocketApp::ping_timeout) of an app.
    /// Without either, the system detects it: by [`keepalive`](crate::SocketOptions::keepalive) after about a minute where nothing is
    /// being sent, by retransmissions after about 15 minutes (Linux) where data that was sent is not acknowledged.
    ///
    /// Default: as long as it takes.
    pub fn recv_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.recv_timeout = Some(timeout))
    }

    /// How long a send may take, until the operating system has taken the last byte. Whether the peer has received it is not known
    /// then; [`recv_timeout`](Self::recv_timeout) says how a peer that vanished is detected.
    ///
    /// Default: 30 s without progress, whatever the whole takes. To wait until another thread has sent its message is no progress.
    pub fn send_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.send_timeout = Some(timeout))
    }

    /// How long our Close may take to leave, and after that how long the peer's answer may take.
    ///
    /// Default: 3 s.
    pub fn close_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.close_timeout = Some(timeout))
    }

    /// What has been set.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Refuses invalid options. Called before a connection is made.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a duration of zero, for a name that is none, and for what compression cannot do.
    pub(crate) fn validate(&self) -> Result<()> {
        if let Some(Err(error)) = self.settings.deflate.map(|options| options.check()) {
            return Err(Error::Options(Box::new(OptionsError { option: "deflate", problem: error.to_string() })));
        }
        if self.settings.credentials.as_ref().is_some_and(Credentials::has_control_character) {
            let problem = "a control character in user or password";
            return Err(Error::Options(Box::new(OptionsError::new("credentials", problem))));
        }
        let mut tls = self.settings.proxy.tls().into_iter().chain([&self.settings.tls]);
        if tls.any(|tls| tls.server_hostname.as_ref().is_some_and(|name| !is_server_name(name))) {
            let problem = "neither an address nor a host name in ASCII";
            return Err(Error::Options(Box::new(OptionsError::new("server_hostname", problem))));
        }
        self.settings.socket.check().map_err(|error| Error::Options(Box::new(error)))?;
        self.check_durations(default_timeout())
    }

    /// Refuses a duration of zero, where `default` is that of the process.
    fn check_durations(&self, default: Option<Duration>) -> Result<()> {
        let keepalive = self.settings.socket.keepalive;
        let durations = [
            ("timeout", self.settings.timeout),
            ("set_default_timeout", default.filter(|_| self.settings.timeout.is_none())),
            ("open_timeout", self.settings.open_timeout),
            ("send_timeout", self.settings.send_timeout),
            ("close_timeout", self.settings.close_timeout),
            ("attempt_timeout", self.settings.socket.attempt_timeout),
            ("keepalive", keepalive.map(|keepalive| keepalive.idle)),
            ("keepalive", keepalive.map(|keepalive| keepalive.interval)),
            ("user_timeout", self.settings.socket.user_timeout),
        ];
        for (option, duration) in durations {
            if duration == Some(Duration::ZERO) {
                return Err(Error::Options(Box::new(OptionsError::of_zero(option))));
            }
        }
        Ok(())
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl Settings {
    /// Whether the opening was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancellation.as_ref().is_some_and(Cancellation::is_cancelled)
    }

    /// The limits of time in force.
    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts_or(default_timeout())
    }

    /// The limits of time in force, where `default` is that of the process.
    fn timeouts_or(&self, default: Option<Duration>) -> Timeouts {
        let general = self.timeout.or(default);
        Timeouts {
            open: self.open_timeout.or(general).unwrap_or(Duration::from_secs(30)),
            recv: self.recv_timeout.or(general),
            send: self.send_timeout.or(general),
            close: self.close_timeout.unwrap_or(Duration::from_secs(3)),
        }
    }
}

/// Whether a TLS library can be given this: it would send what is no name as it is, or panic.
fn is_server_name(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok() || canonical_host(name).is_ok_and(|canonical| canonical.eq_ignore_ascii_case(name))
}

/// Shows no value of a header field and no subprotocol that may be a token.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let shown_name = |name| shown_subprotocol(name, &self.public_subprotocols);
        let subprotocols: Vec<&str> = self.subprotocols.iter().map(|name| shown_name(name)).collect();
        let mut shown = f.debug_struct("Settings");
        shown.field("deflate", &self.deflate);
        #[cfg(feature = "cookies")]
        shown.field("cookie_jar", &self.cookie_jar);
        shown
            .field("timeouts", &self.timeouts_or(None))
            .field("headers", &names)
            .field("header_provider", &self.header_provider)
            .field("credentials", &self.credentials)
            .field("allowed_schemes", &self.allowed_schemes)
            .field("redirect_limit", &self.redirect_limit)
            .field("cookie", &self.cookie.is_some())
            .field("origin", &self.origin)
            .field("host", &self.host)
            .field("connection", &self.connection)
            .field("subprotocols", &subprotocols)
            .field("public_subprotocols", &self.public_subprotocols)
            .field("redirects_subprotocols", &self.redirects_subprotocols)
            .field("limits", &self.limits)
            .field("head_limits", &self.head_limits)
            .field("has_lenient_handshake", &self.has_lenient_handshake)
            .field("skips_utf8_validation", &self.skips_utf8_validation)
            .field("fires_cont_frame", &self.fires_cont_frame)
            .field("mask_key", &self.mask_key)
            .field("tls", &self.tls)
            .field("socket", &self.socket)
            .field("proxy", &self.proxy)
            .field("resolver", &self.resolver)
            .field("dial", &self.dial)
            .field("cancellation", &self.cancellation)
            .field("max_unsent", &self.max_unsent)
            .finish()
    }
}

static DEFAULT: RwLock<Option<Duration>> = RwLock::new(None);

/// Sets how long opening, receiving and sending may take where the options do not say; `None` for the defaults of
/// [`ConnectOptions`]. It holds for everything in the process that is connected from now on, so
/// it is for programs and not for libraries. A [`WebSocket`](crate::WebSocket) has the one that was set when it was made, also where it
/// connects later.
///
/// `Duration::MAX` is for ever. Zero is refused when a connection is made whose options have no [`timeout`](ConnectOptions::timeout), as it
/// would be there.
///
/// ```
/// use std::time::Duration;
///
/// websocket_sync::set_default_timeout(Some(Duration::from_secs(20)));
/// assert_eq!(websocket_sync::default_timeout(), Some(Duration::from_secs(20)));
/// # websocket_sync::set_default_timeout(None);
/// ```
#[doc(alias = "setdefaulttimeout")]
pub fn set_default_timeout(timeout: Option<Duration>) {
    *DEFAULT.write().unwrap_or_else(PoisonError::into_inner) = timeout;
}

/// What [`set_default_timeout`] has set. Default: `None`.
#[doc(alias = "getdefaulttimeout")]
pub fn default_timeout() -> Option<Duration> {
    *DEFAULT.read().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_finer_timeouts_override_the_general_one_in_any_order() {
        let timeouts = |options: ConnectOptions, default| options.settings().timeouts_or(default);
        let defaults = timeouts(ConnectOptions::new(), None);
        assert_eq!(defaults, Timeouts { open: 30 * SECOND, recv: None, send: None, close: 3 * SECOND });
        let of_process = timeouts(ConnectOptions::new(), Some(SECOND));
        assert_eq!(of_process, Timeouts { open: SECOND, recv: Some(SECOND), send: Some(SECOND), close: 3 * SECOND });
        let expected = Timeouts { open: 9 * SECOND, recv: Some(5 * SECOND), send: Some(5 * SECOND), close: 3 * SECOND };
        let (five, nine) = (5 * SECOND, 9 * SECOND);
        assert_eq!(timeouts(ConnectOptions::new().timeout(five).open_timeout(nine), Some(SECOND)), expected);
        assert_eq!(timeouts(ConnectOptions::new().open_timeout(nine).timeout(five), Some(SECOND)), expected);
        let each = ConnectOptions::new().recv_timeout(five).send_timeout(nine).close_timeout(SECOND);
        assert_eq!(
            timeouts(each, None),
            Timeouts { open: 30 * SECOND, recv: Some(five), send: Some(nine), close: SECOND }
        );
    }

    #[test]
    fn durations_of_zero_are_refused_by_name() {
        let zero = Duration::ZERO;
        let socket = |socket: SocketOptions| ConnectOptions::new().socket(socket);
        let cases = [
            ("timeout", ConnectOptions::new().timeout(zero)),
            ("open_timeout", ConnectOptions::new().open_timeout(zero)),
            ("send_timeout", ConnectOptions::new().send_timeout(zero)),
            ("close_timeout", ConnectOptions::new().close_timeout(zero)),
            ("user_timeout", socket(SocketOptions::new().user_timeout(zero))),
            ("attempt_timeout", socket(SocketOptions::new().attempt_timeout(zero))),
            ("keepalive", socket(SocketOptions::new().keepalive(zero, SECOND, 1))),
            ("keepalive", socket(SocketOptions::new().keepalive(SECOND, zero, 1))),
        ];
        for (name, options) in cases {
            let Err(Error::Options(error)) = options.validate() else { panic!("{name}") };
            assert_eq!(error.option, name);
        }
        let Err(Error::Options(error)) = ConnectOptions::new().check_durations(Some(zero)) else { panic!() };
        assert_eq!(error.option, "set_default_timeout");
        assert!(ConnectOptions::new().timeout(SECOND).check_durations(Some(zero)).is_ok());
        assert!(ConnectOptions::new().validate().is_ok());
        assert!(ConnectOptions::new().timeout(Duration::MAX).open_timeout(Duration::from_nanos(1)).validate().is_ok());
    }

    #[test]
    fn what_is_no_name_of_a_device_is_refused_as_is_any_where_it_cannot_be_kept_to() {
        let device = |name: &str| ConnectOptions::new().socket(SocketOptions::new().device(name)).validate();
        for name in ["", "lo\0", "sixteen-letters-"] {
            let Err(Error::Options(error)) = device(name) else { panic!("{name:?}") };
            assert_eq!(error.option, "device");
        }
        assert_eq!(device("fifteen-letters").is_ok(), cfg!(target_os = "linux"));
    }

    #[test]
    fn compression_that_zlib_cannot_do_is_refused() {
        let options = DeflateOptions::new();
        for wrong in [options.server_max_window_bits(8), options.client_max_window_bits(16), options.level(10)] {
            let Err(Error::Options(error)) = ConnectOptions::new().deflate(wrong).validate() else {
                panic!("{wrong:?}")
            };
            assert_eq!(error.option, "deflate");
        }
        assert!(ConnectOptions::new().deflate(options.client_max_window_bits(9).level(0)).validate().is_ok());
    }

    #[test]
    fn the_name_of_a_server_is_a_name_or_an_address() {
        let with = |name: &str| ConnectOptions::new().tls(TlsOptions::new().server_hostname(name)).validate();
        for name in
            ["example.com", "Example.COM", "example.com.", "a_b.example", "192.0.2.1", "::1", "xn--bcher-kva.example"]
        {
            assert!(with(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "a\0", "a\r\n", "a/b", "[::1]", "192.0.2", "b\u{fc}cher.example", "example.com:443"] {
            let Err(Error::Options(error)) = with(name) else { panic!("{name:?}") };
            assert_eq!(error.option, "server_hostname");
        }
    }

    #[test]
    fn clones_are_independent_and_share_what_is_unchanged() {
        let one = ConnectOptions::new().header("A", "1");
        let two = one.clone();
        assert!(Arc::ptr_eq(&one.settings, &two.settings));
        let two = two.headers([("B", "2"), ("A", "3")]).subprotocols(["x"]).subprotocols(["y", "z"]);
        assert_eq!(one.settings().headers.len(), 1);
        let field = |(name, value): &(String, Vec<u8>)| format!("{name}{}", String::from_utf8_lossy(value));
        let names: Vec<_> = two.settings().headers.iter().map(field).collect();
        assert_eq!(names, ["A1", "B2", "A3"]);
        assert_eq!(two.settings().subprotocols, ["y", "z"]);
    }

    #[test]
    fn debug_shows_no_secrets() {
        let options = ConnectOptions::new()
            .header("Authorization", "s3cret")
            .cookie("s3cret")
            .credentials("s3cret", "s3cret")
            .mask_key(|| [0; 4]);
        let shown = format!("{options:?}");
        assert!(shown.contains("Authorization") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn options_can_be_shared_between_threads() {
        fn shared<T: Send + Sync + Clone>() {}
        shared::<ConnectOptions>();
    }
}
