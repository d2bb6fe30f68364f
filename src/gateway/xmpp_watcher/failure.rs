// SPDX-License-Identifier: GPL-2.0-or-later
//! What a failed SUBSCRIBE of ours means (RFC 8048 §5.2.1, §5.2.2; RFC 6665 §4.1.2).

use crate::address::Pair;
use crate::record::{DialogId, Moment};
use crate::sip::{DeltaSeconds, Headers, Package, Status, retry_after};

use super::super::RequestResult;
use super::super::backoff::backoff_ms;
use super::super::desk::Desk;
use super::super::dialog::ends_usage;
use super::super::timers::Timer;
use super::standing::Standing;
use super::{Phase, XmppWatchers};

/// The longest duration that a notifier's Min-Expires can make us ask for, in seconds.
const LONGEST_DURATION: u32 = 7 * 86_400;

impl XmppWatchers {
    /// A SUBSCRIBE failed.
    pub(super) fn refused(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        pair: &Pair,
        result: &RequestResult,
    ) {
        let headers = result.response.as_ref().map(|r| &r.headers);
        let wait = headers.and_then(retry_after);
        if self.package_of(id) == Some(Package::Dialog) {
            if result.status.0 != 423 || !self.lengthen(desk, now, id, headers) {
                self.calls_refused(desk, now, id, result.status);
            }
            return;
        }
        let was_open = self
            .subscriptions
            .get(&id)
            .is_some_and(|s| s.phase == Phase::Open);
        match result.status.0 {
            // RFC 8048 §5.2.2: the only answers that end the authorisation for good.
            403 | 489 | 603 if self.believes_refusal(desk, now, id, pair) => {
                self.remove(desk, id);
                self.cancelled(desk, now, pair);
            }
            423 if self.lengthen(desk, now, id, headers) => {}
            // The peer lost the dialog: the authorisation stands, a new dialog is made at once.
            481 => {
                self.remove(desk, id);
                if was_open && self.live(pair).is_empty() {
                    self.again_soon(desk, now, pair);
                } else {
                    self.unreachable(desk, now, pair, wait);
                }
            }
            // RFC 6665 §4.1.2.2: a refresh that failed otherwise leaves the subscription as long as it was.
            status if was_open && status != 503 && !ends_usage(result.status) => {
                if let Some(subscription) = self.subscriptions.get_mut(&id) {
                    // The watcher was probed just now.
                    subscription.probed = true;
                }
                let pause = backoff_ms(&mut desk.identity, 0);
                desk.timers.set(Timer::Refresh(id), now.plus_ms(pause));
            }
            // Nobody there: the contact is offline (RFC 8048 §5.2.1), and tried again.
            _ => {
                self.remove(desk, id);
                self.unreachable(desk, now, pair, wait);
            }
        }
    }

    /// A SUBSCRIBE failed whose dialog had been given up before: of its answers only a refusal still counts.
    pub(in super::super) fn refused_late(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        status: Status,
    ) {
        let standing = self.standing(pair);
        if !matches!(status.0, 403 | 489 | 603) || !standing.is_wanted() {
            return;
        }
        let next_hop = desk.config.outbound_proxy.as_deref().unwrap_or_default();
        let granted = matches!(standing, Standing::Granted(_));
        if granted && !self.refusals.believe(next_hop, now) {
            desk.counters.refusals_held += 1;
        } else {
            self.cancelled(desk, now, pair);
        }
    }

    /// Whether a refusal is the contact's own, not one of a flood that a next hop answers everybody with.
    fn believes_refusal(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        pair: &Pair,
    ) -> bool {
        let granted = matches!(self.standing(pair), Standing::Granted(_));
        let Some(subscription) = self.subscriptions.get(&id).filter(|_| granted) else {
            return true;
        };
        let route = subscription.dialog.texts().route_set.first().copied();
        let next_hop = route.or(desk.config.outbound_proxy.as_deref());
        let believed = self.refusals.believe(next_hop.unwrap_or_default(), now);
        if !believed {
            desk.counters.refusals_held += 1;
        }
        believed
    }

    /// 423: asks once for the least that the notifier takes (RFC 6665 §4.2.1.1); `false` if that is not to be.
    fn lengthen(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        headers: Option<&Headers>,
    ) -> bool {
        let min = headers
            .and_then(|h| h.first("Min-Expires"))
            .and_then(|v| DeltaSeconds::parse(v).ok());
        let (Some(min), Some(subscription)) = (min, self.subscriptions.get_mut(&id)) else {
            return false;
        };
        let first = subscription.duration == desk.config.expires_max;
        if !first || min.0 <= subscription.duration || min.0 > LONGEST_DURATION {
            return false;
        }
        subscription.duration = min.0;
        self.send(desk, now, id, min.0);
        true
    }
}
