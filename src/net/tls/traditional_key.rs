//! Private keys in PKCS#1 and SEC1 form as PKCS#8, the only form that native-tls takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::pem::{BEGIN, DASHES, END, PRIVATE_KEY, der};
use super::pin::{INTEGER, SEQUENCE, take};

/// A key in PKCS#8 and PEM form.
pub(super) fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("{BEGIN}{PRIVATE_KEY}{DASHES}\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem + END + PRIVATE_KEY + DASHES + "\n"
}

/// An RSA key in PKCS#1 form (RFC 8017, appendix A.1.2) or an elliptic one in SEC1 form (RFC 5915) as PKCS#8 in DER form (RFC 5208,
/// section 5). `None` for what is neither, and for an elliptic key that does not name its curve.
pub(super) fn to_pkcs8(traditional: &str) -> Option<Vec<u8>> {
    let key = der(traditional)?;
    let algorithm = match traditional.strip_prefix(BEGIN)?.split_once(PRIVATE_KEY)?.0 {
        "RSA " => value(SEQUENCE, &[RSA, NULL]),
        "EC " => value(SEQUENCE, &[ELLIPTIC, curve(&key)?]),
        _ => return None,
    };
    Some(value(SEQUENCE, &[VERSION, &algorithm, &value(OCTET_STRING, &[&key])]))
}

/// The OID of the curve, with its tag and length.
fn curve(sec1: &[u8]) -> Option<&[u8]> {
    let (key, _) = take(sec1, SEQUENCE)?;
    let (_, rest) = take(key.content, INTEGER)?;
    let (_, rest) = take(rest, OCTET_STRING)?;
    let (parameters, _) = take(rest, PARAMETERS)?;
    Some(take(parameters.content, OBJECT_IDENTIFIER)?.0.whole)
}

const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[0]`, constructed: the curve.
const PARAMETERS: u8 = 0xA0;
/// Values in DER form: version 0, NULL, and the OIDs rsaEncryption and id-ecPublicKey.
const VERSION: &[u8] = &[INTEGER, 1, 0];
const NULL: &[u8] = &[0x05, 0];
const RSA: &[u8] = &[OBJECT_IDENTIFIER, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1];
const ELLIPTIC: &[u8] = &[OBJECT_IDENTIFIER, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];

/// A value in DER form.
fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut bytes = vec![tag];
    if content.len() > 0x7F {
        bytes.push(0x80 | significant.len() as u8);
        bytes.extend_from_slice(significant);
    } else {
        bytes.push(content.len() as u8);
    }
    bytes.extend(content);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_does_not_say_what_it_is_is_not_made_pkcs8() {
        let labelled = |label: &str, der: &[u8]| pem(der).replace(PRIVATE_KEY, &format!("{label} {PRIVATE_KEY}"));
        let curve = value(PARAMETERS, &[&value(OBJECT_IDENTIFIER, &[&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7]])]);
        let sec1 = |rest: &[u8]| value(SEQUENCE, &[&value(INTEGER, &[&[1]]), &value(OCTET_STRING, &[&[7; 32]]), rest]);
        assert!(to_pkcs8(&labelled("EC", &sec1(&curve))).is_some());
        assert!(to_pkcs8(&labelled("RSA", &[1, 2, 3])).is_some(), "the library looks into it");
        for (label, der) in [("EC", sec1(&[])), ("EC", sec1(&[PARAMETERS, 0])), ("EC", vec![]), ("DSA", sec1(&curve))] {
            assert_eq!(to_pkcs8(&labelled(label, &der)), None, "{label} {der:?}");
        }
    }

    #[test]
    fn lengths_are_as_short_as_can_be() {
        for length in [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF] {
            let bytes = value(OCTET_STRING, &[&vec![7; length]]);
            let (read, rest) = take(&bytes, OCTET_STRING).unwrap();
            assert!(read.content.len() == length && rest.is_empty());
        }
    }
}
