//! Fields that servers send, domains, paths, and the requests that cookies are for.

mod fields {
    use super::super::*;

    const NOW: u64 = 1_000_000_000;

    /// The cookie that `wss://h.example/a/b` sets.
    fn set(field: &str) -> Result<Cookie, CookieError> {
        let target = parse_url("wss://h.example/a/b").unwrap();
        Cookie::parse(field, &RequestUri::of(&target).unwrap(), NOW)
    }

    #[test]
    fn the_end_of_a_cookie_is_computed_from_the_time_that_is_given() {
        let table = [
            ("a=1", None),
            ("a=1; Max-Age=60", Some(NOW + 60)),
            ("a=1; max-age = 60 ", Some(NOW + 60)),
            ("a=1; Max-Age=0", Some(0)),
            ("a=1; Max-Age=-1", Some(0)),
            ("a=1; Max-Age=99999999999999999999999", Some(u64::MAX)),
            ("a=1; Max-Age=18446744073709551615", Some(u64::MAX)),
            ("a=1; Max-Age=-99999999999999999999999", Some(0)),
            ("a=1; Max-Age=", None),
            ("a=1; Max-Age=-", None),
            ("a=1; Max-Age=+60", None),
            ("a=1; Max-Age=6e1", None),
            ("a=1; Max-Age=60; Max-Age=x", Some(NOW + 60)),
            ("a=1; Max-Age=60; Max-Age=70", Some(NOW + 70)),
            ("a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=60", Some(NOW + 60)),
            ("a=1; Max-Age=60; Expires=Sun, 06 Nov 1994 08:49:37 GMT", Some(NOW + 60)),
            ("a=1; Expires=soon", None),
        ];
        for (field, expires) in table {
            assert_eq!(set(field).ok().unwrap().expires, expires, "{field}");
        }
        let cookie = set("a=1; Max-Age=60").ok().unwrap();
        assert!(!cookie.is_expired(NOW + 59) && cookie.is_expired(NOW + 60));
        assert!(!set("a=1").ok().unwrap().is_expired(u64::MAX));
    }

    #[test]
    fn paths_match_at_the_borders_of_directories() {
        let table = [
            ("/", "/", true),
            ("/a", "/", true),
            ("/a", "/a", true),
            ("/a/", "/a", true),
            ("/a/b", "/a", true),
            ("/a/b", "/a/", true),
            ("/ab", "/a", false),
            ("/a", "/a/", false),
            ("/A", "/a", false),
            ("/", "/a", false),
            ("/a%2Fb", "/a", false),
        ];
        for (path, above, expected) in table {
            assert_eq!(is_at_or_below(path, above), expected, "{path} for a cookie of {above}");
        }
    }

    #[test]
    fn attributes_are_read_as_servers_write_them() {
        let cookie = set(" a = b=c \"d\" ;\tPATH=/x;secure ; HttpOnly=no; SameSite=Lax; Partitioned;;").ok().unwrap();
        assert_eq!((cookie.name.as_str(), cookie.value.as_deref()), ("a", Some("b=c \"d\"")));
        assert_eq!((cookie.path.as_str(), cookie.is_secure, cookie.is_http_only), ("/x", true, true));
        assert_eq!(set("a=; Path=/x; Path=y").ok().unwrap().path, "/a");
        assert_eq!(set("a=; Path").ok().unwrap().path, "/a");
        assert_eq!(set(&format!("a=; Path=/{}", "x".repeat(MAX_ATTRIBUTE))).ok().unwrap().path, "/a");
        assert_eq!(set("a=; Domain=").ok().unwrap().scope, Scope::Host("h.example".into()));
        assert_eq!(set("a=; Domain=h.example; Domain=").ok().unwrap().scope, Scope::Domain("h.example".into()));
    }
}

mod scope {
    use super::super::*;

    fn host(name: &str) -> Result<Scope, CookieError> {
        Ok(Scope::Host(name.into()))
    }

    fn domain(name: &str) -> Result<Scope, CookieError> {
        Ok(Scope::Domain(name.into()))
    }

    const FOREIGN: Result<Scope, CookieError> = Err(CookieError::Domain);
    const SUFFIX: Result<Scope, CookieError> = Err(CookieError::PublicSuffix);

    #[test]
    fn a_domain_must_cover_the_host_and_hosts_of_one_owner_only() {
        let table = [
            ("a.example.com", "example.com", domain("example.com")),
            ("a.example.com", ".Example.COM", domain("example.com")),
            ("a.b.example.com", "b.example.com", domain("b.example.com")),
            ("example.com", "example.com", domain("example.com")),
            ("example.com", "a.example.com", FOREIGN),
            ("b.example.com", "a.example.com", FOREIGN),
            ("badexample.com", "example.com", FOREIGN),
            ("example.com", "ample.com", FOREIGN),
            ("example.com", "..example.com", FOREIGN),
            ("example.com", "example.com.", FOREIGN),
            ("example.com.", "example.com", FOREIGN),
            ("example.com.", "com.", FOREIGN),
            ("example.com", "exa mple.com", FOREIGN),
            ("example.com", "example.com/", FOREIGN),
            ("example.com", "example.com:80", FOREIGN),
            ("example.com", "%65xample.com", FOREIGN),
            ("example.com", ".", FOREIGN),
            ("example.com", "com", SUFFIX),
            ("example.com", ".com", SUFFIX),
            ("example.co.uk", "co.uk", SUFFIX),
            ("example.co.uk", "uk", SUFFIX),
            ("example.co.uk", "example.co.uk", domain("example.co.uk")),
            ("me.github.io", "github.io", SUFFIX),
            ("me.github.io", "me.github.io", domain("me.github.io")),
            ("github.io", "github.io", host("github.io")),
            ("co.uk", "co.uk", host("co.uk")),
            ("a.b.ck", "b.ck", SUFFIX),
            ("a.www.ck", "www.ck", domain("www.ck")),
            ("a.city.kawasaki.jp", "city.kawasaki.jp", domain("city.kawasaki.jp")),
            ("a.b.kawasaki.jp", "b.kawasaki.jp", SUFFIX),
            ("a.xn--55qx5d.cn", "xn--55qx5d.cn", SUFFIX),
            ("a.xn--55qx5d.cn", "\u{516c}\u{53f8}.cn", SUFFIX),
            ("a.xn--bcher-kva.example", "b\u{fc}cher.example", domain("xn--bcher-kva.example")),
            ("a.corp.internal", "internal", SUFFIX),
            ("a.corp.internal", "corp.internal", domain("corp.internal")),
            ("localhost", "localhost", host("localhost")),
            ("a.localhost", "localhost", SUFFIX),
            ("127.0.0.1", "127.0.0.1", host("127.0.0.1")),
            ("127.0.0.1", "0.0.1", FOREIGN),
            ("127.0.0.1", "1", FOREIGN),
            ("127.0.0.1", "7.0.0.1", FOREIGN),
            ("::1", "[::1]", host("::1")),
            ("::1", "::1", FOREIGN),
            ("fe80::1%eth0", "[fe80::1]", FOREIGN),
        ];
        for (from, attribute, expected) in table {
            assert_eq!(Scope::new(from, Some(attribute)), expected, "{from} sets Domain={attribute}");
        }
        assert_eq!(Scope::new("example.com", None), host("example.com"));
    }

    #[test]
    fn a_domain_covers_what_is_below_it_and_a_host_does_not() {
        let table = [
            ("example.com", true, true),
            ("a.example.com", false, true),
            ("a.b.example.com", false, true),
            ("badexample.com", false, false),
            ("com", false, false),
            ("example.com.", false, false),
            ("example.com.evil.example", false, false),
        ];
        for (name, by_host, by_domain) in table {
            assert_eq!(Scope::Host("example.com".into()).covers(name), by_host, "{name}");
            assert_eq!(Scope::Domain("example.com".into()).covers(name), by_domain, "{name}");
        }
    }
}

mod request_uri {
    use super::super::*;

    #[test]
    fn the_default_path_is_the_directory() {
        let table = [
            ("ws://h", "/"),
            ("ws://h/", "/"),
            ("ws://h/a", "/"),
            ("ws://h/a/", "/a"),
            ("ws://h/a/b", "/a"),
            ("ws://h/a/b/c/", "/a/b/c"),
            ("ws://h/a?b/c", "/"),
            ("ws://h?a/b", "/"),
            ("HTTPS://h//", "/"),
            ("http://h/a/b?/c#/d/e", "/a"),
        ];
        for (url, path) in table {
            assert_eq!(RequestUri::of(&parse_url(url).unwrap()).unwrap().default_path(), path, "{url}");
        }
    }

    #[test]
    fn a_unix_socket_is_no_place_and_a_zone_is_a_part_of_one() {
        let target = Target::parse("ws://[fe80::1%25eth0]/").unwrap();
        assert_eq!(RequestUri::of(&target).unwrap().host, "fe80::1%eth0");
        let target = Target::parse("ws+unix:///run/feed.sock:/a").unwrap();
        assert_eq!(RequestUri::of(&target).err(), Some(CookieError::NoHost));
    }

    #[test]
    fn http_stands_for_ws_and_other_schemes_for_nothing() {
        assert_eq!(parse_url("https://h:8443/a"), Target::parse("wss://h:8443/a"));
        assert_eq!(parse_url("HTTP://h/"), Target::parse("ws://h/"));
        assert_eq!(parse_url("ftp://h/"), Err(UrlError::Scheme("ftp".into())));
    }
}
