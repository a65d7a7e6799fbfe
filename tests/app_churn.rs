//! Two thousand apps for an hour, on a loop and on threads, with servers that close, drop, stall, refuse and restart: nothing grows, and
//! no callback is missed. Run by hand, since it takes that long:
//!
//! ```text
//! cargo test --release --features mio --test app_churn -- --ignored --nocapture        # CHURN_SECONDS=3600 CHURN_APPS=2000
//! ```
//!
//! The servers are in a process of their own. Now and then all of them behave, and every app is open: then memory is compared.

#![cfg(all(target_os = "linux", feature = "mio"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::System;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write, stdin};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cap::Cap;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use websocket_sync::{CloseCode, ConnectOptions, ManyApps, Message, Reconnect, WebSocketApp};

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// Of a hundred apps, so many run on threads of their own.
const ON_THREADS: usize = 5;
/// What the heap and the resident memory may grow by, in bytes, for all apps together.
const HEAP_GROWTH: i64 = 16 * 1024;
const RESIDENT_GROWTH: i64 = 1 << 20;
/// How long everything has to be in order until all apps are open.
const CALM: Duration = Duration::from_secs(60);

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |value| value.parse().unwrap())
}

/// What one app has heard, as its callbacks tell it.
#[derive(Debug, Default)]
struct Heard {
    is_open: bool,
    /// The number of the message that has to come next on this connection.
    next: u64,
    opens: u64,
    closes: u64,
    /// What has come out of turn.
    mistakes: Vec<String>,
}

#[derive(Debug, Default)]
struct Totals {
    open: AtomicUsize,
    messages: AtomicU64,
    errors: AtomicU64,
}

fn app(url: &str, totals: &Arc<Totals>, heard: &Arc<Mutex<Heard>>) -> WebSocketApp<'static> {
    let [on_open, on_again, on_message, on_close] = std::array::from_fn(|_| Arc::clone(heard));
    let [opened, again, received, failed, closed] = std::array::from_fn(|_| Arc::clone(totals));
    let open = |heard: &Mutex<Heard>, totals: &Totals| {
        let mut heard = heard.lock().unwrap();
        if heard.is_open {
            heard.mistakes.push("open twice".to_owned());
        }
        (heard.is_open, heard.next) = (true, 0);
        heard.opens += 1;
        totals.open.fetch_add(1, Ordering::SeqCst);
    };
    WebSocketApp::new(url)
        .options(ConnectOptions::new().close_timeout(Duration::from_secs(2)).open_timeout(Duration::from_secs(10)))
        .ping_interval(Duration::from_secs(1))
        .ping_timeout(Duration::from_secs(5))
        .reconnect(Reconnect::backoff().base(Duration::from_millis(500)).cap(Duration::from_secs(5)))
        .on_open(move |app| {
            open(&on_open, &opened);
            app.send_text("hello")
        })
        .on_reconnect(move |app| {
            open(&on_again, &again);
            app.send_text("hello again")
        })
        .on_message(move |_, message| {
            received.messages.fetch_add(1, Ordering::Relaxed);
            let mut heard = on_message.lock().unwrap();
            let expected = heard.next;
            if !heard.is_open || message.as_text().and_then(|text| text.parse().ok()) != Some(expected) {
                heard.mistakes.push(format!("{message:?} for {expected}"));
            }
            heard.next = expected + 1;
        })
        .on_error(move |_, _| {
            failed.errors.fetch_add(1, Ordering::Relaxed);
        })
        .on_close(move |_, _| {
            let mut heard = on_close.lock().unwrap();
            if std::mem::take(&mut heard.is_open) {
                closed.open.fetch_sub(1, Ordering::SeqCst);
            } else if heard.opens > 0 {
                heard.mistakes.push("closed twice".to_owned());
            }
            heard.closes += 1;
        })
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
struct Sample {
    heap: i64,
    resident: i64,
    descriptors: usize,
    threads: usize,
}

impl Sample {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let field = |name: &str| -> i64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        Self {
            heap: i64::try_from(HEAP.allocated()).unwrap(),
            resident: field("VmRSS:") * 1024,
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            threads: usize::try_from(field("Threads:")).unwrap(),
        }
    }
}

/// The process with the servers.
struct Servers {
    process: Child,
    commands: ChildStdin,
    url: String,
}

impl Servers {
    fn start() -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "serves"])
            .env("CHURN_SERVES", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = lines.find_map(|line| line.unwrap().strip_prefix("url ").map(str::to_owned)).unwrap();
        // Whatever else it prints has to go somewhere.
        thread::spawn(move || lines.for_each(drop));
        let commands = process.stdin.take().unwrap();
        Self { process, commands, url }
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").unwrap();
    }
}

/// All servers behave until every app is open and stays so for a while; then memory is looked at.
fn calm_sample(servers: &mut Servers, totals: &Totals, apps: usize) -> Sample {
    servers.tell("calm");
    let start = Instant::now();
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_secs(12) {
        if totals.open.load(Ordering::SeqCst) < apps {
            since = Instant::now();
        }
        assert!(start.elapsed() < CALM, "{} of {apps} are open", totals.open.load(Ordering::SeqCst));
        thread::sleep(Duration::from_millis(100));
    }
    let sample = Sample::now();
    servers.tell("churn");
    sample
}

fn allow_many_sockets() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

#[ignore = "an hour"]
#[test]
fn an_hour_of_churn_leaves_nothing_behind() {
    let seconds = number("CHURN_SECONDS", 3600);
    let apps = usize::try_from(number("CHURN_APPS", 2000)).unwrap();
    allow_many_sockets();
    let mut servers = Servers::start();
    let totals = Arc::new(Totals::default());
    let heard: Vec<_> = (0..apps).map(|_| Arc::new(Mutex::new(Heard::default()))).collect();
    let (looped, threaded) = heard.split_at(apps - apps * ON_THREADS / 100);
    let mut many = ManyApps::new().unwrap();
    let mut handles: Vec<_> = looped.iter().map(|heard| many.add(app(&servers.url, &totals, heard)).unwrap()).collect();
    let driver = thread::spawn(move || many.run().unwrap());
    let threads: Vec<_> = threaded.iter().map(|heard| app(&servers.url, &totals, heard).spawn().unwrap()).collect();
    handles.extend(threads.iter().map(|app| app.handle()));

    let mut samples = Vec::new();
    let start = Instant::now();
    // After warm-up, at one half, and at the end.
    for moment in [seconds / 10, seconds / 2, seconds] {
        let until = start + Duration::from_secs(moment);
        while Instant::now() < until {
            thread::sleep(Duration::from_secs(1).min(until - Instant::now()));
        }
        let sample = calm_sample(&mut servers, &totals, apps);
        let (messages, errors) = (totals.messages.load(Ordering::Relaxed), totals.errors.load(Ordering::Relaxed));
        println!("after {} s: {sample:?}, {messages} messages, {errors} errors", start.elapsed().as_secs());
        samples.push(sample);
    }
    handles.iter().for_each(|handle| handle.stop());
    driver.join().unwrap();
    threads.into_iter().for_each(|app| drop(app.join()));
    servers.process.kill().unwrap();
    servers.process.wait().unwrap();

    let (mut opens, mut closes) = (0, 0);
    for heard in &heard {
        let heard = heard.lock().unwrap();
        assert!(heard.mistakes.is_empty(), "{heard:?}");
        assert_eq!(heard.opens, heard.closes, "{heard:?}");
        (opens, closes) = (opens + heard.opens, closes + heard.closes);
    }
    println!("{opens} connections opened, {closes} closed");
    let [warm, half, end] = samples[..] else { unreachable!("three samples") };
    assert!(end.heap - warm.heap <= HEAP_GROWTH, "{warm:?}, {end:?}");
    assert!(end.resident - half.resident <= RESIDENT_GROWTH, "{half:?}, {end:?}");
    assert_eq!((end.descriptors, end.threads), (warm.descriptors, warm.threads));
}

/// What a server does with a connection when it does not behave.
#[derive(Clone, Copy, Debug)]
enum Behaviour {
    Close,
    Drop,
    Reset,
    /// It neither reads nor writes any more, and keeps the connection.
    Stall,
    Stay,
}

/// Numbers without a pattern that matters, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[derive(Debug, Default)]
struct Mood {
    is_calm: AtomicBool,
    /// Connections of an earlier life of the server end.
    life: AtomicU64,
}

#[ignore = "the servers of the other test"]
#[test]
fn serves() {
    if env::var_os("CHURN_SERVES").is_none() {
        return;
    }
    allow_many_sockets();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("url ws://{}/", listener.local_addr().unwrap());
    let mood = Arc::new(Mood::default());
    let accepting = Arc::clone(&mood);
    thread::spawn(move || {
        let mut random = Random(1);
        for stream in listener.incoming().flatten() {
            let (mood, seed) = (Arc::clone(&accepting), random.below(u64::MAX));
            let builder = thread::Builder::new().stack_size(256 * 1024);
            drop(builder.spawn(move || serve(stream, &mood, Random(seed))).unwrap());
        }
    });
    let restarts = Arc::clone(&mood);
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(60));
            if !restarts.is_calm.load(Ordering::SeqCst) {
                restarts.life.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    for line in stdin().lines() {
        mood.is_calm.store(line.unwrap() == "calm", Ordering::SeqCst);
    }
    std::process::exit(0);
}

fn serve(stream: TcpStream, mood: &Mood, mut random: Random) {
    let is_calm = || mood.is_calm.load(Ordering::SeqCst);
    let life = mood.life.load(Ordering::SeqCst);
    if !is_calm() && random.below(10) == 0 {
        match random.below(3) {
            0 => drop(stream),
            1 => {
                let _ = (&stream).write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.shutdown(Shutdown::Write);
                thread::sleep(Duration::from_millis(100));
            }
            _ => thread::sleep(Duration::from_secs(random.below(12))),
        }
        return;
    }
    let raw = stream.try_clone().unwrap();
    let options = ConnectOptions::new().open_timeout(Duration::from_secs(10));
    let Ok(mut ws) = options.accept(stream) else { return };
    let behaviour = match random.below(10) {
        0..3 => Behaviour::Close,
        3..5 => Behaviour::Drop,
        5 => Behaviour::Reset,
        6 => Behaviour::Stall,
        _ => Behaviour::Stay,
    };
    let acts_at = Instant::now() + Duration::from_millis(1000 + random.below(30_000));
    for sent in 0_u64.. {
        let next = Instant::now() + Duration::from_millis(500 + random.below(1000));
        while let Ok(Message::Text(_) | Message::Binary(_)) = ws.recv_deadline(next) {}
        if !ws.connected() {
            return;
        }
        if !is_calm() && (Instant::now() >= acts_at || mood.life.load(Ordering::SeqCst) > life) {
            match behaviour {
                Behaviour::Close => drop(ws.close_with(CloseCode(1001), "later")),
                Behaviour::Drop => drop(raw.shutdown(Shutdown::Both)),
                Behaviour::Reset => drop(socket2::SockRef::from(&raw).set_linger(Some(Duration::ZERO))),
                Behaviour::Stall => {
                    thread::sleep(Duration::from_secs(15));
                    drop(raw.shutdown(Shutdown::Both));
                }
                Behaviour::Stay => {}
            }
            if !matches!(behaviour, Behaviour::Stay) || mood.life.load(Ordering::SeqCst) > life {
                return;
            }
        }
        if ws.send_text(&sent.to_string()).is_err() {
            return;
        }
    }
}
