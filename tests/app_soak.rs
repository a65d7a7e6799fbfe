//! An app that loses its connection thousands of times, over real sockets: nothing is left behind, and nothing grows. The whole process
//! is measured, so this is the only test in it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/app.rs"]
mod app_support;
mod support;

use std::fs;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use app_support::serve_again;
use support::{
    Peer, assert_back_at, bounded, descriptors_and_threads, frame, join, ms, settled_descriptors_and_threads, times,
};
use websocket_sync::{CloseCause, Closed, Overflow, Reconnect, Result, WebSocketApp};

/// What is made once is made by then.
const WARM_UP: usize = 500;
/// What the process may grow by after that, in bytes.
const GROWTH: u64 = 64 * 1024;
/// What the thread that runs an app has taken more than it has given back, in bytes: buffers grow in the hands of one thread and go in
/// those of another. A few for all connections, not some for each.
const RUN: i64 = 64 * 1024;
const QUICKLY: Duration = Duration::from_micros(100);

/// What is looked at when a connection is over.
#[derive(Clone, Copy, Debug)]
struct Sample {
    descriptors: usize,
    threads: usize,
    resident: u64,
    /// Where the stack has come to: the same place each time.
    depth: usize,
}

impl Sample {
    #[inline(never)]
    fn now() -> Self {
        let here = 0u8;
        let (descriptors, threads) = descriptors_and_threads();
        Self { descriptors, threads, resident: resident(), depth: std::ptr::from_ref(&here).addr() }
    }
}

/// The memory of the process that is resident, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// Connections that end in every way that a server knows.
fn lose(number: usize, mut peer: Peer) {
    peer.accept();
    peer.say(frame(0x81, "a message"));
    match number % 5 {
        // Dropped, with a reset that leaves no port waiting.
        0 => peer.reset(),
        1 => drop(peer),
        // Closed, with the answer read.
        2 => {
            peer.say(frame(0x88, b"\x03\xe9bye"));
            peer.rest();
        }
        // Against the rules.
        3 => {
            peer.say(b"\x83\x00");
            peer.rest();
        }
        // In the middle of a message.
        _ => {
            peer.say(&frame(0x82, vec![7; 40_000])[..20_000]);
            peer.reset();
        }
    }
}

/// Runs an app that loses its connection so often, and looks at it each time. The thread that runs it gives back all it took.
fn run(reconnects: usize, configure: impl FnOnce(WebSocketApp<'_>) -> WebSocketApp<'_>) -> Vec<Sample> {
    let (url, server) = serve_again(move |number, mut peer| {
        if number < reconnects {
            lose(number, peer);
            return true;
        }
        peer.accept();
        peer.end();
        false
    });
    // What is written down is resident from the beginning.
    let mut samples = vec![Sample::now(); reconnects];
    samples.clear();
    let mut messages = 0;
    let reconnect = Reconnect::fixed(QUICKLY);
    let app = WebSocketApp::new(url).reconnect(reconnect).ping_interval(ms(2)).ping_timeout(ms(20_000));
    let app = app
        .on_reconnect(move |app| if app.statistics().connects > reconnects as u64 { app.close() } else { Ok(()) })
        .on_message(|_, _| messages += 1)
        .on_error(|_, _| {})
        .on_close(|_, closed| {
            if closed.reconnect.is_some() {
                samples.push(Sample::now());
            }
        });
    let mut app = configure(app);
    let mut ended: Option<Result<Closed>> = None;
    let taken = measure(|| ended = Some(app.run_forever()));
    assert_eq!(ended.unwrap().unwrap().cause, CloseCause::Local);
    assert_eq!(app.handle().statistics().connects, reconnects as u64 + 1);
    drop(app);
    join(server);
    assert_eq!(samples.len(), reconnects);
    assert!(messages >= reconnects / 2, "{messages}");
    assert!(taken.bytes_current < RUN && taken.count_current < 100, "{taken:?}");
    samples
}

/// From the end of the warm-up to the end nothing has grown. What the server has not closed yet comes and goes, and a thread that has ended
/// is there until the kernel has taken it down.
#[track_caller]
fn check_flat(samples: &[Sample]) {
    let (early, late) = (&samples[WARM_UP..2 * WARM_UP], &samples[samples.len() - WARM_UP..]);
    let fewest = |of: fn(&Sample) -> usize| [early, late].map(|samples| samples.iter().map(of).min().unwrap());
    let most = |of: fn(&Sample) -> usize| samples[WARM_UP..].iter().map(of).max().unwrap();
    let (descriptors, threads) = (fewest(|sample| sample.descriptors), fewest(|sample| sample.threads));
    assert_eq!((descriptors[0], threads[0]), (descriptors[1], threads[1]));
    assert!(most(|sample| sample.descriptors) < descriptors[0] + 8, "descriptors");
    let with_more = samples[WARM_UP..].iter().filter(|sample| sample.threads > threads[0]).count();
    assert!(with_more * 100 <= samples.len(), "a thread for a connection: {with_more} of {}", samples.len());
    assert!(samples.iter().all(|sample| sample.depth == samples[0].depth), "the stack has grown");
    let (first, last) = (early[0], late[WARM_UP - 1]);
    assert!(last.resident < first.resident + GROWTH, "{first:?}, then {last:?}");
}

#[test]
fn thousands_of_reconnects_leave_nothing_behind_and_nothing_grows() {
    let reconnects = times(10_000, 2500);
    bounded(240, move || {
        // All that is made once.
        run(20, |app| app);
        let before = settled_descriptors_and_threads();
        check_flat(&run(reconnects, |app| app));
        assert_back_at(before);
        check_flat(&run((reconnects / 5).max(2 * WARM_UP), |app| app.queue(4, Overflow::Block)));
        assert_back_at(before);
        a_server_that_drops_at_once_is_asked_as_often_as_the_back_off_says();
        assert_back_at(before);
    });
}

/// For a real second and a half.
fn a_server_that_drops_at_once_is_asked_as_often_as_the_back_off_says() {
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let (url, server) = serve_again(move |_, mut peer| {
        if !over.load(Ordering::Acquire) {
            let request = peer.head();
            // Whoever is closed to has gone.
            let _ = peer.try_say(support::answer_to(&request));
        }
        !over.load(Ordering::Acquire)
    });
    let address = url["ws://".len()..].trim_end_matches('/').to_owned();
    let reconnect = Reconnect::backoff().base(ms(20)).floor(ms(20)).cap(ms(100));
    let cpu = processor_time();
    let app = WebSocketApp::new(url).reconnect(reconnect).on_error(|_, _| {}).spawn().unwrap();
    let start = Instant::now();
    thread::sleep(ms(1500));
    app.handle().close().unwrap();
    let (connects, took) = (app.handle().statistics().connects, start.elapsed());
    let _ = app.join();
    let used = processor_time() - cpu;
    is_over.store(true, Ordering::Release);
    let _ = TcpStream::connect(address);
    join(server);
    let most = u64::try_from(took.as_millis()).unwrap() / 20 + 1;
    assert!((5..=most).contains(&connects), "{connects} in {took:?}");
    assert!(used < took / 4, "{used:?} of the processor in {took:?}");
}

/// What the process has used of the processors.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}
