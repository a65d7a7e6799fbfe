//! What an app on a loop takes of memory and time. One test, since it measures the process.

#![cfg(all(target_os = "linux", feature = "mio"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use support::{Peer, bounded, frame};
use websocket_sync::{ManyApps, Reconnect, WebSocketApp};

/// As many as a process can have that may have 1,024 descriptors, its peers included.
const APPS: usize = 400;
/// How often each of them gets a message.
const TICKS: usize = 4;
const SECOND: Duration = Duration::from_secs(1);

/// What the process has of memory, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

/// What this thread has spent on the CPU, and when.
fn spent() -> (Duration, Instant) {
    (Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap(), Instant::now())
}

/// Accepts all, says something to each every second, and closes.
fn serve(listener: &TcpListener) {
    let mut peers: Vec<Peer> = (0..APPS)
        .map(|_| {
            let mut peer = Peer::new(listener.accept().unwrap().0);
            peer.accept();
            peer
        })
        .collect();
    for _ in 0..TICKS {
        thread::sleep(SECOND);
        peers.iter().for_each(|peer| peer.say(frame(0x81, "tick")));
    }
    peers.iter().for_each(|peer| peer.say(frame(0x88, b"\x03\xe8")));
    peers.iter_mut().for_each(|peer| drop(peer.rest()));
}

#[test]
fn an_idle_app_takes_less_than_40_kib_and_a_message_every_second_next_to_nothing() {
    bounded(60, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || serve(&listener));
        let (ticks, held) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let times = Mutex::new((None, None));
        let before = resident();
        let mut apps = ManyApps::new().unwrap();
        for _ in 0..APPS {
            let app =
                WebSocketApp::new(&url).ping_interval(20 * SECOND).reconnect(Reconnect::backoff().stop_on_close());
            let app = app.on_message(|_, _| match ticks.fetch_add(1, Ordering::Relaxed) {
                0 => times.lock().unwrap().0 = Some(spent()),
                tick if tick == TICKS * APPS - 1 => {
                    times.lock().unwrap().1 = Some(spent());
                    held.store(resident() - before, Ordering::Relaxed);
                }
                _ => {}
            });
            apps.add(app).unwrap();
        }
        apps.run().unwrap();
        server.join().unwrap();
        assert_eq!(ticks.load(Ordering::Relaxed), TICKS * APPS);
        let (Some((cpu, start)), Some((cpu_end, end))) = *times.lock().unwrap() else { panic!("no ticks") };
        let share = (cpu_end - cpu).as_secs_f64() / (end - start).as_secs_f64();
        let held = held.load(Ordering::Relaxed) / APPS;
        println!("{held} bytes per app and its peer, {:.2} % of a core for {APPS} apps", 100.0 * share);
        assert!(held <= 40 * 1024, "{held} bytes per app");
        assert!(share < 0.05, "{:.2} % of a core", 100.0 * share);
    });
}
