//! One round: an app, its server, and those who get in each other's way. What must hold in every round is asserted here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::chance::{below, dawdle};
use super::peer::{Habit, serve};
use crate::app::{Closed, Handle, Reconnect, WebSocketApp};
use crate::error::{CloseCause, Error, Result};
use crate::net::Transport;
use crate::options::ConnectOptions;
use crate::sync::thread::{self, JoinHandle};
use crate::websocket::Opcode;

/// How often the app pings, and how long it waits for the pong.
pub(super) const INTERVAL: Duration = Duration::from_millis(4);
pub(super) const TIMEOUT: Duration = Duration::from_millis(4);
/// How long a closing handshake may take.
pub(super) const CLOSE: Duration = Duration::from_millis(20);

/// How many bytes are on their way at most: few, so that a large message waits.
#[cfg(shuttle)]
const CAPACITY: usize = 1024;

/// What the callbacks have heard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    Opened,
    Again,
    Message,
    Control,
    Failed,
    Closed { cause: CloseCause, again: bool },
    Ended,
}

/// One round. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Round {
    /// Locked for a moment only, and never while others could run.
    heard: Arc<Mutex<Vec<Heard>>>,
    servers: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Round {
    /// An app with callbacks that listen, for servers of these habits, one after the other, the last one again and again.
    pub(super) fn app(&self, habits: impl AsRef<[Habit]> + Send + 'static) -> WebSocketApp<'static> {
        let [opened, again, message, ping, pong, failed, closed, ended] = std::array::from_fn(|_| self.clone());
        let servers = Arc::clone(&self.servers);
        let mut number = 0;
        let options = ConnectOptions::new().close_timeout(CLOSE).open_timeout(50 * CLOSE);
        WebSocketApp::new("ws://unused/")
            .options(options)
            .reconnect(Reconnect::fixed(Duration::from_millis(2)))
            .connect_with(move |_, options| {
                let habits = habits.as_ref();
                let habit = habits[number.min(habits.len() - 1)];
                number += 1;
                let (ours, theirs) = pair();
                let server = thread::spawn(move || serve(theirs, habit));
                lock(&servers).push(server);
                options.connect_over(ours, "ws://peer/")
            })
            .on_open(move |_| opened.note(Heard::Opened))
            .on_reconnect(move |_| again.note(Heard::Again))
            .on_message(move |_, _| message.note(Heard::Message))
            .on_ping(move |_, _| ping.note(Heard::Control))
            .on_pong(move |_, _| pong.note(Heard::Control))
            .on_error(move |_, _| failed.note(Heard::Failed))
            .on_close(move |_, end| closed.note(Heard::Closed { cause: end.cause, again: end.reconnect.is_some() }))
            .on_end(move |_, _| ended.note(Heard::Ended))
    }

    pub(super) fn note(&self, heard: Heard) {
        lock(&self.heard).push(heard);
    }

    /// How often this was heard.
    pub(super) fn count(&self, wanted: &Heard) -> usize {
        lock(&self.heard).iter().filter(|heard| *heard == wanted).count()
    }

    /// Lets the app run on a thread of its own, and others do something to it, each on theirs; waits for the end of all. One of them
    /// has to end the run. As a rule they begin when something has been heard of a first connection.
    pub(super) fn race(&self, app: WebSocketApp<'static>, others: impl IntoIterator<Item = Act>) -> Result<Closed> {
        let app = app.spawn().unwrap();
        let handle = app.handle();
        let is_early = below(8) == 0;
        let begin = |act: Act| {
            let (round, handle) = (self.clone(), handle.clone());
            thread::spawn(move || {
                while !is_early && lock(&round.heard).is_empty() {
                    thread::yield_now();
                }
                dawdle();
                act(&handle);
            })
        };
        let others: Vec<_> = others.into_iter().map(begin).collect();
        others.into_iter().for_each(join);
        let ended = app.join();
        self.check(&handle);
        ended
    }

    /// What must hold when a run is over.
    pub(super) fn check(&self, handle: &Handle) {
        assert!(!handle.is_running() && !handle.ready());
        // What may be put into an outbox does not count.
        sent(handle.send("too late", Opcode::Text), false);
        sent(handle.ping(""), false);
        self.join_servers();
        assert!(handle.wait_end(Duration::ZERO).is_some());
        let heard = lock(&self.heard);
        let Some((Heard::Ended, heard)) = heard.split_last() else { panic!("no end: {heard:?}") };
        check_order(heard);
    }
}

impl Round {
    /// Waits for all servers, and panics as they did.
    pub(super) fn join_servers(&self) {
        let servers = std::mem::take(&mut *lock(&self.servers));
        servers.into_iter().for_each(join);
    }
}

/// What somebody does to a running app.
pub(super) type Act = Box<dyn FnOnce(&Handle) + Send>;

/// Does it while the others do theirs.
pub(super) fn act(act: impl FnOnce(&Handle) + Send + 'static) -> Act {
    Box::new(act)
}

/// Closes from outside, with the error that it must not have.
pub(super) fn closes() -> Act {
    act(|app| app.close().unwrap())
}

/// Sends a few messages; when the connection is gone, that is said.
pub(super) fn sends() -> Act {
    act(|app| (0..3).for_each(|_| sent(app.send_text("hello"), true)))
}

/// A send has succeeded, where it may, or has failed as it should.
#[track_caller]
pub(super) fn sent<T: std::fmt::Debug>(result: Result<T>, may_succeed: bool) {
    match result {
        Ok(_) if may_succeed => {}
        Err(Error::Closed(_)) => {}
        // On the explored clock any wait may end early: that for another thread's send, too.
        #[cfg(shuttle)]
        Err(Error::Timeout(_)) if may_succeed => {}
        other => panic!("{other:?}"),
    }
}

/// `on_open` comes first, messages come while it is open, `on_close` once for each that was open, or once at all.
#[track_caller]
fn check_order(heard: &[Heard]) {
    let (mut opens, mut closes, mut is_open) = (0, 0, false);
    for (place, what) in heard.iter().enumerate() {
        match what {
            Heard::Opened | Heard::Again => {
                assert!(!is_open, "{heard:?}");
                assert_eq!(*what == Heard::Opened, opens == 0, "{heard:?}");
                opens += 1;
                is_open = true;
            }
            Heard::Message | Heard::Control => assert!(is_open, "{heard:?}"),
            Heard::Failed => {}
            Heard::Ended => panic!("it ends twice: {heard:?}"),
            Heard::Closed { again, .. } => {
                assert!(is_open || opens == 0, "{heard:?}");
                assert!(*again || place + 1 == heard.len() || heard[place + 1..] == [Heard::Failed], "{heard:?}");
                closes += 1;
                is_open = false;
            }
        }
    }
    assert_eq!(closes, opens.max(1), "{heard:?}");
}

/// The two ends of a connection, ours and the server's.
#[cfg(shuttle)]
fn pair() -> (Box<dyn Transport>, Box<dyn Transport>) {
    let (ours, theirs) = crate::net::tests::pipe::pair(CAPACITY);
    (ours.into(), theirs.into())
}

/// The two ends of a connection over loopback, ours and the server's.
#[cfg(not(shuttle))]
fn pair() -> (Box<dyn Transport>, Box<dyn Transport>) {
    use std::net::{TcpListener, TcpStream};
    use std::sync::LazyLock;

    static LISTENER: LazyLock<Mutex<TcpListener>> =
        LazyLock::new(|| Mutex::new(TcpListener::bind("127.0.0.1:0").unwrap()));
    let listener = lock(&LISTENER);
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    (ours.into(), theirs.into())
}

/// Waits for a thread, and panics as it did.
pub(super) fn join(thread: JoinHandle<()>) {
    thread.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked));
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
