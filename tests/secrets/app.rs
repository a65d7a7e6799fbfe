//! The app, which connects again and again.

use std::time::Duration;

use websocket_sync::{Reconnect, WebSocketApp};

use crate::*;

#[test]
fn an_app_tells_no_secret_whatever_becomes_of_its_connections() {
    listen_to_the_log();
    bounded(30, || {
        let answers: [&'static str; 3] = ["HTTP/1.1 503 Later\r\nSet-Cookie: a=c4n4ry\r\n\r\n", "c4n4ry\r\n\r\n", ""];
        for answer in answers {
            let (server, script) = serve(move |mut peer: Peer| {
                let head = peer.head();
                peer.say(if answer.is_empty() { answer_to(&head) } else { answer.to_owned() });
                head
            });
            // After the first attempt, nobody is there.
            let url = server.replace("ws://", &format!("ws://{USERINFO}@")) + "feed?token=c4n4ry";
            let heard = Mutex::new(Vec::new());
            let mut app = WebSocketApp::new(&url)
                .options(all())
                .reconnect(Reconnect::fixed(Duration::from_millis(1)).max_attempts(2))
                .on_open(|ws| assert_silent("handle", ws))
                .connect_with(|attempt, options| {
                    assert_silent("attempt", attempt);
                    options.connect(attempt.url)
                })
                .on_error(|_, error| {
                    assert_error_is_silent("told", error);
                    heard.lock().unwrap().push(error.to_string());
                });
            assert_silent("app", &app);
            assert_silent("handle", &app.handle());
            let ended = app.run_forever();
            assert_silent("how it ended", &ended);
            assert_silent("app", &app);
            drop(app);
            assert!(script.join().contains("c4n4ry-1"));
            assert!(!heard.lock().unwrap().is_empty());
        }
    });
    assert_log_is_silent();
}
