//! An app whose connection is interfered with.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use websocket_sync::{Reconnect, Result, WebSocketApp};

use crate::chain;
use crate::told::Told;

/// How often it asks, how long it waits for an answer.
const PING: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(1);

/// The app has to notice, with an error that gives this reason, and to go on with another connection.
pub(crate) fn outlive(told: &Told, reason: &str) -> Result<String> {
    let (opened, errors) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    WebSocketApp::new(&told.url)
        .options(told.options.clone())
        .ping_interval(PING)
        .ping_timeout(PATIENCE)
        .reconnect(Reconnect::fixed(Duration::from_millis(300)))
        .on_open(|app| {
            opened.fetch_add(1, Ordering::Relaxed);
            app.send_text("echo")?;
            app.send_text("hello")
        })
        .on_message(|app, message| {
            assert_eq!(message.as_bytes(), b"hello");
            if opened.load(Ordering::Relaxed) == 1 {
                told.interfere();
                return Ok(());
            }
            app.close()
        })
        .on_error(|_, error| errors.lock().expect("no panic").push(chain(error)))
        .run_forever()?;
    let errors = errors.into_inner().expect("no panic");
    assert!(errors[0].contains(reason), "{reason:?} was expected first, not {errors:?}");
    Ok(format!("{} connections, {} failures, the first: {}", opened.into_inner(), errors.len(), errors[0]))
}
