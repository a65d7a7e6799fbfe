//! The trace shows heads, and none of the secrets in them.

use std::sync::{Arc, PoisonError};
use std::thread::{self, ThreadId};

use websocket_sync::{TraceRecord, disable_trace, enable_trace};

use crate::support::site::{Site, found, path, status};
use crate::*;

/// What is told of the connections of each thread: the other tests of this process make some, too.
type Told = Arc<Mutex<Vec<(ThreadId, String)>>>;

/// Does something with the trace on, and says what was told of it.
fn traced(work: impl FnOnce()) -> String {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let told = Told::default();
    let sink = Arc::clone(&told);
    enable_trace(move |record: &TraceRecord<'_>| {
        let text = format!("{record}\n{record:?}\n{record:#?}\n");
        sink.lock().unwrap_or_else(PoisonError::into_inner).push((thread::current().id(), text));
    });
    work();
    disable_trace();
    let ours = thread::current().id();
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.iter().filter(|(thread, _)| *thread == ours).map(|(_, text)| text.as_str()).collect()
}

#[track_caller]
fn assert_shows_only(told: &str, shown: &[&str]) {
    assert!(!has_secret(told), "{told}");
    for shown in shown {
        assert!(told.contains(shown), "{shown}: {told}");
    }
}

#[test]
fn what_is_sent_to_the_server_and_comes_back_is_hidden_in_the_trace() {
    bounded(30, || {
        for Secret { name, put, sent } in SECRETS {
            let told = traced(|| {
                let (server, script) = accepting();
                let ws = at(&server, put(ConnectOptions::new())).connect(&url("ws")).unwrap();
                let request = script.join();
                assert!(request.lines().any(|line| line == *sent), "{name}: {request}");
                assert!(request.contains("token=c4n4ry-10"), "{request}");
                drop(ws);
            });
            let hidden = format!("{}: <hidden>", sent.split(':').next().unwrap());
            assert_shows_only(&told, &[&hidden, "GET /feed?<hidden> HTTP/1.1", "Set-Cookie: <hidden>"]);
        }
    });
}

#[test]
fn answers_to_challenges_and_places_of_redirects_are_hidden_in_the_trace() {
    bounded(30, || {
        for challenge in ["Basic realm=\"c4n4ry\"", "Digest realm=\"c4n4ry\", nonce=\"n\", qop=\"auth\""] {
            let told = traced(|| {
                let site = Site::new(move |head| match path(head) {
                    "/" => found("http://c4n4ry-user:c4n4ry-password@host.example/asks?c4n4ry#c4n4ry"),
                    _ => status("401 Who", &format!("WWW-Authenticate: {challenge}\r\nX-Session: c4n4ry\r\n")),
                });
                let options = at(&site.url("/"), ConnectOptions::new().credentials("c4n4ry-user", "c4n4ry-password"));
                options.connect("ws://host.example/").unwrap_err();
                assert_eq!(site.heads().len(), 3);
                assert!(site.heads()[2].contains("Authorization: "), "{:?}", site.heads());
            });
            assert_shows_only(
                &told,
                &["Authorization: <hidden>", "HTTP/1.1 401 Who", "<hidden>@host.example/asks?<hidden>"],
            );
        }
    });
}

#[test]
fn what_a_proxy_is_told_is_hidden_in_the_trace() {
    bounded(30, || {
        for challenge in ["Basic realm=\"c4n4ry\"", "Digest realm=\"c4n4ry\", nonce=\"c4n4ry\", qop=\"auth\""] {
            let told = traced(|| {
                let (server, script) = serve(move |mut peer: Peer| {
                    let mut told = peer.head();
                    peer.say(format!(
                        "HTTP/1.1 407 No\r\nProxy-Authenticate: {challenge}\r\nContent-Length: 6\r\n\r\nc4n4ry"
                    ));
                    if challenge.starts_with("Digest") {
                        told += &peer.head();
                        peer.say("HTTP/1.1 200 OK\r\nX-Session: c4n4ry\r\n\r\n");
                        peer.accept();
                    }
                    told
                });
                let proxy =
                    Proxy::new(server.replace("ws://", &format!("http://{USERINFO}@"))).header("X-Key", "c4n4ry-12");
                let result = all().proxy(proxy).connect("ws://host.example/");
                assert_eq!(result.is_ok(), challenge.starts_with("Digest"), "{result:?}");
                let told = script.join();
                assert!(has_secret(&told), "{told}");
            });
            let shown = [
                "CONNECT host.example:80 HTTP/1.1",
                "X-Key: <hidden>",
                "Proxy-Authorization: <hidden>",
                "HTTP/1.1 407 No",
            ];
            assert_shows_only(&told, &shown);
        }
    });
}

/// A server that says whatever it is told, for what it is not.
#[test]
fn a_request_that_comes_back_as_an_answer_is_hidden_as_well() {
    bounded(30, || {
        let told = traced(|| {
            let (server, script) = serve(|mut peer: Peer| {
                let request = peer.head();
                peer.say(&request);
            });
            at(&server, all()).connect(&url("ws")).unwrap_err();
            script.join();
        });
        assert_shows_only(&told, &["--- response header ---\nGET /feed?<hidden> HTTP/1.1\n"]);
    });
}
