// SPDX-License-Identifier: GPL-2.0-or-later
//! What an XMPP watcher asks for (RFC 8048 §5.2.1, §5.2.3, §7.1; RFC 6121 §3, §4.3).

use xmpp_parsers::presence::Type;

use crate::address::{Jid, Pair};
use crate::record::{Direction, Moment};

use super::super::desk::Desk;
use super::super::quota::Overdrawn;
use super::super::timers::Timer;
use super::standing::Standing;
use super::{Phase, XmppWatchers};

/// A login probe refreshes a dialog only when its last SUBSCRIBE is older than this.
const PROBE_REFRESH_MS: u64 = 60_000;

impl XmppWatchers {
    /// `subscribe`: idempotent in every state. One that is too much changes nothing.
    pub(in super::super) fn asked(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
    ) -> Result<(), Overdrawn> {
        self.heard(desk, now, pair);
        let drawn = self.draw(desk, now, pair);
        match self.standing(pair) {
            Standing::Granted(_) => {
                self.tell_subscribed(desk, pair);
                self.tell_all(desk, pair, pair.xmpp.clone().into());
                // Should this be lost with its link, it is said again.
                if let Some(watcher) = self.watchers.get_mut(pair)
                    && let Standing::Granted(grant) = &mut watcher.standing
                {
                    grant.informed = true;
                }
            }
            Standing::Pending => {}
            Standing::Stranger | Standing::Leaving | Standing::Cancelled => {
                drawn?;
                self.stand(desk, now, pair, Standing::Pending);
            }
        }
        self.ensure(desk, now, pair, drawn);
        Ok(())
    }

    /// `probe`: answered from what is known, and the contact is asked afresh.
    pub(in super::super) fn probed(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        prober: Jid,
    ) -> Result<(), Overdrawn> {
        self.heard(desk, now, pair);
        let standing = self.standing(pair);
        match standing {
            Standing::Granted(_) => self.tell_all(desk, pair, prober),
            Standing::Cancelled => {
                self.tell_unsubscribed(desk, now, pair);
                return Ok(());
            }
            Standing::Leaving => return Ok(()),
            // Undecided: silence. Unknown: this side may have forgotten, so the contact decides.
            Standing::Pending | Standing::Stranger => {}
        }
        let drawn = self.draw(desk, now, pair);
        if standing == Standing::Stranger {
            drawn?;
        }
        self.ensure(desk, now, pair, drawn);
        Ok(())
    }

    /// Takes what a new subscription costs from the watcher's share, unless there is one already.
    fn draw(&self, desk: &mut Desk, now: Moment, pair: &Pair) -> Result<(), Overdrawn> {
        if self.live(pair).is_empty() {
            desk.draw(now, Direction::ToSip, pair)
        } else {
            Ok(())
        }
    }

    /// Makes sure that there is a subscription, and that it is fresh. One that may not be made now is made
    /// by back-off: what is authorised is not lost by asking too often.
    fn ensure(&mut self, desk: &mut Desk, now: Moment, pair: &Pair, drawn: Result<(), Overdrawn>) {
        let again = Timer::SubscribeAgain(pair.clone());
        if drawn.is_err() {
            if !desk.timers.is_set(&again) {
                self.try_later(desk, now, pair, None);
            }
            return;
        }
        let live = self.live(pair);
        if live.is_empty() {
            desk.timers.stop(&again);
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

    /// `unsubscribe`: the authorisation ends now, the subscription as soon as it can (F16-F25). From one who has
    /// none it is not answered (RFC 6121 §3.3.3).
    pub(in super::super) fn left(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        desk.timers.stop(&Timer::SubscribeAgain(pair.clone()));
        desk.timers.stop(&Timer::WatchCalls(pair.clone()));
        let had_one = match self.standing(pair) {
            Standing::Pending | Standing::Granted(_) | Standing::Leaving => true,
            Standing::Stranger | Standing::Cancelled => false,
        };
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
        if waiting && had_one {
            self.stand(desk, now, pair, Standing::Leaving);
            return;
        }
        if had_one {
            desk.presence_of_type(pair, Type::Unsubscribed);
        }
        self.forget_if_idle(pair);
    }
}
