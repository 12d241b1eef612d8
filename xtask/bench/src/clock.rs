//! What a piece of work costs: CPU time, which counts less of what else the machine does than the
//! clock on the wall.

use std::time::Duration;

/// How much CPU time `work` takes on this thread.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let start = thread();
    work();
    thread().saturating_sub(start)
}

/// CPU time of this thread so far.
#[cfg(unix)]
pub(crate) fn thread() -> Duration {
    read(rustix::time::ClockId::ThreadCPUTime)
}

/// CPU time of all threads of this process so far.
#[cfg(unix)]
pub(crate) fn process() -> Duration {
    read(rustix::time::ClockId::ProcessCPUTime)
}

#[cfg(unix)]
fn read(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Elsewhere the wall has to do.
#[cfg(not(unix))]
pub(crate) fn thread() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

/// Elsewhere the wall has to do.
#[cfg(not(unix))]
pub(crate) fn process() -> Duration {
    thread()
}
