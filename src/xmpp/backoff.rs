// SPDX-License-Identifier: GPL-2.0-or-later
//! How long to wait before the next attempt: exponential with full jitter, so that many gateways do not
//! return to a restarted server in step.

use std::time::Duration;

/// The waits between attempts that fail in a row.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    floor: Duration,
    ceiling: Duration,
    failures: u32,
}

impl Backoff {
    /// The first wait is at most `floor`; each further one at most twice as long, up to `ceiling`.
    pub(super) fn new(floor: Duration, ceiling: Duration) -> Self {
        Self {
            floor,
            ceiling,
            failures: 0,
        }
    }

    /// The next wait: `random` picks it evenly between nothing and the current bound.
    pub(super) fn next(&mut self, random: u64) -> Duration {
        let bound = self
            .floor
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(self.ceiling);
        self.failures = self.failures.saturating_add(1);
        let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(random % micros.saturating_add(1))
    }

    /// Starts again from the floor, after a success that lasted.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: Duration = Duration::from_secs(1);
    const CEILING: Duration = Duration::from_secs(60);

    /// The wait that `random` makes longest: one below a multiple of every bound plus one.
    fn bounds(backoff: &mut Backoff, n: u32) -> Vec<u64> {
        (0..n)
            .map(|i| {
                let micros = 1_000_000 * (1_u64 << i.min(20)).min(60);
                backoff.next(micros).as_secs()
            })
            .collect()
    }

    #[test]
    fn waits_double_up_to_the_ceiling_and_start_again_after_a_reset() {
        let mut backoff = Backoff::new(FLOOR, CEILING);
        assert_eq!(bounds(&mut backoff, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(bounds(&mut backoff, 2), [1, 2]);
    }

    #[test]
    fn no_wait_exceeds_the_ceiling_after_any_number_of_failures() {
        let mut backoff = Backoff::new(FLOOR, CEILING);
        for random in [u64::MAX, 0, 1 << 40].into_iter().cycle().take(1000) {
            assert!(backoff.next(random) <= CEILING);
        }
    }
}
