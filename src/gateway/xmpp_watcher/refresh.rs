// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether a subscription is refreshed when it is due (RFC 8048 §5.2.2, §8.1).
//!
//! The watcher is probed first. His server may answer anything, `unsubscribed` too, as it does of users that do
//! not exist: only that it cannot be reached counts. Where he lets the SIP user see him, or was asked to, no
//! probe is needed, and its answer would be taken for his own word. One who has not been heard of for
//! `watcher_idle` is not refreshed.

use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};

use crate::address::Pair;
use crate::record::{Change, DialogId, Moment};
use crate::sip::Package;

use super::super::desk::Desk;
use super::super::timers::Timer;
use super::{Phase, Watcher, XmppWatchers};

/// A subscription is to have so much time left after its probe has been waited for.
const MARGIN_MS: u64 = 5_000;

/// The pause before a refresh that was put off is tried again, at most.
const PUT_OFF_MS: u64 = 60_000;

/// When a link is back, contacts whose SUBSCRIBEs were withheld are asked within so long, or so much for each of
/// them.
const SOON_MS: u64 = 30_000;
const EACH_MS: u64 = 5;

/// The memory of when a watcher was heard of is so many times as fine as `watcher_idle`.
const FINENESS: u64 = 8;

/// Without `watcher_idle` it is as fine as this, for the day on which it is set: every change of it is written.
const UNLIMITED_FINENESS_MS: u64 = 86_400_000;

impl Watcher {
    /// Whether he is to have a subscription now.
    pub(super) fn is_served(&self, desk: &Desk, now: Moment) -> bool {
        let idle = u64::from(desk.config.watcher_idle);
        self.standing.is_wanted() && (idle == 0 || now < self.heard.plus_secs(idle))
    }
}

impl XmppWatchers {
    /// The users of a subscription.
    pub(in super::super) fn pair_of(&self, id: DialogId) -> Option<&Pair> {
        self.subscriptions.get(&id).map(|s| &s.dialog.pair)
    }

    /// What a subscription is about.
    pub(super) fn package_of(&self, id: DialogId) -> Option<Package> {
        self.subscriptions.get(&id).map(|s| s.dialog.package)
    }

    /// An XMPP user was heard of.
    pub(in super::super) fn heard(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let Some(watcher) = self.watchers.get_mut(pair) else {
            return;
        };
        let fine = match desk.config.watcher_idle {
            0 => UNLIMITED_FINENESS_MS,
            idle => u64::from(idle) * 1000 / FINENESS,
        };
        if watcher.heard.plus_ms(fine) <= now {
            watcher.heard = now;
            if watcher.standing.authorization().is_some() {
                let pair = pair.clone();
                desk.change(Change::Heard { pair, at: now });
            }
        }
    }

    /// A subscription is due to be refreshed. `awaited`: what the watcher's server says to a probe would be
    /// taken for his own word.
    pub(in super::super) fn refresh_due(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        awaited: bool,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        if subscription.phase != Phase::Open {
            return self.refresh(desk, now, id);
        }
        let pair = subscription.dialog.pair.clone();
        let served = self
            .watchers
            .get(&pair)
            .is_some_and(|watcher| watcher.is_served(desk, now));
        if !served {
            // It runs out, and he is asked for again by his next probe or `subscribe`.
            return;
        }
        if desk.is_cut_off(&pair) {
            return put_off(desk, now, id);
        }
        let wait = u64::from(desk.config.probe_timeout) * 1000;
        let time_left = subscription.dialog.expires_at >= now.plus_ms(wait + MARGIN_MS);
        let probes = !subscription.probed
            && !awaited
            && time_left
            && subscription.dialog.package == Package::Presence;
        subscription.probed = probes;
        if probes {
            desk.probe_watcher(&pair);
            desk.timers.set(Timer::Refresh(id), now.plus_ms(wait));
        } else {
            self.refresh(desk, now, id);
        }
    }

    /// The probe before a refresh was answered with an error: if the server cannot be reached, the refresh is
    /// put off.
    pub(in super::super) fn not_reached(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        error: &StanzaError,
    ) {
        let unreachable = matches!(
            error.defined_condition,
            DefinedCondition::RemoteServerNotFound | DefinedCondition::RemoteServerTimeout
        );
        if !unreachable {
            return;
        }
        for id in self.live(pair) {
            if let Some(subscription) = self.subscriptions.get_mut(&id)
                && std::mem::take(&mut subscription.probed)
            {
                put_off(desk, now, id);
            }
        }
    }

    /// The link is back: a contact whose SUBSCRIBE was withheld is asked before his turn.
    pub(super) fn ask_withheld(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let all = u64::try_from(self.withheld.len()).unwrap_or(u64::MAX);
        if !self.withheld.remove(pair) {
            return;
        }
        let again = Timer::SubscribeAgain(pair.clone());
        let within = SOON_MS.max(all.saturating_mul(EACH_MS));
        let soon = now.plus_ms(desk.identity.between(0, within));
        if desk.timers.due(&again).is_some_and(|due| due > soon) {
            desk.timers.set(again, soon);
        }
    }
}

fn put_off(desk: &mut Desk, now: Moment, id: DialogId) {
    let pause = desk.identity.between(PUT_OFF_MS / 2, PUT_OFF_MS);
    desk.timers.set(Timer::Refresh(id), now.plus_ms(pause));
}
