// SPDX-License-Identifier: GPL-2.0-or-later
//! The one clock.

use std::time::Duration;

use crate::process::{monotonic, wall};
use crate::record::Moment;

/// Timers do not take any duration there is.
const LONGEST: Duration = Duration::from_secs(3600);

/// The machine's time at the start of the process, and what has passed since: it never goes back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    wall: Duration,
    monotonic: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            wall: wall(),
            monotonic: monotonic(),
        }
    }

    pub(super) fn now(self) -> Moment {
        let now = self.wall + monotonic().saturating_sub(self.monotonic);
        Moment(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    /// Since the start.
    pub(super) fn uptime(self) -> Duration {
        monotonic().saturating_sub(self.monotonic)
    }

    /// How long to sleep towards that moment: until then, or an hour if that is sooner.
    pub(super) fn until(self, moment: Moment) -> Duration {
        Duration::from_millis(moment.0.saturating_sub(self.now().0)).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_moment_can_be_slept_towards() {
        let clock = Clock::start();
        assert_eq!(clock.until(Moment(u64::MAX)), LONGEST);
        assert_eq!(clock.until(Moment(0)), Duration::ZERO);
        let soon = clock.until(clock.now().plus_secs(10));
        assert!(soon <= Duration::from_secs(10) && soon > Duration::from_secs(5));
    }
}
