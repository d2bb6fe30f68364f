// SPDX-License-Identifier: GPL-2.0-or-later
//! What is known of one contact's presence: its resources, or nothing yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::mapping::presence::Availability;

/// The most resources kept of one contact; the document that shows them has as many tuples.
const MAX_RESOURCES: usize = crate::body::pidf::MAX_SHOWN;

/// Presence of one XMPP contact as told to one SIP watcher.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct ContactPresence {
    known: bool,
    resources: BTreeMap<String, Availability>,
    /// Resources not heard of since the link was lost.
    doubted: BTreeSet<String>,
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
    pub(super) fn update(&mut self, resource: &str, availability: Availability) -> bool {
        let before = (self.known, self.resources.clone());
        self.known = true;
        self.doubted.remove(resource);
        if availability.available {
            self.resources.retain(|_, a| a.available);
            let is_new = !self.resources.contains_key(resource);
            if is_new && self.resources.len() >= MAX_RESOURCES {
                return false;
            }
            self.resources.insert(resource.to_owned(), availability);
        } else if resource.is_empty() {
            self.all_unavailable();
        } else if self.resources.get(resource).is_some_and(|a| a.available) {
            self.resources.retain(|r, a| a.available || r == resource);
            self.resources.insert(resource.to_owned(), availability);
        } else if !self.resources.values().any(|a| a.available) {
            self.resources.clear();
            self.resources.insert(resource.to_owned(), availability);
        }
        before != (self.known, self.resources.clone())
    }

    /// What is known may be out of date; only what is said again still holds.
    pub(super) fn doubt(&mut self) {
        self.doubted = self
            .resources
            .iter()
            .filter(|(_, a)| a.available)
            .map(|(resource, _)| resource.clone())
            .collect();
    }

    /// What is still doubted is gone; `true` if that is anything.
    pub(super) fn settle(&mut self) -> bool {
        let mut changed = false;
        for resource in std::mem::take(&mut self.doubted) {
            changed |= self.update(&resource, offline());
        }
        changed
    }

    /// Shows every resource as gone; the contact counts as known and offline.
    pub(super) fn all_unavailable(&mut self) {
        self.known = true;
        self.doubted.clear();
        self.resources.retain(|_, a| a.available);
        for availability in self.resources.values_mut() {
            *availability = offline();
        }
        if self.resources.is_empty() {
            self.resources.insert(String::new(), offline());
        }
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Resources and what they show.
    pub(super) fn resources(&self) -> impl Iterator<Item = (&str, &Availability)> {
        self.resources.iter().map(|(r, a)| (r.as_str(), a))
    }
}

/// Not available, and nothing more to say.
pub(super) fn offline() -> Availability {
    Availability {
        available: false,
        show: None,
        statuses: BTreeMap::new(),
        priority: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn resources_are_bounded() {
        let mut p = ContactPresence::default();
        for n in 0..1000 {
            p.update(&format!("r{n}"), online());
        }
        assert_eq!(p.resources().count(), MAX_RESOURCES);
    }
}
