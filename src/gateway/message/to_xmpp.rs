// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages from SIP (RFC 7572 §5): the transaction is answered when the XMPP server has taken the stanza, or with the
//! error that came instead.

use std::collections::HashMap;

use indexmap::IndexMap;
use xmpp_parsers::message::{Id, Message};
use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};

use crate::address::{Aor, BareJid, Jid, Pair, SipUri, resource_of_gr};
use crate::body::entity::ENCODINGS;
use crate::frame::{Reply, Slot};
use crate::mapping::error::{Answer, Scope, to_answer};
use crate::mapping::message::{ACCEPT, Asked, FromSip, Unfit, read_request};
use crate::record::{Direction, Moment};
use crate::sip::{NameAddr, Request, Status, reason_phrase};
use crate::stanza::{Stanza, error, set_max_forwards};

use super::super::desk::{Desk, Refusal};
use super::super::parties::{recipient, sender};
use super::super::{SipRequest, Unsent};
use super::Messages;
use super::taken::{Waiting, Way, Word};

/// As many may wait for one server: it must not keep the table of open transactions from everybody else.
const MOST_WAITING: usize = 1000;

/// As many may wait in all, so that there is room for other requests.
const MOST: u64 = 3000;

/// What the sender is told who may try again, in seconds.
const RETRY_AFTER: u64 = 10;

/// Names a message on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct ParcelId(u64);

/// Messages whose transaction is not answered.
#[derive(Debug, Default)]
pub(super) struct ToXmpp {
    last: ParcelId,
    parcels: IndexMap<ParcelId, Parcel>,
    by_stanza: HashMap<String, ParcelId>,
}

/// One message on its way.
#[derive(Debug)]
struct Parcel {
    slot: Slot,
    pair: Pair,
    way: Way,
    stanza: Box<Message>,
}

impl Parcel {
    fn id(&self) -> &str {
        self.stanza.id.as_ref().map_or("", |id| id.0.as_str())
    }

    fn scope(&self) -> Scope {
        let device = self.stanza.to.as_ref().and_then(Jid::resource);
        if device.is_some() {
            Scope::Device
        } else {
            Scope::User
        }
    }
}

impl ToXmpp {
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.parcels.len()).unwrap_or(u64::MAX)
    }

    fn add(&mut self, parcel: Parcel) -> ParcelId {
        self.last.0 += 1;
        self.by_stanza.insert(parcel.id().to_owned(), self.last);
        self.parcels.insert(self.last, parcel);
        self.last
    }

    fn remove(&mut self, id: ParcelId) -> Option<Parcel> {
        let parcel = self.parcels.swap_remove(&id)?;
        self.by_stanza.remove(parcel.id());
        Some(parcel)
    }
}

impl Messages {
    /// A MESSAGE.
    pub(in super::super) fn request(&mut self, desk: &mut Desk, now: Moment, r: &SipRequest) {
        if let Err(refusal) = self.take(desk, now, r) {
            desk.counters.messages_to_xmpp.taken += 1;
            desk.counters.messages_to_xmpp.errored += 1;
            desk.refuse(r.slot, refusal);
        }
    }

    fn take(&mut self, desk: &mut Desk, now: Moment, r: &SipRequest) -> Result<(), Refusal> {
        let request = &r.request;
        let from = request
            .from()
            .map_err(|_| Refusal::because(400, "Bad From"))?;
        if request.call_id().is_err() {
            return Err(Refusal::because(400, "Bad Call-ID"));
        }
        let (sip, us) = sender(desk, r, &from)?;
        let pair = Pair::new(sip, recipient(desk, request)?);
        let addresses = addresses(&pair, us, &from, request)?;
        let said = read_request(now, request).map_err(unfit)?;
        let way = Way {
            link: desk.link_of(&pair),
            domain: pair.xmpp.domain().as_str().into(),
        };
        if desk.links.is_lost(&way.link) {
            return Err(later(Refusal::new(480)));
        }
        if self.barriers.waiting(&way) >= MOST_WAITING || self.to_xmpp.len() >= MOST {
            return Err(later(Refusal::new(503)));
        }
        desk.draw_message(now, Direction::ToXmpp, &pair)
            .map_err(|wait| {
                let seconds = wait.div_ceil(1000).max(1);
                Refusal::because(503, "Too Many Messages").with("Retry-After", seconds.to_string())
            })?;
        match said {
            FromSip::Composing(composing) => {
                self.writes_to_xmpp(desk, now, &pair, &composing, addresses);
                accepted(desk, r.slot);
            }
            FromSip::Notification(imdn) => {
                Self::notify_xmpp(desk, &pair, &imdn, addresses);
                accepted(desk, r.slot);
            }
            FromSip::Text { mut stanza, asked } => {
                self.wrote_to_xmpp(desk, &pair);
                (stanza.from, stanza.to) = (Some(addresses.0), Some(addresses.1));
                stanza.id = Some(Id(self.stanza_id(desk, request, asked.as_ref())));
                if let Some(hops) = desk.hops {
                    set_max_forwards(&mut stanza.payloads, hops);
                }
                let slot = r.slot;
                self.send_parcel(
                    desk,
                    now,
                    Parcel {
                        slot,
                        pair,
                        way,
                        stanza,
                    },
                );
            }
        }
        Ok(())
    }

    fn send_parcel(&mut self, desk: &mut Desk, now: Moment, parcel: Parcel) {
        desk.counters.messages_to_xmpp.taken += 1;
        let way = parcel.way.clone();
        // While a link is still to come, so is everything on it.
        if !desk.links.drops(&way.link) {
            let stanza = Stanza::Message((*parcel.stanza).clone());
            desk.stanza(way.link.clone(), stanza);
        }
        let id = self.to_xmpp.add(parcel);
        self.barriers.wait(desk, now, way, Waiting::Parcel(id));
    }

    /// The transaction identifier (RFC 7572 §5, Table 2), which is nobody else's at the time.
    fn stanza_id(&self, desk: &mut Desk, request: &Request, asked: Option<&Asked>) -> String {
        let branch = request
            .headers
            .branch()
            .map_or_else(|| desk.identity.stanza("message"), str::to_owned);
        let id = |branch: &str| match asked {
            Some(asked) => asked.stanza_id(branch),
            None => branch.to_owned(),
        };
        let wanted = id(&branch);
        if self.to_xmpp.by_stanza.contains_key(&wanted) {
            id(&desk.identity.stanza(&branch))
        } else {
            wanted
        }
    }

    /// An error for a message of ours.
    pub(in super::super) fn bounced(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        parties: Option<(Aor, &Jid)>,
        message: &Message,
        error: &StanzaError,
    ) {
        let parcel = message.id.as_ref().and_then(|id| {
            let id = *self.to_xmpp.by_stanza.get(&id.0)?;
            let parcel = self.to_xmpp.parcels.get(&id)?;
            let from = message.from.as_ref()?.to_bare();
            let user = &parcel.pair.xmpp;
            let is_server = from.node().is_none() && from.domain() == user.domain();
            (from == *user || is_server).then_some(id)
        });
        match parcel.and_then(|id| self.to_xmpp.remove(id)) {
            Some(parcel) => refuse(desk, &parcel, error),
            None => {
                // Chat states and receipts have no id.
                let Some(id) = &message.id else {
                    return;
                };
                desk.counters.messages_failed_late += 1;
                if let Some(parties) = parties {
                    self.failed_late(desk, now, parties, &id.0);
                }
            }
        }
    }

    /// A message stanza did not get onto its link: what the server says to the ping behind it says nothing of it.
    pub(in super::super) fn unsent(&mut self, desk: &mut Desk, unsent: &Unsent) {
        if unsent.is_error {
            // Else nobody can be told.
            if unsent.may_fit_later {
                self.to_sip.unsent(unsent.id.as_deref(), unsent.to.as_str());
            }
            return;
        }
        let id = unsent.id.as_ref();
        let parcel = id.and_then(|id| self.to_xmpp.by_stanza.get(id).copied());
        if let Some(parcel) = parcel.and_then(|id| self.to_xmpp.remove(id)) {
            let condition = if unsent.may_fit_later {
                DefinedCondition::ResourceConstraint
            } else {
                DefinedCondition::InternalServerError
            };
            refuse(desk, &parcel, &error(condition));
        }
    }

    /// What has become of a message whose server was asked.
    pub(super) fn parcel_settled(&mut self, desk: &mut Desk, id: ParcelId, word: &Word) {
        let Some(parcel) = self.to_xmpp.remove(id) else {
            return;
        };
        match word {
            Word::Taken => {
                desk.counters.messages_to_xmpp.delivered += 1;
                accepted(desk, parcel.slot);
            }
            Word::Unreachable(error) => refuse(desk, &parcel, error),
            Word::Silence => {
                desk.counters.messages_to_xmpp.errored += 1;
                desk.refuse(parcel.slot, Refusal::new(504));
            }
        }
    }

    /// A message that may have been lost goes again; it is waited for no longer than before.
    pub(super) fn parcel_again(&mut self, desk: &mut Desk, since: Moment, id: ParcelId) {
        if let Some(parcel) = self.to_xmpp.parcels.get(&id) {
            let stanza = Stanza::Message((*parcel.stanza).clone());
            let way = parcel.way.clone();
            desk.stanza(way.link.clone(), stanza);
            self.barriers.wait(desk, since, way, Waiting::Parcel(id));
        }
    }
}

/// Answers with the failure that XMPP told of (RFC 7247 §7.1).
fn refuse(desk: &mut Desk, parcel: &Parcel, error: &StanzaError) {
    desk.counters.messages_to_xmpp.errored += 1;
    let Answer {
        status,
        reason,
        retry_after,
        moved_to,
    } = to_answer(error, parcel.scope());
    let mut headers = Vec::new();
    if let Some(seconds) = retry_after {
        headers.push(("Retry-After".to_owned(), seconds.to_string()));
    }
    let legal = |uri: &String| {
        uri.bytes()
            .all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b))
    };
    if let Some(uri) = moved_to.filter(legal) {
        headers.push(("Contact".to_owned(), format!("<{uri}>")));
    }
    desk.reply(Reply {
        slot: parcel.slot,
        status: status.0,
        reason,
        to_tag: None,
        headers,
        body: Vec::new(),
    });
}

/// Answers that a message was taken.
fn accepted(desk: &mut Desk, slot: Slot) {
    let status = desk.config.message_answer;
    desk.reply(Reply {
        slot,
        status,
        reason: reason_phrase(Status(status)).to_owned(),
        to_tag: None,
        headers: Vec::new(),
        body: Vec::new(),
    });
}

/// From whom and to whom a stanza is: a GRUU, if it is known, is a full JID (RFC 7572 §5 note 1).
fn addresses(
    pair: &Pair,
    us: BareJid,
    from: &NameAddr,
    request: &Request,
) -> Result<(Jid, Jid), Refusal> {
    let device = from.device();
    let full = device.and_then(|device| us.with_resource_str(&device).ok());
    let from = full.map_or_else(|| us.into(), Jid::from);
    let to = match device_of(request)? {
        Some(device) => pair.xmpp.with_resource(&device).into(),
        None => pair.xmpp.clone().into(),
    };
    Ok((from, to))
}

/// The resource that the Request-URI names (RFC 7247 §6.3).
fn device_of(request: &Request) -> Result<Option<jid::ResourcePart>, Refusal> {
    let uri = SipUri::parse(&request.uri).ok();
    let gr = uri.as_ref().and_then(|uri| uri.param("gr"));
    resource_of_gr(gr).map_err(|_| Refusal::new(404))
}

fn unfit(unfit: Unfit) -> Refusal {
    match unfit {
        Unfit::MediaType => Refusal::new(415).with("Accept", ACCEPT),
        // RFC 3261 §21.4.13
        Unfit::Encoding => Refusal::new(415).with("Accept-Encoding", ENCODINGS),
        Unfit::Length => Refusal::new(413),
        // RFC 3862 §4.8 leaves the answer to whoever carries it.
        Unfit::Demands => Refusal::because(488, "Unknown Required CPIM Header"),
        Unfit::Malformed => Refusal::because(400, "Bad Body"),
    }
}

fn later(refusal: Refusal) -> Refusal {
    refusal.with("Retry-After", RETRY_AFTER.to_string())
}

impl Word {
    /// What the error for a ping says: a server that answers it in any way has taken what came before.
    pub(super) fn of(error: &StanzaError) -> Self {
        if matches!(
            error.defined_condition,
            DefinedCondition::RemoteServerNotFound | DefinedCondition::RemoteServerTimeout
        ) {
            Self::Unreachable(error.clone().into())
        } else {
            Self::Taken
        }
    }
}
