//! The flags that users of curl, websocat and wscat try first.

use std::net::TcpListener;

use crate::listening::Server;
use crate::shell::{Running, command, end_of, wsdump, wsdump_with};
use crate::support::refusing::refusing_address;
use crate::support::site::{Site, fields, open};
use crate::support::{Script, frame, ms, serve, timed};

#[test]
fn no_origin_is_none() {
    let site = Site::new(open);
    wsdump(&["-r", &site.url("/"), "--no-origin", "-m", "1"]);
    wsdump(&["-r", &site.url("/"), "-m", "1"]);
    let heads = site.heads();
    assert_eq!(fields(&heads[0], "Origin"), [""; 0]);
    assert_eq!(fields(&heads[1], "Origin").len(), 1);
    assert_eq!(wsdump(&["--no-origin", "--origin", "http://o", &site.url("/")]).code, 2);
}

#[test]
fn subprotocols_may_be_separated_by_commas() {
    let site = Site::new(open);
    wsdump(&["-r", &site.url("/"), "-s", "a,b", "c", "-m", "1"]);
    assert_eq!(fields(&site.heads()[0], "Sec-WebSocket-Protocol"), ["a,b,c"]);
}

/// A server that hears these texts, and then the Close; says with what code and reason.
fn hears(texts: &'static [&'static str]) -> (String, Script<(u16, String)>) {
    serve(move |mut peer| {
        peer.accept();
        for text in texts {
            assert_eq!(peer.frame(), (0x81, text.as_bytes().to_vec()));
        }
        let (first, payload) = peer.frame();
        assert_eq!(first, 0x88);
        peer.say(frame(0x88, &payload));
        (u16::from_be_bytes([payload[0], payload[1]]), String::from_utf8_lossy(&payload[2..]).into_owned())
    })
}

#[test]
fn texts_may_be_several() {
    let (url, script) = hears(&["one", "-two", "three"]);
    let said = wsdump_with("three\n", &["-r", "-t", "one", "--text", "-two", "--eof-wait", "0", &url]);
    assert_eq!(said.code, 0, "{said:?}");
    script.join();
}

#[test]
fn a_script_closes_with_a_code_and_a_reason() {
    for (given, expected) in [("4000:bye: bye", (4000, "bye: bye")), ("4001", (4001, "")), ("1001:", (1001, ""))] {
        let (url, script) = hears(&["hi"]);
        let said = wsdump_with("hi\n", &["-r", "--eof-wait", "0", "--close", given, &url]);
        assert_eq!((said.code, script.join()), (0, (expected.0, expected.1.to_owned())), "{said:?}");
    }
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x81, "one"));
        peer.end()
    });
    let said = wsdump(&["-r", "--max-messages", "1", "--close", "4002:enough", &url]);
    assert_eq!((said.code, script.join()), (0, 4002), "{said:?}");
    for wrong in ["99", "1005", "1006", "5000", "now", "70000"] {
        assert_eq!(wsdump(&["--close", wrong, "ws://127.0.0.1:1/"]).code, 2, "{wrong}");
    }
    let long = format!("1000:{}", "x".repeat(124));
    assert_eq!(wsdump(&["--close", &long, "ws://127.0.0.1:1/"]).code, 2);
}

#[test]
fn a_time_limit_ends_whatever_goes_on() {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x81, "one"));
        peer.close_code()
    });
    let (said, took) = timed(|| Running::new(&["-r", "-m", "0.4", &url]).end());
    assert_eq!((said.code, said.out.as_str(), script.join()), (8, "one\n", 1000), "{said:?}");
    assert!(said.err.contains("--max-time"), "{}", said.err);
    assert!((ms(400)..ms(5000)).contains(&took), "{took:?}");
    // While connecting, and of a server that does not answer the Close.
    for answers in [false, true] {
        let (url, script) = serve(move |mut peer| {
            if answers {
                peer.accept();
            }
            peer.rest();
        });
        let (said, took) = timed(|| wsdump(&["-r", "--no-input", "--max-time", "0.3", &url]));
        script.join();
        assert_eq!(said.code, 8, "{said:?}");
        assert!(took < ms(4000), "{took:?}");
    }
    let (said, took) = timed(|| wsdump(&["--listen", "0", "--max-time", "0.2"]));
    assert_eq!(said.code, 8, "{said:?}");
    assert!(took < ms(4000), "{took:?}");
}

#[test]
fn a_url_needs_no_scheme() {
    let (url, script) = hears(&["hi"]);
    let said = wsdump_with("hi\n", &["-r", "--eof-wait", "0", url.trim_start_matches("ws://")]);
    assert_eq!(said.code, 0, "{said:?}");
    script.join();
    assert!(said.err.contains(&format!("No scheme: {url}")), "{}", said.err);
    // TLS elsewhere, where others may read what is sent.
    let said = wsdump(&["-r", "no-such-host.invalid/path"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("No scheme: wss://no-such-host.invalid/path"), "{}", said.err);
}

/// A subprotocol is a token, which has neither a colon nor a slash.
#[test]
fn a_url_without_a_scheme_may_stand_behind_the_subprotocols() {
    let (url, script) = hears(&["hi"]);
    let said = wsdump_with("hi\n", &["-r", "--eof-wait", "0", "-s", "a,b", url.trim_start_matches("ws://")]);
    assert_eq!(said.code, 0, "{said:?}");
    script.join();
    let said = wsdump(&["-r", "-s", "a", "server.example"]);
    assert!(said.code == 2 && said.err.contains("in front of -s"), "{said:?}");
}

/// The path that `--listen` takes is a URL, too.
#[cfg(unix)]
#[test]
fn a_path_is_that_of_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("wsdump path {}.sock", std::process::id()));
    let server = Server::at(path.to_str().unwrap(), &["-r"]);
    let said = wsdump_with("hi\n", &["-r", "--max-messages", "1", path.to_str().unwrap()]);
    assert_eq!((said.code, said.out.as_str()), (0, "hi\n"), "{said:?}");
    assert!(said.err.contains("No scheme: ws+unix://"), "{}", said.err);
    let mut relative = command(&["-r", "--max-messages", "1", "-t", "hi", "--no-input"]);
    relative.arg(format!("./{}", path.file_name().unwrap().to_str().unwrap())).current_dir(std::env::temp_dir());
    let said = end_of(relative.spawn().unwrap());
    assert_eq!((said.code, said.out.as_str()), (0, "hi\n"), "{said:?}");
    server.stop();
}

#[test]
fn a_server_needs_no_more_than_a_port() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for given in [free.to_string(), format!(":{free}")] {
        let child = command(&["--listen", &given, "--max-messages", "1"]).spawn().unwrap();
        let url = format!("ws://127.0.0.1:{free}/");
        let said = (0..100)
            .map(|_| {
                std::thread::sleep(ms(20));
                wsdump_with("hi\n", &["-r", &url])
            })
            .find(|said| said.code != 4)
            .unwrap();
        assert_eq!(said.out, "hi\n", "{said:?}");
        assert!(end_of(child).err.contains(&format!("Listening on {url}")));
    }
}

#[test]
fn what_others_call_an_option_is_understood() {
    let nobody = refusing_address();
    for flags in [["-k"].as_slice(), &["--insecure"], &["--cacert", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]]
    {
        let said = wsdump(&[&["-r", &format!("ws://{nobody}/")], flags].concat());
        assert_eq!(said.code, 4, "{said:?}");
    }
}

#[test]
fn what_is_not_known_is_refused_without_a_guess() {
    for arguments in [["--tls-min", "1.1", "wss://h/"].as_slice(), &["--inseckure", "wss://h/"]] {
        let said = wsdump(arguments);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(!said.err.contains("tip:"), "{}", said.err);
    }
}

#[test]
fn a_password_is_asked_for_at_a_terminal_only() {
    let said = wsdump(&["-r", "-u", "me", "ws://127.0.0.1:1/"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("terminal") && said.err.contains("me:"), "{}", said.err);
    let server = Server::new(&["-r"]);
    let said = wsdump_with("x\n", &["-r", "--user", "me:", &server.url]);
    assert_eq!(said.code, 0, "{said:?}");
}
