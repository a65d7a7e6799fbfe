//! Digest access authentication (RFC 7616), and what it grew from (RFC 2617, RFC 2069).

use std::fmt::Write;

use md5::Md5;
use sha2::digest::Output;
use sha2::{Sha256, Sha512_256};

use super::Credentials;
use super::challenge::Challenge;

/// Each nonce is used once, so that this is always the first request with it.
const NONCE_COUNT: &str = "00000001";

/// A challenge that can be met.
#[derive(Debug)]
pub(super) struct Digest {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The algorithm as the server wrote it, which is how it is told again.
    named: Option<String>,
    quality: Quality,
    /// Whether the name is sent as a hash (RFC 7616, section 3.4.4).
    hides_user: bool,
}

/// A hash, and whether the first input is bound to the nonces: `-sess`.
#[derive(Clone, Copy, Debug)]
struct Algorithm {
    hash: fn(&str) -> String,
    strength: u8,
    is_session: bool,
}

/// What is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Quality {
    /// Nothing was said: RFC 2069, without a nonce of the client.
    Unspecified,
    /// `auth`: method and target.
    Authentication,
}

impl Digest {
    /// What a challenge asks for; `None` if it is not complete, or wants what is not done here: another hash, or `auth-int`
    /// alone.
    pub(super) fn read(challenge: &Challenge) -> Option<Self> {
        let known = ["realm", "nonce", "opaque", "algorithm", "qop", "userhash"];
        if known.iter().any(|name| challenge.has(name) && challenge.parameter(name).is_none()) {
            return None;
        }
        let named = challenge.parameter("algorithm");
        let algorithm = Algorithm::named(named.unwrap_or("MD5"))?;
        let quality = quality(challenge.parameter("qop").unwrap_or_default())?;
        // The nonce of the client goes into the hash, and only `qop` lets it be told (RFC 2617, section 3.2.2).
        if algorithm.is_session && quality == Quality::Unspecified {
            return None;
        }
        Some(Self {
            realm: challenge.parameter("realm")?.to_owned(),
            nonce: challenge.parameter("nonce")?.to_owned(),
            opaque: challenge.parameter("opaque").map(str::to_owned),
            algorithm,
            named: named.map(str::to_owned),
            quality,
            hides_user: challenge.parameter("userhash").is_some_and(|value| value.eq_ignore_ascii_case("true")),
        })
    }

    /// The greater, the better the hash.
    pub(super) const fn strength(&self) -> u8 {
        self.algorithm.strength
    }

    /// The value of the field (RFC 7616, section 3.4).
    pub(super) fn answer(&self, credentials: &Credentials, method: &str, uri: &str, client_nonce: &str) -> String {
        let response = self.response(credentials, method, uri, client_nonce);
        let mut field = String::from("Digest ");
        self.write_user(&mut field, &credentials.user);
        for (name, value) in [("realm", &*self.realm), ("nonce", &self.nonce), ("uri", uri), ("response", &response)] {
            write_quoted(&mut field, name, value);
        }
        if let Some(algorithm) = &self.named {
            let _ = write!(field, ", algorithm={algorithm}");
        }
        if self.quality == Quality::Authentication {
            let _ = write!(field, ", qop=auth, nc={NONCE_COUNT}");
            write_quoted(&mut field, "cnonce", client_nonce);
        }
        if let Some(opaque) = &self.opaque {
            write_quoted(&mut field, "opaque", opaque);
        }
        if self.hides_user {
            field.push_str(", userhash=true");
        }
        field
    }

    /// The proof that the password is known (RFC 7616, section 3.4.1).
    fn response(&self, credentials: &Credentials, method: &str, uri: &str, client_nonce: &str) -> String {
        let hash = self.algorithm.hash;
        let nonce = &self.nonce;
        let mut secret = hash(&format!("{}:{}:{}", credentials.user, self.realm, credentials.password));
        if self.algorithm.is_session {
            secret = hash(&format!("{secret}:{nonce}:{client_nonce}"));
        }
        let request = hash(&format!("{method}:{uri}"));
        match self.quality {
            Quality::Unspecified => hash(&format!("{secret}:{nonce}:{request}")),
            Quality::Authentication => hash(&format!("{secret}:{nonce}:{NONCE_COUNT}:{client_nonce}:auth:{request}")),
        }
    }

    /// The name: hashed if the server wants that, in the encoding of RFC 8187 if a quoted string has no room for it.
    fn write_user(&self, field: &mut String, user: &str) {
        let is_plain = user.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if self.hides_user {
            let _ = write!(field, "username=\"{}\"", (self.algorithm.hash)(&format!("{user}:{}", self.realm)));
        } else if is_plain {
            let _ = write!(field, "username=\"{}\"", escaped(user));
        } else {
            field.push_str("username*=UTF-8''");
            for byte in user.bytes() {
                let _ = match byte {
                    b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                        write!(field, "{}", char::from(byte))
                    }
                    _ => write!(field, "%{byte:02X}"),
                };
            }
        }
    }
}

impl Algorithm {
    fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (hash_name, is_session) = match name.strip_suffix("-sess") {
            Some(hash_name) => (hash_name, true),
            None => (name.as_str(), false),
        };
        let (hash, strength): (fn(&str) -> String, u8) = match hash_name {
            "md5" => (hash::<Md5>, 1),
            "sha-256" => (hash::<Sha256>, 2),
            "sha-512-256" => (hash::<Sha512_256>, 2),
            _ => return None,
        };
        Some(Self { hash, strength, is_session })
    }
}

/// What of a list can be done. An empty list counts as none.
fn quality(list: &str) -> Option<Quality> {
    let mut offered =
        list.split(',').map(|option| option.trim_matches([' ', '\t'])).filter(|option| !option.is_empty());
    match offered.clone().next() {
        None => Some(Quality::Unspecified),
        Some(_) => offered.any(|option| option.eq_ignore_ascii_case("auth")).then_some(Quality::Authentication),
    }
}

fn hash<D: sha2::Digest>(text: &str) -> String {
    let output: Output<D> = D::digest(text);
    hex(&output)
}

/// In the digits that Digest is written with.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn write_quoted(field: &mut String, name: &str, value: &str) {
    let _ = write!(field, ", {name}=\"{}\"", escaped(value));
}

/// For the inside of a quoted string (RFC 9110, section 5.6.4).
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
