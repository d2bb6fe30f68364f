// SPDX-License-Identifier: GPL-2.0-or-later
//! Walks over all pairs, in rounds, after a link came or went: what they lead to must not come as a storm.

use std::collections::BTreeMap;

/// The most pairs in a round for which something leaves.
pub(super) const ROUND: usize = 100;

/// The most pairs that a round looks at, so that it does not hold up everything else.
pub(super) const LOOKS: usize = 20_000;

/// Between two rounds.
pub(super) const PAUSE_MS: u64 = 50;

/// How many places each link's walk has still before it.
///
/// It goes from the last place to the first: when a pair is forgotten, the one in the last place, where the
/// walk has been, moves to its place, so that none is passed over.
#[derive(Debug, Default)]
pub(super) struct Walks(BTreeMap<String, usize>);

impl Walks {
    /// Begins a walk over so many places, instead of an earlier one of that link.
    pub(super) fn begin(&mut self, link: &str, places: usize) {
        self.0.insert(link.to_owned(), places);
    }

    /// The next place; `None` when the walk is over.
    pub(super) fn next(&mut self, link: &str) -> Option<usize> {
        let left = self.0.get_mut(link)?;
        if let Some(place) = left.checked_sub(1) {
            *left = place;
            return Some(place);
        }
        self.0.remove(link);
        None
    }

    /// Whether there is more to visit.
    pub(super) fn goes_on(&self, link: &str) -> bool {
        self.0.get(link).is_some_and(|left| *left > 0)
    }
}
