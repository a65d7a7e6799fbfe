//! By when a receive has to be over: within a timeout that begins to run where it first has to wait, or at a moment.

use std::time::{Duration, Instant};

use crate::net::Deadline;
use crate::sync::now;

/// By when a receive has to be over.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReceiveDeadline {
    /// So long after it first has to wait; `None` for as long as it takes. Zero looks once.
    Timeout(Option<Duration>),
    At(Deadline),
}

impl ReceiveDeadline {
    /// What is at hand is taken, and nothing is waited for.
    pub(super) const NOW: Self = Self::At(Deadline::NOW);

    /// By a moment; one that has passed looks once.
    pub(super) fn by(instant: Instant) -> Self {
        Self::Timeout(Some(instant.saturating_duration_since(now()))).started()
    }

    /// The same deadline, running.
    fn started(self) -> Self {
        Self::At(match self {
            Self::Timeout(Some(Duration::ZERO)) => Deadline::NOW,
            Self::Timeout(timeout) => Deadline::after(timeout),
            Self::At(deadline) => deadline,
        })
    }

    /// Whether nothing may be waited for. One that has not begun to run may be for that only where it is zero.
    pub(super) fn is_now(self) -> bool {
        match self {
            Self::Timeout(timeout) => timeout == Some(Duration::ZERO),
            Self::At(deadline) => deadline.is_now(),
        }
    }

    /// The deadline itself. Its time begins to run now, unless it has begun before.
    pub(super) fn start(&mut self) -> Deadline {
        *self = self.started();
        match *self {
            Self::At(deadline) => deadline,
            Self::Timeout(_) => Deadline::NOW,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_time_of_zero_and_a_moment_that_has_passed_are_now() {
        let hour = Duration::from_secs(3600);
        let now = [ReceiveDeadline::NOW, ReceiveDeadline::Timeout(Some(Duration::ZERO)), ReceiveDeadline::by(now())];
        let later = [
            ReceiveDeadline::Timeout(None),
            ReceiveDeadline::Timeout(Some(hour)),
            ReceiveDeadline::At(Deadline::NEVER),
            ReceiveDeadline::by(Instant::now() + hour),
        ];
        for deadline in now {
            assert!(deadline.is_now(), "{deadline:?}");
        }
        for deadline in later {
            assert!(!deadline.is_now(), "{deadline:?}");
        }
    }
}
