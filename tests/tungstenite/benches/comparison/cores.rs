//! Which processor a thread runs on.

/// Where the threads of a comparison run: the clients on one core and the server on another, so that neither takes the
/// other's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) client: usize,
    pub(crate) server: usize,
}

impl Cores {
    /// The first two cores that this process may use; `None` where there is only one, or where that cannot be chosen.
    pub(crate) fn find() -> Option<Self> {
        let mut usable = usable().into_iter();
        Some(Self { client: usable.next()?, server: usable.next()? })
    }
}

#[cfg(target_os = "linux")]
fn usable() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};

    let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect()
}

#[cfg(not(target_os = "linux"))]
fn usable() -> Vec<usize> {
    Vec::new()
}

/// Keeps the calling thread on one core. Without that the figures are less steady, no worse.
#[cfg(target_os = "linux")]
pub(crate) fn stay_on(core: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};

    let mut set = CpuSet::new();
    set.set(core);
    let _ = sched_setaffinity(None, &set);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn stay_on(_core: usize) {}
