//! Pins: hashes of the keys that a server may have (RFC 7469, section 2.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::refuse;
use crate::error::Result;

/// SHA-256 of a SubjectPublicKeyInfo.
pub(super) type Pin = [u8; 32];

/// DER tags (X.690, section 8.1.2).
pub(super) const INTEGER: u8 = 0x02;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed: the version of a certificate, which is not there in version 1.
const VERSION: u8 = 0xA0;

/// Reads pins in base64. Each may be several, with semicolons between them, and have curl's prefix.
///
/// # Errors
///
/// [`Error::Options`](crate::Error::Options) for what is no hash of 32 bytes.
pub(super) fn parse(pins: &[String]) -> Result<Vec<Pin>> {
    pins.iter().flat_map(|pins| pins.split(';')).map(parse_one).collect()
}

fn parse_one(pin: &str) -> Result<Pin> {
    let hash = STANDARD.decode(pin.strip_prefix("sha256//").unwrap_or(pin)).unwrap_or_default();
    let problem = || refuse("pin_sha256", format!("{pin:?} is not the base64 form of 32 bytes"));
    hash.try_into().map_err(|_| problem())
}

/// Whether the key of a certificate is one of those that are pinned.
pub(super) fn fits(pins: &[Pin], certificate: &[u8]) -> bool {
    let Some(key) = public_key(certificate) else { return false };
    let hash: Pin = Sha256::digest(key).into();
    pins.contains(&hash)
}

/// The SubjectPublicKeyInfo of a certificate in DER form, with its tag and length (RFC 5280, section 4.1).
fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = take(certificate, SEQUENCE)?;
    let (mut fields, _) = take(certificate.content, SEQUENCE)?;
    if fields.content.first() == Some(&VERSION) {
        (_, fields.content) = take(fields.content, VERSION)?;
    }
    let mut rest = fields.content;
    // Serial number, signature algorithm, issuer, validity, subject.
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        (_, rest) = take(rest, tag)?;
    }
    take(rest, SEQUENCE).map(|(key, _)| key.whole)
}

/// One value in DER form.
pub(super) struct Value<'a> {
    pub(super) whole: &'a [u8],
    pub(super) content: &'a [u8],
}

/// Takes a value with this tag off the front. Lengths are definite and as short as can be (X.690, section 10.1).
pub(super) fn take(bytes: &[u8], tag: u8) -> Option<(Value<'_>, &[u8])> {
    let (head, length) = match *bytes.get(..2)? {
        [first, _] if first != tag => return None,
        [_, length @ ..=0x7F] => (2, usize::from(length)),
        [_, 0x81] => (3, usize::from(*bytes.get(2)?)),
        [_, 0x82] => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        _ => return None,
    };
    let shortest = match length {
        ..=0x7F => 2,
        0x80..=0xFF => 3,
        _ => 4,
    };
    if head != shortest {
        return None;
    }
    let (whole, rest) = bytes.split_at_checked(head + length)?;
    Some((Value { whole, content: &whole[head..] }, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};

    use super::*;
    use crate::error::Error;

    fn pin_of(key: &KeyPair) -> Pin {
        Sha256::digest(key.subject_public_key_info()).into()
    }

    #[test]
    fn the_key_of_a_certificate_is_found_whatever_stands_before_it() {
        for names in [vec![], vec!["localhost".to_owned()], vec!["a.example".to_owned(); 40]] {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
            assert_eq!(public_key(certificate.der()).unwrap(), key.subject_public_key_info());
            assert!(fits(&[[0; 32], pin_of(&key)], certificate.der()));
            assert!(!fits(&[pin_of(&KeyPair::generate().unwrap())], certificate.der()));
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_key() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        for length in 0..certificate.der().len() {
            assert!(!fits(&[pin_of(&key)], &certificate.der()[..length]), "cut to {length}");
        }
        let wrong: [&[u8]; 6] =
            [&[], &[0x30], &[0x30, 0x80, 0, 0], &[0x30, 0x81, 0x01, 0], &[0x30, 0x84, 0, 0, 0, 0], &[0x31, 0]];
        assert!(wrong.iter().all(|der| public_key(der).is_none()));
    }

    #[test]
    fn pins_are_written_as_by_curl_or_without_its_prefix() {
        let zeros = STANDARD.encode([0; 32]);
        let ones = STANDARD.encode([1; 32]);
        let pins = parse(&[format!("sha256//{zeros};sha256//{ones}"), ones]).unwrap();
        assert_eq!(pins, [[0; 32], [1; 32], [1; 32]]);
    }

    #[test]
    fn what_is_no_pin_is_refused() {
        let short = STANDARD.encode([0; 31]);
        for wrong in ["", "sha256//", "sha1//AAAA", "not base64", &short, &format!("{};", STANDARD.encode([0; 32]))] {
            let Err(Error::Options(error)) = parse(&[wrong.to_owned()]) else { panic!("{wrong}") };
            assert_eq!(error.option, "pin_sha256");
        }
    }
}
