use std::path::PathBuf;

use crate::error::{Error, ProxyError, ProxyUrlError};
use crate::net::connect::Dialer;
use crate::net::deadline::Deadline;
use crate::net::proxy::{ProxyHop, choose, choose_from};
use crate::net::wait_mode::{WaitMode, block_on};
use crate::options::{ConnectOptions, Proxy};
use crate::trace::Tracer;
use crate::url::Target;

/// An environment with a proxy for everything.
const EVERYWHERE: &[(&str, &str)] = &[("all_proxy", "http://environment:1"), ("no_proxy", "direct.example")];

fn chosen(url: &str, options: &ConnectOptions, variables: &[(&str, &str)]) -> crate::Result<Option<ProxyHop>> {
    let get = |name: &str| Some(variables.iter().find(|(known, _)| *known == name)?.1.to_owned());
    choose_from(&Target::parse(url).unwrap(), options, &get)
}

#[test]
fn the_table_of_choices() {
    let new = ConnectOptions::new;
    let given = || new().proxy("socks5h://given");
    let table = [
        (new(), "ws://a.example/", EVERYWHERE, Some("environment:1")),
        (new(), "wss://a.example/", EVERYWHERE, Some("environment:1")),
        (new(), "ws://direct.example/", EVERYWHERE, None),
        (new(), "ws://localhost/", EVERYWHERE, Some("environment:1")),
        (new(), "ws://127.0.0.1/", EVERYWHERE, Some("environment:1")),
        (new(), "ws://a.example/", &[], None),
        (new().no_proxy(), "ws://a.example/", EVERYWHERE, None),
        (new().no_proxy().proxy_from_environment(), "ws://a.example/", EVERYWHERE, Some("environment:1")),
        // What is said in the program counts, and the environment's exceptions are for its own.
        (given(), "ws://a.example/", EVERYWHERE, Some("given:1080")),
        (given(), "ws://a.example/", &[], Some("given:1080")),
        (given(), "ws://direct.example/", EVERYWHERE, Some("given:1080")),
        (given().no_proxy(), "ws://a.example/", EVERYWHERE, None),
        (given().proxy_from_environment(), "ws://a.example/", EVERYWHERE, Some("environment:1")),
        // Exceptions of the program are for either.
        (given().bypass_proxy(["a.example"]), "ws://x.a.example/", EVERYWHERE, None),
        (given().bypass_proxy(["a.example"]), "ws://b.example/", EVERYWHERE, Some("given:1080")),
        (new().bypass_proxy(["a.example"]), "ws://a.example/", EVERYWHERE, None),
        (new().bypass_proxy(["a.example"]), "ws://direct.example/", EVERYWHERE, None),
        (new().bypass_proxy(["a.example"]), "ws://b.example/", EVERYWHERE, Some("environment:1")),
        (new().bypass_proxy(["192"]), "ws://192.168.0.1/", EVERYWHERE, Some("environment:1")),
    ];
    for (options, url, variables, expected) in table {
        let hop = chosen(url, &options, variables).unwrap();
        assert_eq!(hop.map(|hop| hop.url.host_and_port()).as_deref(), expected, "{url} {options:?} {variables:?}");
    }
}

#[test]
fn a_unix_socket_is_never_reached_through_a_proxy() {
    let target = Target { socket_path: Some(PathBuf::from("/run/x")), ..Target::parse("ws://localhost/").unwrap() };
    let everywhere = |name: &str| (name == "all_proxy").then(|| "http://environment:1".to_owned());
    for options in [ConnectOptions::new(), ConnectOptions::new().proxy("http://given")] {
        assert!(choose_from(&target, &options, &everywhere).unwrap().is_none());
    }
}

#[test]
fn credentials_beside_the_url_replace_those_in_it() {
    let who = |proxy: Proxy| {
        let hop = chosen("ws://a/", &ConnectOptions::new().proxy(proxy), &[]).unwrap().unwrap();
        hop.url.credentials.map(|credentials| (credentials.user, credentials.password))
    };
    let both = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
    assert_eq!(who(Proxy::new("http://p")), None);
    assert_eq!(who(Proxy::new("http://u:%70@p")), both("u", "p"));
    assert_eq!(who(Proxy::new("http://u:p@p").credentials("x", "%y")), both("x", "%y"));
    assert_eq!(who(Proxy::new("http://p").credentials("x", "")), both("x", ""));
}

#[test]
fn what_is_no_proxy_is_told_only_where_it_would_be_used() {
    let bad = &[("http_proxy", "ftp://s3cret")];
    let error = chosen("ws://a/", &ConnectOptions::new(), bad).unwrap_err();
    assert_eq!(
        error.to_string(),
        "http_proxy is not the URL of a proxy: its scheme is not http, https, socks4, socks4a, socks5 or socks5h"
    );
    for options in [ConnectOptions::new().no_proxy(), ConnectOptions::new().bypass_proxy(["a"])] {
        assert!(chosen("ws://a/", &options, bad).unwrap().is_none());
    }
    assert!(chosen("wss://a/", &ConnectOptions::new(), bad).unwrap().is_none());
    let error = chosen("ws://a/", &ConnectOptions::new().proxy("socks://p"), &[]).unwrap_err();
    let Error::Proxy(error) = error else { panic!("{error:?}") };
    assert!(matches!(*error, ProxyError::Url { variable: None, problem: ProxyUrlError::AmbiguousScheme }));
}

#[test]
fn what_cannot_be_said_to_a_proxy_is_refused_before_it_is_asked() {
    let table = [
        ("ws://[fe80::1%25eth0]/", Proxy::new("http://p"), "Target"),
        ("ws://[::1]/", Proxy::new("socks4://p"), "Target"),
        ("ws://[::1]/", Proxy::new("socks4a://p"), "Target"),
        ("ws://a/", Proxy::new("socks4://u:p@p"), "Credentials"),
        ("ws://a/", Proxy::new("socks5://p").credentials("x".repeat(256), ""), "Credentials"),
        ("ws://a/", Proxy::new("http://p").credentials("a\r\nX-Evil: 1", ""), "Credentials"),
        ("ws://a/", Proxy::new("https://u:%0d%0a@p"), "Credentials"),
        ("ws://a/", Proxy::new("http://p").header("X-A", "a\r\nX-Evil: 1"), "Header"),
        ("ws://a/", Proxy::new("http://p").header("X A", "a"), "Header"),
        ("ws://a/", Proxy::new("http://p").header("Content-Length", "5"), "Header"),
    ];
    for (url, proxy, expected) in table {
        let hop = chosen(url, &ConnectOptions::new().proxy(proxy), &[]).unwrap().unwrap();
        let Err(Error::Proxy(error)) = hop.check(&Target::parse(url).unwrap()) else { panic!("{url}: {hop:?}") };
        assert!(format!("{error:?}").starts_with(expected) && !error.is_retryable(), "{url}: {error:?}");
    }
    let unreadable = Proxy::new("https://p").tls(crate::TlsOptions::new().ca_certs("/nowhere.pem"));
    let options = ConnectOptions::new().proxy(unreadable);
    let dialer = Dialer::new(&options, &WaitMode::Blocking, Deadline::NEVER, Tracer::new());
    assert!(matches!(block_on(choose(&dialer, &Target::parse("ws://a/").unwrap())), Err(Error::Options(_))));
}
