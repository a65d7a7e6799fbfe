//! How fast things happen: a short run wants its faults sooner.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// A connection meets its fault after so long at least, and three times as long at most.
    pub(crate) fault_after: Duration,
    /// A server says something after so long at least, and three times as long at most.
    pub(crate) message_after: Duration,
    pub(crate) ping_interval: Duration,
    pub(crate) ping_timeout: Duration,
    /// How long a server that has fallen silent keeps the connection: longer than both together, in a long run by far.
    pub(crate) silence: Duration,
    /// How long a slow reader is slow, and a cut frame waits for its rest.
    pub(crate) slowness: Duration,
    pub(crate) restart_after: Duration,
    /// How long the server is away.
    pub(crate) down: Duration,
    pub(crate) reconnect_base: Duration,
    pub(crate) reconnect_cap: Duration,
}

impl Pace {
    /// That of a run of so many seconds.
    pub(crate) fn of(seconds: u64) -> Self {
        let ms = Duration::from_millis;
        if seconds < 30 {
            Self {
                fault_after: ms(200),
                message_after: ms(20),
                ping_interval: ms(500),
                ping_timeout: ms(1000),
                silence: ms(3000),
                slowness: ms(500),
                restart_after: ms(1600),
                down: ms(200),
                reconnect_base: ms(50),
                reconnect_cap: ms(500),
            }
        } else {
            // What all of them ask for in a second is little, so that a machine that does other work too is not at its end: apps that
            // do not come to their pongs in time connect again, which costs more than to be connected.
            Self {
                fault_after: ms(30_000),
                message_after: ms(4000),
                ping_interval: ms(15_000),
                ping_timeout: ms(15_000),
                silence: ms(75_000),
                slowness: ms(5000),
                restart_after: ms(55_000),
                down: ms(1000),
                reconnect_base: ms(500),
                reconnect_cap: ms(5000),
            }
        }
    }

    /// How long it may take until an app is told that its server is silent, where a message takes so long to its callback: on a busy
    /// machine the timeout begins a second time, and then a Close is sent and its answer waited for.
    pub(crate) fn longest_silence(self, lag: Duration) -> Duration {
        self.ping_interval + 2 * (self.ping_timeout + CLOSE_TIMEOUT + lag) + Duration::from_secs(5)
    }

    /// How long it may take after the last fault until all connections are open, on a machine that does other work too.
    pub(crate) fn recovery(self) -> Duration {
        self.silence + self.reconnect_cap + Duration::from_secs(90)
    }
}

/// Milliseconds of the clock that both processes have.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap().as_millis()).unwrap()
}

/// Numbers without a pattern that matters, the same for the same seed (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// From once to three times so long.
    pub(crate) fn around(&mut self, least: Duration) -> Duration {
        least + least.mul_f64(self.below(2000) as f64 / 1000.0)
    }
}
