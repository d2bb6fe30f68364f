// SPDX-License-Identifier: GPL-2.0-or-later
//! SUBSCRIBEs from SIP watchers (RFC 6665 §4.2.1, RFC 8048 §5.3).

use xmpp_parsers::presence::Type;

use crate::address::Pair;
use crate::frame::{Reply, Slot};
use crate::record::{AuthorizationState, DialogId, DialogRecord, Moment};
use crate::sip::TerminationReason;

use super::super::SipRequest;
use super::super::desk::{Desk, Refusal};
use super::super::dialog::{Dialog, adjacent_flow};
use super::super::timers::Timer;
use super::admission::{accept, check_accept, check_event, granted_expires};
use super::{LastBody, Owed, Phase, SipWatchers};

impl SipWatchers {
    /// A SUBSCRIBE without To tag: starts a subscription, or asks once (Expires 0).
    pub(in super::super) fn subscribe(&mut self, desk: &mut Desk, now: Moment, r: &SipRequest) {
        match accept(desk, now, r) {
            Ok(accepted) => self.start(desk, now, r.slot, accepted),
            Err(refusal) => desk.refuse(r.slot, refusal),
        }
    }

    fn start(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        slot: Slot,
        (record, expires): (DialogRecord, u32),
    ) {
        let id = record.id;
        let pair = record.pair.clone();
        desk.counters.subscribes += 1;
        let watch = self.watches.entry(pair.clone()).or_default();
        let authorization = watch.authorization;
        let known = watch.presence.is_known();
        let mut dialog = Dialog::new(&record);
        let ended = match authorization {
            Some(AuthorizationState::Refused) => Some(TerminationReason::Rejected),
            Some(AuthorizationState::Cancelled) => Some(TerminationReason::Probation),
            Some(AuthorizationState::Pending | AuthorizationState::Granted) | None => None,
        };
        if expires > 0 && ended.is_none() {
            dialog.active = authorization == Some(AuthorizationState::Granted);
            desk.timers
                .set(Timer::NotifierExpires(id), dialog.expires_at);
            desk.change(dialog.put());
        }
        answer(desk, slot, &dialog, expires);
        self.add(desk, dialog, Phase::Open);
        if let Some(reason) = ended {
            return self.end(desk, now, id, reason, LastBody::Empty);
        }
        match (authorization, expires) {
            (Some(AuthorizationState::Granted), 0) if known => {
                self.end(desk, now, id, TerminationReason::Timeout, LastBody::Known);
            }
            (_, 0) => self.fetch(desk, now, id, &pair),
            (Some(AuthorizationState::Granted), _) => {
                self.notify(desk, now, id, Owed::State);
                desk.presence_of_type(&pair, Type::Probe);
            }
            (Some(AuthorizationState::Pending), _) => self.notify(desk, now, id, Owed::State),
            (None | Some(AuthorizationState::Refused | AuthorizationState::Cancelled), _) => {
                self.authorize(desk, now, &pair, Some(AuthorizationState::Pending));
                self.notify(desk, now, id, Owed::State);
                self.ask_first(desk, now, &pair);
            }
        }
    }

    /// Asks the contact's server once (RFC 8048 §7.2) and answers with what comes in time.
    fn fetch(&mut self, desk: &mut Desk, now: Moment, id: DialogId, pair: &Pair) {
        if let Some(notifier) = self.notifiers.get_mut(&id) {
            notifier.phase = Phase::Fetch;
        }
        // RFC 6121 §4.3.2: a probe of somebody who is not authorised yet is answered `unsubscribed`, which
        // would read as the contact's refusal.
        let undecided = self
            .watches
            .get(pair)
            .is_some_and(|w| w.authorization == Some(AuthorizationState::Pending));
        if !undecided && desk.presence_of_type(pair, Type::Probe) {
            let wait = u64::from(desk.config.probe_timeout);
            desk.timers.set(Timer::FetchEnds(id), now.plus_secs(wait));
        } else {
            self.fetch_ends(desk, now, id);
        }
    }

    /// Nothing more is waited for: the NOTIFY that a one-shot SUBSCRIBE is owed goes out with what is known.
    pub(in super::super) fn fetch_ends(&mut self, desk: &mut Desk, now: Moment, id: DialogId) {
        self.end(desk, now, id, TerminationReason::Timeout, LastBody::Known);
    }

    /// A SUBSCRIBE with a To tag: refreshes or ends a subscription.
    pub(in super::super) fn resubscribe(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        r: &SipRequest,
        local_tag: &str,
    ) {
        match self.find(r, local_tag) {
            Some(id) => match self.refresh(desk, now, r, id) {
                Ok(()) => {}
                Err(refusal) => desk.refuse(r.slot, refusal),
            },
            None => desk.refuse(r.slot, Refusal::new(481)),
        }
    }

    fn find(&self, r: &SipRequest, local_tag: &str) -> Option<DialogId> {
        let call_id = r.request.call_id().ok()?;
        let from = r.request.from().ok()?;
        self.calls.find(call_id, local_tag).find(|id| {
            self.notifiers.get(id).is_some_and(|n| {
                let texts = n.dialog.texts();
                n.phase == Phase::Open
                    && (texts.call_id, texts.local_tag) == (call_id, local_tag)
                    && texts.remote_tag == from.tag()
            })
        })
    }

    fn refresh(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        r: &SipRequest,
        id: DialogId,
    ) -> Result<(), Refusal> {
        let request = &r.request;
        let gone = || Refusal::new(481);
        let notifier = self.notifiers.get_mut(&id).ok_or_else(gone)?;
        let dialog = &mut notifier.dialog;
        let cseq = request
            .cseq()
            .map_err(|_| Refusal::because(400, "Bad CSeq"))?;
        // RFC 3261 §12.2.2: a number that does not rise is out of order.
        if cseq.number <= dialog.remote_cseq {
            return Err(Refusal::because(500, "CSeq Out of Order"));
        }
        if check_event(request)?.as_deref() != dialog.texts().event_id {
            return Err(gone());
        }
        check_accept(request)?;
        let expires = granted_expires(desk, request)?;
        dialog.remote_cseq = cseq.number;
        dialog.rewrite(|record| {
            if let Ok(Some(contact)) = request.headers.contact() {
                record.remote_target = contact.uri_text;
            }
            if let Some(flow) = adjacent_flow(request, &r.flow) {
                record.flow = Some(flow);
            }
        });
        dialog.expires_at = now.plus_secs(u64::from(expires));
        let pair = dialog.pair.clone();
        let authorization = self.watches.get(&pair).and_then(|w| w.authorization);
        let stands = matches!(
            authorization,
            Some(AuthorizationState::Pending | AuthorizationState::Granted)
        );
        if !stands {
            answer(desk, r.slot, &notifier.dialog, expires);
            self.expired(desk, now, id);
        } else if expires > 0 {
            desk.timers
                .set(Timer::NotifierExpires(id), notifier.dialog.expires_at);
            desk.change(notifier.dialog.put());
            answer(desk, r.slot, &notifier.dialog, expires);
            self.notify(desk, now, id, Owed::State);
            let unheard = self.watches.get(&pair).is_some_and(|w| {
                w.authorization == Some(AuthorizationState::Granted) && !w.presence.is_known()
            });
            if unheard {
                desk.presence_of_type(&pair, Type::Probe);
            }
        } else {
            // After a restart the dialog still ends, even if this process dies before its last NOTIFY.
            desk.change(notifier.dialog.put());
            answer(desk, r.slot, &notifier.dialog, 0);
            self.end(desk, now, id, TerminationReason::Timeout, LastBody::Closed);
        }
        Ok(())
    }

    /// A subscription was not refreshed, or what it rests on was gone before a restart.
    pub(in super::super) fn expired(&mut self, desk: &mut Desk, now: Moment, id: DialogId) {
        let authorization = self
            .notifiers
            .get(&id)
            .and_then(|n| self.watches.get(&n.dialog.pair))
            .and_then(|w| w.authorization);
        let (reason, body) = match authorization {
            Some(AuthorizationState::Pending | AuthorizationState::Granted) => {
                (TerminationReason::Timeout, LastBody::Closed)
            }
            Some(AuthorizationState::Refused | AuthorizationState::Cancelled) => {
                (TerminationReason::Rejected, LastBody::Empty)
            }
            None => (TerminationReason::Noresource, LastBody::Empty),
        };
        self.end(desk, now, id, reason, body);
    }
}

fn answer(desk: &mut Desk, slot: Slot, dialog: &Dialog, expires: u32) {
    let contact = desk.contact(dialog.id(), dialog.texts().flow.as_ref());
    desk.reply(Reply {
        slot,
        status: 200,
        reason: "OK".to_owned(),
        to_tag: Some(dialog.texts().local_tag.to_owned()),
        headers: vec![
            ("Expires".to_owned(), expires.to_string()),
            ("Contact".to_owned(), contact),
        ],
        body: Vec::new(),
    });
}
