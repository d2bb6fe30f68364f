// SPDX-License-Identifier: GPL-2.0-or-later
//! Challenges of servers beyond this Kamailio (RFC 3261 §22.2): each SUBSCRIBE is sent once more with the
//! `credential` for the realm, within the same dialog and with the next CSeq.

use crate::record::{DialogId, Moment};
use crate::sip::{Challenge, Headers, Login};

use super::super::RequestResult;
use super::super::desk::Desk;
use super::{Phase, XmppWatchers};

impl XmppWatchers {
    /// Answers a 401 or 407; `false` if that cannot be done, or was not enough.
    pub(super) fn answer_challenge(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        result: &RequestResult,
    ) -> bool {
        let (Some(subscription), Some(response)) = (self.subscriptions.get(&id), &result.response)
        else {
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
        let target = subscription.dialog.texts().remote_target.to_owned();
        let (asked, answer) = if result.status.0 == 401 {
            ("WWW-Authenticate", "Authorization")
        } else {
            ("Proxy-Authenticate", "Proxy-Authorization")
        };
        let Some(value) = credentials(desk, &response.headers, asked, &target) else {
            return false;
        };
        let header = (answer.to_owned(), value);
        self.send_with(desk, now, id, expires, Some(header));
        true
    }
}

/// The answer to the first challenge that there is a credential for.
fn credentials(desk: &mut Desk, headers: &Headers, asked: &str, target: &str) -> Option<String> {
    let cnonce = desk.identity.tag();
    let mut challenges = headers.all(asked).filter_map(Challenge::parse);
    challenges.find_map(|challenge| {
        let mut known = desk.config.credentials.iter();
        let credential = known.find(|c| c.realm == challenge.realm)?;
        let login = Login {
            user: &credential.user,
            password: &credential.password,
        };
        Some(challenge.answer(login, "SUBSCRIBE", target, &cnonce))
    })
}
