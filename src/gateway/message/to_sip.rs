// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages from XMPP (RFC 7572 §4): each is stored, and sent when the one before it between the same two users has its
//! answer (RFC 3428 §8); SIP's final answer is the truth for its sender.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use indexmap::IndexMap;
use xmpp_parsers::message::Message;
use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};

use crate::address::{Aor, Jid, Pair};
use crate::frame::{RequestId, Send};
use crate::mapping::error::from_response;
use crate::mapping::error::to_xmpp as error_of;
use crate::mapping::message::{
    Address, Content, FromXmpp, Text, read_stanza, thread_to_call_id, unsealed,
};
use crate::record::{
    Change, Direction, MessageId, MessageRecord, MessageRequest, MessageSender, Moment,
};
use crate::sip::{Status, reason_phrase};
use crate::stanza::{error, error_in_words};

use super::super::desk::{Desk, Purpose};
use super::super::timers::Timer;
use super::super::{RequestResult, credential};
use super::Messages;
use super::accepts::{Kind, is_of_no_use};

/// Messages of one pair that may wait for SIP's answer to the one before.
const MOST_OF_PAIR: usize = 32;

/// Messages that may wait in all.
pub(super) const MOST: usize = 10_000;

/// What the way to the user may add to a MESSAGE as it leaves here: a Via of the gateway and one of the proxy beside it.
const WAY: usize = 240;

/// As many pairs begin in one round after a start.
const ROUND: usize = 100;

/// Between two such rounds.
const PAUSE_MS: u64 = 50;

/// Messages that SIP has not answered, or whose sender's server has not taken the error.
#[derive(Debug, Default)]
pub(super) struct ToSip {
    last: u64,
    count: u64,
    queues: IndexMap<Pair, Queue>,
    /// Failed: the sender is to be told.
    pub(super) failed: BTreeMap<MessageId, Failed>,
    /// Pairs whose messages wait since before the start.
    idle: VecDeque<Pair>,
}

/// A message whose sender is to be told that it failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) record: Box<MessageRecord>,
    /// The error has been sent.
    pub(super) told: bool,
}

/// The messages of a pair, in order.
#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Box<MessageRecord>>,
    /// The first is with SIP, or something else that it has to wait for.
    under_way: bool,
    /// A challenge to the first has been answered.
    answered: bool,
}

impl ToSip {
    pub(super) fn len(&self) -> u64 {
        self.count
    }

    /// How many wait for SIP's answer.
    fn waiting(&self) -> usize {
        usize::try_from(self.count)
            .unwrap_or(usize::MAX)
            .saturating_sub(self.failed.len())
    }

    /// A message of an earlier process.
    pub(super) fn restore(&mut self, record: MessageRecord) {
        self.last = self.last.max(record.id.0);
        self.count += 1;
        if record.failure.is_some() {
            let failed = Failed {
                record: Box::new(record),
                told: false,
            };
            self.failed.insert(failed.record.id, failed);
            return;
        }
        let queue = self.queues.entry(record.pair.clone()).or_default();
        if queue.messages.is_empty() {
            self.idle.push_back(record.pair.clone());
        }
        queue.messages.push_back(Box::new(record));
    }

    /// Lets some of the pairs begin whose messages wait since before the start.
    pub(super) fn resume(&mut self, desk: &mut Desk, now: Moment) {
        for _ in 0..ROUND {
            match self.idle.pop_front() {
                Some(pair) => self.send_first(desk, now, &pair, None),
                None => return,
            }
        }
        desk.timers
            .set(Timer::ResumeMessages, now.plus_ms(PAUSE_MS));
    }

    /// The error for a message may have been lost.
    pub(super) fn untold(&mut self, id: MessageId) {
        if let Some(failed) = self.failed.get_mut(&id) {
            failed.told = false;
        }
    }

    /// Whether one more message of a pair may wait.
    pub(super) fn has_room(&self, pair: &Pair) -> bool {
        let queued = self
            .queues
            .get(pair)
            .map_or(0, |queue| queue.messages.len());
        queued < MOST_OF_PAIR && self.waiting() < MOST
    }

    /// Whether nothing waits for the SIP user of a pair, or is with him.
    pub(super) fn is_idle(&self, pair: &Pair) -> bool {
        !self.queues.contains_key(pair)
    }

    /// Something that is no message is with the SIP user of a pair: RFC 3428 §8 wants one request at a time.
    pub(super) fn occupy(&mut self, pair: &Pair) {
        self.queues.entry(pair.clone()).or_default().under_way = true;
    }

    /// It has its answer.
    pub(super) fn release(&mut self, pair: &Pair) {
        if let Some(queue) = self.queues.get_mut(pair) {
            queue.under_way = false;
            if queue.messages.is_empty() {
                self.queues.swap_remove(pair);
            }
        }
    }

    /// Takes a message, to be sent in its turn.
    pub(super) fn put(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: Pair,
        request: MessageRequest,
        sender: Option<MessageSender>,
    ) {
        desk.counters.messages_to_sip.taken += 1;
        self.count += 1;
        self.last += 1;
        let record = MessageRecord {
            id: MessageId(self.last),
            pair: pair.clone(),
            since: now,
            sender,
            request,
            failure: None,
        };
        desk.change(Change::PutMessage(Box::new(record.clone())));
        let queue = self.queues.entry(pair.clone()).or_default();
        queue.messages.push_back(Box::new(record));
        self.send_first(desk, now, &pair, None);
    }

    /// Sends the first message of a pair, unless something is under way.
    pub(super) fn send_first(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        proof: Option<(String, String)>,
    ) {
        let Some(queue) = self.queues.get_mut(pair) else {
            return;
        };
        let Some(record) = queue.messages.front().filter(|_| !queue.under_way) else {
            return;
        };
        queue.under_way = true;
        queue.answered = proof.is_some();
        let mut send = send_of(desk, &record.request, order_key(pair));
        // RFC 3261 §22.2: the next CSeq of the same call.
        send.cseq += u32::from(proof.is_some());
        send.headers.extend(proof);
        desk.send(now, Purpose::Message(pair.clone()), send);
    }

    /// The first message of a pair has its answer; gives it.
    fn take_first(&mut self, pair: &Pair) -> Option<Box<MessageRecord>> {
        let queue = self.queues.get_mut(pair)?;
        let record = queue.messages.pop_front();
        queue.under_way = false;
        queue.answered = false;
        if queue.messages.is_empty() {
            self.queues.swap_remove(pair);
        }
        record
    }

    /// Nothing more is owed of a message.
    pub(super) fn done(&mut self, desk: &mut Desk, id: MessageId) {
        self.count = self.count.saturating_sub(1);
        desk.change(Change::RemoveMessage(id));
    }
}

impl Messages {
    /// A message stanza that is no error; the error, if it cannot be taken.
    pub(in super::super) fn stanza(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        (sip, from, to): (Aor, &Jid, &Jid),
        message: &Message,
    ) -> Result<(), Box<StanzaError>> {
        let pair = Pair::new(sip, from.to_bare());
        let said = read_stanza(message)?;
        let from_uri = desk
            .config
            .gwmap
            .xmpp_agent_on_sip(from)
            .map_err(|_| error(DefinedCondition::JidMalformed))?
            .to_string();
        match said {
            FromXmpp::Nothing => Ok(()),
            FromXmpp::Composing(state) => {
                self.writes_to_sip(desk, now, &pair, from_uri, state);
                Ok(())
            }
            FromXmpp::Receipt(receipt) => {
                self.receipt(desk, now, pair, &from_uri, &receipt);
                Ok(())
            }
            FromXmpp::Text(text) => {
                self.text(desk, now, (pair, from, to), from_uri, &text, message)
            }
        }
    }

    fn text(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        (pair, from, to): (Pair, &Jid, &Jid),
        from_uri: String,
        text: &Text,
        message: &Message,
    ) -> Result<(), Box<StanzaError>> {
        if !self.to_sip.has_room(&pair) {
            return Err(error(DefinedCondition::ResourceConstraint).into());
        }
        desk.draw_message(now, Direction::ToSip, &pair)
            .map_err(|_| error(DefinedCondition::ResourceConstraint))?;
        let to_uri = agent_of(desk, &pair, to);
        let id = message.id.as_ref().map(|id| id.0.clone());
        let plain = text.as_plain();
        let mut request = message_request(desk, from_uri, to_uri, plain);
        let thread = message.thread.as_ref();
        if let Some(call_id) = thread.and_then(|thread| thread_to_call_id(&thread.id)) {
            request.call_id = call_id;
        }
        let most = usize::try_from(desk.config.message_max).unwrap_or(usize::MAX);
        let asks = text.wants_receipt || text.wants_display;
        let sealed = id
            .as_ref()
            .filter(|_| asks && self.accepts.takes(now, &pair.sip, Kind::Envelope))
            .map(|id| sealed(&request, text.as_cpim(now, address(&request), id)))
            .filter(|sealed| size(sealed) <= most);
        let asked = sealed.is_some();
        let request = sealed.unwrap_or(request);
        if size(&request) > most {
            // RFC 7572 §6.
            let text = format!("too long for SIP, which takes {most} bytes with its headers");
            return Err(error_in_words(DefinedCondition::PolicyViolation, "en", &text).into());
        }
        self.wrote_to_sip(desk, &pair);
        let sender = MessageSender {
            from: from.to_string(),
            to: to.to_string(),
            id,
            receipt: text.wants_receipt && !asked,
        };
        self.to_sip.put(desk, now, pair, request, Some(sender));
        Ok(())
    }

    /// SIP has answered a message.
    pub(in super::super) fn answered(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        result: &RequestResult,
    ) {
        if self.answer_challenge(desk, now, pair, result)
            || self.open_envelope(desk, now, pair, result.status)
        {
            return;
        }
        if let Some(record) = self.to_sip.take_first(pair) {
            if result.status.is_success() {
                desk.counters.messages_to_sip.delivered += 1;
                if result.status == Status(200) {
                    Self::receive(desk, &record);
                }
                self.to_sip.done(desk, record.id);
            } else {
                self.failed(desk, now, record, &failure(result));
            }
        }
        self.to_sip.send_first(desk, now, pair, None);
    }

    fn answer_challenge(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        result: &RequestResult,
    ) -> bool {
        let Some(queue) = self.to_sip.queues.get_mut(pair) else {
            return false;
        };
        let Some(record) = queue.messages.front().filter(|_| !queue.answered) else {
            return false;
        };
        let target = record.request.to_uri.clone();
        let Some(proof) = credential::answer(desk, result, "MESSAGE", &target) else {
            return false;
        };
        queue.under_way = false;
        self.to_sip.send_first(desk, now, pair, Some(proof));
        true
    }

    /// A user agent that knows no envelopes gets what is in it, and is remembered; `false` if there was none.
    fn open_envelope(&mut self, desk: &mut Desk, now: Moment, pair: &Pair, status: Status) -> bool {
        let Some(queue) = self.to_sip.queues.get_mut(pair) else {
            return false;
        };
        let Some(record) = queue.messages.front_mut().filter(|_| is_of_no_use(status)) else {
            return false;
        };
        let sealed = Content {
            headers: record.request.headers.clone(),
            body: record.request.body.clone(),
        };
        let Some(plain) = unsealed(&sealed) else {
            return false;
        };
        record.request.headers = plain.headers;
        record.request.body = plain.body;
        record.request.from_tag = desk.identity.tag();
        if let Some(sender) = &mut record.sender {
            sender.receipt = true;
        }
        desk.change(Change::PutMessage(record.clone()));
        queue.under_way = false;
        self.accepts.refused(now, &pair.sip, Kind::Envelope);
        self.to_sip.send_first(desk, now, pair, None);
        true
    }

    /// More of what waits since before the start may go.
    pub(in super::super) fn resume(&mut self, desk: &mut Desk, now: Moment) {
        self.to_sip.resume(desk, now);
    }
}

/// What SIP's failure is for the sender (RFC 7247 §7.2).
fn failure(result: &RequestResult) -> StanzaError {
    match &result.response {
        Some(response) => from_response(response),
        None => error_of(result.status, reason_phrase(result.status)),
    }
}

/// The SIP user of a pair, or the one of his devices that a full JID names: a resource of that form is a GRUU
/// (RFC 7247 §6.3, RFC 5627 §3.1); any other is a name for his presence alone.
fn agent_of(desk: &Desk, pair: &Pair, to: &Jid) -> String {
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

fn address(request: &MessageRequest) -> Address<'_> {
    Address {
        from: &request.from_uri,
        to: &request.to_uri,
    }
}

/// The same message with what it says in an envelope.
fn sealed(plain: &MessageRequest, content: Content) -> MessageRequest {
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

/// How many bytes a MESSAGE has on its way (RFC 3428 §8).
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
