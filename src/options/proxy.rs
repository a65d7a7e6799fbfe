//! Through which proxy to connect, if any.

use std::fmt;

use super::{ConnectOptions, TlsOptions};
use crate::url::ProxyUrl;

/// A proxy: one URL says what is spoken with it, where it is, and who is asking.
///
/// | URL | spoken | who looks the server's name up | port, if none is given |
/// |---|---|---|---|
/// | `http://user:password@host:port` | `CONNECT` (RFC 9110, section 9.3.6), for `ws` too | the proxy | 80 |
/// | `https://…` | the same inside TLS | the proxy | 443 |
/// | `socks5h://…` | SOCKS 5 (RFC 1928, RFC 1929) | the proxy | 1080 |
/// | `socks5://…` | SOCKS 5 | this side | 1080 |
/// | `socks4a://user@…` | SOCKS 4a | the proxy | 1080 |
/// | `socks4://user@…` | SOCKS 4, IPv4 only | this side | 1080 |
///
/// Without a scheme it is `http`, as curl has it. `socks://` is refused, since programs differ in what it means. User and
/// password are percent-encoded. The URL is read when a connection is made:
/// [`ProxyError::Url`](crate::ProxyError::Url) says what is wrong with it.
///
/// TLS with the server (`wss`) goes through the proxy's tunnel from end to end, and the server's certificate is
/// verified as without a proxy. What the proxy is told, user and password above all, never gets to the server.
///
/// An HTTP proxy gets user and password as Basic with the first request (RFC 7617), and if it asks for Digest, by that (RFC
/// 7616); with [`digest_only`](ConnectOptions::digest_only) by that alone.
///
/// ```no_run
/// use websocket_sync::{ConnectOptions, Proxy};
///
/// let proxy = Proxy::new("http://proxy.intra.example:3128").credentials("me", "p@ss/word");
/// let ws = ConnectOptions::new().proxy(proxy).connect("wss://feed.example/")?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
#[doc(alias = "proxy_info")]
#[doc(alias = "http_proxy_host")]
#[doc(alias = "http_proxy_port")]
#[doc(alias = "proxy_type")]
#[non_exhaustive]
pub struct Proxy {
    pub(crate) url: String,
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) tls: TlsOptions,
}

impl Proxy {
    /// The proxy with this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), credentials: None, headers: Vec::new(), tls: TlsOptions::new() }
    }

    /// User and password, as they are: nothing has to be percent-encoded. SOCKS 4 knows a user only, so the password has
    /// to be empty there. An HTTP proxy is told them as Basic with the first request, unless
    /// [`ConnectOptions::digest_only`] is set.
    ///
    /// Default: those in the URL, or none.
    #[doc(alias = "http_proxy_auth")]
    pub fn credentials(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { credentials: Some((user.into(), password.into())), ..self }
    }

    /// A header field of the `CONNECT` request, in place of one that it has by itself. Can be called again for more. The
    /// server does not see it, and a SOCKS proxy gets none.
    ///
    /// Default: `Host`, and `Proxy-Authorization` if there are credentials.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.header_bytes(name, value.into())
    }

    /// The same for a value that is not UTF-8, such as one in Latin-1: any bytes but control characters other than a
    /// tab (RFC 9110, section 5.5).
    ///
    /// Default: none.
    pub fn header_bytes(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How TLS is spoken with a proxy of `https`. Those for the server are [`ConnectOptions::tls`].
    ///
    /// Default: [`TlsOptions::new`].
    pub fn tls(self, options: TlsOptions) -> Self {
        Self { tls: options, ..self }
    }
}

impl From<&str> for Proxy {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for Proxy {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

/// Shows neither user nor password, nor the value of a header field.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let mut shown = f.debug_struct("Proxy");
        match ProxyUrl::parse(&self.url) {
            Ok(url) => {
                shown.field("url", &format_args!("{}://{}", url.scheme.as_str(), url.host_and_port()));
                shown.field("credentials", &(self.credentials.is_some() || url.credentials.is_some()));
            }
            // Whatever it is, it may hold a password.
            Err(problem) => drop(shown.field("url", &problem)),
        }
        shown.field("headers", &names).field("tls", &self.tls).finish()
    }
}

/// What is set about proxies.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxySettings {
    pub(crate) choice: ProxyChoice,
    /// The servers that are connected to directly, in the form of `no_proxy`.
    pub(crate) bypass: Vec<String>,
}

impl ProxySettings {
    /// How TLS is spoken with a proxy that the user gave.
    pub(crate) const fn tls(&self) -> Option<&TlsOptions> {
        match &self.choice {
            ProxyChoice::Explicit(proxy) => Some(&proxy.tls),
            ProxyChoice::Environment | ProxyChoice::Direct => None,
        }
    }
}

/// Where the proxy comes from.
#[derive(Clone, Debug, Default)]
pub(crate) enum ProxyChoice {
    #[default]
    Environment,
    Explicit(Box<Proxy>),
    Direct,
}

/// Proxies.
///
/// ```no_run
/// use websocket_sync::{ConnectOptions, Proxy, TlsOptions};
///
/// let proxy = Proxy::new("https://proxy.intra.example")
///     .credentials("me", "p@ss/word")
///     .header("X-Team", "feeds")
///     .header_bytes("X-Place", b"caf\xe9")
///     .tls(TlsOptions::new().ca_certs("company-ca.pem"));
/// let through = ConnectOptions::new().proxy(proxy).bypass_proxy(["intra.example"]).connect("wss://feed.example/")?;
/// let direct = ConnectOptions::new().no_proxy().connect("wss://feed.example/")?;
/// let as_by_default = ConnectOptions::new().proxy_from_environment().connect("wss://feed.example/")?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl ConnectOptions {
    /// Connects through this proxy, whatever the environment says, its `no_proxy` included.
    ///
    /// Default: [`proxy_from_environment`](Self::proxy_from_environment).
    ///
    /// ```no_run
    /// use websocket_sync::ConnectOptions;
    ///
    /// let ws = ConnectOptions::new().proxy("socks5h://127.0.0.1:9050").connect("wss://feed.example/")?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[doc(alias = "http_proxy_host")]
    #[doc(alias = "http_proxy_port")]
    #[doc(alias = "http_proxy_auth")]
    #[doc(alias = "proxy_type")]
    pub fn proxy(self, proxy: impl Into<Proxy>) -> Self {
        let proxy = proxy.into();
        self.with(|settings| settings.proxy.choice = ProxyChoice::Explicit(Box::new(proxy)))
    }

    /// Connects through the proxy that the environment names: for `wss` the first of `wss_proxy`, `https_proxy` and `all_proxy`
    /// that is there, for `ws` of `ws_proxy`, `http_proxy` and `all_proxy`. They hold a URL as [`Proxy::new`] takes it; `socks://` in
    /// `all_proxy`, which GNOME sets, is taken for `socks5h://`.
    /// The names are looked for in lower case, then in upper case; an empty variable is as good as none, and hides
    /// that in upper case. `HTTP_PROXY` does not count in a CGI program, where whoever sends a request can set it.
    ///
    /// `no_proxy` or `NO_PROXY` lists the servers that are connected to directly; see [`bypass_proxy`](Self::bypass_proxy). So is one on a
    /// link of this machine (an IPv6 address with a zone), to which no proxy can connect.
    ///
    /// Default: this.
    #[doc(alias = "http_proxy")]
    #[doc(alias = "https_proxy")]
    #[doc(alias = "all_proxy")]
    pub fn proxy_from_environment(self) -> Self {
        self.with(|settings| settings.proxy.choice = ProxyChoice::Environment)
    }

    /// Connects directly, whatever the environment says.
    ///
    /// Default: [`proxy_from_environment`](Self::proxy_from_environment).
    pub fn no_proxy(self) -> Self {
        self.with(|settings| settings.proxy.choice = ProxyChoice::Direct)
    }

    /// The servers that are connected to directly, in place of those given before; whether the proxy is
    /// [given](Self::proxy) or the environment's, whose `no_proxy` counts beside these.
    ///
    /// | entry | means |
    /// |---|---|
    /// | `example.com`, `.example.com` | this name and all below it |
    /// | `*.example.com` | all below it |
    /// | `10.0.0.7`, `::1`, `[::1]` | this address, however it is written |
    /// | `10.0.0.0/8`, `fd00::/8` | the addresses of this network |
    /// | `example.com:8080`, `[::1]:8080` | any of the above names and addresses, at this port only |
    /// | `*` | all servers |
    ///
    /// Case does not matter. Networks and addresses match a URL that has an address for a host; no name is looked up for
    /// them. An entry that is none of these means nothing, and is told in the log by its place. `localhost` needs an entry like every other name.
    ///
    /// Default: none.
    ///
    /// ```
    /// use websocket_sync::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().proxy("http://proxy:3128").bypass_proxy(["intra.example", "10.0.0.0/8"]);
    /// ```
    #[doc(alias = "http_no_proxy")]
    pub fn bypass_proxy<S: Into<String>>(self, servers: impl IntoIterator<Item = S>) -> Self {
        let servers = servers.into_iter().map(Into::into).collect();
        self.with(|settings| settings.proxy.bypass = servers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secrets() {
        let proxies = [
            Proxy::new("http://canary:s3cret@proxy:3128").header("X-Token", "s3cret"),
            Proxy::new("http://proxy:3128").credentials("canary", "s3cret"),
            Proxy::new("http://canary:s3c/ret@proxy:3128 s3cret"),
        ];
        for proxy in proxies {
            let shown = format!("{:?}", ConnectOptions::new().proxy(proxy.clone()));
            assert!(!shown.contains("s3c") && !shown.contains("canary"), "{shown}");
            assert!(shown.contains("http://proxy:3128") || shown.contains("Character"), "{shown}");
        }
    }

    #[test]
    fn the_last_choice_counts() {
        let choice = |options: &ConnectOptions| format!("{:?}", options.settings().proxy.choice);
        let options = ConnectOptions::new();
        assert_eq!(choice(&options), "Environment");
        let options = options.proxy("http://a").proxy("socks5://b".to_owned()).bypass_proxy(["x", "y"]);
        assert!(choice(&options).contains("socks5://b:1080"));
        let options = options.no_proxy();
        assert_eq!(choice(&options), "Direct");
        let options = options.proxy_from_environment().bypass_proxy(["z"]);
        assert_eq!(
            (choice(&options).as_str(), &options.settings().proxy.bypass[..]),
            ("Environment", &["z".into()][..])
        );
    }
}
