// SPDX-License-Identifier: GPL-2.0-or-later
//! Resources told one by one: what each dialog has been told of each of them (RFC 8048 §6.2, at its end).
//!
//! A watcher who is told so does not take a resource that is not named for gone. Who has gone is named as
//! closed, in a NOTIFY of the whole state too.

use indexmap::IndexMap;

use crate::mapping::presence::Availability;
use crate::record::DialogId;

use super::super::contact_presence::{ContactPresence, offline};
use super::super::resources::Resources;

/// What the dialogs have been told; none in a gateway that tells all resources together.
#[derive(Debug, Default)]
pub(super) struct Apart(IndexMap<DialogId, Resources<Availability>>);

impl Apart {
    /// All that there is to tell a dialog; it counts as told.
    pub(super) fn whole(
        &mut self,
        id: DialogId,
        presence: &ContactPresence,
    ) -> Resources<Availability> {
        let told = self.0.entry(id).or_default();
        let mut whole = Resources::default();
        for resource in gone(told, presence) {
            whole.insert(&resource, offline());
        }
        for (resource, shown) in presence.resources() {
            whole.insert(resource, shown.clone());
        }
        told.clone_from(&whole);
        whole
    }

    /// One resource that the dialog has not been told of as it is; it counts as told.
    pub(super) fn next(
        &mut self,
        id: DialogId,
        presence: &ContactPresence,
    ) -> Option<Resources<Availability>> {
        let told = self.0.entry(id).or_default();
        let (resource, shown) = owed(told, presence)?;
        told.insert(&resource, shown.clone());
        Some([(resource, shown)].into_iter().collect())
    }

    /// Whether a dialog has not been told of all resources as they are.
    pub(super) fn owes(&self, id: DialogId, presence: &ContactPresence) -> bool {
        self.0
            .get(&id)
            .is_some_and(|told| owed(told, presence).is_some())
    }

    /// A dialog is over.
    pub(super) fn forget(&mut self, id: DialogId) {
        self.0.swap_remove(&id);
    }
}

fn owed(
    told: &Resources<Availability>,
    presence: &ContactPresence,
) -> Option<(String, Availability)> {
    let gone = gone(told, presence).next();
    gone.map(|resource| (resource, offline())).or_else(|| {
        let mut news = presence
            .resources()
            .filter(|(resource, shown)| told.get(resource) != Some(shown));
        news.next()
            .map(|(resource, shown)| (resource.to_owned(), shown.clone()))
    })
}

/// Resources that were told as available and are not known any more.
fn gone(
    told: &Resources<Availability>,
    presence: &ContactPresence,
) -> impl Iterator<Item = String> {
    told.iter()
        .filter(|(resource, told)| {
            let known = presence.resources().any(|(known, _)| known == *resource);
            told.available && !known
        })
        .map(|(resource, _)| resource.to_owned())
        .collect::<Vec<_>>()
        .into_iter()
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

    fn names(resources: &Resources<Availability>) -> Vec<(&str, bool)> {
        resources.iter().map(|(r, a)| (r, a.available)).collect()
    }

    #[test]
    fn each_change_is_told_once_and_who_left_is_named() {
        let (id, mut apart) = (DialogId(1), Apart::default());
        let mut presence = ContactPresence::default();
        presence.update("a", online());
        presence.update("b", online());
        let whole = apart.whole(id, &presence);
        assert_eq!(names(&whole), [("a", true), ("b", true)]);
        assert!(!apart.owes(id, &presence));
        // The departure is no longer in what is known when it is told.
        presence.update("a", offline());
        presence.update("c", online());
        for expected in [("a", false), ("c", true)] {
            assert!(apart.owes(id, &presence));
            assert_eq!(names(&apart.next(id, &presence).unwrap()), [expected]);
        }
        assert_eq!(apart.next(id, &presence), None);
        presence.update("b", offline());
        presence.update("c", offline());
        presence.update("d", online());
        let whole = apart.whole(id, &presence);
        assert_eq!(names(&whole), [("b", false), ("c", false), ("d", true)]);
        let whole = apart.whole(id, &presence);
        assert_eq!(names(&whole), [("d", true)], "said once");
        apart.forget(id);
        assert!(apart.0.is_empty());
    }
}
