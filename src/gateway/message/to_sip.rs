// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages from XMPP (RFC 7572 §4): SIP's final answer is the truth for their sender.

use xmpp_parsers::message::Message;
use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};

use crate::address::{Aor, Jid, Pair};
use crate::mapping::error::from_response;
use crate::mapping::error::to_xmpp as error_of;
use crate::mapping::message::{Content, FromXmpp, Text, read_stanza, thread_to_call_id, unsealed};
use crate::record::{Change, Direction, MessageSender, Moment};
use crate::sip::{Status, reason_phrase};
use crate::stanza::{error, error_in_words};

use super::super::desk::Desk;
use super::super::{RequestResult, credential};
use super::Messages;
use super::accepts::{Kind, is_of_no_use};
use super::request::{address, agent_of, fits, message_request, sealed};

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
        let asks = text.wants_receipt || text.wants_display;
        let sealed = id
            .as_ref()
            .filter(|_| asks && self.accepts.takes(now, &pair.sip, Kind::Envelope))
            .map(|id| sealed(&request, text.as_cpim(now, address(&request), id)))
            .filter(|sealed| fits(desk, sealed));
        let asked = sealed.is_some();
        let request = sealed.unwrap_or(request);
        if !fits(desk, &request) {
            // RFC 7572 §6.
            let most = desk.config.message_max;
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
        let Some((plain, wants_receipt)) = unsealed(&sealed) else {
            return false;
        };
        record.request.headers = plain.headers;
        record.request.body = plain.body;
        record.request.from_tag = desk.identity.tag();
        if let Some(sender) = &mut record.sender {
            sender.receipt = wants_receipt;
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
