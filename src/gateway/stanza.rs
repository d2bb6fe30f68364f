// SPDX-License-Identifier: GPL-2.0-or-later
//! Stanzas: each goes to the direction it concerns, or is answered here.

use xmpp_parsers::message::{Message, MessageType};
use xmpp_parsers::presence::{Presence, Type};
use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};

use crate::address::{AddressError, Aor, Jid, Pair};
use crate::mapping::presence::Availability;
use crate::record::Moment;
use crate::stanza::{Inbound, LinkName, Stanza, error, max_forwards};

use super::inquiry::Inquiry;
use super::state::one_less;
use super::{Gateway, iq};

impl Gateway {
    /// A stanza over a link.
    pub(super) fn stanza(&mut self, now: Moment, Inbound { link, stanza }: Inbound) {
        match stanza {
            Stanza::Presence(presence) => self.presence(now, &link, presence),
            Stanza::Iq(iq) => {
                self.messages.iq_answered(&mut self.desk, now, &link, &iq);
                let room = self.room(iq.from(), || Stanza::Iq(iq.clone()));
                if let Some(answer) = iq::answer(iq) {
                    self.answer(link, Stanza::Iq(answer), room);
                }
            }
            Stanza::Message(message) => self.message(now, link, message),
        }
    }

    /// A message for a SIP user, or an error for one of his. What cannot be delivered is answered, but for headlines
    /// (RFC 6121 §8.5.2.2.1).
    fn message(&mut self, now: Moment, link: LinkName, mut message: Message) {
        if message.type_ == MessageType::Error {
            if let Some(error) = message.payloads.iter().find_map(read_error) {
                let from = message.from.as_ref();
                let addressed = from.zip(message.to.as_ref());
                let parties =
                    addressed.and_then(|(from, to)| Some((self.addressed(from, to).ok()?, from)));
                self.messages
                    .bounced(&mut self.desk, now, parties, &message, &error);
            }
            return;
        }
        let Err(error) = self.message_to_sip(now, &message) else {
            return;
        };
        self.desk.counters.messages_to_sip.taken += 1;
        self.desk.counters.messages_to_sip.errored += 1;
        if message.type_ == MessageType::Headline {
            return;
        }
        self.desk.counters.stanzas_refused += 1;
        let room = self.room(message.from.as_ref(), || Stanza::Message(message.clone()));
        message.payloads = vec![(*error).into()];
        message.type_ = MessageType::Error;
        std::mem::swap(&mut message.from, &mut message.to);
        message.bodies.clear();
        message.subjects.clear();
        message.thread = None;
        self.answer(link, Stanza::Message(message), room);
    }

    fn message_to_sip(&mut self, now: Moment, message: &Message) -> Result<(), Box<StanzaError>> {
        let (Some(from), Some(to)) = (&message.from, &message.to) else {
            return Err(error(DefinedCondition::BadRequest).into());
        };
        let sip = self.addressed(from, to).map_err(error)?;
        let hops = max_forwards(&message.payloads);
        if hops == Some(0) {
            return Err(error(DefinedCondition::NotAcceptable).into());
        }
        self.desk.hops = hops.map(one_less);
        let parties = (sip, from, to);
        self.messages.stanza(&mut self.desk, now, parties, message)
    }

    fn presence(&mut self, now: Moment, link: &LinkName, presence: Presence) {
        self.desk.counters.presence_received += 1;
        let (Some(from), Some(to)) = (presence.from.clone(), presence.to.clone()) else {
            return;
        };
        let answerable = matches!(
            presence.type_,
            Type::Subscribe | Type::Probe | Type::Unsubscribe | Type::Subscribed
        );
        let sip = match self.addressed(&from, &to) {
            Ok(sip) => sip,
            Err(condition) if answerable => return self.refuse(link, presence, condition),
            Err(_) => return,
        };
        let hops = max_forwards(&presence.payloads);
        if hops == Some(0) && matches!(presence.type_, Type::Subscribe | Type::Probe) {
            // What RFC 7247 §7.2 makes of 483.
            return self.refuse(link, presence, DefinedCondition::NotAcceptable);
        }
        self.desk.hops = hops.map(one_less);
        let pair = Pair::new(sip, from.to_bare());
        let desk = &mut self.desk;
        let taken = match presence.type_ {
            Type::Subscribe => self.xmpp_watchers.asked(desk, now, &pair),
            Type::Probe if to.resource().is_some() => {
                self.xmpp_watchers.polled(desk, now, &pair, from)
            }
            Type::Probe => self.xmpp_watchers.probed(desk, now, &pair, from),
            Type::None | Type::Unavailable => {
                if presence.type_ == Type::None {
                    self.xmpp_watchers.heard(desk, now, &pair);
                }
                if let Some(availability) = Availability::from_presence(&presence) {
                    let resource = from.resource().map_or("", |r| r.as_str());
                    self.sip_watchers
                        .presence(desk, now, &pair, resource, availability);
                }
                Ok(())
            }
            Type::Subscribed => {
                self.sip_watchers.approved(desk, now, &pair);
                Ok(())
            }
            Type::Unsubscribed => {
                self.sip_watchers.declined(desk, now, &pair);
                Ok(())
            }
            Type::Error => {
                if let Some(error) = presence.payloads.iter().find_map(read_error) {
                    let id = presence.id.as_deref();
                    if Inquiry::of(id) == Some(Inquiry::Watcher) {
                        self.xmpp_watchers.not_reached(desk, now, &pair, &error);
                    }
                    self.sip_watchers.failed(desk, now, &pair, id, &error);
                }
                Ok(())
            }
            Type::Unsubscribe => {
                self.xmpp_watchers.left(desk, now, &pair);
                Ok(())
            }
        };
        // RFC 6120 §8.3.3.18: of type `wait`, as it may be tried again.
        if taken.is_err() {
            self.refuse(link, presence, DefinedCondition::ResourceConstraint);
        }
    }

    /// The SIP user whom an XMPP user addresses; both have an address on the other side, or nobody could answer.
    fn addressed(&self, from: &Jid, to: &Jid) -> Result<Aor, DefinedCondition> {
        let config = &self.desk.config;
        let unmappable = |error| match error {
            AddressError::Unmappable => DefinedCondition::JidMalformed,
            AddressError::NoUser | AddressError::NoDomain => DefinedCondition::ItemNotFound,
        };
        if !config.serves_sip_name(to.domain().as_str()) {
            return Err(DefinedCondition::ItemNotFound);
        }
        let sip = config
            .gwmap
            .sip_user_from_xmpp(&to.to_bare())
            .map_err(unmappable)?;
        // RFC 8048 §8.1: only users of the realm that the operator named.
        if from.node().is_none() || !config.serves_xmpp_domain(from.domain().as_str()) {
            return Err(DefinedCondition::Forbidden);
        }
        config
            .gwmap
            .xmpp_user_on_sip(&from.to_bare())
            .map_err(unmappable)?;
        Ok(sip)
    }

    /// Answers presence that asks for something with an error.
    fn refuse(&mut self, link: &LinkName, mut presence: Presence, condition: DefinedCondition) {
        self.desk.counters.stanzas_refused += 1;
        let room = self.room(presence.from.as_ref(), || {
            Stanza::Presence(presence.clone())
        });
        let (from, to): (Option<Jid>, Option<Jid>) = (presence.to.take(), presence.from.take());
        let mut answer = Presence::error();
        answer.from = from;
        answer.to = to;
        answer.id = presence.id;
        answer.payloads = vec![error(condition).into()];
        self.answer(link.clone(), Stanza::Presence(answer), room);
    }

    /// How many bytes the answer to a stanza may have: for a sender who is not served, as many as it has itself,
    /// so that nobody can have more sent through the gateway than he sends.
    fn room(&self, from: Option<&Jid>, asked: impl FnOnce() -> Stanza) -> usize {
        let served = |jid: &Jid| self.desk.config.serves_xmpp_domain(jid.domain().as_str());
        if from.is_some_and(served) {
            usize::MAX
        } else {
            size(asked())
        }
    }

    /// Answers, if there is room for it.
    fn answer(&mut self, link: LinkName, answer: Stanza, room: usize) {
        if room < usize::MAX && size(answer.clone()) > room {
            self.desk.counters.answers_withheld += 1;
        } else {
            self.desk.stanza(link, answer);
        }
    }
}

/// How long a stanza is when it is written.
fn size(stanza: Stanza) -> usize {
    String::from(&stanza.into_element()).len()
}

fn read_error(payload: &minidom::Element) -> Option<StanzaError> {
    StanzaError::try_from(payload.clone()).ok()
}
