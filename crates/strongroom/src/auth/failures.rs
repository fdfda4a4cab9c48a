//! How often a client may fail, in a memory that clients can't make grow.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use super::ClientKey;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// How often a client may fail before it is refused unheard, and how many clients are remembered.
///
/// The default: 10 failures at once, then one every 6 s; 65,536 clients, in at most 8 MiB.
///
/// Clients beyond that number push out those that failed longest ago, who may then fail anew: with more
/// addresses than are remembered, a limit by address is no limit. The other choice, to refuse
/// every client that is not remembered, would let the same attacker lock everybody out.
///
/// ```
/// use std::time::Duration;
/// use strongroom::auth::FailureLimit;
///
/// let limit = FailureLimit::new(5, Duration::from_secs(60))?.with_clients(10_000);
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct FailureLimit {
    burst: NonZeroU32,
    every: Duration,
    clients: usize,
}

/// The limiter multiplies these two as nanoseconds.
const MOST_AT_ONCE: u32 = 10_000;
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl FailureLimit {
    const DEFAULT: Self = Self {
        burst: NonZeroU32::MIN.saturating_add(9),
        every: Duration::from_secs(6),
        clients: 65_536,
    };

    /// Allows `burst` failures at once, 1 to 10,000, and then one `every` so long, 1 ms to 24 h.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] outside of these.
    pub fn new(burst: u32, every: Duration) -> Result<Self> {
        match NonZeroU32::new(burst.min(MOST_AT_ONCE)) {
            Some(burst_in_range)
                if burst_in_range.get() == burst
                    && (Duration::from_millis(1)..=LONGEST).contains(&every) =>
            {
                Ok(Self {
                    burst: burst_in_range,
                    every,
                    ..Self::DEFAULT
                })
            }
            _ => {
                let message = "a limit of failures is out of its range";
                Err(Error::new(ErrorKind::Config, message)
                    .with_help("allow 1 to 10,000 at once, and one more every 1 ms to 24 h"))
            }
        }
    }

    /// Remembers so many clients that failed, at least two.
    #[must_use]
    pub fn with_clients(mut self, clients: usize) -> Self {
        self.clients = clients.max(2);
        self
    }
}

impl Default for FailureLimit {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Counts failures by client.
pub(super) struct Failures {
    limiter: RateLimiter<Attempt, Memory, Ticks, NoOpMiddleware<Duration>>,
    limit: FailureLimit,
}

impl Failures {
    pub(super) fn new(limit: FailureLimit, clock: Clock) -> Self {
        // A range that `FailureLimit` keeps has no period of zero.
        let quota = Quota::with_period(limit.every).unwrap_or(Quota::per_hour(NonZeroU32::MIN));
        let memory = Memory::new(limit.clients);
        let limiter = RateLimiter::new(quota.allow_burst(limit.burst), memory, Ticks(clock));
        Self { limiter, limit }
    }

    /// Answers how long the client has to wait, if it does. Takes and keeps nothing.
    pub(super) fn look(&self, client: ClientKey) -> Result<(), Duration> {
        self.attempt(Attempt {
            client,
            fails: false,
        })
    }

    /// Counts a failure. If others of this client came meanwhile, it may be one too many.
    pub(super) fn count(&self, client: ClientKey) -> Result<(), Duration> {
        self.attempt(Attempt {
            client,
            fails: true,
        })
    }

    fn attempt(&self, attempt: Attempt) -> Result<(), Duration> {
        let outcome = self.limiter.check_key(&attempt);
        outcome.map_err(|refusal| refusal.wait_time_from(self.limiter.clock().now()))
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limit.fmt(f)
    }
}

/// A client at the gate: the limiter decides, and only a failure changes what is remembered.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Attempt {
    client: ClientKey,
    fails: bool,
}

/// The limiter's clock never steps, and time spent suspended counts.
struct Ticks(Clock);

impl governor::clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.now()
    }
}

/// What the limiter keeps for each client, of a bounded number of them.
struct Memory {
    generations: Mutex<Generations>,
}

/// The clients that failed last, and before them: when `recent` is full it becomes `former`, and what was
/// `former` is forgotten. So the half that failed last is remembered at least.
struct Generations {
    recent: HashMap<ClientKey, Nanos>,
    former: HashMap<ClientKey, Nanos>,
    most: usize,
}

impl Memory {
    fn new(clients: usize) -> Self {
        let generations = Generations {
            recent: HashMap::new(),
            former: HashMap::new(),
            most: clients.div_euclid(2).max(1),
        };
        Self {
            generations: Mutex::new(generations),
        }
    }
}

impl StateStore for Memory {
    type Key = Attempt;

    fn measure_and_replace<T, F, E>(&self, attempt: &Attempt, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (answer, next) = decide(generations.of(&attempt.client))?;
        if attempt.fails {
            generations.keep(attempt.client, next);
        }
        Ok(answer)
    }
}

impl Generations {
    fn of(&self, client: &ClientKey) -> Option<Nanos> {
        let known = self.recent.get(client).or_else(|| self.former.get(client));
        known.copied()
    }

    fn keep(&mut self, client: ClientKey, state: Nanos) {
        if self.recent.len() >= self.most && !self.recent.contains_key(&client) {
            // In place, so that neither is ever allocated anew.
            std::mem::swap(&mut self.recent, &mut self.former);
            self.recent.clear();
        }
        self.recent.insert(client, state);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn client(number: u32) -> ClientKey {
        std::net::IpAddr::from(Ipv4Addr::from_bits(number)).into()
    }

    fn failures(burst: u32, seconds: u64, clients: usize) -> (Failures, Clock) {
        let clock = Clock::manual();
        let limit = FailureLimit::new(burst, Duration::from_secs(seconds)).unwrap();
        (
            Failures::new(limit.with_clients(clients), clock.clone()),
            clock,
        )
    }

    fn remembered(failures: Failures) -> (usize, usize) {
        let generations = failures
            .limiter
            .into_state_store()
            .generations
            .into_inner()
            .unwrap();
        let (recent, former) = (generations.recent, generations.former);
        (
            recent.len() + former.len(),
            recent.capacity() + former.capacity(),
        )
    }

    #[test]
    fn looking_takes_nothing_and_failing_does() {
        let (failures, clock) = failures(3, 10, 100);
        for _ in 0..1_000 {
            failures.look(client(1)).unwrap();
        }
        for _ in 0..3 {
            failures.look(client(1)).unwrap();
            failures.count(client(1)).unwrap();
        }
        assert_eq!(failures.look(client(1)), Err(Duration::from_secs(10)));
        assert!(failures.count(client(1)).is_err());
        assert!(failures.look(client(2)).is_ok());
        // What is refused lengthens nothing.
        clock.advance(9);
        assert_eq!(failures.look(client(1)), Err(Duration::from_secs(1)));
        clock.advance(1);
        failures.look(client(1)).unwrap();
        failures.count(client(1)).unwrap();
        assert!(failures.look(client(1)).is_err());
        clock.advance(30);
        for _ in 0..3 {
            failures.count(client(1)).unwrap();
        }
        assert!(failures.look(client(1)).is_err());
        assert_eq!(remembered(failures).0, 1);
    }

    #[test]
    fn a_million_clients_need_no_more_memory_than_the_bound() {
        let (failures, _) = failures(1, 3600, 10_000);
        for number in 0..1_000_000 {
            failures.look(client(number)).unwrap();
            failures.count(client(number)).unwrap();
        }
        // The half that failed last is still refused.
        for number in 995_000..1_000_000 {
            assert!(failures.look(client(number)).is_err(), "{number}");
        }
        assert!(failures.look(client(0)).is_ok(), "forgotten");
        let (clients, capacity) = remembered(failures);
        assert!(clients <= 10_000, "{clients}");
        assert!(capacity <= 4 * 10_000, "{capacity}");
    }

    #[test]
    fn the_default_fits_in_what_its_documentation_says() {
        // Two tables of 2^15 clients, each at most 7/8 full, so of 2^16 places, and a byte for each place.
        let place = size_of::<(ClientKey, Nanos)>() + 1;
        assert!(2 * 65_536 * place <= 8 << 20, "{place}");
    }

    #[test]
    fn whoever_goes_on_failing_is_not_forgotten() {
        let (failures, clock) = failures(2, 1, 100);
        for number in 2..10_000 {
            if failures.look(client(1)).is_ok() {
                failures.count(client(1)).unwrap();
            } else if number % 40 == 0 {
                clock.advance(1);
            }
            failures.count(client(number)).unwrap();
        }
        failures.count(client(1)).ok();
        assert!(failures.look(client(1)).is_err());
    }

    #[test]
    fn only_limits_that_make_sense_are_taken() {
        let of = FailureLimit::new;
        for bad in [
            of(0, Duration::from_secs(1)),
            of(10_001, Duration::from_secs(1)),
            of(1, Duration::ZERO),
            of(1, Duration::from_micros(999)),
            of(1, Duration::from_secs(86_401)),
        ] {
            assert_eq!(bad.unwrap_err().kind(), ErrorKind::Config);
        }
        // At the bounds nothing overflows.
        let limit = of(10_000, Duration::from_secs(86_400)).unwrap();
        let failures = Failures::new(limit, Clock::System);
        for _ in 0..10_000 {
            failures.count(client(1)).unwrap();
        }
        assert!(failures.look(client(1)).is_err());
    }
}
