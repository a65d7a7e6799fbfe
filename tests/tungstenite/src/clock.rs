//! What a piece of work costs the thread that does it.

use std::iter::Sum;
use std::time::{Duration, Instant};

/// What was spent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// On the processor, by this thread alone. Where that cannot be told, the same as `wall`.
    pub cpu: Duration,
    /// On the clock on the wall, waiting included.
    pub wall: Duration,
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |sum, cost| Self { cpu: sum.cpu + cost.cpu, wall: sum.wall + cost.wall })
    }
}

/// Does the work and says what it cost the calling thread.
pub fn cost_of(work: impl FnOnce()) -> Cost {
    let (cpu, wall) = (cpu_time(), Instant::now());
    work();
    let wall = wall.elapsed();
    let cpu = cpu_time().zip(cpu).map_or(wall, |(end, start)| end.saturating_sub(start));
    Cost { cpu, wall }
}

#[cfg(target_os = "linux")]
fn cpu_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};

    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).ok()
}

#[cfg(not(target_os = "linux"))]
fn cpu_time() -> Option<Duration> {
    None
}
