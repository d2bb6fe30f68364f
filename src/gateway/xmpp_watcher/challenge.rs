// SPDX-License-Identifier: GPL-2.0-or-later
//! Challenges to our SUBSCRIBEs (RFC 3261 §22.2): each is sent once more with the credential, within the same
//! dialog and with the next CSeq.

use crate::record::{DialogId, Moment};

use super::super::desk::Desk;
use super::super::{RequestResult, credential};
use super::{Phase, XmppWatchers};

impl XmppWatchers {
    /// Answers a 401 or 407; `false` if it is none, if that cannot be done, or was not enough.
    pub(super) fn answer_challenge(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        result: &RequestResult,
    ) -> bool {
        let Some(subscription) = self.subscriptions.get(&id) else {
            return false;
        };
        let expires = match subscription.phase {
            Phase::Trying | Phase::Open => subscription.duration,
            Phase::Poll | Phase::Ended => 0,
            // Nothing has come about that would have to be ended.
            Phase::ToEnd => return false,
        };
        if subscription.answered {
            return false;
        }
        let target = subscription.dialog.texts().remote_target;
        let Some(proof) = credential::answer(desk, result, "SUBSCRIBE", target) else {
            return false;
        };
        self.send_with(desk, now, id, expires, Some(proof));
        true
    }
}
