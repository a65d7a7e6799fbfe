use websocket_sync::fuzzing::{parse_proxy_url, parse_url};

/// The URL of a proxy is read to a host that a URL of a WebSocket can name too, and neither errors nor `Debug` show the password.
///
/// Input: the text.
pub fn proxy_urls(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let url = match parse_proxy_url(&text) {
        Ok(url) => url,
        Err(error) => {
            assert!(error.to_string().len() < 300, "an error that shows what was given");
            return;
        }
    };
    assert!(["http", "https", "socks4", "socks4a", "socks5", "socks5h"].contains(&url.scheme));
    assert!(!url.host.is_empty() && url.port > 0);
    assert_eq!(url.host, url.host.to_ascii_lowercase());
    assert!(!url.host.contains(|c: char| c.is_control() || "/?#@ ".contains(c)), "{:?}", url.host);
    let brackets = if url.host.contains(':') { ("[", "]") } else { ("", "") };
    let zone = url.zone.as_ref().map(|zone| format!("%25{zone}")).unwrap_or_default();
    let authority = format!("{}{}{zone}{}:{}", brackets.0, url.host, brackets.1, url.port);
    let target = parse_url(&format!("ws://{authority}/")).unwrap_or_else(|error| panic!("{error} in {authority:?}"));
    assert_eq!((target.host, target.zone, target.port), (url.host, url.zone, url.port));
    // The normal form is read as the same.
    let again = parse_proxy_url(&format!("{}://{authority}", url.scheme)).expect("a URL of a proxy");
    // All that `Debug` shows is what it would show without user and password.
    let shown = url.shown.replace("credentials: Some(Credentials(..))", "credentials: None");
    assert_eq!(shown, again.shown);
}
