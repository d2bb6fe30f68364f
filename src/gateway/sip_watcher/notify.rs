// SPDX-License-Identifier: GPL-2.0-or-later
//! NOTIFYs to SIP watchers and their results (RFC 6665 §4.2.2, RFC 8048 §6.2).
//!
//! One NOTIFY of a dialog is under way at a time; what changes meanwhile goes into the next one. It carries the
//! whole state, or where resources are told apart, one that has changed, and then the next.

use crate::address::{Pair, SipUri};
use crate::body::pidf::{self, Document};
use crate::config::NotifyResources;
use crate::mapping::presence::{Availability, to_pidf};
use crate::record::{AuthorizationState, DialogId, Moment};
use crate::sip::{SubscriptionState, TerminationReason, retry_after};

use super::super::contact_presence::{ContactPresence, offline};
use super::super::desk::{Departure, Desk, Purpose};
use super::super::dialog::{Dialog, ends_usage};
use super::super::resources::Resources;
use super::super::timers::Timer;
use super::super::{RequestResult, credential};
use super::question::come_back;
use super::{Ending, LastBody, Notifier, Owed, Phase, SipWatchers};

/// Pause before a NOTIFY that was refused without Retry-After is sent again.
const NOTIFY_AGAIN_MS: u64 = 5_000;

impl SipWatchers {
    /// Tells every device of a watcher.
    pub(super) fn notify_pair(&mut self, desk: &mut Desk, now: Moment, pair: &Pair, what: Owed) {
        let Some(watch) = self.watches.get(pair) else {
            return;
        };
        for id in watch.dialogs.clone() {
            self.notify(desk, now, id, what);
        }
    }

    /// Sends the state as it is, or after the NOTIFY under way, or when changes may be told again.
    pub(super) fn notify(&mut self, desk: &mut Desk, now: Moment, id: DialogId, what: Owed) {
        let Some(notifier) = self.notifiers.get_mut(&id) else {
            return;
        };
        if notifier.phase == Phase::Fetch || notifier.phase == Phase::Ended {
            return;
        }
        notifier.owed = notifier.owed.max(what);
        if notifier.dialog.in_flight.is_some() || desk.timers.is_set(&Timer::NotifyAgain(id)) {
            return;
        }
        if notifier.owed == Owed::Change && notifier.waits(desk, now) {
            return;
        }
        let owed = std::mem::replace(&mut notifier.owed, Owed::Nothing);
        desk.timers.stop(&Timer::NotifyPaced(id));
        let Some(watch) = self.watches.get(&notifier.dialog.pair) else {
            return;
        };
        let granted = watch.authorization == Some(AuthorizationState::Granted);
        let expires = notifier.dialog.expires_in(now);
        let (state, body) = match &notifier.phase {
            Phase::Ending(Ending { reason, body }) => {
                let mut state = SubscriptionState::terminated(reason.clone());
                state.retry_after = come_back(desk, reason);
                (state, if granted { *body } else { LastBody::Empty })
            }
            Phase::Open | Phase::Fetch | Phase::Ended if granted => {
                (SubscriptionState::active(expires), LastBody::Known)
            }
            Phase::Open | Phase::Fetch | Phase::Ended => {
                (SubscriptionState::pending(expires), LastBody::Empty)
            }
        };
        let mut apart = None;
        if body == LastBody::Known && desk.config.notify_resources == NotifyResources::Apart {
            apart = match owed {
                Owed::State => Some(self.apart.whole(id, &watch.presence)),
                Owed::Change | Owed::Nothing => self.apart.next(id, &watch.presence),
            };
            if apart.is_none() {
                return;
            }
            if self.apart.owes(id, &watch.presence) {
                notifier.owed = Owed::Change;
            }
        }
        let document = document(&notifier.dialog.pair, &watch.presence, desk, body, apart);
        let newly_active = granted && !notifier.dialog.active;
        if matches!(notifier.phase, Phase::Ending(_)) {
            notifier.phase = Phase::Ended;
        } else if newly_active {
            notifier.dialog.active = true;
            if notifier.dialog.is_stored() {
                desk.change(notifier.dialog.put());
            }
        }
        let (cseq, change) = notifier.dialog.next_cseq();
        if let Some(change) = change {
            desk.change(change);
        }
        let flow = notifier.dialog.texts().flow;
        let contact = desk.contact(id, flow.as_ref());
        let mut send = notifier.dialog.request("NOTIFY", cseq, contact);
        notifier.dialog.follow_flow(&mut send);
        send.headers
            .push(("Subscription-State".to_owned(), state.to_string()));
        notifier.proven = notifier.proof.is_some();
        send.headers
            .extend(notifier.proof.take().map(|proof| *proof));
        if let Some(document) = document {
            notifier.told = now;
            send.headers
                .push(("Content-Type".to_owned(), pidf::MIME.to_owned()));
            send.body = document.into_bytes();
        }
        desk.counters.notifies_sent += 1;
        notifier.dialog.in_flight = Some(desk.send(now, Purpose::Notify(id), send));
    }

    /// A NOTIFY of ours has ended.
    pub(in super::super) fn notified(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        result: &RequestResult,
    ) {
        let Some(notifier) = self.notifiers.get_mut(&id) else {
            return;
        };
        notifier.dialog.in_flight = None;
        if notifier.phase == Phase::Ended {
            self.remove(desk, id);
        } else if result.status.is_success() {
            notifier.proven = false;
            self.notify_owed(desk, now, id);
        } else if !notifier.proven
            && let Some(proof) = credential::answer(
                desk,
                result,
                "NOTIFY",
                notifier.dialog.texts().remote_target,
            )
        {
            notifier.proof = Some(Box::new(proof));
            self.notify(desk, now, id, Owed::State);
        } else if ends_usage(result.status) {
            let was_watching = notifier.phase == Phase::Open;
            let departure = departure(desk, &notifier.dialog);
            if self.remove(desk, id) && was_watching {
                self.watched_no_more(desk, departure);
            }
        } else {
            let wait = result
                .response
                .as_ref()
                .and_then(|r| retry_after(&r.headers))
                .map_or(NOTIFY_AGAIN_MS, |s| u64::from(s.0) * 1000);
            // An ending subscription has no deadline but this one.
            let left = u64::from(notifier.dialog.expires_in(now)) * 1000;
            let wait = wait.min(left.max(NOTIFY_AGAIN_MS));
            notifier.owed = Owed::State;
            desk.timers.set(Timer::NotifyAgain(id), now.plus_ms(wait));
        }
    }

    /// Nothing stands in the way of what is owed any more: the pause after a refused NOTIFY is over, or that
    /// between two changes.
    pub(in super::super) fn notify_owed(&mut self, desk: &mut Desk, now: Moment, id: DialogId) {
        let owed = self.notifiers.get(&id).map(|n| n.owed);
        if let Some(owed) = owed.filter(|owed| *owed != Owed::Nothing) {
            self.notify(desk, now, id, owed);
        }
    }

    /// Ends a subscription with a last NOTIFY.
    pub(super) fn end(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        reason: TerminationReason,
        body: LastBody,
    ) {
        let Some(notifier) = self.notifiers.get_mut(&id) else {
            return;
        };
        if matches!(notifier.phase, Phase::Ending(_) | Phase::Ended) {
            return;
        }
        let was_watching = notifier.phase == Phase::Open && notifier.dialog.is_stored();
        notifier.phase = Phase::Ending(Ending {
            reason: reason.clone(),
            body,
        });
        desk.timers.stop(&Timer::NotifierExpires(id));
        desk.timers.stop(&Timer::FetchEnds(id));
        desk.timers.stop(&Timer::NotifyAgain(id));
        let departure = departure(desk, &notifier.dialog);
        self.notify(desk, now, id, Owed::State);
        let others = self.watches.get(&departure.pair).is_some_and(|w| {
            w.dialogs.iter().any(|d| {
                self.notifiers
                    .get(d)
                    .is_some_and(|n| n.phase == Phase::Open)
            })
        });
        if was_watching && !others && reason == TerminationReason::Timeout {
            self.watched_no_more(desk, departure);
        }
    }

    /// The last dialog of a pair is over: the contact is to be told (RFC 8048 §5.3.3).
    fn watched_no_more(&self, desk: &mut Desk, departure: Departure) {
        let watch = self.watches.get(&departure.pair);
        if watch.and_then(|w| w.authorization) == Some(AuthorizationState::Granted) {
            desk.left.push(departure);
        }
    }
}

impl Notifier {
    /// Whether a change has to wait, so that a watcher is not told of changes more often than RFC 3856 §6.10
    /// allows; if so, its time is set.
    fn waits(&self, desk: &mut Desk, now: Moment) -> bool {
        let interval = u64::from(desk.config.notify_interval);
        let due = self.told.plus_secs(interval);
        if due <= now {
            return false;
        }
        let timer = Timer::NotifyPaced(self.dialog.id());
        desk.counters.changes_held += 1;
        if !desk.timers.is_set(&timer) {
            desk.timers.set(timer, due);
        }
        true
    }
}

/// Who leaves with a dialog: a device whose Contact is a GRUU is a resource (RFC 7247 §6.3).
fn departure(desk: &Desk, dialog: &Dialog) -> Departure {
    let pair = dialog.pair.clone();
    let contact = SipUri::parse(dialog.texts().remote_target).ok();
    let gr = contact.as_ref().and_then(|contact| contact.param("gr"));
    // The Contact may name a host; it is the user's device all the same.
    let agent = gr.and_then(|gr| SipUri::parse(&format!("{};gr={gr}", pair.sip)).ok());
    let jid = agent.and_then(|agent| desk.config.gwmap.sip_agent_on_xmpp(&agent).ok());
    let resource = jid.and_then(|jid| jid.resource().map(|r| r.as_str().to_owned()));
    Departure { pair, resource }
}

/// The body of a NOTIFY; `None` for one without. Of resources that are told `apart` it has these alone.
fn document(
    pair: &Pair,
    presence: &ContactPresence,
    desk: &Desk,
    body: LastBody,
    apart: Option<Resources<Availability>>,
) -> Option<String> {
    let entity = desk.config.gwmap.xmpp_user_on_sip(&pair.xmpp).ok()?;
    match body {
        LastBody::Empty => None,
        LastBody::Known => presence.is_known().then(|| {
            let mut document = to_pidf(&entity, presence.resources());
            if let Some(apart) = apart {
                let Document { tuples, .. } = to_pidf(&entity, apart.iter());
                document.tuples = tuples;
            }
            document.to_xml()
        }),
        LastBody::Closed => {
            let gone = offline();
            let mut resources: Vec<_> = presence
                .resources()
                .map(|(resource, _)| (resource, &gone))
                .collect();
            if resources.is_empty() {
                resources.push(("", &gone));
            }
            Some(to_pidf(&entity, resources).to_xml())
        }
    }
}
