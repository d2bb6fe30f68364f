// SPDX-License-Identifier: GPL-2.0-or-later
//! What a server has taken: the answer to a ping that was sent behind a stanza on the same way shows that everything
//! before it has been dealt with, and that an error for it, if there is one at once, has come already.
//!
//! One ping stands behind all that was sent before it; what is sent while it is under way waits for the next.

use std::collections::VecDeque;

use indexmap::IndexMap;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::ping::Ping;
use xmpp_parsers::stanza_error::StanzaError;

use crate::address::Jid;
use crate::record::{MessageId, Moment};
use crate::stanza::{LinkName, Stanza};

use super::super::desk::Desk;
use super::super::inquiry::Inquiry;
use super::super::timers::Timer;
use super::Messages;
use super::to_xmpp::ParcelId;

/// How long is waited for a server to take something.
pub(super) const PATIENCE_MS: u64 = 20_000;

/// The way to a server: over which link, and to which domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::gateway) struct Way {
    pub(super) link: LinkName,
    pub(super) domain: Box<str>,
}

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// A message to XMPP.
    Parcel(ParcelId),
    /// The error that tells the sender of a message to SIP of its failure.
    Report(MessageId),
}

/// All that waits, by the way it was sent.
#[derive(Debug, Default)]
pub(super) struct Barriers(IndexMap<Way, Barrier>);

/// What waits on one way.
#[derive(Debug)]
struct Barrier {
    /// Who pings whom; `None` if they have no addresses.
    ends: Option<(Jid, Jid)>,
    /// The ping under way.
    ping: Option<String>,
    /// Sent before it.
    covered: VecDeque<(Moment, Waiting)>,
    /// Sent after it.
    next: VecDeque<(Moment, Waiting)>,
}

/// What an answer to a ping says of all that was sent before it.
#[derive(Debug, Clone)]
pub(super) enum Word {
    /// The server has it.
    Taken,
    /// The server cannot be reached.
    Unreachable(Box<StanzaError>),
    /// Nothing came.
    Silence,
}

impl Barrier {
    fn new(way: &Way) -> Self {
        let jid = |domain: &str| Jid::new(domain).ok();
        Self {
            ends: jid(way.link.local()).zip(jid(&way.domain)),
            ping: None,
            covered: VecDeque::new(),
            next: VecDeque::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.covered.is_empty() && self.next.is_empty()
    }

    fn oldest(&self) -> Option<Moment> {
        let since = |queue: &VecDeque<(Moment, Waiting)>| queue.front().map(|(since, _)| *since);
        since(&self.covered).or_else(|| since(&self.next))
    }
}

impl Barriers {
    /// How much waits on a way.
    pub(super) fn waiting(&self, way: &Way) -> usize {
        self.0
            .get(way)
            .map_or(0, |barrier| barrier.covered.len() + barrier.next.len())
    }

    /// Something was sent, and waits to be taken, `since` then.
    pub(super) fn wait(&mut self, desk: &mut Desk, since: Moment, way: Way, waiting: Waiting) {
        let barrier = self
            .0
            .entry(way.clone())
            .or_insert_with(|| Barrier::new(&way));
        if barrier.is_empty() {
            desk.timers.set(
                Timer::NotTaken(way.clone().into()),
                since.plus_ms(PATIENCE_MS),
            );
        }
        barrier.next.push_back((since, waiting));
        self.ping(desk, &way);
    }

    /// Sends a ping behind what waits for one, if none is under way.
    fn ping(&mut self, desk: &mut Desk, way: &Way) {
        let Some(barrier) = self.0.get_mut(way) else {
            return;
        };
        if barrier.ping.is_some() || barrier.next.is_empty() || desk.links.drops(&way.link) {
            return;
        }
        let id = desk.inquire(Inquiry::Taken);
        let Some((from, to)) = &barrier.ends else {
            return;
        };
        let ping = Iq::Get {
            from: Some(from.clone()),
            to: Some(to.clone()),
            id: id.clone(),
            payload: Ping.into(),
        };
        barrier.ping = Some(id);
        let mut next = std::mem::take(&mut barrier.next);
        barrier.covered.append(&mut next);
        desk.stanza(way.link.clone(), Stanza::Iq(ping));
    }

    /// The ping of a way is answered: gives what it stood behind, if that was the ping under way.
    fn answered(&mut self, desk: &mut Desk, way: &Way, id: &str) -> Vec<Waiting> {
        let Some(barrier) = self.0.get_mut(way) else {
            return Vec::new();
        };
        if barrier.ping.as_deref() != Some(id) {
            return Vec::new();
        }
        barrier.ping = None;
        let covered = std::mem::take(&mut barrier.covered);
        self.ping(desk, way);
        self.schedule(desk, way);
        covered.into_iter().map(|(_, waiting)| waiting).collect()
    }

    /// What has waited too long on a way; a ping that stands behind nothing else is not waited for any more.
    fn overdue(&mut self, desk: &mut Desk, now: Moment, way: &Way) -> Vec<Waiting> {
        let Some(barrier) = self.0.get_mut(way) else {
            return Vec::new();
        };
        let mut overdue = Vec::new();
        let is_due = |(since, _): &mut (Moment, Waiting)| since.plus_ms(PATIENCE_MS) <= now;
        for queue in [&mut barrier.covered, &mut barrier.next] {
            while let Some((_, waiting)) = queue.pop_front_if(is_due) {
                overdue.push(waiting);
            }
        }
        if barrier.covered.is_empty() {
            barrier.ping = None;
        }
        self.ping(desk, way);
        self.schedule(desk, way);
        overdue
    }

    /// What waited on a link that is ready anew has to be sent again: gives all of it, in order.
    fn lost(&mut self, desk: &mut Desk, link: &LinkName) -> Vec<(Moment, Waiting)> {
        let mut lost = Vec::new();
        self.0.retain(|way, barrier| {
            if way.link != *link {
                return true;
            }
            desk.timers.stop(&Timer::NotTaken(way.clone().into()));
            lost.extend(barrier.covered.drain(..));
            lost.extend(barrier.next.drain(..));
            false
        });
        lost
    }

    fn schedule(&mut self, desk: &mut Desk, way: &Way) {
        let timer = Timer::NotTaken(way.clone().into());
        match self.0.get(way).and_then(Barrier::oldest) {
            Some(since) => desk.timers.set(timer, since.plus_ms(PATIENCE_MS)),
            None => {
                desk.timers.stop(&timer);
                self.0.swap_remove(way);
            }
        }
    }
}

impl Messages {
    /// An iq result or error: perhaps the answer to a ping.
    pub(in super::super) fn iq_answered(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        link: &LinkName,
        iq: &Iq,
    ) {
        let (from, id, word) = match iq {
            Iq::Result { from, id, .. } => (from, id, Word::Taken),
            Iq::Error {
                from, id, error, ..
            } => (from, id, Word::of(error)),
            Iq::Get { .. } | Iq::Set { .. } => return,
        };
        let Some(from) = from else {
            return;
        };
        let way = Way {
            link: link.clone(),
            domain: from.as_str().into(),
        };
        for waiting in self.barriers.answered(desk, &way, id) {
            self.settle(desk, now, waiting, &word);
        }
    }

    /// A server has not taken something in time.
    pub(in super::super) fn not_taken(&mut self, desk: &mut Desk, now: Moment, way: &Way) {
        for waiting in self.barriers.overdue(desk, now, way) {
            self.settle(desk, now, waiting, &Word::Silence);
        }
    }

    /// What waited on a link goes again.
    pub(super) fn resend(&mut self, desk: &mut Desk, link: &LinkName) {
        // A link between servers keeps what was not acknowledged, and sends it again itself.
        if matches!(link, LinkName::S2s { .. }) {
            return;
        }
        for (since, waiting) in self.barriers.lost(desk, link) {
            match waiting {
                Waiting::Parcel(id) => self.parcel_again(desk, since, id),
                Waiting::Report(id) => self.to_sip.untold(id),
            }
        }
    }

    fn settle(&mut self, desk: &mut Desk, now: Moment, waiting: Waiting, word: &Word) {
        match waiting {
            Waiting::Parcel(id) => self.parcel_settled(desk, id, word),
            Waiting::Report(id) => self.report_settled(desk, now, id, word),
        }
    }
}
