// SPDX-License-Identifier: GPL-2.0-or-later
//! What an XMPP contact and its server say to a SIP watcher (RFC 8048 §5.3.1, §6.2; RFC 6121 §3, §4).

use crate::address::Pair;
use crate::mapping::presence::Availability;
use crate::record::{AuthorizationState, Moment};
use crate::sip::TerminationReason;

use super::super::desk::Desk;
use super::{LastBody, Owed, Phase, SipWatchers};

impl SipWatchers {
    /// A presence notification. For a pair that is not authorised it is dropped (RFC 8048 §8.2).
    pub(in super::super) fn presence(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        resource: &str,
        availability: Availability,
    ) {
        let Some(watch) = self.watches.get_mut(pair) else {
            return;
        };
        if watch.authorization != Some(AuthorizationState::Granted) {
            return;
        }
        watch.repeated = 0;
        if watch.presence.update(resource, availability.heard(now)) {
            self.end_fetches(desk, now, pair, TerminationReason::Timeout);
            self.notify_pair(desk, now, pair, Owed::Change);
        }
    }

    /// `subscribed`: the contact approves (RFC 8048 §5.3.1 Examples 13, 14).
    pub(in super::super) fn approved(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        match self.watches.get_mut(pair).and_then(|w| w.authorization) {
            Some(AuthorizationState::Pending | AuthorizationState::Refused) => {
                self.authorize(desk, now, pair, Some(AuthorizationState::Granted));
                self.notify_pair(desk, now, pair, Owed::State);
            }
            // RFC 6121 §3.1.6: an approval that answers no request is ignored.
            Some(AuthorizationState::Granted | AuthorizationState::Cancelled) | None => {}
        }
    }

    /// `unsubscribed`: the contact declines or revokes (RFC 8048 §5.3.1 Examples 15, 16).
    pub(in super::super) fn declined(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let authorization = self.watches.get(pair).and_then(|w| w.authorization);
        match authorization {
            // The answer to the probe of a one-shot SUBSCRIBE, for which the question waits.
            Some(AuthorizationState::Pending) if self.is_fetched(pair) => {
                self.end_fetches(desk, now, pair, TerminationReason::Timeout);
                self.ask(desk, now, pair);
            }
            Some(AuthorizationState::Pending | AuthorizationState::Granted) => {
                self.authorize(desk, now, pair, Some(AuthorizationState::Refused));
                self.end_pair(desk, now, pair, TerminationReason::Rejected);
            }
            // The answer to the `unsubscribe` that an operator had sent.
            Some(AuthorizationState::Cancelled) => self.withdrawn(desk, now, pair),
            Some(AuthorizationState::Refused) | None => {
                self.end_fetches(desk, now, pair, TerminationReason::Timeout);
            }
        }
    }

    /// Every subscription of a pair is over; without an authorisation it is forgotten.
    pub(super) fn end_pair(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        reason: TerminationReason,
    ) {
        let Some(watch) = self.watches.get_mut(pair) else {
            return;
        };
        watch.presence.forget();
        if watch.dialogs.is_empty() && watch.authorization.is_none() {
            self.watches.swap_remove(pair);
            return;
        }
        for id in watch.dialogs.clone() {
            self.end(desk, now, id, reason.clone(), LastBody::Empty);
        }
    }

    pub(super) fn is_fetched(&self, pair: &Pair) -> bool {
        self.watches.get(pair).is_some_and(|watch| {
            watch.dialogs.iter().any(|id| {
                self.notifiers
                    .get(id)
                    .is_some_and(|n| n.phase == Phase::Fetch)
            })
        })
    }

    /// Answers the one-shot SUBSCRIBEs that waited for news of a contact.
    pub(super) fn end_fetches(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        reason: TerminationReason,
    ) {
        let Some(watch) = self.watches.get(pair) else {
            return;
        };
        for id in watch.dialogs.clone() {
            if self
                .notifiers
                .get(&id)
                .is_some_and(|n| n.phase == Phase::Fetch)
            {
                self.end(desk, now, id, reason.clone(), LastBody::Known);
            }
        }
    }
}
