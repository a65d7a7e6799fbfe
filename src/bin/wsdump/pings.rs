//! How long pings that were asked for at the prompt take to be answered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many are waited for at most; older ones are forgotten.
const MOST: usize = 64;

/// Pings that were not answered yet. Clones know the same ones.
#[derive(Clone, Default)]
pub(crate) struct Pings(Arc<Mutex<Unanswered>>);

/// Payloads, and when they left; the oldest first.
type Unanswered = VecDeque<(Vec<u8>, Instant)>;

impl Pings {
    pub(crate) fn sent(&self, payload: &[u8], now: Instant) {
        let mut pings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pings.len() == MOST {
            pings.pop_front();
        }
        pings.push_back((payload.to_vec(), now));
    }

    /// How long the answer took, if it is one. A peer may answer the latest of several alone (RFC 6455, section 5.5.3).
    pub(crate) fn answered(&self, payload: &[u8], now: Instant) -> Option<Duration> {
        let mut pings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = pings.iter().position(|(sent, _)| sent == payload)?;
        let (_, since) = pings.drain(..=index).next_back()?;
        Some(now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_payload() {
        let (pings, begin) = (Pings::default(), Instant::now());
        let at = |millis| begin + Duration::from_millis(millis);
        pings.sent(b"a", at(0));
        pings.sent(b"b", at(10));
        pings.sent(b"c", at(20));
        assert_eq!(pings.answered(b"x", at(30)), None);
        assert_eq!(pings.answered(b"b", at(30)), Some(Duration::from_millis(20)));
        assert_eq!(pings.answered(b"a", at(30)), None);
        assert_eq!(pings.answered(b"c", at(30)), Some(Duration::from_millis(10)));
    }

    #[test]
    fn a_server_that_never_answers_is_not_remembered_for_ever() {
        let pings = Pings::default();
        (0..1000).for_each(|_| pings.sent(b"", Instant::now()));
        assert_eq!(pings.0.lock().map_or(0, |pings| pings.len()), MOST);
    }
}
