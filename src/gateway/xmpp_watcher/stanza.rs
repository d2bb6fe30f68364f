// SPDX-License-Identifier: GPL-2.0-or-later
//! What an XMPP watcher asks for (RFC 8048 §5.2.1, §5.2.3, §7.1; RFC 6121 §3, §4.3).

use xmpp_parsers::presence::Type;

use crate::address::{Jid, Pair};
use crate::record::Moment;

use super::super::desk::Desk;
use super::super::timers::Timer;
use super::standing::Standing;
use super::{Phase, XmppWatchers};

/// A login probe refreshes a dialog only when its last SUBSCRIBE is older than this.
const PROBE_REFRESH_MS: u64 = 60_000;

impl XmppWatchers {
    /// `subscribe`: idempotent in every state.
    pub(in super::super) fn asked(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        match self.standing(pair) {
            Standing::Granted(_) => {
                self.tell_subscribed(desk, pair);
                self.tell_all(desk, pair, pair.xmpp.clone().into());
            }
            Standing::Pending => {}
            Standing::Stranger | Standing::Leaving | Standing::Cancelled => {
                self.stand(desk, now, pair, Standing::Pending);
            }
        }
        self.ensure(desk, now, pair);
    }

    /// `probe`: answered from what is known, and the contact is asked afresh.
    pub(in super::super) fn probed(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        prober: Jid,
    ) {
        match self.standing(pair) {
            Standing::Granted(_) => self.tell_all(desk, pair, prober),
            Standing::Cancelled => {
                self.tell_unsubscribed(desk, now, pair);
                return;
            }
            Standing::Leaving => return,
            // Undecided: silence. Unknown: this side may have forgotten, so the contact decides.
            Standing::Pending | Standing::Stranger => {}
        }
        self.ensure(desk, now, pair);
    }

    /// Makes sure that there is a subscription, and that it is fresh.
    fn ensure(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let live = self.live(pair);
        if live.is_empty() {
            desk.timers.stop(&Timer::SubscribeAgain(pair.clone()));
            self.open(desk, now, pair);
        }
        for id in live {
            let old = self.subscriptions.get(&id).is_some_and(|s| {
                s.phase == Phase::Open && s.refreshed.plus_ms(PROBE_REFRESH_MS) <= now
            });
            if old {
                self.refresh(desk, now, id);
            }
        }
    }

    /// `unsubscribe`: the authorisation ends now, the subscription as soon as it can (F16-F25).
    pub(in super::super) fn left(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        desk.timers.stop(&Timer::SubscribeAgain(pair.clone()));
        self.stand(desk, now, pair, Standing::Stranger);
        self.tell_gone(desk, pair);
        let dialogs = self
            .watchers
            .get(pair)
            .map(|w| w.dialogs.clone())
            .unwrap_or_default();
        let mut waiting = false;
        for id in dialogs {
            waiting |= self.close(desk, now, id);
        }
        if waiting {
            self.stand(desk, now, pair, Standing::Leaving);
        } else {
            desk.presence_of_type(pair, Type::Unsubscribed);
            self.forget_if_idle(pair);
        }
    }
}
