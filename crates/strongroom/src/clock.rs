//! The clock that deadlines are kept by: it never steps, and it counts time spent suspended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// How often somebody has to [look](Clock::look) at the exact time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tells the time since a fixed moment in the past.
///
/// On Linux and Apple's systems the time spent suspended counts, so that a laptop that was closed
/// overnight doesn't open with last night's credentials. Elsewhere this is what
/// [`std::time::Instant`] offers.
#[derive(Debug, Clone, Default)]
pub(crate) enum Clock {
    #[default]
    System,
    /// Cheap to [glance](Self::glance) at: holds how many nanoseconds the exact time may be ahead, as of
    /// the last exact look.
    Coarse(Arc<AtomicU64>),
    /// Advanced by hand.
    #[cfg(test)]
    Manual(Arc<AtomicU64>),
    /// That of the runtime, which a test can pause. Begins 1,000 s before this instant.
    #[cfg(test)]
    Runtime(tokio::time::Instant),
}

impl Clock {
    /// Makes a clock that is cheap to glance at, for whoever looks at it every second.
    pub(crate) fn coarse() -> Self {
        let clock = Self::Coarse(Arc::default());
        clock.look();
        clock
    }

    pub(crate) fn now(&self) -> Duration {
        match self {
            Self::System | Self::Coarse(_) => system(),
            #[cfg(test)]
            Self::Manual(seconds) => Duration::from_secs(seconds.load(Ordering::SeqCst)),
            #[cfg(test)]
            Self::Runtime(start) => start.elapsed() + Duration::from_secs(1_000),
        }
    }

    /// Returns the time in nanoseconds, never earlier than it is but for a suspension since the last
    /// look, and at most 20 ms later.
    pub(crate) fn glance(&self) -> u64 {
        match self {
            Self::Coarse(ahead) => coarse().saturating_add(ahead.load(Ordering::Relaxed)),
            _ => nanos(self.now()),
        }
    }

    /// Takes notice of a suspension, and says after how long to do it again, if at all.
    pub(crate) fn look(&self) -> Option<Duration> {
        let Self::Coarse(ahead) = self else {
            return None;
        };
        ahead.store(
            nanos(suspension().saturating_add(LONGEST_TICK)),
            Ordering::Relaxed,
        );
        Some(LOOK_EVERY)
    }

    /// Returns the moment that is `time` from now.
    pub(crate) fn after(&self, time: Duration) -> Duration {
        self.now().saturating_add(time)
    }

    /// Translates a date once, so that a later step of the wall clock moves no deadline.
    pub(crate) fn at(&self, date: SystemTime) -> Duration {
        let left = date.duration_since(SystemTime::now());
        self.after(left.unwrap_or(Duration::ZERO))
    }

    #[cfg(test)]
    pub(crate) fn manual() -> Self {
        Self::Manual(Arc::new(AtomicU64::new(1_000)))
    }

    #[cfg(test)]
    pub(crate) fn runtime() -> Self {
        Self::Runtime(tokio::time::Instant::now())
    }

    #[cfg(test)]
    pub(crate) fn advance(&self, seconds: u64) {
        if let Self::Manual(now) = self {
            now.fetch_add(seconds, Ordering::SeqCst);
        }
    }
}

/// Returns a time as nanoseconds: 584 years and more are one.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn system() -> Duration {
    #[cfg(not(target_vendor = "apple"))]
    const COUNTS_SUSPENSION: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(target_vendor = "apple")]
    const COUNTS_SUSPENSION: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

    read(COUNTS_SUSPENSION)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn read(clock: rustix::time::ClockId) -> Duration {
    // Since boot, neither part is negative.
    let now = rustix::time::clock_gettime(clock);
    Duration::from_secs(now.tv_sec.unsigned_abs())
        .saturating_add(Duration::from_nanos(now.tv_nsec.unsigned_abs()))
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn system() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// How far the coarse time lags behind at most.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LONGEST_TICK: Duration = Duration::from_millis(10);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const LONGEST_TICK: Duration = Duration::ZERO;

/// The kernel's time as of its last tick, in nanoseconds, which costs a tenth of the exact one. It doesn't
/// count suspension. Every read of a live value comes here: a [`Duration`] would be taken apart again.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn coarse() -> u64 {
    const SECOND: u64 = 1_000_000_000;

    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    now.tv_sec
        .unsigned_abs()
        .saturating_mul(SECOND)
        .saturating_add(now.tv_nsec.unsigned_abs())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn suspension() -> Duration {
    // In this order: what passes between the two readings makes the sum later, never earlier.
    let awake = read(rustix::time::ClockId::Monotonic);
    system().saturating_sub(awake)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn coarse() -> u64 {
    nanos(system())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn suspension() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_runs_forward() {
        let before = system();
        assert!(system() >= before);
        assert!(before > Duration::ZERO);
    }

    #[test]
    fn a_glance_is_never_early() {
        let clock = Clock::coarse();
        for _ in 0..1_000 {
            let exact = clock.now();
            let glance = Duration::from_nanos(clock.glance());
            assert!(glance >= exact, "{glance:?} at {exact:?}");
        }
        assert_eq!(clock.look(), Some(LOOK_EVERY));
        assert_eq!(Clock::System.look(), None);
    }

    #[test]
    fn a_date_that_has_passed_is_now() {
        let clock = Clock::manual();
        let past = SystemTime::now() - Duration::from_secs(60);
        assert_eq!(clock.at(past), clock.now());
        let future = SystemTime::now() + Duration::from_secs(60);
        assert!(clock.at(future) > clock.after(Duration::from_secs(50)));
        assert!(clock.at(future) <= clock.after(Duration::from_secs(60)));
    }
}
