// SPDX-License-Identifier: GPL-2.0-or-later
//! How fast the stanzas of one domain are taken (RFC 6120 §13.12): a bucket each, from which every stanza takes one.
//! Whoever is faster is read more slowly; nothing is refused.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How many seconds' worth of stanzas may come at once.
const BURST: u32 = 5;

/// Domains remembered, at most; those that have been quiet for long are the first to be forgotten.
const REMEMBERED: usize = 10_000;

/// The buckets of all domains.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: u32,
    /// When each bucket would be full again.
    full_at: HashMap<String, Instant>,
}

impl Pace {
    /// So many a second; 0 is no limit.
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second,
            full_at: HashMap::new(),
        }
    }

    /// Takes one stanza of a domain: how long to wait before the next is read, if at all.
    pub(super) fn take(&mut self, domain: &str, now: Instant) -> Option<Duration> {
        if self.per_second == 0 {
            return None;
        }
        let one = Duration::from_secs(1) / self.per_second;
        let burst = Duration::from_secs(1) * BURST;
        if let Some(full_at) = self.full_at.get_mut(domain) {
            *full_at = (*full_at).max(now) + one;
            let wait = full_at.duration_since(now).saturating_sub(burst);
            return (!wait.is_zero()).then_some(wait);
        }
        if self.full_at.len() >= REMEMBERED {
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() < REMEMBERED {
            self.full_at.insert(domain.to_owned(), now + one);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_so_many_a_second() {
        let mut pace = Pace::new(10);
        let start = Instant::now();
        for _ in 0..50 {
            assert_eq!(pace.take("a.example", start), None);
        }
        assert_eq!(
            pace.take("a.example", start),
            Some(Duration::from_millis(100))
        );
        assert_eq!(
            pace.take("b.example", start),
            None,
            "another domain has its own"
        );
        let later = start + Duration::from_secs(1);
        let passed = (0..100)
            .filter(|_| pace.take("a.example", later).is_none())
            .count();
        assert_eq!(passed, 9);
        let long_after = start + Duration::from_secs(100);
        let passed = (0..100)
            .filter(|_| pace.take("a.example", long_after).is_none())
            .count();
        assert_eq!(passed, 50);
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let mut pace = Pace::new(0);
        let now = Instant::now();
        assert!((0..10_000).all(|_| pace.take("a.example", now).is_none()));
    }
}
