//! The examples of the RFCs, and which challenge is taken.

use super::*;

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials { user: user.to_owned(), password: password.to_owned() }
}

fn digest(field: &str) -> Digest {
    Digest::read(&challenges_in([field.as_bytes()].into_iter())[0]).unwrap()
}

impl Digest {
    fn text(&self, credentials: &Credentials, method: &str, uri: &str, client_nonce: &str) -> String {
        String::from_utf8(self.answer(credentials, method, uri, client_nonce)).unwrap()
    }
}

/// The answer to what these fields ask for.
fn answer(fields: &[&str], credentials: &Credentials, method: &str, uri: &str, entropy: [u8; 16]) -> Option<String> {
    let challenges = Challenges::in_fields(fields.iter().map(|field| field.as_bytes()));
    let answer = challenges.answer(credentials, AllowedSchemes::BasicAndDigest, (method, uri), entropy);
    answer.map(|answer| String::from_utf8(answer).unwrap())
}

/// A parameter of an answer.
fn parameter<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let parameters = answer.split_once(' ')?.1.split(", ");
    let value = parameters.filter_map(|parameter| parameter.split_once('=')).find(|(other, _)| *other == name)?.1;
    Some(value.trim_matches('"'))
}

#[test]
fn basic_is_that_of_rfc_7617() {
    assert_eq!(basic(&credentials("Aladdin", "open sesame")), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(basic(&credentials("test", "123\u{a3}")), "Basic dGVzdDoxMjPCow==");
}

#[test]
fn digest_is_that_of_the_examples() {
    let rfc_2617 = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
    let with_quality = format!("{rfc_2617}, qop=\"auth,auth-int\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"");
    let rfc_7616 = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                    nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                    opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", algorithm=";
    let cnonce_7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    let table = [
        (rfc_2617, "Mufasa", "CircleOfLife", "", "1949323746fe6a43ef61f9606e7febea"),
        (&with_quality, "Mufasa", "Circle Of Life", "0a4f113b", "6629fae49393a05397450978507c4ef1"),
        (&format!("{rfc_7616}MD5"), "Mufasa", "Circle of Life", cnonce_7616, "8ca523f5e9506fed4657c9700eebdbec"),
        (
            &format!("{rfc_7616}SHA-256"),
            "Mufasa",
            "Circle of Life",
            cnonce_7616,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ];
    for (challenge, user, password, client_nonce, expected) in table {
        let answer = digest(challenge).text(&credentials(user, password), "GET", "/dir/index.html", client_nonce);
        assert_eq!(parameter(&answer, "response"), Some(expected), "{answer}");
    }
}

/// RFC 7616, section 3.9.2, as its erratum 4897 corrects it.
#[test]
fn a_name_is_hashed_where_the_server_wants_that() {
    let challenge = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
                     nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", \
                     opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", charset=UTF-8, userhash=true";
    let credentials = credentials("J\u{e4}s\u{f8}n Doe", "Secret, or not?");
    assert_eq!(
        digest(challenge).text(&credentials, "GET", "/doe.json", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"),
        "Digest username=\"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b\", \
         realm=\"api@example.org\", nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", uri=\"/doe.json\", \
         response=\"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5\", algorithm=SHA-512-256, \
         qop=auth, nc=00000001, cnonce=\"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v\", \
         opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", userhash=true"
    );
}

#[test]
fn names_that_a_quoted_string_has_no_room_for_are_encoded() {
    let challenge = digest("Digest realm=\"a \\\"b\\\"\", nonce=n, userhash=false");
    let names = [
        ("me", "username=\"me\""),
        ("m\"e\\", r#"username="m\"e\\""#),
        ("J\u{e4}s\u{f8}n Doe", "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe"),
        ("a\r\nX-Evil: 1", "username*=UTF-8''a%0D%0AX-Evil%3A%201"),
    ];
    for (user, expected) in names {
        let answer = challenge.text(&credentials(user, "p"), "GET", "/", "c");
        assert!(answer.starts_with(&format!("Digest {expected}, realm=\"a \\\"b\\\"\", ")), "{answer}");
    }
}

#[test]
fn a_session_binds_the_secret_to_the_nonces() {
    let answer = digest("Digest realm=r, nonce=n, qop=auth, algorithm=MD5-sess").text(
        &credentials("u", "p"),
        "CONNECT",
        "h:443",
        "c",
    );
    // MD5(MD5(MD5(u:r:p):n:c):n:00000001:c:auth:MD5(CONNECT:h:443))
    assert_eq!(parameter(&answer, "response"), Some("7214ee54ef3591e8d8c1e3e968a6f4d1"));
    assert_eq!(parameter(&answer, "algorithm"), Some("MD5-sess"));
}

#[test]
fn the_strongest_that_can_be_done_is_taken() {
    let sha = "Digest realm=r, nonce=n, qop=auth, algorithm=SHA-256";
    let md5 = "Digest realm=r, nonce=n, qop=auth, algorithm=MD5";
    let table: &[(&[&str], &str)] = &[
        (&["Basic realm=r", md5, sha], "SHA-256"),
        (&[sha, md5, "Basic realm=r"], "SHA-256"),
        (&["Basic realm=r, Digest realm=r, nonce=n, qop=auth, algorithm=MD5"], "MD5"),
        (&["Negotiate, Basic realm=r"], "Basic"),
        (&["bASIC"], "Basic"),
        (&["DIGEST realm=r, nonce=n"], "unnamed"),
        (&["Digest realm=r, nonce=n, qop=\"\""], "unnamed"),
        (&["Digest realm=r, nonce=n, stale=TRUE, algorithm=\"md5\""], "md5"),
        (&["Digest realm=r, nonce=n, algorithm=SHA-512-256, qop=auth", sha], "SHA-512-256"),
        // Not complete, contradictory, or not to be had.
        (&["Digest nonce=n", "Basic"], "Basic"),
        (&["Digest realm=r", "Basic"], "Basic"),
        (&["Digest realm=r, nonce=n, nonce=m", "Basic"], "Basic"),
        (&["Digest realm=r, nonce=n, algorithm=MD5, algorithm=SHA-256", "Basic"], "Basic"),
        (&["Digest realm=r, nonce=n, qop=auth-int", "Basic"], "Basic"),
        (&["Digest realm=r, nonce=n, algorithm=MD5-sess", "Basic"], "Basic"),
        (&["Digest realm=r, nonce=n, algorithm=SHA-1", "Basic"], "Basic"),
        (&["Digest realm=r, nonce=n, algorithm=SHA-512-256-more", "Basic"], "Basic"),
        (&["Bearer realm=r"], "none"),
        (&["Basic realm=\"r"], "none"),
        (&[], "none"),
    ];
    for (challenges, expected) in table {
        let answer = answer(challenges, &credentials("u", "p"), "GET", "/", [7; 16]);
        let taken = match &answer {
            None => "none",
            Some(answer) if answer.starts_with("Basic ") => "Basic",
            Some(answer) => parameter(answer, "algorithm").unwrap_or("unnamed"),
        };
        assert_eq!(taken, *expected, "{challenges:?}");
    }
}

#[test]
fn a_name_with_a_colon_is_not_for_basic() {
    assert_eq!(answer(&["Basic realm=r"], &credentials("a:b", "p"), "GET", "/", [0; 16]), None);
    assert!(answer(&["Digest realm=r, nonce=n"], &credentials("a:b", "p"), "GET", "/", [0; 16]).is_some());
}

#[test]
fn the_nonce_of_the_client_is_its_entropy() {
    let challenge = ["Digest realm=r, nonce=n, qop=auth"];
    let answer = |entropy| answer(&challenge, &credentials("u", "p"), "GET", "/", entropy).unwrap();
    assert_eq!(parameter(&answer([0xab; 16]), "cnonce"), Some("ab".repeat(16).as_str()));
    assert_ne!(parameter(&answer([1; 16]), "response"), parameter(&answer([2; 16]), "response"));
    assert_eq!(parameter(&answer([1; 16]), "opaque"), None);
}

/// The hashes are those of Python's hashlib over the same bytes.
#[test]
fn a_realm_that_is_not_utf_8_is_hashed_and_told_as_it_came() {
    let field = b"Digest realm=\"caf\xe9 \\\"x\", nonce=\"n\xff\", opaque=\"\xfe\", qop=auth, algorithm=MD5";
    let challenges = Challenges::in_fields([&field[..]].into_iter());
    let answer = challenges.answer(&credentials("u", "p"), AllowedSchemes::DigestOnly, ("GET", "/"), [0; 16]).unwrap();
    let expected = b"Digest username=\"u\", realm=\"caf\xe9 \\\"x\", nonce=\"n\xff\", uri=\"/\", \
        response=\"fe57ec8e0531eeb0a2cec79541b3a054\", algorithm=MD5, qop=auth, nc=00000001, \
        cnonce=\"00000000000000000000000000000000\", opaque=\"\xfe\"";
    assert_eq!(answer, expected, "{}", answer.escape_ascii());
    let basic = Challenges::in_fields([&b"Basic realm=\"caf\xe9\""[..]].into_iter());
    let answer = |allowed| basic.answer(&credentials("u", "p"), allowed, ("GET", "/"), [0; 16]);
    assert_eq!(answer(AllowedSchemes::BasicAndDigest).unwrap(), b"Basic dTpw");
    assert_eq!(answer(AllowedSchemes::DigestOnly), None);
}

#[test]
fn a_nonce_is_stale_if_a_challenge_says_so() {
    let is_stale = |field: &str| Challenges::in_fields([field.as_bytes()].into_iter()).is_stale();
    for stale in ["Digest realm=r, nonce=n, stale=TRUE", "Basic, Digest stale = \"true\", nonce=n"] {
        assert!(is_stale(stale), "{stale}");
    }
    for other in
        ["Digest realm=\"stale=true\"", "Digest stale=false", "Digest stale=true, stale=true", "stale=true", ""]
    {
        assert!(!is_stale(other), "{other}");
    }
}

#[test]
fn debug_shows_neither_name_nor_password() {
    assert_eq!(format!("{:?}", credentials("canary", "s3cret")), "Credentials(..)");
}
