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
        ("ws+unix:///run/socket", UrlError::UnixSocket),
        ("WSS+UNIX:///run/socket", UrlError::UnixSocket),
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
        ("ws://[fe80::1%25eth0]/", UrlError::ZoneId),
        ("ws://[fe80::1%eth0]:80/", UrlError::ZoneId),
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
fn errors_are_small() {
    assert!(size_of::<UrlError>() <= 24);
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_accepted_is_safe_in_a_request(url in "(ws|wss|)(://|)[\\PC\\s]{0,40}") {
        if let Ok(target) = Target::parse(&url) {
            let shown = target.to_string();
            prop_assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown:?}");
            prop_assert!(target.resource.starts_with('/'));
            prop_assert_eq!(Target { userinfo: None, ..target }, Target::parse(&shown).unwrap());
        }
    }
}
