// SPDX-License-Identifier: GPL-2.0-or-later
//! The gateway as a value: tells each input to the direction it concerns.

use std::sync::Arc;

use xmpp_parsers::presence::{Presence, Type};

use crate::address::{Pair, Scheme, SipUri};
use crate::config::{Config, Limit};
use crate::frame::Reply;
use crate::mapping::message::ACCEPT;
use crate::record::{Direction, Moment, Snapshot};
use crate::sip::{Method, Request, SERVED, Status};
use crate::stanza::LinkName;

use super::backoff::link_backoff_ms;
use super::desk::{Departure, Desk, Purpose, Refusal};
use super::links::Loss;
use super::message::Messages;
use super::sip_watcher::SipWatchers;
use super::timers::Timer;
use super::view::{AuthorizationView, DialogView, Someone, StatusView};
use super::walks::{News, PAUSE_MS, SHORT};
use super::xmpp_watcher::XmppWatchers;
use super::{Batch, Counters, Input, RequestResult, SipRequest};

/// How long a link may be down before what it brought is shown as gone.
const LINK_GRACE_MS: u64 = 30_000;

/// How long after a new attempt at a link no word of it is taken for a good one, or for nobody's needing it.
const LINK_TRIED_MS: u64 = 600_000;

/// Deadlines taken at a time: after a pause of the whole machine all may have come at once, and what they lead
/// to has to leave before more is made.
const DEADLINES: usize = 100;

/// All state of the gateway.
#[derive(Debug)]
pub struct Gateway {
    pub(super) desk: Desk,
    pub(super) sip_watchers: SipWatchers,
    pub(super) xmpp_watchers: XmppWatchers,
    pub(super) messages: Messages,
}

impl Gateway {
    /// A gateway that goes on from what was stored. `generation` marks its request ids; `seed` is its only
    /// randomness.
    pub fn new(
        config: Arc<Config>,
        snapshot: Snapshot,
        generation: u32,
        seed: [u8; 32],
        now: Moment,
    ) -> Self {
        let mut desk = Desk::new(config, generation, seed);
        let mut sip_watchers = SipWatchers::new();
        let mut xmpp_watchers = XmppWatchers::new();
        for record in snapshot.authorizations {
            match record.direction {
                Direction::ToXmpp => sip_watchers.restore_authorization(&mut desk, now, record),
                Direction::ToSip => xmpp_watchers.restore_authorization(record),
            }
        }
        // They go all together, so that what stays does not lie in holes among them.
        let dialogs = snapshot.dialogs;
        for record in &dialogs {
            match record.direction {
                Direction::ToXmpp => sip_watchers.restore_dialog(&mut desk, now, record),
                Direction::ToSip => xmpp_watchers.restore_dialog(&mut desk, now, record),
            }
        }
        drop(dialogs);
        xmpp_watchers.restored(&mut desk, now);
        let mut messages = Messages::default();
        messages.restore(&mut desk, now, snapshot.messages);
        Self {
            desk,
            sip_watchers,
            xmpp_watchers,
            messages,
        }
    }

    /// Takes one input. Time never goes back from call to call.
    pub fn handle(&mut self, now: Moment, input: Input) {
        self.desk.hops = None;
        match input {
            Input::Request(request) => self.request(now, &request),
            Input::Result(result) => self.result(now, &result),
            Input::Stanza(inbound) => self.stanza(now, *inbound),
            Input::Unsent(unsent) => self.messages.unsent(&mut self.desk, &unsent),
            Input::FederationUp => self.federation_up(now),
            Input::LinkUp { link } => self.link_up(now, &link),
            Input::LinkDown { link } => self.link_down(now, &link),
            Input::Registered { user } => {
                self.xmpp_watchers.registered(&mut self.desk, now, &user);
            }
            Input::Revoke { pair, direction } => {
                let desk = &mut self.desk;
                match direction {
                    Direction::ToXmpp => self.sip_watchers.revoke(desk, now, &pair),
                    Direction::ToSip => self.xmpp_watchers.revoke(desk, now, &pair),
                }
            }
            Input::Timeout => {
                for _ in 0..DEADLINES {
                    let Some(timer) = self.desk.timers.take_due(now) else {
                        break;
                    };
                    self.timeout(now, timer);
                }
            }
        }
        for departure in std::mem::take(&mut self.desk.left) {
            self.tell_departure(departure);
        }
        debug_assert_eq!(
            self.desk.quota.dialogs(),
            count(self.sip_watchers.len() + self.xmpp_watchers.len()),
            "a dialog came or went uncounted"
        );
        debug_assert!(
            self.messages_add_up(),
            "a message ended neither delivered nor reported"
        );
    }

    /// The last dialog in which a SIP user watched a contact is over: the contact is told `unavailable` of him
    /// (RFC 8048 §5.3.3), or else of the device alone, where he is shown as available by others.
    fn tell_departure(&mut self, departure: Departure) {
        let Departure { pair, resource } = departure;
        if !self.xmpp_watchers.shows(&pair) {
            self.desk.presence_of_type(&pair, Type::Unavailable);
        } else if let Some(resource) = resource
            && !self.xmpp_watchers.shows_resource(&pair, &resource)
        {
            let unavailable = Presence::new(Type::Unavailable);
            let to = pair.xmpp.clone().into();
            self.desk.presence(&pair.sip, &resource, to, unavailable);
        }
    }

    fn messages_add_up(&self) -> bool {
        let counters = &self.desk.counters;
        let to_xmpp = self.messages.to_xmpp_in_flight();
        let to_sip = self.messages.to_sip_in_flight();
        counters.messages_to_xmpp.adds_up(to_xmpp) && counters.messages_to_sip.adds_up(to_sip)
    }

    /// What the inputs since the last call led to.
    pub fn drain(&mut self) -> Batch {
        self.desk.drain()
    }

    /// When [`Input::Timeout`] is due next, and why. It may take several for one moment.
    pub fn next_deadline(&self) -> Option<(Moment, &'static str)> {
        self.desk.timers.next()
    }

    fn request(&mut self, now: Moment, r: &SipRequest) {
        if r.request.body.len() > self.desk.config.max_body {
            self.desk.counters.reached.count(Limit::Body);
            return self.desk.refuse(r.slot, Refusal::new(413));
        }
        let local_tag = match r.request.to() {
            Ok(to) => to.tag().map(str::to_owned),
            Err(_) => return self.desk.refuse(r.slot, Refusal::because(400, "Bad To")),
        };
        if let Some(refusal) = unacceptable(&r.request) {
            return self.desk.refuse(r.slot, refusal);
        }
        self.desk.hops = r
            .request
            .headers
            .max_forwards()
            .ok()
            .flatten()
            .map(one_less);
        match (&r.request.method, local_tag) {
            (Method::Subscribe, None) => self.sip_watchers.subscribe(&mut self.desk, now, r),
            (Method::Subscribe, Some(tag)) => {
                self.sip_watchers.resubscribe(&mut self.desk, now, r, &tag);
            }
            (Method::Notify, Some(tag)) => self.xmpp_watchers.notify(&mut self.desk, now, r, &tag),
            (Method::Notify, None) => self.desk.refuse(r.slot, Refusal::new(481)),
            (Method::Message, None) => self.messages.request(&mut self.desk, now, r),
            (Method::Message, Some(_)) => self.desk.refuse(r.slot, Refusal::new(481)),
            (Method::Options, _) => self.options(r),
            (
                Method::Ack
                | Method::Bye
                | Method::Cancel
                | Method::Info
                | Method::Invite
                | Method::Prack
                | Method::Publish
                | Method::Refer
                | Method::Register
                | Method::Update
                | Method::Other(_),
                _,
            ) => {
                // RFC 3261 §8.2: who it is comes before what he wants. Nobody gets more than he sends.
                let refusal = if r.authenticated {
                    Refusal::new(405).with("Allow", SERVED)
                } else {
                    Refusal::new(403)
                };
                self.desk.refuse(r.slot, refusal);
            }
        }
    }

    /// Who is not authenticated learns no more than that somebody answers.
    fn options(&mut self, r: &SipRequest) {
        let headers = [
            ("Allow", SERVED),
            ("Allow-Events", "presence"),
            ("Accept", ACCEPT),
        ];
        let headers = headers.into_iter().filter(|_| r.authenticated);
        self.desk.reply(Reply {
            slot: r.slot,
            status: 200,
            reason: "OK".to_owned(),
            to_tag: None,
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: Vec::new(),
        });
    }

    fn result(&mut self, now: Moment, result: &RequestResult) {
        match self.desk.finished(result.id) {
            Some(Purpose::Notify(id)) => {
                self.sip_watchers.notified(&mut self.desk, now, id, result);
            }
            Some(Purpose::Subscribe(id)) => {
                self.xmpp_watchers
                    .subscribed(&mut self.desk, now, id, result);
            }
            Some(Purpose::Outlived(pair)) => {
                self.xmpp_watchers
                    .refused_late(&mut self.desk, now, &pair, result.status);
            }
            Some(Purpose::Message(pair)) => {
                self.messages.answered(&mut self.desk, now, &pair, result);
            }
            Some(Purpose::Writing(pair)) => {
                let status = result.status;
                self.messages
                    .told_writing(&mut self.desk, now, &pair, status);
            }
            None => {}
        }
    }

    fn federation_up(&mut self, now: Moment) {
        self.desk.links.federation_came();
        self.sip_watchers.walks.tell_federation();
        self.xmpp_watchers.walks.tell_federation();
        self.messages.link_tried(&mut self.desk, now, None);
        self.walk(now);
    }

    fn link_up(&mut self, now: Moment, link: &LinkName) {
        self.desk
            .timers
            .stop(&Timer::LinkGrace(link.clone().into()));
        self.desk
            .timers
            .stop(&Timer::LinkAgain(link.clone().into()));
        let news = self.desk.links.came(link);
        self.messages.link_came(&mut self.desk, now, link);
        if news {
            self.sip_watchers.walks.tell(link, News::Came);
            self.xmpp_watchers.walks.tell(link, News::Came);
            self.walk(now);
        }
    }

    fn link_down(&mut self, now: Moment, link: &LinkName) {
        let failures = match self.desk.links.went(link) {
            Loss::New => {
                let grace = Timer::LinkGrace(link.clone().into());
                self.desk.timers.set(grace, now.plus_ms(LINK_GRACE_MS));
                0
            }
            Loss::Again(failures) => failures,
        };
        match link {
            LinkName::Component(_) => {}
            LinkName::S2s { .. } => {
                let pause = link_backoff_ms(&mut self.desk.identity, failures);
                let again = Timer::LinkAgain(link.clone().into());
                self.desk.timers.set(again, now.plus_ms(pause));
            }
        }
    }

    /// The pause after a link between servers failed is over.
    fn link_again(&mut self, now: Moment, link: &LinkName) {
        let news = if self.desk.links.try_again(link) {
            let again = Timer::LinkAgain(link.clone().into());
            self.desk.timers.set(again, now.plus_ms(LINK_TRIED_MS));
            News::Tried
        } else {
            News::Came
        };
        self.sip_watchers.walks.tell(link, news);
        self.xmpp_watchers.walks.tell(link, news);
        self.messages.link_tried(&mut self.desk, now, Some(link));
        self.walk(now);
    }

    fn link_lost(&mut self, now: Moment, link: &LinkName) {
        self.sip_watchers.walks.tell(link, News::Lost);
        self.walk(now);
    }

    /// Begins to tell the pairs of links what there is to know of these, unless that goes on already.
    fn walk(&mut self, now: Moment) {
        if !self.desk.timers.is_set(&Timer::Round) {
            self.round(now);
        }
    }

    fn round(&mut self, now: Moment) {
        let looked = self.sip_watchers.round(&mut self.desk, now)
            + self.xmpp_watchers.round(&mut self.desk, now);
        let goes_on = self.sip_watchers.walks.goes_on() || self.xmpp_watchers.walks.goes_on();
        if goes_on || looked > SHORT {
            self.desk.timers.set(Timer::Round, now.plus_ms(PAUSE_MS));
        }
    }

    fn timeout(&mut self, now: Moment, timer: Timer) {
        let desk = &mut self.desk;
        match timer {
            Timer::NotifierExpires(id) => self.sip_watchers.expired(desk, now, id),
            Timer::NotifyAgain(id) | Timer::NotifyPaced(id) => {
                self.sip_watchers.notify_owed(desk, now, id);
            }
            Timer::FetchEnds(id) => self.sip_watchers.fetch_ends(desk, now, id),
            Timer::AskAgain(pair) => self.sip_watchers.ask_again(desk, now, &pair),
            Timer::GiveUp(pair) => self.sip_watchers.give_up(desk, now, &pair),
            Timer::ForgetRevoked(pair) => self.sip_watchers.forget_revoked(desk, now, &pair),
            Timer::Refresh(id) => {
                let pair = self.xmpp_watchers.pair_of(id);
                let hears = pair.is_some_and(|pair| self.sip_watchers.listens_to(pair));
                self.xmpp_watchers.refresh_due(desk, now, id, hears);
            }
            Timer::SubscriberExpires(id) | Timer::FirstNotify(id) => {
                self.xmpp_watchers.lost(desk, now, id);
            }
            Timer::Linger(id) => self.xmpp_watchers.lingered(desk, id),
            Timer::SubscribeAgain(pair) => self.xmpp_watchers.subscribe_again(desk, now, &pair),
            Timer::WatchCalls(pair) => self.xmpp_watchers.watch_calls(desk, now, &pair),
            Timer::ForgetCancelled(pair) => self.xmpp_watchers.forget_cancelled(desk, now, &pair),
            Timer::Settle(pair) => self.sip_watchers.settle(desk, now, &pair),
            Timer::ResultDue(id) => {
                let timeout = RequestResult {
                    id,
                    status: Status(408),
                    response: None,
                };
                self.result(now, &timeout);
            }
            Timer::LinkGrace(link) => self.link_lost(now, &link),
            Timer::LinkAgain(link) => self.link_again(now, &link),
            Timer::Round => self.round(now),
            Timer::NotTaken(way) => self.messages.not_taken(desk, now, &way),
            Timer::ResumeMessages => self.messages.resume(desk, now),
            Timer::WritingEnds(pair) => self.messages.writing_ends(desk, &pair),
            Timer::WritingRefresh(pair) => self.messages.writing_refresh(desk, now, &pair),
        }
    }

    /// Totals.
    pub fn status(&self) -> StatusView {
        let mut authorizations = Vec::new();
        for (direction, totals) in [
            (Direction::ToXmpp, self.sip_watchers.authorizations()),
            (Direction::ToSip, self.xmpp_watchers.authorizations()),
        ] {
            for (word, total) in totals {
                authorizations.push((format!("{}_{word}", direction.as_str()), total));
            }
        }
        StatusView {
            authorizations,
            notifier_dialogs: count(self.sip_watchers.len()),
            subscriber_dialogs: count(self.xmpp_watchers.len()),
            requests_in_flight: self.desk.requests_in_flight(),
            messages_to_xmpp: self.messages.to_xmpp_in_flight(),
            messages_to_sip: self.messages.to_sip_in_flight(),
            pairs: count(self.sip_watchers.pairs() + self.xmpp_watchers.pairs()),
            deadlines: count(self.desk.timers.len()),
        }
    }

    /// Up to `limit` dialogs, first those of SIP watchers.
    pub fn dialogs(&self, now: Moment, limit: usize) -> Vec<DialogView> {
        self.sip_watchers
            .dialogs()
            .chain(self.xmpp_watchers.dialogs())
            .take(limit)
            .map(|(dialog, word)| DialogView::new(dialog, word, now))
            .collect()
    }

    /// Up to `limit` authorisations, everybody's or someone's, first those of SIP watchers.
    pub fn authorizations(
        &self,
        now: Moment,
        someone: Option<&Someone>,
        limit: usize,
    ) -> Vec<AuthorizationView> {
        let asked_for = |pair: &Pair| someone.is_none_or(|someone| someone.is_in(pair));
        self.sip_watchers
            .authorized(now, asked_for)
            .chain(self.xmpp_watchers.authorized(now, asked_for))
            .take(limit)
            .collect()
    }

    /// The authorisations between two users.
    pub fn authorizations_of(&self, now: Moment, pair: &Pair) -> Vec<AuthorizationView> {
        let of_sip = self.sip_watchers.authorization(now, pair);
        let of_xmpp = self.xmpp_watchers.authorization(now, pair);
        of_sip.into_iter().chain(of_xmpp).collect()
    }

    /// Counters since the process started.
    pub fn counters(&self) -> Counters {
        self.desk.counters
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The most hops that a request of ours may take (RFC 3261 §8.1.1.6).
const MOST_HOPS: u8 = 70;

/// The hops left after this one.
pub(super) fn one_less(hops: u8) -> u8 {
    hops.min(MOST_HOPS).saturating_sub(1)
}

/// Why a request is refused whatever it asks for: its CSeq is of another method, it requires an extension, of
/// which there is none here (RFC 3261 §8.1.1.5, §8.2.2.3), it has to be secure all the way, which XMPP cannot
/// promise (RFC 7247 §8), or it may go no further, as a SUBSCRIBE or MESSAGE does (RFC 3261 §16.3).
fn unacceptable(request: &Request) -> Option<Refusal> {
    if request.cseq().is_err() {
        return Some(Refusal::because(400, "Bad CSeq"));
    }
    let is_sips = |uri: &SipUri| uri.scheme == Scheme::Sips;
    if request.to().is_ok_and(|to| is_sips(&to.uri))
        || SipUri::parse(&request.uri).is_ok_and(|uri| is_sips(&uri))
    {
        return Some(Refusal::new(416));
    }
    match request.headers.max_forwards() {
        Err(_) => return Some(Refusal::because(400, "Bad Max-Forwards")),
        Ok(Some(0)) if matches!(request.method, Method::Subscribe | Method::Message) => {
            return Some(Refusal::new(483));
        }
        Ok(_) => {}
    }
    let required: Vec<_> = request.headers.all("Require").collect();
    (!required.is_empty()).then(|| Refusal::new(420).with("Unsupported", required.join(", ")))
}
