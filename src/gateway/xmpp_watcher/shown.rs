// SPDX-License-Identifier: GPL-2.0-or-later
//! What an XMPP watcher is told of a SIP contact (RFC 8048 §5.2.1 Examples 5, 6; §6.3).

use xmpp_parsers::presence::{Presence, Type};

use crate::address::{Jid, Pair};
use crate::mapping::call::on_the_phone;
use crate::mapping::presence::Availability;
use crate::record::Moment;

use super::super::contact_presence::offline;
use super::super::desk::Desk;
use super::super::resources::Resources;
use super::super::timers::Timer;
use super::XmppWatchers;
use super::standing::{Approval, Standing};

/// How long an `unsubscribed` is remembered after it left, so that one lost with its link or its process is
/// said again.
const UNSUBSCRIBED_MS: u64 = 60_000;

/// Available, and nothing more to say.
pub(super) fn online() -> Availability {
    Availability {
        available: true,
        ..offline()
    }
}

/// Whether what was told of a resource showed it as available; what an earlier process told did.
pub(super) fn is_available(told: &Option<Availability>) -> bool {
    told.as_ref().is_none_or(|a| a.available)
}

impl XmppWatchers {
    /// `subscribed`, now or when the link is back.
    pub(super) fn tell_subscribed(&mut self, desk: &mut Desk, pair: &Pair) {
        let sent = desk.presence_of_type(pair, Type::Subscribed);
        if let Some(watcher) = self.watchers.get_mut(pair)
            && let Standing::Granted(grant) = &mut watcher.standing
        {
            grant.approval = if sent {
                Approval::Settled
            } else {
                Approval::Owed
            };
        }
    }

    /// The contact ended the authorisation, or never gave one: every dialog is closed, every shown resource
    /// goes, then `unsubscribed`, now or when the link is back.
    pub(super) fn cancelled(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let watcher = self.watchers.entry(pair.clone()).or_default();
        let standing = match watcher.standing {
            Standing::Stranger | Standing::Leaving => Standing::Stranger,
            Standing::Pending | Standing::Granted(_) | Standing::Cancelled => Standing::Cancelled,
        };
        for id in watcher.dialogs.clone() {
            self.close(desk, now, id);
        }
        desk.timers.stop(&Timer::SubscribeAgain(pair.clone()));
        desk.timers.stop(&Timer::WatchCalls(pair.clone()));
        self.stand(desk, now, pair, standing);
        self.tell_unsubscribed(desk, now, pair);
        self.forget_if_idle(pair);
    }

    /// Says that nothing is shown any more, and `unsubscribed`, if the link is up.
    pub(super) fn tell_unsubscribed(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        self.tell_gone(desk, pair);
        if desk.presence_of_type(pair, Type::Unsubscribed) {
            desk.timers.set(
                Timer::ForgetCancelled(pair.clone()),
                now.plus_ms(UNSUBSCRIBED_MS),
            );
        }
    }

    /// An `unsubscribed` left a while ago: its authorisation is forgotten if the link has stayed up.
    pub(in super::super) fn forget_cancelled(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let cancelled = self.standing(pair) == Standing::Cancelled;
        if cancelled && desk.links.is_sound(&desk.link_of(pair)) {
            self.stand(desk, now, pair, Standing::Stranger);
            self.forget_if_idle(pair);
        }
    }

    /// All that is shown, to one address; `unavailable` if that is nothing (RFC 6121 §4.3.2).
    pub(super) fn tell_all(&self, desk: &mut Desk, pair: &Pair, to: Jid) {
        let Some(watcher) = self.watchers.get(pair) else {
            return;
        };
        let mut any = false;
        for (resource, told) in watcher.shown.iter().filter(|(_, told)| is_available(told)) {
            let presence = told.clone().unwrap_or_else(online).to_presence();
            desk.presence(&pair.sip, resource, to.clone(), presence);
            any = true;
        }
        let informed = matches!(watcher.standing, Standing::Granted(grant) if grant.informed);
        if !any && informed {
            desk.presence(&pair.sip, "", to, Presence::new(Type::Unavailable));
        }
    }

    /// Every resource shown as available goes.
    pub(super) fn tell_gone(&mut self, desk: &mut Desk, pair: &Pair) {
        if !desk.can_reach(pair) {
            return;
        }
        let Some(watcher) = self.watchers.get_mut(pair) else {
            return;
        };
        let shown = std::mem::take(&mut watcher.shown);
        for (resource, _) in shown.iter().filter(|(_, told)| is_available(told)) {
            let unavailable = Presence::new(Type::Unavailable);
            desk.presence(&pair.sip, resource, pair.xmpp.clone().into(), unavailable);
        }
    }

    /// Tells the watcher what differs between the dialogs' documents and what was told before, now or when
    /// the link is back. A resource that no document names any more is unavailable, and so is a contact of
    /// whom nothing can be learned (RFC 8048 §5.2.1).
    pub(super) fn tell_changes(&mut self, desk: &mut Desk, pair: &Pair) {
        let current = self.documents(pair);
        let Some(watcher) = self.watchers.get_mut(pair) else {
            return;
        };
        let Standing::Granted(grant) = &mut watcher.standing else {
            return;
        };
        if !desk.can_reach(pair) {
            grant.stale = true;
            return;
        }
        let mut news: Vec<(String, Availability)> = Vec::new();
        for (resource, told) in watcher.shown.iter() {
            if is_available(told) && !current.contains(resource) {
                news.push((resource.to_owned(), offline()));
                grant.departed = true;
            }
        }
        for (resource, availability) in current.iter() {
            if watcher.shown.get(resource).and_then(Option::as_ref) != Some(availability) {
                news.push((resource.to_owned(), availability.clone()));
            }
        }
        if news.is_empty() && current.is_empty() && !grant.informed {
            news.push((String::new(), offline()));
        }
        grant.informed = true;
        watcher.shown = current.iter().map(|(r, a)| (r, Some(a.clone()))).collect();
        for (resource, availability) in news {
            let presence = availability.to_presence();
            desk.presence(&pair.sip, &resource, pair.xmpp.clone().into(), presence);
        }
    }

    /// All over again what a watcher was told before the link came, and what he could not be told.
    pub(super) fn tell_missed(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let Some(watcher) = self.watchers.get_mut(pair) else {
            return;
        };
        let grant = match &mut watcher.standing {
            Standing::Cancelled => return self.tell_unsubscribed(desk, now, pair),
            Standing::Granted(grant) => grant,
            Standing::Stranger | Standing::Leaving | Standing::Pending => return,
        };
        grant.stale = false;
        let departed = std::mem::take(&mut grant.departed);
        if grant.informed || grant.approval == Approval::Owed {
            // What he has of each resource is unknown, but of those that went before nothing is known here.
            grant.informed = departed;
            watcher.shown.values_mut().for_each(|told| *told = None);
            self.tell_subscribed(desk, pair);
            if departed {
                desk.presence_of_type(pair, Type::Unavailable);
            }
        }
        self.tell_changes(desk, pair);
    }

    /// What the live dialogs of a pair show; a resource that one of them shows as available is.
    fn documents(&self, pair: &Pair) -> Resources<Availability> {
        let in_call = self.is_in_call(pair);
        let mut current = Resources::default();
        for subscription in self
            .live(pair)
            .iter()
            .filter_map(|d| self.subscriptions.get(d))
        {
            for (resource, availability) in subscription.document.iter() {
                if availability.available || !current.contains(resource) {
                    let shown = availability.clone();
                    let shown = if in_call { on_the_phone(shown) } else { shown };
                    current.insert(resource, shown);
                }
            }
        }
        current
    }
}
