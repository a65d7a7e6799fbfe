//! What has passed through an app.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What has passed through an app, over all its connections and runs.
///
/// ```
/// let app = websocket_sync::WebSocketApp::new("ws://localhost:9001/");
/// assert_eq!(app.handle().statistics().messages_received, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Messages received; fragments, where they are handed out one by one.
    pub messages_received: u64,
    /// The bytes in them, after decompression.
    pub bytes_received: u64,
    /// Messages sent through a [`Handle`](crate::Handle).
    pub messages_sent: u64,
    /// The bytes in them, before compression.
    pub bytes_sent: u64,
    /// Messages that the [queue](crate::WebSocketApp::queue) was too full for.
    pub messages_dropped: u64,
    /// Connections that were opened.
    pub connects: u64,
    /// When the last ping of the keepalive left.
    #[doc(alias = "last_ping_tm")]
    pub last_ping: Option<Instant>,
    /// When the last pong came, whether it was asked for or not.
    #[doc(alias = "last_pong_tm")]
    pub last_pong: Option<Instant>,
    /// How long the pings of the keepalive took to be answered.
    pub latency: Option<Latency>,
}

/// How long pings took to be answered: the latest 256 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// The last one.
    pub last: Duration,
    /// The shortest.
    pub min: Duration,
    /// The mean.
    pub mean: Duration,
    /// What 99 of 100 did not exceed.
    pub p99: Duration,
}

/// The latest latencies.
#[derive(Debug, Default)]
pub(super) struct Latencies(VecDeque<Duration>);

impl Latencies {
    const WINDOW: usize = 256;

    pub(super) fn push(&mut self, latency: Duration) {
        if self.0.len() == Self::WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(latency);
    }

    pub(super) fn summary(&self) -> Option<Latency> {
        let last = *self.0.back()?;
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * 99).div_ceil(100);
        let total = sorted.iter().fold(Duration::ZERO, |total, &latency| total.saturating_add(latency));
        let mean = total / u32::try_from(sorted.len()).ok()?;
        Some(Latency { last, min: *sorted.first()?, mean, p99: *sorted.get(rank - 1)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn latencies_are_summed_up_over_a_window() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.summary(), None);
        latencies.push(ms(7));
        assert_eq!(latencies.summary(), Some(Latency { last: ms(7), min: ms(7), mean: ms(7), p99: ms(7) }));
        (1..=256).rev().for_each(|millis| latencies.push(ms(millis)));
        let expected = Latency { last: ms(1), min: ms(1), mean: Duration::from_micros(128_500), p99: ms(254) };
        assert_eq!(latencies.summary(), Some(expected));
    }
}
