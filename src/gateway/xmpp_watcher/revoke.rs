// SPDX-License-Identifier: GPL-2.0-or-later
//! What an operator sees of XMPP watchers' authorisations, and ends (RFC 8048 §5.2.2).

use crate::address::Pair;
use crate::record::{Direction, Moment};

use super::super::desk::Desk;
use super::super::view::AuthorizationView;
use super::standing::Standing;
use super::{Watcher, XmppWatchers, shown};

impl XmppWatchers {
    /// Ends an authorisation, or the question for one, as if the contact had.
    pub(in super::super) fn revoke(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        match self.standing(pair) {
            Standing::Pending | Standing::Granted(_) => self.cancelled(desk, now, pair),
            Standing::Stranger | Standing::Leaving | Standing::Cancelled => {}
        }
    }

    /// The authorisation of a pair.
    pub(in super::super) fn authorization(
        &self,
        now: Moment,
        pair: &Pair,
    ) -> Option<AuthorizationView> {
        self.watchers.get(pair)?.authorized(now, pair)
    }

    /// Every authorisation, of those pairs.
    pub(in super::super) fn authorized(
        &self,
        now: Moment,
        of: impl Fn(&Pair) -> bool,
    ) -> impl Iterator<Item = AuthorizationView> {
        self.watchers
            .iter()
            .filter(move |(pair, _)| of(pair))
            .filter_map(move |(pair, watcher)| watcher.authorized(now, pair))
    }

    /// Whether the XMPP user of a pair is shown a resource of the SIP user as available.
    pub(in super::super) fn shows_resource(&self, pair: &Pair, resource: &str) -> bool {
        self.watchers
            .get(pair)
            .and_then(|w| w.shown.get(resource))
            .is_some_and(shown::is_available)
    }
}

impl Watcher {
    fn authorized(&self, now: Moment, pair: &Pair) -> Option<AuthorizationView> {
        Some(AuthorizationView {
            direction: Direction::ToSip,
            sip: pair.sip.to_string(),
            xmpp: pair.xmpp.to_string(),
            state: self.standing.authorization()?,
            since: now.secs_since(self.since),
            dialogs: self.dialogs.len(),
        })
    }
}
