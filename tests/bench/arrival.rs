// SPDX-License-Identifier: GPL-2.0-or-later
//! What a packet from Kamailio means for a measurement.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::mark::Mark;

/// One packet, as far as the generator cares.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A final answer to the request that began an operation.
    Answer {
        /// Which.
        mark: Mark,
        /// Its status code.
        status: u16,
    },
    /// A NOTIFY.
    Notify {
        /// The operation whose SUBSCRIBE made the dialog.
        dialog: Option<Mark>,
        /// The operation whose presence the body shows.
        shown: Option<Mark>,
        /// The contact has approved and is shown open.
        open: bool,
        /// The 200 that it is owed.
        answer: String,
    },
    /// A MESSAGE.
    Message {
        /// The operation whose words it has.
        mark: Option<Mark>,
        /// The 200 that it is owed.
        answer: String,
    },
    /// A SUBSCRIBE of the gateway's.
    Subscribe {
        /// The 200 that it is owed.
        answer: String,
        /// The NOTIFY that follows.
        notify: String,
    },
}

impl Arrival {
    /// Reads a packet; `None` for a provisional answer or what is no SIP.
    pub(crate) fn read(packet: &str, local: SocketAddr) -> Option<Self> {
        let (head, body) = packet.split_once("\r\n\r\n")?;
        if let Some(rest) = head.strip_prefix("SIP/2.0 ") {
            let status = rest.get(..3)?.parse().ok()?;
            // The gateway's own Call-IDs have no mark, but both users' names have.
            let mark = Mark::find(header(head, "Call-ID")?)
                .or_else(|| Mark::find(header(head, "From")?))?;
            return (status >= 200).then_some(Self::Answer { mark, status });
        }
        if head.starts_with("SUBSCRIBE ") {
            return accept(head, local);
        }
        if head.starts_with("MESSAGE ") {
            let to = header(head, "To")?;
            return Some(Self::Message {
                mark: Mark::find(body),
                answer: tagged(&ok(head), to),
            });
        }
        head.starts_with("NOTIFY ").then(|| Self::Notify {
            dialog: header(head, "Call-ID").and_then(Mark::find),
            shown: body
                .find("<note")
                .and_then(|at| body.get(at..))
                .and_then(Mark::find),
            open: header(head, "Subscription-State").is_some_and(|v| v.starts_with("active"))
                && body.contains(">open<"),
            answer: ok(head),
        })
    }
}

/// A CSeq above all that were used before, in whatever dialog.
pub(crate) fn number() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(1000);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// The status of a packet that is the final answer to that request.
pub(crate) fn answer_to(packet: &str, request: &str) -> Option<u16> {
    let status = packet.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
    let same = |name| header(packet, name) == header(request, name);
    (status >= 200 && same("Call-ID") && same("CSeq")).then_some(status)
}

/// The value of a header written in full.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found
            .trim_end()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim())
    })
}

/// What a SIP contact that everybody may watch says to a SUBSCRIBE.
fn accept(head: &str, local: SocketAddr) -> Option<Arrival> {
    let to = header(head, "To")?;
    let from = if to.contains(";tag=") {
        to.to_owned()
    } else {
        format!("{to};tag=phone")
    };
    let expires = header(head, "Expires")?;
    let contact = format!("Contact: <sip:phone@{local}>\r\nExpires: {expires}\r\n");
    let answer =
        tagged(&ok(head), to).replacen("Content-Length", &format!("{contact}Content-Length"), 1);
    let body = "<?xml version='1.0' encoding='UTF-8'?>\
        <presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:romeo@sip.example'>\
        <tuple id='ID-phone'><status><basic>open</basic></status></tuple></presence>";
    let target = header(head, "Contact")?.trim_matches(['<', '>']);
    let number = number();
    let call_id = header(head, "Call-ID")?;
    let state = if expires == "0" {
        "terminated;reason=timeout".to_owned()
    } else {
        format!("active;expires={expires}")
    };
    let notify = format!(
        "NOTIFY {target} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {local};branch=z9hG4bKn{call_id}{number};rport\r\n\
         From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} NOTIFY\r\n\
         Max-Forwards: 70\r\nContact: <sip:phone@{local}>\r\nEvent: presence\r\n\
         Subscription-State: {state}\r\nContent-Type: application/pidf+xml\r\n\
         Content-Length: {length}\r\n\r\n{body}",
        to = header(head, "From")?,
        length = body.len(),
    );
    Some(Arrival::Subscribe { answer, notify })
}

/// An answer with a tag of the phone in its To, if there was none.
fn tagged(answer: &str, to: &str) -> String {
    if to.contains(";tag=") {
        answer.to_owned()
    } else {
        answer.replacen(
            &format!("To: {to}\r\n"),
            &format!("To: {to};tag=phone\r\n"),
            1,
        )
    }
}

/// The 200 to a request within a dialog.
fn ok(head: &str) -> String {
    let mut answer = "SIP/2.0 200 OK\r\n".to_owned();
    for line in head.split("\r\n").skip(1) {
        let name = line.split_once(':').map_or("", |(name, _)| name.trim_end());
        if ["Via", "From", "To", "Call-ID", "CSeq"]
            .iter()
            .any(|kept| name.eq_ignore_ascii_case(kept))
        {
            answer.push_str(line);
            answer.push_str("\r\n");
        }
    }
    answer.push_str("Content-Length: 0\r\n\r\n");
    answer
}
