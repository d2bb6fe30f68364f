// SPDX-License-Identifier: GPL-2.0-or-later
//! A SIP dialog usage in memory: its record, its running CSeq, its request in flight.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::address::Pair;
use crate::frame::{Flow, RequestId, Send};
use crate::record::{Change, DialogId, DialogRecord, Direction, Moment};
use crate::sip::{Package, Request, Status};

/// CSeq numbers reserved in the store at a time, so that few requests cost a write and none goes back after
/// a crash.
const CSEQ_BLOCK: u32 = 64;

/// One dialog usage. There may be a million: what changes often has a field, the texts are packed.
#[derive(Debug)]
pub(super) struct Dialog {
    pub(super) id: DialogId,
    pub(super) pair: Pair,
    direction: Direction,
    /// What it is about.
    pub(super) package: Package,
    /// The peer said `active`, or we did.
    pub(super) active: bool,
    stored: bool,
    /// The last CSeq number used.
    pub(super) cseq: u32,
    cseq_reserved: u32,
    /// Last CSeq received; 0 before the first.
    pub(super) remote_cseq: u32,
    /// When the subscription ends.
    pub(super) expires_at: Moment,
    /// Our request without a result; a second one waits for it, so that they arrive in order.
    pub(super) in_flight: Option<RequestId>,
    /// [`Texts`], encoded.
    texts: Box<[u8]>,
}

/// The texts of a [`DialogRecord`], and the path.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Texts<'a> {
    pub(super) call_id: &'a str,
    pub(super) local_tag: &'a str,
    pub(super) remote_tag: Option<&'a str>,
    pub(super) event_id: Option<&'a str>,
    pub(super) local_uri: &'a str,
    pub(super) remote_uri: &'a str,
    pub(super) remote_target: &'a str,
    #[serde(borrow)]
    pub(super) route_set: Vec<&'a str>,
    pub(super) flow: Option<Flow>,
    #[serde(borrow)]
    pub(super) shown: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    fn of(record: &'a DialogRecord) -> Self {
        Self {
            call_id: &record.call_id,
            local_tag: &record.local_tag,
            remote_tag: record.remote_tag.as_deref(),
            event_id: record.event_id.as_deref(),
            local_uri: &record.local_uri,
            remote_uri: &record.remote_uri,
            remote_target: &record.remote_target,
            route_set: record.route_set.iter().map(String::as_str).collect(),
            flow: record.flow.clone(),
            shown: record.shown.iter().map(String::as_str).collect(),
        }
    }

    fn pack(&self) -> Box<[u8]> {
        // Texts and numbers always have an encoding.
        postcard::to_stdvec(self).unwrap_or_default().into()
    }
}

impl Dialog {
    /// A new dialog that the store does not know.
    pub(super) fn new(record: &DialogRecord) -> Self {
        Self {
            cseq: 0,
            cseq_reserved: CSEQ_BLOCK,
            stored: false,
            ..Self::restored(record)
        }
    }

    /// A dialog from the store: CSeq goes on above all that may have been used.
    pub(super) fn restored(record: &DialogRecord) -> Self {
        Self {
            id: record.id,
            pair: record.pair.clone(),
            direction: record.direction,
            package: record.package,
            active: record.active,
            stored: true,
            cseq: record.cseq_reserved,
            cseq_reserved: record.cseq_reserved,
            remote_cseq: record.remote_cseq,
            expires_at: record.expires_at,
            in_flight: None,
            texts: Texts::of(record).pack(),
        }
    }

    /// Another dialog that the same request of ours has made: CSeq goes on from there.
    pub(super) fn fork(&self, id: DialogId) -> Self {
        let mut record = self.record();
        record.id = id;
        record.remote_tag = None;
        record.remote_cseq = 0;
        record.active = false;
        record.shown = Vec::new();
        Self {
            cseq: self.cseq,
            stored: false,
            ..Self::restored(&record)
        }
    }

    /// What is kept.
    pub(super) fn record(&self) -> DialogRecord {
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
        let texts = self.texts();
        DialogRecord {
            id: self.id,
            pair: self.pair.clone(),
            direction: self.direction,
            call_id: texts.call_id.to_owned(),
            local_tag: texts.local_tag.to_owned(),
            remote_tag: texts.remote_tag.map(str::to_owned),
            event_id: texts.event_id.map(str::to_owned),
            package: self.package,
            local_uri: texts.local_uri.to_owned(),
            remote_uri: texts.remote_uri.to_owned(),
            remote_target: texts.remote_target.to_owned(),
            route_set: owned(texts.route_set),
            flow: texts.flow,
            cseq_reserved: self.cseq_reserved,
            remote_cseq: self.remote_cseq,
            expires_at: self.expires_at,
            active: self.active,
            shown: owned(texts.shown),
        }
    }

    /// The texts of what is kept.
    pub(super) fn texts(&self) -> Texts<'_> {
        // Nothing but `pack` has written them.
        postcard::from_bytes(&self.texts).unwrap_or_default()
    }

    /// Changes texts of what is kept; of the rest, change the fields.
    pub(super) fn rewrite(&mut self, change: impl FnOnce(&mut DialogRecord)) {
        let mut record = self.record();
        change(&mut record);
        self.texts = Texts::of(&record).pack();
    }

    pub(super) fn id(&self) -> DialogId {
        self.id
    }

    /// Keeps the dialog as it stands.
    pub(super) fn put(&mut self) -> Change {
        self.stored = true;
        Change::PutDialog(Box::new(self.record()))
    }

    /// Whether the store knows the dialog.
    pub(super) fn is_stored(&self) -> bool {
        self.stored
    }

    /// Forgets the dialog; `None` if the store never knew it.
    pub(super) fn remove(&mut self) -> Option<Change> {
        let stored = std::mem::take(&mut self.stored);
        stored.then_some(Change::RemoveDialog(self.id))
    }

    /// Counts CSeq up; the change, if any, must be durable before the number is used.
    pub(super) fn next_cseq(&mut self) -> (u32, Option<Change>) {
        self.cseq = self.cseq.saturating_add(1);
        if self.cseq <= self.cseq_reserved {
            return (self.cseq, None);
        }
        self.cseq_reserved = self.cseq.saturating_add(CSEQ_BLOCK - 1);
        (self.cseq, self.stored.then(|| self.put()))
    }

    /// A request inside the dialog, or the one that starts it, with the headers every one of them has.
    pub(super) fn request(&self, method: &str, cseq: u32, contact: String) -> Send {
        let record = self.record();
        let package = self.package.as_str();
        let event = record
            .event_id
            .map_or_else(|| package.to_owned(), |id| format!("{package};id={id}"));
        Send {
            id: RequestId(0),
            order_key: record.id.0,
            method: method.to_owned(),
            request_uri: record.remote_target,
            from_uri: record.local_uri,
            from_tag: record.local_tag,
            to_uri: record.remote_uri,
            to_tag: record.remote_tag,
            call_id: record.call_id,
            cseq,
            route_set: record.route_set,
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
        u32::try_from(self.expires_at.secs_since(now)).unwrap_or(u32::MAX)
    }

    /// Sets next hop and socket of a request to the path the peer was last seen on.
    pub(super) fn follow_flow(&self, send: &mut Send) {
        let Some(flow) = self.texts().flow.filter(|_| send.route_set.is_empty()) else {
            return;
        };
        let transport = flow.protocol.as_str();
        send.next_hop = Some(format!("sip:{};transport={transport}", flow.peer));
        send.socket = Some(format!("{transport}:{}", flow.local));
    }
}

/// The path to a peer that sent a request without any proxy between: later requests of the dialog take it.
pub(super) fn adjacent_flow(request: &Request, flow: &Flow) -> Option<Flow> {
    let headers = &request.headers;
    let adjacent = headers.via_count() <= 1 && headers.first("Record-Route").is_none();
    adjacent.then(|| flow.clone())
}

/// The answers that end a subscription on either side (RFC 6665 §4.1.2.2, §4.2.2), and 408: nobody there.
pub(super) fn ends_usage(status: Status) -> bool {
    matches!(
        status.0,
        404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604
    )
}

/// Finds dialogs by Call-ID and our tag: one of them is the peer's, several are forks. It keeps a number for
/// both texts, so what it finds is to be compared with them.
#[derive(Debug, Default)]
pub(super) struct CallIndex(BTreeSet<(u64, DialogId)>);

impl CallIndex {
    pub(super) fn insert(&mut self, dialog: &Dialog) {
        let texts = dialog.texts();
        self.0
            .insert((number_of(texts.call_id, texts.local_tag), dialog.id));
    }

    pub(super) fn remove(&mut self, dialog: &Dialog) {
        let texts = dialog.texts();
        self.0
            .remove(&(number_of(texts.call_id, texts.local_tag), dialog.id));
    }

    /// The dialogs that may be meant.
    pub(super) fn find(
        &self,
        call_id: &str,
        local_tag: &str,
    ) -> impl Iterator<Item = DialogId> + '_ {
        let number = number_of(call_id, local_tag);
        self.0
            .range((number, DialogId(0))..=(number, DialogId(u64::MAX)))
            .map(|(_, id)| *id)
    }
}

fn number_of(call_id: &str, local_tag: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (call_id, local_tag).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Aor;

    fn record() -> DialogRecord {
        DialogRecord {
            id: DialogId(7),
            pair: Pair::new(
                Aor::new("romeo", "example.net").unwrap(),
                "juliet@example.com".parse().unwrap(),
            ),
            direction: Direction::ToXmpp,
            call_id: "c".into(),
            local_tag: "l".into(),
            remote_tag: Some("r".into()),
            event_id: None,
            package: Package::Presence,
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
        let mut dialog = Dialog::new(&record());
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
            let (after, _) = Dialog::restored(&kept).next_cseq();
            assert!(after > number);
        }
    }

    #[test]
    fn a_record_comes_back_from_its_packing() {
        let full = DialogRecord {
            event_id: Some("7".into()),
            route_set: vec!["<sip:192.0.2.1;lr>".into(), "<sip:192.0.2.2;lr>".into()],
            flow: Some(Flow {
                protocol: crate::frame::Protocol::Tcp,
                peer: "[2001:db8::1]:5062".parse().unwrap(),
                local: "192.0.2.9:5060".parse().unwrap(),
                connection: 9,
            }),
            shown: vec!["balcony".into(), "\u{1F339}".into()],
            ..record()
        };
        for record in [record(), full] {
            assert_eq!(Dialog::restored(&record).record(), record);
        }
    }

    #[test]
    fn a_call_is_found_with_all_its_forks_and_no_other_is() {
        let mut calls = CallIndex::default();
        let first = Dialog::restored(&record());
        let second = first.fork(DialogId(9));
        calls.insert(&first);
        calls.insert(&second);
        assert_eq!(calls.find("c", "l").count(), 2);
        assert_eq!(
            calls.find("c", "m").count() + calls.find("cl", "").count(),
            0
        );
        calls.remove(&first);
        assert_eq!(calls.find("c", "l").collect::<Vec<_>>(), [DialogId(9)]);
    }
}
