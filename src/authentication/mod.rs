//! Answers to a challenge of a server (401) or of a proxy (407): Basic (RFC 7617) and Digest (RFC 7616).

mod challenge;
mod digest;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::challenge::{Challenge, challenges_in};
use self::digest::{Digest, hex};

/// Who asks. Its `Debug` form shows neither name nor password.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Credentials {
    /// Whether there is something in it that no field can say (RFC 7617, section 2).
    pub(crate) fn has_control_character(&self) -> bool {
        self.user.contains(char::is_control) || self.password.contains(char::is_control)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// With which schemes user and password may be told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum AllowedSchemes {
    #[default]
    BasicAndDigest,
    DigestOnly,
}

/// The value of an `Authorization` field that does not wait for a challenge (RFC 7617, section 2).
pub(crate) fn basic(credentials: &Credentials) -> String {
    basic_of(format!("{}:{}", credentials.user, credentials.password).as_bytes())
}

/// The same for `user:password` in bytes.
pub(crate) fn basic_of(user_and_password: &[u8]) -> String {
    format!("Basic {}", STANDARD.encode(user_and_password))
}

/// What a server or a proxy asks for.
pub(crate) struct Challenges(Vec<Challenge>);

impl Challenges {
    /// Those in the values of all `WWW-Authenticate` or `Proxy-Authenticate` fields, which need not be UTF-8.
    pub(crate) fn in_fields<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Self {
        Self(challenges_in(fields))
    }

    /// The value of the `Authorization` or `Proxy-Authorization` field that answers the best of them: Digest with
    /// SHA-256, then Digest with MD5, then Basic. `None` if none of them can be met with what is allowed.
    ///
    /// Method and `uri` are those of the request line. `entropy` must be random: it is the nonce of the client.
    pub(crate) fn answer(
        &self,
        credentials: &Credentials,
        allowed: AllowedSchemes,
        (method, uri): (&str, &str),
        entropy: [u8; 16],
    ) -> Option<Vec<u8>> {
        let mut best: Option<AuthScheme> = None;
        for scheme in self.0.iter().filter_map(|challenge| AuthScheme::of(challenge, credentials, allowed)) {
            if best.as_ref().is_none_or(|best| scheme.strength() > best.strength()) {
                best = Some(scheme);
            }
        }
        Some(match best? {
            AuthScheme::Basic => basic(credentials).into_bytes(),
            AuthScheme::Digest(digest) => digest.answer(credentials, method, uri, &hex(&entropy)),
        })
    }

    /// Whether one of them says that only the nonce of the last answer was wrong (RFC 7616, section 3.3).
    pub(crate) fn is_stale(&self) -> bool {
        let is_true = |value: &[u8]| value.eq_ignore_ascii_case(b"true");
        self.0.iter().any(|challenge| challenge.parameter("stale").is_some_and(is_true))
    }
}

/// A challenge that can be met.
#[derive(Debug)]
enum AuthScheme {
    Basic,
    Digest(Digest),
}

impl AuthScheme {
    /// What is asked for, if it can be done with these credentials.
    fn of(challenge: &Challenge, credentials: &Credentials, allowed: AllowedSchemes) -> Option<Self> {
        if challenge.scheme.eq_ignore_ascii_case("digest") {
            return Digest::read(challenge).map(Self::Digest);
        }
        if allowed == AllowedSchemes::DigestOnly {
            return None;
        }
        // The server would take the first colon for the end of the name (RFC 7617, section 2).
        let is_basic = challenge.scheme.eq_ignore_ascii_case("basic") && !credentials.user.contains(':');
        is_basic.then_some(Self::Basic)
    }

    /// The greater, the less an eavesdropper learns.
    const fn strength(&self) -> u8 {
        match self {
            Self::Basic => 0,
            Self::Digest(digest) => digest.strength(),
        }
    }
}

#[cfg(test)]
mod tests;
