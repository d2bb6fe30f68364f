// SPDX-License-Identifier: GPL-2.0-or-later
//! The answer to a challenge of a server beyond this Kamailio (RFC 3261 §22.2), by the `credential` for its realm.

use crate::sip::{Challenge, Login};

use super::RequestResult;
use super::desk::Desk;

/// The header that answers the first challenge of a 401 or 407 that there is a credential for.
pub(super) fn answer(
    desk: &mut Desk,
    result: &RequestResult,
    method: &str,
    target: &str,
) -> Option<(String, String)> {
    let (asked, answer) = match result.status.0 {
        401 => ("WWW-Authenticate", "Authorization"),
        407 => ("Proxy-Authenticate", "Proxy-Authorization"),
        _ => return None,
    };
    let headers = &result.response.as_ref()?.headers;
    let cnonce = desk.identity.tag();
    let mut challenges = headers.all(asked).filter_map(Challenge::parse);
    let value = challenges.find_map(|challenge| {
        let mut known = desk.config.credentials.iter();
        let credential = known.find(|c| c.realm == challenge.realm)?;
        let login = Login {
            user: &credential.user,
            password: &credential.password,
        };
        Some(challenge.answer(login, method, target, &cnonce))
    })?;
    Some((answer.to_owned(), value))
}
