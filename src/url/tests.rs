//! URLs, row by row.

use proptest::prelude::*;

use super::*;

#[test]
fn urls_are_read_by_the_letter() {
    // URL; secure, host, port, resource
    let cases: &[(&str, bool, &str, u16, &str)] = &[
        ("ws://www.example.com/r", false, "www.example.com", 80, "/r"),
        ("ws://www.example.com/r/", false, "www.example.com", 80, "/r/"),
        ("ws://www.example.com/", false, "www.example.com", 80, "/"),
        ("ws://www.example.com", false, "www.example.com", 80, "/"),
        ("ws://www.example.com:8080/r", false, "www.example.com", 8080, "/r"),
        ("ws://www.example.com:8080/", false, "www.example.com", 8080, "/"),
        ("ws://www.example.com:8080", false, "www.example.com", 8080, "/"),
        ("wss://www.example.com:8080/r", true, "www.example.com", 8080, "/r"),
        ("wss://www.example.com:8080/r?key=value", true, "www.example.com", 8080, "/r?key=value"),
        ("wss://h", true, "h", 443, "/"),
        ("WS://h", false, "h", 80, "/"),
        ("wSs://h", true, "h", 443, "/"),
        ("ws://H.Example.COM/Path", false, "h.example.com", 80, "/Path"),
        ("ws://h:/", false, "h", 80, "/"),
        ("ws://h:1", false, "h", 1, "/"),
        ("ws://h:65535", false, "h", 65535, "/"),
        ("ws://h:0080/", false, "h", 80, "/"),
        ("ws://h?a", false, "h", 80, "/?a"),
        ("ws://h?a#b", false, "h", 80, "/?a"),
        ("ws://h#b", false, "h", 80, "/"),
        ("ws://h/#/?", false, "h", 80, "/"),
        ("ws://h/?", false, "h", 80, "/?"),
        ("ws://h/??", false, "h", 80, "/??"),
        ("ws://h//a//b", false, "h", 80, "//a//b"),
        ("ws://h/a/../b/./c", false, "h", 80, "/a/../b/./c"),
        ("ws://h/a;p=1;v?q", false, "h", 80, "/a;p=1;v?q"),
        ("ws://h/a b?q=c d", false, "h", 80, "/a%20b?q=c%20d"),
        ("ws://h/\u{e9}?q=\u{e9}", false, "h", 80, "/%C3%A9?q=%C3%A9"),
        ("ws://h/%41%zz%", false, "h", 80, "/%41%zz%"),
        ("ws://h/a'b(c)!*$&+,=:@~", false, "h", 80, "/a'b(c)!*$&+,=:@~"),
        ("ws://h/\"<>`{}^|[]", false, "h", 80, "/%22%3C%3E%60%7B%7D%5E|[]"),
        ("ws://h/?{\"a\":[1,2]}", false, "h", 80, "/?{%22a%22:[1,2]}"),
        ("ws://h/?u=ws://x:1/y@z", false, "h", 80, "/?u=ws://x:1/y@z"),
        ("ws://h/@x:y", false, "h", 80, "/@x:y"),
        ("ws://localhost:9001", false, "localhost", 9001, "/"),
        ("ws://my_host-1/", false, "my_host-1", 80, "/"),
        ("ws://example.com./", false, "example.com.", 80, "/"),
        ("ws://127.0.0.1:1/", false, "127.0.0.1", 1, "/"),
        ("ws://1.2.3.4.example/", false, "1.2.3.4.example", 80, "/"),
        ("ws://[::1]/", false, "::1", 80, "/"),
        ("ws://[::1]:/", false, "::1", 80, "/"),
        ("ws://[2a03:4000:123:83::3]/r", false, "2a03:4000:123:83::3", 80, "/r"),
        ("ws://[2a03:4000:123:83::3]:8080/r", false, "2a03:4000:123:83::3", 8080, "/r"),
        ("wss://[2A03:4000:0123:0083:0:0:0:3]:8080/r", true, "2a03:4000:123:83::3", 8080, "/r"),
        ("ws://[::ffff:1.2.3.4]", false, "::ffff:1.2.3.4", 80, "/"),
        ("ws://b\u{fc}cher.example/", false, "xn--bcher-kva.example", 80, "/"),
        ("ws://B\u{dc}CHER.example/", false, "xn--bcher-kva.example", 80, "/"),
        ("ws://a\u{ad}b/\u{ad}", false, "ab", 80, "/%C2%AD"),
        ("ws://xn--bcher-kva.example/", false, "xn--bcher-kva.example", 80, "/"),
        ("ws://\u{4f8b}\u{3048}\u{3002}jp/", false, "xn--r8jz45g.jp", 80, "/"),
    ];
    for &(url, secure, host, port, resource) in cases {
        let expected = Target {
            secure,
            socket_path: None,
            host: host.into(),
            zone: None,
            port,
            resource: resource.into(),
            userinfo: None,
        };
        assert_eq!(Target::parse(url), Ok(expected), "{url}");
    }
}

#[test]
fn unix_sockets_are_written_as_in_npm_ws() {
    // URL; secure, path, resource, normal form
    let cases = [
        ("ws+unix:///run/s.sock", false, "/run/s.sock", "/", "ws+unix:///run/s.sock:/"),
        ("WSS+Unix:///run/s.sock", true, "/run/s.sock", "/", "wss+unix:///run/s.sock:/"),
        ("ws+unix:///run/s.sock:", false, "/run/s.sock", "/", "ws+unix:///run/s.sock:/"),
        ("ws+unix:///run/s.sock:/r?q=1", false, "/run/s.sock", "/r?q=1", "ws+unix:///run/s.sock:/r?q=1"),
        ("ws+unix:///run/s.sock:?q", false, "/run/s.sock", "/?q", "ws+unix:///run/s.sock:/?q"),
        ("ws+unix:///run/s.sock?q", false, "/run/s.sock", "/?q", "ws+unix:///run/s.sock:/?q"),
        ("ws+unix:///run/s.sock#f", false, "/run/s.sock", "/", "ws+unix:///run/s.sock:/"),
        ("ws+unix:///s:/a:b/#f", false, "/s", "/a:b/", "ws+unix:///s:/a:b/"),
        ("ws+unix:///a%20b%3Ac%25:/r", false, "/a b:c%", "/r", "ws+unix:///a%20b%3Ac%25:/r"),
        ("ws+unix:///\u{e9}@x:/", false, "/\u{e9}@x", "/", "ws+unix:///%C3%A9@x:/"),
    ];
    for (url, secure, path, resource, shown) in cases {
        let target = Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(target.socket_path.as_deref(), Some(std::path::Path::new(path)), "{url}");
        assert_eq!((target.secure, target.resource.as_str()), (secure, resource), "{url}");
        assert_eq!((target.host_header().as_str(), target.to_string().as_str()), ("localhost", shown), "{url}");
        assert_eq!(target.origin(), if secure { "https://localhost" } else { "http://localhost" });
    }
    let target = Target::parse("ws+unix://me:s3cret@/run/s:/").unwrap();
    assert_eq!(target.userinfo, Some(UserInfo("me:s3cret".into())));
}

#[test]
fn a_zone_is_kept_for_this_machine_alone() {
    // URL; zone, normal form
    let cases = [
        ("ws://[fe80::1%25eth0]/", "eth0", "ws://[fe80::1%25eth0]/"),
        ("ws://[FE80::1%25Eth0]:8080/r", "Eth0", "ws://[fe80::1%25Eth0]:8080/r"),
        ("ws://[fe80::1%25eth0.100]", "eth0.100", "ws://[fe80::1%25eth0.100]/"),
        ("ws://[fe80::1%25br%2D1]", "br-1", "ws://[fe80::1%25br-1]/"),
        ("wss://[febf::1%2525]", "25", "wss://[febf::1%2525]/"),
        ("ws://[fe80::1%eth0]:80/", "eth0", "ws://[fe80::1%25eth0]/"),
        ("ws://[fe80::1%3]/", "3", "ws://[fe80::1%253]/"),
    ];
    for (url, zone, shown) in cases {
        let target = Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!((target.zone.as_deref(), target.to_string().as_str()), (Some(zone), shown), "{url}");
        let told = [target.host.clone(), target.host_header(), target.origin()];
        assert!(told.iter().all(|told| !told.contains(zone) && !told.contains('%')), "{told:?}");
    }
}

#[test]
fn secrets_stay_with_scheme_host_and_port() {
    let same = |one, other| Target::parse(one).unwrap().is_same_origin(&Target::parse(other).unwrap());
    let pairs = [
        ("ws://h/a", "WS://H:80/b?c", true),
        ("wss://u:p@h/", "wss://h:443/", true),
        ("ws://[fe80::1%25a]/", "ws://[fe80::1%a]/r", true),
        ("ws+unix:///s:/a", "ws+unix:///s:/b", true),
        ("ws://h/", "wss://h/", false),
        ("ws://h:443/", "wss://h:443/", false),
        ("ws://h/", "ws://h:81/", false),
        ("ws://h/", "ws://h./", false),
        ("ws://a.h/", "ws://h/", false),
        ("ws://[fe80::1%25a]/", "ws://[fe80::1%25b]/", false),
        ("ws+unix:///s:/a", "ws+unix:///t:/a", false),
        ("ws+unix:///s:/a", "ws://localhost/a", false),
    ];
    for (one, other, expected) in pairs {
        assert_eq!((same(one, other), same(other, one)), (expected, expected), "{one} {other}");
    }
}

#[test]
fn a_log_sees_neither_userinfo_nor_query() {
    let target = Target::parse("wss://john:s3cret@h:1/r?token=s3cret").unwrap();
    assert_eq!(without_query(&target.to_string()), "wss://h:1/r");
}

#[test]
fn credentials_are_decoded() {
    let cases = [
        ("john%40x:a%3Ab", Some(("john@x", "a:b"))),
        ("john", Some(("john", ""))),
        ("john:", Some(("john", ""))),
        ("", Some(("", ""))),
        ("j%FF:a", None),
    ];
    for (userinfo, expected) in cases {
        let credentials = UserInfo(userinfo.into()).credentials();
        let shown = credentials.as_ref().map(|found| (found.user.as_str(), found.password.as_str()));
        assert_eq!(shown, expected, "{userinfo}");
    }
    assert_eq!(UserInfo("j%FF".into()).bytes(), b"j\xff:");
}

#[test]
fn everything_else_is_refused_with_a_reason() {
    let character = |character, at| UrlError::Character { character, at };
    let cases: &[(&str, UrlError)] = &[
        ("", UrlError::NoScheme),
        ("ws", UrlError::NoScheme),
        ("example.com", UrlError::NoScheme),
        ("ws//example.com", UrlError::NoScheme),
        ("ws:h", UrlError::NoScheme),
        ("ws:/h", UrlError::NoScheme),
        ("localhost:80", UrlError::NoScheme),
        ("://h", UrlError::NoScheme),
        ("1ws://h", UrlError::NoScheme),
        ("w s://h", UrlError::NoScheme),
        ("http://h", UrlError::Scheme("http".into())),
        ("HTTPS://h", UrlError::Scheme("https".into())),
        ("wsss://h", UrlError::Scheme("wsss".into())),
        ("ws://", UrlError::EmptyHost),
        ("ws:///x", UrlError::EmptyHost),
        ("ws://:80/", UrlError::EmptyHost),
        ("ws://user@/x", UrlError::EmptyHost),
        ("ws://?q", UrlError::EmptyHost),
        ("ws://#", UrlError::EmptyHost),
        ("ws://h:0/", UrlError::Port("0".into())),
        ("ws://h:65536/", UrlError::Port("65536".into())),
        ("ws://h:99999999999999999999/", UrlError::Port("99999999999999999999".into())),
        ("ws://h:abc/", UrlError::Port("abc".into())),
        ("ws://h:+80/", UrlError::Port("+80".into())),
        ("ws://h:-1/", UrlError::Port("-1".into())),
        ("ws://h:8\u{664}/", UrlError::Port("8\u{664}".into())),
        ("ws://::1/", UrlError::UnbracketedIpv6),
        ("ws://2a03:4000::3:80/", UrlError::UnbracketedIpv6),
        ("ws://[::1", UrlError::UnbracketedIpv6),
        ("ws://[::1]x:80", UrlError::Ipv6("[::1]x:80".into())),
        ("ws://[]/", UrlError::Ipv6("[]".into())),
        ("ws://[h]/", UrlError::Ipv6("[h]".into())),
        ("ws://[1.2.3.4]/", UrlError::Ipv6("[1.2.3.4]".into())),
        ("ws://[1::2::3]/", UrlError::Ipv6("[1::2::3]".into())),
        ("ws://[v1.a]/", UrlError::Ipv6("[v1.a]".into())),
        ("ws://a[::1]/", UrlError::Ipv6("a[::1]".into())),
        ("ws://a]/", UrlError::Ipv6("a]".into())),
        ("ws://[fe80::1%]/", UrlError::ZoneId),
        ("ws://[fe80::1%25]/", UrlError::ZoneId),
        ("ws://[fe80::1%25a b]/", character(' ', 17)),
        ("ws://[fe80::1%25a%2Fb]/", UrlError::ZoneId),
        ("ws://[fe80::1%25a%00]/", UrlError::ZoneId),
        ("ws://[fe80::1%25a@b]/", UrlError::Ipv6("b]".into())),
        ("ws://[fe80::1%25a%25b]/", UrlError::ZoneId),
        ("ws://[::1%25lo]/", UrlError::ZoneId),
        ("ws://[2001:db8::1%eth0]/", UrlError::ZoneId),
        ("ws://[%25eth0]/", UrlError::Ipv6("[%25eth0]".into())),
        ("ws://fe80::1%25eth0/", UrlError::UnbracketedIpv6),
        ("ws://h%25eth0/", UrlError::Host("h%25eth0".into())),
        ("ws+unix://", UrlError::UnixSocket),
        ("ws+unix:///", UrlError::UnixSocket),
        ("ws+unix://run/socket", UrlError::UnixSocket),
        ("ws+unix://:80/run/socket", UrlError::UnixSocket),
        ("ws+unix://?q", UrlError::UnixSocket),
        ("ws+unix://:/r", UrlError::UnixSocket),
        ("ws+unix:///run/socket:r", UrlError::UnixSocket),
        ("ws+unix:///run/a%00b", UrlError::UnixSocket),
        ("ws+unix:///run/a%FFb", UrlError::UnixSocket),
        ("ws+unix:/run/socket", UrlError::NoScheme),
        ("ws+unix:///run/a\nb", character('\n', 16)),
        ("ws://0x7f.1/", UrlError::Ipv4("0x7f.1".into())),
        ("ws://127.1/", UrlError::Ipv4("127.1".into())),
        ("ws://2130706433/", UrlError::Ipv4("2130706433".into())),
        ("ws://0177.0.0.1/", UrlError::Ipv4("0177.0.0.1".into())),
        ("ws://127.0.0.1./", UrlError::Ipv4("127.0.0.1.".into())),
        ("ws://1.2.3.256/", UrlError::Ipv4("1.2.3.256".into())),
        ("ws://1.2.3.4.5/", UrlError::Ipv4("1.2.3.4.5".into())),
        ("ws://\u{ff11}.2.3.4/", UrlError::Ipv4("\u{ff11}.2.3.4".into())),
        ("ws://a..b/", UrlError::Host("a..b".into())),
        ("ws://.a/", UrlError::Host(".a".into())),
        ("ws://./", UrlError::Host(".".into())),
        ("ws://ex%61mple/", UrlError::Host("ex%61mple".into())),
        ("ws://a%00b/", UrlError::Host("a%00b".into())),
        ("ws://a<b/", UrlError::Host("a<b".into())),
        ("ws://a|b/", UrlError::Host("a|b".into())),
        ("ws://\u{ad}/", UrlError::Host("\u{ad}".into())),
        ("ws://a@b@c/", UrlError::UserInfo),
        ("ws://user:pass/word@host/", UrlError::UserInfo),
        ("ws://user:pass?word@host/", UrlError::UserInfo),
        ("ws://user:pass#word@host/", UrlError::UserInfo),
        ("ws://us[er/:password@host/", UrlError::UserInfo),
        (" ws://h", character(' ', 0)),
        ("ws://h ", character(' ', 6)),
        ("ws://h/\u{a0}", character('\u{a0}', 7)),
        ("ws://h h/", character(' ', 6)),
        ("ws://u u@h/", character(' ', 6)),
        ("ws://h :80/", character(' ', 6)),
        ("ws://h\t/", character('\t', 6)),
        ("ws://h/a\r\nX: y", character('\r', 8)),
        ("ws://h/?\n", character('\n', 8)),
        ("ws://h/#\0", character('\0', 8)),
        ("ws://h/\u{7f}", character('\u{7f}', 7)),
        ("ws://h/\u{85}/", character('\u{85}', 7)),
        ("ws:\\\\h", character('\\', 3)),
        ("ws://h\\@evil/", character('\\', 6)),
        ("ws://h/a\\b", character('\\', 8)),
    ];
    for (url, expected) in cases {
        assert_eq!(Target::parse(url).as_ref(), Err(expected), "{url:?}");
    }
}

#[test]
fn names_longer_than_the_dns_allows_are_refused() {
    let label = "a".repeat(63);
    let name = [label.as_str(); 4].join(".");
    assert_eq!(name.len(), 255);
    assert!(Target::parse(&format!("ws://{}", &name[2..])).is_ok());
    assert!(Target::parse(&format!("ws://{}.", &name[2..])).is_ok());
    assert!(Target::parse(&format!("ws://{}", &name[1..])).is_err());
    assert!(Target::parse(&format!("ws://a{label}.b")).is_err());
}

/// Otherwise a user without a name would be told to the server.
#[test]
fn an_at_sign_with_nothing_before_it_is_no_userinfo() {
    assert_eq!(Target::parse("ws://@example.com/").unwrap(), Target::parse("ws://example.com/").unwrap());
    assert_eq!(Target::parse("ws://:@example.com/").unwrap().userinfo, Some(UserInfo(":".into())));
}

#[test]
fn userinfo_is_kept_apart_and_never_shown() {
    let target = Target::parse("wss://john%40x:s3cret@h:1/r").unwrap();
    assert_eq!(target.userinfo, Some(UserInfo("john%40x:s3cret".into())));
    assert_eq!(target.to_string(), "wss://h:1/r");
    assert!(!format!("{target:?}").contains("s3cret"));
    let error = Target::parse("wss://john:s3cret@h h/").unwrap_err();
    assert!(!error.to_string().contains("s3cret"));
}

#[test]
fn host_and_origin_leave_the_port_out_where_it_is_the_schemes_own() {
    let cases = [
        ("ws://h", "h", "http://h"),
        ("ws://h:80", "h", "http://h"),
        ("ws://h:443", "h:443", "http://h:443"),
        ("wss://h:443", "h", "https://h"),
        ("wss://h:80", "h:80", "https://h:80"),
        ("wss://h:8443", "h:8443", "https://h:8443"),
        ("ws://[::1]", "[::1]", "http://[::1]"),
        ("ws://[::1]:81", "[::1]:81", "http://[::1]:81"),
    ];
    for (url, host, origin) in cases {
        let target = Target::parse(url).unwrap();
        assert_eq!((target.host_header(), target.origin()), (host.into(), origin.into()), "{url}");
    }
}

#[test]
fn a_password_whose_end_is_encoded_or_misplaced_is_not_shown() {
    let urls = [
        "ws://user:s3cret%40host/",
        "ws://user:s3cret%2540host/",
        "ws://user:s3cret%252540host:80/",
        "ws://user%3As3cret%40host",
        "ws://user%3as3cret",
        "ws://user%253As3cret",
        "ws://user:s3cret\u{ff20}host/",
        "ws://user\u{ff1a}s3cret/",
        "ws://user:s3cret%EF%BC%A0host/",
        "ws://user@x:s3cret%40host/",
        "ws://user:s3cret/x%40host/",
        "ws://user:s3cret?x%2540host/",
        "ws://user:s3cret%40[::1]/",
        "ws://user:s3cret]%40host/",
    ];
    for url in urls {
        assert_eq!(Target::parse(url), Err(UrlError::UserInfo), "{url}");
    }
}

#[test]
fn an_error_holds_no_more_of_a_url_than_can_be_read() {
    let long = "x".repeat(100_000);
    let urls = [
        format!("ws://h:{long}/"),
        format!("ws://{long}%/"),
        format!("ws://[{long}]/"),
        format!("ws://1.{}2/", "0.".repeat(100_000)),
        format!("{long}://h/"),
    ];
    for url in urls {
        let error = Target::parse(&url).unwrap_err();
        assert!(error.to_string().len() < 300 && format!("{error:?}").len() < 300);
        assert!(error.to_string().contains('…'), "{error}");
    }
    assert_eq!(Target::parse("ws://a\u{202e}b/").unwrap_err().to_string(), r#""a\u{202e}b" is not a host name"#);
    let port = "1".repeat(200);
    assert_eq!(Target::parse(&format!("ws://h:{port}/")), Err(UrlError::Port(port.into())));
}

#[test]
fn errors_are_small() {
    assert!(size_of::<UrlError>() <= 24);
}

/// Texts that have a chance to be a URL.
fn url_like() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-z0-9.\u{e9}\u{df}\u{3002}_-]{1,12}",
        "[0-9]{1,3}(\\.[0-9]{1,3}){1,4}",
        "\\[[0-9a-f:.]{2,16}(%25|%)?[a-z0-9]{0,4}\\]",
        "[!-~]{1,8}",
    ];
    let socket = "(ws|wss)\\+unix://[/a-z%0-9:?#.]{0,20}";
    prop_oneof![
        (prop_oneof!["ws", "wss", "WS"], host, "(:[0-9]{0,6})?", "([/?#][!-~\u{e9} ]{0,12})?")
            .prop_map(|(scheme, host, port, rest)| format!("{scheme}://{host}{port}{rest}")),
        socket.prop_map(String::from),
        "(ws|wss|)(://|)[\\PC\\s]{0,40}".prop_map(String::from),
    ]
}

/// URLs that somebody has written wrong, with the password `s3cret` in them.
fn with_password() -> impl Strategy<Value = String> {
    let scheme = prop_oneof!["ws://", "wss://", "WS://", "http://", "socks5://", "ws:/", "ws:", "//", "", "ws+unix://"];
    let colon = prop_oneof![Just(":"), Just("%3A"), Just("%3a"), Just("%253A"), Just("\u{ff1a}"), Just("::")];
    let junk = "([a-z0-9/?#:@%\\[\\] .\\\\\u{e9}-]|%2[0F]|%3[AF]|%40|%25){0,4}";
    let at = prop_oneof![Just("@"), Just("%40"), Just("%2540"), Just("%252540"), Just("\u{ff20}"), Just("%EF%B9%AB")];
    let host = "(h|h\\.example|\\[::1\\]|127\\.0\\.0\\.1|a b|x%|\\[|)(:[0-9]{0,6}|:x)?(/[a-z]{0,3})?(\\?[a-z]{0,3})?";
    (scheme, "[a-z\\[]{0,3}", colon, junk, junk, at, host).prop_map(
        |(scheme, user, colon, before, behind, at, host)| {
            format!("{scheme}{user}{colon}{before}s3cret{behind}{at}{host}")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_error_shows_a_password(url in with_password()) {
        let base = Target::parse("wss://h/a").unwrap();
        for error in [Target::parse(&url).err(), base.resolve(&url).err(), base.resolve(&format!("//{url}")).err()] {
            let shown = error.map(|error| format!("{error} {error:?}")).unwrap_or_default();
            prop_assert!(!shown.contains("s3cret"), "{shown}");
        }
        if let Err(error) = ProxyUrl::parse(&url) {
            let shown = format!("{error} {error:?} {:?}", crate::options::Proxy::new(url));
            prop_assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_panics_and_what_is_accepted_is_safe_in_a_request(url in url_like()) {
        if let Ok(target) = Target::parse(&url) {
            let shown = target.to_string();
            prop_assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown:?}");
            prop_assert!(target.resource.starts_with('/'));
            prop_assert!(target.host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/\\?#@[]%".contains(&byte)));
            prop_assert_eq!(Target { userinfo: None, ..target }, Target::parse(&shown).unwrap());
        }
    }

    #[test]
    fn the_host_is_the_one_that_browsers_would_ask(url in url_like()) {
        if let (Ok(target), Ok(theirs)) = (Target::parse(&url), url::Url::parse(&url))
            && target.socket_path.is_none()
        {
            match theirs.host() {
                Some(url::Host::Domain(name)) => prop_assert_eq!(&target.host, name),
                Some(url::Host::Ipv4(address)) => prop_assert_eq!(&target.host, &address.to_string()),
                Some(url::Host::Ipv6(address)) => {
                    prop_assert_eq!(target.host.parse::<std::net::Ipv6Addr>().ok(), Some(address));
                }
                None => prop_assert!(false, "{}", url),
            }
            prop_assert_eq!(Some(target.port), theirs.port_or_known_default());
            prop_assert_eq!(target.secure, theirs.scheme() == "wss");
        }
    }

    #[test]
    fn a_reference_leads_to_something_safe_or_nowhere(reference in "[/.?#:a-zA-Z0-9@%\u{e9} \\[\\]\\\\-]{0,30}") {
        let base = Target::parse("wss://user:s3cret@h:1/a/b?c").unwrap();
        if let Ok(target) = base.resolve(&reference) {
            prop_assert!(target.resource.starts_with('/') && target.userinfo.is_none());
            prop_assert_eq!(&target, &Target::parse(&target.to_string()).unwrap());
        }
    }
}
