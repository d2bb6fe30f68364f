// SPDX-License-Identifier: GPL-2.0-or-later
//! When the next gateway process starts.

use std::time::Duration;

/// Exit status of a gateway process that cannot start for a reason it has logged, such as an unusable
/// store: starting again at once would not help.
pub const EXIT_CANNOT_START: i32 = 78;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);
/// A gateway that lived this long was healthy.
const HEALTHY: Duration = Duration::from_secs(10);
const CANNOT_START: Duration = Duration::from_secs(2);

/// The delays between gateway processes: none after a healthy life, then doubling.
#[derive(Debug)]
pub(super) struct Restart {
    backs_off: bool,
    next: Duration,
}

impl Restart {
    pub(super) fn new(backs_off: bool) -> Self {
        Self {
            backs_off,
            next: Duration::ZERO,
        }
    }

    /// How long to wait after a gateway that lived that long.
    pub(super) fn delay(&mut self, lived: Duration, cannot_start: bool) -> Duration {
        if lived >= HEALTHY {
            self.next = Duration::ZERO;
        }
        let mut delay = if self.backs_off {
            self.next
        } else {
            Duration::ZERO
        };
        if cannot_start {
            delay = delay.max(CANNOT_START);
        }
        self.next = (delay * 2).clamp(FIRST, LONGEST);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    #[test]
    fn the_first_death_costs_nothing_and_a_crash_loop_slows_down() {
        let mut restart = Restart::new(true);
        let delays: Vec<_> = (0..11)
            .map(|_| restart.delay(SHORT, false).as_millis())
            .collect();
        assert_eq!(
            delays,
            [
                0, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000
            ]
        );
        assert_eq!(restart.delay(HEALTHY, false), Duration::ZERO);
        assert_eq!(restart.delay(SHORT, false), FIRST);
    }

    #[test]
    fn without_back_off_only_a_gateway_that_cannot_start_waits() {
        let mut restart = Restart::new(false);
        assert!((0..9).all(|_| restart.delay(SHORT, false).is_zero()));
        assert_eq!(restart.delay(SHORT, true), CANNOT_START);
        assert_eq!(restart.delay(SHORT, false), Duration::ZERO);
    }
}
