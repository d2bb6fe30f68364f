// SPDX-License-Identifier: GPL-2.0-or-later
//! How a subscription ends from our side (RFC 6665 §4.1.2.3, RFC 8048 §5.2.3).

use xmpp_parsers::presence::Type;

use crate::address::Pair;
use crate::record::{DialogId, Moment};

use super::super::desk::Desk;
use super::super::timers::Timer;
use super::standing::Standing;
use super::{Phase, XmppWatchers};

/// How long an ended subscription is known, so that its last NOTIFY gets its 200 (RFC 6665 §4.1.2.3).
const LINGER_MS: u64 = 32_000;

impl XmppWatchers {
    /// Ends a subscription from our side; `true` if an `unsubscribed` has to wait for it.
    pub(super) fn close(&mut self, desk: &mut Desk, now: Moment, id: DialogId) -> bool {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return false;
        };
        match subscription.phase {
            Phase::ToEnd => return true,
            Phase::Poll | Phase::Ended => return false,
            Phase::Trying | Phase::Open if subscription.dialog.in_flight.is_some() => {
                subscription.phase = Phase::ToEnd;
                return true;
            }
            Phase::Trying | Phase::Open => {}
        }
        self.send(desk, now, id, 0);
        self.ended(desk, now, id);
        true
    }

    /// Nothing more is expected of a dialog but its last NOTIFY.
    pub(super) fn ended(&mut self, desk: &mut Desk, now: Moment, id: DialogId) {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.phase = Phase::Ended;
            subscription.document.clear();
            desk.timers.stop(&Timer::Refresh(id));
            desk.timers.stop(&Timer::SubscriberExpires(id));
            desk.timers.stop(&Timer::FirstNotify(id));
            desk.timers.set(Timer::Linger(id), now.plus_ms(LINGER_MS));
        }
    }

    /// An ended dialog has been waited for long enough.
    pub(in super::super) fn lingered(&mut self, desk: &mut Desk, id: DialogId) {
        let Some(subscription) = self.subscriptions.get(&id) else {
            return;
        };
        let pair = subscription.dialog.pair.clone();
        self.remove(desk, id);
        self.leave_done(desk, &pair);
    }

    /// `unsubscribed` goes out when the last dialog of a leaving watcher has its answer, or was waited for
    /// long enough (RFC 8048 §5.2.3, F21).
    pub(super) fn leave_done(&mut self, desk: &mut Desk, pair: &Pair) {
        let Some(watcher) = self.watchers.get_mut(pair) else {
            return;
        };
        let open = watcher
            .dialogs
            .iter()
            .filter_map(|d| self.subscriptions.get(d))
            .filter(|s| s.phase != Phase::Poll)
            .any(|s| s.phase != Phase::Ended || s.dialog.in_flight.is_some());
        if watcher.standing == Standing::Leaving && !open {
            watcher.standing = Standing::Stranger;
            desk.presence_of_type(pair, Type::Unsubscribed);
            self.forget_if_idle(pair);
        }
    }
}
