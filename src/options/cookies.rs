//! The cookies that a request bears, and what becomes of those in the answer.

#[cfg(feature = "cookies")]
use super::ConnectOptions;
use super::connect::Settings;
#[cfg(feature = "cookies")]
use crate::cookies::CookieJar;
use crate::protocol::handshake::Headers;
use crate::url::Target;

#[cfg(feature = "cookies")]
impl ConnectOptions {
    /// Sends the cookies of a jar that are for the server, and keeps in it those that the server sets: in the answer that opens the
    /// connection, in one that refuses it, in a redirect.
    ///
    /// Those of [`cookie`](Self::cookie) follow them. A `Cookie` field among the [headers](Self::header) takes the place of both.
    ///
    /// Default: none, and cookies of a server are forgotten.
    ///
    /// ```no_run
    /// use websocket_sync::{ConnectOptions, CookieJar};
    ///
    /// let jar = CookieJar::new();
    /// let options = ConnectOptions::new().cookie_jar(&jar);
    /// let first = options.connect("wss://shop.example/feed")?;
    /// // Says who it is with what the first was given.
    /// let second = options.connect("wss://shop.example/feed")?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[doc(alias = "CookieJar")]
    pub fn cookie_jar(self, jar: &CookieJar) -> Self {
        self.with(|settings| settings.cookie_jar = Some(jar.clone()))
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
