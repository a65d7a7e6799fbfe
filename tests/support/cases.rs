//! Cases of one test that do little but wait: they run at the same time. Needs nothing but std, as unit tests have it, too.

#![allow(dead_code, reason = "each file of tests needs a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::RefCell;
use std::fmt::Display;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Cases of one test, which run at the same time, each on a thread of its own: one that fails does not hide the others.
#[derive(Default)]
pub(crate) struct Cases(Vec<(String, Box<dyn FnOnce() + Send>)>);

impl Cases {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(&mut self, name: impl Display, case: impl FnOnce() + Send + 'static) {
        self.0.push((name.to_string(), Box::new(case)));
    }

    /// Runs all at the same time; a case that has not ended after `seconds` fails.
    #[track_caller]
    pub(crate) fn run(self, seconds: u64) {
        self.run_few(usize::MAX, seconds);
    }

    /// The same for cases that move much or that measure short times: so many run at the same time.
    #[track_caller]
    pub(crate) fn run_few(self, at_once: usize, seconds: u64) {
        let (tell, told): (Sender<(usize, bool)>, Receiver<_>) = mpsc::channel();
        let free = Arc::new((Mutex::new(at_once), Condvar::new()));
        let mut names = Vec::new();
        for (number, (name, case)) in self.0.into_iter().enumerate() {
            let (tell, free) = (tell.clone(), Arc::clone(&free));
            let worker = thread::Builder::new().name(name.clone());
            let worker = worker.spawn(move || {
                let (count, changed) = &*free;
                *changed.wait_while(count.lock().unwrap(), |count| *count == 0).unwrap() -= 1;
                let result = panic::catch_unwind(AssertUnwindSafe(|| with_what_it_leaves(case)));
                *count.lock().unwrap() += 1;
                changed.notify_one();
                let _ = tell.send((number, result.is_ok()));
            });
            worker.unwrap();
            names.push(Some((name, "hangs")));
        }
        let (all, start, limit) = (names.len(), Instant::now(), Duration::from_secs(seconds));
        for _ in 0..all {
            let Ok((number, passed)) = told.recv_timeout(limit.saturating_sub(start.elapsed())) else { break };
            match passed {
                true => names[number] = None,
                false => names[number].as_mut().unwrap().1 = "fails",
            }
        }
        let failed: Vec<_> = names.into_iter().flatten().map(|(name, how)| format!("{name} {how}")).collect();
        assert!(failed.is_empty(), "{} of {all} cases fail:\n  {}", failed.len(), failed.join("\n  "));
    }
}

type Act = Box<dyn FnOnce()>;

thread_local! {
    /// What the case of this thread has left for its end; `None` where no case runs.
    static LEFT: RefCell<Option<Vec<Act>>> = const { RefCell::new(None) };
}

/// Does something when the case of this thread is over. Says whether there is a case.
pub(crate) fn when_the_case_is_over(act: impl FnOnce() + 'static) -> bool {
    LEFT.with_borrow_mut(|left| left.as_mut().map(|left| left.push(Box::new(act))).is_some())
}

/// Runs a case, and then does what it has left for its end.
fn with_what_it_leaves(case: impl FnOnce()) {
    LEFT.set(Some(Vec::new()));
    case();
    LEFT.take().into_iter().flatten().for_each(|act| act());
}
