// SPDX-License-Identifier: GPL-2.0-or-later
//! SIP watchers of XMPP contacts: we are the notifier (RFC 8048 §5.3, §6.2, §7.2; RFC 6665 §4.2).
//!
//! In: SUBSCRIBEs, results of our NOTIFYs, what the contact's server says. Out: answers, NOTIFYs, and
//! `subscribe`, `probe` and `unavailable` to the contact.

mod admission;
mod contact;
mod notify;
mod subscribe;

use indexmap::IndexMap;
use smallvec::SmallVec;
use xmpp_parsers::presence::Type;

use crate::address::Pair;
use crate::record::{
    AuthorizationRecord, AuthorizationState, DialogId, DialogRecord, Direction, Moment,
};
use crate::sip::TerminationReason;

use super::contact_presence::ContactPresence;
use super::desk::Desk;
use super::dialog::{CallIndex, Dialog};
use super::ledger::Ledger;
use super::timers::Timer;
use super::walks::{LOOKS, ROUND, Walks};

/// Subscriptions that ran out while nothing ran, ended each millisecond after a restart.
const OVERDUE: usize = 2;

/// All SIP watchers.
#[derive(Debug)]
pub(super) struct SipWatchers {
    watches: IndexMap<Pair, Watch>,
    notifiers: IndexMap<DialogId, Notifier>,
    calls: CallIndex,
    walks: Walks,
    ledger: Ledger,
}

/// One SIP user's interest in one XMPP contact, over all his devices.
#[derive(Debug, Default)]
struct Watch {
    authorization: Option<AuthorizationState>,
    dialogs: SmallVec<[DialogId; 2]>,
    presence: ContactPresence,
    /// How often the contact's server could not take the question.
    asked_in_vain: u32,
}

/// One dialog in which we are the notifier.
#[derive(Debug)]
struct Notifier {
    dialog: Dialog,
    phase: Phase,
    /// What the watcher is to be told once nothing stands in its way.
    owed: Owed,
    /// When the last NOTIFY that showed presence left; long ago if none has.
    told: Moment,
}

/// What a watcher is still to be told. A NOTIFY always carries the whole state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owed {
    /// Nothing.
    Nothing,
    /// A change of presence, no sooner than `notify_interval` after the last one (RFC 3856 §6.10).
    Change,
    /// What cannot wait: the answer to a SUBSCRIBE, a new state of the subscription.
    State,
}

/// How far a notifier has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Subscribed.
    Open,
    /// A one-shot SUBSCRIBE that waits for the answer to our probe (RFC 8048 §7.2).
    Fetch,
    /// The last NOTIFY is still to be sent.
    Ending(Ending),
    /// The last NOTIFY is under way.
    Ended,
}

/// How a dialog ends.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ending {
    reason: TerminationReason,
    body: LastBody,
}

/// What the last NOTIFY says of the contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastBody {
    /// Nothing.
    Empty,
    /// The contact as closed (RFC 8048 §5.3.3).
    Closed,
    /// What is known.
    Known,
}

impl SipWatchers {
    /// Nobody watches yet.
    pub(super) fn new() -> Self {
        Self {
            watches: IndexMap::new(),
            notifiers: IndexMap::new(),
            calls: CallIndex::default(),
            walks: Walks::default(),
            ledger: Ledger::new(Direction::ToXmpp),
        }
    }

    /// Takes up a stored authorisation.
    pub(super) fn restore_authorization(&mut self, record: AuthorizationRecord) {
        self.ledger.restored(Some(record.state));
        self.watches.entry(record.pair).or_default().authorization = Some(record.state);
    }

    /// Takes up a stored dialog. One that has lost its authorisation was about to end.
    pub(super) fn restore_dialog(&mut self, desk: &mut Desk, now: Moment, record: &DialogRecord) {
        let authorization = self.watches.get(&record.pair).and_then(|w| w.authorization);
        let expires = match authorization {
            Some(AuthorizationState::Pending | AuthorizationState::Granted) => record.expires_at,
            Some(AuthorizationState::Refused | AuthorizationState::Cancelled) | None => now,
        };
        let soon = u64::try_from(self.notifiers.len() / OVERDUE).unwrap_or(0);
        let expires = if expires > now {
            expires
        } else {
            now.plus_ms(soon)
        };
        desk.timers.set(Timer::NotifierExpires(record.id), expires);
        self.add(desk, Dialog::restored(record), Phase::Open);
    }

    fn add(&mut self, desk: &mut Desk, mut dialog: Dialog, phase: Phase) {
        let id = dialog.id();
        desk.quota.opened(Direction::ToXmpp, &dialog.pair);
        self.calls.insert(&dialog);
        let watch = self.watches.entry(dialog.pair.clone());
        dialog.pair = watch.key().clone();
        watch.or_default().dialogs.push(id);
        self.notifiers.insert(
            id,
            Notifier {
                dialog,
                phase,
                owed: Owed::Nothing,
                told: Moment::default(),
            },
        );
    }

    /// Forgets a dialog; `true` if it was the last one of its pair.
    fn remove(&mut self, desk: &mut Desk, id: DialogId) -> bool {
        let Some(mut notifier) = self.notifiers.swap_remove(&id) else {
            return false;
        };
        for timer in [
            Timer::NotifierExpires(id),
            Timer::NotifyAgain(id),
            Timer::NotifyPaced(id),
            Timer::FetchEnds(id),
        ] {
            desk.timers.stop(&timer);
        }
        desk.quota.closed(Direction::ToXmpp, &notifier.dialog.pair);
        self.calls.remove(&notifier.dialog);
        if let Some(change) = notifier.dialog.remove() {
            desk.change(change);
        }
        let pair = &notifier.dialog.pair;
        let Some(watch) = self.watches.get_mut(pair) else {
            return true;
        };
        watch.dialogs.retain(|d| *d != id);
        let last = watch.dialogs.is_empty();
        if last && watch.authorization.is_none() {
            self.watches.swap_remove(pair);
        }
        last
    }

    /// Sets the authorisation of a pair, durably.
    fn authorize(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        state: Option<AuthorizationState>,
    ) {
        let watch = self.watches.entry(pair.clone()).or_default();
        let before = std::mem::replace(&mut watch.authorization, state);
        self.ledger.moved(desk, now, pair, before, state);
    }

    /// A link came up: its pairs are to be brought up to date.
    pub(super) fn link_came(&mut self, link: &str) {
        self.walks.begin(link, self.watches.len());
    }

    /// A link has been down for so long that what it brought can no longer be shown.
    pub(super) fn link_went(&mut self, link: &str) {
        self.walks.begin(link, self.watches.len());
    }

    /// Whether a link's coming or going still concerns more pairs.
    pub(super) fn goes_on(&self, link: &str) -> bool {
        self.walks.goes_on(link)
    }

    /// Brings the next pairs up to date: undecided contacts are asked again, granted ones with a watcher are
    /// probed.
    pub(super) fn resync(&mut self, desk: &mut Desk, now: Moment, link: &str) {
        let mut asked = 0;
        for _ in 0..LOOKS {
            if asked == ROUND {
                return;
            }
            let Some(place) = self.walks.next(link) else {
                return;
            };
            let Some((pair, watch)) = self.watches.get_index_mut(place) else {
                continue;
            };
            if desk.link_of(&pair.sip) != link {
                continue;
            }
            let question = match watch.authorization {
                Some(AuthorizationState::Pending) => Type::Subscribe,
                Some(AuthorizationState::Granted) if watch.dialogs.is_empty() => {
                    watch.presence.forget();
                    continue;
                }
                Some(AuthorizationState::Granted) => Type::Probe,
                Some(AuthorizationState::Refused | AuthorizationState::Cancelled) | None => {
                    continue;
                }
            };
            if watch.presence.is_known() && question == Type::Probe {
                // What was said while the link was down is lost: only what is said again still holds.
                watch.presence.doubt();
                let wait = u64::from(desk.config.probe_timeout);
                desk.timers
                    .set(Timer::Settle(pair.clone()), now.plus_secs(wait));
            }
            desk.presence_of_type(pair, question);
            asked += 1;
        }
    }

    /// Shows the next watchers that their contacts cannot be reached.
    pub(super) fn show_lost(&mut self, desk: &mut Desk, now: Moment, link: &str) {
        let mut shown = 0;
        for _ in 0..LOOKS {
            if shown == ROUND {
                return;
            }
            let Some(place) = self.walks.next(link) else {
                return;
            };
            let Some((pair, watch)) = self.watches.get_index_mut(place) else {
                continue;
            };
            if watch.presence.is_known() && desk.link_of(&pair.sip) == link {
                watch.presence.all_unavailable();
                let pair = pair.clone();
                self.notify_pair(desk, now, &pair, Owed::Change);
                shown += 1;
            }
        }
    }

    /// A probe has been answered as far as it will be: what was not said again is gone.
    pub(super) fn settle(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        if let Some(watch) = self.watches.get_mut(pair)
            && desk.link_is_up(&desk.link_of(&pair.sip))
            && watch.presence.settle()
        {
            self.notify_pair(desk, now, pair, Owed::Change);
        }
    }

    /// Authorisations by state, for `stox.status`.
    pub(super) fn authorizations(&self) -> [(&'static str, u64); 4] {
        self.ledger.by_state()
    }

    /// Pairs of which anything is remembered.
    pub(super) fn pairs(&self) -> usize {
        self.watches.len()
    }

    /// Number of dialogs.
    pub(super) fn len(&self) -> usize {
        self.notifiers.len()
    }

    /// Every dialog with its state in a word.
    pub(super) fn dialogs(&self) -> impl Iterator<Item = (&Dialog, &'static str)> {
        self.notifiers.values().map(|n| {
            let word = match n.phase {
                Phase::Open if n.dialog.active => "active",
                Phase::Open => "pending",
                Phase::Fetch => "fetch",
                Phase::Ending(_) | Phase::Ended => "ending",
            };
            (&n.dialog, word)
        })
    }
}
