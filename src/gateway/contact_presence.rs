// SPDX-License-Identifier: GPL-2.0-or-later
//! What is known of one contact's presence: its resources, or nothing yet.

use crate::mapping::presence::Availability;

use super::resources::Resources;

/// The most resources kept of one contact; the document that shows them has as many tuples.
const MAX_RESOURCES: usize = crate::body::pidf::MAX_SHOWN;

/// Presence of one XMPP contact as told to one SIP watcher.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct ContactPresence {
    known: bool,
    resources: Resources<Heard>,
}

/// What was heard of a resource.
#[derive(Debug, Clone, PartialEq)]
struct Heard {
    shows: Availability,
    /// It was before the link was lost.
    doubted: bool,
}

impl From<Availability> for Heard {
    fn from(shows: Availability) -> Self {
        Self {
            shows,
            doubted: false,
        }
    }
}

impl ContactPresence {
    /// Whether anything has been heard.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// Takes a notification; `true` if it changed what is known.
    ///
    /// A resource that leaves stays as a closed tuple until the next change, so that the NOTIFY about it says
    /// so (RFC 8048 §6.2 note 5). From the bare JID `unavailable` means all of them.
    /// Said again, it began when it was said first.
    pub(super) fn update(&mut self, resource: &str, mut availability: Availability) -> bool {
        let before = self.clone();
        self.known = true;
        if let Some(heard) = self.resources.get(resource)
            && heard.shows == availability
        {
            availability.since = heard.shows.since.or(availability.since);
        }
        if availability.available {
            self.resources.retain(|_, heard| heard.shows.available);
            let is_new = !self.resources.contains(resource);
            if is_new && self.resources.len() >= MAX_RESOURCES {
                return false;
            }
            self.resources.insert(resource, availability.into());
        } else if resource.is_empty() {
            self.all_unavailable();
        } else if self.is_available(resource) {
            self.resources
                .retain(|other, heard| heard.shows.available || other == resource);
            self.resources.insert(resource, availability.into());
        } else if !self.resources.values().any(|heard| heard.shows.available) {
            self.resources.clear();
            self.resources.insert(resource, availability.into());
        }
        before.known != self.known || !before.resources().eq(self.resources())
    }

    fn is_available(&self, resource: &str) -> bool {
        let heard = self.resources.get(resource);
        heard.is_some_and(|heard| heard.shows.available)
    }

    /// What is known may be out of date; only what is said again still holds.
    pub(super) fn doubt(&mut self) {
        for heard in self.resources.values_mut() {
            heard.doubted = heard.shows.available;
        }
    }

    /// What is still doubted is gone; `true` if that is anything.
    pub(super) fn settle(&mut self) -> bool {
        let doubted = self.resources.iter().filter(|(_, heard)| heard.doubted);
        let gone: Vec<_> = doubted.map(|(resource, _)| resource.to_owned()).collect();
        let mut changed = false;
        for resource in gone {
            changed |= self.update(&resource, offline());
        }
        changed
    }

    /// Shows every resource as gone; the contact counts as known and offline.
    pub(super) fn all_unavailable(&mut self) {
        self.known = true;
        self.resources.retain(|_, heard| heard.shows.available);
        for heard in self.resources.values_mut() {
            *heard = offline().into();
        }
        if self.resources.is_empty() {
            self.resources.insert("", offline().into());
        }
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Resources and what they show.
    pub(super) fn resources(&self) -> impl Iterator<Item = (&str, &Availability)> {
        self.resources
            .iter()
            .map(|(resource, heard)| (resource, &heard.shows))
    }
}

/// Not available, and nothing more to say.
pub(super) fn offline() -> Availability {
    Availability {
        available: false,
        show: None,
        statuses: Vec::new(),
        priority: 0,
        since: None,
        nick: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Moment;

    fn online() -> Availability {
        Availability {
            available: true,
            ..offline()
        }
    }

    fn shown(p: &ContactPresence) -> Vec<(&str, bool)> {
        p.resources().map(|(r, a)| (r, a.available)).collect()
    }

    #[test]
    fn a_departure_is_shown_until_the_next_change() {
        let mut p = ContactPresence::default();
        assert!(p.update("a", online()));
        assert!(!p.update("a", online()));
        assert!(p.update("b", online()));
        assert!(p.update("a", offline()));
        assert_eq!(shown(&p), [("a", false), ("b", true)]);
        assert!(p.update("c", online()));
        assert_eq!(shown(&p), [("b", true), ("c", true)]);
        assert!(p.update("", offline()));
        assert_eq!(shown(&p), [("b", false), ("c", false)]);
    }

    #[test]
    fn what_is_said_again_began_when_it_was_said_first() {
        let mut p = ContactPresence::default();
        let since = |p: &ContactPresence| p.resources().map(|(_, a)| a.since).collect::<Vec<_>>();
        for (availability, changes, began) in [
            (online(), true, 1),
            (online(), false, 1),
            (offline(), true, 3),
            (offline(), false, 3),
            (online(), true, 5),
        ] {
            let now = Moment(if changes { began } else { 1000 });
            assert_eq!(p.update("a", availability.heard(now)), changes);
            assert_eq!(since(&p), [Some(Moment(began))]);
        }
    }

    #[test]
    fn resources_are_bounded() {
        let mut p = ContactPresence::default();
        for n in 0..1000 {
            p.update(&format!("r{n}"), online());
        }
        assert_eq!(p.resources().count(), MAX_RESOURCES);
    }
}
