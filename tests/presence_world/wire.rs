// SPDX-License-Identifier: GPL-2.0-or-later
//! The SIP texts and stanzas of Romeo, who is on SIP, and Juliet, who is on XMPP.

use minidom::Element;
use stox::frame::{Flow, Protocol, Send, Slot};
use stox::gateway::SipRequest;
use stox::sip::Message;

pub(crate) const APPROVED: &str =
    "<presence from='juliet@example.com' to='romeo@example.net' type='subscribed'/>";
pub(crate) const DECLINED: &str =
    "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribed'/>";

pub(crate) fn juliet(resource: &str, inside: &str) -> String {
    format!(
        "<presence from='juliet@example.com/{resource}' to='romeo@example.net'>{inside}</presence>"
    )
}

pub(crate) fn subscribe(cseq: u32, to_tag: &str, more: &str) -> String {
    let tag = if to_tag.is_empty() {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    format!(
        "SUBSCRIBE sip:juliet@example.com SIP/2.0
Via: SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bK{cseq}
From: <sip:romeo@example.net>;tag=xfg9
To: <sip:juliet@example.com>{tag}
Call-ID: AA5A8BE5
CSeq: {cseq} SUBSCRIBE
Contact: <sip:romeo@198.51.100.7:5070>
Event: presence
{more}Content-Length: 0

"
    )
}

/// What the sender of presence gets that its server could not deliver; none if it was an error itself.
pub(crate) fn undeliverable(presence: &Element) -> Option<String> {
    let attr = |name| presence.attr(name).unwrap_or_default();
    (attr("type") != "error").then(|| {
        format!(
            "<presence from='{}' to='{}' id='{}' type='error'><error type='wait'>\
             <remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
            attr("to"),
            attr("from"),
            attr("id"),
        )
    })
}

pub(crate) const ASKS: &str =
    "<presence from='juliet@example.com' to='romeo@example.net' type='subscribe'/>";
pub(crate) const LEAVES: &str =
    "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribe'/>";
pub(crate) const PROBES: &str =
    "<presence from='juliet@example.com/chamber' to='romeo@example.net' type='probe'/>";

pub(crate) fn arriving(text: &str, authenticated: bool, slot: u32) -> SipRequest {
    let Ok(Message::Request(request)) = Message::parse(text.replace('\n', "\r\n").as_bytes())
    else {
        panic!("not a request: {text}");
    };
    SipRequest {
        slot: Slot {
            index: slot,
            counter: 1,
        },
        request,
        flow: Flow {
            protocol: Protocol::Udp,
            peer: "198.51.100.7:5070".parse().unwrap(),
            local: "192.0.2.9:5060".parse().unwrap(),
            connection: 0,
        },
        authenticated,
    }
}

pub(crate) fn header<'a>(send: &'a Send, name: &str) -> &'a str {
    send.headers
        .iter()
        .find(|(n, _)| n == name)
        .map_or("", |(_, v)| v.as_str())
}

pub(crate) fn state(send: &Send) -> &str {
    header(send, "Subscription-State")
}

pub(crate) fn body(send: &Send) -> String {
    String::from_utf8(send.body.clone()).unwrap()
}

pub(crate) fn response(send: &Send, code: &str, to_tag: &str, more: &str) -> String {
    format!(
        "SIP/2.0 {code}
Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKx
From: <{}>;tag={}
To: <{}>;tag={to_tag}
Call-ID: {}
CSeq: {} SUBSCRIBE
Contact: <sip:romeo@198.51.100.7:5070>
{more}Content-Length: 0

",
        send.from_uri, send.from_tag, send.to_uri, send.call_id, send.cseq
    )
}

pub(crate) fn accepted(send: &Send) -> String {
    response(send, "200 OK", "ffd2", "Expires: 3600\n")
}

pub(crate) fn notify(
    send: &Send,
    cseq: u32,
    from_tag: &str,
    state: &str,
    basic: Option<&str>,
) -> String {
    let body = basic.map_or(String::new(), |basic| {
        format!(
            "<?xml version='1.0' encoding='UTF-8'?>\
             <presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:romeo@example.net'>\
             <tuple id='ID-orchard'><status><basic>{basic}</basic></status></tuple></presence>"
        )
    });
    let content_type = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/pidf+xml\n"
    };
    let contact = header(send, "Contact").trim_matches(['<', '>']);
    format!(
        "NOTIFY {contact} SIP/2.0
Via: SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bKn{cseq}
From: <{}>;tag={from_tag}
To: <{}>;tag={}
Call-ID: {}
CSeq: {cseq} NOTIFY
Contact: <sip:romeo@198.51.100.7:5070>
Event: presence
Subscription-State: {state}
{content_type}Content-Length: {}

{body}",
        send.to_uri,
        send.from_uri,
        send.from_tag,
        send.call_id,
        body.len()
    )
}
