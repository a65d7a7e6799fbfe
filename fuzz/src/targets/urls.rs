use url::Url;
use websocket_sync::fuzzing::{ParsedUrl, parse_url, resolve_reference};

use crate::input::Input;

/// What is read of a URL, and of a reference in it, cannot break out of a head, is read again as the same, and is where the parser of
/// the WHATWG goes.
///
/// Input: the text of a URL behind its length, then that of a reference.
pub fn urls(data: &[u8]) {
    let mut input = Input::new(data);
    let base = input.text();
    let reference = String::from_utf8_lossy(input.rest());
    let Ok(parsed) = parse_url(&base) else { return };
    check(&parsed);
    compare(&parsed, &base, Url::parse(&base).ok());
    let Ok(resolved) = resolve_reference(&base, &reference) else { return };
    check(&resolved);
    assert!(!resolved.has_userinfo, "a password would be told to another server");
    // RFC 3986 merges a reference with the path as it is, the WHATWG after it has removed the dots, encoded ones too.
    if parsed.is_unix
        || parsed.zone.is_some()
        || parsed.resource.to_ascii_lowercase().replace("%2e", ".").contains("/.")
    {
        return;
    }
    // The parser of the WHATWG reads a whole URL leniently where ours has refused it, never the other way round.
    let theirs = Url::parse(&base).and_then(|base| base.join(&as_websocket(&reference))).ok();
    compare(&resolved, &reference, theirs);
}

/// `http` stands for `ws` in a reference.
fn as_websocket(reference: &str) -> String {
    for (http, ws) in [("http:", "ws:"), ("https:", "wss:")] {
        if let Some(scheme) = reference.get(..http.len())
            && scheme.eq_ignore_ascii_case(http)
        {
            return format!("{ws}{}", &reference[http.len()..]);
        }
    }
    reference.to_owned()
}

fn check(url: &ParsedUrl) {
    assert!(url.resource.starts_with('/'), "{url:?}");
    let is_printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(is_printable(&url.resource) && !url.resource.contains('#'), "{url:?}");
    assert!(is_printable(&url.host_header) && !url.host_header.contains(['/', '?', '#', '@']), "{url:?}");
    assert!(!url.host.is_empty() && url.port > 0, "{url:?}");
    assert_eq!(url.host, url.host.to_ascii_lowercase());
    let again = parse_url(&url.shown).unwrap_or_else(|error| panic!("{error} in {:?} of {url:?}", url.shown));
    assert_eq!(again, ParsedUrl { has_userinfo: false, ..url.clone() });
}

fn compare(ours: &ParsedUrl, text: &str, theirs: Option<Url>) {
    if ours.is_unix || ours.zone.is_some() {
        return;
    }
    let Some(theirs) = theirs else { panic!("{text:?} is {ours:?}, and nothing for the WHATWG") };
    assert_eq!(ours.secure, theirs.scheme() == "wss", "{text:?}");
    assert_eq!(Some(ours.port), theirs.port_or_known_default(), "{text:?}");
    let host = theirs.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_same_address = || host.parse::<std::net::IpAddr>().is_ok_and(|host| ours.host.parse() == Ok(host));
    assert!(
        ours.host == host || is_same_address(),
        "{text:?} leads to {:?}, and for the WHATWG to {host:?}",
        ours.host
    );
    // Encoded dots are dots to the WHATWG, and it leaves some characters as they are: compared is where neither plays a part.
    let is_plain = |text: &str| !text.contains(['%', '"', '<', '>', '`', '{', '}', '^', '|', '\'', '[', ']', '\\']);
    // The crate `url` lets no dots remove what looks like the letter of a drive; the WHATWG has that for files only.
    let is_drive = |segment: &str| matches!(segment.as_bytes(), [letter, b':'] if letter.is_ascii_alphabetic());
    if theirs.path().split('/').any(is_drive) {
        return;
    }
    let query = theirs.query().map(|query| format!("?{query}")).unwrap_or_default();
    let resource = format!("{}{query}", theirs.path());
    if is_plain(text) && is_plain(&resource) && is_plain(&ours.resource) && !ours.resource.contains("/.") {
        assert_eq!(ours.resource, resource, "{text:?}");
    }
}
