// SPDX-License-Identifier: GPL-2.0-or-later
//! SIP watchers of XMPP contacts: we are the notifier (RFC 8048 §5.3, §6.2, §7.2; RFC 6665 §4.2).
//!
//! In: SUBSCRIBEs, results of our NOTIFYs, what the contact's server says. Out: answers, NOTIFYs, and
//! `subscribe`, `probe` and `unavailable` to the contact.

mod admission;
mod apart;
mod contact;
mod notify;
mod question;
mod revoke;
mod subscribe;
mod verdict;

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
use super::walks::{LOOKS, News, ROUND, Walks};
use apart::Apart;

/// Subscriptions and questions that ran out while nothing ran, ended each millisecond after a restart.
const OVERDUE: usize = 2;

/// All SIP watchers.
#[derive(Debug)]
pub(super) struct SipWatchers {
    watches: IndexMap<Pair, Watch>,
    notifiers: IndexMap<DialogId, Notifier>,
    calls: CallIndex,
    apart: Apart,
    /// Who is still to be told that a link came or went.
    pub(super) walks: Walks,
    ledger: Ledger,
}

/// One SIP user's interest in one XMPP contact, over all his devices.
#[derive(Debug, Default)]
struct Watch {
    authorization: Option<AuthorizationState>,
    /// When the authorisation came to its state.
    since: Moment,
    dialogs: SmallVec<[DialogId; 2]>,
    presence: ContactPresence,
    /// When the contact was last asked; long ago if that was in vain, or in an earlier process.
    asked: Moment,
    /// How often the contact was asked or probed again since he was last heard of.
    repeated: u32,
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
    /// The next NOTIFY answers a challenge.
    proof: Option<Box<(String, String)>>,
    /// The last one did.
    proven: bool,
}

/// What a watcher is still to be told. A NOTIFY always carries the whole state, but for a change that is told apart.
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
            apart: Apart::default(),
            walks: Walks::default(),
            ledger: Ledger::new(Direction::ToXmpp),
        }
    }

    /// Takes up a stored authorisation.
    pub(super) fn restore_authorization(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        record: AuthorizationRecord,
    ) {
        self.ledger.restored(Some(record.state));
        let soon = overdue(now, self.watches.len());
        let watch = self.watches.entry(record.pair.clone()).or_default();
        watch.authorization = Some(record.state);
        watch.since = record.since;
        watch.schedule(desk, &record.pair, soon);
    }

    /// Takes up a stored dialog. One that has lost its authorisation was about to end.
    pub(super) fn restore_dialog(&mut self, desk: &mut Desk, now: Moment, record: &DialogRecord) {
        let authorization = self.watches.get(&record.pair).and_then(|w| w.authorization);
        let expires = match authorization {
            Some(AuthorizationState::Pending | AuthorizationState::Granted) => record.expires_at,
            Some(AuthorizationState::Refused | AuthorizationState::Cancelled) | None => now,
        };
        let expires = if expires > now {
            expires
        } else {
            overdue(now, self.notifiers.len())
        };
        desk.timers.set(Timer::NotifierExpires(record.id), expires);
        let turn = overdue(now, self.notifiers.len());
        self.add(desk, Dialog::restored(record), Phase::Open);
        if authorization == Some(AuthorizationState::Pending)
            && let Some(notifier) = self.notifiers.get_mut(&record.id)
        {
            // The first NOTIFY may not have left; of one who is approved a probe brings news.
            notifier.owed = Owed::State;
            desk.timers.set(Timer::NotifyPaced(record.id), turn);
        }
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
                proof: None,
                proven: false,
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
        self.apart.forget(id);
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
        watch.since = now;
        watch.repeated = 0;
        watch.schedule(desk, pair, now);
        self.ledger.moved(desk, now, pair, before, state);
    }

    /// Tells the next pairs that their link came or went; how many places that took.
    pub(super) fn round(&mut self, desk: &mut Desk, now: Moment) -> usize {
        let mut told = 0;
        for looked in 0..LOOKS {
            if told == ROUND {
                return looked;
            }
            let Some(place) = self.walks.next(self.watches.len()) else {
                return looked;
            };
            let Some((pair, _)) = self.watches.get_index(place) else {
                continue;
            };
            let link = desk.link_of(pair);
            let Some(news) = self.walks.news(&link) else {
                continue;
            };
            let pair = pair.clone();
            let said = match news {
                News::Came | News::Tried => {
                    desk.links.is_up(&link) && self.bring_up_to_date(desk, now, &pair, news)
                }
                News::Lost => self.show_lost(desk, now, &pair),
            };
            told += usize::from(said);
            if said && news == News::Tried {
                self.walks.told(&link);
            }
        }
        LOOKS
    }

    /// An undecided contact is asked again, one who has approved is probed if he is watched; `false` if there
    /// is nothing to ask.
    fn bring_up_to_date(&mut self, desk: &mut Desk, now: Moment, pair: &Pair, news: News) -> bool {
        let Some(watch) = self.watches.get_mut(pair) else {
            return false;
        };
        match watch.authorization {
            Some(AuthorizationState::Pending) => return self.ask_over_new_link(desk, now, pair),
            Some(AuthorizationState::Cancelled) => return self.withdraw(desk, now, pair),
            Some(AuthorizationState::Granted) if watch.dialogs.is_empty() => {
                watch.presence.forget();
                return false;
            }
            Some(AuthorizationState::Granted) => {}
            Some(AuthorizationState::Refused) | None => return false,
        }
        desk.timers.stop(&Timer::AskAgain(pair.clone()));
        if watch.presence.is_known() && news == News::Came {
            // What was said while the link was down is lost: only what is said again still holds.
            watch.presence.doubt();
            let wait = u64::from(desk.config.probe_timeout);
            desk.timers
                .set(Timer::Settle(pair.clone()), now.plus_secs(wait));
        }
        desk.presence_of_type(pair, Type::Probe)
    }

    /// Shows the watchers of a contact that he cannot be reached; `false` if nothing of him is shown.
    fn show_lost(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) -> bool {
        match self.watches.get_mut(pair) {
            Some(watch) if watch.presence.is_known() => {
                watch.presence.all_unavailable();
                self.notify_pair(desk, now, pair, Owed::Change);
                true
            }
            Some(_) | None => false,
        }
    }

    /// A probe has been answered as far as it will be: what was not said again is gone.
    pub(super) fn settle(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        if let Some(watch) = self.watches.get_mut(pair)
            && desk.can_reach(pair)
            && watch.presence.settle()
        {
            self.notify_pair(desk, now, pair, Owed::Change);
        }
    }

    /// Whether what a contact's server says to a probe would be taken for his own word.
    pub(super) fn listens_to(&self, pair: &Pair) -> bool {
        let authorization = self.watches.get(pair).and_then(|w| w.authorization);
        matches!(
            authorization,
            Some(AuthorizationState::Pending | AuthorizationState::Granted)
        )
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

/// When what ran out while nothing ran, and is one of so many, is ended after a restart.
fn overdue(now: Moment, before: usize) -> Moment {
    now.plus_ms(u64::try_from(before / OVERDUE).unwrap_or(0))
}
