// SPDX-License-Identifier: GPL-2.0-or-later
//! Our SUBSCRIBEs and their results (RFC 6665 §4.1.2, RFC 8048 §5.2.1, §5.2.2).

use crate::address::{Pair, SipUri};
use crate::body::{dialog_info, pidf};
use crate::record::{DialogId, DialogRecord, Direction, Moment};
use crate::sip::{NameAddr, Package, Response};

use super::super::RequestResult;
use super::super::desk::{Desk, Purpose};
use super::super::dialog::Dialog;
use super::super::resources::Resources;
use super::super::timers::Timer;
use super::{Phase, XmppWatchers};

/// Timer N (RFC 6665 §4.1.2.4): 64 times T1.
pub(super) const FIRST_NOTIFY_MS: u64 = 32_000;

/// The least time between two refreshes; a subscription granted for less runs out.
const MIN_REFRESH_MS: u64 = 1_000;

/// A subscription that is accepted again after so long has held; a shorter one may be ended at once by its
/// notifier, and is not to be made anew at the speed of the network.
const HELD_MS: u64 = 60_000;

impl XmppWatchers {
    /// Starts a subscription.
    pub(super) fn open(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let expires = desk.config.expires_max;
        if desk.room(Direction::ToSip, pair).is_err() {
            self.try_later(desk, now, pair, None);
            return;
        }
        let Some(record) = new_dialog(desk, now, pair, Package::Presence, expires) else {
            self.cancelled(desk, now, pair);
            return;
        };
        self.waiting.remove(pair);
        self.withheld.remove(pair);
        let mut dialog = Dialog::new(&record);
        let id = dialog.id();
        desk.change(dialog.put());
        self.add(
            desk,
            dialog,
            Phase::Trying,
            Resources::default(),
            now,
            expires,
        );
        desk.timers
            .set(Timer::FirstNotify(id), now.plus_ms(FIRST_NOTIFY_MS));
        self.send(desk, now, id, expires);
    }

    /// Sends a SUBSCRIBE in a dialog, or the one that makes it.
    pub(super) fn send(&mut self, desk: &mut Desk, now: Moment, id: DialogId, expires: u32) {
        self.send_with(desk, now, id, expires, None);
    }

    /// As [`Self::send`], with one more header.
    pub(super) fn send_with(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        expires: u32,
        header: Option<(String, String)>,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let (cseq, change) = subscription.dialog.next_cseq();
        if let Some(change) = change {
            desk.change(change);
        }
        subscription.refreshed = now;
        subscription.again = false;
        subscription.answered = header.is_some();
        let contact = desk.contact(id, subscription.dialog.texts().flow.as_ref());
        let mut send = subscription.dialog.request("SUBSCRIBE", cseq, contact);
        let accept = match subscription.dialog.package {
            Package::Presence => pidf::MIME,
            Package::Dialog => dialog_info::MIME,
        };
        send.headers.push(("Accept".to_owned(), accept.to_owned()));
        send.headers
            .push(("Expires".to_owned(), expires.to_string()));
        send.headers.extend(header);
        send.own_token = passes_this_proxy(desk, &send.route_set);
        if send.route_set.is_empty() {
            send.next_hop.clone_from(&desk.config.outbound_proxy);
        }
        subscription.dialog.in_flight = Some(desk.send(now, Purpose::Subscribe(id), send));
    }

    /// Refreshes a subscription, now or after the request under way.
    pub(in super::super) fn refresh(&mut self, desk: &mut Desk, now: Moment, id: DialogId) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let idle = subscription.dialog.in_flight.is_none();
        match subscription.phase {
            Phase::Open if idle => {
                let duration = subscription.duration;
                self.send(desk, now, id, duration);
            }
            Phase::Open => subscription.again = true,
            Phase::ToEnd if idle => {
                self.send(desk, now, id, 0);
                self.ended(desk, now, id);
            }
            Phase::Trying | Phase::Poll | Phase::ToEnd | Phase::Ended => {}
        }
    }

    /// A SUBSCRIBE of ours has ended.
    pub(in super::super) fn subscribed(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        result: &RequestResult,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        subscription.dialog.in_flight = None;
        let pair = subscription.dialog.pair.clone();
        if self.answer_challenge(desk, now, id, result) {
            return;
        }
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        match subscription.phase {
            Phase::ToEnd if result.status.is_success() => {
                if let Some(response) = &result.response {
                    establish(&mut subscription.dialog, response);
                }
                subscription.phase = Phase::Open;
                self.close(desk, now, id);
            }
            Phase::ToEnd => {
                self.remove(desk, id);
                self.leave_done(desk, &pair);
            }
            Phase::Poll if result.status.is_success() => {}
            Phase::Poll => self.poll_failed(desk, id, result.status),
            Phase::Ended => {
                // A restart is not to take it up again.
                if let Some(change) = subscription.dialog.remove() {
                    desk.change(change);
                }
                self.leave_done(desk, &pair);
            }
            Phase::Trying | Phase::Open if result.status.is_success() => {
                self.accepted(desk, now, id, result.response.as_ref());
            }
            Phase::Trying | Phase::Open => self.refused(desk, now, id, &pair, result),
        }
    }

    /// A 2xx: the subscription stands for as long as it says.
    fn accepted(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        response: Option<&Response>,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let asked = subscription.duration;
        let granted = response
            .and_then(|r| r.headers.expires().ok().flatten())
            .map_or(asked, |e| e.0)
            .min(asked);
        if let Some(response) = response {
            establish(&mut subscription.dialog, response);
        }
        subscription.phase = Phase::Open;
        subscription.dialog.expires_at = now.plus_secs(u64::from(granted));
        let shown = subscription.available();
        subscription.dialog.rewrite(|record| record.shown = shown);
        let held = subscription.opened.plus_ms(HELD_MS) <= now;
        desk.change(subscription.dialog.put());
        let again = std::mem::take(&mut subscription.again);
        let pair = subscription.dialog.pair.clone();
        schedule(desk, now, id, granted);
        if held && let Some(watcher) = self.watchers.get_mut(&pair) {
            watcher.failures = 0;
        }
        if again {
            self.refresh(desk, now, id);
        }
    }
}

/// A dialog of ours that is to be made by a SUBSCRIBE; `None` if the watcher has no address on SIP.
pub(super) fn new_dialog(
    desk: &mut Desk,
    now: Moment,
    pair: &Pair,
    package: Package,
    expires: u32,
) -> Option<DialogRecord> {
    let watcher_on_sip = desk.config.gwmap.xmpp_user_on_sip(&pair.xmpp).ok()?;
    Some(DialogRecord {
        id: desk.identity.dialog(),
        pair: pair.clone(),
        direction: Direction::ToSip,
        call_id: desk.identity.call_id(),
        local_tag: desk.identity.tag(),
        remote_tag: None,
        event_id: None,
        package,
        local_uri: watcher_on_sip.to_string(),
        remote_uri: pair.sip.to_string(),
        remote_target: pair.sip.to_string(),
        route_set: Vec::new(),
        flow: None,
        cseq_reserved: 0,
        remote_cseq: 0,
        expires_at: now.plus_secs(u64::from(expires)),
        active: false,
        shown: Vec::new(),
    })
}

/// Sets the deadlines of a subscription that has so many seconds left.
pub(super) fn schedule(desk: &mut Desk, now: Moment, id: DialogId, seconds: u32) {
    let life = u64::from(seconds) * 1000;
    let early = desk.identity.between(life / 10, life / 5);
    desk.timers.set(
        Timer::Refresh(id),
        now.plus_ms((life - early).max(MIN_REFRESH_MS)),
    );
    desk.timers
        .set(Timer::SubscriberExpires(id), now.plus_ms(life));
}

/// Fills in what a 2xx tells of the dialog, unless a NOTIFY has told it (RFC 6665 §4.4.1, RFC 3261 §12.1.2).
fn establish(dialog: &mut Dialog, response: &Response) {
    let tag = response
        .headers
        .to()
        .ok()
        .and_then(|to| to.tag().map(str::to_owned));
    let known = dialog.texts().remote_tag;
    if known.is_some() && known != tag.as_deref() {
        // Another fork's answer.
        return;
    }
    dialog.rewrite(|record| {
        if record.remote_tag.is_none() {
            record.remote_tag = tag;
            // A route that cannot be read cannot be taken; without any the peer is tried at its Contact.
            record.route_set = response.headers.record_route().unwrap_or_default();
            record.route_set.reverse();
        }
        if let Ok(Some(contact)) = response.headers.contact() {
            record.remote_target = contact.uri_text;
        }
    });
}

/// Whether a request goes to this Kamailio first, whose script then takes the token off again.
fn passes_this_proxy(desk: &Desk, route_set: &[String]) -> bool {
    let Some(first) = route_set.first() else {
        return true;
    };
    let proxy = desk
        .config
        .outbound_proxy
        .as_deref()
        .and_then(|p| SipUri::parse(p).ok());
    let route = NameAddr::parse(first).ok().map(|r| r.uri);
    match (proxy, route) {
        (Some(proxy), Some(route)) => {
            proxy.host == route.host && proxy.port.unwrap_or(5060) == route.port.unwrap_or(5060)
        }
        (None, _) | (_, None) => false,
    }
}
