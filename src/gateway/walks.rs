// SPDX-License-Identifier: GPL-2.0-or-later
//! Walks over all pairs, in rounds, after links came or went: what they lead to must not come as a storm.
//!
//! One walk visits the pairs of all links that there was news of before it began; more news waits for the
//! next one. So what a round costs does not grow with the number of links, of which others may make many.

use std::collections::BTreeMap;

use crate::stanza::LinkName;

/// The most that leaves in a round.
pub(super) const ROUND: usize = 100;

/// The most pairs that a round looks at, so that it does not hold up everything else.
pub(super) const LOOKS: usize = 20_000;

/// A round that looked at more is followed by a pause even if nothing was left to tell, so that a hundred links
/// that come one after another do not lead to a hundred walks over everybody.
pub(super) const SHORT: usize = 1000;

/// Between two rounds.
pub(super) const PAUSE_MS: u64 = 50;

/// What there is to know of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It came: what was sent before may be lost.
    Came,
    /// It may be back: the first pair with anything to say finds out.
    Tried,
    /// It has been down for so long that what it brought can no longer be shown.
    Lost,
}

/// The walk of one direction.
///
/// It goes from the last place to the first: when a pair is forgotten, the one in the last place, where the
/// walk has been, moves to its place, so that none is passed over.
#[derive(Debug, Default)]
pub(super) struct Walks {
    /// How many places the walk has still before it.
    left: usize,
    now: Notice,
    later: Notice,
}

/// What a walk tells, and whom.
#[derive(Debug, Default)]
struct Notice {
    links: BTreeMap<LinkName, News>,
    /// All links between servers came.
    federation: bool,
}

impl Notice {
    fn is_empty(&self) -> bool {
        self.links.is_empty() && !self.federation
    }
}

impl Walks {
    /// The pairs of a link are to be told, instead of what they were to be told of it before.
    pub(super) fn tell(&mut self, link: &LinkName, news: News) {
        self.now.links.remove(link);
        self.later.links.insert(link.clone(), news);
    }

    /// The pairs of all links between servers are to be told that these came.
    pub(super) fn tell_federation(&mut self) {
        self.later.federation = true;
    }

    /// No more pairs of a link are to be told.
    pub(super) fn told(&mut self, link: &LinkName) {
        self.now.links.remove(link);
    }

    /// The next of so many places; `None` when there is nothing more to tell.
    pub(super) fn next(&mut self, places: usize) -> Option<usize> {
        loop {
            if !self.now.is_empty()
                && let Some(place) = self.left.checked_sub(1)
            {
                self.left = place;
                return Some(place);
            }
            self.now = std::mem::take(&mut self.later);
            self.left = places;
            if self.now.is_empty() {
                return None;
            }
        }
    }

    /// What a pair of that link is to be told.
    pub(super) fn news(&self, link: &LinkName) -> Option<News> {
        let federation = match link {
            LinkName::Component(_) => false,
            LinkName::S2s { .. } => self.now.federation,
        };
        let news = self.now.links.get(link).copied();
        news.or_else(|| federation.then_some(News::Came))
    }

    /// Whether there is more to visit.
    pub(super) fn goes_on(&self) -> bool {
        (!self.now.is_empty() && self.left > 0) || !self.later.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_that_comes_during_a_walk_is_told_in_full_by_the_next() {
        let [one, other] = ["a", "b"].map(|remote| LinkName::s2s("sip.example", remote));
        let mut walks = Walks::default();
        assert_eq!((walks.goes_on(), walks.next(3)), (false, None));
        walks.tell(&one, News::Lost);
        assert!(walks.goes_on());
        assert_eq!(
            (walks.next(3), walks.news(&one)),
            (Some(2), Some(News::Lost))
        );
        walks.tell(&other, News::Came);
        assert_eq!((walks.next(3), walks.news(&other)), (Some(1), None));
        walks.tell(&one, News::Came);
        // Nobody is left to be told that it was lost.
        let rest: Vec<_> = std::iter::from_fn(|| {
            let place = walks.next(3)?;
            Some((place, walks.news(&one), walks.news(&other)))
        })
        .collect();
        let both = |place| (place, Some(News::Came), Some(News::Came));
        assert_eq!(rest, [both(2), both(1), both(0)]);
        assert!(!walks.goes_on());
    }

    #[test]
    fn the_federation_is_every_link_between_servers() {
        let mut walks = Walks::default();
        walks.tell_federation();
        assert_eq!(walks.next(1), Some(0));
        let s2s = LinkName::s2s("sip.example", "xmpp.example");
        assert_eq!(walks.news(&s2s), Some(News::Came));
        assert_eq!(walks.news(&LinkName::component("sip.example")), None);
        assert_eq!(walks.next(1), None);
    }

    #[test]
    fn nobody_at_all_is_told_at_once() {
        let mut walks = Walks::default();
        walks.tell_federation();
        assert_eq!((walks.next(0), walks.goes_on()), (None, false));
    }
}
