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
    /// As they came, like all that is told again: they need not be UTF-8.
    realm: Vec<u8>,
    nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    algorithm: Algorithm,
    /// The algorithm as the server wrote it, which is how it is told again.
    named: Option<String>,
    quality: Quality,
    /// Whether the name is sent as a hash (RFC 7616, section 3.4.4).
    hides_user: bool,
}

/// The hash of parts with colons between them.
type Hash = fn(&[&[u8]]) -> String;

/// A hash, and whether the first input is bound to the nonces: `-sess`.
#[derive(Clone, Copy, Debug)]
struct Algorithm {
    hash: Hash,
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
        let named = challenge.parameter("algorithm").map(str::from_utf8).transpose().ok()?;
        let algorithm = Algorithm::named(named.unwrap_or("MD5"))?;
        let quality = quality(challenge.parameter("qop").unwrap_or_default())?;
        // The nonce of the client goes into the hash, and only `qop` lets it be told (RFC 2617, section 3.2.2).
        if algorithm.is_session && quality == Quality::Unspecified {
            return None;
        }
        Some(Self {
            realm: challenge.parameter("realm")?.to_owned(),
            nonce: challenge.parameter("nonce")?.to_owned(),
            opaque: challenge.parameter("opaque").map(<[u8]>::to_owned),
            algorithm,
            named: named.map(str::to_owned),
            quality,
            hides_user: challenge.parameter("userhash").is_some_and(|value| value.eq_ignore_ascii_case(b"true")),
        })
    }

    /// The greater, the better the hash.
    pub(super) const fn strength(&self) -> u8 {
        self.algorithm.strength
    }

    /// The value of the field (RFC 7616, section 3.4).
    pub(super) fn answer(&self, credentials: &Credentials, method: &str, uri: &str, client_nonce: &str) -> Vec<u8> {
        let response = self.response(credentials, method, uri, client_nonce);
        let mut field = b"Digest ".to_vec();
        self.write_user(&mut field, &credentials.user);
        write_quoted(&mut field, "realm", &self.realm);
        write_quoted(&mut field, "nonce", &self.nonce);
        write_quoted(&mut field, "uri", uri.as_bytes());
        write_quoted(&mut field, "response", response.as_bytes());
        if let Some(algorithm) = &self.named {
            field.extend_from_slice(format!(", algorithm={algorithm}").as_bytes());
        }
        if self.quality == Quality::Authentication {
            field.extend_from_slice(format!(", qop=auth, nc={NONCE_COUNT}").as_bytes());
            write_quoted(&mut field, "cnonce", client_nonce.as_bytes());
        }
        if let Some(opaque) = &self.opaque {
            write_quoted(&mut field, "opaque", opaque);
        }
        if self.hides_user {
            field.extend_from_slice(b", userhash=true");
        }
        field
    }

    /// The proof that the password is known (RFC 7616, section 3.4.1).
    fn response(&self, credentials: &Credentials, method: &str, uri: &str, client_nonce: &str) -> String {
        let hash = self.algorithm.hash;
        let (user, password) = (credentials.user.as_bytes(), credentials.password.as_bytes());
        let (nonce, client_nonce) = (&*self.nonce, client_nonce.as_bytes());
        let mut secret = hash(&[user, &self.realm, password]);
        if self.algorithm.is_session {
            secret = hash(&[secret.as_bytes(), nonce, client_nonce]);
        }
        let (secret, request) = (secret.as_bytes(), hash(&[method.as_bytes(), uri.as_bytes()]));
        let request = request.as_bytes();
        match self.quality {
            Quality::Unspecified => hash(&[secret, nonce, request]),
            Quality::Authentication => hash(&[secret, nonce, NONCE_COUNT.as_bytes(), client_nonce, b"auth", request]),
        }
    }

    /// The name: hashed if the server wants that, in the encoding of RFC 8187 if a quoted string has no room for it.
    fn write_user(&self, field: &mut Vec<u8>, user: &str) {
        let is_plain = user.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if self.hides_user {
            let hashed = (self.algorithm.hash)(&[user.as_bytes(), &self.realm]);
            field.extend_from_slice(format!("username=\"{hashed}\"").as_bytes());
        } else if is_plain {
            field.extend_from_slice(b"username=");
            write_quoted_string(field, user.as_bytes());
        } else {
            field.extend_from_slice(b"username*=UTF-8''");
            for byte in user.bytes() {
                match byte {
                    b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => field.push(byte),
                    _ => field.extend_from_slice(format!("%{byte:02X}").as_bytes()),
                }
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
        let (hash, strength): (Hash, u8) = match hash_name {
            "md5" => (hash::<Md5>, 1),
            "sha-256" => (hash::<Sha256>, 2),
            "sha-512-256" => (hash::<Sha512_256>, 2),
            _ => return None,
        };
        Some(Self { hash, strength, is_session })
    }
}

/// What of a list can be done. An empty list counts as none.
fn quality(list: &[u8]) -> Option<Quality> {
    let mut offered = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|option| !option.is_empty());
    match offered.clone().next() {
        None => Some(Quality::Unspecified),
        Some(_) => offered.any(|option| option.eq_ignore_ascii_case(b"auth")).then_some(Quality::Authentication),
    }
}

/// The hash of these parts with colons between them.
fn hash<D: sha2::Digest>(parts: &[&[u8]]) -> String {
    let output: Output<D> = D::digest(parts.join(&b':'));
    hex(&output)
}

/// In the digits that Digest is written with.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn write_quoted(field: &mut Vec<u8>, name: &str, value: &[u8]) {
    field.extend_from_slice(format!(", {name}=").as_bytes());
    write_quoted_string(field, value);
}

/// RFC 9110, section 5.6.4.
fn write_quoted_string(field: &mut Vec<u8>, value: &[u8]) {
    field.push(b'"');
    for &byte in value {
        if matches!(byte, b'"' | b'\\') {
            field.push(b'\\');
        }
        field.push(byte);
    }
    field.push(b'"');
}
