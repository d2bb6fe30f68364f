// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests that wait for their turn, and when it is time to want no more of them.
//!
//! In: how full a turn of the loop was, and whether it left requests where they were. Out: how many requests a turn
//! takes, and whether the gateway is behind.

use crate::record::Moment;

/// Taken by a turn that has time for them.
const MOST: usize = 32;

/// Taken by a turn that has its hands full with what has begun, which goes first, but not alone: one side's flood would
/// keep the other side out.
const SHARE: usize = 4;

/// Requests that have been waiting for so long without a break are a backlog.
const STANDING_MS: u64 = 100;

/// What is known of the requests that wait.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Since when there have always been more; `None` if all were taken.
    since: Option<Moment>,
}

impl Backlog {
    /// How many requests a turn takes that has had so many other inputs.
    pub(super) fn share(others: usize) -> usize {
        if others < MOST { MOST } else { SHARE }
    }

    /// A turn has taken its share, and more may be `left`; true if the gateway is behind.
    pub(super) fn turned(&mut self, now: Moment, left: bool) -> bool {
        if !left {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        now >= since.plus_ms(STANDING_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_their_share_of_every_turn() {
        assert_eq!(Backlog::share(0), MOST);
        for others in [MOST - 1, MOST, 2 * MOST, usize::MAX] {
            assert!((1..=MOST).contains(&Backlog::share(others)));
        }
        assert!(Backlog::share(MOST) < MOST, "what has begun goes first");
    }

    #[test]
    fn only_what_waits_without_a_break_makes_a_backlog() {
        let start = Moment(1_000);
        let mut backlog = Backlog::default();
        assert!(!backlog.turned(start, true));
        assert!(!backlog.turned(start.plus_ms(STANDING_MS - 1), true));
        assert!(backlog.turned(start.plus_ms(STANDING_MS), true));
        assert!(backlog.turned(start.plus_ms(10 * STANDING_MS), true));
        let later = start.plus_ms(10 * STANDING_MS);
        assert!(!backlog.turned(later, false));
        assert!(!backlog.turned(later.plus_ms(STANDING_MS), true));
        assert!(backlog.turned(later.plus_ms(2 * STANDING_MS), true));
    }
}
