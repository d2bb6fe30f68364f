// SPDX-License-Identifier: GPL-2.0-or-later
//! What every decision writes with: names, deadlines, request ids, and the batch that leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use xmpp_parsers::presence::{Presence, Type};

use crate::address::{Aor, BareJid, Jid, Pair};
use crate::config::{Config, Contact};
use crate::frame::{Flow, Reply, RequestId, Send, Slot};
use crate::record::{Change, DialogId, Direction, Moment};
use crate::sip::{Status, reason_phrase};
use crate::stanza::{LinkName, Stanza, set_max_forwards};

use super::identity::Identity;
use super::inquiry::Inquiry;
use super::links::Links;
use super::quota::{Overdrawn, Quota};
use super::timers::{Timer, TimerTable};
use super::{Batch, Counters, Output};

/// How long after sending a request its result is overdue: tm's own limit (32 s) and a margin.
const RESULT_DUE_MS: u64 = 40_000;

/// What a request of ours was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A NOTIFY of a dialog in which we are the notifier.
    Notify(DialogId),
    /// A SUBSCRIBE of a dialog in which we are the subscriber.
    Subscribe(DialogId),
    /// A SUBSCRIBE of these whose dialog is gone.
    Outlived(Pair),
    /// The first message that waits from the XMPP user to the SIP user.
    Message(Pair),
    /// Whether the XMPP user is writing.
    Writing(Pair),
}

/// Shared by both directions; owns no state of either.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) config: Arc<Config>,
    pub(super) identity: Identity,
    pub(super) timers: TimerTable,
    pub(super) counters: Counters,
    pub(super) quota: Quota,
    pub(super) links: Links,
    /// Hops left for what the input under way asks of the other world; `None` if it says nothing of them. It ends
    /// what two gateways could send each other in a circle (RFC 7247 §8).
    pub(super) hops: Option<u8>,
    /// SIP watchers who have left, for the other direction to judge who is told.
    pub(super) left: Vec<Departure>,
    generation: u32,
    last_request: u32,
    requests: BTreeMap<RequestId, Purpose>,
    batch: Batch,
}

impl Desk {
    pub(super) fn new(config: Arc<Config>, generation: u32, seed: [u8; 32]) -> Self {
        let mut identity = Identity::new(seed);
        Self {
            quota: Quota::new(&config, &mut identity),
            config,
            identity,
            timers: TimerTable::default(),
            counters: Counters::default(),
            links: Links::default(),
            hops: None,
            left: Vec::new(),
            generation,
            last_request: 0,
            requests: BTreeMap::new(),
            batch: Batch::default(),
        }
    }

    pub(super) fn drain(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    pub(super) fn change(&mut self, change: Change) {
        self.batch.changes.push(change);
    }

    // --- shares

    /// Whether there is room for one more dialog; if not, that is counted.
    pub(super) fn room(&mut self, direction: Direction, pair: &Pair) -> Result<(), Overdrawn> {
        let room = self.quota.room(direction, pair);
        self.counted(room)
    }

    /// Takes from a pair's shares what a new subscription costs; if that is too much, that is counted.
    pub(super) fn draw(
        &mut self,
        now: Moment,
        direction: Direction,
        pair: &Pair,
    ) -> Result<(), Overdrawn> {
        let drawn = self.quota.subscribe(now, direction, pair);
        self.counted(drawn)
    }

    /// Takes from a pair's shares what a message costs; if that is too much, that is counted, and gives in how many
    /// milliseconds it may be tried again.
    pub(super) fn draw_message(
        &mut self,
        now: Moment,
        direction: Direction,
        pair: &Pair,
    ) -> Result<(), u64> {
        let drawn = self.quota.message(now, direction, pair);
        self.counted(drawn)
            .map_err(|overdrawn| overdrawn.wait_ms.unwrap_or_default())
    }

    fn counted(&mut self, outcome: Result<(), Overdrawn>) -> Result<(), Overdrawn> {
        outcome.inspect_err(|overdrawn| self.counters.reached.count(overdrawn.limit))
    }

    // --- SIP

    /// Answers a handed-over request.
    pub(super) fn reply(&mut self, reply: Reply) {
        if reply.status >= 300 {
            self.counters.requests_refused += 1;
        }
        self.batch.outputs.push(Output::Reply(reply));
    }

    /// Answers with a failure.
    pub(super) fn refuse(&mut self, slot: Slot, refusal: Refusal) {
        self.reply(Reply {
            slot,
            status: refusal.status.0,
            reason: refusal
                .reason
                .map_or_else(|| reason_phrase(refusal.status).to_owned(), str::to_owned),
            to_tag: None,
            headers: refusal.headers,
            body: Vec::new(),
        });
    }

    /// Sends a request; its result comes back for `purpose`.
    pub(super) fn send(&mut self, now: Moment, purpose: Purpose, mut request: Send) -> RequestId {
        self.last_request = self.last_request.wrapping_add(1);
        let id = RequestId(u64::from(self.generation) << 32 | u64::from(self.last_request));
        request.id = id;
        if let (Purpose::Subscribe(_), Some(hops)) = (&purpose, self.hops) {
            request.headers.retain(|(name, _)| name != "Max-Forwards");
            request
                .headers
                .push(("Max-Forwards".to_owned(), hops.to_string()));
        }
        self.requests.insert(id, purpose);
        self.timers
            .set(Timer::ResultDue(id), now.plus_ms(RESULT_DUE_MS));
        self.batch.outputs.push(Output::Send(Box::new(request)));
        id
    }

    /// A SUBSCRIBE under way whose dialog is given up: should it be refused, that still counts.
    pub(super) fn outlives(&mut self, id: RequestId, pair: &Pair) {
        if let Some(purpose) = self.requests.get_mut(&id) {
            *purpose = Purpose::Outlived(pair.clone());
        }
    }

    /// The purpose of a request whose result has come; `None` for one of another generation, or one that was
    /// given up.
    pub(super) fn finished(&mut self, id: RequestId) -> Option<Purpose> {
        self.timers.stop(&Timer::ResultDue(id));
        self.requests.remove(&id)
    }

    pub(super) fn requests_in_flight(&self) -> u64 {
        u64::try_from(self.requests.len()).unwrap_or(u64::MAX)
    }

    /// The Contact of a dialog: leads back to this Kamailio and names the dialog.
    /// A peer whose path is known is given the address and the transport that it uses itself: without a transport
    /// it would take UDP (RFC 3263 §4.1).
    pub(super) fn contact(&self, dialog: DialogId, flow: Option<&Flow>) -> String {
        let contacts = &self.config.contacts;
        let contact = match flow {
            Some(flow) => {
                Contact::choose(contacts, flow.protocol.as_str(), &flow.local.to_string())
            }
            None => contacts.first(),
        };
        let at = contact.map_or_else(|| "localhost".to_owned(), Contact::to_string);
        format!("<sip:stox-{:016x}@{at}>", dialog.0)
    }

    // --- XMPP

    /// The link between the users of a pair.
    pub(super) fn link_of(&self, pair: &Pair) -> LinkName {
        self.link_between(&pair.sip, pair.xmpp.domain().as_str())
    }

    fn link_between(&self, aor: &Aor, remote: &str) -> LinkName {
        let local = self.config.gwmap.sip_domain_on_xmpp(aor.host());
        self.config.link(&local, remote)
    }

    /// Whether the link between the users of a pair is known to be down.
    pub(super) fn is_cut_off(&self, pair: &Pair) -> bool {
        self.links.is_lost(&self.link_of(pair))
    }

    /// Whether stanzas can be sent between the users of a pair.
    pub(super) fn can_reach(&self, pair: &Pair) -> bool {
        self.links.is_up(&self.link_of(pair))
    }

    /// Sends presence from a SIP user to an XMPP address; `false` if the link is down or the user has no
    /// address there.
    pub(super) fn presence(
        &mut self,
        from: &Aor,
        resource: &str,
        to: Jid,
        mut p: Presence,
    ) -> bool {
        let link = self.link_between(from, to.domain().as_str());
        let Ok(bare) = self.config.gwmap.sip_user_on_xmpp(from) else {
            return false;
        };
        if !self.links.is_up(&link) {
            return false;
        }
        p.from = Some(match bare.with_resource_str(resource) {
            Ok(full) if !resource.is_empty() => full.into(),
            Ok(_) | Err(_) => bare.into(),
        });
        p.to = Some(to);
        self.counters.presence_sent += 1;
        self.stanza(link, Stanza::Presence(p));
        true
    }

    /// Sends presence of a type without content from the SIP user of a pair to the XMPP user.
    pub(super) fn presence_of_type(&mut self, pair: &Pair, type_: Type) -> bool {
        let mut presence = Presence::new(type_.clone());
        presence.id = match type_ {
            Type::Subscribe => Some(self.inquire(Inquiry::Subscribe)),
            Type::Probe => Some(self.inquire(Inquiry::Probe)),
            Type::None
            | Type::Error
            | Type::Subscribed
            | Type::Unavailable
            | Type::Unsubscribe
            | Type::Unsubscribed => None,
        };
        if let Some(hops) = self.hops.filter(|_| presence.id.is_some()) {
            set_max_forwards(&mut presence.payloads, hops);
        }
        let to: BareJid = pair.xmpp.clone();
        self.presence(&pair.sip, "", to.into(), presence)
    }

    /// The id of a stanza that asks something.
    pub(super) fn inquire(&mut self, inquiry: Inquiry) -> String {
        self.identity.stanza(inquiry.word())
    }

    /// Probes the XMPP user of a pair before his subscription is refreshed (RFC 8048 §8.1).
    pub(super) fn probe_watcher(&mut self, pair: &Pair) -> bool {
        let mut probe = Presence::new(Type::Probe);
        probe.id = Some(self.inquire(Inquiry::Watcher));
        self.presence(&pair.sip, "", pair.xmpp.clone().into(), probe)
    }

    /// Sends any stanza over a link.
    pub(super) fn stanza(&mut self, link: LinkName, stanza: Stanza) {
        self.batch.outputs.push(Output::Stanza {
            link,
            stanza: Box::new(stanza),
        });
    }
}

/// The end of the last dialog in which a SIP user watched an XMPP contact.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) pair: Pair,
    /// Of the device that watched, if it has one.
    pub(super) resource: Option<String>,
}

/// A failure answer with the headers it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: Status,
    reason: Option<&'static str>,
    headers: Vec<(String, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16) -> Self {
        Self {
            status: Status(status),
            reason: None,
            headers: Vec::new(),
        }
    }

    /// With a reason phrase that says more than the usual one.
    pub(super) fn because(status: u16, reason: &'static str) -> Self {
        Self {
            status: Status(status),
            reason: Some(reason),
            headers: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}
