//! A clock that goes on when every thread waits, and the scheduler that knows when that is.
//!
//! The clock is a task of its own. As a rule the scheduler runs it only when no other task can run; it then advances to the end of the
//! wait that ends first. Now and then the scheduler runs it although others could, as if they were held up by the system:
//! what passes then is counted as [`late`].

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use shuttle::sync::Condvar;

use super::CLOCK;

/// No thread that could run is held up for longer.
const LONGEST_DELAY: Duration = Duration::from_millis(50);

/// The running clock. One that is dropped stops.
#[derive(Debug)]
pub(crate) struct VirtualClock {
    task: Option<shuttle::thread::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl VirtualClock {
    /// Starts the clock of this schedule.
    pub(crate) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = shuttle::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                advance();
                shuttle::thread::yield_now();
            }
        });
        STATE.with_borrow_mut(|state| state.task = Some(task.thread().id().into()));
        Self { task: Some(task), stop }
    }
}

impl Drop for VirtualClock {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.stop.store(true, Ordering::Relaxed);
        STATE.with_borrow_mut(|state| state.task = None);
        if let Some(task) = self.task.take() {
            task.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked));
        }
    }
}

#[derive(Default)]
struct ClockState {
    /// The task of the clock, where there is one.
    task: Option<usize>,
    late: Duration,
    waits: Vec<(u64, Duration, Arc<Condvar>)>,
    last: u64,
}

thread_local! {
    static STATE: RefCell<ClockState> = RefCell::default();
    /// Whether the task of the clock was the only one that could run.
    static IS_ALONE: Cell<bool> = const { Cell::new(true) };
}

/// How much time has passed in this schedule while somebody could have run.
pub(crate) fn late() -> Duration {
    STATE.with_borrow(|state| state.late)
}

pub(super) fn reset() {
    STATE.take();
}

/// A wait that the clock ends, until it is dropped; `None` where no clock runs.
pub(super) fn wait(longest: Duration, waits: &Arc<Condvar>) -> Option<ClockWait> {
    let until = super::passed().saturating_add(longest);
    STATE.with_borrow_mut(|state| {
        state.task?;
        state.last += 1;
        state.waits.push((state.last, until, Arc::clone(waits)));
        Some(ClockWait(state.last))
    })
}

pub(super) struct ClockWait(u64);

impl Drop for ClockWait {
    fn drop(&mut self) {
        STATE.with_borrow_mut(|state| state.waits.retain(|(number, ..)| *number != self.0));
    }
}

/// Advances to the end of the wait that ends first, and wakes whoever waits no longer.
fn advance() {
    let is_alone = IS_ALONE.get();
    let first = STATE.with_borrow(|state| state.waits.iter().map(|(_, until, _)| *until).min());
    let Some(first) = first else {
        assert!(!is_alone, "nobody can run, and nobody waits for time to pass");
        return;
    };
    let step = first.saturating_sub(super::passed());
    if !is_alone && step > LONGEST_DELAY {
        return;
    }
    CLOCK.with_borrow_mut(|clock| clock.passed += step);
    let due: Vec<_> = STATE.with_borrow_mut(|state| {
        if !is_alone {
            state.late += step;
        }
        state.waits.iter().filter(|(_, until, _)| *until <= first).map(|(.., waits)| Arc::clone(waits)).collect()
    });
    due.iter().for_each(|waits| waits.notify_all());
}

/// Runs one schedule for each seed. Each schedule switches threads more or less often.
#[derive(Debug)]
pub(crate) struct SeededScheduler<I> {
    seeds: I,
    random: u64,
    /// One in so many steps switches to another thread.
    switches: u64,
    /// One in so many steps advances the clock while others could run.
    late: u64,
}

impl<I: Iterator<Item = u64>> SeededScheduler<I> {
    pub(crate) const fn new(seeds: I) -> Self {
        Self { seeds, random: 0, switches: 1, late: 1 }
    }

    const fn below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

impl<I: Iterator<Item = u64>> Scheduler for SeededScheduler<I> {
    fn new_execution(&mut self) -> Option<Schedule> {
        let seed = self.seeds.next()?;
        self.random = seed ^ 0x5DEE_CE66;
        self.switches = [1, 2, 4, 16][self.below(4) as usize];
        self.late = [50, 500, u64::MAX, u64::MAX][self.below(4) as usize];
        IS_ALONE.set(true);
        Some(Schedule::new(seed))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let clock = STATE.with_borrow(|state| state.task);
        let is_clock = |task: &Task| Some(usize::from(task.id())) == clock;
        let others = runnable.iter().filter(|task| !is_clock(task)).count();
        if others == 0 {
            IS_ALONE.set(true);
            return runnable.first().map(|task| task.id());
        }
        if others < runnable.len() && self.below(self.late) == 0 {
            IS_ALONE.set(false);
            return runnable.iter().find(|task| is_clock(task)).map(|task| task.id());
        }
        let goes_on = runnable.iter().find(|task| Some(task.id()) == current && !is_clock(task));
        if let Some(task) = goes_on
            && !is_yielding
            && self.below(self.switches) != 0
        {
            return Some(task.id());
        }
        let chosen = self.below(others as u64) as usize;
        runnable.iter().filter(|task| !is_clock(task)).nth(chosen).map(|task| task.id())
    }

    fn next_u64(&mut self) -> u64 {
        self.below(u64::MAX)
    }
}
