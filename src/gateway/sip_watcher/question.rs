// SPDX-License-Identifier: GPL-2.0-or-later
//! The question whether a SIP user may watch: asked once for all his devices, again only when it may have
//! been lost, and not for ever (RFC 6121 §3.1.2, RFC 6665 §4.1.3).

use xmpp_parsers::presence::Type;
use xmpp_parsers::stanza_error::StanzaError;

use crate::address::Pair;
use crate::record::{AuthorizationState, Moment};
use crate::sip::TerminationReason;

use super::super::backoff::backoff_ms;
use super::super::desk::Desk;
use super::super::inquiry::Inquiry;
use super::super::timers::Timer;
use super::verdict::Verdict;
use super::{SipWatchers, Watch};

/// However often a link comes and goes, an undecided contact is asked no sooner than so long after the last time.
const ASKED_APART_MS: u64 = 60_000;

/// The least that a watcher is told to wait after a contact has not answered, in seconds.
const GAVE_UP: u64 = 3600;

/// The least that he is told to wait while an authorisation is being ended, in seconds.
const PROBATION: u64 = 60;

impl SipWatchers {
    /// Asks the contact of a pair that is undecided.
    pub(super) fn ask(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) -> bool {
        desk.timers.stop(&Timer::AskAgain(pair.clone()));
        let asked = desk.presence_of_type(pair, Type::Subscribe);
        if let Some(watch) = self.watches.get_mut(pair).filter(|_| asked) {
            watch.asked = now;
        }
        asked
    }

    /// Asks the contact of a pair that has just become undecided: after a probe that is waited for, or what he
    /// decides would be taken for its answer.
    pub(super) fn ask_first(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        if self.is_fetched(pair) {
            let wait = u64::from(desk.config.probe_timeout);
            desk.timers
                .set(Timer::AskAgain(pair.clone()), now.plus_secs(wait));
        } else {
            self.ask(desk, now, pair);
        }
    }

    /// Asks an undecided contact again over a link that was down, as the question may be lost; `false` if that
    /// is to wait.
    pub(super) fn ask_over_new_link(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) -> bool {
        let Some(watch) = self.watches.get_mut(pair) else {
            return false;
        };
        let again = watch.asked.plus_ms(ASKED_APART_MS);
        let first = watch.repeated == 0;
        watch.repeated = watch.repeated.saturating_add(1);
        if first || again <= now {
            return self.ask(desk, now, pair);
        }
        desk.timers.set(Timer::AskAgain(pair.clone()), again);
        false
    }

    /// The pause is over after a `subscribe` or a `probe` that came to nothing. If the link is down, all is asked
    /// again anyway once it is back.
    pub(in super::super) fn ask_again(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let Some(watch) = self.watches.get(pair) else {
            return;
        };
        match watch.authorization {
            Some(AuthorizationState::Pending) => {
                self.ask(desk, now, pair);
            }
            Some(AuthorizationState::Granted) if !watch.dialogs.is_empty() => {
                desk.presence_of_type(pair, Type::Probe);
            }
            Some(
                AuthorizationState::Granted
                | AuthorizationState::Refused
                | AuthorizationState::Cancelled,
            )
            | None => {}
        }
    }

    /// Our `subscribe` or `probe` came back with an error.
    ///
    /// | it says | `subscribe`, undecided | `probe`, approved |
    /// |---|---|---|
    /// | later | asked again by back-off | probed again by back-off if watched |
    /// | refused | `rejected`, forgotten | `rejected`, forgotten |
    /// | gone | `noresource`, forgotten | `noresource`, forgotten |
    /// | unfit | `noresource`, forgotten | no change |
    ///
    /// Forgotten is not refused: it was not the contact who said so, and who comes again asks again. In any
    /// other state the question has been decided, and only who waits for the answer to a probe is told.
    pub(in super::super) fn failed(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        id: Option<&str>,
        error: &StanzaError,
    ) {
        let of_probe = match Inquiry::of(id) {
            Some(Inquiry::Subscribe) => false,
            Some(Inquiry::Probe) => true,
            Some(Inquiry::Watcher | Inquiry::Taken) | None => return,
        };
        let Some(watch) = self.watches.get(pair) else {
            return;
        };
        let verdict = Verdict::of(error);
        let reason = match verdict {
            Verdict::Later => None,
            Verdict::Unfit if of_probe => None,
            Verdict::Refused => Some(TerminationReason::Rejected),
            Verdict::Gone | Verdict::Unfit => Some(TerminationReason::Noresource),
        };
        match (of_probe, watch.authorization) {
            (false, Some(AuthorizationState::Pending))
            | (true, Some(AuthorizationState::Granted)) => match reason {
                Some(reason) => self.forget(desk, now, pair, reason),
                None => {
                    if verdict == Verdict::Later {
                        self.try_later(desk, now, pair);
                    }
                    self.end_fetches(desk, now, pair, TerminationReason::Timeout);
                }
            },
            (true, _) => {
                let reason = reason.unwrap_or(TerminationReason::Timeout);
                self.end_fetches(desk, now, pair, reason);
            }
            (false, _) => {}
        }
    }

    fn try_later(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        if let Some(watch) = self.watches.get_mut(pair) {
            watch.asked = Moment::default();
            let wait = backoff_ms(&mut desk.identity, watch.repeated);
            watch.repeated = watch.repeated.saturating_add(1);
            desk.timers
                .set(Timer::AskAgain(pair.clone()), now.plus_ms(wait));
        }
    }

    /// The authorisation of a pair is over, and nothing of it is remembered.
    pub(super) fn forget(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        reason: TerminationReason,
    ) {
        self.authorize(desk, now, pair, None);
        self.end_pair(desk, now, pair, reason);
    }

    /// A contact has not answered for `pending_max`. Who comes again is asked for again, so each contact is asked
    /// once in that time; what he may say meanwhile comes with the answer to the next question (RFC 6121 §3.1.3).
    pub(in super::super) fn give_up(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let pending = Some(AuthorizationState::Pending);
        if self.watches.get(pair).and_then(|w| w.authorization) == pending {
            self.forget(desk, now, pair, TerminationReason::Giveup);
        }
    }
}

impl Watch {
    /// Sets the deadlines that go with the authorisation, none of them sooner than that.
    pub(super) fn schedule(&self, desk: &mut Desk, pair: &Pair, soonest: Moment) {
        let give_up = Timer::GiveUp(pair.clone());
        if self.authorization == Some(AuthorizationState::Pending) {
            let end = self.since.plus_secs(u64::from(desk.config.pending_max));
            desk.timers.set(give_up, end.max(soonest));
        } else {
            desk.timers.stop(&give_up);
            desk.timers.stop(&Timer::AskAgain(pair.clone()));
        }
    }
}

/// How long a watcher is told to wait, if he is, before he subscribes anew, in seconds.
pub(super) fn come_back(desk: &mut Desk, reason: &TerminationReason) -> Option<u32> {
    let least = match reason {
        TerminationReason::Giveup => GAVE_UP,
        TerminationReason::Probation => PROBATION,
        TerminationReason::Deactivated
        | TerminationReason::Rejected
        | TerminationReason::Timeout
        | TerminationReason::Noresource
        | TerminationReason::Invariant
        | TerminationReason::Other(_) => return None,
    };
    // Spread, so that they do not come back all at once.
    u32::try_from(desk.identity.between(least, 2 * least)).ok()
}
