//! Timers of a loop, and of the thread that sends pings: one for each app at most, its earliest deadline.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The moments that a loop has to wake up at.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Ordered by time. Invariant: an app's moment is here exactly if it is in `of_app`.
    order: BTreeSet<(Instant, usize)>,
    of_app: Vec<Option<Instant>>,
}

impl Timers {
    /// Sets the moment of an app in place of the one before; `None` for none.
    pub(super) fn set(&mut self, app: usize, moment: Option<Instant>) {
        if self.of_app.len() <= app {
            self.of_app.resize(app + 1, None);
        }
        if self.of_app[app] == moment {
            return;
        }
        if let Some(before) = std::mem::replace(&mut self.of_app[app], moment) {
            self.order.remove(&(before, app));
        }
        if let Some(moment) = moment {
            self.order.insert((moment, app));
        }
    }

    /// Sets the moment of an app unless it has an earlier one; whether it is the next of all now.
    pub(super) fn set_earlier(&mut self, app: usize, moment: Instant) -> bool {
        if self.of_app.get(app).copied().flatten().is_some_and(|before| before <= moment) {
            return false;
        }
        self.set(app, Some(moment));
        self.order.first() == Some(&(moment, app))
    }

    /// Takes an app whose moment has come, the one that waits longest first.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<usize> {
        let &(moment, app) = self.order.first()?;
        if moment > now {
            return None;
        }
        self.order.pop_first();
        self.of_app[app] = None;
        Some(app)
    }

    /// How long until the next moment: zero if it has passed, `None` if there is none.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        self.order.first().map(|(moment, _)| moment.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn apps_become_due_in_the_order_of_their_moments() {
        let start = Instant::now();
        let mut timers = Timers::default();
        for (app, after) in [(0, 30), (1, 10), (7, 20), (3, 10)] {
            timers.set(app, Some(start + after * MS));
        }
        assert_eq!(timers.wait(start), Some(10 * MS));
        assert_eq!(timers.take_due(start + 9 * MS), None);
        let due: Vec<usize> = std::iter::from_fn(|| timers.take_due(start + 20 * MS)).collect();
        assert_eq!(due, [1, 3, 7]);
        assert_eq!(timers.wait(start + 40 * MS), Some(Duration::ZERO));
        assert_eq!((timers.take_due(start + 40 * MS), timers.wait(start)), (Some(0), None));
    }

    #[test]
    fn a_new_moment_replaces_the_old_one_so_that_nothing_piles_up() {
        let start = Instant::now();
        let mut timers = Timers::default();
        for after in 0..1000 {
            timers.set(5, Some(start + after * MS));
            timers.set(6, Some(start));
            timers.set(6, None);
        }
        assert_eq!(timers.order.len(), 1);
        assert_eq!(timers.take_due(start + 998 * MS), None);
        assert_eq!(timers.take_due(start + 999 * MS), Some(5));
        assert_eq!(timers.take_due(start + 2000 * MS), None);
    }
}
