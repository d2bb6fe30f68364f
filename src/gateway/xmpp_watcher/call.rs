// SPDX-License-Identifier: GPL-2.0-or-later
//! The calls of a SIP contact, by the event package `dialog` (RFC 4235), as presence.
//!
//! Beside the subscription to presence of one who is authorised, if `watch_calls` is set. What becomes of it
//! says nothing of the authorisation: it is made again later, and until then there are no calls to show.

use crate::address::Pair;
use crate::body::dialog_info::{DialogInfo, Engagement, Taken};
use crate::record::{DialogId, Direction, Moment};
use crate::sip::{Package, Status, SubscriptionState, TerminationReason};

use super::super::desk::Desk;
use super::super::dialog::Dialog;
use super::super::resources::Resources;
use super::super::timers::Timer;
use super::standing::Standing;
use super::subscribe::{FIRST_NOTIFY_MS, new_dialog};
use super::{Phase, XmppWatchers};

/// What was missed is asked for so long after the last SUBSCRIBE at the earliest: a notifier may go on to skip.
const MISSED_MS: u64 = 10_000;

/// The pause after a subscription to calls was lost, at most.
const LOST_MS: u64 = 60_000;

/// The pause after one failed, at most.
const FAILED_MS: u64 = 3_600_000;

/// The pause after one was refused: the contact's phone does not know the package, or will not tell.
const REFUSED_MS: u64 = 86_400_000;

impl XmppWatchers {
    /// Sees to it that the calls of a contact are watched, whose presence is.
    pub(in super::super) fn watch_calls(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let again = Timer::WatchCalls(pair.clone());
        let wanted = desk.config.watch_calls
            && matches!(self.standing(pair), Standing::Granted(_))
            && !self.live(pair).is_empty()
            && self.live_of(pair, Package::Dialog).is_empty()
            && !desk.timers.is_set(&again);
        if !wanted || desk.room(Direction::ToSip, pair).is_err() {
            return;
        }
        let expires = desk.config.expires_max;
        let Some(record) = new_dialog(desk, now, pair, Package::Dialog, expires) else {
            return;
        };
        let mut dialog = Dialog::new(&record);
        let id = dialog.id();
        desk.change(dialog.put());
        let nothing = Resources::default();
        self.add(desk, dialog, Phase::Trying, nothing, now, expires);
        desk.timers
            .set(Timer::FirstNotify(id), now.plus_ms(FIRST_NOTIFY_MS));
        self.send(desk, now, id, expires);
    }

    /// A NOTIFY about calls.
    pub(super) fn calls_told(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        document: Option<DialogInfo>,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let pair = subscription.dialog.pair.clone();
        let first = !std::mem::replace(&mut subscription.dialog.active, true);
        if first {
            desk.change(subscription.dialog.put());
        }
        let Some(document) = document else {
            return;
        };
        let calls = subscription.calls.get_or_insert_default();
        if calls.take(&document) == Taken::Incomplete {
            let earliest = subscription.refreshed.plus_ms(MISSED_MS).max(now);
            let refresh = Timer::Refresh(id);
            if desk.timers.due(&refresh).is_none_or(|due| due > earliest) {
                desk.timers.set(refresh, earliest);
            }
        }
        self.tell_changes(desk, &pair);
    }

    /// A SUBSCRIBE for calls failed.
    pub(super) fn calls_refused(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        status: Status,
    ) {
        let pause = match status.0 {
            481 => LOST_MS,
            403 | 405 | 489 | 501 | 603 => REFUSED_MS,
            _ => FAILED_MS,
        };
        self.calls_lost(desk, now, id, pause);
    }

    /// The notifier ended a subscription to calls.
    pub(super) fn calls_ended(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        state: &SubscriptionState,
    ) {
        let pause = match state.reason {
            Some(TerminationReason::Deactivated | TerminationReason::Timeout) => LOST_MS,
            Some(TerminationReason::Rejected) => REFUSED_MS,
            Some(
                TerminationReason::Probation
                | TerminationReason::Giveup
                | TerminationReason::Noresource
                | TerminationReason::Invariant
                | TerminationReason::Other(_),
            )
            | None => FAILED_MS,
        };
        self.calls_lost(desk, now, id, pause);
    }

    /// There is no subscription to calls any more: none are shown, and they are watched again after a while.
    pub(super) fn calls_lost(&mut self, desk: &mut Desk, now: Moment, id: DialogId, pause: u64) {
        let Some(pair) = self.pair_of(id).cloned() else {
            return;
        };
        self.remove(desk, id);
        self.tell_changes(desk, &pair);
        let pause = desk.identity.between(pause / 2, pause);
        desk.timers.set(Timer::WatchCalls(pair), now.plus_ms(pause));
    }

    /// A subscription to calls has run out, or was never answered.
    pub(super) fn calls_silent(&mut self, desk: &mut Desk, now: Moment, id: DialogId) {
        self.calls_lost(desk, now, id, FAILED_MS);
    }

    /// Whether a contact is in a call, by all that is known.
    pub(super) fn is_in_call(&self, pair: &Pair) -> bool {
        let calls = self.live_of(pair, Package::Dialog);
        let mut calls = calls.iter().filter_map(|id| self.subscriptions.get(id));
        calls.any(|s| {
            let engagement = s.calls.as_ref().map(|calls| calls.engagement());
            engagement == Some(Engagement::Busy)
        })
    }
}
