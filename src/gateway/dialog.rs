// SPDX-License-Identifier: GPL-2.0-or-later
//! A SIP dialog usage in memory: its record, its running CSeq, its request in flight.

use std::collections::HashMap;

use crate::frame::{Flow, RequestId, Send};
use crate::record::{Change, DialogId, DialogRecord, Moment};
use crate::sip::{Request, Status};

/// CSeq numbers reserved in the store at a time, so that few requests cost a write and none goes back after
/// a crash.
const CSEQ_BLOCK: u32 = 64;

/// One dialog usage.
#[derive(Debug)]
pub(super) struct Dialog {
    /// What is kept.
    pub(super) record: DialogRecord,
    /// The last CSeq number used.
    pub(super) cseq: u32,
    /// Our request without a result; a second one waits for it, so that they arrive in order.
    pub(super) in_flight: Option<RequestId>,
    stored: bool,
}

impl Dialog {
    /// A new dialog that the store does not know.
    pub(super) fn new(mut record: DialogRecord) -> Self {
        record.cseq_reserved = CSEQ_BLOCK;
        Self {
            cseq: 0,
            record,
            in_flight: None,
            stored: false,
        }
    }

    /// A dialog from the store: CSeq goes on above all that may have been used.
    pub(super) fn restored(record: DialogRecord) -> Self {
        Self {
            cseq: record.cseq_reserved,
            record,
            in_flight: None,
            stored: true,
        }
    }

    pub(super) fn id(&self) -> DialogId {
        self.record.id
    }

    /// Keeps the dialog as it stands.
    pub(super) fn put(&mut self) -> Change {
        self.stored = true;
        Change::PutDialog(Box::new(self.record.clone()))
    }

    /// Whether the store knows the dialog.
    pub(super) fn is_stored(&self) -> bool {
        self.stored
    }

    /// Forgets the dialog; `None` if the store never knew it.
    pub(super) fn remove(&mut self) -> Option<Change> {
        let stored = std::mem::take(&mut self.stored);
        stored.then_some(Change::RemoveDialog(self.record.id))
    }

    /// Counts CSeq up; the change, if any, must be durable before the number is used.
    pub(super) fn next_cseq(&mut self) -> (u32, Option<Change>) {
        self.cseq = self.cseq.saturating_add(1);
        if self.cseq <= self.record.cseq_reserved {
            return (self.cseq, None);
        }
        self.record.cseq_reserved = self.cseq.saturating_add(CSEQ_BLOCK - 1);
        (self.cseq, self.stored.then(|| self.put()))
    }

    /// A request inside the dialog, or the one that starts it, with the headers every one of them has.
    pub(super) fn request(&self, method: &str, cseq: u32, contact: String) -> Send {
        let record = &self.record;
        let event = record
            .event_id
            .as_ref()
            .map_or_else(|| "presence".to_owned(), |id| format!("presence;id={id}"));
        Send {
            id: RequestId(0),
            order_key: record.id.0,
            method: method.to_owned(),
            request_uri: record.remote_target.clone(),
            from_uri: record.local_uri.clone(),
            from_tag: record.local_tag.clone(),
            to_uri: record.remote_uri.clone(),
            to_tag: record.remote_tag.clone(),
            call_id: record.call_id.clone(),
            cseq,
            route_set: record.route_set.clone(),
            next_hop: None,
            socket: None,
            own_token: false,
            headers: vec![
                ("Contact".to_owned(), contact),
                ("Event".to_owned(), event),
                ("Max-Forwards".to_owned(), "70".to_owned()),
            ],
            body: Vec::new(),
        }
    }

    /// Seconds left of the subscription.
    pub(super) fn expires_in(&self, now: Moment) -> u32 {
        u32::try_from(self.record.expires_at.secs_since(now)).unwrap_or(u32::MAX)
    }
}

/// The path to a peer that sent a request without any proxy between: later requests of the dialog take it.
pub(super) fn adjacent_flow(request: &Request, flow: &Flow) -> Option<Flow> {
    let headers = &request.headers;
    let adjacent = headers.via_count() <= 1 && headers.first("Record-Route").is_none();
    adjacent.then(|| flow.clone())
}

/// Sets next hop and socket of a request to the path a peer was last seen on.
pub(super) fn follow_flow(send: &mut Send, record: &DialogRecord) {
    let Some(flow) = record.flow.as_ref().filter(|_| record.route_set.is_empty()) else {
        return;
    };
    let transport = flow.protocol.as_str();
    send.next_hop = Some(format!("sip:{};transport={transport}", flow.peer));
    send.socket = Some(format!("{transport}:{}", flow.local));
}

/// The answers that end a subscription on either side (RFC 6665 §4.1.2.2, §4.2.2), and 408: nobody there.
pub(super) fn ends_usage(status: Status) -> bool {
    matches!(
        status.0,
        404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604
    )
}

/// Finds dialogs by Call-ID and our tag: one of them is the peer's, several are forks.
#[derive(Debug, Default)]
pub(super) struct CallIndex(HashMap<(String, String), Vec<DialogId>>);

impl CallIndex {
    pub(super) fn insert(&mut self, record: &DialogRecord) {
        self.0
            .entry((record.call_id.clone(), record.local_tag.clone()))
            .or_default()
            .push(record.id);
    }

    pub(super) fn remove(&mut self, record: &DialogRecord) {
        let key = (record.call_id.clone(), record.local_tag.clone());
        if let Some(ids) = self.0.get_mut(&key) {
            ids.retain(|id| *id != record.id);
            if ids.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    pub(super) fn find(&self, call_id: &str, local_tag: &str) -> &[DialogId] {
        self.0
            .get(&(call_id.to_owned(), local_tag.to_owned()))
            .map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Aor, Pair};
    use crate::record::Direction;

    fn record() -> DialogRecord {
        DialogRecord {
            id: DialogId(7),
            pair: Pair {
                sip: Aor::new("romeo", "example.net").unwrap(),
                xmpp: "juliet@example.com".parse().unwrap(),
            },
            direction: Direction::ToXmpp,
            call_id: "c".into(),
            local_tag: "l".into(),
            remote_tag: Some("r".into()),
            event_id: None,
            local_uri: "sip:juliet@example.com".into(),
            remote_uri: "sip:romeo@example.net".into(),
            remote_target: "sip:romeo@192.0.2.1".into(),
            route_set: vec![],
            flow: None,
            cseq_reserved: 0,
            remote_cseq: 1,
            expires_at: Moment(0),
            active: false,
            shown: vec![],
        }
    }

    #[test]
    fn cseq_never_goes_back_over_a_restart() {
        let mut dialog = Dialog::new(record());
        let kept = dialog.put();
        let Change::PutDialog(mut kept) = kept else {
            unreachable!()
        };
        for _ in 0..100 {
            let (number, change) = dialog.next_cseq();
            if let Some(Change::PutDialog(newer)) = change {
                kept = newer;
            }
            assert!(
                number <= kept.cseq_reserved,
                "{number} was used without being reserved"
            );
            let (after, _) = Dialog::restored(*kept.clone()).next_cseq();
            assert!(after > number);
        }
    }
}
