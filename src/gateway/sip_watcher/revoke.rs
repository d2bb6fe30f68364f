// SPDX-License-Identifier: GPL-2.0-or-later
//! What an operator sees of SIP watchers' authorisations, and ends (RFC 6665 §4.1.3, RFC 6121 §3.3).
//!
//! The contact's server is told `unsubscribe`, or else it would approve the next question by itself. Until that
//! is done, a watcher who comes again is put off.

use xmpp_parsers::presence::Type;

use crate::address::Pair;
use crate::record::{AuthorizationState, Direction, Moment};
use crate::sip::TerminationReason;

use super::super::desk::Desk;
use super::super::timers::Timer;
use super::super::view::AuthorizationView;
use super::{SipWatchers, Watch};

/// How long an `unsubscribe` that is not answered is remembered after it left, so that one lost with its link or
/// its process is said again.
const UNSUBSCRIBE_MS: u64 = 60_000;

impl SipWatchers {
    /// Ends an authorisation, or the question for one. What the contact has refused is forgotten, so that he
    /// may be asked anew.
    pub(in super::super) fn revoke(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        match self.watches.get(pair).and_then(|w| w.authorization) {
            Some(AuthorizationState::Pending | AuthorizationState::Granted) => {
                let cancelled = Some(AuthorizationState::Cancelled);
                self.authorize(desk, now, pair, cancelled);
                self.end_pair(desk, now, pair, TerminationReason::Rejected);
                self.withdraw(desk, now, pair);
            }
            Some(AuthorizationState::Refused) => {
                self.forget(desk, now, pair, TerminationReason::Rejected);
            }
            Some(AuthorizationState::Cancelled) | None => {}
        }
    }

    /// Says `unsubscribe`; `false` if the link is down.
    pub(super) fn withdraw(&self, desk: &mut Desk, now: Moment, pair: &Pair) -> bool {
        let said = desk.presence_of_type(pair, Type::Unsubscribe);
        if said {
            desk.timers.set(
                Timer::ForgetRevoked(pair.clone()),
                now.plus_ms(UNSUBSCRIBE_MS),
            );
        }
        said
    }

    /// The contact's server has answered the `unsubscribe`.
    pub(super) fn withdrawn(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        desk.timers.stop(&Timer::ForgetRevoked(pair.clone()));
        self.forget(desk, now, pair, TerminationReason::Rejected);
    }

    /// An `unsubscribe` left a while ago: what it ended is forgotten if the link has stayed up.
    pub(in super::super) fn forget_revoked(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let cancelled = Some(AuthorizationState::Cancelled);
        if self.watches.get(pair).and_then(|w| w.authorization) == cancelled
            && desk.links.is_sound(&desk.link_of(pair))
        {
            self.withdrawn(desk, now, pair);
        }
    }

    /// The authorisation of a pair.
    pub(in super::super) fn authorization(
        &self,
        now: Moment,
        pair: &Pair,
    ) -> Option<AuthorizationView> {
        self.watches.get(pair)?.authorized(now, pair)
    }

    /// Every authorisation, of those pairs.
    pub(in super::super) fn authorized(
        &self,
        now: Moment,
        of: impl Fn(&Pair) -> bool,
    ) -> impl Iterator<Item = AuthorizationView> {
        self.watches
            .iter()
            .filter(move |(pair, _)| of(pair))
            .filter_map(move |(pair, watch)| watch.authorized(now, pair))
    }
}

impl Watch {
    fn authorized(&self, now: Moment, pair: &Pair) -> Option<AuthorizationView> {
        Some(AuthorizationView {
            direction: Direction::ToXmpp,
            sip: pair.sip.to_string(),
            xmpp: pair.xmpp.to_string(),
            state: self.authorization?,
            since: now.secs_since(self.since),
            dialogs: self.dialogs.len(),
        })
    }
}
