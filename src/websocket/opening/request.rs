//! What is said to a server: all that the user wants at the origin that the user named, and elsewhere nothing that could be a
//! secret.

use crate::authentication::{self, AllowedSchemes, Credentials};
use crate::error::Result;
use crate::options::{Field, Settings};
use crate::protocol::LocalProtocolError;
use crate::protocol::handshake::ClientRequest;
use crate::url::Target;

/// The fields that make the handshake what it is, and that no user has a use for.
const RESERVED: [&str; 4] =
    ["Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions"];

/// The fields of a user that go to other origins, too, beside those that begin with `Accept-`.
const HARMLESS: [&str; 3] = ["Accept", "Connection", "User-Agent"];

/// What the user wants in one attempt.
pub(super) struct UserRequest<'a> {
    settings: &'a Settings,
    /// The header fields.
    fields: Vec<(String, Vec<u8>)>,
    /// The URL. Its origin is the only one that is told the user's secrets.
    home: Target,
}

/// One URL that is asked, and what depends on it in the request.
pub(super) struct RequestHop {
    pub(super) target: Target,
    /// Whether it is of the origin that the user named.
    pub(super) is_home: bool,
    pub(super) authorization: Option<Vec<u8>>,
    pub(super) cookie: Option<String>,
}

impl<'a> UserRequest<'a> {
    /// # Errors
    ///
    /// [`Error::Usage`](crate::Error::Usage) for header fields that are the handshake's own.
    pub(super) fn new(home: Target, settings: &'a Settings, provided: Vec<(String, String)>) -> Result<Self> {
        Ok(Self { settings, fields: fields(settings, provided)?, home })
    }

    pub(super) const fn settings(&self) -> &'a Settings {
        self.settings
    }

    /// The first hop.
    pub(super) fn home(&self) -> RequestHop {
        self.hop(self.home.clone())
    }

    /// A hop to another URL.
    pub(super) fn hop(&self, target: Target) -> RequestHop {
        let is_home = target.is_same_origin(&self.home);
        let cookie = self.cookie(&target, is_home);
        RequestHop { target, is_home, authorization: self.authorization(is_home), cookie }
    }

    /// Who asks, for a challenge; nobody where the user has answered it already with a field.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        if self.has_field("Authorization") {
            return None;
        }
        let of_url = || self.home.userinfo.as_ref()?.credentials();
        self.settings.credentials.clone().or_else(of_url)
    }

    /// The request of a hop.
    pub(super) fn request(&self, hop: &RequestHop) -> ClientRequest {
        let settings = self.settings;
        let host = match &settings.host {
            Field::Given(host) if hop.is_home => host.clone(),
            Field::Given(_) | Field::Derived | Field::Suppressed => hop.target.host_header(),
        };
        let takes_subprotocols = hop.is_home || settings.redirects_subprotocols;
        let is_taken = |name: &str| {
            let names_subprotocols = name.eq_ignore_ascii_case("Sec-WebSocket-Protocol");
            if names_subprotocols { takes_subprotocols } else { hop.is_home || is_harmless(name) }
        };
        let fields = self.fields.iter().filter(|(name, _)| is_taken(name));
        let mut request = ClientRequest::new(host, &hop.target.resource)
            .subprotocols(settings.subprotocols.iter().filter(|_| takes_subprotocols).cloned())
            .headers(fields.map(|(name, value)| (name.as_str(), value.as_slice())));
        if settings.host == Field::Suppressed {
            request = request.suppress_host();
        }
        request = match &settings.origin {
            Field::Suppressed => request,
            Field::Given(origin) if hop.is_home => request.origin(origin),
            Field::Given(_) | Field::Derived => request.origin(hop.target.origin()),
        };
        if let Some(authorization) = &hop.authorization {
            request = request.header("Authorization", authorization.as_slice());
        }
        if let Some(connection) = &settings.connection {
            request = request.connection(connection);
        }
        match &hop.cookie {
            Some(cookie) => request.cookie(cookie),
            None => request,
        }
    }

    /// What user and password in the URL come to before anybody asks for them.
    fn authorization(&self, is_home: bool) -> Option<Vec<u8>> {
        let is_allowed = self.settings.allowed_schemes == AllowedSchemes::BasicAndDigest;
        let is_wanted =
            is_home && is_allowed && self.settings.credentials.is_none() && !self.has_field("Authorization");
        let userinfo = self.home.userinfo.as_ref().filter(|_| is_wanted)?;
        Some(authentication::basic_of(&userinfo.bytes()).into_bytes())
    }

    /// What is in the jar for this place, and at home what the user gave.
    fn cookie(&self, target: &Target, is_home: bool) -> Option<String> {
        self.settings.cookies_for(target, self.settings.cookie.as_deref().filter(|_| is_home))
    }

    fn has_field(&self, name: &str) -> bool {
        contains(&self.fields, name)
    }
}

/// The fields of the options, unless the provider gives others of that name, and those of the provider.
fn fields(settings: &Settings, provided: Vec<(String, String)>) -> Result<Vec<(String, Vec<u8>)>> {
    let is_kept = |(name, _): &&(String, Vec<u8>)| !contains(&provided, name);
    let mut fields: Vec<_> = settings.headers.iter().filter(is_kept).cloned().collect();
    fields.extend(provided.into_iter().map(|(name, value)| (name, value.into_bytes())));
    match RESERVED.into_iter().find(|name| contains(&fields, name)) {
        Some(name) => Err(LocalProtocolError::ReservedHeader(name).into()),
        None => Ok(fields),
    }
}

fn contains<V>(fields: &[(String, V)], name: &str) -> bool {
    fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
}

fn is_harmless(name: &str) -> bool {
    let begins_with_accept = name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("accept-"));
    begins_with_accept || HARMLESS.iter().any(|harmless| harmless.eq_ignore_ascii_case(name))
}
