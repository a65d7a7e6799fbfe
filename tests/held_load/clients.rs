//! The apps: what each has sent and received on each of its connections, and how these ended.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

#[cfg(feature = "mio")]
use websocket_sync::ManyApps;
use websocket_sync::{
    CloseCause, CloseCode, Closed, ConnectOptions, Error, Handle, MessageRef, Reconnect, Sender, SocketOptions,
    WebSocketApp,
};

use crate::message::{self, Request};
use crate::pace::{CLOSE_TIMEOUT, Pace, Random, now_ms};

/// The addresses of the loopback network that are dialled: one alone has not enough ports for all.
const ADDRESSES: usize = 8;
/// How much one app may hold back, and the kernel for it: little, so that a slow reader is felt.
const MAX_UNSENT: usize = 128 * 1024;
const SEND_BUFFER: usize = 32 * 1024;
/// How many threads close connections.
const CLOSERS: usize = 50;
/// What a client says when it is asked to talk.
const TALK: (usize, usize) = (30, 16_000);

/// What an app has noted of one connection.
#[derive(Clone, Debug)]
pub(crate) struct ClientRecord {
    /// Its own name for it, which its messages carry: the app, and which of its connections.
    pub(crate) number: u64,
    /// The server's name for it, once a message has come.
    pub(crate) server_number: Option<u64>,
    /// Messages that came, in their order.
    pub(crate) received: u64,
    /// Messages that the crate took to send.
    pub(crate) sent: u64,
    pub(crate) leaving: Leaving,
    /// When it was told that it has ended, and how.
    pub(crate) ended_at: u64,
    pub(crate) cause: Option<CloseCause>,
}

/// Whether this side has closed a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Leaving {
    No,
    /// The server has asked for it, and went on sending.
    Asked,
    /// All was over, and all had come.
    Settled,
}

/// The number of the connections of an app: which app it is, and how many it had before.
fn number_of(app: usize, connections: usize) -> u64 {
    u64::try_from(app * 1_000_000 + connections).unwrap()
}

/// All that one app has noted.
#[derive(Debug, Default)]
struct Log {
    /// The connection that is open, and what sends on it and on no other.
    open: Option<(Sender, ClientRecord)>,
    ended: Vec<ClientRecord>,
    mistakes: Vec<String>,
    /// Whether this side closes whatever is open.
    is_closing: bool,
}

#[derive(Debug, Default)]
struct Counters {
    open: AtomicUsize,
    errors: AtomicU64,
    /// Sends that were refused since there was no room.
    full: AtomicU64,
    /// How long a message took to its callback at most, in milliseconds.
    lag: AtomicU64,
}

struct App {
    number: usize,
    log: Mutex<Log>,
    counters: Arc<Counters>,
}

impl App {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self, handle: &Handle) {
        let mut log = self.log();
        if log.open.is_some() {
            log.mistakes.push("open twice".to_owned());
        }
        let record = ClientRecord {
            number: number_of(self.number, log.ended.len()),
            server_number: None,
            received: 0,
            sent: 0,
            leaving: if log.is_closing { Leaving::Asked } else { Leaving::No },
            ended_at: 0,
            cause: None,
        };
        let Some(sender) = handle.sender() else {
            // Lost already, and `on_close` is to come.
            log.mistakes.push("opened without what sends on it".to_owned());
            return;
        };
        log.open = Some((sender, record));
        self.counters.open.fetch_add(1, Ordering::SeqCst);
        self.send(&mut log, 10);
    }

    /// Sends the next message on the connection that is open.
    fn send(&self, log: &mut Log, length: usize) {
        let Some((sender, record)) = &mut log.open else { return };
        match sender.send_text(&message::text(record.number, record.sent, Request::Nothing, length)) {
            Ok(_) => record.sent += 1,
            Err(Error::Full) => {
                self.counters.full.fetch_add(1, Ordering::Relaxed);
            }
            // The end of the connection is told to `on_close`.
            Err(_) => {}
        }
    }

    fn received(&self, handle: &Handle, text: &[u8]) {
        let mut log = self.log();
        let mistake = match (message::parse(text), &mut log.open) {
            (Ok(message), Some((_, record))) => {
                let expected = record.server_number.get_or_insert(message.connection);
                if (message.connection, message.sequence) == (*expected, record.received) {
                    record.received += 1;
                    self.counters.lag.fetch_max(now_ms().saturating_sub(message.at), Ordering::Relaxed);
                    return self.answer(handle, log, message.request);
                }
                format!("{message:?} on {record:?}")
            }
            (Ok(message), None) => format!("{message:?} without a connection"),
            (Err(problem), _) => problem,
        };
        log.mistakes.push(mistake);
    }

    fn answer(&self, handle: &Handle, mut log: MutexGuard<'_, Log>, request: Request) {
        match request {
            Request::Nothing => {
                if let Some((_, record)) = &log.open
                    && record.received % 2 == 1
                {
                    self.send(&mut log, 20);
                }
            }
            Request::Talk => (0..TALK.0).for_each(|_| self.send(&mut log, TALK.1)),
            Request::Leave => {
                if let Some((_, record)) = &mut log.open {
                    record.leaving = Leaving::Asked;
                }
                drop(log);
                handle.reconnect(CloseCode(4000), "it was asked to leave").unwrap();
            }
        }
    }

    fn closed(&self, closed: &Closed) {
        let mut log = self.log();
        // Without one, that is the end of a run between two connections.
        let Some((_, mut record)) = log.open.take() else { return };
        record.ended_at = now_ms();
        record.cause = Some(closed.cause);
        log.ended.push(record);
        self.counters.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn web_socket_app(app: &Arc<App>, port: u16, pace: Pace) -> WebSocketApp<'static> {
    let [opened, again, received, closed, failed] = std::array::from_fn(|_| Arc::clone(app));
    let options = ConnectOptions::new()
        .close_timeout(CLOSE_TIMEOUT)
        .send_timeout(Duration::from_secs(3))
        .max_unsent(MAX_UNSENT)
        .socket(SocketOptions::new().send_buffer_size(SEND_BUFFER));
    WebSocketApp::new(format!("ws://127.0.0.{}:{port}/", app.number % ADDRESSES + 1))
        .options(options)
        .ping_interval(pace.ping_interval)
        .ping_timeout(pace.ping_timeout)
        .reconnect(Reconnect::backoff().base(pace.reconnect_base).cap(pace.reconnect_cap))
        .on_open(move |handle| opened.opened(handle))
        .on_reconnect(move |handle| again.opened(handle))
        .on_message(move |handle, message: MessageRef<'_>| received.received(handle, message.as_bytes()))
        .on_close(move |_, ended| closed.closed(ended))
        .on_error(move |_, _| {
            failed.counters.errors.fetch_add(1, Ordering::Relaxed);
        })
}

pub(crate) struct Clients {
    apps: Vec<Arc<App>>,
    handles: Vec<Handle>,
    counters: Arc<Counters>,
    runs: Runs,
    sending: JoinHandle<()>,
    is_sending: Arc<AtomicBool>,
}

/// What drives the apps.
struct Runs(Vec<JoinHandle<()>>);

impl Runs {
    #[cfg(feature = "mio")]
    fn start(apps: Vec<WebSocketApp<'static>>) -> Self {
        let mut many = ManyApps::new().unwrap();
        for app in apps {
            many.add(app).unwrap();
        }
        Self(vec![thread::spawn(move || many.run().unwrap())])
    }

    #[cfg(not(feature = "mio"))]
    fn start(apps: Vec<WebSocketApp<'static>>) -> Self {
        // How a run ends is told to `on_close`.
        let run = |mut app: WebSocketApp<'static>| thread::spawn(move || drop(app.run_forever()));
        Self(apps.into_iter().map(run).collect())
    }
}

impl Clients {
    pub(crate) fn start(count: usize, port: u16, pace: Pace, seed: u64) -> Self {
        let counters = Arc::new(Counters::default());
        let new = |number| Arc::new(App { number, log: Mutex::default(), counters: Arc::clone(&counters) });
        let apps: Vec<_> = (0..count).map(new).collect();
        let runs: Vec<_> = apps.iter().map(|app| web_socket_app(app, port, pace)).collect();
        let handles = runs.iter().map(WebSocketApp::handle).collect();
        let is_sending = Arc::new(AtomicBool::new(true));
        let sending = {
            let (apps, is_sending, pause) = (apps.clone(), Arc::clone(&is_sending), pace.message_after * 2);
            thread::spawn(move || send_from_outside(&apps, &is_sending, pause, Random(seed)))
        };
        Self { apps, handles, counters, runs: Runs::start(runs), sending, is_sending }
    }

    /// Waits until all have been open for a while.
    #[track_caller]
    pub(crate) fn wait_all_open(&self, most: Duration) {
        let (start, mut since) = (Instant::now(), Instant::now());
        while since.elapsed() < Duration::from_millis(500) {
            let open = self.counters.open.load(Ordering::SeqCst);
            if open < self.apps.len() {
                since = Instant::now();
            }
            assert!(start.elapsed() < most, "after {most:?}, {open} of {} are open", self.apps.len());
            self.assert_running();
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub(crate) fn assert_running(&self) {
        assert!(!self.runs.0.iter().any(JoinHandle::is_finished), "a run has ended");
    }

    pub(crate) fn stop_sending(&self) {
        self.is_sending.store(false, Ordering::SeqCst);
        // Who sends now has sent.
        self.apps.iter().for_each(|app| drop(app.log()));
    }

    /// How many messages were sent on the connections that are open, and how many came on them.
    pub(crate) fn totals(&self) -> (u64, u64) {
        self.apps.iter().fold((0, 0), |(sent, received), app| match &app.log().open {
            Some((_, record)) => (sent + record.sent, received + record.received),
            None => (sent, received),
        })
    }

    /// Closes all; returns what was noted of all connections, and how long a message took at most: pauses of the server, and what this
    /// machine is late by.
    pub(crate) fn close(self) -> (Vec<ClientRecord>, Duration) {
        let Self { apps, handles, counters, runs, sending, .. } = self;
        sending.join().unwrap();
        for app in &apps {
            let mut log = app.log();
            log.is_closing = true;
            if let Some((_, record)) = &mut log.open {
                record.leaving = Leaving::Settled;
            }
        }
        // Each call waits for the end of its connection.
        thread::scope(|scope| {
            for part in handles.chunks(handles.len().div_ceil(CLOSERS)) {
                scope.spawn(move || part.iter().for_each(|handle| handle.close().unwrap()));
            }
        });
        runs.0.into_iter().for_each(|run| run.join().unwrap());
        let mut records = Vec::new();
        for app in apps {
            let log = std::mem::take(&mut *app.log());
            assert!(log.mistakes.is_empty(), "app {}: {:?}", app.number, log.mistakes);
            assert!(log.open.is_none(), "app {}: no end was told: {log:?}", app.number);
            records.extend(log.ended);
        }
        let (errors, full) = (counters.errors.load(Ordering::Relaxed), counters.full.load(Ordering::Relaxed));
        let lag = Duration::from_millis(counters.lag.load(Ordering::Relaxed));
        println!("{errors} errors were told to on_error, {full} sends found no room; a message took {lag:?} at most");
        (records, lag)
    }
}

/// Sends on connections that are chosen at random, from a thread that is none of the apps': each app in turn, on average.
fn send_from_outside(apps: &[Arc<App>], is_sending: &AtomicBool, pause: Duration, mut random: Random) {
    let round = Duration::from_millis(10);
    let each_round = (apps.len() as f64 * round.as_secs_f64() / pause.as_secs_f64()).ceil() as usize;
    while is_sending.load(Ordering::SeqCst) {
        for _ in 0..each_round {
            let app = &apps[usize::try_from(random.below(apps.len() as u64)).unwrap()];
            let mut log = app.log();
            if is_sending.load(Ordering::SeqCst) {
                app.send(&mut log, message::any_length(&mut random));
            }
        }
        thread::sleep(round);
    }
}
