//! The table of choices, the variables of the environment, and the entries of the lists.

mod table {
    use std::path::PathBuf;

    use crate::error::{Error, ProxyError, ProxyUrlError};
    use crate::net::connect::Dialer;
    use crate::net::deadline::Deadline;
    use crate::net::proxy::ProxyHop;
    use crate::net::proxy::choice::{choose, choose_from};
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
}

mod environment {
    use super::super::*;

    /// What the variables name, wherever it is asked for.
    fn proxy_of_environment(is_secure: bool, variables: Variables<'_>) -> Result<Option<ProxyUrl>, ProxyError> {
        proxy_variable(is_secure, variables).map(|(name, value)| parse_variable(name, &value)).transpose()
    }

    /// Whoever has set the variables for all programs did not mean what no proxy can do.
    #[test]
    fn a_server_on_a_link_of_this_machine_is_connected_to_directly() {
        let get = |name: &str| (name == "all_proxy").then(|| "http://a:1".to_owned());
        let is_proxied =
            |url| choose_from(&Target::parse(url).unwrap(), &ConnectOptions::new(), &get).unwrap().is_some();
        assert!(!is_proxied("ws://[fe80::1%25eth0]/") && !is_proxied("wss://[fe80::1%252]:9/"));
        assert!(is_proxied("ws://[fe80::1]/") && is_proxied("ws://[::1]/"));
    }

    /// Where the proxy is for `ws` and for `wss`.
    fn found(variables: &[(&str, &str)]) -> (Option<String>, Option<String>) {
        let get = |name: &str| Some(variables.iter().find(|(known, _)| *known == name)?.1.to_owned());
        let host = |is_secure| proxy_of_environment(is_secure, &get).unwrap().map(|url| url.host_and_port());
        (host(false), host(true))
    }

    #[test]
    fn the_table_of_variables() {
        type Row = (&'static [(&'static str, &'static str)], Option<&'static str>, Option<&'static str>);
        let table: &[Row] = &[
            (&[], None, None),
            (&[("http_proxy", "http://a:1")], Some("a:1"), None),
            (&[("https_proxy", "http://a:1")], None, Some("a:1")),
            (&[("ws_proxy", "http://a:1")], Some("a:1"), None),
            (&[("wss_proxy", "http://a:1")], None, Some("a:1")),
            (&[("all_proxy", "http://a:1")], Some("a:1"), Some("a:1")),
            (&[("HTTP_PROXY", "http://a:1")], Some("a:1"), None),
            (&[("HTTPS_PROXY", "http://a:1")], None, Some("a:1")),
            (&[("WS_PROXY", "http://a:1"), ("WSS_PROXY", "http://b:1")], Some("a:1"), Some("b:1")),
            (&[("ALL_PROXY", "http://a:1")], Some("a:1"), Some("a:1")),
            // The most special one counts, in whatever case.
            (&[("http_proxy", "a:1"), ("ws_proxy", "b:1"), ("all_proxy", "c:1")], Some("b:1"), Some("c:1")),
            (&[("https_proxy", "a:1"), ("WSS_PROXY", "b:1"), ("all_proxy", "c:1")], Some("c:1"), Some("b:1")),
            (&[("http_proxy", "a:1"), ("https_proxy", "b:1"), ("all_proxy", "c:1")], Some("a:1"), Some("b:1")),
            // Lower case counts.
            (&[("http_proxy", "a:1"), ("HTTP_PROXY", "b:1")], Some("a:1"), None),
            (&[("all_proxy", "a:1"), ("ALL_PROXY", "b:1")], Some("a:1"), Some("a:1")),
            // Empty is none, and hides upper case.
            (&[("http_proxy", "")], None, None),
            (&[("http_proxy", " ")], None, None),
            (&[("http_proxy", ""), ("HTTP_PROXY", "b:1")], None, None),
            (&[("ws_proxy", ""), ("http_proxy", "b:1")], Some("b:1"), None),
            (&[("HTTPS_PROXY", ""), ("all_proxy", "b:1")], Some("b:1"), Some("b:1")),
            // Whoever sends a request to a CGI program has no say.
            (&[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET")], None, None),
            (&[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "")], None, None),
            (&[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET"), ("ALL_PROXY", "a:1")], Some("a:1"), Some("a:1")),
            (&[("HTTPS_PROXY", "a:1"), ("REQUEST_METHOD", "GET")], None, Some("a:1")),
            // What it may hold.
            (&[("http_proxy", "http://localhost/")], Some("localhost:80"), None),
            (&[("http_proxy", "localhost")], Some("localhost:80"), None),
            (&[("all_proxy", "socks5h://[::1]")], Some("[::1]:1080"), Some("[::1]:1080")),
            (&[("https_proxy", " https://a\n")], None, Some("a:443")),
            (&[("Http_Proxy", "a:1")], None, None),
        ];
        for (variables, ws, wss) in table {
            let expected = (ws.map(str::to_owned), wss.map(str::to_owned));
            assert_eq!(found(variables), expected, "{variables:?}");
        }
    }

    /// GNOME sets `all_proxy` so, and its proxy is of version 5.
    #[test]
    fn socks_without_a_version_in_all_proxy_is_5_and_the_proxy_resolves_names() {
        let of =
            |name: &str, value: &str| proxy_of_environment(true, &|asked| (asked == name).then(|| value.to_owned()));
        for (name, value) in [
            ("all_proxy", "socks://p:9050/"),
            ("ALL_PROXY", " SOCKS://u:s3cret@P"),
            ("all_proxy", "socks://[fe80::1%25lo]:1"),
        ] {
            let expected = ProxyUrl::parse(&value.trim().to_ascii_lowercase().replacen("socks", "socks5h", 1)).unwrap();
            assert_eq!(of(name, value).unwrap(), Some(expected), "{name}={value}");
        }
        for (name, value) in [("all_proxy", "socks://p:0"), ("all_proxy", "socks://"), ("https_proxy", "socks://p")] {
            assert!(of(name, value).is_err(), "{name}={value}");
        }
    }

    #[cfg(not(windows))]
    #[test]
    fn lower_case_is_trusted_in_a_cgi_program() {
        assert_eq!(found(&[("http_proxy", "a:1"), ("REQUEST_METHOD", "GET")]).0.as_deref(), Some("a:1"));
    }

    #[test]
    fn what_is_no_url_is_told_by_the_variable_and_never_by_its_value() {
        let table = [
            ("http_proxy", "s3cret://user:s3cret@proxy", ProxyUrlError::Scheme),
            ("WS_PROXY", "http://user:s3/cret@proxy", ProxyUrlError::Port),
            ("all_proxy", "http://user:s3cret@", ProxyUrlError::Host),
            ("ALL_PROXY", "http://proxy/s3cret", ProxyUrlError::Path),
            ("http_proxy", "\u{fffd}s3cret", ProxyUrlError::Host),
        ];
        for (name, value, expected) in table {
            let get = |asked: &str| (asked == name).then(|| value.to_owned());
            let error = proxy_of_environment(false, &get).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains(name) && !said.contains("s3"), "{said}");
            assert!(matches!(error, ProxyError::Url { variable: Some(_), problem } if problem == expected), "{said}");
        }
    }

    #[test]
    fn the_list_follows_the_same_rules() {
        let list = |variables: &[(&str, &str)]| {
            bypass_of_environment(&|name| Some(variables.iter().find(|(known, _)| *known == name)?.1.to_owned()))
        };
        assert_eq!(list(&[]), None);
        assert_eq!(list(&[("NO_PROXY", "a")]).as_deref(), Some("a"));
        assert_eq!(list(&[("no_proxy", "b"), ("NO_PROXY", "a")]).as_deref(), Some("b"));
        assert_eq!(list(&[("no_proxy", ""), ("NO_PROXY", "a")]), None);
        assert_eq!(list(&[("NO_PROXY", "a"), ("REQUEST_METHOD", "GET")]).as_deref(), Some("a"));
    }
}

mod bypass {
    use super::super::*;

    #[track_caller]
    fn check(url: &str, list: &str, expected: bool) {
        let target = Target::parse(url).unwrap();
        assert_eq!(is_bypassed("no_proxy", [list], &target), expected, "{url} and {list:?}");
    }

    #[test]
    fn the_table_of_names() {
        let table = [
            ("ws://example.com/", "example.com", true),
            ("ws://example.com/", "EXAMPLE.com", true),
            ("ws://EXAMPLE.COM/", "example.com", true),
            ("ws://example.com./", "example.com", true),
            ("ws://example.com/", "example.com.", true),
            ("ws://example.com/", "other.com", false),
            ("ws://example.com/", "example.org", false),
            ("ws://example.com/", "com", true),
            ("ws://example.com/", ".com", true),
            ("ws://example.com/", "om", false),
            ("ws://example.com/", "ample.com", false),
            ("ws://notexample.com/", "example.com", false),
            ("ws://notexample.com/", ".example.com", false),
            ("ws://a.example.com/", "example.com", true),
            ("ws://a.b.example.com/", "example.com", true),
            ("ws://a.example.com/", ".example.com", true),
            ("ws://example.com/", ".example.com", true),
            ("ws://a.example.com/", "*.example.com", true),
            ("ws://a.b.example.com/", "*.Example.com", true),
            ("ws://example.com/", "*.example.com", false),
            ("ws://notexample.com/", "*.example.com", false),
            ("ws://a.example.com/", "a.example.com.evil", false),
            ("ws://example.com.evil/", "example.com", false),
            ("ws://echo.websocket.org/", ".websocket.org", true),
            ("ws://my.other.websocket.org/", "websocket.org", true),
            ("ws://websocket.com/", ".websocket.org", false),
            ("ws://b\u{fc}cher.example/", "b\u{fc}cher.example", true),
            ("ws://b\u{fc}cher.example/", "B\u{dc}CHER.example", true),
            ("ws://a.xn--bcher-kva.example/", ".b\u{fc}cher.example", true),
            ("ws://b\u{fc}cher.example/", "xn--bcher-kva.example", true),
            ("ws://a.example/", "\u{fffd}.example", false),
            ("ws://a.b/", "*.*", false),
            ("ws://ab.example/", "a*.example", false),
            ("ws://localhost/", "", false),
            ("ws://localhost/", "localhost", true),
            ("ws://localhost/", "127.0.0.1", false),
            ("ws://localhost/", "localhost.localdomain", false),
            ("ws://host/", ".", false),
            ("ws://host/", "..", false),
            ("ws://host/", "*.", false),
            ("ws://host./", ".", false),
        ];
        for (url, list, expected) in table {
            check(url, list, expected);
        }
    }

    #[test]
    fn the_table_of_addresses() {
        let table = [
            ("ws://127.0.0.1/", "127.0.0.1", true),
            ("ws://127.0.0.1/", "127.0.0.2", false),
            ("ws://127.0.0.1/", "0.0.1", false),
            ("ws://127.0.0.1/", ".0.0.1", false),
            ("ws://127.0.0.1/", "127.0.0", false),
            ("ws://127.0.0.1/", "127.1", false),
            ("ws://127.0.0.1/", "127.000.0.1", false),
            ("ws://127.0.0.1/", "localhost", false),
            ("ws://127.0.0.1/", "127.0.0.0/8", true),
            ("ws://127.1.0.1/", "127.0.0.0/8", true),
            ("ws://127.1.0.1/", "127.0.0.0/24", false),
            ("ws://127.1.0.1/", "127.0.0.1/8", true),
            ("ws://10.1.2.3/", "10.0.0.0/8", true),
            ("ws://11.1.2.3/", "10.0.0.0/8", false),
            ("ws://10.1.2.3/", "10.1.2.3/32", true),
            ("ws://10.1.2.4/", "10.1.2.3/32", false),
            ("ws://10.1.2.3/", "0.0.0.0/0", true),
            ("ws://[::1]/", "0.0.0.0/0", false),
            ("ws://10.1.2.3/", "::/0", false),
            ("ws://[2001:db8::1]/", "::/0", true),
            ("ws://10.1.2.3/", "10.0.0.0/33", false),
            ("ws://10.1.2.3/", "10.0.0.0/", false),
            ("ws://10.1.2.3/", "10.0.0.0/+8", false),
            ("ws://10.1.2.3/", "10.0.0.0/-1", false),
            ("ws://10.1.2.3/", "10.0.0.0/255.0.0.0", false),
            ("ws://10.1.2.3/", "10.0.0.0/8/8", false),
            ("ws://10.1.2.3/", "/8", false),
            ("ws://10.0.0.0.example/", "10.0.0.0/8", false),
            ("ws://[::1]/", "::1", true),
            ("ws://[::1]/", "[::1]", true),
            ("ws://[0:0::1]/", "0:0:0:0:0:0:0:1", true),
            ("ws://[2001:DB8::1]/", "2001:db8:0::1", true),
            ("ws://[::1]/", "[::1", false),
            ("ws://[::1]/", "[127.0.0.1]", false),
            ("ws://127.0.0.1/", "[127.0.0.1]", false),
            ("ws://[2001:db8::1]/", "2001:db8::/64", true),
            ("ws://[2001:db8:1::1]/", "2001:db8::/64", false),
            ("ws://[2001:db8::1]/", "[2001:db8::]/64", true),
            ("ws://[fd12::1]/", "fd00::/8", true),
            ("ws://[fe12::1]/", "fd00::/8", false),
            ("ws://[fd12::1]/", "fd00::/129", false),
            ("ws://[::ffff:10.1.2.3]/", "10.0.0.0/8", true),
            ("ws://[::ffff:10.1.2.3]/", "10.1.2.3", true),
            ("ws://10.1.2.3/", "::ffff:10.0.0.0/104", true),
            ("ws://11.1.2.3/", "::ffff:10.0.0.0/104", false),
            ("ws://[::ffff:10.1.2.3]/", "::/0", false),
            // Zones are no names.
            ("ws://[::1]/", "[::1%25.example.com]", false),
            ("ws://example.com/", "[::1%25.example.com]", false),
            ("ws://example.com/", "::1%example.com", false),
        ];
        for (url, list, expected) in table {
            check(url, list, expected);
        }
    }

    #[test]
    fn the_zone_of_a_server_matches_no_name() {
        let target = Target { zone: Some("x.example.com".to_owned()), ..Target::parse("ws://[fe80::1]/").unwrap() };
        for list in ["example.com", ".example.com", "*.example.com", "x.example.com", "fe80::1%x.example.com"] {
            assert!(!is_bypassed("no_proxy", [list], &target), "{list}");
        }
        assert!(is_bypassed("no_proxy", ["fe80::/10"], &target) && is_bypassed("no_proxy", ["[fe80::1]"], &target));
    }

    #[test]
    fn the_table_of_ports() {
        let table = [
            ("ws://example.com/", "example.com:80", true),
            ("wss://example.com/", "example.com:443", true),
            ("wss://example.com/", "example.com:80", false),
            ("ws://example.com:8080/", "example.com:8080", true),
            ("ws://a.example.com:8080/", ".example.com:8080", true),
            ("ws://a.example.com:8080/", "*.example.com:8080", true),
            ("ws://example.com:8080/", "example.com:08080", true),
            ("ws://example.com:8080/", "example.com:", false),
            ("ws://example.com:8080/", "example.com:+8080", false),
            ("ws://example.com:8080/", ":8080", false),
            ("ws://example.com:8080/", "*:8080", true),
            ("ws://example.com:8081/", "*:8080", false),
            ("ws://127.0.0.1:8080/", "127.0.0.1:8080", true),
            ("ws://127.0.0.1:8081/", "127.0.0.1:8080", false),
            ("ws://[::1]:8080/", "[::1]:8080", true),
            ("ws://[::1]:8081/", "[::1]:8080", false),
            ("ws://10.1.2.3:8080/", "10.0.0.0/8:8080", false),
        ];
        for (url, list, expected) in table {
            check(url, list, expected);
        }
    }

    #[test]
    fn what_means_nothing_is_found_by_its_place() {
        let without_meaning = |lists: &[&str]| parse_lists(lists.iter().copied()).1;
        let good = "*, a, A.b, .a.b., *.a, a:80, *:80, b\u{fc}cher.example, a_b, ::1, [::1]:80, 10.0.0.1, 10.0.0.1:1, fd00::/8, \
                    10.0.0.0/0, ::1:80, [fd00::]/8";
        assert!(without_meaning(&[good]).is_empty(), "{:?}", without_meaning(&[good]));
        for bad in [
            ".",
            "..",
            "*.",
            "*.*",
            "a*.b",
            "a..b",
            "*a",
            "10.0.0.0/33",
            "10.0.0.0/8/8",
            "/8",
            "10.0.0.0/",
            "fd00::/129",
            "10.0.0.0/8:80",
            "127.1",
            "127.000.0.1",
            "127.0.0",
            "192",
            "[::1",
            "[127.0.0.1]",
            "[::1%25eth0]",
            "::1%eth0",
            "a:",
            ":80",
            "a:0",
            "a:65536",
            "a:+80",
            "http://a",
            "u:p@a",
            "\u{fffd}.a",
            "a%62",
            "<local>",
        ] {
            assert_eq!(without_meaning(&[bad]), [1], "{bad}");
        }
        assert_eq!(without_meaning(&["a,, /8 b", "c", "10.0.0.0/33\td"]), [2, 5]);
        assert!(without_meaning(&["", " , ,"]).is_empty());
    }

    #[test]
    fn the_table_of_lists() {
        let table = [
            ("ws://any.example/", "*", true),
            ("ws://[::1]/", "*", true),
            ("ws://10.0.0.1/", "*", true),
            ("ws://any.example/", "other.websocket.org, *", true),
            ("ws://127.0.0.1/", "other.websocket.org, 127.0.0.1", true),
            ("ws://echo.websocket.events/", "example1.com,example2.com, echo.websocket.events", true),
            ("ws://echo.websocket.events/", "example1.com,example2.com, .websocket.events", true),
            ("ws://192.168.3.4/", "127.0.0.0/8, 192.168.0.0/16", true),
            ("ws://192.169.3.4/", "127.0.0.0/8, 192.168.0.0/16", false),
            ("ws://b.example/", "a.example b.example\tc.example", true),
            ("ws://b.example/", ",, ,a.example,,b.example,", true),
            ("ws://d.example/", "a.example,b.example", false),
        ];
        for (url, list, expected) in table {
            check(url, list, expected);
        }
        assert!(is_bypassed("bypass_proxy", ["a.example", "b.example"], &Target::parse("ws://b.example/").unwrap()));
        assert!(!is_bypassed("bypass_proxy", [], &Target::parse("ws://b.example/").unwrap()));
    }
}
