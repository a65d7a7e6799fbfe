use websocket_sync::fuzzing::CookieStore;

use crate::input::Input;

/// The time of the first call, in seconds since 1970.
const START: u64 = 1_700_000_000;

/// What servers set and what a file holds is sent in one line to those who may have it, within the bounds of a jar, and is the same
/// when it was saved and read again.
///
/// Input: actions: a byte that says which, then texts behind their lengths; a file is all the rest.
pub fn cookies(data: &[u8]) {
    let mut input = Input::new(data);
    let mut store = CookieStore::default();
    let mut now = START;
    for _ in 0..100 {
        if input.is_empty() {
            break;
        }
        match input.byte() % 8 {
            0..4 => {
                let (url, field) = (url(&mut input), input.text());
                let _ = store.set(&url, &field, now);
            }
            4 | 5 => check_header(&mut store, &url(&mut input), now),
            6 => now += u64::from(input.short()),
            _ => {
                let Ok(read) = CookieStore::from_file(input.rest(), now) else { break };
                store = read;
                break;
            }
        }
    }
    assert!(store.len(now) <= 3000);
    let saved = store.to_file(now);
    let mut read = CookieStore::from_file(saved.as_bytes(), now).expect("what was saved can be read");
    assert_eq!(read.to_file(now), saved);
    for url in ["wss://a.example/", "ws://www.a.example/x/y", "wss://b.example/x"] {
        check_header(&mut store, url, now);
        assert_eq!(store.header(url, now), read.header(url, now), "{saved}");
    }
}

/// One of a few URLs, so that cookies meet, or one of the input.
fn url(input: &mut Input<'_>) -> String {
    let urls = ["wss://a.example/", "ws://a.example/x/y", "wss://www.a.example/x/", "ws://b.example/", "wss://co.uk/x"];
    match urls.get(usize::from(input.byte() % 6)) {
        Some(url) => (*url).to_owned(),
        None => input.text(),
    }
}

fn check_header(store: &mut CookieStore, url: &str, now: u64) {
    let Some(header) = store.header(url, now) else { return };
    assert!(header.len() <= 8190, "{} bytes", header.len());
    assert!(!header.contains(char::is_control), "{header:?}");
    // A cookie is sent only where it was set, or below.
    assert!(!store.is_empty(now));
}
