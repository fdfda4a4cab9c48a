//! How long values are held, and when they are read again.

use std::time::Duration;

use crate::error::Error;
use crate::random;

/// What the manifest's section `cache` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// How old a value gets before it is stale: it is read again before.
    pub(crate) ttl: Duration,
    /// How long a value is handed out that the backend doesn't confirm.
    pub(crate) max_stale: Duration,
    /// How long an absence is believed.
    pub(crate) negative_ttl: Duration,
    /// How long the former value of a rotation is still the previous one.
    pub(crate) overlap: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(5 * 60),
            max_stale: Duration::from_secs(60 * 60),
            negative_ttl: Duration::from_secs(5),
            // Twice the time in which every other service reads the new value.
            overlap: Duration::from_secs(10 * 60),
        }
    }
}

/// The shortest pause before a failed reading is repeated: it bounds the rate of calls.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause, unless the time to live is shorter.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Settings {
    /// Returns when to read again what was just confirmed and lasts for `left`: at 80 to 95 % of its time
    /// to live.
    pub(crate) fn refresh_after(&self, left: Duration, random: u32) -> Duration {
        let share = 0.80 + 0.15 * fraction(random);
        self.ttl.min(left).mul_f64(share)
    }

    /// Returns the pause after so many failures in a row: any length from a second up to a bound that
    /// doubles, as likely as any other, so that services that failed together don't return together.
    pub(crate) fn pause_after(&self, failures: u32, random: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let bound = SHORTEST_PAUSE.saturating_mul(1_u32 << doublings);
        let bound = bound.min(LONGEST_PAUSE).min(self.ttl.max(SHORTEST_PAUSE));
        let spread = bound.saturating_sub(SHORTEST_PAUSE);
        SHORTEST_PAUSE.saturating_add(spread.mul_f64(fraction(random)))
    }
}

/// Returns the pause that a backend asks for, as far as it is kept: what it asks must not decide for
/// how long a service goes without.
pub(crate) fn pause_asked_for(error: &Error) -> Duration {
    error.retry_after().unwrap_or_default().min(LONGEST_PAUSE)
}

/// Draws what pauses are spread by. Without a source of randomness they are all of middle length.
pub(crate) fn random() -> u32 {
    random::spread().unwrap_or(u32::MAX / 2)
}

fn fraction(random: u32) -> f64 {
    f64::from(random) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_within_their_bounds_at_every_extreme() {
        for ttl in [1, 10, 300, u64::MAX] {
            let settings = Settings {
                ttl: Duration::from_secs(ttl),
                ..Settings::default()
            };
            for failures in [0, 1, 2, 7, 31, 32, 33, 64, 1_000_000, u32::MAX] {
                for random in [0, 1, u32::MAX / 2, u32::MAX] {
                    let pause = settings.pause_after(failures, random);
                    assert!(pause >= SHORTEST_PAUSE, "{failures} {random} {pause:?}");
                    assert!(pause <= LONGEST_PAUSE, "{failures} {random} {pause:?}");
                }
            }
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let settings = Settings::default();
        let longest = |failures| settings.pause_after(failures, u32::MAX).as_secs();
        assert_eq!([1, 2, 3, 6, 7, 8].map(longest), [1, 2, 4, 32, 60, 60]);
    }

    #[test]
    fn a_value_is_read_again_before_it_is_stale() {
        let settings = Settings::default();
        let hour = Duration::from_secs(60 * 60);
        assert_eq!(settings.refresh_after(hour, 0).as_secs(), 240);
        assert_eq!(settings.refresh_after(hour, u32::MAX).as_secs(), 285);
        let minute = Duration::from_secs(60);
        assert_eq!(settings.refresh_after(minute, 0).as_secs(), 48);
    }
}
