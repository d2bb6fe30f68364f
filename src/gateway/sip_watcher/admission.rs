// SPDX-License-Identifier: GPL-2.0-or-later
//! What a SUBSCRIBE must be to be taken (RFC 6665 §4.2.1, RFC 3856 §6).

use crate::address::Pair;
use crate::body::pidf;
use crate::config::Limit;
use crate::record::{DialogRecord, Direction, Moment};
use crate::sip::{Package, Request};

use super::super::SipRequest;
use super::super::desk::{Desk, Refusal};
use super::super::dialog::adjacent_flow;
use super::super::parties::{recipient, sender};
use super::super::quota::Overdrawn;

/// What applies when a SUBSCRIBE names no duration (RFC 3856 §6.4).
const DEFAULT_EXPIRES: u32 = 3600;

/// The least Retry-After where it is not known when there will be room again, in seconds.
const FULL_RETRY_AFTER: u64 = 60;

/// Over so many seconds more the refused are spread, so that they do not come back all at once.
const RETRY_SPREAD: u64 = 30;

/// The dialog that a SUBSCRIBE makes, and the seconds it is granted.
pub(super) fn accept(
    desk: &mut Desk,
    now: Moment,
    r: &SipRequest,
) -> Result<(DialogRecord, u32), Refusal> {
    let request = &r.request;
    let (from, to, cseq) = match (request.from(), request.to(), request.cseq()) {
        (Ok(from), Ok(to), Ok(cseq)) => (from, to, cseq),
        (Err(_), _, _) => return Err(Refusal::because(400, "Bad From")),
        (_, Err(_), _) => return Err(Refusal::because(400, "Bad To")),
        (_, _, Err(_)) => return Err(Refusal::because(400, "Bad CSeq")),
    };
    let call_id = request
        .call_id()
        .map_err(|_| Refusal::because(400, "Bad Call-ID"))?;
    let remote_tag = from
        .tag()
        .ok_or_else(|| Refusal::because(400, "Missing From tag"))?;
    let (sip, _) = sender(desk, r, &from)?;
    let event = check_event(request)?;
    let contact = request
        .headers
        .contact()
        .ok()
        .flatten()
        .ok_or_else(|| Refusal::because(400, "Missing Contact"))?;
    let route_set = request
        .headers
        .record_route()
        .map_err(|_| Refusal::because(400, "Bad Record-Route"))?;
    check_accept(request)?;
    let expires = granted_expires(desk, request)?;
    let xmpp = recipient(desk, request)?;
    let pair = Pair::new(sip, xmpp);
    desk.draw(now, Direction::ToXmpp, &pair)
        .map_err(|overdrawn| refusal(desk, overdrawn))?;
    let record = DialogRecord {
        id: desk.identity.dialog(),
        pair,
        direction: Direction::ToXmpp,
        call_id: call_id.to_owned(),
        local_tag: desk.identity.tag(),
        remote_tag: Some(remote_tag.to_owned()),
        event_id: event,
        package: Package::Presence,
        local_uri: to.uri_text.clone(),
        remote_uri: from.uri_text.clone(),
        remote_target: contact.uri_text.clone(),
        route_set,
        flow: adjacent_flow(request, &r.flow),
        cseq_reserved: 0,
        remote_cseq: cseq.number,
        expires_at: now.plus_secs(u64::from(expires)),
        active: false,
        shown: Vec::new(),
    };
    Ok((record, expires))
}

/// What the sender of a SUBSCRIBE that is too much is told. 503 would be read as speaking of every request
/// to this gateway (RFC 7247 §7.1 note 5), so it is kept for a gateway that has no room for anybody; 500 is
/// what the table has for `resource-constraint`.
fn refusal(desk: &mut Desk, overdrawn: Overdrawn) -> Refusal {
    let refusal = if overdrawn.limit == Limit::Dialogs {
        Refusal::new(503)
    } else {
        Refusal::because(500, "Too Many Subscriptions")
    };
    let least = overdrawn
        .wait_ms
        .map_or(FULL_RETRY_AFTER, |wait| wait.div_ceil(1000));
    let seconds = desk.identity.between(least, least + RETRY_SPREAD);
    refusal.with("Retry-After", seconds.to_string())
}

/// The event package must be `presence`; gives the event id.
pub(super) fn check_event(request: &Request) -> Result<Option<String>, Refusal> {
    // RFC 6665 §4.2.3: a SUBSCRIBE without Event is for PINT, which is not served: 489 as well.
    match request.headers.event() {
        Some(event) if event.package == "presence" => Ok(event.id),
        Some(_) | None => Err(Refusal::new(489).with("Allow-Events", "presence")),
    }
}

/// The watcher must take PIDF.
pub(super) fn check_accept(request: &Request) -> Result<(), Refusal> {
    // RFC 3856 §6.5: without an Accept header PIDF is what the watcher takes.
    match request.headers.accepts(pidf::MIME) {
        Some(false) => Err(Refusal::new(406).with("Accept", pidf::MIME)),
        Some(true) | None => Ok(()),
    }
}

/// The seconds granted of those asked for; 0 asks once, or ends.
pub(super) fn granted_expires(desk: &Desk, request: &Request) -> Result<u32, Refusal> {
    let asked = request
        .headers
        .expires()
        .map_err(|_| Refusal::because(400, "Bad Expires"))?
        .map_or(DEFAULT_EXPIRES, |e| e.0);
    let (min, max) = (desk.config.expires_min, desk.config.expires_max);
    // RFC 6665 §4.2.1.1: 423 only below the minimum and below one hour, and never for 0.
    if asked != 0 && asked < min && asked < 3600 {
        return Err(Refusal::new(423).with("Min-Expires", min.to_string()));
    }
    Ok(asked.min(max))
}
