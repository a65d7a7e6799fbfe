//! Where redirects lead, and what stays at home.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;
use support::site::{Site, fields, found, open, path, status};
use support::{at_once, bounded, by_deadline, ms};
use tls_peer::{Authority, Validity, accept};
use websocket_sync::protocol::Role;
use websocket_sync::test_kit::Peer;
use websocket_sync::{
    Cancellation, CloseCause, ConnectOptions, Error, Phase, RedirectError, RedirectProblem, TlsOptions, UrlError,
    WebSocket,
};

/// Two origins, `a` and `b`.
struct World {
    a: Site,
    b: Site,
}

/// A path at one of the origins, `a/path`, and the status and `Location` that are found there. `{a}` and `{b}` stand for host and
/// port. Everywhere else a connection is opened.
type Redirects = &'static [(&'static str, &'static str)];

impl World {
    fn new(redirects: Redirects) -> Self {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = [listen(), listen()];
        let [a, b] = [0, 1].map(|site: usize| listeners[site].local_addr().unwrap());
        let answers = move |name: &'static str| {
            move |head: &str| {
                let asked = format!("{name}{}", path(head));
                match redirects.iter().find(|(at, _)| *at == asked) {
                    Some((_, location)) => found(&located(location, a, b)),
                    None => open(head),
                }
            }
        };
        let [for_a, for_b] = listeners;
        Self { a: Site::on(for_a, answers("a")), b: Site::on(for_b, answers("b")) }
    }

    /// A URL with names in place of addresses.
    fn named(&self, url: &str) -> String {
        let named = url.replace(&self.a.address.to_string(), "a").replace(&self.b.address.to_string(), "b");
        named.strip_prefix("ws://").map(str::to_owned).unwrap_or(named)
    }

    fn connect(&self, options: &ConnectOptions, start: &str) -> Result<WebSocket, Error> {
        options.connect(&self.a.url(start))
    }
}

fn located(location: &str, a: SocketAddr, b: SocketAddr) -> String {
    location.replace("{a}", &a.to_string()).replace("{b}", &b.to_string())
}

fn redirect_error(result: Result<WebSocket, Error>) -> RedirectError {
    match result {
        Err(Error::Redirect(error)) => *error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn redirects_are_followed_as_rfc_3986_reads_their_location() {
    // What is found at a/start, and where that leads.
    let table: &[(Redirects, &[&str])] = &[
        (&[], &[]),
        (&[("a/start", "/next")], &["a/next"]),
        (&[("a/start", "next")], &["a/next"]),
        (&[("a/start", "./next?q=1")], &["a/next?q=1"]),
        (&[("a/start", "?q")], &["a/start?q"]),
        (&[("a/start", "start/")], &["a/start/"]),
        (&[("a/start", "../../next")], &["a/next"]),
        (&[("a/start", "/x/./y/../z;p=1")], &["a/x/z;p=1"]),
        (&[("a/start", "/next#fragment")], &["a/next"]),
        (&[("a/start", "/a b\u{e9}")], &["a/a%20b%C3%A9"]),
        (&[("a/start", "//{b}/next")], &["b/next"]),
        (&[("a/start", "//{a}/next")], &["a/next"]),
        (&[("a/start", "ws://{b}/next")], &["b/next"]),
        (&[("a/start", "http://{b}/next")], &["b/next"]),
        (&[("a/start", "HTTP://{b}/next")], &["b/next"]),
        (&[("a/start", "http://{b}")], &["b/"]),
        (&[("a/start", "http://{b}?q")], &["b/?q"]),
        (&[("a/start", "http://user:password@{b}/next")], &["b/next"]),
        (&[("a/start", "http://{a}/next")], &["a/next"]),
        (&[("a/start", "one"), ("a/one", "two"), ("a/two", "three")], &["a/one", "a/two", "a/three"]),
        (&[("a/start", "http://{b}/one"), ("b/one", "two")], &["b/one", "b/two"]),
        (&[("a/start", "http://{b}/one"), ("b/one", "http://{a}/two")], &["b/one", "a/two"]),
        (&[("a/start", "http://{b}/start"), ("b/start", "http://{a}/two")], &["b/start", "a/two"]),
    ];
    for (redirects, expected) in table {
        let world = World::new(redirects);
        let ws = world.connect(&ConnectOptions::new(), "/start").unwrap();
        let followed: Vec<String> = ws.redirects().iter().map(|url| world.named(url)).collect();
        assert_eq!(followed, *expected, "{redirects:?}");
        assert_eq!(world.named(ws.url().unwrap()), *expected.last().unwrap_or(&"a/start"));
        assert_eq!(world.a.heads().len() + world.b.heads().len(), 1 + expected.len(), "{redirects:?}");
    }
}

#[test]
fn redirects_that_lead_nowhere_are_not_followed() {
    use RedirectProblem::*;
    let scheme = |scheme: &str| Location(UrlError::Scheme(scheme.into()));
    // What is found, how many URLs were asked, and what is wrong.
    let table: &[(Redirects, usize, RedirectProblem)] = &[
        (&[("a/start", "ftp://{b}/")], 1, scheme("ftp")),
        (&[("a/start", "file:///etc/passwd")], 1, scheme("file")),
        (&[("a/start", "ws+unix:///run/docker.sock")], 1, scheme("ws+unix")),
        (&[("a/start", "wss+unix:///run/docker.sock:/")], 1, scheme("wss+unix")),
        (&[("a/start", "javascript:alert(1)")], 1, scheme("javascript")),
        (&[("a/start", "mailto:a@b")], 1, scheme("mailto")),
        (&[("a/start", "http:/next")], 1, Location(UrlError::NoScheme)),
        (&[("a/start", "http://")], 1, Location(UrlError::EmptyHost)),
        (&[("a/start", "///next")], 1, Location(UrlError::EmptyHost)),
        (&[("a/start", "http://{b}0000/")], 1, Location(UrlError::Port("00000".into()))),
        (&[("a/start", "http://a@b@{b}/")], 1, Location(UrlError::UserInfo)),
        (&[("a/start", "http://[::1/")], 1, Location(UrlError::UnbracketedIpv6)),
        (&[("a/start", "http://2130706433/")], 1, Location(UrlError::Ipv4("2130706433".into()))),
        (&[("a/start", "/\\{b}/")], 1, Location(UrlError::Character { character: '\\', at: 1 })),
        (&[("a/start", "")], 1, Loop),
        (&[("a/start", "/start")], 1, Loop),
        (&[("a/start", "#elsewhere")], 1, Loop),
        (&[("a/start", "http://{a}/x/../start")], 1, Loop),
        (&[("a/start", "/one"), ("a/one", "/start")], 2, Loop),
        (&[("a/start", "http://{b}/"), ("b/", "http://{a}/start")], 2, Loop),
        (&[("a/start", "/1"), ("a/1", "/2"), ("a/2", "/3"), ("a/3", "/4")], 4, Limit { limit: 3 }),
    ];
    for (redirects, asked, expected) in table {
        let world = World::new(redirects);
        let error = redirect_error(world.connect(&ConnectOptions::new(), "/start"));
        let problem = match error.problem {
            // The ports are not known beforehand.
            Location(UrlError::Port(_)) => Location(UrlError::Port("00000".into())),
            other => other,
        };
        assert_eq!(problem, *expected, "{redirects:?}");
        assert_eq!((error.status, error.urls.len()), (302, *asked), "{redirects:?}");
        assert_eq!(world.named(&error.urls[0]), "a/start");
        assert_eq!(world.a.heads().len() + world.b.heads().len(), *asked, "{redirects:?}");
    }
}

#[test]
fn the_five_statuses_are_redirects_and_no_others() {
    for code in [301, 302, 303, 307, 308, 300, 304, 305, 306, 399, 200, 201] {
        let site = Site::new(move |head| match path(head) {
            "/start" => status(&format!("{code} Status"), "Location: /next\r\n"),
            _ => open(head),
        });
        let result = ConnectOptions::new().connect(&site.url("/start"));
        if matches!(code, 301 | 302 | 303 | 307 | 308) {
            assert_eq!(result.unwrap().redirects(), [site.url("/next")], "{code}");
        } else {
            assert!(matches!(&result, Err(Error::Refused(refusal)) if refusal.status == code), "{code}: {result:?}");
        }
    }
}

#[test]
fn a_redirect_has_one_location() {
    let table = [
        ("", RedirectProblem::MissingLocation),
        ("Location: /a\r\nLocation: /b\r\n", RedirectProblem::RepeatedLocation),
    ];
    for (fields, expected) in table {
        let site = Site::new(move |_| status("307 Temporary Redirect", fields));
        let error = redirect_error(ConnectOptions::new().connect(&site.url("/")));
        assert_eq!((error.status, error.problem), (307, expected));
    }
    let (url, peer) = support::serve(|mut peer| {
        peer.head();
        peer.say(b"HTTP/1.1 302 Found\r\nLocation: /caf\xe9\r\n\r\n");
    });
    let error = redirect_error(ConnectOptions::new().connect(&url));
    let expected = UrlError::Character { character: char::REPLACEMENT_CHARACTER, at: 4 };
    assert_eq!(error.problem, RedirectProblem::Location(expected));
    peer.join();
}

#[test]
fn a_limit_of_n_means_n_plus_one_connections() {
    for limit in 0..6 {
        let mut asked = 0;
        let site = Site::new(move |_| {
            asked += 1;
            found(&format!("/{asked}"))
        });
        let result = ConnectOptions::new().redirect_limit(limit).connect(&site.url("/"));
        assert_eq!(site.heads().len(), limit + 1);
        match result {
            Err(Error::Refused(refusal)) if limit == 0 => assert_eq!(refusal.status, 302),
            result => {
                let error = redirect_error(result);
                assert_eq!(error.problem, RedirectProblem::Limit { limit });
                assert_eq!(error.urls.len(), limit + 1);
            }
        }
    }
}

#[test]
fn a_stream_of_ones_own_is_asked_once() {
    let (ours, theirs) = support::narrow();
    let peer = thread::spawn(move || {
        let mut peer = support::Peer::new(theirs);
        peer.head();
        peer.say(found("/next"));
        peer.rest()
    });
    let error = ConnectOptions::new().connect_over(ours, "ws://peer/").unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal) if refusal.status == 302), "{error:?}");
    assert_eq!(support::join(peer), b"");
}

/// Options with a canary in everything that may be a secret.
fn secretive() -> ConnectOptions {
    ConnectOptions::new()
        .headers([("Authorization", "Bearer canary"), ("X-Api-Key", "canary"), ("X-Harmless", "canary")])
        .headers([("User-Agent", "agent"), ("ACCEPT-Language", "de"), ("Accept", "*/*"), ("Acceptance", "canary")])
        .header_provider(|| Ok(vec![("X-Token".into(), "canary".into())]))
        .cookie("session=canary")
        .host("canary.example")
        .origin("https://canary.example")
        .subprotocols(["canary"])
        .credentials("canary", "canary")
}

#[test]
fn what_is_secret_does_not_leave_its_origin() {
    let world = World::new(&[("a/start", "http://{b}/b"), ("b/b", "http://{a}/back")]);
    world.connect(&secretive(), "/start").unwrap();
    let [b] = &world.b.heads()[..] else { panic!("{:?}", world.b.heads()) };
    let lines: Vec<&str> = b.lines().filter(|line| !line.starts_with("Sec-WebSocket-Key: ")).collect();
    let host = format!("Host: {}", world.b.address);
    let origin = format!("Origin: http://{}", world.b.address);
    assert_eq!(
        lines,
        [
            "GET /b HTTP/1.1",
            "Upgrade: websocket",
            &host,
            &origin,
            "Sec-WebSocket-Version: 13",
            "Connection: Upgrade",
            "User-Agent: agent",
            "ACCEPT-Language: de",
            "Accept: */*",
            "",
        ]
    );
    let [start, back] = &world.a.heads()[..] else { panic!("{:?}", world.a.heads()) };
    let without_key = |head: &str| {
        let lines = head.lines().skip(1).filter(|line| !line.starts_with("Sec-WebSocket-Key: "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(without_key(start), without_key(back), "at home all is said again");
    assert_eq!(start.matches("canary").count(), 9, "{start}");
}

#[test]
fn subprotocols_go_to_another_origin_only_where_the_user_says_so() {
    let offers: [fn(ConnectOptions) -> ConnectOptions; 2] =
        [|options| options.subprotocols(["chat"]), |options| options.header("sec-websocket-protocol", "chat")];
    for offer in offers {
        for are_taken in [false, true] {
            let world = World::new(&[("a/start", "http://{b}/b"), ("b/b", "http://{a}/back")]);
            world.connect(&offer(ConnectOptions::new()).redirect_subprotocols(are_taken), "/start").unwrap();
            let offered = |head: &String| head.to_lowercase().contains("sec-websocket-protocol: chat");
            assert!(world.a.heads().iter().all(offered));
            assert_eq!(world.b.heads().iter().all(offered), are_taken);
        }
    }
}

#[test]
fn user_and_password_of_the_url_stay_at_home_and_those_of_a_location_are_not_used() {
    let world =
        World::new(&[("a/start", "/home"), ("a/home", "http://evil:evil@{b}/b"), ("b/b", "http://evil:evil@{a}/c")]);
    let url = world.a.url("/start").replace("ws://", "ws://user:password@");
    let ws = ConnectOptions::new().connect(&url).unwrap();
    for head in world.a.heads() {
        assert_eq!(fields(&head, "Authorization"), ["Basic dXNlcjpwYXNzd29yZA=="]);
    }
    assert_eq!(world.a.heads().len(), 3);
    assert_eq!(fields(&world.b.heads()[0], "Authorization"), [""; 0]);
    assert!(!format!("{:?} {:?}", ws.url(), ws.redirects()).contains('@'));
}

#[test]
fn suppressed_fields_stay_suppressed() {
    let world = World::new(&[("a/start", "http://{b}/b")]);
    world.connect(&ConnectOptions::new().suppress_host().suppress_origin(), "/start").unwrap();
    for head in world.a.heads().iter().chain(&world.b.heads()) {
        assert!(fields(head, "Host").is_empty() && fields(head, "Origin").is_empty(), "{head}");
    }
}

#[test]
fn another_origin_is_another_host_port_or_scheme() {
    // The same server by another name.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let site = Site::on(listener, move |head| match path(head) {
        "/start" => found(&format!("http://LOCALHOST:{port}/next")),
        _ => open(head),
    });
    let options = ConnectOptions::new().header("X-Secret", "canary");
    let options = options.resolver(|_, port| Ok(vec![([127, 0, 0, 1], port).into()]));
    options.connect(&site.url("/start")).unwrap();
    let carried: Vec<usize> = site.heads().iter().map(|head| head.matches("canary").count()).collect();
    assert_eq!(carried, [1, 0]);
    options.connect(&format!("ws://localhost:{port}/start")).unwrap();
    let carried: Vec<usize> = site.heads().iter().skip(2).map(|head| head.matches("canary").count()).collect();
    assert_eq!(carried, [1, 1]);
}

#[test]
fn each_hop_has_a_key_of_its_own() {
    let world = World::new(&[("a/start", "/1"), ("a/1", "/2"), ("a/2", "/3")]);
    world.connect(&ConnectOptions::new(), "/start").unwrap();
    let mut keys: Vec<String> =
        world.a.heads().iter().map(|head| fields(head, "Sec-WebSocket-Key")[0].to_owned()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 4);
}

#[test]
fn the_body_of_a_redirect_is_not_waited_for() {
    bounded(30, || {
        let site = Site::new(|head| match path(head) {
            "/start" => "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 1000000000\r\n\r\nmoved".into(),
            _ => open(head),
        });
        at_once(|| ConnectOptions::new().connect(&site.url("/start"))).unwrap();
    });
}

#[test]
fn all_hops_have_one_deadline() {
    bounded(30, || {
        let mut asked = 0;
        let site = Site::new(move |_| {
            thread::sleep(ms(60));
            asked += 1;
            found(&format!("/{asked}"))
        });
        let options = ConnectOptions::new().redirect_limit(1000).open_timeout(ms(200));
        let result = by_deadline(ms(200), || options.connect(&site.url("/")));
        // Under wine a connection takes long enough to be what the deadline meets.
        let is_expected = |phase: Phase| phase == Phase::Handshake || cfg!(windows);
        assert!(matches!(result, Err(Error::Timeout(phase)) if is_expected(phase)), "{result:?}");
        assert!(site.heads().len() > 1);
    });
}

#[test]
fn neither_an_error_nor_a_connection_shows_a_query() {
    let site = Site::new(|head| if path(head).contains("two") { found("ftp://x/") } else { found("/two?canary") });
    let error = ConnectOptions::new().connect(&site.url("/one?canary")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    assert_eq!(redirect_error(Err(error)).urls, [site.url("/one?canary"), site.url("/two?canary")]);
    let refused = ConnectOptions::new().redirect_limit(0).connect(&site.url("/one")).unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("canary"), "{refused:?}");
    let world = World::new(&[("a/start?canary", "/next?canary")]);
    let ws = world.connect(&ConnectOptions::new(), "/start?canary").unwrap();
    assert!(!format!("{ws:?}").contains("canary"), "{ws:?}");
    assert_eq!(ws.url(), Some(&*world.a.url("/next?canary")));
}

/// Serves one request over TLS, and says what it was; nothing where the client was not let in.
fn serve_tls(
    config: Arc<ServerConfig>,
    answer: impl FnOnce(&str) -> String + Send + 'static,
) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let socket = listener.accept().unwrap().0;
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let below = socket.try_clone().unwrap();
        let Ok(tls) = accept(config, socket) else { return String::new() };
        let mut peer = Peer::layered(tls, below, Role::Server).unwrap();
        let head = String::from_utf8(peer.expect_head().unwrap()).unwrap();
        peer.send_bytes(answer(&head)).unwrap();
        // The client ends it.
        let _ = peer.expect_with("a Close, or the end", |bytes| Ok((!bytes.is_empty()).then_some(((), 0))));
        head
    });
    (port, server)
}

fn trusting(authority: &Authority) -> TlsOptions {
    TlsOptions::new().ca_certs_pem(&authority.pem)
}

/// Every name is that of this machine.
fn at_home(tls: TlsOptions) -> ConnectOptions {
    ConnectOptions::new().tls(tls).resolver(|_, port| Ok(vec![([127, 0, 0, 1], port).into()]))
}

#[test]
fn tls_is_never_given_up() {
    let authority = Authority::new();
    let plain = Site::new(open);
    for scheme in ["ws", "http"] {
        let location = plain.url("/").replace("ws", scheme);
        let (port, server) = serve_tls(authority.server("localhost"), move |_| found(&location));
        let url = format!("wss://localhost:{port}/");
        let error = redirect_error(at_home(trusting(&authority)).connect(&url));
        assert_eq!((error.problem, error.urls), (RedirectProblem::Downgrade, vec![url]));
        server.join().unwrap();
    }
    assert_eq!(plain.heads().len(), 0);
}

#[test]
fn a_redirect_may_lead_to_tls() {
    let authority = Authority::new();
    let (last, last_server) = serve_tls(authority.server("localhost"), open);
    let (first, first_server) =
        serve_tls(authority.server("localhost"), move |_| found(&format!("//localhost:{last}/last")));
    let plain = Site::new(move |_| found(&format!("https://localhost:{first}/first")));
    let ws = at_home(trusting(&authority)).header("X-Secret", "canary").connect(&plain.url("/")).unwrap();
    assert!(ws.is_ssl());
    assert_eq!(ws.redirects(), [format!("wss://localhost:{first}/first"), format!("wss://localhost:{last}/last")]);
    drop(ws);
    for server in [first_server, last_server] {
        assert!(!server.join().unwrap().contains("canary"));
    }
}

#[test]
fn the_name_for_tls_is_that_of_the_origin_it_was_given_for() {
    let authority = Authority::new();
    let (other, other_server) = serve_tls(authority.server("other.example"), open);
    let (same, same_server) =
        serve_tls(authority.server("given.example"), move |_| found(&format!("https://other.example:{other}/")));
    let tls = trusting(&authority).server_hostname("given.example");
    let ws = at_home(tls).connect(&format!("wss://home.example:{same}/")).unwrap();
    assert_eq!(ws.url(), Some(&*format!("wss://other.example:{other}/")));
    drop(ws);
    same_server.join().unwrap();
    other_server.join().unwrap();
}

#[test]
fn the_certificate_of_the_client_is_shown_to_the_origin_it_was_given_for() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let server = |name: &str, clients: Option<&Authority>| {
        let leaf = servers.leaf(name, Validity::Now);
        Arc::new(leaf.config(&[&rustls::version::TLS13], clients))
    };
    let client = clients.leaf("client.example", Validity::Now);
    let tls = trusting(&servers).client_cert_pem(&client.cert, &client.key);
    for asks in [None, Some(&clients)] {
        let (other, other_server) = serve_tls(server("other.example", asks), open);
        let location = format!("https://other.example:{other}/");
        let (home, home_server) = serve_tls(server("home.example", Some(&clients)), move |_| found(&location));
        let result = at_home(tls.clone()).connect(&format!("wss://home.example:{home}/"));
        match asks {
            None => drop(result.unwrap()),
            Some(_) => assert!(matches!(result, Err(Error::Tls(_))), "{result:?}"),
        }
        assert!(!home_server.join().unwrap().is_empty());
        assert_eq!(other_server.join().unwrap().is_empty(), asks.is_some());
    }
}

#[cfg(feature = "cookies")]
#[test]
fn a_redirect_to_itself_is_none_where_a_cookie_makes_a_difference() {
    let gate = |head: &str| match &*fields(head, "Cookie").join(" and ") {
        "a=1; given=2" => status("302 Found", "Location: /gate\r\nSet-Cookie: b=2\r\n"),
        "a=1; b=2; given=2" => open(head),
        "given=2" => status("302 Found", "Location: /gate\r\nSet-Cookie: a=1\r\n"),
        other => panic!("{other}"),
    };
    let site = Site::new(gate);
    let options = ConnectOptions::new().cookie_jar(&websocket_sync::CookieJar::new()).cookie("given=2");
    let ws = options.connect(&site.url("/gate")).unwrap();
    assert_eq!(ws.redirects(), [site.url("/gate"), site.url("/gate")]);
    // The same cookie again makes none.
    let site = Site::new(|_| status("302 Found", "Location: /gate\r\nSet-Cookie: a=1\r\n"));
    let options = ConnectOptions::new().cookie_jar(&websocket_sync::CookieJar::new());
    assert_eq!(redirect_error(options.connect(&site.url("/gate"))).problem, RedirectProblem::Loop);
    assert_eq!(site.heads().len(), 2);
}

#[cfg(feature = "cookies")]
#[test]
fn cookies_of_the_jar_go_where_they_belong_and_those_of_the_option_stay() {
    let jar = websocket_sync::CookieJar::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let site = Site::on(listener, move |head| match path(head) {
        "/a" => {
            let location = format!("Location: http://b.example:{port}/b\r\nSet-Cookie: from=a\r\n");
            status("302 Found", &location)
        }
        "/b" => {
            let location = format!("Location: http://a.example:{port}/c\r\nSet-Cookie: from=b\r\n");
            status("302 Found", &location)
        }
        _ => open(head),
    });
    let options = at_home(TlsOptions::new()).cookie_jar(&jar).cookie("given=1");
    for _ in 0..2 {
        options.connect(&format!("ws://a.example:{port}/a")).unwrap();
    }
    let cookies: Vec<String> = site.heads().iter().map(|head| fields(head, "Cookie").join(" and ")).collect();
    let expected = ["given=1", "", "from=a; given=1", "from=a; given=1", "from=b", "from=a; given=1"];
    assert_eq!(cookies, expected);
}

#[test]
fn an_opening_can_be_cancelled_at_any_hop() {
    bounded(30, || {
        let cancellation = Cancellation::new();
        let cancel = cancellation.clone();
        let mut asked = 0;
        let site = Site::new(move |_| {
            asked += 1;
            if asked == 3 {
                cancel.cancel();
                return String::new();
            }
            found(&format!("/{asked}"))
        });
        let result = at_once(|| ConnectOptions::new().cancellation(&cancellation).connect(&site.url("/")));
        assert_eq!(support::closed(result).cause, CloseCause::Cancelled);
    });
}

#[cfg(unix)]
#[test]
fn a_redirect_from_a_unix_socket_stays_there_or_leaves_its_origin() {
    use std::os::unix::net::UnixListener;

    let directory = std::env::temp_dir().join(format!("websocket-sync redirects {}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("server.sock");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let elsewhere = Site::new(open);
    let location = elsewhere.url("/c").replace("ws", "http");
    let server = thread::spawn(move || {
        let answers = [found("b?q"), found(&location)];
        answers.map(|answer| {
            let mut peer = support::Peer::new(listener.accept().unwrap().0);
            let head = peer.head();
            peer.say(answer);
            head
        })
    });
    let url = format!("ws+unix://user:password@{}:/a", path.to_str().unwrap().replace(' ', "%20"));
    let ws = ConnectOptions::new().connect(&url).unwrap();
    assert_eq!(ws.redirects().last(), Some(&elsewhere.url("/c")));
    assert!(ws.redirects()[0].ends_with(":/b?q"), "{:?}", ws.redirects());
    let heads = support::join(server);
    for head in &heads {
        assert_eq!(fields(head, "Host"), ["localhost"]);
        assert_eq!(fields(head, "Authorization"), ["Basic dXNlcjpwYXNzd29yZA=="]);
    }
    assert!(heads[1].starts_with("GET /b?q "), "{}", heads[1]);
    assert!(fields(&elsewhere.heads()[0], "Authorization").is_empty());
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_client_certificate_is_shown_at_the_origin_it_was_given_for_and_at_no_other() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let client = clients.leaf("client.example", Validity::Now);
    let asking = || {
        let leaf = authority.leaf("localhost", Validity::Now);
        Arc::new(leaf.config(&[&rustls::version::TLS12], Some(&clients)))
    };
    let tls = trusting(&authority).client_cert_pem(&client.cert, &client.key);
    let (home, home_server) = serve_tls(asking(), open);
    drop(at_home(tls.clone()).connect(&format!("wss://localhost:{home}/")).unwrap());
    home_server.join().unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = listener.local_addr().unwrap().port();
    let config = asking();
    let other_server = thread::spawn(move || accept(config, listener.accept().unwrap().0).unwrap_err());
    let (home, home_server) = serve_tls(asking(), move |_| found(&format!("https://localhost:{other}/")));
    let error = at_home(tls).connect(&format!("wss://localhost:{home}/")).unwrap_err();
    assert!(matches!(error, Error::Tls(_)), "{error:?}");
    home_server.join().unwrap();
    let heard = other_server.join().unwrap();
    assert!(heard.to_string().contains("no certificates"), "{heard}");
}
