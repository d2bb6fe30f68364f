// SPDX-License-Identifier: GPL-2.0-or-later
//! A probe of one device by somebody without authorisation: the contact is asked once (RFC 8048 §7.1), in a
//! dialog that is stored nowhere and whose answer only the prober sees.

use xmpp_parsers::presence::{Presence, Type};

use crate::address::{Jid, Pair};
use crate::mapping::presence::Availability;
use crate::record::{DialogId, Direction, Moment};
use crate::sip::{Package, Status, SubscriptionState, TerminationReason};

use super::super::desk::Desk;
use super::super::dialog::Dialog;
use super::super::quota::Overdrawn;
use super::super::resources::Resources;
use super::super::timers::Timer;
use super::standing::Standing;
use super::subscribe::{FIRST_NOTIFY_MS, new_dialog};
use super::{Phase, XmppWatchers};

impl XmppWatchers {
    /// A probe to a full JID. One who has asked for the authorisation, or has it, is answered as by
    /// [`Self::probed`].
    pub(in super::super) fn polled(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        prober: Jid,
    ) -> Result<(), Overdrawn> {
        if self.standing(pair) != Standing::Stranger {
            return self.probed(desk, now, pair, prober);
        }
        let polls = self.watchers.get(pair).is_some_and(|watcher| {
            let mut dialogs = watcher.dialogs.iter();
            dialogs.any(|id| self.polls.contains_key(id))
        });
        if !polls {
            desk.draw(now, Direction::ToSip, pair)?;
            self.poll(desk, now, pair, prober);
        }
        Ok(())
    }

    fn poll(&mut self, desk: &mut Desk, now: Moment, pair: &Pair, prober: Jid) {
        let Some(record) = new_dialog(desk, now, pair, Package::Presence, 0) else {
            return;
        };
        let id = record.id;
        let nothing = Resources::default();
        self.add(desk, Dialog::new(&record), Phase::Poll, nothing, now, 0);
        self.polls.insert(id, prober);
        desk.timers
            .set(Timer::FirstNotify(id), now.plus_ms(FIRST_NOTIFY_MS));
        self.send(desk, now, id, 0);
    }

    /// The NOTIFY that a poll is for: the prober is told what it says.
    pub(super) fn poll_answered(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        state: &SubscriptionState,
        document: Option<Resources<Availability>>,
    ) {
        if state.reason == Some(TerminationReason::Rejected) {
            self.tell_prober(desk, id, "", Presence::new(Type::Unsubscribed));
        } else {
            let document = document.unwrap_or_default();
            for (resource, availability) in document.iter() {
                self.tell_prober(desk, id, resource, availability.to_presence());
            }
            if document.is_empty() {
                self.tell_prober(desk, id, "", Presence::new(Type::Unavailable));
            }
        }
        self.ended(desk, now, id);
    }

    /// A poll came to nothing: a refusal is `unsubscribed` (RFC 6121 §4.3.2), anything else that nothing is
    /// known.
    pub(super) fn poll_failed(&mut self, desk: &mut Desk, id: DialogId, status: Status) {
        let type_ = match status.0 {
            403 | 489 | 603 => Type::Unsubscribed,
            _ => Type::Unavailable,
        };
        self.tell_prober(desk, id, "", Presence::new(type_));
        self.remove(desk, id);
    }

    fn tell_prober(&self, desk: &mut Desk, id: DialogId, resource: &str, presence: Presence) {
        if let (Some(prober), Some(pair)) = (self.polls.get(&id), self.pair_of(id)) {
            desk.presence(&pair.sip, resource, prober.clone(), presence);
        }
    }
}
