// SPDX-License-Identifier: GPL-2.0-or-later
//! Errors that tell the senders of messages to SIP that these have failed: owed until the sender's server has taken them.

use minidom::Element;
use xmpp_parsers::message::{Id, Message, MessageType};
use xmpp_parsers::stanza_error::StanzaError;

use crate::address::Jid;
use crate::record::{Change, MessageId, MessageRecord, MessageSender, Moment};
use crate::stanza::{LinkName, Stanza};

use super::super::desk::Desk;
use super::Messages;
use super::queue::{Failed, MOST};
use super::taken::{Waiting, Way, Word};

/// An error that could not be told for so long is not told any more.
const STALE_MS: u64 = 24 * 3600 * 1000;

impl Messages {
    /// A message cannot be delivered.
    pub(super) fn failed(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        mut record: Box<MessageRecord>,
        error: &StanzaError,
    ) {
        if record.sender.is_none() {
            desk.counters.messages_to_sip.errored += 1;
            self.to_sip.done(desk, record.id);
            return;
        }
        record.failure = Some(String::from(&Element::from(error.clone())));
        desk.change(Change::PutMessage(record.clone()));
        let id = record.id;
        let told = false;
        self.to_sip.failed.insert(id, Failed { record, told });
        if self.to_sip.failed.len() > MOST
            && let Some((oldest, _)) = self.to_sip.failed.first_key_value()
        {
            let oldest = *oldest;
            tracing::warn!("too many errors wait for their servers: the oldest is not told");
            self.reported(desk, oldest);
        }
        self.report(desk, now, id);
    }

    /// Tells the sender, if his server can be reached.
    fn report(&mut self, desk: &mut Desk, now: Moment, id: MessageId) {
        let Some(failed) = self.to_sip.failed.get_mut(&id) else {
            return;
        };
        let way = Way {
            link: desk.link_of(&failed.record.pair),
            domain: failed.record.pair.xmpp.domain().as_str().into(),
        };
        if failed.told || !desk.links.is_up(&way.link) {
            return;
        }
        if failed.record.since.plus_ms(STALE_MS) <= now {
            return self.reported(desk, id);
        }
        match error_stanza(&failed.record) {
            Some(stanza) => {
                failed.told = true;
                desk.stanza(way.link.clone(), Stanza::Message(stanza));
                self.barriers.wait(desk, now, way, Waiting::Report(id));
            }
            // Nobody can be told: it has no sender that could be written to.
            None => self.reported(desk, id),
        }
    }

    /// Links are ready, or may be: whoever was not told is.
    pub(super) fn report_all(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        is_ready: impl Fn(&LinkName) -> bool,
    ) {
        let failed = self.to_sip.failed.values();
        let untold =
            failed.filter(|failed| !failed.told && is_ready(&desk.link_of(&failed.record.pair)));
        let ids: Vec<_> = untold.map(|failed| failed.record.id).collect();
        for id in ids {
            self.report(desk, now, id);
        }
    }

    /// What has become of an error whose server was asked.
    pub(super) fn report_settled(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: MessageId,
        word: &Word,
    ) {
        match word {
            Word::Taken if self.to_sip.is_told(id) => self.reported(desk, id),
            Word::Taken => self.report(desk, now, id),
            Word::Unreachable(_) => match self.link_of(desk, id) {
                // It is told when the link is tried again.
                Some(LinkName::S2s { .. }) => self.to_sip.untold(id),
                // The server that the component is one of has found nobody to tell.
                Some(LinkName::Component(_)) | None => self.reported(desk, id),
            },
            Word::Silence => {
                self.to_sip.untold(id);
                self.report(desk, now, id);
            }
        }
    }

    fn link_of(&self, desk: &Desk, id: MessageId) -> Option<LinkName> {
        let failed = self.to_sip.failed.get(&id)?;
        Some(desk.link_of(&failed.record.pair))
    }

    fn reported(&mut self, desk: &mut Desk, id: MessageId) {
        if self.to_sip.failed.remove(&id).is_some() {
            desk.counters.messages_to_sip.errored += 1;
            self.to_sip.done(desk, id);
        }
    }
}

fn error_stanza(record: &MessageRecord) -> Option<Message> {
    let MessageSender { from, to, id, .. } = record.sender.as_ref()?;
    let error: Element = record.failure.as_deref()?.parse().ok()?;
    let mut stanza = Message::new_with_type(MessageType::Error, Jid::new(from).ok());
    stanza.from = Jid::new(to).ok();
    stanza.id = id.clone().map(Id);
    stanza.payloads.push(error);
    Some(stanza)
}
