// SPDX-License-Identifier: GPL-2.0-or-later
//! XMPP watchers of SIP contacts: we are the subscriber (RFC 8048 §5.2, §6.3, §7.1; RFC 6665 §4.1).
//!
//! In: `subscribe`, `unsubscribe` and `probe`, results of our SUBSCRIBEs, NOTIFYs. Out: SUBSCRIBEs, answers,
//! and presence to the watcher.

mod call;
mod challenge;
mod ending;
mod failure;
mod notify;
mod poll;
mod refresh;
mod refusals;
mod restore;
mod retry;
mod revoke;
mod shown;
mod standing;
mod stanza;
mod subscribe;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use smallvec::SmallVec;

use crate::address::{Jid, Pair};
use crate::body::dialog_info::Calls;
use crate::mapping::presence::Availability;
use crate::record::{DialogId, Direction, Moment};

use crate::sip::Package;

use super::desk::Desk;
use super::dialog::{CallIndex, Dialog};
use super::ledger::Ledger;
use super::resources::Resources;
use super::timers::Timer;
use super::walks::{LOOKS, News, ROUND, Walks};
use refusals::Refusals;
use standing::Standing;
use waiting::Waiting;

/// Stanzas that tell a watcher what he may have missed: mostly `subscribed` and presence of one resource.
const MISSED: usize = 2;

/// All XMPP watchers.
#[derive(Debug)]
pub(super) struct XmppWatchers {
    watchers: IndexMap<Pair, Watcher>,
    subscriptions: IndexMap<DialogId, Subscription>,
    calls: CallIndex,
    ledger: Ledger,
    refusals: Refusals,
    waiting: Waiting,
    /// Pairs whose SUBSCRIBE was withheld while their link was down.
    withheld: BTreeSet<Pair>,
    /// Who is to be told what a poll finds.
    polls: BTreeMap<DialogId, Jid>,
    /// Who is still to be told that a link came.
    pub(super) walks: Walks,
    /// Subscriptions that ran out before a restart: when, and of whom.
    missed: Vec<(Moment, Pair)>,
}

/// One XMPP user's interest in one SIP contact.
#[derive(Debug, Default)]
struct Watcher {
    standing: Standing,
    /// When the authorisation came to its state.
    since: Moment,
    dialogs: SmallVec<[DialogId; 2]>,
    /// What the watcher was last told, by resource; `None`: by an earlier process, so in words unknown.
    shown: Resources<Option<Availability>>,
    /// Attempts in a row that led to no subscription.
    failures: u32,
    /// When he was last heard of, to an eighth of `watcher_idle`, or a day without it.
    heard: Moment,
}

/// One dialog in which we are the subscriber.
#[derive(Debug)]
struct Subscription {
    dialog: Dialog,
    phase: Phase,
    /// What the contact's last document showed, by resource.
    document: Resources<Availability>,
    /// His calls, if it is about these.
    calls: Option<Box<Calls>>,
    /// When the first SUBSCRIBE left; long ago for a dialog from the store.
    opened: Moment,
    /// When the last SUBSCRIBE left.
    refreshed: Moment,
    /// The Expires of our SUBSCRIBEs.
    duration: u32,
    /// A refresh was asked for while a SUBSCRIBE was under way.
    again: bool,
    /// The watcher was probed for the refresh that comes next, or it needs no probe.
    probed: bool,
    /// The last SUBSCRIBE answered a challenge.
    answered: bool,
}

impl Subscription {
    /// The resources that the contact's last document showed as available.
    fn available(&self) -> Vec<String> {
        self.document
            .iter()
            .filter(|(_, a)| a.available)
            .map(|(resource, _)| resource.to_owned())
            .collect()
    }
}

/// How far a subscription has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// SUBSCRIBE sent; neither its 2xx nor a NOTIFY has come.
    Trying,
    /// Expires 0 sent, to be answered once.
    Poll,
    /// The dialog exists.
    Open,
    /// Expires 0 is to be sent once the request under way has its result.
    ToEnd,
    /// Expires 0 sent, or ended by the notifier; a last NOTIFY may still come.
    Ended,
}

impl XmppWatchers {
    /// Nobody watches yet.
    pub(super) fn new() -> Self {
        Self {
            watchers: IndexMap::new(),
            subscriptions: IndexMap::new(),
            calls: CallIndex::default(),
            ledger: Ledger::new(Direction::ToSip),
            refusals: Refusals::default(),
            waiting: Waiting::default(),
            withheld: BTreeSet::new(),
            polls: BTreeMap::new(),
            walks: Walks::default(),
            missed: Vec::new(),
        }
    }

    fn add(
        &mut self,
        desk: &mut Desk,
        mut dialog: Dialog,
        phase: Phase,
        document: Resources<Availability>,
        now: Moment,
        duration: u32,
    ) {
        let id = dialog.id();
        desk.quota.opened(Direction::ToSip, &dialog.pair);
        self.calls.insert(&dialog);
        let watcher = self.watchers.entry(dialog.pair.clone());
        dialog.pair = watcher.key().clone();
        watcher.or_default().dialogs.push(id);
        let subscription = Subscription {
            dialog,
            phase,
            document,
            calls: None,
            opened: now,
            refreshed: now,
            duration,
            again: false,
            probed: false,
            answered: false,
        };
        self.subscriptions.insert(id, subscription);
    }

    /// Forgets a dialog.
    fn remove(&mut self, desk: &mut Desk, id: DialogId) {
        let Some(mut subscription) = self.subscriptions.swap_remove(&id) else {
            return;
        };
        self.polls.remove(&id);
        for timer in [
            Timer::Refresh(id),
            Timer::SubscriberExpires(id),
            Timer::FirstNotify(id),
            Timer::Linger(id),
        ] {
            desk.timers.stop(&timer);
        }
        if let Some(change) = subscription.dialog.remove() {
            desk.change(change);
        }
        let dialog = &subscription.dialog;
        if let Some(request) = dialog.in_flight
            && dialog.package == Package::Presence
            && matches!(subscription.phase, Phase::Trying | Phase::Open)
        {
            desk.outlives(request, &dialog.pair);
        }
        desk.quota.closed(Direction::ToSip, &dialog.pair);
        self.calls.remove(dialog);
        if let Some(watcher) = self.watchers.get_mut(&dialog.pair) {
            watcher.dialogs.retain(|d| *d != id);
        }
        self.forget_if_idle(&dialog.pair);
    }

    /// Drops a watcher of whom nothing is left to remember.
    fn forget_if_idle(&mut self, pair: &Pair) {
        let idle = self
            .watchers
            .get(pair)
            .is_some_and(|w| w.standing == Standing::Stranger && w.dialogs.is_empty());
        if idle {
            self.waiting.remove(pair);
            self.withheld.remove(pair);
            self.watchers.swap_remove(pair);
        }
    }

    /// The dialogs of a pair about presence that are not about to end.
    fn live(&self, pair: &Pair) -> SmallVec<[DialogId; 2]> {
        self.live_of(pair, Package::Presence)
    }

    /// As [`Self::live`], of any package.
    fn live_of(&self, pair: &Pair, package: Package) -> SmallVec<[DialogId; 2]> {
        let Some(watcher) = self.watchers.get(pair) else {
            return SmallVec::new();
        };
        let mut live = watcher.dialogs.clone();
        live.retain(|id| {
            self.subscriptions.get(id).is_some_and(|s| {
                s.dialog.package == package && matches!(s.phase, Phase::Trying | Phase::Open)
            })
        });
        live
    }

    /// Where the watcher of a pair stands.
    fn standing(&self, pair: &Pair) -> Standing {
        self.watchers
            .get(pair)
            .map_or(Standing::Stranger, |w| w.standing)
    }

    /// Moves a watcher to another standing; what that does to the authorisation is durable.
    fn stand(&mut self, desk: &mut Desk, now: Moment, pair: &Pair, standing: Standing) {
        let watcher = self.watchers.entry(pair.clone()).or_default();
        let before = std::mem::replace(&mut watcher.standing, standing).authorization();
        let after = standing.authorization();
        if before != after {
            watcher.heard = now;
            watcher.since = now;
            self.ledger.moved(desk, now, pair, before, after);
        }
    }

    /// Whether the XMPP user of a pair is shown the SIP user as available.
    pub(super) fn shows(&self, pair: &Pair) -> bool {
        self.watchers
            .get(pair)
            .is_some_and(|w| w.shown.values().any(shown::is_available))
    }

    /// Tells the next watchers, now that their link came, what they may have missed; how many places that
    /// took.
    pub(super) fn round(&mut self, desk: &mut Desk, now: Moment) -> usize {
        let mut told = 0;
        for looked in 0..LOOKS {
            if told >= ROUND {
                return looked;
            }
            let Some(place) = self.walks.next(self.watchers.len()) else {
                return looked;
            };
            let Some((pair, watcher)) = self.watchers.get_index(place) else {
                continue;
            };
            if !watcher.standing.may_have_missed() && !self.withheld.contains(pair) {
                continue;
            }
            let link = desk.link_of(pair);
            let Some(news) = self.walks.news(&link) else {
                continue;
            };
            if desk.links.is_up(&link) {
                let pair = pair.clone();
                told += MISSED;
                self.tell_missed(desk, now, &pair);
                self.ask_withheld(desk, now, &pair);
                if news == News::Tried {
                    self.walks.told(&link);
                }
            }
        }
        LOOKS
    }

    /// Authorisations by state, for `stox.status`.
    pub(super) fn authorizations(&self) -> [(&'static str, u64); 4] {
        self.ledger.by_state()
    }

    /// Pairs of which anything is remembered.
    pub(super) fn pairs(&self) -> usize {
        self.watchers.len()
    }

    /// Number of dialogs.
    pub(super) fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// Every dialog with its state in a word.
    pub(super) fn dialogs(&self) -> impl Iterator<Item = (&Dialog, &'static str)> {
        self.subscriptions.values().map(|s| {
            let word = match s.phase {
                Phase::Trying => "trying",
                Phase::Poll => "fetch",
                Phase::Open if s.dialog.active => "active",
                Phase::Open => "pending",
                Phase::ToEnd | Phase::Ended => "ending",
            };
            (&s.dialog, word)
        })
    }
}
