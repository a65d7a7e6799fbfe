//! Which processor a process runs on.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The clients run on one core and the server on another, so that neither takes the other's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) client: usize,
    pub(crate) server: usize,
}

impl Cores {
    /// The first two cores that this process may use; `None` where there is only one.
    pub(crate) fn find() -> Option<Self> {
        let set = sched_getaffinity(None).ok()?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core));
        Some(Self { client: usable.next()?, server: usable.next()? })
    }
}

/// Keeps this process, which has no other thread yet, on one core; `any` leaves it where it is.
pub(crate) fn stay_on(core: &str) {
    if let Ok(core) = core.parse() {
        let mut set = CpuSet::new();
        set.set(core);
        // Without that the figures are less steady, no worse.
        let _ = sched_setaffinity(None, &set);
    }
}

/// The argument of [`stay_on`].
pub(crate) fn argument(core: Option<usize>) -> String {
    core.map_or_else(|| "any".to_owned(), |core| core.to_string())
}
