// SPDX-License-Identifier: GPL-2.0-or-later
//! Tells a contact's refusal from a proxy that refuses everybody: a misconfigured next hop must not destroy
//! the authorisations of a whole domain.

use std::collections::{BTreeMap, VecDeque};

use crate::record::Moment;

/// Refusals of granted authorisations that one next hop is believed within [`WINDOW_MS`].
const BELIEVED: usize = 20;
const WINDOW_MS: u64 = 60_000;

/// When each next hop lately refused what had been granted.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<String, VecDeque<Moment>>);

impl Refusals {
    /// Takes note of a 403, 489 or 603 from a next hop; `false` if there have been too many to believe it.
    pub(super) fn believe(&mut self, next_hop: &str, now: Moment) -> bool {
        self.0.retain(|_, times| {
            while times.front().is_some_and(|t| t.plus_ms(WINDOW_MS) <= now) {
                times.pop_front();
            }
            !times.is_empty()
        });
        let times = self.0.entry(next_hop.to_owned()).or_default();
        if times.len() > BELIEVED {
            times.pop_front();
        }
        times.push_back(now);
        times.len() <= BELIEVED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_not_believed_until_it_has_passed() {
        let mut refusals = Refusals::default();
        let believed = (0..100_u64)
            .filter(|n| refusals.believe("sip:a", Moment(n * 100)))
            .count();
        assert_eq!(believed, BELIEVED);
        assert!(
            refusals.believe("sip:b", Moment(10_000)),
            "another next hop"
        );
        assert!(!refusals.believe("sip:a", Moment(67_000)), "not yet");
        assert!(refusals.believe("sip:a", Moment(130_000)));
    }
}
