// SPDX-License-Identifier: GPL-2.0-or-later
//! What SIP users' agents have said that they do not take: it is not tried on them again for a while.

use indexmap::IndexMap;

use crate::address::Aor;
use crate::record::Moment;
use crate::sip::Status;

/// A day: user agents are replaced.
const REMEMBERED_MS: u64 = 24 * 3600 * 1000;

/// Of so many users something is remembered.
const MOST: usize = 10_000;

/// What may be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// message/cpim.
    Envelope,
    /// application/im-iscomposing+xml.
    Composing,
}

/// What is known not to be taken, and until when that is believed.
#[derive(Debug, Default)]
pub(super) struct Accepts(IndexMap<(Aor, Kind), Moment>);

impl Accepts {
    /// Whether something may be sent to a user.
    pub(super) fn takes(&self, now: Moment, user: &Aor, kind: Kind) -> bool {
        self.0
            .get(&(user.clone(), kind))
            .is_none_or(|until| *until <= now)
    }

    /// A user's agent has refused something.
    pub(super) fn refused(&mut self, now: Moment, user: &Aor, kind: Kind) {
        self.0.shift_remove(&(user.clone(), kind));
        if self.0.len() >= MOST {
            self.0.shift_remove_index(0);
        }
        let until = now.plus_ms(REMEMBERED_MS);
        self.0.insert((user.clone(), kind), until);
    }
}

/// Whether an answer says that the body is of no use to the user's agent (RFC 3428 §7, RFC 3261 §21.4.13): liblinphone
/// answers 488 to an envelope that it does not like.
pub(super) fn is_of_no_use(status: Status) -> bool {
    matches!(status.0, 406 | 415 | 488 | 606)
}
