use std::time::{Duration, Instant};

use websocket_sync::fuzzing::{KeepaliveMachine, KeepaliveStep, LifecycleMachine};
use websocket_sync::{Error, Phase, Reconnect};

use crate::input::Input;

/// The state machines of an app keep their promises whatever happens, in whichever order, and however time passes: delays, attempts
/// and pings within their bounds, no peer is dead before its time, no loop without a wait.
///
/// Input: which machine (1 byte), its options, then a program of events.
pub fn app_loop(data: &[u8]) {
    let mut input = Input::new(data);
    if input.flag() { run(input) } else { pings(input) }
}

/// Up to about nineteen days.
fn duration(input: &mut Input<'_>) -> Duration {
    let number = u64::from(input.short());
    Duration::from_millis(match number >> 14 {
        0 | 1 => number,
        2 => number * 10,
        _ => number * 25_000,
    })
}

fn run(mut input: Input<'_>) {
    let flags = input.byte();
    let (fixed, cap, floor) = (duration(&mut input), duration(&mut input), duration(&mut input));
    let is_fixed = flags & 1 != 0;
    let mut reconnect = if is_fixed { Reconnect::fixed(fixed) } else { Reconnect::backoff().cap(cap).floor(floor) };
    let most = u32::from(input.byte());
    if flags & 2 != 0 {
        reconnect = reconnect.max_attempts(most);
    }
    let stable_after = duration(&mut input);
    let mut machine = LifecycleMachine::new(reconnect.stable_after(stable_after));
    let mut now = Instant::now();
    let mut attempts = 0;
    let mut has_opened = false;
    while !input.is_empty() {
        let event = input.byte();
        attempts += 1;
        assert_eq!(machine.connect(), attempts, "the number of an attempt");
        let mut uptime = None;
        if event & 1 != 0 {
            assert_eq!(machine.opened(now), !has_opened);
            has_opened = true;
            uptime = Some(duration(&mut input));
            now += uptime.unwrap_or_default();
        }
        let (is_healthy, is_replaced) = (event & 2 != 0, event & 4 != 0);
        let retry_after = (event & 8 != 0).then(|| duration(&mut input));
        let error = if event & 16 == 0 { Error::Timeout(Phase::Connect) } else { refused() };
        if is_healthy || uptime.is_some_and(|uptime| uptime >= stable_after) {
            attempts = 0;
        }
        let next = machine.ended(now, &error, retry_after, (is_healthy, is_replaced), input.word());
        let Some((delay, at)) = next else {
            assert!(machine.is_stopped());
            assert!(
                (flags & 2 != 0 && attempts >= most) || (is_fixed && fixed.is_zero()),
                "a run ends after {attempts} attempts with {error:?}"
            );
            return;
        };
        assert!(!machine.is_stopped());
        assert!(flags & 2 == 0 || attempts < most, "one more than {most} attempts");
        assert_eq!(at, now + delay);
        if !is_fixed && retry_after.is_none() {
            assert!(delay <= cap.max(floor), "a delay of {delay:?}, a cap of {cap:?}, a floor of {floor:?}");
            assert!(delay >= floor, "a delay of {delay:?}, a floor of {floor:?}");
        }
        now = at;
    }
    machine.stop();
    assert!(machine.is_stopped());
}

fn refused() -> Error {
    let error = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    Error::Io { phase: Phase::Connect, error }
}

/// What a test knows of the peer.
struct Peer {
    received: u64,
    /// When a byte came last, as far as the machine can know, or when the connection was opened.
    heard_at: Instant,
}

fn pings(mut input: Input<'_>) {
    let flags = input.byte();
    let interval = duration(&mut input);
    let timeout = (flags & 1 != 0).then(|| duration(&mut input));
    let payload = (flags & 2 != 0).then(|| input.counted().to_vec());
    let start = Instant::now();
    let Some(mut machine) = KeepaliveMachine::start(interval, timeout, payload.clone(), start) else { return };
    let mut now = start;
    let mut peer = Peer { received: 0, heard_at: start };
    let (mut pings, mut first_unanswered) = (0, None);
    for _ in 0..300 {
        if input.is_empty() {
            break;
        }
        let event = input.byte();
        if event & 1 != 0 {
            peer = Peer { received: peer.received + 1, heard_at: now };
            first_unanswered = None;
        }
        if event & 2 != 0 {
            let _ = machine.pong(input.counted(), now);
        }
        let activity = (peer.received, event & 4 == 0);
        match machine.poll(now, activity) {
            KeepaliveStep::Ping(number, sent) => {
                pings += 1;
                assert_eq!(number, pings);
                assert_eq!(sent, payload.clone().unwrap_or_else(|| number.to_be_bytes().to_vec()));
                let most = (now - start).as_nanos() / interval.as_nanos();
                assert!(u128::from(pings) <= most, "{pings} pings in {:?}", now - start);
                first_unanswered.get_or_insert(now);
                report(&mut machine, input.byte(), number, now, activity);
            }
            KeepaliveStep::Flush(number) => {
                assert_eq!(number, pings, "only the latest ping is queued");
                // Who has spoken while the ping was queued is asked again when it leaves.
                first_unanswered.get_or_insert(now);
                report(&mut machine, input.byte(), number, now, activity);
            }
            KeepaliveStep::Wait(until) => {
                assert!(until.is_none_or(|until| until > now), "a wait that is over already");
                let until = until.expect("there is always a next ping");
                now = if event & 8 == 0 { until } else { now + duration(&mut input) };
            }
            KeepaliveStep::Dead => {
                let timeout = timeout.expect("without a timeout no peer is dead");
                let asked = first_unanswered.expect("who was not asked is not dead");
                assert!(now - peer.heard_at.max(asked) >= timeout, "dead {:?} after it spoke", now - peer.heard_at);
                return;
            }
        }
    }
}

/// What became of a ping.
fn report(machine: &mut KeepaliveMachine, fate: u8, number: u64, now: Instant, activity: (u64, bool)) {
    match fate % 3 {
        0 => machine.sent(number, now, activity),
        1 => machine.queued(number, now, activity),
        _ => machine.unsent(number),
    }
}
