use websocket_sync::fuzzing::{DigestOnly, answer_challenges};

use crate::input::Input;

/// A challenge is answered in one line of fields, by Basic only where that is allowed, and without the password where it is Digest.
///
/// Input: flags (1 byte), user and password behind their lengths, then values of fields, with line feeds between them.
pub fn challenges(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let (user, password) = (input.text(), input.text());
    let fields: Vec<&[u8]> = input.rest().split(|&byte| byte == b'\n').collect();
    let digest_only = if flags & 1 == 0 { DigestOnly::No } else { DigestOnly::Yes };
    // What holds a control character is refused before anybody is asked.
    let clean = |text: &str| text.replace(char::is_control, "");
    let (user, password) = (clean(&user), clean(&password));
    let (answer, _) = answer_challenges(&fields, (&user, &password), digest_only, "/a?b");
    let Some(answer) = answer else { return };
    assert!(
        !answer.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t'),
        "{:?}",
        answer.escape_ascii().to_string()
    );
    if answer.starts_with(b"Basic ") {
        assert!(digest_only == DigestOnly::No && !user.contains(':'));
        return;
    }
    let parameters = answer.strip_prefix(b"Digest ").expect("there is no third scheme");
    check_digest(parameters);
}

/// Each parameter is there once, and all strings are closed.
fn check_digest(mut rest: &[u8]) {
    let mut names = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'=').expect("a parameter has a value");
        names.push(rest[..end].trim_ascii().to_ascii_lowercase());
        rest = &rest[end + 1..];
        if rest.first() == Some(&b'"') {
            let mut at = 1;
            while rest.get(at).is_some_and(|&byte| byte != b'"') {
                at += if rest[at] == b'\\' { 2 } else { 1 };
            }
            assert!(at < rest.len(), "a string is not closed");
            rest = &rest[at + 1..];
        }
        let end = rest.iter().position(|&byte| byte == b',').map_or(rest.len(), |comma| comma + 1);
        rest = &rest[end..];
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "a parameter is told twice");
    for name in ["username", "realm", "nonce", "uri", "response"] {
        let is_it = |found: &Vec<u8>| found == name.as_bytes() || found.strip_suffix(b"*") == Some(name.as_bytes());
        assert!(names.iter().any(is_it), "{name} is missing");
    }
}
