// SPDX-License-Identifier: GPL-2.0-or-later
//! Frames from SIP as inputs of the core.

use crate::frame::{HandedOver, Outcome, Reply, Slot};
use crate::gateway::{RequestResult, SipRequest};
use crate::sip::{Message, Status};

/// A handed-over request with what the script changed; or the refusal of one that cannot be read.
pub fn request(handed: HandedOver) -> Result<SipRequest, Reply> {
    let HandedOver {
        slot,
        raw,
        request_uri,
        contact,
        flow,
        authenticated,
    } = handed;
    let mut request = match Message::parse(&raw) {
        Ok(Message::Request(request)) => request,
        Ok(Message::Response(_)) => return Err(refusal(slot, 400, "Bad Request: a response")),
        Err(error) => return Err(refusal(slot, 400, &format!("Bad Request: {error}"))),
    };
    if let Some(uri) = request_uri {
        request.uri = uri;
    }
    if let Some(contact) = contact {
        request.headers.replace("Contact", &contact);
    }
    Ok(SipRequest {
        slot,
        request,
        flow,
        authenticated,
    })
}

/// The result of a request of ours.
pub fn result(outcome: Outcome) -> RequestResult {
    let response = match outcome.raw.as_deref().map(Message::parse) {
        Some(Ok(Message::Response(response))) => Some(response),
        Some(Ok(Message::Request(_)) | Err(_)) | None => None,
    };
    RequestResult {
        id: outcome.id,
        status: Status(outcome.status),
        response,
    }
}

/// A reply that the core has no part in.
pub(super) fn refusal(slot: Slot, status: u16, reason: &str) -> Reply {
    Reply {
        slot,
        status,
        reason: reason.to_owned(),
        to_tag: None,
        headers: Vec::new(),
        body: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::frame::{Flow, Protocol, RequestId};

    use super::*;

    fn handed(raw: &str) -> HandedOver {
        HandedOver {
            slot: Slot {
                index: 1,
                counter: 2,
            },
            raw: raw.as_bytes().to_vec(),
            request_uri: Some("sip:juliet@xmpp.example".into()),
            contact: Some("<sip:romeo@192.0.2.7:1066>".into()),
            flow: Flow {
                protocol: Protocol::Udp,
                peer: "192.0.2.7:1066".parse().unwrap(),
                local: "192.0.2.1:5060".parse().unwrap(),
                connection: 0,
            },
            authenticated: true,
        }
    }

    const SUBSCRIBE: &str = "SUBSCRIBE sip:juliet@alias.example SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKna998sk\r\n\
        From: <sip:romeo@sip.example>;tag=yt66\r\n\
        To: <sip:juliet@alias.example>\r\n\
        Call-ID: 4wcm0n\r\n\
        CSeq: 263 SUBSCRIBE\r\n\
        Event: presence\r\n\
        m: <sip:romeo@10.0.0.7:5060>\r\n\
        Max-Forwards: 70\r\n\
        Content-Length: 0\r\n\r\n";

    #[test]
    fn what_the_script_changed_counts() {
        let request = request(handed(SUBSCRIBE)).unwrap().request;
        assert_eq!(request.uri, "sip:juliet@xmpp.example");
        let contacts: Vec<_> = request.headers.all("Contact").collect();
        assert_eq!(contacts, ["<sip:romeo@192.0.2.7:1066>"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_a_lost_response_keeps_its_status() {
        assert_eq!(
            request(handed("SUBSCRIBE\r\n\r\n")).unwrap_err().status,
            400
        );
        assert_eq!(
            request(handed("SIP/2.0 200 OK\r\n\r\n"))
                .unwrap_err()
                .status,
            400
        );
        let outcome = Outcome {
            id: RequestId(7),
            status: 481,
            raw: Some(b"junk".to_vec()),
        };
        assert_eq!(
            result(outcome),
            RequestResult {
                id: RequestId(7),
                status: Status(481),
                response: None
            }
        );
    }
}
