// SPDX-License-Identifier: GPL-2.0-or-later
//! The calls of a user, from one document after the other (RFC 4235 §4.3).

use super::{Dialog, DialogInfo, Direction, Extent, State};

/// The most dialogs kept; what else there is changes little of whether the user is in a call.
const MAX_KEPT: usize = 64;

/// What is known of a user's calls, within one subscription.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Calls {
    /// Of the last document taken.
    version: Option<u32>,
    /// Dialogs that are not over.
    under_way: Vec<Call>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    id: Box<str>,
    engages: Engagement,
}

/// Whether a user is in a call.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engagement {
    /// In none.
    #[default]
    None,
    /// Called, and not yet answering.
    Ringing,
    /// On the phone, or calling somebody.
    Busy,
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// What is known is complete.
    Complete,
    /// Documents before it are missing, and it says only what has changed: a refresh of the subscription
    /// brings all.
    Incomplete,
    /// It is older than what is known, and says nothing.
    Outdated,
}

impl Calls {
    /// Takes the next document of the subscription.
    ///
    /// A full document with the version of the last one is taken too: there are notifiers that do not count,
    /// and NOTIFYs come in order anyway.
    pub fn take(&mut self, document: &DialogInfo) -> Taken {
        let expected = self.version.map(|version| version.saturating_add(1));
        let outdated = self.version.is_some_and(|version| match document.extent {
            Extent::Full => document.version < version,
            Extent::Partial => document.version <= version,
        });
        if outdated {
            return Taken::Outdated;
        }
        self.version = Some(document.version);
        if document.extent == Extent::Full {
            self.under_way.clear();
        }
        for dialog in &document.dialogs {
            self.update(dialog);
        }
        match document.extent {
            Extent::Partial if expected != Some(document.version) => Taken::Incomplete,
            Extent::Partial | Extent::Full => Taken::Complete,
        }
    }

    fn update(&mut self, dialog: &Dialog) {
        let at = self.under_way.iter().position(|call| *call.id == dialog.id);
        match (engages(dialog), at) {
            (Engagement::None, Some(at)) => {
                self.under_way.swap_remove(at);
            }
            (Engagement::None, None) => {}
            (engages, Some(at)) => {
                if let Some(call) = self.under_way.get_mut(at) {
                    call.engages = engages;
                }
            }
            (engages, None) if self.under_way.len() < MAX_KEPT => self.under_way.push(Call {
                id: dialog.id.as_str().into(),
                engages,
            }),
            (Engagement::Ringing | Engagement::Busy, None) => {}
        }
    }

    /// Whether the user is in a call, by all that is known.
    pub fn engagement(&self) -> Engagement {
        let engagements = self.under_way.iter().map(|call| call.engages);
        engagements.max().unwrap_or_default()
    }
}

/// A user whose phone does not say who began a dialog is called: such phones report what rings.
fn engages(dialog: &Dialog) -> Engagement {
    match (dialog.state, dialog.direction) {
        (State::Terminated, _) => Engagement::None,
        (State::Confirmed, _)
        | (State::Trying | State::Proceeding | State::Early, Some(Direction::Initiator)) => {
            Engagement::Busy
        }
        (State::Trying | State::Proceeding | State::Early, Some(Direction::Recipient) | None) => {
            Engagement::Ringing
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn document(version: u32, extent: Extent, dialogs: &[(&str, State)]) -> DialogInfo {
        DialogInfo {
            version,
            extent,
            entity: String::new(),
            dialogs: dialogs
                .iter()
                .map(|(id, state)| Dialog {
                    id: (*id).to_owned(),
                    direction: None,
                    state: *state,
                })
                .collect(),
        }
    }

    #[test]
    fn partial_documents_change_what_a_full_one_said() {
        use State::{Confirmed, Early, Terminated};
        let mut calls = Calls::default();
        assert_eq!(calls.engagement(), Engagement::None);
        for (version, extent, dialogs, engagement) in [
            (0, Extent::Full, &[][..], Engagement::None),
            (1, Extent::Partial, &[("a", Early)], Engagement::Ringing),
            (
                2,
                Extent::Partial,
                &[("a", Confirmed), ("b", Early)],
                Engagement::Busy,
            ),
            (
                3,
                Extent::Partial,
                &[("a", Terminated)],
                Engagement::Ringing,
            ),
            (
                4,
                Extent::Partial,
                &[("c", Terminated)],
                Engagement::Ringing,
            ),
            (5, Extent::Full, &[("d", Confirmed)], Engagement::Busy),
            (6, Extent::Partial, &[("d", Terminated)], Engagement::None),
        ] {
            let taken = calls.take(&document(version, extent, dialogs));
            assert_eq!((taken, calls.engagement()), (Taken::Complete, engagement));
        }
    }

    #[test]
    fn versions_tell_what_is_missing_and_what_is_old() {
        use State::{Confirmed, Terminated};
        let mut calls = Calls::default();
        let mut take = |version, extent, state| {
            let taken = calls.take(&document(version, extent, &[("a", state)]));
            (taken, calls.engagement())
        };
        let (full, partial) = (Extent::Full, Extent::Partial);
        for (version, extent, state, expected) in [
            (5, partial, Confirmed, (Taken::Incomplete, Engagement::Busy)),
            (5, partial, Terminated, (Taken::Outdated, Engagement::Busy)),
            (4, full, Terminated, (Taken::Outdated, Engagement::Busy)),
            (5, full, Terminated, (Taken::Complete, Engagement::None)),
            (5, full, Confirmed, (Taken::Complete, Engagement::Busy)),
            (6, partial, Confirmed, (Taken::Complete, Engagement::Busy)),
            (
                8,
                partial,
                Terminated,
                (Taken::Incomplete, Engagement::None),
            ),
            (10, full, Confirmed, (Taken::Complete, Engagement::Busy)),
        ] {
            assert_eq!(take(version, extent, state), expected, "{version}");
        }
    }

    #[test]
    fn who_calls_is_busy_and_who_is_called_rings() {
        use State::{Confirmed, Early, Proceeding, Terminated, Trying};
        for state in [Trying, Proceeding, Early, Confirmed, Terminated] {
            let engages = |direction| {
                engages(&Dialog {
                    id: String::new(),
                    direction,
                    state,
                })
            };
            let (calling, called) = match state {
                Trying | Proceeding | Early => (Engagement::Busy, Engagement::Ringing),
                Confirmed => (Engagement::Busy, Engagement::Busy),
                Terminated => (Engagement::None, Engagement::None),
            };
            assert_eq!(engages(Some(Direction::Initiator)), calling);
            assert_eq!(engages(Some(Direction::Recipient)), called);
            assert_eq!(engages(None), called);
        }
    }

    #[test]
    fn calls_are_bounded() {
        let mut calls = Calls::default();
        for version in 0..1000 {
            let id = version.to_string();
            calls.take(&document(
                version,
                Extent::Partial,
                &[(&id, State::Confirmed)],
            ));
        }
        assert_eq!(calls.under_way.len(), MAX_KEPT);
    }

    proptest! {
        /// Documents that say each change one by one lead to where the last full one leads.
        #[test]
        fn changes_add_up_to_the_whole(
            changes in prop::collection::vec((0..5_u8, 0..5_usize), 0..40),
        ) {
            use State::{Confirmed, Early, Proceeding, Terminated, Trying};
            let states = [Trying, Proceeding, Early, Confirmed, Terminated];
            let mut calls = Calls::default();
            calls.take(&document(0, Extent::Full, &[]));
            let mut whole = std::collections::BTreeMap::new();
            for (version, (id, state)) in (1..).zip(changes) {
                let (id, state) = (id.to_string(), states[state]);
                let change = document(version, Extent::Partial, &[(&id, state)]);
                prop_assert_eq!(calls.take(&change), Taken::Complete);
                whole.insert(id, state);
            }
            let all: Vec<_> = whole.iter().map(|(id, state)| (id.as_str(), *state)).collect();
            let mut at_once = Calls::default();
            at_once.take(&document(0, Extent::Full, &all));
            prop_assert_eq!(calls.engagement(), at_once.engagement());
        }
    }
}
