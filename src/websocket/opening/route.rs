//! The way to a server: the URL that was given, where redirects lead from there (RFC 9110, section 15.4), and each asked once
//! more if it wants to know who asks (RFC 9110, section 11.6).

use std::borrow::Cow;
use std::mem;

use super::request::{RequestHop, UserRequest};
use crate::authentication::Challenges;
use crate::error::{Error, Phase, RedirectError, RedirectProblem, Refusal, Result};
use crate::net::exchange::nonce;
use crate::options::{ConnectOptions, Settings};
use crate::protocol::handshake::{ClientRequest, Headers};
use crate::url::{Target, UrlError};
use crate::websocket::ActiveConnection;
use crate::websocket::VisitedUrls;

/// That of websocket-client.
const REDIRECT_LIMIT: usize = 3;

/// What is asked now, and what was asked before.
pub(super) struct Route<'a> {
    user_request: UserRequest<'a>,
    hop: RequestHop,
    /// The hops that led here, each by its redirect.
    earlier: Vec<RequestHop>,
    /// The challenge of this hop was answered; there is no second answer.
    is_answered: bool,
}

impl<'a> Route<'a> {
    /// # Errors
    ///
    /// [`Error::Usage`] for header fields that are the handshake's own.
    pub(super) fn new(home: Target, settings: &'a Settings, provided: Vec<(String, String)>) -> Result<Self> {
        let user_request = UserRequest::new(home, settings, provided)?;
        Ok(Self { hop: user_request.home(), user_request, earlier: Vec::new(), is_answered: false })
    }

    pub(super) const fn target(&self) -> &Target {
        &self.hop.target
    }

    /// What the next request says.
    pub(super) fn request(&self) -> ClientRequest {
        self.user_request.request(&self.hop)
    }

    /// How the next connection is made.
    pub(super) fn options<'o>(&self, options: &'o ConnectOptions) -> Cow<'o, ConnectOptions> {
        if self.hop.is_home { Cow::Borrowed(options) } else { Cow::Owned(options.for_another_origin()) }
    }

    /// Tells the connection how it was found.
    pub(super) fn arrive(&self, mut connection: ActiveConnection) -> ActiveConnection {
        connection.visited = VisitedUrls(self.urls());
        connection
    }

    /// Takes a refusal for directions to the next request, if that is what it is.
    pub(super) fn follow(&mut self, refusal: &Refusal) -> Result<bool> {
        match refusal.status {
            301 | 302 | 303 | 307 | 308 if self.limit() > 0 => self.redirect(refusal).map(|()| true),
            401 => self.answer(&refusal.headers),
            _ => Ok(false),
        }
    }

    fn redirect(&mut self, refusal: &Refusal) -> Result<()> {
        let hop = self.destination(&refusal.headers).map_err(|problem| {
            let error = RedirectError { status: refusal.status, urls: self.urls(), problem };
            Error::Redirect(Box::new(error))
        })?;
        self.earlier.push(mem::replace(&mut self.hop, hop));
        self.is_answered = false;
        Ok(())
    }

    /// Where a redirect leads.
    fn destination(&self, headers: &Headers) -> Result<RequestHop, RedirectProblem> {
        let limit = self.limit();
        if self.earlier.len() >= limit {
            return Err(RedirectProblem::Limit { limit });
        }
        let target = self.target().resolve(location(headers)?).map_err(RedirectProblem::Location)?;
        if self.target().secure && !target.secure {
            return Err(RedirectProblem::Downgrade);
        }
        let hop = self.user_request.hop(target);
        if self.hops().any(|asked| asks_the_same(asked, &hop)) {
            return Err(RedirectProblem::Loop);
        }
        Ok(hop)
    }

    /// Answers a challenge, once for each hop and with nothing that was refused already.
    fn answer(&mut self, headers: &Headers) -> Result<bool> {
        if self.is_answered || !self.hop.is_home {
            return Ok(false);
        }
        let Some(credentials) = self.user_request.credentials() else { return Ok(false) };
        let challenges = Challenges::in_fields(headers.all("www-authenticate"));
        let request = ("GET", &*self.target().resource);
        let allowed = self.user_request.settings().allowed_schemes;
        let answer = challenges.answer(&credentials, allowed, request, nonce(Phase::Handshake)?);
        if answer.is_none() || answer == self.hop.authorization {
            return Ok(false);
        }
        self.hop = RequestHop { authorization: answer, ..self.user_request.hop(self.hop.target.clone()) };
        self.is_answered = true;
        Ok(true)
    }

    /// All URLs so far, without userinfo.
    fn urls(&self) -> Vec<String> {
        self.hops().map(|hop| hop.target.to_string()).collect()
    }

    fn hops(&self) -> impl Iterator<Item = &RequestHop> {
        self.earlier.iter().chain([&self.hop])
    }

    fn limit(&self) -> usize {
        self.user_request.settings().redirect_limit.unwrap_or(REDIRECT_LIMIT)
    }
}

/// Whether a hop would get the answer that another one got. A cookie may make a difference.
fn asks_the_same(one: &RequestHop, other: &RequestHop) -> bool {
    let is_same_place = one.target.is_same_origin(&other.target) && one.target.resource == other.target.resource;
    is_same_place && one.cookie == other.cookie
}

/// The one `Location` (RFC 9110, section 10.2.2).
fn location(headers: &Headers) -> Result<&str, RedirectProblem> {
    let mut locations = headers.all("location");
    let location = locations.next().ok_or(RedirectProblem::MissingLocation)?;
    if locations.next().is_some() {
        return Err(RedirectProblem::RepeatedLocation);
    }
    str::from_utf8(location).map_err(|error| {
        let character = char::REPLACEMENT_CHARACTER;
        RedirectProblem::Location(UrlError::Character { character, at: error.valid_up_to() })
    })
}
