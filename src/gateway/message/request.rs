// SPDX-License-Identifier: GPL-2.0-or-later
//! The MESSAGE that carries something to SIP (RFC 3428 §4).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::address::{Jid, Pair};
use crate::frame::{RequestId, Send};
use crate::mapping::message::{Address, Content};
use crate::record::MessageRequest;

use super::super::desk::Desk;

/// What the way to the user may add to a MESSAGE as it leaves here: a Via of the gateway and one of the proxy beside it.
const WAY: usize = 240;

/// The SIP user of a pair, or the one of his devices that a full JID names: a resource of that form is a GRUU
/// (RFC 7247 §6.3, RFC 5627 §3.1); any other is a name for his presence alone.
pub(super) fn agent_of(desk: &Desk, pair: &Pair, to: &Jid) -> String {
    let is_gruu = to
        .resource()
        .is_some_and(|resource| resource.as_str().starts_with("urn:uuid:"));
    let agent = is_gruu.then(|| desk.config.gwmap.sip_agent_from_xmpp(to).ok());
    match agent.flatten() {
        Some(uri) => uri.to_string(),
        None => pair.sip.to_string(),
    }
}

/// What a MESSAGE says that belongs to no thread, with a tag of its own: user agents take what has that of another
/// message for the same one (RFC 3261 §8.2.2.2).
pub(super) fn message_request(
    desk: &mut Desk,
    from_uri: String,
    to_uri: String,
    content: Content,
) -> MessageRequest {
    let Content { mut headers, body } = content;
    let hops = desk.hops.unwrap_or(70).to_string();
    headers.push(("Max-Forwards".to_owned(), hops));
    MessageRequest {
        to_uri,
        from_uri,
        from_tag: desk.identity.tag(),
        call_id: desk.identity.message_call_id(),
        headers,
        body,
    }
}

pub(super) fn address(request: &MessageRequest) -> Address<'_> {
    Address {
        from: &request.from_uri,
        to: &request.to_uri,
    }
}

/// The same message with what it says in an envelope.
pub(super) fn sealed(plain: &MessageRequest, content: Content) -> MessageRequest {
    let hops = |(name, _): &&(String, String)| name == "Max-Forwards";
    let mut headers = content.headers;
    headers.extend(plain.headers.iter().find(hops).cloned());
    MessageRequest {
        headers,
        body: content.body,
        ..plain.clone()
    }
}

/// The MESSAGE, which passes this Kamailio's script.
pub(super) fn send_of(desk: &Desk, request: &MessageRequest, order_key: u64) -> Send {
    Send {
        id: RequestId(0),
        order_key,
        method: "MESSAGE".to_owned(),
        request_uri: request.to_uri.clone(),
        from_uri: request.from_uri.clone(),
        from_tag: request.from_tag.clone(),
        to_uri: request.to_uri.clone(),
        to_tag: None,
        call_id: request.call_id.clone(),
        cseq: 1,
        route_set: Vec::new(),
        next_hop: desk.config.outbound_proxy.clone(),
        socket: None,
        own_token: true,
        headers: request.headers.clone(),
        body: request.body.clone(),
    }
}

/// Messages between two users leave through one port.
pub(super) fn order_key(pair: &Pair) -> u64 {
    let mut hasher = DefaultHasher::new();
    pair.hash(&mut hasher);
    hasher.finish()
}

/// Whether a MESSAGE is no longer than one may be (RFC 3428 §8).
pub(super) fn fits(desk: &Desk, request: &MessageRequest) -> bool {
    u32::try_from(size(request)).is_ok_and(|size| size <= desk.config.message_max)
}

/// How many bytes a MESSAGE has on its way.
fn size(request: &MessageRequest) -> usize {
    let fixed = "MESSAGE  SIP/2.0\r\nTo: <>\r\nFrom: <>;tag=\r\nCall-ID: \r\nCSeq: 1 MESSAGE\r\n\
        Content-Length: 1300\r\n\r\n";
    let headers: usize = request
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + ": \r\n".len())
        .sum();
    fixed.len()
        + 2 * request.to_uri.len()
        + request.from_uri.len()
        + request.from_tag.len()
        + request.call_id.len()
        + headers
        + request.body.len()
        + WAY
}
