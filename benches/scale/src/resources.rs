//! What a process uses, and may use.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Raises the limit of descriptors to what is allowed, and returns it.
pub(crate) fn allow_many_descriptors() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let Rlimit { current, .. } = getrlimit(Resource::Nofile);
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// What is resident of this process, in bytes.
pub(crate) fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    let kib = line.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    kib.expect("a number of KiB") * 1024.0
}

/// Nanoseconds of a clock that all processes have.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// What a piece of work costs the whole process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// On the processor, all threads together, in seconds.
    pub(crate) cpu: f64,
    /// On the clock on the wall, in seconds.
    pub(crate) wall: f64,
}

/// Does the work and says what it cost.
pub(crate) fn cost_of(work: impl FnOnce()) -> Cost {
    let (cpu, start) = (cpu(), Instant::now());
    work();
    Cost { cpu: (self::cpu() - cpu).as_secs_f64(), wall: start.elapsed().as_secs_f64() }
}

fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).expect("the time of a process is positive")
}
