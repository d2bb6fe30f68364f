// SPDX-License-Identifier: GPL-2.0-or-later
//! When a contact is asked anew whose subscription is gone and still wanted (RFC 6665 §4.1.2.4, §4.1.3).

use crate::address::Pair;
use crate::record::{DialogId, Moment};
use crate::sip::{DeltaSeconds, Package, Status};

use super::super::backoff::backoff_ms;
use super::super::desk::Desk;
use super::super::timers::Timer;
use super::{Phase, XmppWatchers};

/// Bounds of the pause that a Retry-After can ask for.
const RETRY_AFTER_MS: std::ops::RangeInclusive<u64> = 10_000..=86_400_000;

impl XmppWatchers {
    /// Subscribes anew, at once the first time, by back-off if the notifier keeps ending it.
    pub(super) fn again_soon(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let Some(watcher) = self.watchers.get_mut(pair) else {
            return;
        };
        if watcher.failures == 0 && watcher.is_served(desk, now) {
            watcher.failures = 1;
            self.open(desk, now, pair);
        } else {
            self.unreachable(desk, now, pair, None);
        }
    }

    /// The pause before another attempt is over.
    pub(in super::super) fn subscribe_again(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let served = self
            .watchers
            .get(pair)
            .is_some_and(|watcher| watcher.is_served(desk, now));
        if !served || !self.live(pair).is_empty() {
            return;
        }
        if desk.is_cut_off(pair) {
            // Nobody could be told; when the link is back, the contact is asked soon.
            self.withheld.insert(pair.clone());
            self.try_later(desk, now, pair, None);
        } else {
            self.open(desk, now, pair);
        }
    }

    /// No NOTIFY followed a SUBSCRIBE (RFC 6665 §4.1.2.4), or no refresh came through before the end.
    pub(in super::super) fn lost(&mut self, desk: &mut Desk, now: Moment, id: DialogId) {
        let Some(subscription) = self.subscriptions.get(&id) else {
            return;
        };
        if subscription.dialog.package == Package::Dialog {
            return self.calls_silent(desk, now, id);
        }
        if subscription.phase == Phase::Poll {
            return self.poll_failed(desk, id, Status(408));
        }
        let pair = subscription.dialog.pair.clone();
        self.remove(desk, id);
        self.leave_done(desk, &pair);
        self.unreachable(desk, now, &pair, None);
    }

    /// A dialog is gone and nothing replaces it now: what only it showed goes, and without another one the
    /// contact is tried again.
    pub(super) fn unreachable(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        wait: Option<DeltaSeconds>,
    ) {
        self.tell_changes(desk, pair);
        if self.live(pair).is_empty() {
            self.try_later(desk, now, pair, wait);
        }
    }

    /// Tries a contact again by back-off, or when it said.
    pub(super) fn try_later(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        wait: Option<DeltaSeconds>,
    ) {
        let watcher = self.watchers.entry(pair.clone()).or_default();
        if !watcher.is_served(desk, now) {
            self.forget_if_idle(pair);
            return;
        }
        self.waiting.add(pair, now);
        let pause = backoff_ms(&mut desk.identity, watcher.failures);
        watcher.failures = watcher.failures.saturating_add(1);
        let pause = wait.map_or(pause, |w| {
            (u64::from(w.0) * 1000).clamp(*RETRY_AFTER_MS.start(), *RETRY_AFTER_MS.end())
        });
        desk.timers
            .set(Timer::SubscribeAgain(pair.clone()), now.plus_ms(pause));
    }
}
