//! Options that cannot be met.

use crate::*;

/// What cannot be asked for.
pub(crate) fn options() -> Vec<Kind> {
    type Make = fn() -> ConnectOptions;
    type Expected = fn(&Error) -> bool;
    let is_option = |error: &Error| matches!(error, Error::Options(_));
    let is_usage = |error: &Error| matches!(error, Error::Usage(_));
    let is_url = |error: &Error| matches!(error, Error::Url(_));
    let table: [(&str, Make, &str, Expected); 10] = [
        ("no time", || ConnectOptions::new().timeout(Duration::ZERO), "ws://h/", is_option),
        (
            "a CA file that is none",
            || ConnectOptions::new().tls(TlsOptions::new().ca_certs("/nonexistent.pem")),
            "wss://127.0.0.1:9/",
            is_option,
        ),
        (
            "a CA that is none",
            || ConnectOptions::new().tls(TlsOptions::new().ca_certs_pem("none")),
            "wss://127.0.0.1:9/",
            is_option,
        ),
        (
            "a server name that is none",
            || ConnectOptions::new().tls(TlsOptions::new().server_hostname("a b")),
            "wss://127.0.0.1:9/",
            is_option,
        ),
        ("a header that is none", || ConnectOptions::new().header("a b", "c"), "ws://h/", is_usage),
        ("a cookie that is none", || ConnectOptions::new().cookie("a\n"), "ws://h/", is_usage),
        ("a subprotocol twice", || ConnectOptions::new().subprotocols(["a", "a"]), "ws://h/", is_usage),
        ("another Upgrade", || ConnectOptions::new().header("Upgrade", "h2c"), "ws://h/", is_usage),
        ("a scheme that is none", ConnectOptions::new, "http://h/", is_url),
        ("a URL that is none", ConnectOptions::new, "ws://h:99999/", is_url),
    ];
    table
        .into_iter()
        .map(|(name, make, url, is_expected)| {
            let options = make();
            Kind::new(name, move || options.connect(url).unwrap_err(), is_expected)
        })
        .collect()
}
