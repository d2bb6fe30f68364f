// SPDX-License-Identifier: GPL-2.0-or-later
//! Between whom a request outside a dialog is: who sent it, and whom it is for (RFC 7247 §6).

use crate::address::{Aor, AorError, BareJid, SipUri, UriError};
use crate::sip::{NameAddr, Request};

use super::SipRequest;
use super::desk::{Desk, Refusal};

/// The sender of a request, and his name on XMPP. It is the one that the XMPP side has for him: user parts that differ only in what XMPP folds are one user
/// there, so they are one here, and an answer finds the question.
///
/// The script must have authenticated him, and he must be of a domain of ours.
pub(super) fn sender(
    desk: &Desk,
    r: &SipRequest,
    from: &NameAddr,
) -> Result<(Aor, BareJid), Refusal> {
    if !r.authenticated {
        return Err(Refusal::new(403));
    }
    let config = &desk.config;
    let sip = config
        .numbers
        .aor(&from.uri)
        .map_err(|_| Refusal::new(403))?;
    if !config.is_sip_domain(sip.host()) {
        return Err(Refusal::new(403));
    }
    let map = &config.gwmap;
    map.sip_user_on_xmpp(&sip)
        .and_then(|jid| Ok((map.sip_user_from_xmpp(&jid)?, jid)))
        .map_err(|_| Refusal::because(403, "From Has No XMPP Address"))
}

/// The XMPP user whom a request is addressed to, who must be of a domain that is served.
pub(super) fn recipient(desk: &Desk, request: &Request) -> Result<BareJid, Refusal> {
    let uri = SipUri::parse(&request.uri).map_err(|error| match error {
        UriError::Scheme => Refusal::new(416),
        UriError::Malformed => Refusal::because(400, "Bad Request-URI"),
    })?;
    let aor = desk.config.numbers.aor(&uri).map_err(|error| match error {
        AorError::NotSip => Refusal::new(416),
        AorError::Incomplete => Refusal::new(484),
        AorError::NoUser | AorError::BadUser | AorError::BadHost | AorError::NoDomain => {
            Refusal::new(404)
        }
    })?;
    let xmpp = desk
        .config
        .gwmap
        .xmpp_user_from_sip(&aor)
        .map_err(|_| Refusal::new(404))?;
    if desk.config.serves_xmpp_domain(xmpp.domain().as_str()) {
        Ok(xmpp)
    } else {
        Err(Refusal::new(404))
    }
}
