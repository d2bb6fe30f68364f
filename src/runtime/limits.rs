// SPDX-License-Identifier: GPL-2.0-or-later
//! What was beyond a limit, for the operator: counted, and said in the log, but not as often as it happens.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Limit, Reached};
use crate::process::{Counter, GatewayEnd};

/// A limit that is reached again is not spoken of sooner than so long after the last time.
const QUIET: Duration = Duration::from_secs(60);

/// What is known and what has been said.
#[derive(Debug, Default)]
pub(super) struct Limits {
    counted: Reached,
    said: Reached,
    said_at: [Option<Instant>; Limit::ALL.len()],
}

impl Limits {
    /// Takes the totals of now.
    pub(super) fn update(&mut self, totals: Reached, now: Instant, end: &GatewayEnd) {
        let new = totals.since(&self.counted);
        self.counted = totals;
        for limit in Limit::ALL {
            if new.times(limit) > 0 {
                end.add(Counter::over(limit), new.times(limit));
            }
        }
        for (limit, times) in self.due(now) {
            tracing::warn!(
                parameter = limit.parameter(),
                refused = times,
                "a limit was reached"
            );
        }
    }

    /// The limits to speak of, and how often each was reached since it was spoken of last.
    fn due(&mut self, now: Instant) -> Vec<(Limit, u64)> {
        let unsaid = self.counted.since(&self.said);
        let mut lines = Vec::new();
        for (limit, said_at) in Limit::ALL.into_iter().zip(&mut self.said_at) {
            let quiet = said_at.is_none_or(|at| now.duration_since(at) >= QUIET);
            let times = unsaid.times(limit);
            if times > 0 && quiet {
                *said_at = Some(now);
                self.said.catch_up(limit, &self.counted);
                lines.push((limit, times));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_line_a_minute_for_each_limit() {
        let mut limits = Limits::default();
        let start = Instant::now();
        let mut lines = Vec::new();
        for second in 0..180 {
            (0..1000).for_each(|_| limits.counted.count(Limit::UserDialogs));
            if second == 90 {
                limits.counted.count(Limit::Stanza);
            }
            for line in limits.due(start + Duration::from_secs(second)) {
                lines.push((second, line));
            }
        }
        assert_eq!(
            lines,
            [
                (0, (Limit::UserDialogs, 1000)),
                (60, (Limit::UserDialogs, 60_000)),
                (90, (Limit::Stanza, 1)),
                (120, (Limit::UserDialogs, 60_000)),
            ]
        );
        let last = limits.due(start + Duration::from_secs(1000));
        assert_eq!(
            last,
            [(Limit::UserDialogs, 59_000)],
            "what came after the last line"
        );
    }
}
