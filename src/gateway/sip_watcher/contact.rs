// SPDX-License-Identifier: GPL-2.0-or-later
//! What an XMPP contact and its server say to a SIP watcher (RFC 8048 §5.3.1, §6.2; RFC 6121 §3, §4).

use xmpp_parsers::presence::Type;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::address::Pair;
use crate::mapping::presence::Availability;
use crate::record::{AuthorizationState, Moment};
use crate::sip::TerminationReason;

use super::super::backoff::backoff_ms;
use super::super::desk::Desk;
use super::super::timers::Timer;
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
        if watch.authorization == Some(AuthorizationState::Granted)
            && watch.presence.update(resource, availability.heard(now))
        {
            self.end_fetches(desk, now, pair);
            self.notify_pair(desk, now, pair, Owed::Change);
        }
    }

    /// `subscribed`: the contact approves (RFC 8048 §5.3.1 Examples 13, 14).
    pub(in super::super) fn approved(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        match self.watches.get_mut(pair).and_then(|w| w.authorization) {
            Some(AuthorizationState::Pending | AuthorizationState::Refused) => {
                desk.timers.stop(&Timer::AskAgain(pair.clone()));
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
            // The answer to the probe of a one-shot SUBSCRIBE that came before the question.
            Some(AuthorizationState::Pending) if self.is_fetched(pair) => {
                self.end_fetches(desk, now, pair);
            }
            Some(AuthorizationState::Pending | AuthorizationState::Granted) => {
                desk.timers.stop(&Timer::AskAgain(pair.clone()));
                self.authorize(desk, now, pair, Some(AuthorizationState::Refused));
                self.end_pair(desk, now, pair, TerminationReason::Rejected);
            }
            Some(AuthorizationState::Refused | AuthorizationState::Cancelled) | None => {
                self.end_fetches(desk, now, pair);
            }
        }
    }

    /// The contact's server could not take our `subscribe` or `probe`.
    pub(in super::super) fn failed(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        id: Option<&str>,
        error: &StanzaError,
    ) {
        if id.is_some_and(|id| id.starts_with("probe-")) {
            self.end_fetches(desk, now, pair);
            return;
        }
        // An error about other presence, such as what the contact is shown, says nothing of the question.
        if !id.is_some_and(|id| id.starts_with("subscribe-")) {
            return;
        }
        let Some(watch) = self.watches.get_mut(pair) else {
            return;
        };
        if watch.authorization != Some(AuthorizationState::Pending) {
            return;
        }
        match verdict(error) {
            Verdict::Later => {
                let wait = backoff_ms(&mut desk.identity, watch.asked_in_vain);
                watch.asked_in_vain = watch.asked_in_vain.saturating_add(1);
                desk.timers
                    .set(Timer::AskAgain(pair.clone()), now.plus_ms(wait));
            }
            Verdict::Never(reason) => {
                desk.timers.stop(&Timer::AskAgain(pair.clone()));
                self.authorize(desk, now, pair, None);
                self.end_pair(desk, now, pair, reason);
            }
        }
    }

    /// The pause after a failed `subscribe` is over.
    pub(in super::super) fn ask_again(&self, desk: &mut Desk, pair: &Pair) {
        let pending = self
            .watches
            .get(pair)
            .is_some_and(|w| w.authorization == Some(AuthorizationState::Pending));
        if pending {
            desk.presence_of_type(pair, Type::Subscribe);
        }
    }

    fn end_pair(&mut self, desk: &mut Desk, now: Moment, pair: &Pair, reason: TerminationReason) {
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

    fn is_fetched(&self, pair: &Pair) -> bool {
        self.watches.get(pair).is_some_and(|watch| {
            watch.dialogs.iter().any(|id| {
                self.notifiers
                    .get(id)
                    .is_some_and(|n| n.phase == Phase::Fetch)
            })
        })
    }

    /// Answers the one-shot SUBSCRIBEs that waited for news of a contact.
    fn end_fetches(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let Some(watch) = self.watches.get(pair) else {
            return;
        };
        for id in watch.dialogs.clone() {
            if self
                .notifiers
                .get(&id)
                .is_some_and(|n| n.phase == Phase::Fetch)
            {
                self.end(desk, now, id, TerminationReason::Timeout, LastBody::Known);
            }
        }
    }
}

enum Verdict {
    /// The server is not reachable now: the authorisation stays undecided.
    Later,
    /// It will not become true by waiting.
    Never(TerminationReason),
}

fn verdict(error: &StanzaError) -> Verdict {
    let unreachable = matches!(
        error.defined_condition,
        DefinedCondition::RemoteServerNotFound | DefinedCondition::RemoteServerTimeout
    );
    let refused = matches!(
        error.defined_condition,
        DefinedCondition::Forbidden
            | DefinedCondition::NotAllowed
            | DefinedCondition::PolicyViolation
    );
    if unreachable || error.type_ == ErrorType::Wait {
        Verdict::Later
    } else if refused || error.type_ == ErrorType::Auth {
        Verdict::Never(TerminationReason::Rejected)
    } else {
        Verdict::Never(TerminationReason::Noresource)
    }
}
