//! When a token is renewed, when it is replaced, and how long to wait after a failure.

use std::time::Duration;

use crate::random;

/// No two steps are closer to each other than this, whatever the server says.
const FLOOR: Duration = Duration::from_millis(200);

/// The longest wait after the first failure. Each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(500);

const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long a token lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backends::vault) struct Life {
    /// From the login or the last renewal on; `None` for ever.
    pub(in crate::backends::vault) ttl: Option<Duration>,
    /// The most that it was ever given: a renewal that gives much less runs into its maximum.
    full: Option<Duration>,
    renewable: bool,
}

/// What to do about a token next, and in how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backends::vault) enum Step {
    /// It needs nothing.
    Rest,
    Renew(Duration),
    /// A new login; a token that was given to us is looked for again where it came from.
    Replace(Duration),
}

impl Life {
    pub(in crate::backends::vault) fn new(ttl: Option<Duration>, renewable: bool) -> Self {
        let full = ttl;
        Self {
            ttl,
            full,
            renewable,
        }
    }

    pub(in crate::backends::vault) fn renewed(self, ttl: Duration, renewable: bool) -> Self {
        Self {
            ttl: Some(ttl),
            full: self.full.max(Some(ttl)),
            renewable,
        }
    }

    pub(in crate::backends::vault) fn unrenewable(self) -> Self {
        Self {
            renewable: false,
            ..self
        }
    }

    /// Decides. `age` is the time since the login or the last renewal, `failures` counts the steps
    /// that failed since, `chance` is between 0 and 1.
    pub(in crate::backends::vault) fn next(
        self,
        age: Duration,
        failures: u32,
        chance: f64,
    ) -> Step {
        let Some(ttl) = self.ttl else {
            return Step::Rest;
        };
        let left = ttl.saturating_sub(age);
        let wait = if failures == 0 {
            // About two thirds, and never all services at once.
            part(ttl, 0.6 + 0.13 * chance).saturating_sub(age)
        } else if left.is_zero() {
            back_off(failures, chance)
        } else {
            // What is left of its life is for several attempts.
            back_off(failures, chance).min(part(left, 0.3))
        };
        let wait = wait.max(FLOOR);
        // A renewal only helps while it is alive, and if the last one was worth it.
        let shrinking = self.full.is_some_and(|full| ttl <= part(full, 0.5));
        if self.renewable && !shrinking && wait < left {
            Step::Renew(wait)
        } else {
            Step::Replace(wait)
        }
    }
}

/// How long to wait after this many failures in a row: by chance anything up to a time that doubles.
pub(in crate::backends::vault) fn back_off(failures: u32, chance: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let longest = FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT);
    part(longest, chance).max(FLOOR)
}

/// A number between 0 and 1.
pub(in crate::backends::vault) fn chance() -> f64 {
    random::spread().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

fn part(whole: Duration, of: f64) -> Duration {
    // Beyond a century nothing changes, and no arithmetic overflows.
    let whole = whole.min(Duration::from_secs(3_153_600_000));
    whole.mul_f64(of.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn wait(step: Step) -> Duration {
        match step {
            Step::Rest => panic!("it rests"),
            Step::Renew(wait) | Step::Replace(wait) => wait,
        }
    }

    #[test]
    fn a_token_is_renewed_at_about_two_thirds_of_its_life() {
        let life = Life::new(Some(secs(3600)), true);
        assert_eq!(life.next(secs(0), 0, 0.0), Step::Renew(secs(2160)));
        assert_eq!(life.next(secs(60), 0, 0.0), Step::Renew(secs(2100)));
        let latest = wait(life.next(secs(0), 0, 1.0));
        assert!((secs(2600)..secs(2640)).contains(&latest), "{latest:?}");
    }

    #[test]
    fn what_can_t_be_renewed_or_nears_its_end_is_replaced() {
        let batch = Life::new(Some(secs(100)), false);
        assert_eq!(batch.next(secs(0), 0, 0.0), Step::Replace(secs(60)));
        let life = Life::new(Some(secs(100)), true);
        let next = |life: Life| life.next(secs(0), 0, 0.5);
        assert!(matches!(
            next(life.renewed(secs(100), true)),
            Step::Renew(_)
        ));
        assert!(matches!(
            next(life.renewed(secs(50), true)),
            Step::Replace(_)
        ));
        assert!(matches!(
            next(life.renewed(secs(0), true)),
            Step::Replace(_)
        ));
        assert!(matches!(
            next(life.renewed(secs(100), false)),
            Step::Replace(_)
        ));
        assert!(matches!(next(life.unrenewable()), Step::Replace(_)));
        // It is dead already: nothing renews it.
        assert!(matches!(life.next(secs(101), 3, 0.5), Step::Replace(_)));
    }

    #[test]
    fn a_root_token_rests() {
        assert_eq!(
            Life::new(None, false).next(secs(1_000_000), 9, 0.5),
            Step::Rest
        );
    }

    #[test]
    fn back_off_doubles_up_to_its_cap() {
        for (failures, longest) in [
            (1, 500),
            (2, 1000),
            (3, 2000),
            (7, 30_000),
            (u32::MAX, 30_000),
        ] {
            assert_eq!(
                back_off(failures, 1.0),
                Duration::from_millis(longest),
                "{failures}"
            );
            assert_eq!(back_off(failures, 0.0), FLOOR);
        }
    }

    proptest! {
        /// Vault's own watcher once asked again and again without a pause.
        #[test]
        fn it_never_spins(
            ttl in 0..u64::MAX, full in 0..u64::MAX, renewable: bool, age in 0..u64::MAX,
            failures: u32, chance in 0.0..=1.0,
        ) {
            let life = Life::new(Some(secs(full)), renewable).renewed(secs(ttl), renewable);
            prop_assert!(wait(life.next(secs(age), failures, chance)) >= FLOOR);
        }

        #[test]
        fn a_living_token_is_attended_to_before_it_ends(
            ttl in 1..10_000_000_u64, part in 0.0..0.9, failures in 0..40_u32, chance in 0.0..=1.0,
        ) {
            let life = Life::new(Some(secs(ttl)), true);
            let age = secs(ttl).mul_f64(part);
            let left = secs(ttl) - age;
            prop_assume!(left > FLOOR);
            prop_assert!(wait(life.next(age, failures, chance)) < left);
        }

        #[test]
        fn it_is_never_renewed_after_its_end(
            ttl in 0..1000_u64, over in 0..1000_u64, failures in 0..40_u32, chance in 0.0..=1.0,
        ) {
            let life = Life::new(Some(secs(ttl)), true);
            let step = life.next(secs(ttl + over), failures, chance);
            prop_assert!(matches!(step, Step::Replace(_)));
        }
    }
}
