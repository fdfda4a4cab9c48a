//! The clock that deadlines are kept by: it never steps, and it counts time spent suspended.

#[cfg(test)]
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Tells the time since a fixed moment in the past.
///
/// On Linux and Apple's systems the time spent suspended counts, so that a laptop that was closed
/// overnight doesn't open with last night's credentials. Elsewhere this is what
/// [`std::time::Instant`] offers.
#[derive(Debug, Clone, Default)]
pub(crate) enum Clock {
    #[default]
    System,
    /// Advanced by hand.
    #[cfg(test)]
    Manual(Arc<AtomicU64>),
}

impl Clock {
    pub(crate) fn now(&self) -> Duration {
        match self {
            Self::System => system(),
            #[cfg(test)]
            Self::Manual(seconds) => Duration::from_secs(seconds.load(Ordering::SeqCst)),
        }
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
    pub(crate) fn advance(&self, seconds: u64) {
        if let Self::Manual(now) = self {
            now.fetch_add(seconds, Ordering::SeqCst);
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn system() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    #[cfg(not(target_vendor = "apple"))]
    const COUNTS_SUSPENSION: ClockId = ClockId::Boottime;
    #[cfg(target_vendor = "apple")]
    const COUNTS_SUSPENSION: ClockId = ClockId::Monotonic;

    // Since boot, neither part is negative.
    let now = clock_gettime(COUNTS_SUSPENSION);
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
    fn a_date_that_has_passed_is_now() {
        let clock = Clock::manual();
        let past = SystemTime::now() - Duration::from_secs(60);
        assert_eq!(clock.at(past), clock.now());
        let future = SystemTime::now() + Duration::from_secs(60);
        assert!(clock.at(future) > clock.after(Duration::from_secs(50)));
        assert!(clock.at(future) <= clock.after(Duration::from_secs(60)));
    }
}
